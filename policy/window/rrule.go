package window

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// recurrence is a recurrence rule as RFC 5545 writes it: which days, and until
// when or how often.
type recurrence struct {
	rule
	count int       // 0: no limit
	until time.Time // zero: no limit; a window may still begin at that time
}

// Bounds of what a rule may ask for, far beyond what maintenance needs.
const (
	mostInterval  = 1000
	mostCount     = 1_000_000
	mostPositions = 366
)

var frequencies = []string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}

var dayCodes = []string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}

// parseRecurrence reads a rule such as "FREQ=WEEKLY;BYDAY=SA,SU". What GKE
// refuses, what RFC 5545 forbids and what has no certain meaning is an error
// that names the part and the way out.
func parseRecurrence(text string) (recurrence, error) {
	r := recurrence{rule: rule{freq: -1, interval: 1, weekStart: time.Monday}}
	if at := strings.IndexFunc(text,
		func(c rune) bool { return c > '~' || (c < ' ' && !unicode.IsSpace(c)) }); at >= 0 {
		return r, fmt.Errorf("%.8q is not a part of any rule; write e.g. FREQ=WEEKLY;BYDAY=SA,SU", text[at:])
	}
	upper := strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(text)), "RRULE:")
	if strings.ContainsAny(upper, "\t\r\n\v\f") {
		return r, errors.New("it is on several lines; write it on one")
	}
	if upper == "" {
		return r, errors.New("it is empty; write e.g. FREQ=WEEKLY;BYDAY=SA,SU")
	}
	seen := map[string]bool{}
	for _, part := range strings.Split(strings.TrimSuffix(upper, ";"), ";") {
		name, value, ok := strings.Cut(part, "=")
		if !ok || value == "" {
			return r, fmt.Errorf("%q is not NAME=VALUE; write e.g. FREQ=WEEKLY;BYDAY=SA,SU", part)
		}
		if seen[name] {
			return r, fmt.Errorf("%s is there twice; keep one", name)
		}
		seen[name] = true
		if err := r.part(name, value); err != nil {
			return r, err
		}
	}
	return r, r.check(seen)
}

// part reads one NAME=VALUE of a rule.
func (r *recurrence) part(name, value string) (err error) {
	switch name {
	case "FREQ":
		err = r.setFreq(value)
	case "INTERVAL":
		var n int
		n, err = number(name, value, 1, mostInterval)
		r.interval = int64(n)
	case "COUNT":
		r.count, err = number(name, value, 1, mostCount)
	case "UNTIL":
		r.until, err = untilTime(value)
	case "WKST":
		day := slices.Index(dayCodes, value)
		if day < 0 {
			return fmt.Errorf("WKST=%s is not a weekday; write MO or SU", value)
		}
		r.weekStart = time.Weekday(day)
	case "BYDAY":
		r.weekdays, err = weekdays(value)
	case "BYMONTH":
		err = eachNumber(name, value, 12, false, func(n int) { r.months |= 1 << n })
	case "BYMONTHDAY":
		err = eachNumber(name, value, 31, true, func(n int) {
			if n > 0 {
				r.monthDays |= 1 << n
			} else {
				r.lastDays |= 1 << -n
			}
		})
	case "BYSETPOS":
		err = eachNumber(name, value, mostPositions, true, func(n int) {
			if !slices.Contains(r.positions, n) {
				r.positions = append(r.positions, n)
			}
		})
	case "BYHOUR", "BYMINUTE", "BYSECOND":
		err = fmt.Errorf("%s=%s: the window's start says the time of day; leave %s out", name, value, name)
	case "BYYEARDAY", "BYWEEKNO":
		err = fmt.Errorf("%s=%s is not a part that GKE documents; write BYMONTH with BYMONTHDAY or BYDAY", name,
			value)
	default:
		err = fmt.Errorf("%s is no part of a recurrence rule; known are FREQ, INTERVAL, COUNT, UNTIL, WKST, BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS", name)
	}
	return err
}

func (r *recurrence) setFreq(value string) error {
	switch value {
	case "HOURLY", "MINUTELY", "SECONDLY":
		return fmt.Errorf("FREQ=%s: GKE accepts no windows within the day; write FREQ=DAILY and a longer window",
			value)
	}
	f := slices.Index(frequencies, value)
	if f < 0 {
		return fmt.Errorf("FREQ=%s is unknown; write DAILY, WEEKLY, MONTHLY or YEARLY", value)
	}
	r.freq = frequency(f)
	return nil
}

// check refuses combinations that RFC 5545 forbids, for their meaning would be
// a guess.
func (r *recurrence) check(seen map[string]bool) error {
	numbered := slices.ContainsFunc(r.weekdays, func(w weekday) bool { return w.n != 0 })
	five := slices.ContainsFunc(r.weekdays, func(w weekday) bool { return w.n < -5 || w.n > 5 })
	switch {
	case !seen["FREQ"]:
		return errors.New("FREQ is missing; write e.g. FREQ=WEEKLY;BYDAY=SA,SU")
	case seen["COUNT"] && seen["UNTIL"]:
		return errors.New("COUNT and UNTIL exclude each other; keep one")
	case numbered && r.freq < monthly:
		return fmt.Errorf("BYDAY=%s: only months and years have an nth weekday; write FREQ=MONTHLY",
			r.weekdayText())
	case five && (r.freq == monthly || r.months != 0):
		return fmt.Errorf("BYDAY=%s: a month has at most 5 of a weekday; write -1 to 5", r.weekdayText())
	case seen["BYMONTHDAY"] && r.freq == weekly:
		return errors.New("BYMONTHDAY has no meaning with FREQ=WEEKLY; write FREQ=MONTHLY")
	case seen["BYSETPOS"] && !seen["BYDAY"] && !seen["BYMONTHDAY"] && !seen["BYMONTH"]:
		return errors.New("BYSETPOS picks from the days of BYDAY or BYMONTHDAY; add one")
	}
	return nil
}

