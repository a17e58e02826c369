package window

import (
	"fmt"
	"time"

	"github.com/teambition/rrule-go"
)

// Recurring is a window that begins at first.Start, lasts as long as first
// and recurs by an RFC 5545 rule, evaluated in UTC as GKE does.
func Recurring(first Span, rule string) (Schedule, string, error) {
	if !first.Start.Before(first.End) {
		return nil, "", fmt.Errorf("the window ends (%s) before it starts (%s)", first.End.Format(time.RFC3339), first.Start.Format(time.RFC3339))
	}
	opt, err := rrule.StrToROption(rule)
	if err != nil {
		return nil, "", fmt.Errorf("recurrence %q: %w", rule, err)
	}
	if opt.Freq > rrule.DAILY {
		return nil, "", fmt.Errorf("recurrence %q: GKE accepts DAILY, WEEKLY and MONTHLY only", rule)
	}
	opt.Dtstart = first.Start.UTC()
	r, err := rrule.NewRRule(*opt)
	if err != nil {
		return nil, "", fmt.Errorf("recurrence %q: %w", rule, err)
	}
	text := fmt.Sprintf("%s %s-%s UTC", rule, first.Start.UTC().Format("15:04"), first.End.UTC().Format("15:04"))
	return recurring{rule: r, length: first.Length()}, text, nil
}

type recurring struct {
	rule   *rrule.RRule
	length time.Duration
}

func (r recurring) Next(t time.Time) (Span, bool) {
	var spans []Span
	for _, at := range r.rule.Between(t.Add(-r.length-8*24*time.Hour), t.Add(Horizon), true) {
		spans = append(spans, Span{at, at.Add(r.length)})
	}
	return firstAfter(merge(spans), t)
}
