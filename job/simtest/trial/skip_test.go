package trial

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"gke-credential-rotator/policy/record"
)

// milestone is a start or complete of ours that GKE accepted, or the end of an
// attempt.
type milestone struct {
	what string
	at   time.Time
}

// milestones are what a play comes to.
func milestones(t *testing.T, o Options) (Verdict, []milestone) {
	t.Helper()
	var found []milestone
	o.Watch = func(e *Event, _ []Violation) {
		switch {
		case e.Kind == Delivered && e.Outcome.State == record.Accepted && e.Request.Kind != record.CallRecreate:
			found = append(found, milestone{fmt.Sprintf("%s: %s accepted", e.Cluster, e.Request.Kind), e.At})
		case e.Write != nil && e.Write.Applied && e.Write.Asked.Close != nil:
			found = append(found, milestone{fmt.Sprintf("%s: %s", e.Cluster, e.Write.Asked.Close.ClosedAs), e.At})
		}
	}
	v, err := Play(o)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(found, func(a, b milestone) int {
		return cmp.Or(cmp.Compare(a.what, b.what),
			a.at.Compare(b.at))
	})
	return v, found
}

// TestSkippedRunsChangeNothing: without faults, a play that leaves out the runs
// before which nothing changes comes to the same, at the same times but for the
// moments that a run takes.
func TestSkippedRunsChangeNothing(t *testing.T) {
	skipped, happened := 0, 0
	for seed := range uint64(9) {
		o := Options{Seed: 203 + 2*seed, Clusters: 8, Days: 30}
		some, short := milestones(t, o)
		o.Hourly = true
		all, long := milestones(t, o)
		if all.Skipped != 0 || some.Skipped+some.Passes < all.Passes-some.Plans-all.Plans {
			t.Errorf("seed %d: skipped %d of %d runs, and %d of %d", o.Seed, some.Skipped, some.Passes, all.Skipped,
				all.Passes)
		}
		skipped, happened = skipped+some.Skipped, happened+len(long)
		same := func(a, b milestone) bool { return a.what == b.what && a.at.Sub(b.at).Abs() < 2*time.Minute }
		if !slices.EqualFunc(short, long, same) {
			t.Errorf("seed %d: leaving runs out changes what happens:\nsome runs %v\nall runs  %v", o.Seed, short,
				long)
		}
	}
	if skipped < 500 || happened < 20 {
		t.Errorf("only %d runs were left out and %d things happened", skipped, happened)
	}
}
