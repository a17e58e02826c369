package window

import "time"

// Horizon is how far a schedule looks, ahead and back. A window that opens
// less than once in Horizon counts as closed until it comes near.
const Horizon = 400 * 24 * time.Hour

// Forever is the end of a stretch that does not end within [Horizon] of the
// time asked about. It is also where the calendar ends: nothing is open after.
var Forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// maxSteps bounds every walk over stretches, so that no schedule, however
// odd, can hold up a run. It allows for 40 stretches a day within Horizon.
const maxSteps = 1 << 14

// Span is a stretch of time: Start is in it, End is not.
type Span struct{ Start, End time.Time }

// Contains says whether t lies in the span.
func (s Span) Contains(t time.Time) bool { return !t.Before(s.Start) && t.Before(s.End) }

// Length is the span's duration, at most the longest [time.Duration] there is
// (292 years); a span to [Forever] is longer than any other.
func (s Span) Length() time.Duration { return s.End.Sub(s.Start) }

// Schedule is a set of open stretches. The same schedule always gives the
// same answers; what it remembers between questions is only speed. Schedules
// may be shared between goroutines.
type Schedule interface {
	// Next gives the first open stretch that ends after t, whole: its Start
	// lies before t when t is inside it. A Start more than [Horizon] before t
	// is told as the zero time, an End more than Horizon after t as [Forever].
	// ok is false when no stretch begins before t + Horizon.
	Next(t time.Time) (s Span, ok bool)
}

// Always is open at every time.
func Always() Schedule { return except(nil) }

// Never is open at no time.
func Never() Schedule { return except{{time.Time{}, Forever}} }

// clip turns a stretch that ends after t into the answer that [Schedule] promises.
func clip(s Span, t time.Time) (Span, bool) {
	if !t.Before(Forever) || !s.Start.Before(Earlier(t.Add(Horizon), Forever)) {
		return Span{}, false
	}
	if s.Start.Before(t.Add(-Horizon)) {
		s.Start = time.Time{}
	}
	if s.End.After(Earlier(t.Add(Horizon), Forever)) {
		s.End = Forever
	}
	return s, true
}

// within moves a time before the calendar's first year to its beginning, where
// arithmetic is safe and every answer is the same.
func within(t time.Time) time.Time { return Later(t, time.Time{}) }

// Later is the later of two times.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Earlier is the earlier of two times.
func Earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Soonest is the earliest of the times that are set.
func Soonest(times ...time.Time) time.Time { return SoonestAfter(time.Time{}, times...) }

// SoonestAfter is the earliest of the times that are after t; zero if none is.
func SoonestAfter(t time.Time, times ...time.Time) time.Time {
	var first time.Time
	for _, x := range times {
		if x.After(t) && (first.IsZero() || x.Before(first)) {
			first = x
		}
	}
	return first
}
