package pass

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/job/intercept"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

var errStore = errors.New("the store is out of reach")

// TestCrashAfterIntent: a process dies after its intent. Nobody who reads the
// intent sends it; it settles as not-started, frees its slot, and a later run
// tries again through all gates.
func TestCrashAfterIntent(t *testing.T) {
	s := newStage(t, shop)
	p := s.process()
	p.after(record.CallStart, func() { p.dead = true })
	_, _ = p.run(t.Context()) // what a dead process returns, nobody sees
	if r := s.rotation(); r == nil || r.Call == nil || r.Call.State != record.Intended {
		t.Fatalf("in the store: %+v", r)
	}
	if len(s.doc().Slots) != 1 {
		t.Fatalf("slots %v", s.doc().Slots)
	}
	for range 2 { // before SETTLE absence proves nothing
		s.pass(10 * time.Minute)
		s.process().must()
		if s.phase() != record.Starting || len(s.doc().Slots) != 1 {
			t.Fatalf("too early: phase %q, slots %v", s.phase(), s.doc().Slots)
		}
	}
	s.pass(10 * time.Minute)
	p = s.process()
	closing := state.Change{}
	p.beforeWrite = func(c state.Change) error {
		if c.Close != nil {
			closing = c
		}
		return nil
	}
	p.must()
	if closing.Close == nil || closing.Close.ClosedAs != record.NotStarted || closing.Fleet == nil ||
		len(closing.Fleet.Slots) != 0 {
		t.Errorf("the attempt must close and free its slot in one write: %+v", closing)
	}
	s.wantSent("StartIPRotation", 0)
	s.hourly(8, func() bool { return len(s.sent("StartIPRotation")) == 1 })
	if r := s.rotation(); r.AttemptNo != 2 {
		t.Errorf("attempt number %d, want 2", r.AttemptNo)
	}
}

// TestAnswerLost: GKE accepted, the answer never came. The second CA proves it.
func TestAnswerLost(t *testing.T) {
	s := newStage(t, shop)
	p := s.process()
	p.answer = func(record.Outcome) record.Outcome {
		return record.Outcome{State: record.Unclear, Raw: "connection reset"}
	}
	p.must()
	if m := p.line(policy.EventActionFailed); m["reason"] != string(reason.CallUnsettled) ||
		m["level"] != "ERROR" {
		t.Errorf("silence is told as %v", m)
	}
	s.pass(time.Hour)
	s.process().must()
	if r := s.rotation(); r == nil || r.Phase != record.RecreatingNodes || r.Origin != record.Ours {
		t.Errorf("in the store: %+v", r)
	}
	s.wantSent("StartIPRotation", 1)
}

// TestRequiresRecreation: a refused completion goes back for the pool that GKE
// names, and comes again when that pool is done.
func TestRequiresRecreation(t *testing.T) {
	s := newStage(t, shop)
	s.hourly(60, func() bool {
		r := s.rotation()
		return r != nil && r.Phase == record.UpdatingClients && s.now.Sub(r.NodesDoneAt()) >= 23*time.Hour
	})
	s.pass(time.Hour)
	p := s.process()
	p.answer = func(record.Outcome) record.Outcome {
		return record.Outcome{State: record.Refused, Refusal: record.RequiresRecreation, Pool: "b",
			Raw: `Node pool "b" requires recreation.`}
	}
	// GKE refuses: the request must not take effect.
	p.network = refusing
	p.must()
	if s.phase() != record.RecreatingNodes {
		t.Fatalf("phase %q", s.phase())
	}
	if s.rotation().Pools["b"].Done() {
		t.Error("the pool's older evidence must be void")
	}
	if m := p.line(policy.EventPhaseChanged); m["reason"] != string(reason.CompleteSent) {
		t.Errorf("first told: %v", m)
	}
	s.pass(time.Hour)
	s.hourly(60, func() bool { return len(s.history()) == 1 })
	if n := len(s.sent("UpdateNodePool")); n != 3 {
		t.Errorf("%d pool calls, want 3: a, b and b again", n)
	}
}

