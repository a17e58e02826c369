package trial

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/state"
)

// broken are the promises that the judge finds broken, each once.
func brokenOn(p *journal) (numbers []int, texts []string) {
	for _, v := range p.judge() {
		if !slices.Contains(numbers, v.Promise) {
			numbers = append(numbers, v.Promise)
		}
		texts = append(texts, fmt.Sprintf("%d: %s", v.Promise, v.Text))
	}
	return numbers, texts
}

// written by a step: its rotation and its fleet document, to be changed.
func rotationOf(p *journal, name string) *record.Rotation {
	c := copied(p.step(name).Write.Now)
	p.step(name).Write = &Write{Asked: c, Now: c, Applied: true}
	r, _ := rotationIn(p.step(name).Write)
	return r
}

// shownBy is the cluster that a read showed, to be changed.
func shownBy(p *journal, name string) *fleet.Cluster {
	l := *p.step(name).Look
	l.Clusters = slices.Clone(l.Clusters)
	p.step(name).Look = &l
	return &l.Clusters[0]
}

// TestJudge: the journal as it is breaks nothing, nor does what is harmless; each
// other change breaks at least the promise named.
func TestJudge(t *testing.T) {
	hold := record.Hold{ID: "h1", Target: record.TheCluster(shopWeb)}
	for _, tt := range []struct {
		promise int // 0: none
		name    string
		change  func(p *journal)
	}{
		{0, "as it should be", func(*journal) {}},
		{0, "GKE accepts the start minutes later", func(p *journal) {
			p.delay("start delivered", 10*time.Minute)
			p.drop("start answered", "start outcome", "start end")
		}},
		{0, "a hold has run out", func(p *journal) {
			p.step("start fleet").Fleet.Holds = []record.Hold{{ID: "h1", Target: record.TheCluster(shopWeb),
				Until: p.step("start").At}}
		}},
		{0, "another cluster is held",
			func(p *journal) {
				p.step("start fleet").Fleet.Holds = []record.Hold{{ID: "h1",
					Target: record.TheCluster(shopBlog)}}
			}},
		{0, "the sender was paused before it sent, for less than a call takes",
			func(p *journal) { p.delay("start sent", 40*time.Second) }},

		{1, "not due", func(p *journal) { shownBy(p, "start read").Bundle.CAs = []fleet.CA{newCA} }},
		{1, "not selected", func(p *journal) { shownBy(p, "start read").Labels = map[string]string{"env": "dev"} }},
		{1, "two CAs were shown",
			func(p *journal) { shownBy(p, "start read").Bundle.CAs = []fleet.CA{oldCA, newCA} }},
		{1, "status", func(p *journal) { shownBy(p, "start read").Status = "RECONCILING" }},
		{1, "an operation ran", func(p *journal) {
			p.step("start ops").Look.Operations[shopWeb] = []fleet.Operation{{Name: "x", Type: "UPDATE_CLUSTER"}}
		}},
		{1, "outside the window", func(p *journal) { p.delay("start", 5*time.Hour) }},
		{1, "too little window left", func(p *journal) { p.delay("start", 3*time.Hour+45*time.Minute) }},
		{1, "the cluster's own window", func(p *journal) {
			p.step("start read").Look.Raw[shopWeb].MaintenancePolicy = recurringPolicy(at("2026-11-21 02:00"),
				at("2026-11-21 06:00"), "FREQ=WEEKLY;BYDAY=SA")
		}},
		{1, "a freeze", func(p *journal) {
			if err := p.step("start").Run.Policy.Freezes.UnmarshalText([]byte("2026-11-23")); err != nil {
				p.t.Fatal(err)
			}
		}},
		{1, "a start without the approval that is asked for",
			func(p *journal) { p.step("start").Run.Policy.Approval = rules.ApproveBoth }},
		{1, "held, by the transaction", func(p *journal) {
			p.step("start store").Contents.Fleet.Holds = []record.Hold{hold}
			rotationOf(p, "start intent")
			p.step("start intent").Write.Now.Fleet.Holds = []record.Hold{hold}
			p.insert("start", "hold",
				Event{Kind: Person, Env: "one",
					Write: &Write{Applied: true, Now: state.Change{Fleet: &record.FleetDoc{Holds: []record.Hold{hold}}}}})
		}},
		{1, "nodes outside the window", func(p *journal) { p.delay("nodes", 5*time.Hour) }},

		{2, "no intent", func(p *journal) { p.step("start sent").Request.Intent = "" }},
		{2, "somebody else's intent", func(p *journal) { p.step("start intent").Pass = 9 }},
		{2, "nobody knew whether the intent was stored",
			func(p *journal) { p.step("start intent").Write.Delivered = "unavailable" }},
		{2, "no operations read", func(p *journal) { p.drop("start ops") }},
		{2, "no cluster read", func(p *journal) { p.drop("start read") }},
		{2, "read before the intent", func(p *journal) { p.move("start read", "start intent") }},
		{2, "the cluster before the operations", func(p *journal) { p.move("start read", "start ops") }},
		{2, "too late after the intent", func(p *journal) { p.delay("start ops", time.Minute) }},
		{2, "sent twice", func(p *journal) { p.insert("start delivered", "again", *p.step("start sent")) }},
		{2, "a complete while the start is unsettled", func(p *journal) {
			p.insert("start outcome", "early", *p.step("complete intent"))
			p.insert("start outcome", "early ops", *p.step("start ops"))
			p.insert("start outcome", "early read", *p.step("start read"))
			sent := *p.step("complete sent")
			sent.Pass = p.step("start").Pass
			p.step("early").Pass = sent.Pass
			p.insert("start outcome", "early sent", sent)
		}},

		{3, "no pool was recreated", func(p *journal) {
			p.step("done ops").Look.Operations = nil
			p.step("complete ops").Look.Operations = nil
		}},
		{3, "the pool's operation failed", func(p *journal) {
			for _, name := range []string{"done ops", "complete ops"} {
				p.step(name).Look.Operations[shopWeb][0].Error = "stockout"
			}
		}},
		{3, "the pool's operation is older than the CA", func(p *journal) {
			for _, name := range []string{"done ops", "complete ops"} {
				p.step(name).Look.Operations[shopWeb][0].Start = at("2026-11-23 00:00")
			}
		}},
		{3, "the soak runs", func(p *journal) { p.step("complete").Run.Policy.Soak = 5 * day }},
		{3, "nodes were done an hour ago", func(p *journal) {
			p.step("complete ops").Look.Operations[shopWeb] = append(p.step("complete ops").Look.Operations[shopWeb],
				fleet.Operation{Name: "later", Type: "UPGRADE_NODES", Pool: "a", Done: true,
					Start: at("2026-11-26 08:00"), End: at("2026-11-26 09:00")})
		}},
		{3, "no approval", func(p *journal) { p.step("complete fleet").Fleet.Approvals = nil }},
		{3, "approved by nobody", func(p *journal) { p.drop("approval") }},
		{3, "approved for another attempt",
			func(p *journal) { p.step("complete fleet").Fleet.Approvals[0].Attempt = "zero" }},
		{3, "approved for another entry",
			func(p *journal) { p.step("complete fleet").Fleet.Approvals[0].Entry = 2 }},
		{3, "COMPLETE_WINDOW is closed", func(p *journal) { p.delay("complete", 5*time.Hour) }},

		{4, "a start without a slot",
			func(p *journal) {
				rotationOf(p,
					"start intent")
				p.step("start intent").Write.Now.Fleet.Slots = nil
			}},
		{4, "one slot too many", func(p *journal) {
			rotationOf(p, "start intent")
			p.step("start intent").Write.Now.Fleet.Slots[shopBlog.String()] = record.Slot{Attempt: "other"}
		}},
		{4, "an emergency's slot without emergency", func(p *journal) {
			rotationOf(p, "start intent")
			p.step("start intent").Write.Now.Fleet.Slots[shopWeb.String()] = record.Slot{Attempt: "one",
				Emergency: true}
		}},
		{4, "the slot is given back at once", func(p *journal) {
			p.step("start outcome").Write.Now.Fleet = &record.FleetDoc{}
		}},
		{4, "the slot is given back on the way",
			func(p *journal) { p.step("nodes done").Write.Now.Fleet = &record.FleetDoc{} }},

		{5, "no document holds what is sent", func(p *journal) { p.step("start intent").Write.Applied = false }},
		{5, "the call is lost from the document", func(p *journal) { rotationOf(p, "start outcome").Call = nil }},
		{5, "the call is not in the record", func(p *journal) { rotationOf(p, "closed").Settled = nil }},
		{5, "closed while unsettled", func(p *journal) {
			r := *rotationOf(p, "start outcome")
			p.step("start outcome").Write.Now = state.Change{Close: &record.Record{Rotation: r,
				ClosedAs: record.ClosedByPeople}}
		}},
		{5, "not-started of what started", func(p *journal) {
			r := *rotationOf(p, "nodes outcome")
			p.insert("nodes", "gives up", Event{Kind: Stored, Pass: 9, Env: "one", Cluster: shopWeb,
				Write: &Write{Applied: true, Now: state.Change{
					Close: &record.Record{Rotation: *startedOnly(r), ClosedAs: record.NotStarted},
				}}})
		}},
		{5, "ours is on record as foreign", func(p *journal) {
			r := *startedOnly(*rotationOf(p, "nodes outcome"))
			p.insert("nodes", "gives up", Event{Kind: Stored, Pass: 9, Env: "one", Cluster: shopWeb,
				Write: &Write{Applied: true,
					Now: state.Change{Close: &record.Record{Rotation: r, ClosedAs: record.ClosedByPeople}}}})
			r.AttemptID, r.Origin = "two", record.Foreign
			p.insert("nodes", "adopts", Event{Kind: Stored, Pass: 9, Env: "one", Cluster: shopWeb,
				Write: &Write{Applied: true, Now: state.Change{Rotation: &r}}})
			p.cut("nodes")
		}},
		{5, "replaced without being closed", func(p *journal) { rotationOf(p, "nodes done").AttemptID = "two" }},
		{5, "completed although the old CA is there", func(p *journal) { p.drop("one CA") }},

		{6, "a phase is left out", func(p *journal) {
			r := rotationOf(p, "nodes done")
			r.Phase, r.Transitions[len(r.Transitions)-1].Phase = record.Completing, record.Completing
		}},
		{6, "back to the start", func(p *journal) {
			r := rotationOf(p, "nodes done")
			r.Phase, r.Transitions[len(r.Transitions)-1].Phase = record.Starting, record.Starting
		}},
		{6, "a transition is lost", func(p *journal) {
			r := rotationOf(p, "nodes done")
			r.Transitions = r.Transitions[1:]
		}},
		{6, "the phase is not the last transition's",
			func(p *journal) { rotationOf(p, "verifying").Phase = record.Completing }},

		{7, "a plan sends", func(p *journal) { p.step("start").Run.Look = true }},
		{7, "a plan takes the lease", func(p *journal) {
			p.insert("start intent", "lease", Event{Kind: Leased, Pass: 1})
			p.step("start").Run.Look = true
			p.cut("start intent")
		}},
		{7, "observe sends", func(p *journal) { p.step("start").Run.Mode = "observe" }},
		{7, "a held cluster's start", func(p *journal) { p.step("start fleet").Fleet.Holds = []record.Hold{hold} }},
		{7, "all is held, nodes", func(p *journal) { p.step("nodes fleet").Fleet.Holds = []record.Hold{{}} }},
		{7, "nobody looked for holds", func(p *journal) { p.drop("complete fleet") }},

		{8, "a slot that nobody holds", func(p *journal) {
			rotationOf(p, "closed")
			p.step("closed").Write.Now.Fleet.Slots = map[string]record.Slot{shopWeb.String(): {Attempt: "one"}}
		}},
		{8, "a start that never settles", func(p *journal) { p.only("start outcome", 10*day) }},
		{8, "a rotation that never ends", func(p *journal) { p.only("nodes done", 40*day) }},
		{8, "nothing is ever started", func(p *journal) { p.only("settings", 40*day) }},
		{0, "nothing is to be started",
			func(p *journal) {
				p.step("begin").Facts = []Fact{*factOf(shopWeb, newCA)}
				p.only("settings",
					40*day)
			}},

		{9, "an emergency that was not to be", func(p *journal) { p.only("settings", 80*day) }},
		{9, "the CA is replaced, but late", func(p *journal) {
			p.only("settings", 80*day)
			p.insert("end", "one CA", Event{Kind: Changed, Cluster: shopWeb, Fact: factOf(shopWeb, newCA)})
			p.step("end").Facts = []Fact{*factOf(shopWeb, newCA)}
		}},
		{0, "the CA is replaced in time", func(p *journal) {
			p.only("settings", 80*day)
			p.insert("end", "one CA", Event{Kind: Changed, Cluster: shopWeb, Fact: factOf(shopWeb, newCA)})
			p.step("one CA").At = at("2027-01-10 00:00")
			p.step("end").Facts = []Fact{*factOf(shopWeb, newCA)}
		}},
	} {
		t.Run(fmt.Sprintf("%d %s", tt.promise, tt.name), func(t *testing.T) {
			p := newJournal(t)
			tt.change(p)
			numbers, texts := brokenOn(p)
			if tt.promise == 0 && len(numbers) > 0 || tt.promise > 0 && !slices.Contains(numbers, tt.promise) {
				t.Errorf("broken are promises %v, want %d: %q", numbers, tt.promise, texts)
			}
		})
	}
}

