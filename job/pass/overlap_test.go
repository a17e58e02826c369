package pass

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// TestOverlap: a second run is made, whole, at every point of the first one.
// Both believe that they hold the lease. One start reaches GKE, one slot is
// held, and the rotation ends well.
func TestOverlap(t *testing.T) {
	points := map[string]func(p *process, other func()){
		"after the store is read": func(p *process, other func()) {
			p.beforeRead = func(call string) error {
				if call == "clusters shop" {
					other()
				}
				return nil
			}
		},
		"before the intent": func(p *process, other func()) {
			p.beforeWrite = func(c state.Change) error {
				if intends(c, record.CallStart) {
					other()
				}
				return nil
			}
		},
		"after the intent": func(p *process, other func()) { p.after(record.CallStart, other) },
		"after the read under the intent": func(p *process, other func()) {
			p.beforeSend = other
		},
		"before the outcome": func(p *process, other func()) {
			p.answer = func(o record.Outcome) record.Outcome { other(); return o }
		},
	}
	for name, at := range points {
		for _, gap := range []time.Duration{0, 20 * time.Second, 45 * time.Minute} {
			t.Run(fmt.Sprintf("%s, %s", name, gap), func(t *testing.T) {
				s := newStage(t, shop)
				first, made := s.process().alone(), false
				at(first, func() {
					if made {
						return
					}
					made = true
					s.pass(gap)
					second := s.process().alone()
					if res := second.must(); res.Unstored != 0 {
						t.Errorf("the second run left %d outcomes", res.Unstored)
					}
				})
				res, err := first.run(t.Context())
				if err != nil || res.Unstored != 0 {
					t.Fatalf("unstored %d, %v", res.Unstored, err)
				}
				if !made {
					t.Fatal("the first run never came to that point")
				}
				if len(s.doc().Slots) > 1 {
					t.Errorf("slots %v", s.doc().Slots)
				}
				s.pass(time.Hour)
				s.hourly(80, func() bool { return len(s.history()) > 0 && s.history()[0].ClosedAs == record.Completed })
				accepted := 0
				for _, e := range s.sent("StartIPRotation") {
					if e.Accepted {
						accepted++
					}
				}
				if accepted != 1 {
					t.Errorf("%d starts accepted: %+v", accepted, s.sent("StartIPRotation"))
				}
				if len(s.doc().Slots) != 0 {
					t.Errorf("slots %v", s.doc().Slots)
				}
				for _, h := range s.history() {
					if h.Rotation.Origin == record.Foreign {
						t.Errorf("ours is on record as foreign: %+v", h)
					}
				}
			})
		}
	}
}

// TestOutcomeOvertaken: another run proves the second CA while the first still
// waits for its answer. The late outcome spoils nothing and is no failure.
func TestOutcomeOvertaken(t *testing.T) {
	s := newStage(t, shop)
	first := s.process().alone()
	first.answer = func(o record.Outcome) record.Outcome {
		s.pass(20 * time.Minute)
		s.process().alone().must()
		if s.phase() != record.RecreatingNodes {
			t.Fatalf("phase %q", s.phase())
		}
		return o
	}
	res := first.must()
	if res.Unstored != 0 || s.phase() != record.RecreatingNodes {
		t.Errorf("unstored %d, phase %q", res.Unstored, s.phase())
	}
	if r := res.Done[0].After.Rotation; r == nil || r.Phase != record.RecreatingNodes {
		t.Errorf("the result must hold what is stored: %+v", r)
	}
}

// TestFleetConflict: the fleet document changed between plan and intent. The
// start is not sent by this run; what is in flight goes on.
func TestFleetConflict(t *testing.T) {
	other := fleet.Ref{Project: "shop", Location: "europe-west1", Name: "yard"}
	s := newStage(t, shop)
	s.process().must() // shop's cluster is in flight
	s.add(other, "2027-03-12", nil)
	third := fleet.Ref{Project: "shop", Location: "europe-west1", Name: "zoo"}
	s.add(third, "2027-03-13", nil)
	s.pass(time.Hour)
	p := s.process().alone()
	edited := false
	p.beforeWrite = func(c state.Change) error {
		if c.Fleet != nil && !edited {
			edited = true
			s.edit(func(d *record.FleetDoc) {
				d.Requests = append(d.Requests, record.Request{Kind: record.RequestRetry, Cluster: shop,
					Said: record.Said{By: "ann", At: s.now}})
			})
		}
		return nil
	}
	res := p.must()
	s.wantSent("StartIPRotation", 1)
	if s.phase() != record.RecreatingNodes {
		t.Errorf("phase %q", s.phase())
	}
	skipped := 0
	for _, d := range res.Done {
		if d.Skipped != "" {
			skipped++
		}
	}
	if skipped != 2 {
		t.Errorf("both starts must be skipped: %+v", res.Done)
	}
	if len(s.doc().Requests) != 1 {
		t.Errorf("a request made during the run is lost: %+v", s.doc().Requests)
	}
	if s.doc().LastRun.Run != "run-2" {
		t.Errorf("the run is not noted: %+v", s.doc().LastRun)
	}
	s.pass(time.Hour)
	s.process().must()
	s.wantSent("StartIPRotation", 3)
}