// TestWithdrawn: what happens between intent and call. The attempt is closed
// and its slot freed in one write, nothing reaches GKE, nothing counts as a
// failure, and the run says why.
func TestWithdrawn(t *testing.T) {
	cases := map[string]struct {
		change func(*testing.T, *stage)
		why    string
	}{
		"a hold is placed": {func(_ *testing.T, s *stage) {
			s.edit(func(d *record.FleetDoc) {
				d.Holds = append(d.Holds,
					record.Hold{ID: "h1", Target: record.TheCluster(shop), Said: record.Said{By: "ann",
						Reason: "sale", At: s.now}})
			})
		}, "held by ann"},
		"everything is held": {func(_ *testing.T, s *stage) {
			s.edit(func(d *record.FleetDoc) {
				d.Holds = append(d.Holds, record.Hold{Said: record.Said{By: "ann", At: s.now}})
			})
		}, "held by ann"},
		"its owners set a label": {func(t *testing.T, s *stage) {
			if err := s.gke.Change(shop.Path(),
				func(pb *containerpb.Cluster) { pb.ResourceLabels = map[string]string{"rotator-hold": "launch"} }); err != nil {
				t.Fatal(err)
			}
		}, "held by its label rotator-hold=launch"},
		"the window closes": {func(_ *testing.T, s *stage) { s.now = s.now.Add(2 * time.Minute) }, "window"},
		"too much time":     {func(_ *testing.T, s *stage) { s.mono += record.SendWithin }, "since the intent"},
		"another operation": {func(t *testing.T, s *stage) {
			if o := s.cloud.Recreate(t.Context(), shop,
				fleet.Pool{Name: "a", Version: "1.33.5-gke.1080000"}); o.State != record.Accepted {
				t.Fatalf("%+v", o)
			}
		}, "RECONCILING"},
		"somebody else starts": {func(t *testing.T, s *stage) {
			if o := s.cloud.Start(t.Context(), shop); o.State != record.Accepted {
				t.Fatalf("%+v", o)
			}
		}, "RECONCILING"},
		"the cluster is made anew": {func(_ *testing.T, s *stage) {
			s.gke.Remove(shop.Path())
			s.add(shop, "2027-03-11", func(c *containerpb.Cluster) { c.Id = "another" })
		}, "created again"},
		"the cluster is deleted": {func(_ *testing.T, s *stage) { s.gke.Remove(shop.Path()) }, "does not exist"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.add(shop, "2027-03-11", func(pb *containerpb.Cluster) {
				pb.MaintenancePolicy = &containerpb.MaintenancePolicy{Window: &containerpb.MaintenanceWindow{
					Policy: &containerpb.MaintenanceWindow_DailyMaintenanceWindow{DailyMaintenanceWindow: &containerpb.DailyMaintenanceWindow{StartTime: "00:00"}},
				}}
			})
			s.policy.MaxActive = 1
			s.pass(3*time.Hour + 42*time.Minute) // 18 minutes of window are left, a call needs 17
			p := s.process()
			calls := 0
			p.after(record.CallStart,
				func() { calls = len(s.gke.Journal()); c.change(t, s); calls = len(s.gke.Journal()) })
			res := p.must()
			if len(s.gke.Journal()) != calls {
				t.Error("a call reached GKE")
			}
			if len(res.Done) != 1 || !strings.Contains(res.Done[0].Skipped, c.why) {
				t.Errorf("done %+v; want it to say %q", res.Done, c.why)
			}
			h := s.history()
			if len(h) != 1 || h[0].ClosedAs != record.NotStarted || s.rotation() != nil {
				t.Fatalf("history %+v, in flight %+v", h, s.rotation())
			}
			d := s.doc()
			if tried := d.Tries[shop.String()]; len(d.Slots) != 0 || tried.Count != 0 || tried.Withdrawals != 1 ||
				len(d.Failures) != 0 {
				t.Errorf("slots %v, tries %v, failures %v", d.Slots, d.Tries, d.Failures)
			}
			if m := p.line("call_withdrawn"); m["level"] != "WARN" || m["cluster"] != shop.String() ||
				!strings.Contains(m["msg"].(string), c.why) {
				t.Errorf("told %v", m)
			}
			if slices.ContainsFunc(p.lines(), func(m map[string]any) bool { return m["reason"] == "start-sent" }) {
				t.Error("a start that was not sent is told as begun")
			}
			if res.Unstored != 0 {
				t.Errorf("unstored %d", res.Unstored)
			}
		})
	}
}

