package pass

import (
	"slices"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// TestWholeRotation: hourly runs manage a cluster from its old CA to a verified
// new one, each call sent once, each phase announced once.
func TestWholeRotation(t *testing.T) {
	s := newStage(t, shop)
	var told []string
	for range 60 {
		p := s.process()
		res := p.must()
		for _, m := range p.lines() {
			if m["event"] == policy.EventPhaseChanged || m["event"] == policy.EventHandedOver {
				told = append(told, m["event"].(string)+" "+m["phase"].(string))
			}
		}
		if res.Unstored != 0 || res.Stopped != "" {
			t.Fatalf("unstored %d, stopped %q", res.Unstored, res.Stopped)
		}
		s.pass(time.Hour)
	}
	h := s.history()
	if len(h) != 1 || h[0].ClosedAs != record.Completed || h[0].CompletedBy != "us" || s.rotation() != nil {
		t.Fatalf("history %+v, in flight %+v", h, s.rotation())
	}
	s.wantSent("StartIPRotation", 1)
	s.wantSent("CompleteIPRotation", 1)
	want := []string{
		"phase_changed starting",
		"phase_changed recreating-nodes", "handed_over recreating-nodes",
		"phase_changed updating-clients", "handed_over updating-clients",
		"phase_changed completing", "phase_changed verifying", "phase_changed verifying",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%q\nwant\n%q", told, want)
	}
	if slots := s.doc().Slots; len(slots) != 0 {
		t.Errorf("slots %v are still held", slots)
	}
}

// TestCostModel: an idle project costs one list, an idle cluster nothing; the
// store is read once, history only when a start is about to be stored.
func TestCostModel(t *testing.T) {
	s := newStage(t, shop)
	idle := fleet.Ref{Project: "idle", Location: "europe-west1", Name: "quiet"}
	s.add(idle, "2054-01-01", nil)
	p := s.process()
	p.must()
	want := []string{
		"store", "clusters idle", "clusters shop", "history", "write", // the intent
		"fleet", "operations shop", "cluster web", "start web", "write", "write", // the outcome; the run's note
	}
	if !slices.Equal(p.calls, want) {
		t.Errorf("the run that starts\n%q\nwant\n%q", p.calls, want)
	}
	s.pass(30 * time.Minute)
	s.process().must() // enters recreating-nodes and sends both pools
	s.pass(10 * time.Minute)
	p = s.process()
	p.must()
	want = []string{"store", "clusters idle", "operations shop", "clusters shop", "write"}
	if got := slices.DeleteFunc(slices.Clone(p.calls),
		func(c string) bool { return c == "write" }); !slices.Equal(got, want[:4]) {
		t.Errorf("a run that waits reads\n%q\nwant\n%q", got, want[:4])
	}
}

// TestAttemptNumbers: the second attempt at a cluster is number two.
func TestAttemptNumbers(t *testing.T) {
	s := newStage(t, shop)
	p := s.process()
	p.after(record.CallStart, func() { s.mono += record.SendWithin })
	p.must()
	if h := s.history(); len(h) != 1 || h[0].Rotation.AttemptNo != 1 {
		t.Fatalf("history %+v", h)
	}
	s.pass(time.Hour)
	s.process().must()
	if r := s.rotation(); r == nil || r.AttemptNo != 2 {
		t.Fatalf("the second attempt is %+v", r)
	}
}

// TestPoolsInOneDecision: the intents of all pools are one write, one read
// stands under them, their outcomes are one write.
func TestPoolsInOneDecision(t *testing.T) {
	s := newStage(t, shop)
	s.process().must()
	s.pass(30 * time.Minute)
	p := s.process()
	p.must()
	want := []string{"store", "operations shop", "clusters shop", "write", "fleet", "operations shop",
		"cluster web", "recreate a", "recreate b", "write", "write"}
	if !slices.Equal(p.calls, want) {
		t.Errorf("calls\n%q\nwant\n%q", p.calls, want)
	}
	s.wantSent("UpdateNodePool", 2)
	for name, c := range s.rotation().PoolCalls {
		if c.State != record.Accepted || c.Operation == "" {
			t.Errorf("pool %s: %+v", name, c)
		}
	}
}

// TestCrashBetweenPools: a process that dies after its first pool call leaves
// both unclear; nobody sends the second before that is settled, and the
// rotation ends well.
func TestCrashBetweenPools(t *testing.T) {
	s := newStage(t, shop)
	s.process().must()
	s.pass(30 * time.Minute)
	p := s.process()
	p.answer = func(o record.Outcome) record.Outcome { p.dead = true; return o }
	_, _ = p.run(t.Context())
	s.wantSent("UpdateNodePool", 1)
	s.pass(5 * time.Minute)
	s.process().alone().must()
	s.wantSent("UpdateNodePool", 1)
	s.hourly(60, func() bool { return len(s.history()) == 1 })
	if h := s.history(); h[0].ClosedAs != record.Completed {
		t.Errorf("closed as %s", h[0].ClosedAs)
	}
}

// TestSecondCAIsReadOnce: unexplained second CAs cost one list of operations a
// project, none where a rotation on record has asked for it already.
func TestSecondCAIsReadOnce(t *testing.T) {
	s := newStage(t, shop)
	for _, ref := range []fleet.Ref{yard, {Project: "shop", Location: "europe-west1", Name: "zoo"}} {
		s.add(ref, "2054-03-12", nil)
	}
	begin := func(ref fleet.Ref) {
		if o := s.cloud.Start(t.Context(), ref); o.State != record.Accepted {
			t.Fatalf("%+v", o)
		}
	}
	begin(shop)
	begin(yard)
	s.pass(time.Hour)
	p := s.process()
	p.must()
	want := []string{"store", "clusters shop", "operations shop", "cluster web", "cluster yard", "history",
		"history"}
	if got := p.calls[:len(want)]; !slices.Equal(got, want) {
		t.Errorf("two at once\n%q\nwant\n%q", got, want)
	}
	begin(fleet.Ref{Project: "shop", Location: "europe-west1", Name: "zoo"})
	s.pass(time.Hour)
	p = s.process()
	p.must()
	want = []string{"store", "operations shop", "clusters shop", "history"}
	if got := p.calls[:len(want)]; !slices.Equal(got, want) || p.count("cluster zoo") != 0 {
		t.Errorf("one more\n%q\nwant\n%q", p.calls, want)
	}
	if got := len(s.doc().Slots); got != 0 {
		t.Errorf("watched rotations hold %d slots", got)
	}
}
