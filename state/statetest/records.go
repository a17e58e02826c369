package statetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// closed opens and closes an attempt.
func closedBy(t *testing.T, s state.Store, name, attempt string, at time.Time) {
	t.Helper()
	r := rotation(name, attempt)
	got := write(t, s, state.Change{Rotation: &r})
	write(t, s, state.Change{Close: &record.Record{Rotation: *got.Rotation, ClosedAs: record.Completed,
		ClosedAt: at}})
}

// attempts lists what the store gives.
func attempts(t *testing.T, s state.Store, since time.Time) (ids []string) {
	t.Helper()
	for rec, err := range s.Records(ctx, since) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, rec.Rotation.AttemptID)
	}
	return ids
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func records(t *testing.T, s state.Store) {
	same(t, "an empty store", attempts(t, s, time.Time{}))
	closedBy(t, s, "a", "third", begin.Add(2*time.Hour))
	closedBy(t, s, "b", "first", begin)
	closedBy(t, s, "c", "second-b", begin.Add(time.Hour))
	closedBy(t, s, "d", "second-a", begin.Add(time.Hour))
	flying := rotation("e", "in-flight")
	write(t, s, state.Change{Rotation: &flying})
	same(t, "all", attempts(t, s, time.Time{}), "first", "second-a", "second-b", "third")
	same(t, "since the second", attempts(t, s, begin.Add(time.Hour)), "second-a", "second-b", "third")
	same(t, "since a nanosecond later", attempts(t, s, begin.Add(time.Hour+1)), "third")
	same(t, "since later", attempts(t, s, begin.Add(3*time.Hour)))
	for rec, err := range s.Records(ctx, time.Time{}) {
		if err != nil || rec.Rotation.Cluster != ref("b") || !rec.ClosedAt.Equal(begin) {
			t.Errorf("%+v, %v", rec, err)
		}
		break // whoever has seen enough goes
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	n := 0
	for _, err := range s.Records(gone, time.Time{}) {
		if n++; err == nil || n > 1 {
			t.Errorf("a cancelled look gave record %d, error %v", n, err)
		}
	}
}

// recordsMeanwhile: more than fit on a page, while others go on writing.
func recordsMeanwhile(t *testing.T, s state.Store) {
	const n = 210
	for i := range n {
		closedBy(t, s, fmt.Sprintf("c-%03d", i), fmt.Sprintf("attempt-%03d", i),
			begin.Add(time.Duration(i/3)*time.Millisecond))
	}
	var got []string
	for rec, err := range s.Records(ctx, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, rec.Rotation.AttemptID); len(got) == 10 {
			again := rotation("c-209", "attempt-209") // it leaves the history
			write(t, s, state.Change{Rotation: &again})
		}
	}
	if len(got) != n-1 && len(got) != n { // whether what left is still given is open
		t.Fatalf("%d records, want %d", len(got), n-1)
	}
	for i, id := range got { // none is missing, none comes twice
		if want := fmt.Sprintf("attempt-%03d", i); id != want {
			t.Fatalf("record %d is %s, want %s", i, id, want)
		}
	}
}
