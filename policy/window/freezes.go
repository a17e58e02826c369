package window

import (
	"slices"
	"time"
)

// Except is open outside the spans. They may overlap and come in any order.
func Except(spans ...Span) Schedule { return except(merge(slices.Clone(spans))) }

type except []Span // merged

func (e except) Next(t time.Time) (Span, bool) {
	got := Span{time.Time{}, Forever}
	for _, s := range e {
		if s.Start.After(t) {
			got.End = s.Start
			break
		}
		got.Start = s.End
	}
	return got, got.Start.Before(t.Add(Horizon))
}
