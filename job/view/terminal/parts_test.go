package terminal

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// TestCompletionAhead: the soonest completion is told by the gates where they
// were asked, and never by calendars that an emergency lifts.
func TestCompletionAhead(t *testing.T) {
	base := testRotation()
	clients := testRotation()
	clients.Phase = record.UpdatingClients
	clients.Transitions = append(slices.Clone(clients.Transitions),
		record.Transition{Phase: record.UpdatingClients, At: at("2026-11-21T06:00:00Z"), Reason: reason.NodesDone})
	inZone := testRotation()
	inZone.Cluster.Location = "us-central1-a"
	compromised := testRotation()
	compromised.Emergency = true
	closed := []policy.Verdict{
		closedBy("soak", reason.SoakRuns, "", at("2026-11-23T03:00:00Z")),
		closedBy("complete-window", reason.CompleteWindowClosed, "", at("2026-11-24T09:00:00Z")),
		{Gate: "freeze", Lifted: true, OpensAt: at("2027-01-01T00:00:00Z")},
	}
	frozen := testPolicy()
	if err := frozen.Freezes.UnmarshalText([]byte("2026-11-22/2026-11-30")); err != nil {
		t.Fatal(err)
	}
	zonal := testPolicy()
	zonal.ZonalComplete = rules.ZonalWindow
	for _, tt := range []struct {
		r    record.Rotation
		d    *policy.Decision
		p    *rules.Policy
		want string
	}{
		{base, nil, testPolicy(),
			"not before Mon 23 Nov 09:00 (SOAK=3d, then COMPLETE_WINDOW=Mon-Thu 09:00-15:00)"},
		{base, nil, frozen, "not before Tue 01 Dec 09:00 (SOAK=3d, then COMPLETE_WINDOW=Mon-Thu 09:00-15:00)"},
		// it is regional
		{base, nil, zonal, "not before Mon 23 Nov 09:00 (SOAK=3d, then COMPLETE_WINDOW=Mon-Thu 09:00-15:00)"},
		{inZone, nil, zonal, "not before Mon 23 Nov 03:00 (SOAK=3d, then the cluster's own window where it is zonal)"},
		{compromised, nil, frozen, "when the soak is over and a window is open"},
		{clients, &policy.Decision{Gates: closed}, frozen, "not before Tue 24 Nov 09:00 (soak, complete-window)"},
		{clients, &policy.Decision{Gates: []policy.Verdict{closedBy("approval", reason.ApprovalNeeded, "",
			time.Time{})}}, frozen, "waits for approval"},
		{clients, &policy.Decision{Gates: []policy.Verdict{open("soak", "", time.Time{})}}, frozen,
			"with the next run: every gate is open"},
	} {
		contents := record.Contents{Known: true, Rotations: map[fleet.Ref]record.Rotation{tt.r.Cluster: tt.r}}
		story := view.StoryOf(contents, nil, tt.d, tt.r.Cluster, now, tt.p)
		got := strings.ReplaceAll(newPage(Options{}, now).completionAhead(story), hard, " ")
		if got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