// since completes the rule from its first day, as RFC 5545 says: that day's
// weekday, day of the month or date, where the rule names none.
func (r *recurrence) since(first time.Time) {
	r.anchor = dayOf(first)
	if len(r.weekdays) > 0 || r.monthDays|r.lastDays != 0 {
		return
	}
	switch r.freq {
	case weekly:
		r.weekdays = []weekday{{day: first.Weekday()}}
	case yearly:
		if r.months == 0 {
			r.months = 1 << first.Month()
		}
		r.monthDays = 1 << first.Day()
	case monthly:
		r.monthDays = 1 << first.Day()
	}
}

// needsFirst says whether the rule means nothing certain without its first day.
func (r *recurrence) needsFirst() bool {
	return r.interval > 1 || r.count > 0 ||
		(r.freq != daily && len(r.weekdays) == 0 && r.monthDays|r.lastDays == 0)
}

// countedDays is how far a rule with COUNT is followed, more than 500 years.
// One that goes on for longer is as good as endless.
const countedDays = 200_000

// lastCounted is the day of the last window of a rule with COUNT that begins
// to count with first, a day of the anchor's period. It is found once, so that
// later questions need not count, and looks at every period once: to ask for
// one day after the other would read a year again for each of its days.
func (r *recurrence) lastCounted(first int64) (day int64, ok bool) {
	left := r.count
	for unit := r.unit(first); ; unit += r.interval {
		begin, end := r.period(unit)
		chosen := r.choose(begin, end)
		for d := max(begin, first); d < end; d++ {
			if d > first+countedDays {
				return 0, false
			}
			if r.on(d, begin, end) && chosen.has(d-begin) {
				if left--; left == 0 {
					return d, true
				}
			}
		}
	}
}

// String writes the rule in a fixed order; reading that gives the same rule.
func (r *recurrence) String() string {
	parts := []string{"FREQ=" + frequencies[r.freq]}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	if r.interval > 1 {
		add("INTERVAL", strconv.FormatInt(r.interval, 10))
	}
	if r.weekStart != time.Monday {
		add("WKST", dayCodes[r.weekStart])
	}
	if r.count > 0 {
		add("COUNT", strconv.Itoa(r.count))
	}
	if !r.until.IsZero() {
		add("UNTIL", r.until.UTC().Format(untilFormat))
	}
	add("BYMONTH", join(r.months.numbers(1)))
	add("BYMONTHDAY", join(append(r.monthDays.numbers(1), r.lastDays.numbers(-1)...)))
	add("BYDAY", r.weekdayText())
	add("BYSETPOS", join(r.positions))
	return strings.Join(parts, ";")
}

func (r *recurrence) weekdayText() string {
	var codes []string
	for _, w := range r.weekdays {
		code := dayCodes[w.day]
		if w.n != 0 {
			code = strconv.Itoa(w.n) + code
		}
		codes = append(codes, code)
	}
	return strings.Join(codes, ",")
}

// numbers lists the set's members, times sign.
func (s set) numbers(sign int) []int {
	var out []int
	for n := range 64 {
		if s.has(n) {
			out = append(out, sign*n)
		}
	}
	return out
}

func join(numbers []int) string {
	var out []string
	for _, n := range numbers {
		out = append(out, strconv.Itoa(n))
	}
	return strings.Join(out, ",")
}

// number reads a number between least and most.
func number(name, value string, least, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s=%s is not a number from %d to %d", name, value, least, most)
	}
	return n, nil
}

// eachNumber reads a list of numbers from 1 to most, or also -most to -1.
func eachNumber(name, value string, most int, negative bool, use func(int)) error {
	for _, text := range strings.Split(value, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n == 0 || n > most || n < -most || (n < 0 && !negative) {
			form := fmt.Sprintf("1 to %d", most)
			if negative {
				form += fmt.Sprintf(", or -1 to -%d from the end", most)
			}
			return fmt.Errorf("%s=%s: %q is not a number from %s", name, value, text, form)
		}
		use(n)
	}
	return nil
}

func weekdays(value string) ([]weekday, error) {
	var out []weekday
	for _, text := range strings.Split(value, ",") {
		var w weekday
		code := text[max(0, len(text)-2):]
		day := slices.Index(dayCodes, code)
		w.day = time.Weekday(day)
		if nth := text[:len(text)-len(code)]; nth != "" && day >= 0 {
			var err error
			if w.n, err = strconv.Atoi(nth); err != nil || w.n == 0 || w.n > 53 || w.n < -53 {
				day = -1
			}
		}
		if day < 0 {
			return nil, fmt.Errorf("BYDAY=%s: %q is not a weekday; write MO, TU, WE, TH, FR, SA or SU, or 1SA for the first Saturday, -1SU for the last Sunday", value, text)
		}
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out, nil
}

const untilFormat = "20060102T150405Z"

// untilTime reads UNTIL in UTC, as GKE evaluates rules. A date includes its day.
func untilTime(value string) (time.Time, error) {
	if t, err := time.Parse("20060102", value); err == nil {
		return t.Add(24*time.Hour - time.Second), nil
	}
	t, err := time.Parse(untilFormat, strings.TrimSuffix(value, "Z")+"Z")
	if err != nil {
		return t, fmt.Errorf("UNTIL=%s is not a time; write e.g. UNTIL=20270131T235959Z", value)
	}
	return t, nil
}
