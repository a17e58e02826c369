package window

import (
	"fmt"
	"strings"
	"time"
)

// human says a recurring window in a few words: the days where the rule is
// plain, else the rule itself.
func (r *recurrence) human(start, length time.Duration) string {
	days := r.plainDays()
	if days == "" {
		if days = r.worded(); days != "" {
			days += ","
		}
	}
	if days == "" {
		endless := *r // the end is said in words, for every rule
		endless.count, endless.until = 0, time.Time{}
		days = endless.String()
	}
	begin := todText(start)
	switch {
	case start+length == 24*time.Hour:
		return fmt.Sprintf("%s %s-24:00 UTC", days, begin)
	case length < 24*time.Hour:
		return fmt.Sprintf("%s %s-%s UTC", days, begin, todText((start+length)%(24*time.Hour)))
	}
	return fmt.Sprintf("%s %s for %s UTC", days, begin, lengthText(length))
}

// plainDays says the days of a rule that is nothing but days of the week.
func (r *recurrence) plainDays() string {
	if r.interval > 1 || r.months|r.monthDays|r.lastDays != 0 || len(r.positions) > 0 || r.freq > weekly {
		return ""
	}
	var on [7]bool
	for _, w := range r.weekdays {
		on[w.day] = true
	}
	if len(r.weekdays) == 0 {
		on = everyDay
	}
	return daysText(on)
}

var everyDay = [7]bool{true, true, true, true, true, true, true}

// daysText writes days as [ParseWeekly] reads them: "daily", "Mon-Fri",
// "Sat,Sun", "Tue,Thu,Sat,Sun".
func daysText(on [7]bool) string {
	if on == everyDay {
		return "daily"
	}
	var parts []string
	for i := 0; i < 7; i++ { // from Monday
		if !on[(i+1)%7] {
			continue
		}
		last := i
		for last < 6 && on[(last+2)%7] {
			last++
		}
		if last-i >= 2 {
			parts = append(parts, dayTitle(i)+"-"+dayTitle(last))
			i = last
			continue
		}
		parts = append(parts, dayTitle(i))
	}
	return strings.Join(parts, ",")
}

func dayTitle(fromMonday int) string { return time.Weekday((fromMonday + 1) % 7).String()[:3] }

func todText(d time.Duration) string {
	t := time.Time{}.Add(d)
	if t.Second() == 0 {
		return t.Format("15:04")
	}
	return t.Format("15:04:05")
}

// lengthText writes "48h", "71h59m" and, beyond a week, "731d 8h".
func lengthText(d time.Duration) string {
	const day = 24 * time.Hour
	if d <= 7*day {
		return hoursText(d)
	}
	if rest := d % day; rest > 0 {
		return fmt.Sprintf("%dd %s", d/day, hoursText(rest))
	}
	return fmt.Sprintf("%dd", d/day)
}

func hoursText(d time.Duration) string {
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
