package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/operator"
	"gke-credential-rotator/policy/outcome"
	"gke-credential-rotator/policy/policytest"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// wavesAt is a fleet with a canary, env=dev, and a production cluster. Both are due;
// change makes of them what a case wants.
type wavesAt struct {
	p            *rules.Policy
	f            policy.Fleet
	canary, prod *fleet.Cluster
	now          time.Time
}

func aFleetOfWaves(t *testing.T) *wavesAt {
	t.Helper()
	p := policytest.Plain()
	p.Projects = []string{"dev-project", "shop-prod"}
	p.WaveSoak = policytest.Hours(72)
	if err := p.Waves.UnmarshalText([]byte("env=dev > env=prod")); err != nil {
		t.Fatal(err)
	}
	canary := policytest.Idle(fleet.Ref{Project: "dev-project", Location: "europe-west1", Name: "canary"})
	canary.Labels = map[string]string{"env": "dev"}
	prod := policytest.Idle(policytest.Shop)
	prod.Labels = map[string]string{"env": "prod"}
	w := &wavesAt{p: p, f: policytest.FleetOf(canary, nil), now: policytest.Monday}
	w.f.Clusters = append(w.f.Clusters, prod)
	w.canary, w.prod = &w.f.Clusters[0], &w.f.Clusters[1]
	return w
}

func (w *wavesAt) since(at time.Time) {
	w.f.Contents.Fleet.Rules = record.RulesNote{Digest: w.p.WaveRules(), Since: at}
}

// wave is what the gate says of the production cluster.
func (w *wavesAt) wave(t *testing.T) (policy.Verdict, policy.Decision) {
	t.Helper()
	for _, d := range policy.Plan(w.p, w.f, "run", w.now) {
		for _, v := range d.Gates {
			if d.Cluster.Ref == policytest.Shop && v.Gate == "wave" {
				return v, d
			}
		}
	}
	t.Fatal("the production cluster was not asked for its wave")
	return policy.Verdict{}, policy.Decision{}
}

func expiring(days int) fleet.CA {
	return fleet.CA{Fingerprint: fleet.Fingerprint(fmt.Sprint("expires in ", days)),
		Issued: policytest.Monday.AddDate(-5, 0, days), Expires: policytest.Monday.AddDate(0, 0, days)}
}

