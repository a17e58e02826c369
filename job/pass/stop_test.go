package pass

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

var yard = fleet.Ref{Project: "shop", Location: "europe-west1", Name: "yard"}

// TestCancelled: told to stop in mid-run, the run finishes the call under way
// and its outcome, begins nothing else, notes itself and gives the lease back.
func TestCancelled(t *testing.T) {
	s := newStage(t, shop)
	s.add(yard, "2027-03-12", nil)
	ctx, cancel := context.WithCancel(t.Context())
	p := s.process()
	p.answer = func(o record.Outcome) record.Outcome { cancel(); return o }
	res, err := p.run(ctx)
	if err != nil || res.Unstored != 0 || !strings.Contains(res.Stopped, "told to stop") {
		t.Fatalf("unstored %d, stopped %q, %v", res.Unstored, res.Stopped, err)
	}
	s.wantSent("StartIPRotation", 1)
	if r := s.rotation(); r == nil || r.Call.State != record.Accepted {
		t.Errorf("in the store: %+v", r)
	}
	if len(s.doc().Slots) != 1 || s.doc().LastRun.Run == "" {
		t.Errorf("fleet %+v", s.doc())
	}
	if p.line(EventRunFinished)["stopped"] == "" {
		t.Error("run_finished does not say that the run stopped early")
	}
	if res := s.process().must(); res.Busy != "" {
		t.Errorf("the lease was kept by %s", res.Busy)
	}
	s.wantSent("StartIPRotation", 2)
}

// TestCancelledUnderIntent: told to stop between intent and call: withdrawn.
func TestCancelledUnderIntent(t *testing.T) {
	s := newStage(t, shop)
	ctx, cancel := context.WithCancel(t.Context())
	p := s.process()
	p.after(record.CallStart, cancel)
	if _, err := p.run(ctx); err != nil {
		t.Fatal(err)
	}
	s.wantSent("StartIPRotation", 0)
	if s.rotation() != nil || len(s.doc().Slots) != 0 || len(s.history()) != 1 {
		t.Errorf("in flight %+v, slots %v", s.rotation(), s.doc().Slots)
	}
}

// TestCancelledWhileLooking: what was not read yet is not unreadable.
func TestCancelledWhileLooking(t *testing.T) {
	s := newStage(t, shop)
	s.add(fleet.Ref{Project: "zoo", Location: "europe-west1", Name: "z"}, "2027-03-12", nil)
	ctx, cancel := context.WithCancel(t.Context())
	p := s.process()
	p.beforeRead = func(call string) error {
		if call == "clusters zoo" {
			cancel()
			return ctx.Err()
		}
		return nil
	}
	if _, err := p.run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	s.wantSent("StartIPRotation", 0)
	if l := p.line(EventRunFinished); l["stopped"] != toldToStop || l["error"] == nil {
		t.Errorf("it ends with %v", l)
	}
	for _, e := range p.events() {
		if e == EventProjectUnreadable {
			t.Error("told project_unreadable")
		}
	}
}

// TestDeadline: after it nothing new is begun; what is under way is finished.
func TestDeadline(t *testing.T) {
	s := newStage(t, shop)
	s.add(yard, "2027-03-12", nil)
	p := s.process()
	p.Deadline = 50 * time.Minute
	p.answer = func(o record.Outcome) record.Outcome { s.mono += 50 * time.Minute; return o }
	res := p.must()
	s.wantSent("StartIPRotation", 1)
	if r := s.rotation(); r.Call.State != record.Accepted {
		t.Errorf("in the store: %+v", r)
	}
	if !strings.Contains(res.Stopped, "DEADLINE") || len(res.Done) != 2 || res.Done[1].Ref != yard ||
		res.Done[1].Skipped == "" {
		t.Errorf("stopped %q, done %+v", res.Stopped, res.Done)
	}
}

// TestObserve: without a mover nothing is sent and no intent is stored; what
// somebody else rotates is kept in the store and followed to its end.
func TestObserve(t *testing.T) {
	s := newStage(t, shop)
	s.add(yard, "2027-03-12", nil)
	observe := func() (*process, Result) {
		p := s.process()
		p.Move, p.Mode = nil, "observe"
		p.beforeWrite = func(c state.Change) error {
			for _, kind := range []record.CallKind{record.CallStart, record.CallComplete, record.CallRecreate} {
				if intends(c, kind) {
					t.Errorf("an intent is stored: %+v", c.Rotation)
				}
			}
			return nil
		}
		leases := 0
		p.lease = func(state.Lease) (state.Lease, bool) { leases++; return state.Lease{}, false }
		res := p.must()
		if wrote := len(res.Done) > 0; wrote != (leases > 0) {
			t.Errorf("wrote %v, asked for the lease %d times", wrote, leases)
		}
		return p, res
	}
	_, res := observe()
	if len(res.Done) != 0 || res.Decisions[0].Action != policy.Start {
		t.Errorf("decisions %+v, done %+v", res.Decisions[0].Action, res.Done)
	}
	if o := s.cloud.Start(t.Context(), shop); o.State != record.Accepted { // somebody else
		t.Fatalf("%+v", o)
	}
	s.pass(time.Hour)
	p, _ := observe()
	if r := s.rotation(); r == nil || r.Origin != record.Foreign || r.AttemptID == "" || r.AttemptNo != 1 {
		t.Errorf("in the store: %+v", r)
	}
	p.line(policy.EventForeignRotation)
	before := len(s.gke.Journal())
	for range 30 {
		s.pass(24 * time.Hour)
		observe()
	}
	if n := len(s.gke.Journal()); n != before {
		t.Errorf("%d requests were sent", n-before)
	}
}

