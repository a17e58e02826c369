package view

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

var now = time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)

func in(hours int) time.Time { return now.Add(time.Duration(hours) * time.Hour) }

func ref(name string) fleet.Ref { return fleet.Ref{Project: "p", Location: "l", Name: name} }

// TestStand: each decision stands in one place, in a plan and after a run.
func TestStand(t *testing.T) {
	often := &record.Try{Withdrawals: 3}
	failed, stuck := &record.Rotation{Failed: string(reason.PoolFailed)}, &record.Rotation{Stuck: true}
	for _, tt := range []struct {
		d           policy.Decision
		plan, after Stand
		needs       reason.Code
	}{
		{d: policy.Decision{Action: policy.None, Reason: reason.NotSelected}, plan: NotSelected,
			after: NotSelected},
		{d: policy.Decision{Action: policy.None, Reason: reason.NotDue}, plan: NotDue, after: NotDue},
		{d: policy.Decision{Action: policy.Start, Reason: reason.IsDue}, plan: DoNow, after: DoNow},
		{d: policy.Decision{Action: policy.Wait, Reason: reason.WindowClosed}, plan: Waiting, after: Waiting},
		{d: policy.Decision{Action: policy.Wait, Reason: reason.WindowClosed, Phase: record.RecreatingNodes},
			plan: InFlight, after: InFlight},
		{d: policy.Decision{Action: policy.NeedsAction, Reason: reason.CAExpired}, plan: NeedsAction,
			after: NeedsAction},
		// What opened the breaker needs action, and what waits behind it does not.
		{d: policy.Decision{Action: policy.NeedsAction, Reason: reason.BreakerOpen}, plan: Waiting, after: Waiting},
		{d: policy.Decision{Action: policy.Update, Reason: reason.BothCAs, Phase: record.RecreatingNodes},
			plan: DoNow, after: InFlight},
		{d: policy.Decision{Action: policy.Update, Reason: reason.Verified, Close: record.Completed}, plan: DoNow,
			after: Rotated},
		{d: policy.Decision{Action: policy.Wait, Reason: reason.BackingOff, Tried: often}, plan: NeedsAction,
			after: NeedsAction, needs: reason.CallWithdrawn},
		{d: policy.Decision{Action: policy.Wait, Reason: reason.NodesRunning, Phase: record.RecreatingNodes,
			Rotation: failed}, plan: NeedsAction, after: NeedsAction, needs: reason.PoolFailed},
		{d: policy.Decision{Action: policy.Wait, Reason: reason.SoakRuns, Phase: record.UpdatingClients,
			Rotation: stuck}, plan: NeedsAction, after: NeedsAction, needs: reason.IsStuck},
	} {
		res := pass.Result{At: now, Decisions: []policy.Decision{tt.d}}
		c, after := PlanOf(res, &rules.Policy{}).Clusters[0],
			PlanAfter(res, &rules.Policy{}, nil, true).Clusters[0]
		if c.Stand != tt.plan || after.Stand != tt.after || c.Trouble != tt.needs {
			t.Errorf("%s, %s: %s in a plan, %s after a run, %q; want %s, %s, %q", tt.d.Action, tt.d.Reason, c.Stand,
				after.Stand, c.Trouble, tt.plan, tt.after, tt.needs)
		}
	}
}

// TestIn: the most pressing comes first; of those that are not due the next.
func TestIn(t *testing.T) {
	due := func(name string, deadline, at int) policy.Decision {
		d := policy.Decision{Cluster: fleet.Cluster{Ref: ref(name)}, Action: policy.Wait,
			Reason: reason.WindowClosed, Due: rules.Due{At: in(at), Deadline: in(deadline)}}
		if deadline == 0 {
			d.Due.Deadline = time.Time{}
		}
		return d
	}
	compromised, emergency, idle, next := due("u", 90, 0), due("e", 80, 0), due("i", 0, 9), due("n", 0, 8)
	compromised.Compromised, emergency.Emergency = true, true
	idle.Reason, next.Reason = reason.NotDue, reason.NotDue
	p := PlanOf(pass.Result{At: now, Decisions: []policy.Decision{due("none", 0, 0), due("b", 20, 0),
		due("a", 20, 0), due("first", 10, 0), emergency, compromised, idle, next}}, &rules.Policy{})
	var got []string
	for _, c := range slices.Concat(p.In(Waiting), p.In(NotDue)) {
		got = append(got, c.Decision.Cluster.Ref.Name)
	}
	if want := []string{"u", "e", "first", "a", "b", "none", "n", "i"}; !slices.Equal(got, want) {
		t.Errorf("in the order %v, not %v", got, want)
	}
}

