package operator

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/lifecycle"
	"gke-credential-rotator/policy/outcome"
	"gke-credential-rotator/policy/policytest"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// What the tests of the rules share.
var (
	fleetOf, planOne, monday, hours = policytest.FleetOf, policytest.PlanOne, policytest.Monday, policytest.Hours
	askGate                         = policytest.Ask
)

var (
	shop = fleet.Ref{Project: "shop", Location: "europe-west1", Name: "checkout"}
	ann  = record.Said{By: "ann", Reason: "launch", At: monday, Run: "run-1"}
)

// spoken is the stage for what people say: a due cluster and a policy that
// asks for every approval.
func spoken() (*rules.Policy, fleet.Cluster) {
	always, _ := window.ParseWeekly("always")
	p := &rules.Policy{RotateBeforeExpiry: hours(24 * 180), EmergencyBeforeExpiry: hours(24 * 45),
		Approval: rules.ApproveBoth, Adopt: rules.AdoptWatch, Window: always, MaxFailed: 1}
	c := fleet.Cluster{Ref: shop, ID: "id-1", Status: fleet.Running,
		Bundle: fleet.Bundle{CAs: []fleet.CA{{Fingerprint: "cafe01", Issued: monday.AddDate(-5, 0, 100),
			Expires: monday.AddDate(0, 0, 100)}}}}
	return p, c
}

func inPhase(phases ...record.Phase) *record.Rotation {
	r := &record.Rotation{Cluster: shop, ClusterID: "id-1", AttemptID: "attempt-1", Origin: record.Ours,
		Managed: true, Baseline: record.Baseline{CA: fleet.CA{Fingerprint: "cafe01"}}}
	for i, ph := range phases {
		lifecycle.Move(r, ph, monday.Add(hours(i-48)), "run-0", reason.BothCAs)
	}
	return r
}

// nextRun is what the next run decides.
func nextRun(t *testing.T, p *rules.Policy, c fleet.Cluster, r *record.Rotation,
	doc record.FleetDoc) policy.Decision {
	t.Helper()
	c.OperationsRead = true
	f := fleetOf(c, r)
	f.Contents.Fleet = doc
	return planOne(t, p, f, monday)
}

// says checks a refusal.
func says(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("want an error that says %q, got %v", part, err)
	}
}

func TestHoldSaysWhatItCannotStop(t *testing.T) {
	r := inPhase(record.Starting, record.RecreatingNodes)
	r.Call = &record.Call{Kind: record.CallComplete, IntentAt: monday.Add(-10 * time.Minute),
		State: record.Accepted}
	r.PoolCalls = map[string]record.Call{"web": {Kind: record.CallRecreate, Pool: "web",
		IntentAt: monday.Add(-5 * time.Minute), State: record.Accepted}}
	got := strings.Join(BeyondHold(*r, monday), "\n")
	for _, part := range []string{"complete of Sun 2026-11-22 23:50", "recreation of web",
		"completes it by itself from Sat 2026-11-28", "NO_UPGRADES"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not said in:\n%s", part, got)
		}
	}
	if got := BeyondHold(*inPhase(record.Starting, record.RecreatingNodes, record.UpdatingClients,
		record.Completing, record.Verifying), monday); len(got) != 0 {
		t.Errorf("nothing is left to stop, but it says %q", got)
	}
}

func TestApproveStart(t *testing.T) {
	p, c := spoken()
	doc, text, err := Approve(record.FleetDoc{}, p, c, nil, time.Time{}, ann)
	if err != nil || !strings.Contains(text, "until Mon 2026-12-07 00:00 UTC") {
		t.Fatal(text, err)
	}
	at := func(c fleet.Cluster, now time.Time) bool {
		return askGate("approval", policy.NewCase(p, c, nil, &doc, "", now)).Open
	}
	if !at(c, monday) || !at(c, monday.Add(rules.StartApprovalLasts-time.Minute)) {
		t.Error("the approval does not open its gate")
	}
	if at(c, monday.Add(rules.StartApprovalLasts)) {
		t.Error("the approval outlives its fourteen days")
	}
	again := c
	again.ID = "id-2"
	if at(again, monday) {
		t.Error("the approval holds for a cluster created again")
	}
	newer := c
	newer.Bundle = fleet.Bundle{CAs: []fleet.CA{{Fingerprint: "beef02", Issued: monday,
		Expires: monday.AddDate(0, 0, 90)}}}
	if at(newer, monday) {
		t.Error("the approval holds for another CA")
	}
	twice, _, err := Approve(doc, p, c, nil, monday.Add(hours(1)), record.Said{By: "bob", At: monday})
	if err != nil || !askGate("approval", policy.NewCase(p, c, nil, &twice, "", monday.Add(hours(2)))).Open {
		t.Error("a shorter yes took the place of a longer one:", twice.Approvals, err)
	}
	twice, _, err = Approve(twice, p, c, nil, monday.Add(hours(3)), record.Said{By: "bob", At: monday})
	if err != nil || len(twice.Approvals) != 2 {
		t.Error("one's own longer yes takes the place of the shorter one:", twice.Approvals, err)
	}
	_, _, err = Approve(doc, p, c, nil, monday.Add(rules.StartApprovalLasts+time.Hour), ann)
	says(t, err, "at most 14d")

	young := c
	young.Bundle = fleet.Bundle{CAs: []fleet.CA{{Fingerprint: "beef02", Issued: monday,
		Expires: monday.AddDate(30, 0, 0)}}}
	_, _, err = Approve(doc, p, young, nil, time.Time{}, ann)
	says(t, err, "nothing waits for approval: shop/europe-west1/checkout: not due before")
	two := c
	two.Bundle.CAs = append(two.Bundle.CAs, fleet.CA{Fingerprint: "beef02", Issued: monday,
		Expires: monday.AddDate(30, 0, 0)})
	_, _, err = Approve(doc, p, two, nil, time.Time{}, ann)
	says(t, err, "two CAs")
	p.Approval = rules.ApproveComplete
	_, _, err = Approve(doc, p, c, nil, time.Time{}, ann)
	says(t, err, "APPROVAL=complete a start asks nobody")
}

