package window_test

import (
	"testing"
	"time"

	"github.com/teambition/rrule-go"
	"pgregory.net/rapid"

	"gke-credential-rotator/policy/window"
)

// TestRulesMeanWhatALibrarySaysTheyMean compares the starts of windows over
// years with those of a widely used RRULE library. The library isn't used in
// production: it walks from the rule's beginning on every question, only
// forwards, to the year 9999 where no day fits, and some rules make it panic.
func TestRulesMeanWhatALibrarySaysTheyMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 1500).Draw(t, "day")).
			Add(time.Duration(rapid.IntRange(0, 24*60-1).Draw(t, "minute")) * time.Minute)
		rule := drawRule(t, first)
		plain, nth := false, false
		for _, d := range rule.ByDay {
			plain, nth = plain || len(d) == 2, nth || len(d) > 2
		}
		if plain && nth {
			t.Skip("the library takes MO,1TU for days that are both, RFC 5545 for days that are either")
		}
		if rule.Freq == "WEEKLY" && len(rule.BySetPos) > 0 {
			t.Skip("the library lets the first week begin with the first window's day, not with WKST")
		}
		s, _, err := window.Recurring(window.Span{Start: first, End: first.Add(time.Minute)}, rule.String())
		if err != nil {
			t.Fatal(err)
		}
		option, err := rrule.StrToROption(rule.String())
		if err != nil {
			t.Fatal(err)
		}
		option.Dtstart = first
		library, err := rrule.NewRRule(*option)
		if err != nil {
			t.Fatal(err)
		}
		at, end := first.AddDate(0, 0, -30), first.AddDate(4, 0, 0)
		for _, want := range library.Between(first, end, true) {
			got, ok := s.Next(at)
			for !ok && at.Before(want) { // nothing within the Horizon: go on
				at = at.Add(window.Horizon)
				got, ok = s.Next(at)
			}
			if !ok || !got.Start.Equal(want) {
				t.Fatalf("%s from %s: after %s comes %v (%t), the library says %s", rule, first, at, got, ok, want)
			}
			at = got.End
		}
		if got, ok := s.Next(at); ok && got.Start.Before(end) {
			t.Fatalf("%s from %s: %s is one too many", rule, first, got.Start)
		}
	})
}