// TestOpens: of several gates that bind the last counts, and who ends one that no
// time opens.
func TestOpens(t *testing.T) {
	closedBy := func(r reason.Code, at time.Time) policy.Verdict {
		return policy.Verdict{Reason: r,
			OpensAt: at}
	}
	for _, tt := range []struct {
		gates  []policy.Verdict
		opens  time.Time
		known  bool
		others int
		on     string
	}{
		{nil, time.Time{}, true, 0, "open end"},
		{[]policy.Verdict{closedBy(reason.WindowClosed, in(5)), closedBy(reason.Frozen, in(9)),
			{Open: true, OpensAt: in(99)}, {Lifted: true, OpensAt: in(99)}}, in(9), true, 1, "open end"},
		{[]policy.Verdict{closedBy(reason.WindowClosed, in(5)), closedBy(reason.BudgetFleet, time.Time{})}, in(5),
			false, 1, "on the next runs"},
		{[]policy.Verdict{closedBy(reason.ApprovalNeeded, time.Time{})}, time.Time{}, false, 1, "on people"},
	} {
		c := Cluster{Decision: policy.Decision{Reason: reason.WindowClosed, Gates: tt.gates}}
		if !c.Opens().Equal(tt.opens) || c.OpensByTime() != tt.known || c.OtherGates() != tt.others ||
			c.WaitsFor() != tt.on {
			t.Errorf("%v: opens %s, known %v, %d others, waits on %q", tt.gates, c.Opens(), c.OpensByTime(),
				c.OtherGates(), c.WaitsFor())
		}
	}
}

// TestBookAndPlanAgree: a rotation needs action by its record for the reason for
// which its decision does.
func TestStoreAndPlanAgree(t *testing.T) {
	for _, r := range []record.Rotation{
		{Cluster: ref("c"), Phase: record.RecreatingNodes, Failed: string(reason.PoolFailed)},
		{Cluster: ref("c"), Phase: record.RecreatingNodes, Stuck: true},
		{Cluster: ref("c"), Phase: record.RecreatingNodes, Withdrawals: 2},
		{Cluster: ref("c"), Phase: record.UpdatingClients},
		{Cluster: ref("c"), Phase: record.RecreatingNodes, Withdrawals: 2, Stuck: true,
			Failed: string(reason.PoolFailed)},
	} {
		contents := record.Contents{Known: true, Rotations: map[fleet.Ref]record.Rotation{r.Cluster: r}}
		d := policy.Decision{Action: policy.Wait, Reason: reason.NodesRunning, Phase: r.Phase, Rotation: &r,
			Message: fact.Say("m")}
		f, c := StatusOf(contents, nil, now, &rules.Policy{}).InFlight[0],
			PlanOf(pass.Result{At: now, Decisions: []policy.Decision{d}}, &rules.Policy{}).Clusters[0]
		if f.Needs != c.Trouble || (f.Needs != "") != (c.Stand == NeedsAction) {
			t.Errorf("%+v: %q by its record, %q and %s in the plan", r, f.Needs, c.Trouble, c.Stand)
		}
	}
}

// TestTime: in JSON a time is UTC, and null where there is none.
func TestTime(t *testing.T) {
	var b bytes.Buffer
	err := WriteJSON(&b, []Time{{}, {now.In(time.FixedZone("far", -3600))}})
	if want := "[\n  null,\n  \"2026-11-21T14:00:00Z\"\n]\n"; err != nil || b.String() != want {
		t.Errorf("%q, %v", b.String(), err)
	}
}
