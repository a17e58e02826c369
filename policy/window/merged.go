package window

import (
	"sync/atomic"
	"time"
)

// source is what [merged] makes stretches of: windows that may overlap or touch.
type source interface {
	// first gives the first window that ends after t, if it begins before limit.
	first(t, limit time.Time) (Span, bool)
	// before gives the start of windows that begin before start and reach it,
	// themselves or over others that touch; false when there are none.
	before(start time.Time) (time.Time, bool)
	// beyond gives the end of windows that have begun by end and last longer,
	// themselves or over others that touch; false when there are none.
	beyond(end time.Time) (time.Time, bool)
}

// reach is how far merged follows a stretch: a good while more than Horizon,
// so that what it remembers holds for questions about the following weeks.
const reach = Horizon + 64*24*time.Hour

// merged is the Schedule of a source. Its memory is the two stretches found
// last, for questions go back and forth between now and the next opening; and,
// once that is not enough, those of some weeks, for the fit check follows a
// month of openings in every run. Each is an atomic pointer to a value that
// nobody changes: a race costs a repeated calculation, never a wrong answer.
type merged struct {
	source       source
	latest, last atomic.Pointer[stretch]
	weeks        atomic.Pointer[[128]atomic.Pointer[stretch]] // by half days
}

// stretch is an answer, and the times [from, until) about which it is right.
type stretch struct {
	span        Span
	none        bool // there is none to come within Horizon
	from, until time.Time
}

func (s *stretch) covers(t time.Time) bool {
	return s != nil && !t.Before(s.from) && t.Before(s.until)
}

// Next makes merged a Schedule.
func (m *merged) Next(t time.Time) (Span, bool) {
	t = within(t)
	if !t.Before(Forever) {
		return Span{}, false
	}
	known := m.latest.Load()
	if !known.covers(t) {
		latest := known
		if known = m.last.Load(); !known.covers(t) {
			known = m.recall(t)
		}
		m.last.Store(latest)
		m.latest.Store(known)
	}
	if known.none {
		return Span{}, false
	}
	return clip(known.span, t)
}

// recall gives the stretch that was found when that half day was last asked
// about, or finds it.
func (m *merged) recall(t time.Time) *stretch {
	weeks := m.weeks.Load()
	if weeks == nil {
		if m.last.Load() == nil {
			return m.find(t) // most calendars are asked about one stretch or two
		}
		weeks = new([128]atomic.Pointer[stretch])
		m.weeks.Store(weeks)
	}
	place := &weeks[mod(floor(t.Unix(), secondsPerDay/2), int64(len(weeks)))]
	known := place.Load()
	if !known.covers(t) {
		known = m.find(t)
		place.Store(known)
	}
	return known
}

// find works out the first stretch that ends after t.
func (m *merged) find(t time.Time) *stretch {
	s, ok := m.source.first(t, t.Add(reach))
	if !ok {
		return &stretch{none: true, from: t, until: t.Add(reach - Horizon)}
	}
	for !s.Start.Before(t.Add(-reach)) { // each step passes a window, of which there are few a day
		start, ok := m.source.before(s.Start)
		if !ok {
			break
		}
		s.Start = start
	}
	for !s.End.After(t.Add(reach)) {
		end, ok := m.source.beyond(s.End)
		if !ok {
			break
		}
		s.End = end
	}
	s.End = Earlier(s.End, Forever)
	known := &stretch{span: s, from: Earlier(t, s.Start), until: s.End}
	// Where the walk was cut, the edge is only a bound: it serves questions
	// for which it lies beyond Horizon anyhow.
	if s.Start.Before(t.Add(-reach)) {
		known.from = s.Start.Add(Horizon).Add(time.Nanosecond)
	}
	if s.End.After(t.Add(reach)) {
		known.until = s.End.Add(-Horizon)
	}
	return known
}
