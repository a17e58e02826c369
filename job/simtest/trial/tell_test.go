package trial

import (
	"fmt"
	"testing"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// TestTrialTells: under all troubles, and with a receiver that is away for days
// and whose answers are lost, each notice comes at least once, none before it is
// true, and those of a cluster in their order; and no promise is broken by it.
func TestTrialTells(t *testing.T) {
	stored, again, kinds := 0, 0, map[record.NoticeKind]int{}
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			v := try(t, Options{Seed: 500 + seed, Clusters: 6, Days: 40, Faults: true, Notify: true, Judge: judged})
			for _, h := range v.Heard {
				for i, wrong := range h.Wrong() {
					if i < 10 {
						t.Error(wrong)
					}
				}
				stored += len(h.Stored)
				again += len(h.Delivered) - len(h.Stored)
				for _, n := range h.Stored {
					kinds[n.Kind]++
				}
			}
		})
	}
	t.Logf("%d notices, %d deliveries more than that: %v", stored, again, kinds)
	if stored < 20 || again == 0 {
		t.Errorf("%d notices, %d deliveries more than that: too few to show anything", stored, again)
	}
}

// TestHeardWrong: what the test above looks for can be found.
func TestHeardWrong(t *testing.T) {
	a := record.Notice{ID: "a", Kind: record.NoticeHandedOver, Cluster: fleet.Ref{Name: "c"}}
	b := record.Notice{ID: "b", Kind: record.NoticeNodesDone, Cluster: fleet.Ref{Name: "c"}}
	other := record.Notice{ID: "o", Kind: record.NoticeBlocked, Cluster: fleet.Ref{Name: "d"}}
	for what, tt := range map[string]struct {
		h     Heard
		wrong int
	}{
		"well": {Heard{Stored: []record.Notice{a, other, b},
			Delivered: []record.Notice{a, b, other}}, 0},
		"again":              {Heard{Stored: []record.Notice{a, b}, Delivered: []record.Notice{a, a, b, a}}, 0},
		"lost":               {Heard{Stored: []record.Notice{a, b}, Delivered: []record.Notice{b}}, 1},
		"in the wrong order": {Heard{Stored: []record.Notice{a, b}, Delivered: []record.Notice{b, a}}, 1},
		"before it was stored": {Heard{Stored: []record.Notice{a}, Delivered: []record.Notice{a},
			Early: []record.Notice{a}}, 1},
		"stored under two keys": {Heard{Stored: []record.Notice{a, a}, Delivered: []record.Notice{a}}, 1},
	} {
		if got := tt.h.Wrong(); len(got) != tt.wrong {
			t.Errorf("%s: %q", what, got)
		}
	}
}
