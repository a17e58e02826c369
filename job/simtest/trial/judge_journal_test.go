package trial

import (
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/state"
)

// journal is a journal written by hand: one cluster's rotation from its start to
// its end as it should be. Tests change one step and listen to the judge.
type journal struct {
	t     *testing.T
	steps []*step
	now   time.Time
	pass  int
}

type step struct {
	name string
	Event
}

var (
	shopWeb  = fleet.Ref{Project: "shop", Location: "europe-west1", Name: "web"}
	shopBlog = fleet.Ref{Project: "shop", Location: "europe-west1", Name: "blog"}
	oldCA    = fleet.CA{Fingerprint: "old", Issued: at("2022-03-01 00:00"), Expires: at("2027-03-11 00:00")}
	newCA    = fleet.CA{Fingerprint: "new", Issued: at("2026-11-22 23:15"), Expires: at("2056-11-22 23:15")}
)

func (p *journal) add(name string, e Event) *Event {
	p.now = p.now.Add(time.Second)
	e.At, e.Clock, e.Pass = p.now, p.now, p.pass
	if e.Pass > 0 || e.Kind == Person || e.Kind == Settings {
		e.Env = "one"
	}
	p.steps = append(p.steps, &step{name, e})
	return &p.steps[len(p.steps)-1].Event
}

// step gives a step by its name.
func (p *journal) step(name string) *Event {
	for _, s := range p.steps {
		if s.name == name {
			return &s.Event
		}
	}
	p.t.Fatalf("there is no step %q", name)
	return nil
}

func (p *journal) drop(names ...string) {
	p.steps = slices.DeleteFunc(p.steps, func(s *step) bool { return slices.Contains(names, s.name) })
}

// move puts a step before another, at its time.
func (p *journal) move(name, before string) {
	e := *p.step(name)
	p.drop(name)
	p.insert(before, name, e)
}

func (p *journal) insert(before, name string, e Event) {
	i := slices.IndexFunc(p.steps, func(s *step) bool { return s.name == before })
	e.At, e.Clock = p.steps[i].At, p.steps[i].Clock
	p.steps = slices.Insert(p.steps, i, &step{name, e})
}

// delay moves a step and all that follow.
func (p *journal) delay(name string, d time.Duration) {
	i := slices.IndexFunc(p.steps, func(s *step) bool { return s.name == name })
	for _, s := range p.steps[i:] {
		s.At, s.Clock = s.At.Add(d), s.Clock.Add(d)
	}
}

// cut drops a step and all that follow.
func (p *journal) cut(name string) {
	p.steps = p.steps[:slices.IndexFunc(p.steps, func(s *step) bool { return s.name == name })]
}

// judge plays the journal to the judge.
func (p *journal) judge() []Violation {
	first := p.steps[0].At
	j := NewJudge(Setup{Begin: first, Calm: first, End: p.now, Every: time.Hour})
	var found []Violation
	for i, s := range p.steps {
		e := s.Event
		e.N = i + 1
		found = append(found, j.Event(&e)...)
	}
	return found
}

// run begins another pass a while later.
func (p *journal) run(name string, later time.Duration, pol *rules.Policy) {
	p.now = p.now.Add(later)
	p.pass++
	p.add(name, Event{Kind: RunBegin, Run: &Run{Name: name, Mode: "act", Policy: pol}})
	p.add(name+" store", Event{Kind: StoreRead, Contents: &record.Contents{Known: true}})
}

// fresh is the read under an intent.
func (p *journal) fresh(name string, f *Fact, doc record.FleetDoc, ops ...fleet.Operation) {
	p.add(name+" fleet", Event{Kind: FleetRead, Fleet: &doc})
	p.add(name+" ops", Event{Kind: OperationsRead,
		Look: &Look{Project: "shop", Operations: map[fleet.Ref][]fleet.Operation{f.Ref: ops}}})
	p.add(name+" read", Event{Kind: ClusterRead, Cluster: f.Ref, Look: &Look{
		Project: "shop", Clusters: []fleet.Cluster{f.Cluster},
		Raw: map[fleet.Ref]*containerpb.Cluster{f.Ref: f.Raw},
	}})
}