// Canaries go first whatever the age of their CAs; who may hold a wave does, and is named.
func TestWhoHoldsAWave(t *testing.T) {
	ref := func(w *wavesAt) fleet.Ref { return w.canary.Ref }
	for _, tt := range []struct {
		name   string
		change func(*wavesAt)
		says   string // "" : open
	}{
		{"the canary's CA is the younger", func(w *wavesAt) {
			w.canary.Bundle.CAs[0], w.prod.Bundle.CAs[0] = expiring(120), expiring(100)
		}, "canary (starts)"},
		{"everything is due for its age", func(w *wavesAt) {
			w.p.MaxCAAge = policytest.Hours(24 * 365)
			w.canary.Bundle.CAs[0] = fleet.CA{Fingerprint: "y", Issued: w.now.AddDate(-2, 0, 0),
				Expires: w.now.AddDate(28, 0, 0)}
			w.prod.Bundle.CAs[0] = fleet.CA{Fingerprint: "o", Issued: w.now.AddDate(-3, 0, 0),
				Expires: w.now.AddDate(27, 0, 0)}
		}, "canary (starts)"},
		{"held by a command", func(w *wavesAt) {
			w.f.Contents.Fleet.Holds = []record.Hold{{ID: "h1", Target: record.TheCluster(ref(w)),
				Said: record.Said{By: "ann"}}}
		}, "canary (held)"},
		{"held by its label", func(w *wavesAt) { w.canary.Labels[rules.LabelHold] = "broken" },
			"canary (held)"},
		{"unapproved", func(w *wavesAt) { w.p.Approval = rules.ApproveStart }, "canary (approval-needed)"},
		{"degraded", func(w *wavesAt) { w.canary.Status = fleet.Degraded }, "canary (status)"},
		{"listed only partly", func(w *wavesAt) { w.canary.Partial = true }, "canary (listed-partly)"},
		{"somebody else rotates it", func(w *wavesAt) {
			c, r := policytest.Flying(ref(w), record.RecreatingNodes)
			c.Labels, r.Origin, r.Managed, r.Wave = w.canary.Labels, record.Foreign, false, "env=dev"
			*w.canary = c
			w.f.Contents.Rotations[ref(w)] = r
		}, "canary (in flight, started elsewhere)"},
		{"its rotation failed", func(w *wavesAt) {
			w.p.MaxFailed = 9
			c, r := policytest.Flying(ref(w), record.UpdatingClients)
			c.Labels, r.Failed, r.Wave = w.canary.Labels, "complete-failed", "env=dev"
			*w.canary = c
			w.f.Contents.Rotations[ref(w)] = r
		}, "canary (failed)"},
		{"its project was never read", func(w *wavesAt) { w.unread(false) }, "project dev-project (unread)"},
		{"its project held a due canary", func(w *wavesAt) {
			w.unread(false)
			w.f.Contents.Fleet.Projects = map[string]record.ProjectNote{"dev-project": {At: w.now.Add(-time.Hour), Due: w.now.AddDate(0, 0, -9)}}
		}, "project dev-project (unread, and held due clusters)"},
		{"what its project held is forgotten", func(w *wavesAt) {
			w.unread(false)
			w.f.Contents.Fleet.Projects = map[string]record.ProjectNote{"dev-project": {At: w.now.AddDate(0,
				0, -14)}}
		}, "project dev-project (unread)"},
		{"its project held none", func(w *wavesAt) {
			w.unread(false)
			w.f.Contents.Fleet.Projects = map[string]record.ProjectNote{"dev-project": {At: w.now.Add(-time.Hour)}}
		}, ""},
		{"its project does not exist", func(w *wavesAt) { w.unread(true) }, ""},
		{"it can never be rotated", func(w *wavesAt) { w.canary.Alpha = true }, ""},
		{"it was verified, and the soak is over", func(w *wavesAt) {
			w.canary.Bundle.CAs[0] = policytest.NewCA
			w.f.Contents.Fleet.Waves = map[string]record.WaveNotes{"env=dev": {{Due: w.now.AddDate(0, 0, -9),
				At: w.now.AddDate(0, 0, -4)}}}
		}, ""},
		{"it was verified yesterday", func(w *wavesAt) {
			w.canary.Bundle.CAs[0] = policytest.NewCA
			w.f.Contents.Fleet.Waves = map[string]record.WaveNotes{"env=dev": {{Due: w.now.AddDate(0, 0, -9),
				At: w.now.AddDate(0, 0, -1)}}}
		}, "soaks until"},
		{"people opened the wave", func(w *wavesAt) {
			w.f.Contents.Fleet.OpenWaves = map[string]record.Said{"env=prod": {By: "ann"}}
		}, ""},
		{"it became due after both", func(w *wavesAt) { // nobody waits for an ever growing dev fleet
			w.since(w.now.AddDate(0, 0, -30))
			w.canary.Bundle.CAs[0], w.prod.Bundle.CAs[0] = expiring(179), expiring(160)
		}, ""},
		{"it became due before the production cluster", func(w *wavesAt) {
			w.since(w.now.AddDate(0, 0, -300))
			w.canary.Bundle.CAs[0], w.prod.Bundle.CAs[0] = expiring(150), expiring(160)
		}, "canary (starts)"},
		{"it became due since the rules are what they are", func(w *wavesAt) {
			w.since(w.now.AddDate(0, 0, -5))
			w.canary.Bundle.CAs[0], w.prod.Bundle.CAs[0] = expiring(170), expiring(160)
		}, "canary (starts)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := aFleetOfWaves(t)
			tt.change(w)
			v, d := w.wave(t)
			switch {
			case tt.says == "" && !v.Open:
				t.Errorf("shut: %s", v.Message)
			case tt.says != "" && (v.Open || v.Reason != reason.WaveClosed ||
				!strings.Contains(v.Message.String(), tt.says)):
				t.Errorf("open %t: %q lacks %q", v.Open, v.Message, tt.says)
			case tt.says != "" && d.Action == policy.Start:
				t.Error("it starts")
			}
		})
	}
}

func (w *wavesAt) unread(gone bool) {
	w.f.Unread = []fleet.Unread{{Project: "dev-project", Reason: "403", Gone: gone}}
	w.f.Clusters = w.f.Clusters[1:]
}