// TestStartsInOneRun: several starts of one run each see the slots of those
// before.
func TestStartsInOneRun(t *testing.T) {
	s := newStage(t, shop)
	for _, name := range []string{"x", "y", "z"} {
		s.add(fleet.Ref{Project: "shop", Location: "europe-west1", Name: name}, "2027-03-12", nil)
	}
	s.policy.MaxActive = 3
	p := s.process()
	p.Parallel = 4
	p.must()
	s.wantSent("StartIPRotation", 3)
	if len(s.doc().Slots) != 3 {
		t.Errorf("slots %v", s.doc().Slots)
	}
}

// TestLease: a run that finds another at work does nothing, says so, and that
// is no error. The lease is given back at the end and runs out after a crash.
func TestLease(t *testing.T) {
	s := newStage(t, shop)
	held, err := s.contents.Lease(t.Context(), state.Lease{Holder: "somebody/0/x", Now: s.now,
		Until: s.now.Add(state.LeaseLasts)})
	if err != nil || held.Holder != "somebody/0/x" {
		t.Fatalf("%+v, %v", held, err)
	}
	p := s.process()
	res := p.must()
	if res.Busy != "somebody/0/x" || len(res.Done) != 0 || len(p.calls) != 0 {
		t.Errorf("busy %q, done %v, calls %q", res.Busy, res.Done, p.calls)
	}
	if m := p.line(EventLeaseBusy); m["holder"] != "somebody/0/x" || m["level"] != "INFO" {
		t.Errorf("told %v", m)
	}
	s.pass(state.LeaseLasts)
	for range 2 { // the second finds it given back
		if res := s.process().must(); res.Busy != "" {
			t.Fatalf("busy %q", res.Busy)
		}
	}
	s.wantSent("StartIPRotation", 1)
}

// TestLeaseLost: the run that lost its lease makes no new intents, but the call
// under way and its outcome are finished.
func TestLeaseLost(t *testing.T) {
	s := newStage(t, shop)
	other := fleet.Ref{Project: "shop", Location: "europe-west1", Name: "yard"}
	s.add(other, "2027-03-12", nil)
	p := s.process()
	asked := 0
	p.lease = func(l state.Lease) (state.Lease, bool) {
		asked++
		if asked == 1 {
			return state.Lease{}, false
		}
		return state.Lease{Holder: "somebody/0/y", Until: l.Until}, true
	}
	p.answer = func(o record.Outcome) record.Outcome { s.pass(2 * time.Minute); return o }
	res := p.must()
	s.wantSent("StartIPRotation", 1)
	if r := s.rotation(); r == nil || r.Call.State != record.Accepted {
		t.Errorf("in the store: %+v", r)
	}
	if asked != 2 || res.Stopped == "" {
		t.Errorf("asked %d times, stopped %q", asked, res.Stopped)
	}
	if s.doc().LastRun.Run != "" {
		t.Error("a run that was taken over must not write its note into the other's document")
	}
}

// TestLeaseRenewed: about every minute, checked between actions.
func TestLeaseRenewed(t *testing.T) {
	s := newStage(t, shop)
	for _, name := range []string{"x", "y", "z"} {
		s.add(fleet.Ref{Project: "shop", Location: "europe-west1", Name: name}, "2027-03-12", nil)
	}
	p := s.process()
	var asked []time.Time
	p.lease = func(l state.Lease) (state.Lease, bool) { asked = append(asked, l.Now); return l, true }
	p.answer = func(o record.Outcome) record.Outcome { s.pass(35 * time.Second); return o }
	p.must()
	s.wantSent("StartIPRotation", 4)
	// Taken; after 35 s not yet; after 70 s; after 105 s not yet; given back.
	if len(asked) != 3 || asked[1].Sub(asked[0]) != 70*time.Second {
		t.Errorf("asked at %v", asked)
	}
}

