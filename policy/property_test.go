package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/lifecycle"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// drawPolicy makes a policy that a team might have.
func drawPolicy(t *rapid.T) *rules.Policy {
	pick := func(name string, texts ...string) string { return rapid.SampledFrom(texts).Draw(t, name) }
	weekly := func(name string, texts ...string) window.Weekly {
		w, err := window.ParseWeekly(pick(name, texts...))
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	p := &rules.Policy{
		Env: "test", Projects: []string{"a", "b"}, RotateBeforeExpiry: hours(24 * 180),
		EmergencyBeforeExpiry: hours(24 * 45), EmergencyMaxActive: 2, CompromisedMaxActive: 2,
		SoakCompromised: hours(4),
		Window:          weekly("window", "always", "Sat,Sun 02:00-06:00", "Mon-Fri 22:00-04:00 Europe/Paris"),
		StartWindow:     weekly("start window", "always", "Mon-Wed 00:00-24:00"),
		CompleteWindow: weekly("complete window", "always", "Mon-Thu 09:00-15:00",
			"Fri 10:00-11:00 America/New_York"),
		ZonalComplete: rapid.SampledFrom([]rules.ZonalComplete{rules.ZonalPeople, rules.ZonalWindow,
			rules.ZonalBoth}).Draw(t, "zonal"),
		Soak: hours(rapid.IntRange(0, 96).Draw(t, "soak")),
		Approval: rapid.SampledFrom([]rules.ApprovalMode{rules.ApproveNone, rules.ApproveStart,
			rules.ApproveBoth}).Draw(t, "approval"),
		OwnerLabels: rapid.SampledFrom([]rules.OwnerLabels{rules.OwnerLabelsOff, rules.OwnerLabelsHold,
			rules.OwnerLabelsBoth, rules.OwnerLabelsBoth}).Draw(t, "ownerLabels"),
		Nodes:     rapid.SampledFrom([]rules.NodesBy{rules.NodesAuto, rules.NodesGKE}).Draw(t, "nodes"),
		NodeGrace: hours(rapid.IntRange(0, 3).Draw(t, "grace")), NodeTime: 10 * time.Minute,
		PoolsAtOnce: rapid.IntRange(0, 2).Draw(t, "pools at once"),
		Adopt:       rapid.SampledFrom([]rules.AdoptMode{rules.AdoptWatch, rules.AdoptManage}).Draw(t, "adopt"),
		MaxActive:   rapid.IntRange(1, 3).Draw(t, "max active"), MaxActivePerProject: rapid.IntRange(0, 2).Draw(t,
			"per project"),
		WaveSoak: hours(24), MaxFailed: 1, StuckAfter: hours(24), Every: time.Hour,
	}
	if rapid.Bool().Draw(t, "age") {
		p.MaxCAAge = hours(24 * 365)
	}
	if rapid.Bool().Draw(t, "freeze") {
		if err := p.Freezes.UnmarshalText([]byte("2026-11-25/2026-11-26, 2026-12-18/2027-01-04 Europe/Paris")); err != nil {
			t.Fatal(err)
		}
	}
	if rapid.Bool().Draw(t, "waves") {
		var w fleet.Waves
		if err := w.UnmarshalText([]byte("env=dev > env=prod")); err != nil {
			t.Fatal(err)
		}
		p.Waves = w
	}
	return p
}

// drawCluster makes a cluster somewhere in its life, and its record if any.
func drawCluster(t *rapid.T, i int, now time.Time) (fleet.Cluster, *record.Rotation) {
	ref := fleet.Ref{Project: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "project"), Location: "europe-west1",
		Name: fmt.Sprintf("c%d", i)}
	left := time.Duration(rapid.IntRange(-10, 400).Draw(t, "days left")) * 24 * time.Hour
	old := fleet.CA{Fingerprint: fleet.Fingerprint(fmt.Sprintf("old%d", i)),
		Issued: now.Add(left - 5*365*24*time.Hour), Expires: now.Add(left)}
	fresh := fleet.CA{Fingerprint: fleet.Fingerprint(fmt.Sprintf("new%d", i)), Issued: now.Add(-hours(30)),
		Expires: now.Add(30 * 365 * 24 * time.Hour)}
	c := fleet.Cluster{
		Ref: ref, ID: "id", Status: rapid.SampledFrom([]fleet.Status{fleet.Running, fleet.Running, fleet.Running,
			fleet.Reconciling, fleet.Degraded}).Draw(t, "status"),
		Labels: map[string]string{"env": rapid.SampledFrom([]string{"dev", "prod", "none"}).Draw(t, "env")},
		Bundle: fleet.Bundle{CAs: []fleet.CA{old}}, Endpoint: "10.0.0.1", Zonal: rapid.Bool().Draw(t, "zonal"),
		Seen: now, OperationsRead: true,
	}
	drawOwnerLabels(t, &c, now)
	if rapid.Bool().Draw(t, "own window") {
		w, text, err := window.Daily("03:00")
		if err != nil {
			t.Fatal(err)
		}
		c.Maintenance.Window, c.Maintenance.Text = w, text
	}
	if rapid.Bool().Draw(t, "exclusion") {
		from := now.Add(hours(rapid.IntRange(-48, 48).Draw(t, "exclusion from")))
		c.Maintenance.Exclusions = []window.Exclusion{{Name: "x", Scope: window.NoUpgrades,
			Span: window.Span{Start: from, End: from.Add(hours(72))}}}
	}
	for j := range rapid.IntRange(0, 3).Draw(t, "pools") {
		c.Pools = append(c.Pools, fleet.Pool{Name: fmt.Sprintf("p%d", j), Version: "1", Status: fleet.Running,
			Nodes: rapid.IntRange(0, 40).Draw(t, "nodes"), MaxSurge: 1})
	}
	switch rapid.IntRange(0, 3).Draw(t, "in flight") {
	case 0:
		return c, nil
	case 1:
		c.Bundle.CAs = append(c.Bundle.CAs, fresh) // nobody's, as far as the store knows
		return c, nil
	}
	return c, drawRotation(t, &c, old, fresh, now)
}

