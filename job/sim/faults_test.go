package sim

import (
	"slices"
	"testing"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/policy/fleet"
)

// TestFaultsEndWell: with GKE flaky, runs cut and somebody else at work, every
// cluster that is rotated without faults is rotated all the same, by us or
// elsewhere.
func TestFaultsEndWell(t *testing.T) {
	calm := play(t, 30, nil)
	for seed := int64(1); seed <= 2; seed++ {
		s := playWith(t, 30, seed, []string{gkesim.Flaky, Crash, gkesim.Outside}, nil)
		if s.Faults < 20 {
			t.Errorf("seed %d: only %d faults", seed, s.Faults)
		}
		at := map[fleet.Ref]Chapter{}
		for _, c := range s.Clusters {
			at[c.Cluster] = c
		}
		for _, want := range calm.Clusters {
			if want.Outcome != Verified {
				continue
			}
			if c := at[want.Cluster]; c.Closed.IsZero() && c.Outcome != NotDue {
				t.Errorf("seed %d: %s is %s: %s", seed, c.Cluster, c.Outcome, c.Message)
			}
		}
	}
}

// TestFaultsRepeat: the seed repeats the story.
func TestFaultsRepeat(t *testing.T) {
	words := []string{gkesim.Flaky, Crash, gkesim.Outside}
	a, b := playWith(t, 8, 1, words, nil), playWith(t, 8, 1, words, nil)
	if a.Faults != b.Faults || a.Mutations != b.Mutations ||
		!slices.EqualFunc(a.Changes, b.Changes, func(x, y Change) bool {
			return x.At.Equal(y.At) && x.Cluster == y.Cluster && x.Phase == y.Phase &&
				x.Message.String() == y.Message.String()
		}) {
		t.Errorf("%d and %d faults, %d and %d changes", a.Faults, b.Faults, len(a.Changes), len(b.Changes))
	}
}

// TestEachFaultAlone: every word strikes by itself.
func TestEachFaultAlone(t *testing.T) {
	if calm := play(t, 3, nil); calm.Faults != 0 {
		t.Errorf("%d faults that nobody asked for", calm.Faults)
	}
	for _, word := range []string{gkesim.Flaky, Crash, gkesim.Outside} {
		if s := playWith(t, 10, 1, []string{word}, nil); s.Faults == 0 {
			t.Errorf("%s never struck", word)
		}
	}
}
