package reason

import (
	"slices"
	"strings"
	"testing"
)

// TestTable: every row is whole, and its columns agree.
func TestTable(t *testing.T) {
	for _, c := range All() {
		i := c.Info()
		switch {
		case i.Sentence == "" || !strings.HasSuffix(i.Sentence, "."):
			t.Errorf("%s: the sentence is %q", c, i.Sentence)
		case i.NeedsAction && i.WaitsOn != OnPeople:
			t.Errorf("%s needs action and waits on %q", c, i.WaitsOn)
		case i.Queued && i.Slot == "":
			t.Errorf("%s is queued for no slot", c)
		case i.Catches != Never && i.Explains == Never:
			t.Errorf("%s catches a rotation and does not explain that it stays", c)
		}
	}
	if unknown := Code("no such").Info(); unknown != (Info{}) {
		t.Errorf("an unknown reason is %+v", unknown)
	}
}

// TestWaitsOn pins who ends what: a rotation that waits on people for eight days
// loses its slot, so a reason that moves here moves slots.
func TestWaitsOn(t *testing.T) {
	want := map[WaitsOn][]Code{
		OnPeople: {
			"adopted-watching", "alpha-cluster", "approval-needed", "blocked", "breaker-open", "ca-expired",
			"ca-unreadable", "closed-watching", "complete-failed",
			"customer-managed-ca", "does-not-fit", "ended-unverified", "excluded", "gke-works-long", "hand-over-waits",
			"held", "held-by-label", "illegal-move", "lost",
			"maintenance-unknown", "outcome-unstored", "pool-excluded",
			"pool-failed", "pool-unhealthy", "start-failed", "stuck", "tries-exhausted", "unreadable",
			"worse-than-baseline",
		},
		OnGKE: {
			"complete-running", "foreign", "listed-partly", "nodes-left-to-gke", "nodes-running",
			"operation-running",
			"pools-at-once",
			"start-running", "status", "two-cas", "would-overrun",
		},
		OnRuns: {
			"budget-emergency", "budget-fleet", "budget-location", "budget-project", "call-withdrawn",
			"pools-not-recreated", "stale-read", "wave",
		},
	}
	got := map[WaitsOn][]Code{}
	for _, c := range All() {
		if on := c.Info().WaitsOn; on != OnNobody {
			got[on] = append(got[on], c)
		}
	}
	for on, codes := range want {
		if !slices.Equal(got[on], codes) {
			t.Errorf("on %s wait\n%q\nwant\n%q", on, got[on], codes)
		}
	}
}