// TestEnv: the first run writes its identity into the store; another identity is
// refused before anything is read or sent.
func TestEnv(t *testing.T) {
	s := newStage(t, shop)
	s.process().must()
	if s.doc().Env != "test" {
		t.Fatalf("env %q", s.doc().Env)
	}
	stranger := *s.policy
	stranger.Env = "prod"
	p := s.process()
	p.Policy = &stranger
	_, err := p.run(t.Context())
	var env *EnvError
	if !errors.As(err, &env) || env.Contents != "test" || env.Settings != "prod" {
		t.Fatalf("error %v", err)
	}
	if p.count("clusters shop") != 0 || p.count("write") != 0 {
		t.Errorf("calls %q", p.calls)
	}
	if _, err := Look(t.Context(), p.World, p.Options); !errors.As(err, &env) {
		t.Errorf("plan: %v", err)
	}
	if res := s.process().must(); res.Busy != "" {
		t.Errorf("the refused run kept the lease: %s", res.Busy)
	}
}

// TestEnvRace: two deployments begin on one empty store at the same time.
func TestEnvRace(t *testing.T) {
	s := newStage(t, shop)
	stranger := *s.policy
	stranger.Env = "prod"
	p := s.process().alone()
	p.Policy = &stranger
	p.beforeRead = func(call string) error {
		if call == "clusters shop" {
			s.process().alone().must()
		}
		return nil
	}
	_, err := p.run(t.Context())
	var env *EnvError
	if !errors.As(err, &env) || s.doc().Env != "test" {
		t.Errorf("error %v, store of %q", err, s.doc().Env)
	}
	s.wantSent("StartIPRotation", 1)
}

// TestRefusalOvertaken: while a refusal is on its way, another run sees that
// the new CA alone is left. The phase does not go back.
func TestRefusalOvertaken(t *testing.T) {
	s := newStage(t, shop)
	s.hourly(60, func() bool {
		r := s.rotation()
		return r != nil && r.Phase == record.UpdatingClients && s.now.Sub(r.NodesDoneAt()) >= 23*time.Hour
	})
	s.pass(time.Hour)
	first := s.process().alone()
	first.answer = func(o record.Outcome) record.Outcome {
		if o.State != record.Accepted {
			t.Fatalf("%+v", o)
		}
		s.pass(20 * time.Minute)
		s.process().alone().must()
		if s.phase() != record.Verifying {
			t.Fatalf("phase %q", s.phase())
		}
		return record.Outcome{State: record.Refused, Refusal: record.RequiresRecreation, Pool: "a",
			Raw: "a stale answer"}
	}
	if res := first.must(); res.Unstored != 0 || s.phase() != record.Verifying {
		t.Errorf("unstored %d, phase %q", res.Unstored, s.phase())
	}
}

// TestOutcomeOutrun: however often others write the same rotation first, the
// outcome is stored; a store that nobody can write to is told of.
func TestOutcomeOutrun(t *testing.T) {
	for others, unstored := range map[int]int{1: 0, 2: 0, settleTries: 0, settleTries + 1: 1} {
		s := newStage(t, shop)
		p := s.process().alone()
		p.answer = func(o record.Outcome) record.Outcome {
			left := others
			p.beforeWrite = func(c state.Change) error {
				if c.Rotation == nil || left == 0 {
					return nil
				}
				left--
				r := *s.rotation()
				r.LastRead = r.LastRead.Add(time.Second)
				_, err := s.contents.Write(t.Context(), state.Change{Rotation: &r})
				return err
			}
			return o
		}
		res := p.must()
		if call := s.rotation().Call; res.Unstored != unstored ||
			(call.State == record.Accepted) != (unstored == 0) {
			t.Errorf("%d others: unstored %d, call %+v", others, res.Unstored, call)
		}
	}
}

// TestRequestDuringRun: what a person asks while a run works is not taken for
// done by that run's writes.
func TestRequestDuringRun(t *testing.T) {
	s := newStage(t, shop)
	p := s.process()
	p.after(record.CallStart, func() {
		s.mono += record.SendWithin // the attempt is withdrawn, and closed
		s.edit(func(d *record.FleetDoc) {
			d.Requests = append(d.Requests, record.Request{Kind: record.RequestRetry, Cluster: shop,
				Said: record.Said{By: "ann", At: s.now}})
		})
	})
	p.must()
	if len(s.history()) != 1 || len(s.doc().Slots) != 0 {
		t.Fatalf("history %+v, slots %v", s.history(), s.doc().Slots)
	}
	if len(s.doc().Requests) != 1 {
		t.Errorf("the request is lost: %+v", s.doc())
	}
}