// A wave that people opened starts, says by whom and what it did not wait for, and is
// shut again when it has nothing due any more; not for what could not be read.
func TestAnOpenedWave(t *testing.T) {
	w := aFleetOfWaves(t)
	open := func() bool { return w.f.Contents.Fleet.OpenWaves["env=prod"].By == "ann" }
	doc, _, err := operator.OpenWave(w.f.Contents.Fleet, w.p, "env=prod",
		record.Said{By: "ann", Reason: "no dev this year", At: w.now})
	if err != nil {
		t.Fatal(err)
	}
	w.f.Contents.Fleet = doc
	_, d := w.wave(t)
	if says := d.Message.String(); d.Action != policy.Start || d.WaveOpened == nil ||
		!strings.Contains(says, "opened by ann: no dev this year, though earlier waves are not verified: dev-project") {
		t.Errorf("%s %q %v", d.Action, says, d.WaveOpened)
	}
	if r := outcome.Intend(d, "a", "c", "run", 1, w.now).Rotation; r.WaveOpened.By != "ann" {
		t.Error("the record does not say who opened the wave")
	}
	tidy := func() {
		ds := policy.Plan(w.p, w.f, "run", w.now)
		w.f.Contents.Fleet = outcome.Tidy(w.f.Contents.Fleet, w.p, w.f, ds, record.RunNote{At: w.now})
	}
	tidy()
	if !open() {
		t.Error("it was shut while a cluster of it is due")
	}
	all := w.f.Clusters
	w.f.Clusters, w.f.Unread = all[:1], []fleet.Unread{{Project: "shop-prod", Reason: "403"}}
	if tidy(); !open() {
		t.Error("it was shut by a run that could not read it")
	}
	w.f.Clusters, w.f.Unread = all, nil
	w.prod.Bundle.CAs[0] = policytest.NewCA
	if tidy(); open() {
		t.Error("it stays open though nothing of it is due")
	}
	for name, says := range map[string]string{"env=prd": "the waves are: env=dev > env=prod > rest",
		"env=dev": "the first"} {
		if _, _, err := operator.OpenWave(doc, w.p, name, record.Said{}); err == nil ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nobody is named where the wave would have been open anyway.
func TestAnOpenedWaveThatWaitedForNobody(t *testing.T) {
	w := aFleetOfWaves(t)
	w.canary.Bundle.CAs[0] = policytest.NewCA
	w.f.Contents.Fleet.OpenWaves = map[string]record.Said{"env=prod": {By: "ann"}}
	if _, d := w.wave(t); d.Action != policy.Start || d.WaveOpened != nil {
		t.Errorf("%s %v", d.Action, d.WaveOpened)
	}
}

// A start that no canary went before says so.
func TestNoCanaryWentBefore(t *testing.T) {
	w := aFleetOfWaves(t)
	w.canary.Bundle.CAs[0] = policytest.NewCA
	v, d := w.wave(t)
	if !v.Open || d.Action != policy.Start || !strings.Contains(d.Message.String(), "no canary went before") {
		t.Errorf("%v %s %q", v, d.Action, d.Message)
	}
}

// A shut wave opens by itself at its last moment, 33 days before the expiry, and not
// before it, also in an emergency; and the start says so.
func TestAWavesLastMoment(t *testing.T) {
	w := aFleetOfWaves(t)
	w.f.Contents.Fleet.Holds = []record.Hold{{ID: "h1", Target: record.TheCluster(w.canary.Ref),
		Said: record.Said{By: "ann"}}}
	w.prod.Bundle.CAs[0] = expiring(40) // an emergency
	last := w.prod.Bundle.CAs[0].Expires.AddDate(0, 0, -33)
	v, d := w.wave(t)
	if v.Open || v.Lifted || !v.OpensAt.Equal(last) || !d.Emergency || d.Action == policy.Start {
		t.Errorf("40 days before the expiry: open %t, lifted %t, opens %s, %s", v.Open, v.Lifted, v.OpensAt,
			d.Action)
	}
	w.now = last
	if v, d = w.wave(t); !v.Open || d.Action != policy.Start || !strings.Contains(d.Message.String(),
		"last moment") {
		t.Errorf("33 days before the expiry: open %t, %s %q", v.Open, d.Action, d.Message)
	}
	// Those of the wave that expire earlier need their time first.
	w.now, w.p.MaxActive = policytest.Monday, 1
	for i := range 2 {
		other := policytest.Idle(fleet.Ref{Project: "shop-prod", Location: "europe-west1",
			Name: fmt.Sprint("other-", i)})
		other.Labels, other.Bundle.CAs[0] = map[string]string{"env": "prod"}, expiring(38)
		w.f.Clusters = append(w.f.Clusters, other)
	}
	if v, _ = w.wave(t); !v.Open {
		t.Errorf("16 days of others before it: opens %s", v.OpensAt)
	}
}

// TestActingOrderIsThatOfSlots: who waits for a slot only is listed in the order in which
// slots are given, a canary before what is due sooner in a later wave.
func TestActingOrderIsThatOfSlots(t *testing.T) {
	w := aFleetOfWaves(t)
	w.prod.Bundle.CAs[0].Expires = w.canary.Bundle.CAs[0].Expires.Add(-20 * 24 * time.Hour)
	w.since(w.now.Add(-400 * 24 * time.Hour)) // prod was due first, and waits for no canary
	for free := range 2 {
		w.p.MaxActive = free
		var starts, queued []fleet.Ref
		ds := policy.Plan(w.p, w.f, "run", w.now)
		for _, d := range policy.ActingOrder(ds, func(d *policy.Decision) bool { return d.Reason.Info().Queued }) {
			queued = append(queued, d.Cluster.Ref)
		}
		for _, d := range ds {
			if d.Action == policy.Start {
				starts = append(starts, d.Cluster.Ref)
			}
		}
		if got := slices.Concat(starts, queued); len(starts) != free || len(got) != 2 || got[0] != w.canary.Ref {
			t.Errorf("%d free slots: starts %v, then %v", free, starts, queued)
		}
	}
}