// TestObserveBusy: an observing run that meets another at work writes nothing.
func TestObserveBusy(t *testing.T) {
	s := newStage(t, shop)
	if o := s.cloud.Start(t.Context(), shop); o.State != record.Accepted {
		t.Fatalf("%+v", o)
	}
	s.pass(time.Hour)
	p := s.process()
	p.Move, p.Mode = nil, "observe"
	p.lease = func(state.Lease) (state.Lease, bool) { return state.Lease{Holder: "somebody"}, true }
	if res := p.must(); res.Busy != "somebody" || p.count("write") != 0 || len(res.Decisions) != 1 {
		t.Errorf("busy %q, calls %q", res.Busy, p.calls)
	}
}

// TestLookWritesNothing: what plan calls.
func TestLookWritesNothing(t *testing.T) {
	s := newStage(t, shop)
	p := s.process()
	p.lease = func(state.Lease) (state.Lease, bool) {
		t.Error("the lease was asked for")
		return state.Lease{},
			false
	}
	res, err := Look(t.Context(), p.World, p.Options)
	if err != nil || len(res.Decisions) != 1 || res.Decisions[0].Action != policy.Start {
		t.Fatalf("%+v, %v", res.Decisions, err)
	}
	if p.count("write") != 0 || len(s.gke.Journal()) != 0 {
		t.Errorf("calls %q", p.calls)
	}
	p.Store = nil // a plan without a store
	if res, err := Look(t.Context(), p.World, p.Options); err != nil || res.Fleet.Contents.Known {
		t.Errorf("%+v, %v", res.Fleet.Contents, err)
	}
	if _, err := Run(t.Context(), p.World, p.Options); !errors.Is(err, errNoStore) {
		t.Errorf("a run that acts without a store: %v", err)
	}
}

// TestCancelledInACall: a signal does not cut a call short.
func TestCancelledInACall(t *testing.T) {
	s := newStage(t, shop)
	ctx, cancel := context.WithCancel(t.Context())
	p := s.process()
	p.beforeSend = cancel
	if _, err := p.run(ctx); err != nil {
		t.Fatal(err)
	}
	s.wantSent("StartIPRotation", 1)
	if r := s.rotation(); r == nil || r.Call.State != record.Accepted {
		t.Errorf("in the store: %+v", r)
	}
}

// TestCancelledBetweenPools: the first pool's call is finished, the second is
// withdrawn, both in one write.
func TestCancelledBetweenPools(t *testing.T) {
	s := newStage(t, shop)
	s.process().must()
	s.pass(30 * time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	p := s.process()
	p.answer = func(o record.Outcome) record.Outcome { cancel(); return o }
	if _, err := p.run(ctx); err != nil {
		t.Fatal(err)
	}
	s.wantSent("UpdateNodePool", 1)
	r := s.rotation()
	if c := r.PoolCalls["a"]; len(r.PoolCalls) != 1 || c.State != record.Accepted {
		t.Errorf("in the store: %+v", r.PoolCalls)
	}
}

// TestRunFails: a run that could not be made says so at its end, and why.
func TestRunFails(t *testing.T) {
	for name, spoil := range map[string]func(*process){
		"no project": func(p *process) { p.beforeRead = func(string) error { return errDenied } },
		"no store":   func(p *process) { p.Store = nil },
	} {
		p := newStage(t, shop).process()
		spoil(p)
		_, err := p.run(t.Context())
		if err == nil {
			t.Fatalf("%s: it was made", name)
		}
		if l := p.line(EventRunFinished); l["error"] != err.Error() || l["run"] == nil || l["env"] != "test" {
			t.Errorf("%s: it ends with %v", name, l)
		}
	}
}

// TestToldToStopLate: also a run that was told to stop when all was begun says so.
func TestToldToStopLate(t *testing.T) {
	s := newStage(t, shop)
	ctx, cancel := context.WithCancel(t.Context())
	p := s.process()
	p.afterWrite = func(c state.Change) error {
		if c.Rotation != nil && c.Rotation.Call != nil && c.Rotation.Call.State == record.Accepted {
			cancel()
		}
		return nil
	}
	if res, err := p.run(ctx); err != nil || res.Stopped != toldToStop {
		t.Errorf("stopped %q, %v", res.Stopped, err)
	}
	if l := p.line(EventRunFinished); l["stopped"] != toldToStop {
		t.Errorf("it ends with %v", l)
	}
}