// call is a request, its delivery and its answer.
func (p *journal) call(name string, n int, r Request) {
	r.N, r.SentAt = n, p.now
	p.add(name+" sent", Event{Kind: Sent, Cluster: r.Cluster, Request: &r})
	o := record.Outcome{State: record.Accepted, Operation: "op-" + name}
	p.add(name+" delivered", Event{Kind: Delivered, Cluster: r.Cluster, Request: &r, Outcome: &o})
	p.add(name+" answered", Event{Kind: Answered, Cluster: r.Cluster, Request: &r, Outcome: &o})
}

// store is a write that was applied.
func (p *journal) store(name string, kind Kind, c state.Change) {
	c = copied(c)
	ref := shopWeb
	if r, _ := rotationIn(&Write{Now: c}); r != nil {
		ref = r.Cluster
	}
	p.add(name, Event{Kind: kind, Cluster: ref, Write: &Write{Asked: c, Now: c, Applied: true}})
}

// factOf is the cluster with these CAs.
func factOf(ref fleet.Ref, cas ...fleet.CA) *Fact {
	return &Fact{
		Ref: ref, Raw: &containerpb.Cluster{Name: ref.Name,
			MasterAuth: &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(ref.Name))}},
		Cluster: fleet.Cluster{
			Ref: ref, ID: "id-" + ref.Name, Status: "RUNNING", Bundle: fleet.Bundle{CAs: cas},
			Labels: map[string]string{"env": "prod"},
			Pools:  []fleet.Pool{{Name: "a", Version: "1.33"}},
		},
	}
}

