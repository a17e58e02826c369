package window

import "time"

// frequency is the period in which a rule chooses its days.
type frequency int

const (
	daily frequency = iota
	weekly
	monthly
	yearly
)

// rule chooses days: RFC 5545's recurrence without times of day. Days are
// numbered from 1970-01-01, so a rule knows no zone. It is evaluated period by
// period (a day, a week, a month, a year), forwards or backwards from any day,
// and therefore never walks from its beginning to today.
type rule struct {
	freq      frequency
	interval  int64        // every interval-th period
	anchor    int64        // a day of a period that counts
	weekStart time.Weekday // where weeks begin

	// A day must satisfy all of these; an empty one is satisfied by every day.
	months    set // 1 to 12
	monthDays set // 1 to 31
	lastDays  set // days from the month's end, 1 is the last
	weekdays  []weekday

	// Then positions, if any, pick from the days of the period: 1 is the
	// first, -1 the last.
	positions []int
}

// weekday is one of BYDAY: a weekday, or its nth in the month or year
// (negative: from the end).
type weekday struct {
	day time.Weekday
	n   int
}

// set is a set of small numbers.
type set uint64

func (s set) has(n int) bool { return s&(1<<n) != 0 }

// next gives the first day of the rule from day on, if it comes by limit.
func (r *rule) next(day, limit int64) (int64, bool) {
	unit := r.unit(day)
	if behind := mod(unit-r.unit(r.anchor), r.interval); behind > 0 {
		unit += r.interval - behind
	}
	for ; ; unit += r.interval {
		first, end := r.period(unit)
		if first > limit {
			return 0, false
		}
		chosen := r.choose(first, end)
		for d := max(first, day); d < end && d <= limit; d++ {
			if r.on(d, first, end) && chosen.has(d-first) {
				return d, true
			}
		}
	}
}

// previous gives the last day of the rule up to day, if it is not before limit.
func (r *rule) previous(day, limit int64) (int64, bool) {
	unit := r.unit(day)
	for unit -= mod(unit-r.unit(r.anchor), r.interval); ; unit -= r.interval {
		first, end := r.period(unit)
		if end <= limit {
			return 0, false
		}
		chosen := r.choose(first, end)
		for d := min(end-1, day); d >= first && d >= limit; d-- {
			if r.on(d, first, end) && chosen.has(d-first) {
				return d, true
			}
		}
	}
}

// choice is what positions leave of a period: bits for its days. nil is all.
type choice []uint64

func (c choice) has(nth int64) bool { return c == nil || c[nth/64]&(1<<(nth%64)) != 0 }

// choose applies the positions to the period [first, end).
func (r *rule) choose(first, end int64) choice {
	if len(r.positions) == 0 {
		return nil
	}
	var days []int64
	for d := first; d < end; d++ {
		if r.on(d, first, end) {
			days = append(days, d-first)
		}
	}
	c := make(choice, (end-first)/64+1)
	for _, p := range r.positions {
		if p < 0 {
			p += len(days) + 1
		}
		if p >= 1 && p <= len(days) {
			c[days[p-1]/64] |= 1 << (days[p-1] % 64)
		}
	}
	return c
}

// on says whether day, of the period [first, end), satisfies the rule's parts.
func (r *rule) on(day, first, end int64) bool {
	if len(r.weekdays) > 0 && !r.onWeekday(day, first, end) {
		return false
	}
	if r.months|r.monthDays|r.lastDays == 0 {
		return true
	}
	y, m, d := civil(day)
	if r.months != 0 && !r.months.has(int(m)) {
		return false
	}
	return r.monthDays|r.lastDays == 0 || r.monthDays.has(d) || r.lastDays.has(lastOf(y, m)-d+1)
}

func (r *rule) onWeekday(day, first, end int64) bool {
	is := weekdayOf(day)
	for _, w := range r.weekdays {
		if w.day != is {
			continue
		}
		if w.n == 0 {
			return true
		}
		if r.freq == yearly && r.months != 0 { // then "nth" is within the month
			y, m, d := civil(day)
			first = day - int64(d) + 1
			end = first + int64(lastOf(y, m))
		}
		if w.n == int((day-first)/7)+1 || w.n == -int((end-1-day)/7)-1 {
			return true
		}
	}
	return false
}

// unit numbers the periods; a day lies in period(unit(day)).
func (r *rule) unit(day int64) int64 {
	switch r.freq {
	case weekly:
		return floor(day+thursday-int64(r.weekStart), 7)
	case monthly:
		y, m, _ := civil(day)
		return int64(y)*12 + int64(m) - 1
	case yearly:
		y, _, _ := civil(day)
		return int64(y)
	}
	return day
}

// period gives the days of a period: the first, and the first after it.
func (r *rule) period(unit int64) (first, end int64) {
	switch r.freq {
	case weekly:
		first = unit*7 - thursday + int64(r.weekStart)
		return first, first + 7
	case monthly:
		y, m := int(floor(unit, 12)), time.Month(mod(unit, 12)+1)
		first = dayNumber(y, m, 1)
		return first, first + int64(lastOf(y, m))
	case yearly:
		return dayNumber(int(unit), time.January, 1), dayNumber(int(unit)+1, time.January, 1)
	}
	return unit, unit + 1
}

// thursday is the weekday of day 0.
const thursday = int64(time.Thursday)

const secondsPerDay = 24 * 60 * 60

func dayOf(t time.Time) int64 { return floor(t.Unix(), secondsPerDay) }
func dayNumber(y int, m time.Month, d int) int64 {
	return dayOf(time.Date(y, m, d, 0, 0, 0, 0, time.UTC))
}
func civil(day int64) (y int, m time.Month, d int) { return midnight(day).Date() }
func midnight(day int64) time.Time                 { return time.Unix(day*secondsPerDay, 0).UTC() }
func weekdayOf(day int64) time.Weekday             { return time.Weekday(mod(day+thursday, 7)) }

// lastOf is the last day of the month: the day before the next one's first.
func lastOf(y int, m time.Month) int { return time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day() }

// floor divides and rounds down; mod is what is left, never negative.
func floor(a, b int64) int64 { return (a - mod(a, b)) / b }

func mod(a, b int64) int64 {
	if m := a % b; m < 0 {
		return m + b
	}
	return a % b
}