func TestApproveComplete(t *testing.T) {
	p, c := spoken()
	r := inPhase(record.Starting, record.RecreatingNodes, record.UpdatingClients)
	doc, _, err := Approve(record.FleetDoc{}, p, c, r, time.Time{}, ann)
	if err != nil {
		t.Fatal(err)
	}
	if !askGate("approval", policy.NewCase(p, c, r, &doc, "", monday)).Open {
		t.Error("the approval does not open its gate")
	}
	lifecycle.Move(r, record.RecreatingNodes, monday, "run-2", reason.PoolAppeared)
	_, _, err = Approve(doc, p, c, r, time.Time{}, ann)
	says(t, err, "in phase recreating-nodes")
	lifecycle.Move(r, record.UpdatingClients, monday, "run-3", reason.NodesDone)
	if askGate("approval", policy.NewCase(p, c, r, &doc, "", monday)).Open {
		t.Error("the approval holds for a later entry into updating-clients")
	}
	r.Managed = false
	_, _, err = Approve(doc, p, c, r, time.Time{}, ann)
	says(t, err, "rotator adopt CLUSTER")
	r.Managed, c.ID = true, "id-2"
	_, _, err = Approve(doc, p, c, r, time.Time{}, ann)
	says(t, err, "created again")
	p.Approval = rules.ApproveStart
	_, _, err = Approve(doc, p, c, r, time.Time{}, ann)
	says(t, err, "APPROVAL=start, so completions ask nobody")
}

func TestRetryReopensTheBreaker(t *testing.T) {
	p, c := spoken()
	r := inPhase(record.Starting, record.RecreatingNodes, record.UpdatingClients)
	r.Failed = string(reason.CompleteFailed)
	doc := record.FleetDoc{Failures: []record.Failure{{Cluster: shop, Attempt: r.AttemptID,
		What: reason.CompleteFailed, At: monday}}}
	if _, open := policy.Breaker(doc, p); !open {
		t.Fatal("the breaker must be open before")
	}
	after, text, err := Retry(doc, shop, r, ann)
	if err != nil || !strings.Contains(text, "acknowledged complete-failed, by ann") {
		t.Fatal(text, err)
	}
	if _, open := policy.Breaker(after, p); open {
		t.Error("retry did not reopen the breaker")
	}
	if d := nextRun(t, p, c, r, after); d.Rotation.Failed != "" {
		t.Error("the next run does not take up the retry")
	}
	_, _, err = Retry(after, shop, inPhase(record.Starting), ann)
	says(t, err, "nothing to retry")
	tried := record.FleetDoc{Tries: map[string]record.Try{shop.String(): {ClusterID: "id-1", CA: "cafe01",
		Count: 3}}}
	if askGate("tries", policy.NewCase(p, c, nil, &tried, "", monday)).Open {
		t.Fatal("three tries must be exhausted")
	}
	after, _, err = Retry(tried, shop, nil, ann)
	if err != nil || !askGate("tries", policy.NewCase(p, c, nil, &after, "", monday)).Open {
		t.Error("retry did not clear the tries:", err)
	}
	stuckPool := inPhase(record.Starting, record.RecreatingNodes)
	stuckPool.Stuck = true
	stuckPool.Pools = map[string]record.Work{"web": {LeftToGKE: "GKE refuses its version"}}
	stuckPool.Call = &record.Call{Kind: record.CallStart, IntentAt: monday, State: record.Unclear}
	after, text, err = Retry(record.FleetDoc{}, shop, stuckPool, ann)
	if err != nil || !strings.Contains(text, "not before its last start is settled, Mon 2026-11-23 00:30") {
		t.Fatal(text, err)
	}
	if d := nextRun(t, p, c, stuckPool, after); d.Rotation.Pools["web"].LeftToGKE != "" {
		t.Error("the pool is still left to GKE")
	}
}