// startedOnly is a rotation as it was before nodes.
func startedOnly(r record.Rotation) *record.Rotation {
	r.Phase, r.Transitions, r.PoolCalls = record.Starting, r.Transitions[:1], nil
	return &r
}

// only keeps the steps up to one, then it is calm for that long.
func (p *journal) only(last string, calm time.Duration) {
	facts := p.step("begin").Facts
	if i := slices.IndexFunc(p.steps,
		func(s *step) bool { return s.name == last }); i > slices.IndexFunc(p.steps,
		func(s *step) bool { return s.name == "two CAs" }) && last != "settings" {
		facts = []Fact{*p.step("two CAs").Fact}
	}
	i := slices.IndexFunc(p.steps, func(s *step) bool { return s.name == last })
	p.steps = p.steps[:i+1]
	p.pass, p.now = 0, p.steps[i].At
	p.add("calm", Event{Kind: Calm})
	p.now = p.now.Add(calm)
	p.add("end", Event{Kind: End, Facts: facts})
}

// TestPromisesAreListed: every promise has a judge, and the judge judges
// nothing that is not promised.
func TestPromisesAreListed(t *testing.T) {
	var numbers []int
	for _, p := range promises {
		numbers = append(numbers, p.number)
		if p.says == "" || p.judge == nil {
			t.Errorf("promise %d has no words or no judge", p.number)
		}
	}
	if got := slices.Compact(numbers); !slices.Equal(got, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}) {
		t.Errorf("judged are %v", got)
	}
}