// drawOwnerLabels draws what the owners say by labels, rightly or wrongly.
func drawOwnerLabels(t *rapid.T, c *fleet.Cluster, now time.Time) {
	someDay := func(name string) string {
		return now.AddDate(0, 0, rapid.IntRange(-2, 20).Draw(t, name)).Format(time.DateOnly)
	}
	switch rapid.IntRange(0, 7).Draw(t, "label holds") {
	case 0:
		c.Labels[rules.LabelHold] = "owner"
	case 1, 2:
		c.Labels[rules.LabelHoldUntil] = someDay("hold label until")
	case 3:
		c.Labels[rules.LabelHoldUntil] = "soon"
	}
	switch rapid.IntRange(0, 4).Draw(t, "label approves") {
	case 0:
		c.Labels[rules.LabelApprove] = "start-" + string(c.Bundle.Oldest().Fingerprint) + "-" +
			someDay("start label until")
	case 1:
		c.Labels[rules.LabelApprove] = fmt.Sprintf("complete-attempt-%d", rapid.IntRange(0, 1).Draw(t, "entry"))
	}
}

func drawRotation(t *rapid.T, c *fleet.Cluster, old, fresh fleet.CA, now time.Time) *record.Rotation {
	phase := rapid.SampledFrom(record.Phases).Draw(t, "phase")
	began := now.Add(-hours(rapid.IntRange(0, 200).Draw(t, "began")))
	r := &record.Rotation{
		Cluster: c.Ref, ClusterID: c.ID, AttemptID: "attempt", AttemptNo: 1, Origin: record.Ours,
		Managed:  rapid.Bool().Draw(t, "manage"),
		Baseline: record.Baseline{CA: old, Status: fleet.Running}, Phase: phase,
		Transitions: []record.Transition{{Phase: phase, At: began}},
		StartOp:     record.Work{Operation: "op", StartedAt: began, EndedAt: began.Add(20 * time.Minute)},
		Pools:       map[string]record.Work{},
	}
	if rapid.Bool().Draw(t, "call") {
		r.Call = &record.Call{ID: "call", Kind: record.CallStart,
			IntentAt: now.Add(-time.Duration(rapid.IntRange(-5, 90).Draw(t, "intent")) * time.Minute),
			State: rapid.SampledFrom([]record.CallState{record.Intended, record.Accepted, record.Refused,
				record.Unclear}).Draw(t, "state")}
	}
	if phase != record.Starting {
		c.Bundle.CAs = []fleet.CA{old, fresh}
		r.New, r.HandedOverAt = fresh, began.Add(time.Hour)
		for _, p := range c.Pools {
			r.PoolsSeen = append(r.PoolsSeen, p.Name)
			if phase != record.RecreatingNodes || rapid.Bool().Draw(t, "pool done") {
				r.Pools[p.Name] = record.Work{Operation: "n", StartedAt: began.Add(time.Hour),
					EndedAt: began.Add(2 * time.Hour)}
			}
		}
	}
	if phase == record.Verifying {
		c.Bundle.CAs = []fleet.CA{fresh}
	}
	return r
}

