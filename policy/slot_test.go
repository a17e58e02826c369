package policy

import (
	"testing"
	"time"

	"gke-credential-rotator/policy/course"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// TestBlockedFreesSlot: a rotation that waits for people for more than eight days
// holds no slot, whatever the words for it; one that waits for anything else keeps
// its own.
func TestBlockedFreesSlot(t *testing.T) {
	people := map[reason.Code]bool{
		reason.Held: true, reason.HeldByLabel: true, reason.ApprovalNeeded: true, reason.MaintenanceUnknown: true,
		reason.PoolExcluded:   true,
		reason.TriesExhausted: true, reason.AdoptedWatching: true, reason.NotReadable: true,
		reason.SoakRuns: false, reason.CompleteWindowClosed: false, reason.WindowClosed: false,
		reason.Frozen: false, reason.NodesRunning: false,
		reason.NodesLeftToGKE: false, reason.WaveClosed: false, reason.CallWithdrawn: false,
		reason.CompleteRuns: false,
	}
	ref := fleet.Ref{Project: "p", Location: "l", Name: "c"}
	begin := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	doc := record.FleetDoc{Slots: map[string]record.Slot{ref.String(): {Attempt: "a"}}}
	for code, frees := range people {
		r := record.Rotation{Cluster: ref, AttemptID: "a", Phase: record.UpdatingClients, Managed: true}
		released := time.Duration(-1)
		for after := time.Duration(0); after <= 10*24*time.Hour && released < 0; after += time.Hour {
			k := &Case{Course: course.Course{Policy: &rules.Policy{}, Now: begin.Add(after)}, Doc: &doc}
			d := Decision{Action: Wait, Reason: code}
			if k.holdSlot(&d, &r); d.Slot == SlotRelease {
				released = after
			}
		}
		if want := 8*24*time.Hour + time.Hour; frees && released != want || !frees && released >= 0 {
			t.Errorf("%s: its slot is free after %s, want after %s: %t", code, released, want, frees)
		}
	}
}
