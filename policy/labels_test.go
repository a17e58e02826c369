package policy_test

import (
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/operator"
	"gke-credential-rotator/policy/outcome"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

func TestLabelsThatHold(t *testing.T) {
	christmas := time.Date(2026, 12, 25, 0, 0, 0, 0, time.UTC)
	for _, x := range []struct {
		labels map[string]string
		held   string // "": open
		opens  time.Time
	}{
		{map[string]string{"env": "prod", "rotator": "yes", "rotator-approve": "x"}, "", time.Time{}},
		{map[string]string{rules.LabelHold: "team-payments"},
			"held by its label rotator-hold=team-payments, until it is removed", time.Time{}},
		{map[string]string{rules.LabelHold: ""}, "held by its label rotator-hold, until it is removed", time.Time{}},
		{map[string]string{rules.LabelHold: "false"}, "held by its label rotator-hold=false, until it is removed",
			time.Time{}},
		{map[string]string{rules.LabelHoldUntil: "2026-12-24"},
			"held by its label rotator-hold-until=2026-12-24, until Fri 2026-12-25 00:00", christmas},
		{map[string]string{rules.LabelHoldUntil: "2026-11-22"}, "", time.Time{}}, // yesterday
		{map[string]string{rules.LabelHoldUntil: "2026-11-23"},
			"held by its label rotator-hold-until=2026-11-23, until Tue 2026-11-24 00:00", monday.Add(hours(24))},
		{map[string]string{rules.LabelHold: "x", rules.LabelHoldUntil: "2026-12-24"},
			"held by its label rotator-hold=x, until it is removed; and by rotator-hold-until=2026-12-24, until Fri 2026-12-25 00:00", time.Time{}},
		{map[string]string{rules.LabelHold: "x", rules.LabelHoldUntil: "2026-11-01"},
			"held by its label rotator-hold=x, until it is removed", time.Time{}},
		{map[string]string{rules.LabelHoldUntil: "christmas"},
			"held by its label rotator-hold-until=christmas, which is no date: write a day, e.g. rotator-hold-until=2026-12-24, or remove it", time.Time{}},
		{map[string]string{rules.LabelHoldUntil: ""},
			"held by its label rotator-hold-until, which is no date: write a day", time.Time{}},
		{map[string]string{rules.LabelHoldUntil: "2026-02-30"}, "rotator-hold-until=2026-02-30, which is no date",
			time.Time{}},
		{map[string]string{rules.LabelHoldUntil: "24-12-2026"}, "which is no date", time.Time{}},
		{map[string]string{"rotator_hold": "x"},
			"rotator_hold=x, which means nothing: write rotator-hold or rotator-hold-until, or remove it",
			time.Time{}},
		{map[string]string{"rotator-hold-til": "2026-12-24"}, "rotator-hold-til=2026-12-24, which means nothing",
			time.Time{}},
	} {
		p, c := plain(), idleCluster(shopRef)
		c.Labels = x.labels
		v := askGate("label-hold", policy.NewCase(p, c, nil, &record.FleetDoc{}, "", monday))
		if v.Open != (x.held == "") || !strings.HasPrefix(v.Message.String(), x.held) &&
			!strings.Contains(v.Message.String(), x.held) || !v.OpensAt.Equal(x.opens) {
			t.Errorf("%v: open %t, %q, opens %s", x.labels, v.Open, v.Message, v.OpensAt)
		}
		d := planOne(t, p, fleetOf(c, nil), monday)
		want := map[bool]policy.Action{true: policy.Start, false: policy.Wait}[v.Open]
		if d.Action != want || !v.Open && d.Reason != reason.HeldByLabel {
			t.Errorf("%v: the plan is %s (%s)", x.labels, d.Action, d.Reason)
		}
		if !x.opens.IsZero() && d.NextChange.After(x.opens) {
			t.Errorf("%v: the plan stands until %s, and the label ends %s", x.labels, d.NextChange, x.opens)
		}
		doc := outcome.Tidy(record.FleetDoc{}, p, policy.Fleet{}, []policy.Decision{d}, record.RunNote{At: monday})
		if got := doc.Blocked[shopRef.String()]; !v.Open && got != reason.HeldByLabel || v.Open && got != "" {
			t.Errorf("%v: the store notes %q", x.labels, got)
		}
		p.OwnerLabels = rules.OwnerLabelsOff
		if d := planOne(t, p, fleetOf(c, nil), monday); d.Action != policy.Start {
			t.Errorf("%v with OWNER_LABELS=off: the plan is %s (%s)", x.labels, d.Action, d.Reason)
		}
	}
}

// TestLabelsAndCommands: any hold binds, in every phase and need, and neither
// side lifts the other.
func TestLabelsAndCommands(t *testing.T) {
	p, c := plain(), idleCluster(shopRef)
	p.OwnerLabels = rules.OwnerLabelsBoth
	c.Labels = map[string]string{rules.LabelHold: "x"}
	f := fleetOf(c, nil)
	f.Contents.Fleet.Holds = []record.Hold{{ID: "h1", Target: record.TheCluster(shopRef),
		Said: record.Said{By: "ann"}}}
	if d := planOne(t, p, f, monday); d.Reason != reason.Held {
		t.Errorf("both hold: %s", d.Reason)
	}
	doc, _, err := operator.Release(f.Contents.Fleet, nil, "h1", fleet.Cluster{},
		record.Said{By: "ann", At: monday})
	if err != nil {
		t.Fatal(err)
	}
	f.Contents.Fleet = doc
	if d := planOne(t, p, f, monday); d.Reason != reason.HeldByLabel {
		t.Errorf("after the release: %s", d.Reason)
	}
	f.Contents.Fleet.Holds, f.Clusters[0].Labels = []record.Hold{{Said: record.Said{By: "ann"}}},
		map[string]string{rules.LabelApprove: "x"}
	if d := planOne(t, p, f, monday); d.Reason != reason.Held {
		t.Errorf("hold all, and no label holds: %s", d.Reason)
	}
	// In an emergency and in a compromise, too.
	f = fleetOf(c, nil)
	selector, _ := fleet.ParseSelector("all")
	p.Compromised, p.RotateIssuedBefore = &selector, monday
	if d := planOne(t, p, f, monday); d.Reason != reason.HeldByLabel || !d.Compromised {
		t.Errorf("compromised %t, %s", d.Compromised, d.Reason)
	}
	p.Compromised = nil
	if d := planOne(t, p, f, oldCA.Expires.Add(-hours(24*40))); d.Reason != reason.HeldByLabel || !d.Emergency {
		t.Errorf("emergency %t, %s", d.Emergency, d.Reason)
	}
}

// TestLabelHoldsWhatFlies: every call of ours stops, people are told at once
// what GKE does all the same, and nothing is stuck.
func TestLabelHoldsWhatFlies(t *testing.T) {
	for _, phase := range []record.Phase{record.RecreatingNodes, record.UpdatingClients} {
		p := plain()
		c, r := flying(shopRef, phase)
		c.Labels = map[string]string{rules.LabelHold: "x"}
		if phase == record.UpdatingClients {
			r.Pools["web"] = record.Work{Operation: "n", StartedAt: monday.Add(-hours(18)),
				EndedAt: monday.Add(-hours(17)), FirstSeen: monday.Add(-hours(17))}
			p.Soak = 0
		}
		now := monday.Add(hours(10))
		d := planOne(t, p, fleetOf(c, &r), now)
		if d.Action != policy.Wait || d.Reason != reason.HeldByLabel ||
			!strings.Contains(d.Message.String(), "GKE may complete by itself from") {
			t.Errorf("%s: %s %s %q", phase, d.Action, d.Reason, d.Message)
		}
		if len(d.Events) != 1 || d.Events[0].Name != policy.EventBlocked {
			t.Errorf("%s: told %v", phase, d.Events)
		}
		r = *d.Rotation
		if d := planOne(t, p, fleetOf(c, &r), now.Add(hours(48))); len(d.Events) != 0 || d.Rotation.Stuck {
			t.Errorf("%s, two days later: told %v, stuck %t", phase, d.Events, d.Rotation.Stuck)
		}
		c.Labels = nil
		if d := planOne(t, p, fleetOf(c, &r), now); !d.Action.Sends() {
			t.Errorf("%s, without the label: %s %s", phase, d.Action, d.Reason)
		}
	}
}

// TestLabelAfterThePlan: what is said by label between plan and call counts.
func TestLabelAfterThePlan(t *testing.T) {
	p, c := plain(), idleCluster(shopRef)
	p.Approval, p.OwnerLabels = rules.ApproveStart, rules.OwnerLabelsBoth
	c.Labels = map[string]string{rules.LabelApprove: "start-old-2026-11-30"}
	d := planOne(t, p, fleetOf(c, nil), monday)
	if d.Action != policy.Start || d.Approved == nil {
		t.Fatalf("%s %s, approved %v", d.Action, d.Message, d.Approved)
	}
	r := *outcome.Intend(d, "a1", "c1", "run", 1, monday).Rotation
	if use := r.Approvals[0]; use.By != "label rotator-approve on the cluster" ||
		use.Reason != "rotator-approve=start-old-2026-11-30" || use.Run != "run" || !use.At.Equal(monday) {
		t.Errorf("recorded: %+v", use)
	}
	again := func(labels map[string]string) policy.Decision {
		c.Labels = labels
		return policy.Recheck(p, record.FleetDoc{}, r, record.CallStart, "", c, monday)
	}
	if d := again(c.Labels); d.Action != policy.Start {
		t.Errorf("unchanged: %s", d.Message)
	}
	if d := again(nil); d.Action != policy.Wait || d.Reason != reason.ApprovalNeeded {
		t.Errorf("the approval is gone: %s %s", d.Action, d.Reason)
	}
	d = again(map[string]string{rules.LabelApprove: "start-old-2026-11-30", rules.LabelHold: ""})
	if d.Action != policy.Wait || d.Reason != reason.HeldByLabel {
		t.Errorf("held: %s %s", d.Action, d.Reason)
	}
}

// TestStartByLabel: bound to the CA, and good for a day that is named and near.
func TestStartByLabel(t *testing.T) {
	p, c := plain(), idleCluster(shopRef)
	p.Approval, p.OwnerLabels = rules.ApproveStart, rules.OwnerLabelsBoth
	for value, want := range map[string]bool{
		"start-old-2026-11-23": true, "start-old-2026-12-07": true, // 14 days ahead
		"start-old-2026-12-08": false, "start-old-2026-11-22": false, "start-old-": false, "start-old": false,
		"start-old-soon":       false,
		"start-new-2026-11-30": false, "yes": false, "": false, "START-OLD-2026-11-30": false,
		"complete-old-2026-11-30": false,
	} {
		c.Labels = map[string]string{rules.LabelApprove: value}
		d := planOne(t, p, fleetOf(c, nil), monday)
		if (d.Action == policy.Start) != want {
			t.Errorf("%s: %s, %s", value, d.Action, d.Message)
		}
		if !want && (!strings.Contains(d.Message.String(), "rotator-approve=start-old-YYYY-MM-DD") ||
			d.Action != policy.NeedsAction) {
			t.Errorf("%s: the way out is not told: %s %s", value, d.Action, d.Message)
		}
		if want && !d.NextChange.Before(monday.Add(hours(24*15+1))) {
			t.Errorf("%s: counts until %s", value, d.NextChange)
		}
		p.OwnerLabels = rules.OwnerLabelsHold
		if d := planOne(t, p, fleetOf(c, nil), monday); d.Action == policy.Start ||
			!strings.Contains(d.Message.String(), "does not count, for OWNER_LABELS=hold") {
			t.Errorf("%s with OWNER_LABELS=hold: %s, %s", value, d.Action, d.Message)
		}
		p.OwnerLabels = rules.OwnerLabelsBoth
	}
	// Too far ahead becomes near enough, and the plan knows when.
	c.Labels = map[string]string{rules.LabelApprove: "start-old-2026-12-08"}
	if v := askGate("approval", policy.NewCase(p, c, nil, &record.FleetDoc{}, "", monday)); v.Open ||
		!v.Changes.Equal(monday.Add(hours(24))) {
		t.Errorf("open %t, counts from %s", v.Open, v.Changes)
	}
}

// TestCompletionByLabel: bound to the attempt and to this entry into
// updating-clients.
func TestCompletionByLabel(t *testing.T) {
	p := plain()
	p.Approval, p.OwnerLabels, p.Soak = rules.ApproveComplete, rules.OwnerLabelsBoth, 0
	c, r := flying(shopRef, record.UpdatingClients)
	r.AttemptID, r.Entries = "0123456789abcdef0123456789abcdef", 2
	r.Pools["web"] = record.Work{Operation: "n", StartedAt: monday.Add(-hours(18)),
		EndedAt: monday.Add(-hours(17)), FirstSeen: monday.Add(-hours(17))}
	const right = "complete-0123456789abcdef-2"
	for value, want := range map[string]bool{
		right: true, "complete-0123456789abcdef-1": false, "complete-0123456789abcdef-20": false,
		"complete-0123456789abcdef":   false,
		"complete-fedcba9876543210-2": false, "yes": false, "": false,
	} {
		c.Labels = map[string]string{rules.LabelApprove: value}
		d := planOne(t, p, fleetOf(c, &r), monday)
		if (d.Action == policy.Complete) != want || want != (d.Approved != nil) {
			t.Errorf("%s: %s, %s, approved %v", value, d.Action, d.Message, d.Approved)
		}
		if !want && !strings.Contains(d.Message.String(), "rotator-approve="+right) {
			t.Errorf("%s: the way out is not told: %s", value, d.Message)
		}
	}
	c.Labels = map[string]string{rules.LabelApprove: right}
	d := planOne(t, p, fleetOf(c, &r), monday)
	sent := *outcome.IntendCall(d, map[string]string{"": "c"}, "run-9", monday).Rotation
	if use := sent.Approvals[0]; use.Kind != record.CallComplete || use.Entry != 2 ||
		use.By != "label rotator-approve on the cluster" || use.Run != "run" {
		t.Errorf("recorded: %+v", use)
	}
	// An unrecreated pool appears: back, and this yes is void.
	c.Pools = append(c.Pools, fleet.Pool{Name: "old", Version: "1", Nodes: 1, MaxSurge: 1,
		Status: fleet.Running})
	r.PoolsSeen = append(r.PoolsSeen, "old")
	back := planOne(t, p, fleetOf(c, &r), monday)
	if back.Phase != record.RecreatingNodes {
		t.Fatalf("phase %s", back.Phase)
	}
	r = *back.Rotation
	r.Pools["old"] = r.Pools["web"]
	r = *planOne(t, p, fleetOf(c, &r), monday).Rotation
	if d := planOne(t, p, fleetOf(c, &r), monday); d.Action == policy.Complete ||
		!strings.Contains(d.Message.String(), "rotator-approve=complete-0123456789abcdef-3") {
		t.Errorf("the old yes: %s, %s", d.Action, d.Message)
	}
	// A command's yes goes before a label's in the record.
	r.Entries = 2
	f := fleetOf(c, &r)
	f.Contents.Fleet.Approvals = []record.Approval{{Kind: record.CallComplete, Cluster: shopRef, ClusterID: "id",
		Attempt: r.AttemptID, Entry: 2, Said: record.Said{By: "ann"}}}
	if d := planOne(t, p, f, monday); d.Approved == nil || d.Approved.By != "ann" {
		t.Errorf("approved: %+v", d.Approved)
	}
}