// TestOutcomeUnstored: the store fails after the call. One log line holds all
// that a person needs, and the next run finds out by what GKE shows.
func TestOutcomeUnstored(t *testing.T) {
	s := newStage(t, shop)
	p := s.process()
	p.answer = func(o record.Outcome) record.Outcome {
		p.beforeWrite = func(state.Change) error { return errStore }
		return o
	}
	res, err := p.run(t.Context())
	if !errors.Is(err, errStore) || res.Unstored != 1 {
		t.Fatalf("unstored %d, error %v", res.Unstored, err)
	}
	line := p.line(policy.EventActionFailed)
	if line["reason"] != string(reason.OutcomeUnstored) || line["cluster"] != shop.String() ||
		line["level"] != "ERROR" {
		t.Errorf("the line: %v", line)
	}
	var r record.Rotation
	if err := json.Unmarshal([]byte(line["rotation"].(string)), &r); err != nil {
		t.Fatal(err)
	}
	if r.Call.State != record.Accepted || r.Call.Operation == "" || r.AttemptID != s.rotation().AttemptID {
		t.Errorf("the line cannot be replayed: %+v", r)
	}
	s.pass(time.Hour)
	s.process().must()
	if s.phase() != record.RecreatingNodes {
		t.Errorf("phase %q", s.phase())
	}
	s.wantSent("StartIPRotation", 1)
}

// TestAppliedButReportedFailed: a commit was applied and its answer lost.
func TestAppliedButReportedFailed(t *testing.T) {
	t.Run("of an intent: not sent, taken back by its writer", func(t *testing.T) {
		s := newStage(t, shop)
		p := s.process()
		p.afterWrite = func(c state.Change) error {
			if intends(c, record.CallStart) {
				return errStore
			}
			return nil
		}
		res := p.must()
		s.wantSent("StartIPRotation", 0)
		if s.rotation() != nil || len(s.doc().Slots) != 0 || len(s.history()) != 1 {
			t.Errorf("in flight %+v, slots %v, history %+v", s.rotation(), s.doc().Slots, s.history())
		}
		if len(res.Done) != 1 || res.Done[0].Skipped == "" || res.Unstored != 0 {
			t.Errorf("result %+v", res.Done)
		}
		s.pass(time.Hour)
		s.process().must() // never sent: no back-off
		s.wantSent("StartIPRotation", 1)
	})
	t.Run("of an outcome: it is in the store", func(t *testing.T) {
		s := newStage(t, shop)
		p := s.process()
		p.answer = func(o record.Outcome) record.Outcome {
			failed := false
			p.afterWrite = func(state.Change) error {
				if failed {
					return nil
				}
				failed = true
				return errStore
			}
			return o
		}
		res := p.must()
		if r := s.rotation(); res.Unstored != 0 || r.Call.State != record.Accepted || r.Call.Operation == "" {
			t.Errorf("unstored %d, call %+v", res.Unstored, r.Call)
		}
	})
	t.Run("of a refusal: it counts once", func(t *testing.T) {
		s := newStage(t, shop)
		s.process().must()
		s.pass(30 * time.Minute)
		p := s.process()
		p.answer = func(record.Outcome) record.Outcome {
			failed := false
			p.afterWrite = func(state.Change) error {
				if failed {
					return nil
				}
				failed = true
				return errStore
			}
			return record.Outcome{State: record.Refused, Refusal: record.Denied, Raw: "not allowed"}
		}
		if res := p.must(); res.Unstored != 0 {
			t.Errorf("unstored %d", res.Unstored)
		}
		if w := s.rotation().Pools["a"]; w.Failures != 1 {
			t.Errorf("%d failures", w.Failures)
		}
	})
	t.Run("of a phase: it is told, once", func(t *testing.T) {
		s := newStage(t, shop)
		s.process().must()
		s.pass(30 * time.Minute)
		p := s.process()
		p.Move, p.Mode = nil, "observe"
		p.afterWrite = func(c state.Change) error {
			if c.Rotation != nil {
				return errStore
			}
			return nil
		}
		p.must()
		p.line(policy.EventHandedOver)
	})
	t.Run("of a phase together with its intents: told, and taken back", func(t *testing.T) {
		s := newStage(t, shop)
		s.process().must()
		s.pass(30 * time.Minute)
		p := s.process()
		p.afterWrite = func(c state.Change) error {
			if intends(c, record.CallRecreate) {
				return errStore
			}
			return nil
		}
		p.must()
		p.line(policy.EventHandedOver)
		s.wantSent("UpdateNodePool", 0)
		if r := s.rotation(); r.Phase != record.RecreatingNodes || len(r.PoolCalls) != 0 {
			t.Errorf("in the store: %+v", r)
		}
	})
	t.Run("of an intent, and the store stays away: settled by time", func(t *testing.T) {
		s := newStage(t, shop)
		p := s.process()
		p.after(record.CallStart, func() {})
		p.afterWrite = func(state.Change) error { p.dead = true; return errStore }
		_, _ = p.run(t.Context())
		s.wantSent("StartIPRotation", 0)
		s.pass(time.Hour)
		s.process().must()
		if s.rotation() != nil || s.history()[0].ClosedAs != record.NotStarted {
			t.Errorf("in flight %+v", s.rotation())
		}
	})
}