// handPolicy is the policy of the journal.
func handPolicy(t *testing.T) *rules.Policy {
	t.Helper()
	p := &rules.Policy{
		Env: "one", Projects: []string{"shop"}, RotateBeforeExpiry: 180 * day, EmergencyBeforeExpiry: 45 * day,
		EmergencyMaxActive: 2, CompromisedMaxActive: 2,
		ZonalComplete: rules.ZonalPeople, Soak: 3 * day, Approval: rules.ApproveComplete, Nodes: rules.NodesAuto,
		NodeTime: 10 * time.Minute, NodeOverrun: 2 * time.Hour, Fit: rules.FitBind,
		MaxActive: 1, MaxFailed: 1, StuckAfter: day, Every: time.Hour,
	}
	for text, into := range map[string]interface{ UnmarshalText([]byte) error }{
		"Mon-Sun 00:00-04:00": &p.Window, "Mon-Thu 09:00-15:00": &p.CompleteWindow, "env=prod": &p.Selector,
	} {
		if err := into.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// newJournal writes the whole rotation.
func newJournal(t *testing.T) *journal {
	t.Helper()
	p, pol := &journal{t: t, now: at("2026-11-23 00:00")}, handPolicy(t)
	idle, two, done := factOf(shopWeb, oldCA), factOf(shopWeb, oldCA, newCA), factOf(shopWeb, newCA)
	p.add("begin", Event{Kind: Begin, Facts: []Fact{*idle}})
	p.add("settings", Event{Kind: Settings, Policy: pol, Mode: "act"})
	r := record.Rotation{
		Cluster: shopWeb, ClusterID: "id-web", AttemptID: "one", Origin: record.Ours, Managed: true,
		Baseline: record.Baseline{CA: oldCA}, Pools: map[string]record.Work{}, PoolCalls: map[string]record.Call{},
	}
	doc := record.FleetDoc{Env: "one", Slots: map[string]record.Slot{shopWeb.String(): {Attempt: "one"}}}
	enter := func(phase record.Phase) {
		r.Phase = phase
		r.Transitions = append(slices.Clone(r.Transitions), record.Transition{Phase: phase, At: p.now})
	}

	p.run("start", 0, pol)
	enter(record.Starting)
	r.Call = &record.Call{ID: "c1", Kind: record.CallStart, State: record.Intended, IntentAt: p.now}
	p.store("start intent", IntentStored, state.Change{Fleet: &doc, Rotation: &r})
	p.fresh("start", idle, doc)
	p.call("start", 1, Request{Kind: record.CallStart, Cluster: shopWeb, Intent: "c1"})
	r.Call = &record.Call{ID: "c1", Kind: record.CallStart, State: record.Accepted, IntentAt: p.now,
		Operation: "op-start"}
	p.store("start outcome", OutcomeStored, state.Change{Rotation: &r})
	p.add("start end", Event{Kind: RunEnd})

	p.now, p.pass = at("2026-11-23 00:15"), 0
	p.add("two CAs", Event{Kind: Changed, Cluster: shopWeb, Fact: two})
	p.pass = 1
	p.run("nodes", 45*time.Minute, pol)
	enter(record.RecreatingNodes)
	r.HandedOverAt, r.PoolsSeen = p.now, []string{"a"}
	r.PoolCalls = map[string]record.Call{"a": {ID: "c2", Kind: record.CallRecreate, Pool: "a",
		State: record.Intended, IntentAt: p.now}}
	p.store("nodes intent", IntentStored, state.Change{Rotation: &r})
	p.fresh("nodes", two, doc)
	p.call("nodes", 2, Request{Kind: record.CallRecreate, Cluster: shopWeb, Pool: "a", Intent: "c2"})
	op := fleet.Operation{Name: "op-nodes", Type: "UPGRADE_NODES", Pool: "a", Start: p.now}
	r.PoolCalls = map[string]record.Call{"a": {ID: "c2", Kind: record.CallRecreate, Pool: "a",
		State: record.Accepted, IntentAt: p.now, Operation: op.Name}}
	p.store("nodes outcome", OutcomeStored, state.Change{Rotation: &r})
	p.add("nodes end", Event{Kind: RunEnd})

	p.run("done", time.Hour, pol)
	op.Done, op.End = true, p.now.Add(-20*time.Minute)
	p.fresh("done", two, doc, op)
	r.Settled = []record.Call{{ID: "c2", Kind: record.CallRecreate, State: record.Settled}}
	r.PoolCalls, r.Pools, r.Entries = nil,
		map[string]record.Work{"a": {Operation: op.Name, StartedAt: op.Start, EndedAt: op.End, FirstSeen: p.now}}, 1
	enter(record.UpdatingClients)
	p.store("nodes done", Stored, state.Change{Rotation: &r})
	p.add("done end", Event{Kind: RunEnd})

	pass := p.pass
	p.now, p.pass = at("2026-11-25 12:00"), 0
	doc.Approvals = []record.Approval{{Kind: record.CallComplete, Cluster: shopWeb, ClusterID: "id-web",
		Attempt: "one", Entry: 1}}
	p.store("approval", Person, state.Change{Fleet: &doc})
	p.now, p.pass = at("2026-11-26 10:00"), pass
	p.run("complete", 0, pol)
	r.Settled = append(r.Settled, *r.Call)
	r.Call = &record.Call{ID: "c3", Kind: record.CallComplete, State: record.Intended, IntentAt: p.now}
	enter(record.Completing)
	p.store("complete intent", IntentStored, state.Change{Rotation: &r})
	p.fresh("complete", two, doc, op)
	p.call("complete", 3, Request{Kind: record.CallComplete, Cluster: shopWeb, Intent: "c3"})
	r.Call = &record.Call{ID: "c3", Kind: record.CallComplete, State: record.Accepted, IntentAt: p.now,
		Operation: "op-complete"}
	p.store("complete outcome", OutcomeStored, state.Change{Rotation: &r})
	p.add("complete end", Event{Kind: RunEnd})

	p.now, p.pass = p.now.Add(10*time.Minute), 0
	p.add("one CA", Event{Kind: Changed, Cluster: shopWeb, Fact: done})
	p.pass = pass + 1
	p.run("verify", time.Hour, pol)
	enter(record.Verifying)
	free := record.FleetDoc{Env: "one", Approvals: doc.Approvals}
	p.store("verifying", Stored, state.Change{Fleet: &free, Rotation: &r})
	p.add("verify end", Event{Kind: RunEnd})
	p.run("close", time.Hour, pol)
	r.Settled, r.Call = append(slices.Clone(r.Settled), *r.Call), nil
	p.store("closed", Stored,
		state.Change{Fleet: &free, Close: &record.Record{Rotation: r, ClosedAs: record.Completed, ClosedAt: p.now}})
	p.add("close end", Event{Kind: RunEnd})
	p.pass = 0
	p.add("calm", Event{Kind: Calm})
	p.now = p.now.Add(time.Hour)
	p.add("end", Event{Kind: End, Facts: []Fact{*done}})
	return p
}
