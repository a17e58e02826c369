package window

import (
	"math"
	"time"
)

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
// room begins. A zero time means not within [Horizon]. A need of more than
// Horizon is never met. After 16,384 stretches that are too short RoomAt gives
// up and counts the rest as closed.
func RoomAt(s Schedule, t time.Time, need time.Duration) (open bool, changes time.Time) {
	if need <= 0 {
		return OpenAt(s, t)
	}
	if need > Horizon {
		return false, time.Time{}
	}
	limit := within(t).Add(Horizon)
	for at, steps := t, 0; steps < maxSteps; steps++ {
		next, ok := s.Next(at)
		if ok && next.Start.After(at) {
			// Ends are exact within Horizon of the question: ask at the start.
			next, ok = s.Next(next.Start)
		}
		if !ok || !next.Start.Before(limit) || !next.End.After(at) {
			break
		}
		// The last instant with room is End-need itself: it changes just after.
		last := next.End.Add(-need)
		switch inside := !next.Start.After(t); {
		case inside && next.End.Equal(Forever):
			return true, time.Time{}
		case inside && !last.Before(t):
			return true, last.Add(time.Nanosecond)
		case !inside && !last.Before(next.Start):
			return false, next.Start
		}
		at = next.End
	}
	return false, time.Time{}
}

// Longest is the longest stretch of s that begins within so long after t, or holds t.
func Longest(s Schedule, t time.Time, within time.Duration) (longest time.Duration) {
	for at, steps := t, 0; at.Before(t.Add(within)) && steps < maxSteps; steps++ {
		next, ok := s.Next(at)
		if !ok || !next.End.After(at) {
			break
		}
		longest, at = max(longest, next.Length()), next.End
	}
	return longest
}

// OpenTime is how much of the span is open, at most the longest
// [time.Duration]. It counts the first 16,384 stretches (of a daily window:
// 44 years) and leaves out the rest.
func OpenTime(s Schedule, in Span) time.Duration {
	var sum time.Duration
	for at, steps := within(in.Start), 0; at.Before(in.End) && steps < maxSteps; steps++ {
		next, ok := s.Next(at)
		known := at.Add(Horizon) // what this answer covers
		if !ok {
			at = known
			continue
		}
		if !next.End.After(at) {
			break
		}
		until := next.End
		if until.Equal(Forever) {
			until = known
		}
		until = Earlier(until, in.End)
		if open := until.Sub(Later(next.Start, at)); open > 0 {
			if sum > math.MaxInt64-open {
				return math.MaxInt64
			}
			sum += open
		}
		at = until
	}
	return sum
}
