package outcome

import (
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// TestIllegalMove: a move that the lifecycle does not know is refused for its
// cluster alone, and everybody hears; an answer of GKE's is stored all the same.
func TestIllegalMove(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ca := func(name string) fleet.CA {
		return fleet.CA{Fingerprint: fleet.Fingerprint(name), Issued: now.AddDate(-5, 0, 0),
			Expires: now.AddDate(5, 0, 0)}
	}
	cluster := func(name string) fleet.Cluster {
		ref := fleet.Ref{Project: "p", Location: "l", Name: name}
		return fleet.Cluster{Ref: ref, ID: "id", Status: fleet.Running,
			Bundle: fleet.Bundle{CAs: []fleet.CA{ca("new")}}, OperationsRead: true, Seen: now}
	}
	flight := func(c fleet.Cluster, phase record.Phase) record.Rotation {
		return record.Rotation{Cluster: c.Ref, ClusterID: "id", AttemptID: "a", Origin: record.Ours, Managed: true,
			Phase: phase, Baseline: record.Baseline{CA: ca("old"), Status: fleet.Running}}
	}
	bad, good := cluster("bad"), cluster("good")
	contents := record.Contents{Known: true,
		Rotations: map[fleet.Ref]record.Rotation{bad.Ref: flight(bad, "sideways"),
			good.Ref: flight(good, record.UpdatingClients)}}
	ds := policy.Plan(&rules.Policy{StuckAfter: time.Hour},
		policy.Fleet{Clusters: []fleet.Cluster{bad, good}, Contents: contents},
		"run", now)
	if d := ds[0]; d.Action != policy.NeedsAction || d.Reason != reason.IllegalMove || d.Phase != "sideways" ||
		d.Write || !strings.Contains(d.Message.String(), `"sideways" to "verifying"`) {
		t.Errorf("planned %+v", d)
	}
	if d := ds[1]; d.Phase != record.Verifying || !d.Write {
		t.Errorf("the other cluster: %+v", d)
	}

	r := flight(bad, record.Verifying)
	r.Call = &record.Call{ID: "c", Kind: record.CallComplete, IntentAt: now, State: record.Intended}
	d := Resolve(policy.Decision{Cluster: bad, Rotation: &r},
		map[string]record.Outcome{"c": {State: record.Refused, Refusal: record.RequiresRecreation,
			Raw: "so says GKE"}}, "run", now)
	if d.Phase != record.Verifying || d.Rotation.Phase != record.Verifying ||
		d.Rotation.Call.State != record.Refused || len(d.Events) != 1 || d.Events[0].Reason != reason.IllegalMove ||
		!d.Write {
		t.Errorf("settled %+v, %+v", d, d.Rotation.Call)
	}
}
