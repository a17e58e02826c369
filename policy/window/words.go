package window

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// worded says the days of a rule as a person does, "first Saturday of the month"; "" where
// only the rule itself says them without a doubt. Two rules with the same words choose the
// same days.
func (r *recurrence) worded() string {
	if r.freq == daily || r.freq == weekly {
		return r.everyFew()
	}
	of := r.ofMonths()
	switch nth := slices.ContainsFunc(r.weekdays, func(w weekday) bool { return w.n != 0 }); {
	case of == "":
		return ""
	case len(r.weekdays) == 0 && len(r.positions) == 0:
		return r.datesText() + of
	case r.monthDays|r.lastDays != 0 || r.freq == yearly && len(r.positions) > 0:
		return ""
	case nth && len(r.positions) == 0 && !slices.ContainsFunc(r.weekdays,
		func(w weekday) bool { return w.n == 0 }):
		return r.nthDays() + of
	case !nth && len(r.positions) == 1 && len(r.weekdays) > 2:
		return ordinal(r.positions[0]) + " of " + r.weekdaysText() + of
	case !nth && len(r.positions) == 1 && len(r.weekdays) > 0:
		return ordinal(r.positions[0]) + " " + strings.Join(r.dayTitles(), " or ") + of
	}
	return ""
}

// everyFew is a rule of days of the week, or of days, that leaves some periods out. The
// date that it is counted from is the first of a period, so it tells where weeks begin.
func (r *recurrence) everyFew() string {
	if r.interval == 1 || r.months|r.monthDays|r.lastDays != 0 || len(r.positions) > 0 {
		return ""
	}
	first, _ := r.period(r.unit(r.anchor))
	from := midnight(first).Format(time.DateOnly)
	if r.freq == daily {
		if len(r.weekdays) > 0 {
			return ""
		}
		return fmt.Sprintf("every %d days from %s", r.interval, from)
	}
	return fmt.Sprintf("%s of every %s week from %s", r.weekdaysText(), ordinal(int(r.interval)), from)
}

// weekdaysText is the days of the week alone.
func (r *recurrence) weekdaysText() string {
	var on [7]bool
	for _, w := range r.weekdays {
		on[w.day] = true
	}
	return daysText(on)
}

// ofMonths says of which months the days are; "" where the rule means the year.
func (r *recurrence) ofMonths() string {
	var names []string
	for _, m := range r.months.numbers(1) {
		names = append(names, time.Month(m).String())
	}
	y, m, _ := civil(r.anchor)
	switch {
	case r.freq == yearly && (r.months == 0 || r.interval > 1):
		return ""
	case len(names) > 0 && r.interval > 1:
		return ""
	case len(names) > 0:
		return " of " + strings.Join(names, ", ")
	case r.interval > 1:
		return fmt.Sprintf(" of every %s month from %s %d", ordinal(int(r.interval)), m, y)
	}
	return " of the month"
}

// datesText is days by their number in the month.
func (r *recurrence) datesText() string {
	var out []string
	for _, n := range r.monthDays.numbers(1) {
		out = append(out, "day "+strconv.Itoa(n))
	}
	for _, n := range r.lastDays.numbers(1) {
		out = append(out, ordinal(-n)+" day")
	}
	return strings.Join(out, ", ")
}

// nthDays is days like the first Saturday.
func (r *recurrence) nthDays() string {
	var out []string
	for _, w := range r.weekdays {
		out = append(out, ordinal(w.n)+" "+w.day.String())
	}
	return strings.Join(out, ", ")
}

func (r *recurrence) dayTitles() []string {
	var out []string
	for _, w := range r.weekdays {
		out = append(out, w.day.String())
	}
	return out
}

// ordinal is a place: the first is 1, the last -1.
func ordinal(n int) string {
	words := []string{"", "first", "second", "third", "fourth", "fifth"}
	switch {
	case n == -1:
		return "last"
	case n < 0:
		return ordinal(-n) + " last"
	case n < len(words):
		return words[n]
	case n%10 == 1 && n%100 != 11:
		return strconv.Itoa(n) + "st"
	case n%10 == 2 && n%100 != 12:
		return strconv.Itoa(n) + "nd"
	case n%10 == 3 && n%100 != 13:
		return strconv.Itoa(n) + "rd"
	}
	return strconv.Itoa(n) + "th"
}