func drawFleet(t *rapid.T, now time.Time) policy.Fleet {
	f := policy.Fleet{Contents: record.Contents{Known: true, Rotations: map[fleet.Ref]record.Rotation{},
		Fleet: record.FleetDoc{Env: "test", Slots: map[string]record.Slot{},
			Waves: map[string]record.WaveNotes{"env=dev": {{At: now.Add(-hours(rapid.IntRange(0, 40).Draw(t,
				"wave soaks")))}}}}}}
	for i := range rapid.IntRange(1, 5).Draw(t, "clusters") {
		c, r := drawCluster(t, i, now)
		f.Clusters = append(f.Clusters, c)
		if r != nil {
			f.Contents.Rotations[c.Ref] = *r
			if r.Managed && r.Phase != record.Verifying {
				f.Contents.Fleet.Slots[c.Ref.String()] = record.Slot{Attempt: r.AttemptID}
			}
		}
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "holds") {
		c := f.Clusters[rapid.IntRange(0, len(f.Clusters)-1).Draw(t, "held")]
		on := rapid.SampledFrom([]record.Target{record.TheCluster(c.Ref), record.TheCluster(c.Ref), {},
			{Project: c.Ref.Project}, {Name: c.Ref.Name}}).Draw(t, "target")
		f.Contents.Fleet.Holds = append(f.Contents.Fleet.Holds, record.Hold{ID: fmt.Sprint("h", i), Target: on,
			Until: now.Add(hours(rapid.IntRange(-2, 50).Draw(t, "hold until")))})
	}
	return f
}

// decided is what must not change before NextChange.
func decided(d policy.Decision) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %q %s %v close=%s", d.Cluster.Ref, d.Action, d.Phase, d.Reason, d.Pools, d.Close)
	for _, g := range d.Gates {
		fmt.Fprintf(&b, " [%s %t %t %s]", g.Gate, g.Open, g.Lifted, g.Reason)
	}
	return b.String()
}

// TestPromise: before NextChange, with unchanged inputs, the decision does not
// change. Forecasts rest on it.
func TestPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := monday.Add(time.Duration(rapid.IntRange(0, 14*24*60).Draw(t, "now")) * time.Minute)
		p, f := drawPolicy(t), drawFleet(t, now)
		for i, d := range policy.Plan(p, f, "run", now) {
			until := d.NextChange
			if until.IsZero() {
				until = now.Add(60 * 24 * time.Hour)
			}
			if !until.After(now) {
				t.Fatalf("%s: NextChange %s is not after now %s", d.Cluster.Ref, until, now)
			}
			at := now.Add(time.Duration(rapid.Int64Range(0, int64(until.Sub(now)-1)).Draw(t, "later")))
			later := policy.Plan(p, f, "run", at)[i]
			if was, is := decided(d), decided(later); was != is {
				t.Fatalf("decided at %s until %s:\n%s\nbut at %s:\n%s", now, until, was, at, is)
			}
		}
	})
}

