// Package window is calendar arithmetic for maintenance: when a cluster, a
// policy or a company allows work, and when it will next.
//
// It is a leaf: values in, values out, no clock. Everything it knows is a
// [Schedule], a set of open stretches on the time line. Windows open
// stretches, exclusions and freezes cut them, [All] asks for both.
package window

import "time"

// Horizon is how far ahead a schedule looks for its next open stretch. A
// window that opens less than once in Horizon counts as never open.
const Horizon = 400 * 24 * time.Hour

// Forever is the end of a stretch that does not end within [Horizon].
var Forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Span is a stretch of time: Start is in it, End is not.
type Span struct{ Start, End time.Time }

// Contains says whether t lies in the span.
func (s Span) Contains(t time.Time) bool { return !t.Before(s.Start) && t.Before(s.End) }

// Length is the span's duration; a span to [Forever] is longer than any other.
func (s Span) Length() time.Duration { return s.End.Sub(s.Start) }

// Schedule is a set of open stretches. The same schedule always gives the
// same answers; what it remembers between questions is only speed.
type Schedule interface {
	// Next gives the first open stretch that ends after t. Its Start lies
	// before t when t is inside it. ok is false when no stretch begins
	// before t + [Horizon].
	Next(t time.Time) (s Span, ok bool)
}

// Always is open at every time.
func Always() Schedule { return always{} }

// Never is open at no time.
func Never() Schedule { return never{} }

type always struct{}

func (always) Next(time.Time) (Span, bool) { return Span{time.Time{}, Forever}, true }

type never struct{}

func (never) Next(time.Time) (Span, bool) { return Span{}, false }

// All is open where every one of the schedules is.
func All(of ...Schedule) Schedule { return all(of) }

type all []Schedule

func (a all) Next(t time.Time) (Span, bool) {
	for at := t; at.Before(t.Add(Horizon)); {
		got := Span{time.Time{}, Forever}
		for _, s := range a {
			next, ok := s.Next(at)
			if !ok {
				return Span{}, false
			}
			got.Start = later(got.Start, next.Start)
			got.End = earlier(got.End, next.End)
		}
		if got.Start.Before(got.End) {
			return got, got.Start.Before(t.Add(Horizon))
		}
		at = later(got.Start, at.Add(time.Nanosecond))
	}
	return Span{}, false
}

// OpenAt says whether s is open at t and when that next changes; a zero time
// means not within [Horizon].
func OpenAt(s Schedule, t time.Time) (open bool, changes time.Time) {
	next, ok := s.Next(t)
	switch {
	case !ok:
		return false, time.Time{}
	case next.Start.After(t):
		return false, next.Start
	case next.End.Equal(Forever):
		return true, time.Time{}
	}
	return true, next.End
}

// RoomAt says whether s is open at t with at least need left, and when that
// next changes: when the room runs out, or when the next stretch with enough
// room begins. A zero time means not within [Horizon].
func RoomAt(s Schedule, t time.Time, need time.Duration) (open bool, changes time.Time) {
	for at := t; ; {
		next, ok := s.Next(at)
		if !ok || next.Start.After(t.Add(Horizon)) {
			return false, time.Time{}
		}
		// The last instant with room is End-need itself, so it changes just after.
		last := next.End.Add(-need)
		switch {
		case next.Start.After(t) && !last.Before(next.Start):
			return false, next.Start
		case !next.Start.After(t) && next.End.Equal(Forever):
			return true, time.Time{}
		case !next.Start.After(t) && !last.Before(t):
			return true, last.Add(time.Nanosecond)
		}
		at = next.End
	}
}

// OpenTime is how much of the span is open.
func OpenTime(s Schedule, in Span) time.Duration {
	var sum time.Duration
	for at := in.Start; at.Before(in.End); {
		next, ok := s.Next(at)
		if !ok || !next.Start.Before(in.End) {
			break
		}
		sum += earlier(next.End, in.End).Sub(later(next.Start, at))
		at = next.End
	}
	return sum
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
