package windowtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rule is a recurrence rule in RFC 5545's words.
type Rule struct {
	Freq       string // DAILY, WEEKLY, MONTHLY or YEARLY
	Interval   int
	Count      int
	Until      time.Time
	WeekStart  string   // "MO"
	ByDay      []string // "SA", "1TU", "-1SU"
	ByMonthDay []int
	ByMonth    []int
	BySetPos   []int
}

// String writes the rule as an RRULE.
func (r Rule) String() string {
	text := fmt.Sprintf("FREQ=%s;INTERVAL=%d;WKST=%s", r.Freq, r.Interval, r.WeekStart)
	list := func(name string, values []int) {
		if len(values) > 0 {
			text += ";" + name + "=" + strings.ReplaceAll(strings.Trim(fmt.Sprint(values), "[]"), " ", ",")
		}
	}
	if len(r.ByDay) > 0 {
		text += ";BYDAY=" + strings.Join(r.ByDay, ",")
	}
	list("BYMONTHDAY", r.ByMonthDay)
	list("BYMONTH", r.ByMonth)
	list("BYSETPOS", r.BySetPos)
	if r.Count > 0 {
		text += fmt.Sprintf(";COUNT=%d", r.Count)
	}
	if !r.Until.IsZero() {
		text += ";UNTIL=" + r.Until.UTC().Format("20060102T150405Z")
	}
	return text
}

// Strip opens the rule's windows: the first may begin at first, each lasts so
// many minutes.
func (r Rule) Strip(from time.Time, minutes int, first time.Time, length int) *Strip {
	s := NewStrip(from, minutes)
	for _, start := range r.Starts(first, s.Until()) {
		s.Mark(start, length)
	}
	return s
}

// Starts walks the calendar day by day, from the first day of the period that
// first lies in to the end of the one that until lies in, and lists when
// windows begin.
func (r Rule) Starts(first, until time.Time) []time.Time {
	tod := first.Sub(date(first))
	day := date(first)
	for !r.begins(day) {
		day = day.AddDate(0, 0, -1)
	}
	var starts, period []time.Time
	for nth := 0; ; {
		if r.chooses(day, first) {
			period = append(period, day)
		}
		day = day.AddDate(0, 0, 1)
		if !r.begins(day) {
			continue
		}
		if nth%r.Interval == 0 {
			for _, d := range r.picks(period) {
				start := d.Add(tod)
				if start.Before(first) || (!r.Until.IsZero() && start.After(r.Until)) ||
					(r.Count > 0 && len(starts) == r.Count) {
					continue
				}
				starts = append(starts, start)
			}
		}
		if day.After(until) {
			return starts
		}
		period, nth = nil, nth+1
	}
}

// begins says whether a period begins with the day.
func (r Rule) begins(day time.Time) bool {
	switch r.Freq {
	case "WEEKLY":
		return code(day) == r.WeekStart
	case "MONTHLY":
		return day.Day() == 1
	case "YEARLY":
		return day.YearDay() == 1
	}
	return true
}

// chooses says whether the day satisfies every part of the rule. A rule that
// names no day takes the first window's.
func (r Rule) chooses(day, first time.Time) bool {
	if len(r.ByMonth) > 0 && !slices.Contains(r.ByMonth, int(day.Month())) {
		return false
	}
	if len(r.ByMonthDay) > 0 &&
		!slices.ContainsFunc(r.ByMonthDay, func(n int) bool { return isMonthDay(day, n) }) {
		return false
	}
	if len(r.ByDay) > 0 {
		return slices.ContainsFunc(r.ByDay, func(text string) bool { return r.isDay(day, text) })
	}
	if len(r.ByMonthDay) > 0 {
		return true
	}
	switch r.Freq {
	case "WEEKLY":
		return day.Weekday() == first.Weekday()
	case "MONTHLY":
		return day.Day() == first.Day()
	case "YEARLY":
		return day.Day() == first.Day() && (len(r.ByMonth) > 0 || day.Month() == first.Month())
	}
	return true
}

// isMonthDay counts the days of the month, from its end when n is negative.
func isMonthDay(day time.Time, n int) bool {
	if n > 0 {
		return day.Day() == n
	}
	left := 0
	for d := day; d.Month() == day.Month(); d = d.AddDate(0, 0, 1) {
		left--
	}
	return left == n
}

// isDay says whether the day is a "SA", or the "2SA" or "-1SA" of its month
// (of its year when the rule is yearly and names no months), by counting.
func (r Rule) isDay(day time.Time, text string) bool {
	if text[len(text)-2:] != code(day) {
		return false
	}
	n, err := strconv.Atoi(text[:len(text)-2])
	if err != nil {
		return true // no number
	}
	same := func(d time.Time) bool {
		return d.Year() == day.Year() && (d.Month() == day.Month() || (r.Freq == "YEARLY" && len(r.ByMonth) == 0))
	}
	step, count := -7, 0
	if n < 0 {
		step = 7
	}
	for d := day; same(d); d = d.AddDate(0, 0, step) {
		count++
	}
	return count == n || -count == n && n < 0
}

// picks applies BYSETPOS to the days of a period.
func (r Rule) picks(period []time.Time) []time.Time {
	if len(r.BySetPos) == 0 {
		return period
	}
	var picked []time.Time
	for i, d := range period {
		if slices.Contains(r.BySetPos, i+1) || slices.Contains(r.BySetPos, i-len(period)) {
			picked = append(picked, d)
		}
	}
	return picked
}

// code is the day's weekday as RFC 5545 writes it.
func code(day time.Time) string { return strings.ToUpper(day.Weekday().String()[:2]) }
