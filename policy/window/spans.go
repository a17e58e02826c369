package window

import (
	"slices"
	"time"
)

// merge sorts the spans and joins those that overlap or touch.
func merge(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	out := spans[:0]
	for _, s := range spans {
		if !s.Start.Before(s.End) {
			continue
		}
		if n := len(out); n > 0 && !s.Start.After(out[n-1].End) {
			out[n-1].End = later(out[n-1].End, s.End)
			continue
		}
		out = append(out, s)
	}
	return out
}

// firstAfter gives the first of the merged spans that ends after t.
func firstAfter(merged []Span, t time.Time) (Span, bool) {
	for _, s := range merged {
		if s.End.After(t) {
			return s, true
		}
	}
	return Span{}, false
}
