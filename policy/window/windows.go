package window

import (
	"slices"
	"time"
)

// windows is one window that recurs: a rule that chooses days, and a clock
// that says when the window of a day begins and ends. It is a [source].
type windows struct {
	rule  rule
	clock clock
	// No window begins before notBefore or after notAfter. The zero times
	// mean no such limit.
	notBefore, notAfter time.Time
}

// clock makes a window of a day. The windows of later days begin no earlier
// and end no earlier.
type clock interface {
	window(day int64) Span
	// longest is no shorter than any window.
	longest() time.Duration
}

// slack is how many days a window's begin can lie from its day in UTC: zones
// are at most 14 hours away, and a skipped midnight adds hours.
const slack = 2

func (w *windows) first(t, limit time.Time) (Span, bool) {
	from := Later(w.notBefore, t.Add(-w.clock.longest()))
	if !w.notAfter.IsZero() && limit.After(w.notAfter) {
		limit = w.notAfter.Add(time.Nanosecond)
	}
	last := dayOf(limit) + slack
	for day := dayOf(from) - slack; ; day++ {
		var ok bool
		if day, ok = w.rule.next(day, last); !ok {
			return Span{}, false
		}
		got := w.clock.window(day)
		if !got.Start.Before(limit) {
			return Span{}, false
		}
		if got.End.After(t) && !got.Start.Before(w.notBefore) {
			return got, true
		}
	}
}

func (w *windows) before(start time.Time) (time.Time, bool) {
	got, ok := w.first(start.Add(-time.Nanosecond), start)
	return got.Start, ok
}

func (w *windows) beyond(end time.Time) (time.Time, bool) {
	first := dayOf(end.Add(-w.clock.longest())) - slack
	for day := dayOf(end) + slack; ; day-- {
		var ok bool
		if day, ok = w.rule.previous(day, first); !ok {
			return time.Time{}, false
		}
		got := w.clock.window(day)
		if got.Start.After(end) || (!w.notAfter.IsZero() && got.Start.After(w.notAfter)) {
			continue
		}
		// This is the last window to have begun, and none of the earlier ones
		// ends later. It isn't before notBefore: one that isn't led here.
		return got.End, got.End.After(end)
	}
}

// several is the windows of some rules together, as a [source].
type several []*windows

func (a several) first(t, limit time.Time) (first Span, found bool) {
	for _, w := range a {
		if got, ok := w.first(t, limit); ok && (!found || got.Start.Before(first.Start)) {
			first, found = got, true
		}
	}
	return first, found
}

// before and beyond go on from window to window within one round: calendars
// name their windows in order, so that a round follows a whole day of them.

func (a several) before(start time.Time) (time.Time, bool) {
	begins := start
	for _, w := range slices.Backward(a) {
		if got, ok := w.before(begins); ok {
			begins = got
		}
	}
	return begins, begins.Before(start)
}

func (a several) beyond(end time.Time) (time.Time, bool) {
	ends := end
	for _, w := range a {
		if got, ok := w.beyond(ends); ok {
			ends = got
		}
	}
	return ends, ends.After(end)
}
