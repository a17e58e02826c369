package window

import (
	"fmt"
	"strings"
	"time"
)

// Daily is GKE's daily window: four hours from "HH:MM" UTC. (The API's
// duration field is output only and always four hours.) The text is like
// "daily 22:00-02:00 UTC".
func Daily(start string) (s Schedule, text string, err error) {
	tod, err := timeOfDay(start)
	if err != nil {
		return nil, "", fmt.Errorf("the daily window's start: %w", err)
	}
	return RecurringSince(time.Time{}, tod, 4*time.Hour, "FREQ=DAILY")
}

// Recurring is GKE's RecurringTimeWindow: a window that begins at first.Start,
// lasts as long as first and recurs by an RFC 5545 rule, in UTC whatever zone
// first is written in. No window begins before first.Start; one begins then
// only if the rule chooses that day.
//
// DAILY, WEEKLY, MONTHLY and YEARLY rules are understood, with INTERVAL, COUNT,
// UNTIL, WKST, BYDAY, BYMONTHDAY, BYMONTH and BYSETPOS. A rule that ended long
// ago, or whose days never come, is a schedule that never opens, and the text
// says so. Every other text is an error that names the part and the way out.
//
// The text is what people say: "Sat,Sun 02:00-06:00 UTC", "Sat 00:00 for 48h
// UTC", "first Tuesday of the month, 09:00-17:00 UTC", or where no words
// would be certain with the rule itself.
func Recurring(first Span, rule string) (s Schedule, text string, err error) {
	if first.Start.IsZero() || first.End.IsZero() {
		return nil, "", fmt.Errorf("the first window has no start or no end; give both")
	}
	if !first.Start.Before(first.End) {
		return nil, "", fmt.Errorf("the first window ends (%s) before it starts (%s); exchange them or write the next day",
			first.End.UTC().Format(time.RFC3339), first.Start.UTC().Format(time.RFC3339))
	}
	start := first.Start.UTC()
	return recurring(start, start.Sub(midnight(dayOf(start))), first.Length(), rule)
}

// RecurringSince is GKE's RecurringMaintenanceWindow: windows that begin so
// long after midnight UTC, last for length and recur by a rule as in
// [Recurring]. Windows before the date delayUntil never occur. The zero time
// means no delay; a rule that has to be counted from a first day (INTERVAL,
// COUNT, or no BYDAY or BYMONTHDAY in a longer period) then is an error, as it
// is for GKE.
func RecurringSince(delayUntil time.Time, start, length time.Duration, rule string) (s Schedule, text string,
	err error) {
	if start < 0 || start >= 24*time.Hour {
		return nil, "", fmt.Errorf("the window's start time %s is not within a day; write 00:00 to 23:59", start)
	}
	if length <= 0 {
		return nil, "", fmt.Errorf("the window's duration %s is not positive; write e.g. 4h", length)
	}
	if !delayUntil.IsZero() {
		delayUntil = midnight(dayOf(delayUntil)).Add(start)
	}
	return recurring(delayUntil, start, length, rule)
}

// recurring compiles a rule. Windows begin start after midnight, and none
// before notBefore, the zero time for no limit.
func recurring(notBefore time.Time, start, length time.Duration, text string) (Schedule, string, error) {
	r, err := parseRecurrence(text)
	if err != nil {
		return nil, "", fmt.Errorf("recurrence %q: %w", strings.TrimSpace(text), err)
	}
	if notBefore.IsZero() && r.needsFirst() {
		return nil, "", fmt.Errorf("recurrence %q needs delay_until, the date to count from; set it, or name the days with BYDAY", strings.TrimSpace(text))
	}
	r.since(notBefore)
	human := r.human(start, length)
	w := &windows{rule: r.rule, clock: elapsed{start, length}, notBefore: notBefore, notAfter: r.until}
	switch {
	case !r.until.IsZero() && r.until.Before(notBefore):
		return Never(), fmt.Sprintf("%s, ended %s before it began", human, r.until.Format(time.DateOnly)), nil
	case !w.everOpens():
		return Never(), human + ", on days that never come", nil
	case r.count > 0:
		if last, ok := r.lastCounted(dayOf(notBefore)); ok {
			w.notAfter = midnight(last).Add(start)
		}
	}
	if !w.notAfter.IsZero() {
		human += ", until " + w.notAfter.Format(time.DateOnly)
	}
	return &merged{source: w}, human, nil
}

// everOpens says whether the windows ever begin. Calendars repeat after 400
// years, so a rule whose days do not come in that time is not worth waiting for.
func (w *windows) everOpens() bool {
	const cycle = 146_097 // days in 400 years
	day := dayOf(w.notBefore)
	for {
		next, ok := w.rule.next(day, day+cycle)
		if !ok {
			return false
		}
		begins := w.clock.window(next).Start
		if !begins.Before(w.notBefore) {
			return w.notAfter.IsZero() || !begins.After(w.notAfter)
		}
		day = next + 1
	}
}
