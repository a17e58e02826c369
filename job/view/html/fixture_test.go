package html

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/policy"
	text "gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/outcome"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

var now = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

func testPolicy() *rules.Policy {
	complete, err := window.ParseWeekly("Mon-Thu 09:00-15:00")
	if err != nil {
		panic(err)
	}
	day := 24 * time.Hour
	return &rules.Policy{
		Env: "prod", Projects: []string{"shop-prod"}, RotateBeforeExpiry: 180 * day,
		EmergencyBeforeExpiry: 45 * day, EmergencyMaxActive: 10,
		SoakCompromised: 4 * time.Hour, CompromisedMaxActive: 20, CompleteWindow: complete,
		ZonalComplete: rules.ZonalPeople, Soak: 3 * day, Approval: rules.ApproveNone,
		Nodes: rules.NodesAuto, NodeGrace: time.Hour, NodeTime: 10 * time.Minute, NodeOverrun: 2 * time.Hour, Fit: rules.FitBind, Adopt: rules.AdoptWatch,
		MaxActive: 10, MaxActivePerProject: 2,
		WaveSoak: 3 * day, MaxFailed: 1, StuckAfter: day, Every: time.Hour,
	}
}

// samplePage is the sample fleet after so many days, as simulate --report has
// it. A page is made once: the tests only read it.
func samplePage(t testing.TB, days int) Page {
	t.Helper()
	sampled.Lock()
	defer sampled.Unlock()
	if p, ok := sampled.pages[days]; ok {
		return p
	}
	w := gkesim.New(gkesim.Options{Seed: 1, Now: gkesim.SampleStart})
	if err := w.AddSample(); err != nil {
		t.Fatal(err)
	}
	p := Page{Command: "simulate", Mode: "act", Policy: testPolicy()}
	p.Policy.Env, p.Policy.Projects = "simulation", w.Projects()
	story, err := sim.Play(t.Context(), sim.Setup{Policy: p.Policy, World: w, From: gkesim.SampleStart,
		Days: days, Every: time.Hour, Seed: 1}, func(res pass.Result) {
		p.Result = res
		for _, done := range res.Done {
			if after := done.After; after.Close != "" {
				p.Finished = append(p.Finished, record.Record{Rotation: *after.Rotation, ClosedAs: after.Close,
					ClosedAt: res.At, CompletedBy: after.Rotation.CompletedBy})
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Played = &story
	sampled.pages[days] = p
	return p
}

var sampled = struct {
	sync.Mutex
	pages map[int]Page
}{pages: map[int]Page{}}

// generated is a plan for a fleet of n clusters: every tenth has expired, three
// in ten wait, some are in flight, and the rest is not due.
func generated(n int) Page {
	p := Page{Command: "plan", Mode: "act", Version: "test", Policy: testPolicy()}
	p.Policy.MaxActive, p.Policy.MaxActivePerProject = 20, 0
	f := policy.Fleet{Contents: record.Contents{Known: true, Rotations: map[fleet.Ref]record.Rotation{}}}
	p.Policy.Projects = nil
	for i := range n {
		project := fmt.Sprintf("team-%02d-prod", i%25)
		if i < 25 {
			p.Policy.Projects = append(p.Policy.Projects, project)
		}
		c := cluster(fleet.Ref{Project: project, Location: "europe-west1", Name: fmt.Sprintf("cluster-%04d", i)},
			4000)
		switch i % 10 {
		case 0:
			c.Bundle = bundle(c.Ref.Name, -10)
		case 1, 2, 3:
			c.Bundle = bundle(c.Ref.Name, 60+i%90)
			c.Maintenance = weekend()
		case 4:
			if i < 200 {
				f.Contents.Rotations[c.Ref] = flying(&c, now.Add(-time.Duration(i)*time.Hour/2))
			}
		}
		f.Clusters = append(f.Clusters, c)
	}
	p.Result = pass.Result{At: now, Fleet: f, Decisions: policy.Plan(p.Policy, f, "plan", now)}
	return p
}

func weekend() window.Maintenance {
	weekly, err := window.ParseWeekly("Sat,Sun 02:00-06:00")
	if err != nil {
		panic(err)
	}
	return window.Maintenance{Window: weekly, Text: "Sat,Sun 02:00-06:00 UTC"}
}

func bundle(name string, days int) fleet.Bundle {
	return fleet.Bundle{CAs: []fleet.CA{{
		Fingerprint: fleet.Fingerprint(fmt.Sprintf("%064x", len(name)*7919+days+10000)),
		Issued:      now.AddDate(-4, 0, 0), Expires: now.AddDate(0, 0, days),
	}}}
}

func cluster(ref fleet.Ref, days int) fleet.Cluster {
	return fleet.Cluster{
		Ref: ref, ID: "id-" + ref.Name, Status: fleet.Running, Bundle: bundle(ref.Name, days),
		Endpoint: "192.0.2.1", Version: "1.33.4-gke.100", Seen: now,
		Pools: []fleet.Pool{{Name: "web", Version: "1.33.4-gke.100", Status: fleet.Running, Nodes: 3,
			MaxSurge: 1}},
		OperationsRead: true,
	}
}

// flying puts the cluster on its way since then: nodes are done, clients are
// being updated.
func flying(c *fleet.Cluster, since time.Time) record.Rotation {
	old := bundle(c.Ref.Name, 90).CAs[0]
	fresh := fleet.CA{Fingerprint: fleet.Fingerprint(strings.Repeat("ab", 32)), Issued: since,
		Expires: since.AddDate(30, 0, 0)}
	c.Bundle = fleet.Bundle{CAs: []fleet.CA{old, fresh}}
	c.Endpoint = "192.0.2.2"
	return record.Rotation{
		Cluster: c.Ref, ClusterID: c.ID, AttemptID: "attempt-" + c.Ref.Name, AttemptNo: 1, Origin: record.Ours,
		Managed:  true,
		Baseline: record.Baseline{CA: old, Endpoint: "192.0.2.1", Status: fleet.Running}, New: fresh,
		Phase: record.UpdatingClients,
		Transitions: []record.Transition{
			{Phase: record.Starting, At: since, Run: "run-1", Reason: reason.IsDue},
			{Phase: record.RecreatingNodes, At: since.Add(time.Hour), Run: "run-2", Reason: reason.BothCAs},
			{Phase: record.UpdatingClients, At: since.Add(3 * time.Hour), Run: "run-3", Reason: reason.NodesDone},
		},
		StartOp: record.Work{Operation: "operation-1", StartedAt: since, EndedAt: since.Add(time.Hour),
			FirstSeen: since.Add(time.Hour)},
		PoolsSeen: []string{"web"}, HandedOverAt: since.Add(time.Hour), Entries: 1, LastRead: now,
		Pools: map[string]record.Work{"web": {Operation: "operation-2", StartedAt: since.Add(2 * time.Hour),
			EndedAt: since.Add(3 * time.Hour), FirstSeen: since.Add(3 * time.Hour)}},
	}
}

// evil is what no name may do to the page.
const evil = `<script>alert(1)</script>"><img src=x onerror=alert(2)>` + "\u202egnp.exe\x1b[2J{{.Env}}"

// hostile is a page all of whose words come from somebody who means harm.
func hostile() Page {
	p := generated(0)
	p.Policy.Env, p.Policy.Projects = evil, []string{evil}
	p.Policy.Waves = []fleet.Wave{}
	f := &p.Result.Fleet
	f.Contents.Rotations = map[fleet.Ref]record.Rotation{}
	for i, name := range []string{evil, strings.Repeat("very-long-name-", 40), "שלום-עולם", "a b'c",
		"e\u0301\u0301\u0301"} {
		c := cluster(fleet.Ref{Project: evil, Location: "europe-west1", Name: name}, 100*i-10)
		c.Bundle.Problem = map[int]string{2: evil}[i]
		if i == 3 {
			r := flying(&c, now.Add(-50*time.Hour))
			r.AttemptID, r.Baseline.Endpoint, r.Transitions[0].Run = evil, evil, evil
			f.Contents.Rotations[c.Ref] = r
		}
		f.Clusters = append(f.Clusters, c)
	}
	f.Unread = []fleet.Unread{{Project: evil, Location: evil, Reason: evil}}
	said := record.Said{By: evil, Reason: evil, At: now, Run: evil}
	f.Contents.Fleet = record.FleetDoc{
		Env: evil, Failures: []record.Failure{{Cluster: fleet.Ref{Project: "p", Location: "l", Name: evil},
			Attempt: "x", What: reason.StartFailed, At: now}},
		Holds: []record.Hold{{Said: said}}, LastRun: record.RunNote{Run: evil, At: now},
	}
	p.Result.Decisions = policy.Plan(p.Policy, *f, "plan", now)
	c := cluster(fleet.Ref{Project: "p", Location: "l", Name: evil}, 0)
	r := flying(&c, now.Add(-200*time.Hour))
	r.Approvals = []record.ApprovalUse{{Kind: record.CallComplete, Said: said}}
	p.Finished = []record.Record{{Rotation: r, ClosedAs: record.ClosedByPeople, ClosedAt: now,
		Findings: []string{evil}, Said: said}}
	p.Settings = []view.Setting{{Name: "ENV", Value: evil}}
	p.Notes, p.Forecast = []string{evil}, &sim.Forecast{
		Story: sim.Story{From: now, To: now.AddDate(0, 0, 2), Every: time.Hour,
			Clusters: []sim.Chapter{{Cluster: c.Ref, Outcome: sim.NeedsAction, Message: text.Say(evil)}}},
		Turns: []sim.Turn{{Cluster: c.Ref, Attempt: evil, Wave: evil, Start: now, Message: text.Say(evil)}},
		Left: []sim.Left{{Cluster: c.Ref, Wave: evil, Outcome: sim.Waiting, Message: text.Say(evil),
			Held: sim.Wait{Gate: evil, Message: text.Say(evil)}}},
	}
	p.Version, p.Mode = evil, evil
	return p
}

// pages are all kinds of page that the tests look at, made once.
func pages(t testing.TB) map[string]Page {
	sample, end := samplePage(t, 6), samplePage(t, 30)
	kinds.Do(func() {
		kinds.pages = allKinds()
		kinds.pages["sample"], kinds.pages["end"] = sample, end
		kinds.texts = map[string]string{}
		for name, p := range kinds.pages {
			kinds.texts[name] = written(t, p)
		}
	})
	return maps.Clone(kinds.pages)
}

// texts are the same pages as they are written.
func texts(t testing.TB) map[string]string {
	pages(t)
	return maps.Clone(kinds.texts)
}

var kinds struct {
	sync.Once
	pages map[string]Page
	texts map[string]string
}

func allKinds() map[string]Page {
	empty := generated(0)
	idle := generated(5)
	for i := range idle.Result.Fleet.Clusters {
		idle.Result.Fleet.Clusters[i].Bundle = bundle("x", 9000)
	}
	idle.Result.Fleet.Contents = record.Contents{}
	idle.Result.Decisions = policy.Plan(idle.Policy, idle.Result.Fleet, "plan", now)
	return map[string]Page{"generated": generated(1000), "hostile": hostile(), "empty": empty, "idle": idle}
}

func written(t testing.TB, p Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// done is the decision as a run manages it out.
func done(d policy.Decision) pass.Done {
	return pass.Done{Ref: d.Cluster.Ref, Action: d.Action, After: outcome.Intend(d, "attempt-"+d.Cluster.Ref.Name,
		"call", "run-1", 1, now)}
}