func TestAdopt(t *testing.T) {
	p, c := spoken()
	_, _, err := Adopt(record.FleetDoc{}, p, c, nil, ann)
	says(t, err, "it has one CA")
	c.Bundle.CAs = append(c.Bundle.CAs, fleet.CA{Fingerprint: "beef02", Issued: monday,
		Expires: monday.AddDate(30, 0, 0)})
	r := inPhase(record.RecreatingNodes)
	r.Origin, r.Managed = record.Foreign, false
	doc, _, err := Adopt(record.FleetDoc{}, p, c, r, ann)
	if err != nil {
		t.Fatal(err)
	}
	d := nextRun(t, p, c, r, doc)
	if r = d.Rotation; !r.Managed || d.Slot != policy.SlotTake {
		t.Error("the next run does not adopt it")
	}
	_, _, err = Adopt(doc, p, c, r, ann)
	says(t, err, "managed by this tool already")
	_, _, err = Adopt(doc, p, c, inPhase(record.RecreatingNodes), ann)
	says(t, err, "already")
	r.Managed = false
	p.Selector, _ = fleet.ParseSelector("env=prod")
	_, _, err = Adopt(doc, p, c, r, ann)
	says(t, err, "unselected clusters are never adopted")
}

func TestRotate(t *testing.T) {
	p, c := spoken()
	_, _, err := Rotate(record.FleetDoc{}, p, c, nil, ann)
	says(t, err, "is due already")
	c.Bundle = fleet.Bundle{CAs: []fleet.CA{{Fingerprint: "cafe01", Issued: monday.AddDate(-1, 0, 0),
		Expires: monday.AddDate(29, 0, 0)}}}
	doc, _, err := Rotate(record.FleetDoc{}, p, c, nil, ann)
	if err != nil {
		t.Fatal(err)
	}
	if due := policy.NewCase(p, c, nil, &doc, "", monday).Due; !due.Is || due.Why != "asked for by ann" {
		t.Errorf("not due: %+v", due)
	}
	c.Bundle.CAs[0].Fingerprint = "beef02"
	if policy.NewCase(p, c, nil, &doc, "", monday).Due.Is {
		t.Error("the wish outlives the CA that it named")
	}
	_, _, err = Rotate(record.FleetDoc{}, p, c, inPhase(record.Starting), ann)
	says(t, err, "is being rotated already")
	c.Alpha = true
	_, _, err = Rotate(record.FleetDoc{}, p, c, nil, ann)
	says(t, err, "alpha cluster")
}

func TestClose(t *testing.T) {
	_, _, err := Close(record.FleetDoc{}, &rules.Policy{}, shop, nil, ann)
	says(t, err, "no rotation on record")
	p, c := spoken()
	r := inPhase(record.Starting, record.RecreatingNodes)
	r.Stuck = true
	doc := record.FleetDoc{Failures: []record.Failure{{Cluster: shop, Attempt: r.AttemptID, What: reason.IsStuck,
		At: monday}}}
	after, text, err := Close(doc, p, shop, r, ann)
	if err != nil || !strings.Contains(text, "GKE is not touched") {
		t.Fatal(text, err)
	}
	d := nextRun(t, p, c, r, after)
	if d.Close != record.ClosedByPeople {
		t.Error("the next run does not close it")
	}
	if stored, _ := outcome.After(after, d, monday); len(stored.Failures) != 0 || len(stored.Requests) != 0 {
		t.Errorf("closing left %v and %v", stored.Failures, stored.Requests)
	}
	after, _, err = Close(doc, p, shop, nil, ann)
	if err != nil || len(after.Failures) != 0 {
		t.Error("an ended rotation's failure is not acknowledged:", after.Failures, err)
	}
}

// TestWordsLeaveTheDocumentAlone: a conflict means that the words are said
// again on a newer document, so the one that was read must stay as it was.
func TestWordsLeaveTheDocumentAlone(t *testing.T) {
	p, c := spoken()
	full := func() record.FleetDoc {
		return record.FleetDoc{
			Holds:     []record.Hold{{ID: "h1", Target: record.TheCluster(shop), Said: ann}},
			Approvals: []record.Approval{{Kind: record.CallStart, Cluster: shop}},
			Requests:  []record.Request{{Kind: record.RequestRetry, Cluster: shop}},
			Failures:  []record.Failure{{Cluster: shop, Attempt: "x", What: reason.IsStuck}},
			Tries:     map[string]record.Try{shop.String(): {Count: 3}},
		}
	}
	doc := full()
	r := inPhase(record.Starting, record.RecreatingNodes)
	_, _, errHold := Hold(doc, record.TheCluster(shop), time.Time{}, ann)
	on := record.TheCluster(shop)
	_, _, errRelease := Release(doc, &on, "", fleet.Cluster{}, ann)
	_, _, errApprove := Approve(doc, p, c, nil, time.Time{}, ann)
	_, _, errRetry := Retry(doc, shop, r, ann)
	_, _, errClose := Close(doc, p, shop, r, ann)
	for _, err := range []error{errHold, errRelease, errApprove, errRetry, errClose} {
		if err != nil {
			t.Error(err)
		}
	}
	if !reflect.DeepEqual(doc, full()) {
		t.Errorf("changed: %+v", doc)
	}
}
