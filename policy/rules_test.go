package policy_test

import (
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/outcome"
	"gke-credential-rotator/policy/policytest"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// What the tests of the rules share.
var (
	shopRef, oldCA, newCA, plain = policytest.Shop, policytest.OldCA, policytest.NewCA, policytest.Plain
	idleCluster, flying          = policytest.Idle, policytest.Flying
	fleetOf, planOne             = policytest.FleetOf, policytest.PlanOne
	monday, hours, askGate       = policytest.Monday, policytest.Hours, policytest.Ask
)

// Rules that once were broken, each by its smallest case.

func TestAdoptionCountsAgainstStarts(t *testing.T) {
	p := plain()
	p.MaxActive, p.Adopt = 1, rules.AdoptManage
	foreign, _ := flying(fleet.Ref{Project: "shop-prod", Location: "europe-west1", Name: "a-foreign"},
		record.RecreatingNodes)
	f := fleetOf(idleCluster(shopRef), nil)
	f.Clusters = append(f.Clusters, foreign)
	for _, d := range policy.Plan(p, f, "run", monday) {
		if d.Cluster.Ref == shopRef && d.Action == policy.Start {
			t.Error("a start was dealt the slot that an adoption of the same run takes")
		}
	}
}

func TestRefusedStartClaimsNothing(t *testing.T) {
	c, r := flying(shopRef, record.Starting)
	r.Call = &record.Call{ID: "c", Kind: record.CallStart, IntentAt: monday.Add(-10 * time.Minute),
		State: record.Refused, Refusal: record.Denied}
	if d := planOne(t, plain(), fleetOf(c, &r), monday); d.Phase != record.Starting || d.Close != "" {
		t.Errorf("two CAs after a denied start became %s %s", d.Phase, d.Close)
	}
	r.Call.Refusal = record.AlreadyRotating
	if d := planOne(t, plain(), fleetOf(c, &r), monday); d.Phase != record.RecreatingNodes {
		t.Errorf("a start refused with 409 is presumed ours, got %s", d.Phase)
	}
}

func TestAutopilotControlPlaneIsUpgradedOnce(t *testing.T) {
	c, r := flying(shopRef, record.RecreatingNodes)
	c.Autopilot = true
	r.Pools[""] = record.Work{Operation: "m", StartedAt: monday.Add(-hours(1)),
		EndedAt: monday.Add(-40 * time.Minute), FirstSeen: monday}
	d := planOne(t, plain(), fleetOf(c, &r), monday)
	if d.Action != policy.Wait || !d.NextChange.After(monday) {
		t.Errorf("%s %v until %s", d.Action, d.Pools, d.NextChange)
	}
}

// TestWindowNotUnderstoodInFlight: found by job/simtest/trial at seeds 526 and 1972: a
// rotation whose window nobody understands waited without an end and without a
// word.
func TestWindowNotUnderstoodInFlight(t *testing.T) {
	problem := window.Maintenance{Problem: "the window cannot be understood"}
	for _, autopilot := range []bool{false, true} {
		c, r := flying(shopRef, record.RecreatingNodes)
		c.Autopilot, c.Maintenance = autopilot, problem
		if autopilot {
			r.Pools[""] = record.Work{Operation: "m", StartedAt: monday.Add(-hours(6)),
				EndedAt:   monday.Add(-hours(5)),
				FirstSeen: monday}
		}
		d := planOne(t, plain(), fleetOf(c, &r), monday)
		if d.Action != policy.NeedsAction || d.Reason != reason.MaintenanceUnknown || len(d.Events) != 1 ||
			d.Events[0].Name != policy.EventBlocked {
			t.Errorf("autopilot %t: %s %s %q, told %v", autopilot, d.Action, d.Reason, d.Message, d.Events)
		}
		if again := planOne(t, plain(), fleetOf(c, d.Rotation),
			monday.Add(time.Hour)); len(again.Events) != 0 ||
			again.Action != policy.NeedsAction {
			t.Errorf("autopilot %t: an hour later %s, told %v", autopilot, again.Action, again.Events)
		}
		p := plain()
		// In an emergency the calendar is lifted.
		c.Bundle.CAs[0].Expires = monday.AddDate(0, 0, 20)
		if err := p.Window.UnmarshalText([]byte("always")); err != nil {
			t.Fatal(err)
		}
		if d := planOne(t, p, fleetOf(c, &r), monday); d.Action == policy.NeedsAction {
			t.Errorf("autopilot %t: in an emergency: %s", autopilot, d.Message)
		}
	}
}

// TestExclusionBindsWhereTheWindowIsNotUnderstood: found by job/simtest/trial at seed
// 1810: in an emergency the window that nobody understands is lifted, but not the
// exclusion beside it, while there is time to wait for its end.
func TestExclusionBindsWhereTheWindowIsNotUnderstood(t *testing.T) {
	p := plain()
	p.ZonalComplete, p.Soak = rules.ZonalWindow, hours(4)
	if err := p.Window.UnmarshalText([]byte("always")); err != nil {
		t.Fatal(err)
	}
	c, r := flying(fleet.Ref{Project: "shop-prod", Location: "europe-west1-b", Name: "shop"},
		record.UpdatingClients)
	c.Zonal, c.Bundle.CAs[0].Expires = true, monday.AddDate(0, 0, 44)
	r.Pools["web"] = record.Work{Operation: "n", StartedAt: monday.Add(-hours(19)),
		EndedAt: monday.Add(-hours(18)), FirstSeen: monday.Add(-hours(18))}
	c.Maintenance = window.Maintenance{Problem: "the window cannot be understood",
		Exclusions: []window.Exclusion{{Name: "sale", Span: window.Span{Start: monday.Add(-hours(1)),
			End: monday.AddDate(0, 0, 3)}}}}
	if d := planOne(t, p, fleetOf(c, &r), monday.Add(hours(5))); d.Action != policy.Wait ||
		d.Reason != reason.WindowClosed {
		t.Errorf("in the exclusion: %s %s", d.Action, d.Message)
	}
	c.Maintenance.Exclusions[0].Span.End = monday.AddDate(0, 0, 20)
	if d := planOne(t, p, fleetOf(c, &r), monday.Add(hours(5))); d.Action != policy.Complete {
		t.Errorf("when waiting would be too late: %s %s", d.Action, d.Message)
	}
}

// TestFitNamesBothCalendars: found by job/simtest/trial at seed 1432: where the
// completion of a zonal cluster wants two calendars to meet, both are named.
func TestFitNamesBothCalendars(t *testing.T) {
	p, c := plain(), idleCluster(fleet.Ref{Project: "shop-prod", Location: "europe-west1-b", Name: "shop"})
	c.Zonal, p.ZonalComplete = true, rules.ZonalBoth
	for text, into := range map[string]*window.Weekly{"Mon-Fri 08:00-16:00": &p.CompleteWindow,
		"Sat 02:00-06:00": &p.Window} {
		if err := into.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	at := monday.AddDate(0, 0, 5).Add(hours(3))
	d := planOne(t, p, fleetOf(c, nil), at)
	for _, want := range []string{"COMPLETE_WINDOW=Mon-Fri 08:00-16:00",
		"ZONAL_COMPLETE=both: window Sat 02:00-06:00", "it fits with ZONAL_COMPLETE=people"} {
		if d.Reason != reason.DoesNotFit || !strings.Contains(d.Message.String(), want) {
			t.Errorf("%s %q lacks %q", d.Reason, d.Message, want)
		}
	}
}

func TestRequiresRecreationVoidsAndBacksOff(t *testing.T) {
	_, r := flying(shopRef, record.Completing)
	for _, pool := range []string{"", "web"} {
		r.Pools[pool] = record.Work{Operation: "n", StartedAt: monday.Add(-hours(9)),
			EndedAt: monday.Add(-hours(8))}
	}
	r.Call = &record.Call{ID: "c", Kind: record.CallComplete, State: record.Intended, IntentAt: monday}
	for _, named := range []string{"", "web"} {
		d := outcome.Resolve(policy.Decision{Rotation: &r},
			map[string]record.Outcome{"c": {State: record.Refused, Refusal: record.RequiresRecreation,
				Pool: named}},
			"run", monday)
		if d.Rotation.Pools["web"].Done() || d.Rotation.Pools[""].Done() {
			t.Errorf("named %q: evidence survives: %+v", named, d.Rotation.Pools)
		}
		if d.Rotation.NotBefore != monday.Add(hours(1)) || d.Phase != record.RecreatingNodes {
			t.Errorf("named %q: next try %s, phase %s", named, d.Rotation.NotBefore, d.Phase)
		}
	}
}

func TestSoakFollowsTheLastNodeWork(t *testing.T) {
	c, r := flying(shopRef, record.UpdatingClients)
	p := plain()
	p.Soak = hours(12)
	r.Pools["web"] = record.Work{Operation: "first", StartedAt: monday.Add(-hours(19)),
		EndedAt: monday.Add(-hours(18)), FirstSeen: monday.Add(-hours(18))}
	if d := planOne(t, p, fleetOf(c, &r), monday); d.Action != policy.Complete {
		t.Fatalf("%s: %s", d.Action, d.Message)
	}
	c.Operations = []fleet.Operation{{Name: "again", Type: fleet.OpUpgradeNodes, Pool: "web", Done: true,
		Start: monday.Add(-hours(2)), End: monday.Add(-hours(1))}}
	if d := planOne(t, p, fleetOf(c, &r), monday); d.Reason != reason.SoakRuns {
		t.Errorf("the pool was upgraded an hour ago: %s %s", d.Action, d.Message)
	}
}

func TestStartOperationIsNotAnOlderOne(t *testing.T) {
	c, r := flying(shopRef, record.Starting)
	intent := monday.Add(-40 * time.Minute)
	r.StartOp, r.New, r.Call = record.Work{}, fleet.CA{}, &record.Call{ID: "c", Kind: record.CallStart,
		IntentAt: intent, State: record.Unclear}
	c.Operations = []fleet.Operation{
		{Name: "labels", Type: fleet.OpUpdateCluster, Done: true, Start: intent.Add(-hours(1)),
			End: intent.Add(-50 * time.Minute)},
		{Name: "start", Type: fleet.OpUpdateCluster, Done: true, Start: intent.Add(time.Second),
			End: intent.Add(10 * time.Minute)},
		{Name: "nodes", Type: fleet.OpUpgradeNodes, Pool: "web", Done: true,
			Start: intent.Add(-45 * time.Minute),
			End:   intent.Add(-30 * time.Minute)},
	}
	d := planOne(t, plain(), fleetOf(c, &r), monday)
	if d.Rotation.StartOp.Operation != "start" || d.Rotation.Pools["web"].Done() {
		t.Errorf("start %q, pool web done: %t", d.Rotation.StartOp.Operation, d.Rotation.Pools["web"].Done())
	}
}

func TestBreakerStaysOpenUntilAcknowledged(t *testing.T) {
	c, r := flying(shopRef, record.RecreatingNodes)
	r.Stuck = true
	r.Pools["web"] = record.Work{Operation: "n", StartedAt: monday.Add(-hours(9)),
		EndedAt: monday.Add(-hours(8)), FirstSeen: monday.Add(-hours(8))}
	f := fleetOf(c, &r)
	f.Contents.Fleet.Failures = []record.Failure{{Cluster: shopRef, Attempt: "a1", What: reason.IsStuck}}
	d := planOne(t, plain(), f, monday)
	if d.Phase != record.UpdatingClients {
		t.Fatal(d.Phase)
	}
	if doc, _ := outcome.After(f.Contents.Fleet, d, monday); len(doc.Failures) != 1 {
		t.Error("moving on acknowledged a failure that nobody looked at")
	}
}

// A cluster that GKE calls DEGRADED for months, as trial seed 100088 has one, is
// for people.
func TestDegradedClusterIsForPeople(t *testing.T) {
	c := idleCluster(shopRef)
	c.Status = fleet.Degraded
	if d := planOne(t, plain(), fleetOf(c, nil), monday); d.Action != policy.NeedsAction ||
		d.Reason != reason.StatusNotRunning {
		t.Errorf("%s %s", d.Action, d.Message)
	}
}

func TestBlockedRotationFreesItsSlot(t *testing.T) {
	c, r := flying(shopRef, record.RecreatingNodes)
	r.Failed, r.BlockedSince = string(reason.PoolFailed), monday.Add(-rules.BlockedFreesSlot-time.Hour)
	r.Pools["web"] = record.Work{Failures: 3, LeftToGKE: "it failed three times"}
	f := fleetOf(c, &r)
	f.Contents.Fleet.Slots = map[string]record.Slot{shopRef.String(): {Attempt: "a1"}}
	if d := planOne(t, plain(), f, monday); d.Slot != policy.SlotRelease {
		t.Errorf("slot %q after %s", d.Slot, fleet.Days(monday.Sub(r.BlockedSince)))
	}
}

func TestNodeCallIsWithdrawnWhenGKEHasDoneIt(t *testing.T) {
	c, r := flying(shopRef, record.RecreatingNodes)
	r.PoolCalls = map[string]record.Call{"web": {ID: "c", Kind: record.CallRecreate, Pool: "web",
		State: record.Intended, IntentAt: monday}}
	again := func() policy.Decision {
		return policy.Recheck(plain(), record.FleetDoc{}, r, record.CallRecreate, "web", c, monday)
	}
	if d := again(); d.Action != policy.Recreate {
		t.Fatalf("%s %s", d.Action, d.Message)
	}
	c.Operations = []fleet.Operation{{Name: "gke", Type: fleet.OpUpgradeNodes, Pool: "web", Done: true,
		Start: monday.Add(-hours(1)), End: monday.Add(-time.Minute)}}
	if d := again(); d.Action == policy.Recreate {
		t.Error("a pool that GKE has just recreated would be recreated again")
	}
}

func TestPartialListingProvesNothing(t *testing.T) {
	c, r := flying(shopRef, record.RecreatingNodes)
	c.Partial, c.Pools = true, nil
	if d := planOne(t, plain(), fleetOf(c, &r), monday); d.Phase != record.RecreatingNodes ||
		d.Reason != reason.ListedPartly {
		t.Errorf("%s %s", d.Phase, d.Reason)
	}
}

func TestCloseMeansOneAttempt(t *testing.T) {
	c, r := flying(shopRef, record.RecreatingNodes)
	f := fleetOf(c, &r)
	f.Contents.Fleet.Requests = []record.Request{{Kind: record.RequestClose, Cluster: shopRef,
		ClusterID: "id",
		Attempt:   "an earlier one"}}
	if d := planOne(t, plain(), f, monday); d.Close != "" {
		t.Error("a request to close an earlier attempt closed this one")
	}
	f.Contents.Fleet.Requests[0].Attempt = "a1"
	if d := planOne(t, plain(), f, monday); d.Close != record.ClosedByPeople {
		t.Errorf("closed %q", d.Close)
	}
}

func TestRetryIsKeptUntilItIsCarriedOut(t *testing.T) {
	c, r := flying(shopRef, record.RecreatingNodes)
	r.Failed = string(reason.PoolFailed)
	f := fleetOf(c, &r)
	f.Contents.Fleet.Requests = []record.Request{{Kind: record.RequestRetry, Cluster: shopRef, Attempt: "a1"}}
	f.Clusters[0].OperationsRead = false
	d := planOne(t, plain(), f, monday)
	if doc, _ := outcome.After(f.Contents.Fleet, d, monday); len(doc.Requests) != 1 {
		t.Error("a run that could not look dropped the request")
	}
	f.Clusters[0].OperationsRead = true
	d = planOne(t, plain(), f, monday)
	if doc, _ := outcome.After(f.Contents.Fleet, d, monday); len(doc.Requests) != 0 ||
		d.Rotation.Failed != "" {
		t.Errorf("carried out: requests %v, failed %q", doc.Requests, d.Rotation.Failed)
	}
}

func TestExclusionOfAPoolBlocksGKEInTheFit(t *testing.T) {
	p := plain()
	p.Nodes = rules.NodesGKE
	c := idleCluster(shopRef)
	c.Pools[0].Exclusion = &window.Exclusion{Scope: window.NoMinorOrNodeUpgrades,
		Span: window.Span{Start: monday, End: monday.AddDate(0, 0, 20)}}
	if d := planOne(t, p, fleetOf(c, nil), monday); d.Action == policy.Start {
		t.Error("a start was planned although GKE may not touch a pool for 20 days")
	}
}

func TestRunsThatMissEveryWindowAreBlocked(t *testing.T) {
	p := plain()
	p.Every = hours(24)
	if err := p.Window.UnmarshalText([]byte("Mon-Sun 02:00-06:00")); err != nil {
		t.Fatal(err)
	}
	f := fleetOf(idleCluster(shopRef), nil)
	noon := monday.Add(hours(12))
	f.Contents.Fleet.LastRun.At = noon.Add(-hours(24))
	if d := planOne(t, p, f, noon); d.Action != policy.NeedsAction {
		t.Errorf("runs at noon, window at night: %s %s", d.Action, d.Message)
	}
}

func TestSlotWaitsForSettlement(t *testing.T) {
	c, r := flying(shopRef, record.Verifying)
	c.Bundle.CAs = []fleet.CA{newCA}
	r.Call = &record.Call{ID: "c", Kind: record.CallComplete, State: record.Accepted,
		IntentAt: monday.Add(-10 * time.Minute)}
	f := fleetOf(c, &r)
	f.Contents.Fleet.Slots = map[string]record.Slot{shopRef.String(): {Attempt: "a1"}}
	if d := planOne(t, plain(), f, monday); d.Slot == policy.SlotRelease || d.Close != "" {
		t.Errorf("ten minutes after the intent: slot %q, closed %q", d.Slot, d.Close)
	}
	d := planOne(t, plain(), f, monday.Add(hours(1)))
	if d.Close != record.Completed || d.Slot != policy.SlotRelease {
		t.Errorf("an hour later: slot %q, closed %q", d.Slot, d.Close)
	}
}

// Which CA is new is told by the baseline: here the new one looks older, and the old one
// is in its last weeks.
func TestNewAndOldCAByTheBaseline(t *testing.T) {
	c, r := policytest.Flying(policytest.Shop, record.Starting)
	old, young := r.Baseline.CA, policytest.NewCA
	old.Expires = monday.AddDate(0, 0, 40)
	young.Issued, young.Expires = old.Issued.AddDate(-1, 0, 0), monday.AddDate(30, 0, 0)
	r.Call = &record.Call{Kind: record.CallStart, State: record.Accepted, IntentAt: monday.Add(-hours(2))}
	r.Baseline.CA, c.Bundle.CAs = old, []fleet.CA{young, old}
	d := planOne(t, plain(), policytest.FleetOf(c, &r), monday)
	if d.Phase != record.RecreatingNodes || d.Rotation.New.Fingerprint != young.Fingerprint {
		t.Errorf("%s, new is %s, old %s", d.Phase, d.Rotation.New.Fingerprint, old.Fingerprint)
	}
	if !d.Emergency || d.Cluster.Bundle.Oldest().Fingerprint != old.Fingerprint {
		t.Error("the deadline is not the old CA's")
	}
}
