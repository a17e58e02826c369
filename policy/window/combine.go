package window

import (
	"slices"
	"sort"
	"time"
)

// All is open where every one of the schedules is; of none, always. If they
// open by turns more than 16,384 times within [Horizon] without ever being
// open together, All counts as closed.
func All(of ...Schedule) Schedule {
	var flat all // asked together, the one that never opens again ends the search
	for _, s := range of {
		if inner, ok := s.(all); ok {
			flat = append(flat, inner...)
		} else {
			flat = append(flat, s)
		}
	}
	return flat
}

type all []Schedule

func (a all) Next(t time.Time) (Span, bool) {
	t = within(t)
	limit := t.Add(Horizon)
	for at, steps := t, 0; at.Before(limit) && steps < maxSteps; steps++ {
		got := Span{time.Time{}, Forever}
		for _, s := range a {
			next, ok := s.Next(at)
			if !ok {
				return Span{}, false
			}
			got.Start, got.End = Later(got.Start, next.Start), Earlier(got.End, next.End)
		}
		if got.Start.Before(got.End) {
			return clip(got, t)
		}
		if !got.Start.After(at) {
			break // a schedule gave a stretch that ends before the time asked
		}
		at = got.Start // before that, at least one of them is closed
	}
	return Span{}, false
}

// Except is open outside the spans. They may overlap and come in any order;
// those that end before they start exclude nothing.
func Except(spans ...Span) Schedule { return except(merge(slices.Clone(spans))) }

type except []Span // in order, with gaps between them

func (e except) Next(t time.Time) (Span, bool) {
	t = within(t)
	open := Span{time.Time{}, Forever}
	// The first span that begins after t ends the stretch; the one before it,
	// whether t is in it or past it, begins the stretch.
	i := sort.Search(len(e), func(i int) bool { return e[i].Start.After(t) })
	if i > 0 {
		open.Start = e[i-1].End
	}
	if i < len(e) {
		open.End = e[i].Start
	}
	return clip(open, t)
}

// merge sorts the spans and joins those that overlap or touch.
func merge(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	out := spans[:0]
	for _, s := range spans {
		if !s.Start.Before(s.End) {
			continue
		}
		if n := len(out); n > 0 && !s.Start.After(out[n-1].End) {
			out[n-1].End = Later(out[n-1].End, s.End)
			continue
		}
		out = append(out, s)
	}
	return out
}
