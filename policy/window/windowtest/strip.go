// Package windowtest is a second, naive opinion on package window: calendars
// as strips of minutes, each found open or closed by looking at a clock or by
// counting days one after another. It shares types with window and no
// arithmetic. It is slow, and meant to be obviously right.
package windowtest

import (
	"time"

	"gke-credential-rotator/policy/window"
)

// Strip says for each minute from From on whether it is open.
type Strip struct {
	From time.Time
	Open []bool
}

// NewStrip is a closed strip of so many minutes.
func NewStrip(from time.Time, minutes int) *Strip {
	return &Strip{From: from, Open: make([]bool, minutes)}
}

// Until is the end of the strip.
func (s *Strip) Until() time.Time { return s.at(len(s.Open)) }

func (s *Strip) at(i int) time.Time { return s.From.Add(time.Duration(i) * time.Minute) }

// Mark opens the minutes from a time on, for so many minutes.
func (s *Strip) Mark(from time.Time, minutes int) {
	first := int(from.Sub(s.From) / time.Minute)
	for i := max(first, 0); i < first+minutes && i < len(s.Open); i++ {
		s.Open[i] = true
	}
}

// And closes what is closed in the other strip, which covers the same time.
func (s *Strip) And(other *Strip) *Strip {
	for i := range s.Open {
		s.Open[i] = s.Open[i] && other.Open[i]
	}
	return s
}

// Or opens what is open in the other strip, which covers the same time.
func (s *Strip) Or(other *Strip) *Strip {
	for i := range s.Open {
		s.Open[i] = s.Open[i] || other.Open[i]
	}
	return s
}

// Exclude closes the minutes in the span.
func (s *Strip) Exclude(span window.Span) *Strip {
	for i := range s.Open {
		if m := s.at(i); !m.Before(span.Start) && m.Before(span.End) {
			s.Open[i] = false
		}
	}
	return s
}

// Freeze closes the days from first to last, "2026-12-18", as the zone's
// calendars show them.
func (s *Strip) Freeze(first, last string, zone *time.Location) *Strip {
	for i := range s.Open {
		if !s.Open[i] {
			continue
		}
		if day := s.at(i).In(zone).Format(time.DateOnly); first <= day && day <= last {
			s.Open[i] = false
		}
	}
	return s
}

// Stretch is a run of open minutes. Whole says that both its ends were seen:
// a stretch at the strip's edge may go on beyond.
type Stretch struct {
	window.Span
	StartSeen, EndSeen bool
}

// Next is the first run of open minutes that ends after t; ok is false when
// the strip shows none.
func (s *Strip) Next(t time.Time) (got Stretch, ok bool) {
	i := max(0, int(t.Sub(s.From)/time.Minute))
	for i < len(s.Open) && !s.Open[i] {
		i++
	}
	if i == len(s.Open) {
		return got, false
	}
	end := i
	for end < len(s.Open) && s.Open[end] {
		end++
	}
	for i > 0 && s.Open[i-1] {
		i--
	}
	return Stretch{window.Span{Start: s.at(i), End: s.at(end)}, i > 0, end < len(s.Open)}, true
}

// OpenAt looks at t's minute.
func (s *Strip) OpenAt(t time.Time) bool { return s.Open[int(t.Sub(s.From)/time.Minute)] }

// RoomAt looks at every minute from t until need has passed.
func (s *Strip) RoomAt(t time.Time, need time.Duration) bool {
	for m := t.Truncate(time.Minute); m.Before(t.Add(need)); m = m.Add(time.Minute) {
		if !s.OpenAt(m) {
			return false
		}
	}
	return true
}

// OpenTime counts the open minutes of a span that begins and ends with a minute.
func (s *Strip) OpenTime(in window.Span) time.Duration {
	var sum time.Duration
	for m := in.Start; m.Before(in.End); m = m.Add(time.Minute) {
		if s.OpenAt(m) {
			sum += time.Minute
		}
	}
	return sum
}