// TestLateStart: GKE accepts a start long after it was concluded that nothing
// came of it. The record is reopened as ours, with its slot.
func TestLateStart(t *testing.T) {
	s := newStage(t, shop)
	p := s.process()
	p.network = silent
	p.must()
	attempt := s.rotation().AttemptID
	s.pass(35 * time.Minute)
	s.process().must()
	if s.rotation() != nil || len(s.history()) != 1 {
		t.Fatalf("in flight %+v", s.rotation())
	}
	if o := s.cloud.Start(t.Context(), shop); o.State != record.Accepted { // it arrives
		t.Fatalf("%+v", o)
	}
	s.pass(20 * time.Minute)
	p = s.process()
	p.must()
	r := s.rotation()
	if r == nil || r.Origin != record.Reclaimed || r.AttemptID != attempt || !r.Managed {
		t.Fatalf("in the store: %+v", r)
	}
	if s.doc().Slots[shop.String()].Attempt != attempt {
		t.Errorf("slots %v", s.doc().Slots)
	}
	if p.line(policy.EventActionFailed)["reason"] != string(reason.LateStart) {
		t.Errorf("told %v", p.events())
	}
	want := []string{"store", "clusters shop", "operations shop", "cluster web", "history"}
	if len(p.calls) < len(want) || strings.Join(p.calls[:len(want)], ",") != strings.Join(want, ",") {
		t.Errorf("an unexplained second CA is read as %q, want %q first", p.calls, want)
	}
	s.hourly(60, func() bool { return s.rotation() == nil })
	if h := s.history(); len(h) != 1 || h[0].ClosedAs != record.Completed {
		t.Errorf("history %+v", h)
	}
}

// TestUnknownHistory: without the history nobody knows whose a second CA is.
func TestUnknownHistory(t *testing.T) {
	s := newStage(t, shop)
	if o := s.cloud.Start(t.Context(), shop); o.State != record.Accepted {
		t.Fatalf("%+v", o)
	}
	s.pass(time.Hour)
	p := s.process()
	p.Store = intercept.Store(p.Store, noHistory)
	res := p.must()
	if s.rotation() != nil || res.Decisions[0].Action != policy.Wait {
		t.Errorf("adopted %+v, decision %+v", s.rotation(), res.Decisions[0])
	}
}

// TestDeliveredTwice: the network delivers a start twice and shows the answer
// to the second, which GKE refuses for the operation of the first.
func TestDeliveredTwice(t *testing.T) {
	s := newStage(t, shop)
	p := s.process()
	p.network = doubling
	p.must()
	if r := s.rotation(); r.Call == nil || r.Call.State != record.Refused ||
		r.Call.Refusal != record.OtherOperation {
		t.Fatalf("in the store: %+v", r.Call)
	}
	s.pass(time.Hour)
	s.process().must()
	if r := s.rotation(); r == nil || r.Phase != record.RecreatingNodes || r.Origin != record.Ours {
		t.Errorf("in the store: %+v; history %+v", r, s.history())
	}
	s.wantSent("StartIPRotation", 2)
}

// TestCompletionDeliveredTwice: likewise for the completion. What it left is
// ours as far as anybody can know, and nobody is woken for it.
func TestCompletionDeliveredTwice(t *testing.T) {
	s := newStage(t, shop)
	s.hourly(60, func() bool { return s.phase() == record.UpdatingClients })
	for range 60 {
		p := s.process()
		p.network = doubling
		p.must()
		if slices.Contains(p.events(), policy.EventCompletedExternally) {
			t.Fatalf("told as somebody else's completion: %+v", s.rotation())
		}
		if s.rotation() == nil {
			break
		}
		s.pass(time.Hour)
	}
	if h := s.history(); len(h) != 1 || h[0].ClosedAs != record.Completed || h[0].CompletedBy != "unknown" {
		t.Errorf("history %+v", h)
	}
	s.wantSent("CompleteIPRotation", 2)
}
