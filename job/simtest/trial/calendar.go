package trial

import (
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"gke-credential-rotator/policy/window/windowtest"
)

// calendar says whether something is allowed in the minute that t lies in. It
// looks at a clock and a list of dates and computes nothing: the judge must not
// trust the arithmetic of policy/window.
type calendar func(t time.Time) bool

func always(time.Time) bool { return true }

// room says whether the calendar is open at t, in every minute that begins
// before need has passed, and right before it has.
func (c calendar) room(t time.Time, need time.Duration) bool {
	for m := t.Truncate(time.Minute).Add(time.Minute); m.Before(t.Add(need)); m = m.Add(time.Minute) {
		if !c(m) {
			return false
		}
	}
	return c(t) && c(t.Add(need-time.Nanosecond))
}

// opens says whether there is room at a whole minute after t and before limit.
func (c calendar) opens(t, limit time.Time, need time.Duration) bool {
	minutes := int((need + time.Minute - 1) / time.Minute)
	open := 0
	for m := t.Truncate(time.Minute).Add(time.Minute); m.Before(limit.Add(need)); m = m.Add(time.Minute) {
		if !c(m) {
			open = 0
			continue
		}
		if open++; open >= minutes && m.Add(-time.Duration(minutes-1)*time.Minute).Before(limit) {
			return true
		}
	}
	return false
}

// both is open when each of the two is.
func both(a, b calendar) calendar { return func(t time.Time) bool { return a(t) && b(t) } }

// weekly reads "Sat,Sun 02:00-06:00 Europe/Paris; Mon-Thu 09:00-15:00" as what
// the zone's clock shows. Within a day of a change of that clock it allows
// everything: which of the doubled or skipped minutes belong to a window is
// policy/window's to know, and tested there minute by minute.
func weekly(text string) calendar {
	if text == "" || text == "always" {
		return always
	}
	var open []calendar
	for _, part := range strings.Split(text, ";") {
		f := strings.Fields(part)
		zone := time.UTC
		if len(f) == 3 {
			zone, _ = time.LoadLocation(f[2]) // the policy that holds it was read before
		}
		days := daysOf(f[0])
		from, to, _ := strings.Cut(f[1], "-")
		open = append(open, onFace(days, minuteOf(from), minuteOf(to), zone))
	}
	return func(t time.Time) bool {
		return slices.ContainsFunc(open, func(c calendar) bool { return c(t) })
	}
}

// onFace is a window as the clock on the wall shows it.
func onFace(days [7]bool, from, to int, zone *time.Location) calendar {
	return func(t time.Time) bool {
		local := t.In(zone)
		if zone != time.UTC && changes(local) {
			return true
		}
		today, m := int(local.Weekday()), local.Hour()*60+local.Minute()
		if from < to {
			return days[today] && m >= from && m < to
		}
		return days[today] && m >= from || days[(today+6)%7] && m < to
	}
}

// changes says whether the zone's clock is set within a day or so.
func changes(local time.Time) bool {
	_, before := local.Add(-26 * time.Hour).Zone()
	_, after := local.Add(26 * time.Hour).Zone()
	return before != after
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func daysOf(text string) (on [7]bool) {
	for _, part := range strings.Split(strings.ToLower(text), ",") {
		if part == "daily" {
			part = "mon-sun"
		}
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		for d := slices.Index(dayNames, first); d >= 0; d = (d + 1) % 7 {
			on[d] = true
			if dayNames[d] == last {
				break
			}
		}
	}
	return on
}

func minuteOf(text string) int {
	h, m, _ := strings.Cut(text, ":")
	hours, _ := strconv.Atoi(h)
	minutes, _ := strconv.Atoi(m)
	return hours*60 + minutes
}

// freezes reads "2026-12-18/2027-01-04, 2027-04-02 Europe/Paris": closed on
// those days as the zone's calendar shows them.
func freezes(text string) calendar {
	if text == "" || strings.EqualFold(text, "none") {
		return always
	}
	type freeze struct {
		first, last string
		zone        *time.Location
	}
	var all []freeze
	for _, part := range strings.Split(text, ",") {
		f := strings.Fields(part)
		fr := freeze{zone: time.UTC}
		if len(f) == 2 {
			fr.zone, _ = time.LoadLocation(f[1])
		}
		var isRange bool
		if fr.first, fr.last, isRange = strings.Cut(f[0], "/"); !isRange {
			fr.last = fr.first
		}
		all = append(all, fr)
	}
	return func(t time.Time) bool {
		return !slices.ContainsFunc(all, func(f freeze) bool {
			day := t.In(f.zone).Format(time.DateOnly)
			return f.first <= day && day <= f.last
		})
	}
}

// starting is open for a while from each of the starts, which are in order.
func starting(starts []time.Time, length time.Duration) calendar {
	return func(t time.Time) bool {
		i := sort.Search(len(starts), func(i int) bool { return starts[i].After(t) })
		return i > 0 && t.Before(starts[i-1].Add(length))
	}
}

// ruleOf reads an RRULE for the naive walk of windowtest; ok is false when it
// holds what that walk does not know.
func ruleOf(text string) (r windowtest.Rule, ok bool) {
	r = windowtest.Rule{Interval: 1, WeekStart: "MO"}
	for _, part := range strings.Split(strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(text)), "RRULE:"),
		";") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "FREQ":
			r.Freq = value
		case "INTERVAL":
			r.Interval, _ = strconv.Atoi(value)
		case "COUNT":
			r.Count, _ = strconv.Atoi(value)
		case "UNTIL":
			r.Until, ok = untilOf(value)
			if !ok {
				return r, false
			}
		case "WKST":
			r.WeekStart = value
		case "BYDAY":
			r.ByDay = strings.Split(value, ",")
		case "BYMONTHDAY":
			r.ByMonthDay = numbers(value)
		case "BYMONTH":
			r.ByMonth = numbers(value)
		case "BYSETPOS":
			r.BySetPos = numbers(value)
		case "":
		default:
			return r, false
		}
	}
	return r, r.Interval > 0 && slices.Contains([]string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}, r.Freq)
}

// untilOf reads the end of a rule; a date is all of that day.
func untilOf(value string) (time.Time, bool) {
	if t, err := time.Parse("20060102T150405Z", value); err == nil {
		return t, true
	}
	t, err := time.Parse("20060102", value)
	return t.Add(24*time.Hour - time.Second), err == nil
}

func numbers(list string) []int {
	var out []int
	for _, s := range strings.Split(list, ",") {
		n, _ := strconv.Atoi(s)
		out = append(out, n)
	}
	return out
}
