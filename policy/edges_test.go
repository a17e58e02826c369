package policy

import (
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy/reason"
)

// TestIllegalMove: a move that the lifecycle does not know is refused for its
// cluster alone, and everybody hears; an answer of GKE's is stored all the same.
func TestIllegalMove(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	ca := func(name string) CA {
		return CA{Fingerprint: Fingerprint(name), Issued: now.AddDate(-5, 0, 0), Expires: now.AddDate(5, 0, 0)}
	}
	cluster := func(name string) Cluster {
		ref := Ref{Project: "p", Location: "l", Name: name}
		return Cluster{Ref: ref, ID: "id", Status: Running, Bundle: Bundle{CAs: []CA{ca("new")}}, OperationsRead: true, Seen: now}
	}
	flight := func(c Cluster, phase Phase) Rotation {
		return Rotation{Cluster: c.Ref, ClusterID: "id", AttemptID: "a", Origin: Ours, Carry: true, Phase: phase, Baseline: Baseline{CA: ca("old"), Status: Running}}
	}
	bad, good := cluster("bad"), cluster("good")
	book := Book{Known: true, Rotations: map[Ref]Rotation{bad.Ref: flight(bad, "sideways"), good.Ref: flight(good, UpdatingClients)}}
	ds := Plan(&Policy{StuckAfter: time.Hour}, Fleet{Clusters: []Cluster{bad, good}, Book: book}, "run", now)
	if d := ds[0]; d.Action != People || d.Reason != reason.IllegalMove || d.Phase != "sideways" || d.Write || !strings.Contains(d.Message.String(), `"sideways" to "verifying"`) {
		t.Errorf("planned %+v", d)
	}
	if d := ds[1]; d.Phase != Verifying || !d.Write {
		t.Errorf("the other cluster: %+v", d)
	}

	r := flight(bad, Verifying)
	r.Call = &Call{ID: "c", Kind: CallComplete, IntentAt: now, State: Intended}
	d := Settle(Decision{Cluster: bad, Rotation: &r}, map[string]Outcome{"c": {State: Refused, Refusal: RequiresRecreation, Raw: "so says GKE"}}, "run", now)
	if d.Phase != Verifying || d.Rotation.Phase != Verifying || d.Rotation.Call.State != Refused || len(d.Events) != 1 || d.Events[0].Reason != reason.IllegalMove || !d.Write {
		t.Errorf("settled %+v, %+v", d, d.Rotation.Call)
	}
}