// TestWaitingNamesTheWayOut: every decision that waits says when it may change
// or what a person can do.
func TestWaitingNamesTheWayOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := monday.Add(time.Duration(rapid.IntRange(0, 14*24*60).Draw(t, "now")) * time.Minute)
		for _, d := range policy.Plan(drawPolicy(t), drawFleet(t, now), "run", now) {
			if d.Reason.Info().Sentence == "" {
				t.Fatalf("%s: reason %q has no sentence", d.Cluster.Ref, d.Reason)
			}
			if d.Action == policy.Wait && d.NextChange.IsZero() && d.Reason.Info().WaitsOn == reason.OnNobody {
				t.Fatalf("%s waits for ever and nobody is named: %s", d.Cluster.Ref, decided(d))
			}
			if len(d.Message) == 0 {
				t.Fatalf("%s: no message: %s", d.Cluster.Ref, decided(d))
			}
		}
	})
}

// TestStepsAreEdges: no decision moves a rotation by a way that is not listed,
// and by more than one phase.
func TestStepsAreEdges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := monday.Add(time.Duration(rapid.IntRange(0, 14*24*60).Draw(t, "now")) * time.Minute)
		f := drawFleet(t, now)
		for _, d := range policy.Plan(drawPolicy(t), f, "run", now) {
			if d.Rotation == nil {
				continue
			}
			before := f.Contents.Rotations[d.Cluster.Ref].Transitions
			added := d.Rotation.Transitions[len(before):]
			if len(added) > 1 {
				t.Fatalf("%s moved %d phases in one run", d.Cluster.Ref, len(added))
			}
			from := f.Contents.Rotations[d.Cluster.Ref].Phase
			if len(added) == 1 && !lifecycle.Allowed(from, added[0].Phase) {
				t.Fatalf("%s moved %q -> %q", d.Cluster.Ref, from, added[0].Phase)
			}
		}
	})
}

// TestStartsWithinLimits: one plan never deals out more slots than there are.
func TestStartsWithinLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := monday.Add(time.Duration(rapid.IntRange(0, 14*24*60).Draw(t, "now")) * time.Minute)
		p, f := drawPolicy(t), drawFleet(t, now)
		active, emergencies := len(f.Contents.Fleet.Slots), 0
		started := false
		for _, d := range policy.Plan(p, f, "run", now) {
			switch {
			case d.Action == policy.Start && d.Emergency:
				emergencies++
			case d.Action == policy.Start:
				active++
				started = true
			}
			if label := d.Cluster.Labels[rules.LabelHold]; d.Action.Sends() && label != "" &&
				p.OwnerLabels != rules.OwnerLabelsOff {
				t.Fatalf("%s is held by its label and would be sent %s", d.Cluster.Ref, d.Action)
			}
			for _, h := range f.Contents.Fleet.Holds {
				ref := d.Cluster.Ref
				here := h.Cluster == ref || h.Project == ref.Project || h.Name == ref.Name ||
					h.Cluster.IsZero() && h.Project+h.Name == ""
				if d.Action.Sends() && here && now.Before(h.Until) {
					t.Fatalf("%s is held and would be sent %s", d.Cluster.Ref, d.Action)
				}
			}
		}
		if started && active > p.MaxActive || emergencies > p.EmergencyMaxActive {
			t.Fatalf("%d active of %d, %d emergencies of %d", active, p.MaxActive, emergencies, p.EmergencyMaxActive)
		}
	})
}
