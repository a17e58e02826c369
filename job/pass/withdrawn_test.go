package pass

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// blind makes the operations of some projects unreadable.
func blind(p *process, projects ...string) *process {
	p.beforeRead = func(call string) error {
		if name, is := strings.CutPrefix(call, "operations "); is && slices.Contains(projects, name) {
			return errors.New("PermissionDenied: container.operations.list")
		}
		return nil
	}
	return p
}

func (p *process) heard(event string) (n int) {
	for _, e := range p.events() {
		if e == event {
			n++
		}
	}
	return n
}

// TestWithdrawnStarvesNobody: ten clusters to which no start may be sent come
// first by their expiry and would take all ten slots; the four others start in
// the first run all the same. The ten are told each time, and leave one record
// each.
func TestWithdrawnStarvesNobody(t *testing.T) {
	s := newStage(t)
	var bad []string
	for i := range 10 {
		project := fmt.Sprintf("bad-%d", i/2)
		s.add(fleet.Ref{Project: project, Location: "europe-west1", Name: fmt.Sprintf("b%d", i)}, "2027-02-20", nil)
		bad = append(bad, project)
	}
	for i := range 4 {
		s.add(fleet.Ref{Project: fmt.Sprintf("good-%d", i), Location: "europe-west1", Name: "g"}, "2027-03-11", nil)
	}
	e := &ear{name: "ear"}
	blocked := map[int]int{}
	for hour := range 48 {
		p := blind(s.delivery(e), bad...)
		res := p.must()
		if hour == 0 {
			s.wantSent("StartIPRotation", 4)
			if n := p.heard("call_withdrawn"); n != 10 {
				t.Errorf("%d are told as withdrawn, want 10", n)
			}
			if slots := s.doc().Slots; len(slots) != 4 {
				t.Errorf("slots %v", slots)
			}
		}
		for _, d := range res.Done {
			if strings.HasPrefix(d.Ref.Project, "good") && d.Skipped != "" {
				t.Errorf("hour %d: %s: %s", hour, d.Ref, d.Skipped)
			}
		}
		blocked[hour] = p.heard("blocked")
		s.pass(time.Hour)
	}
	if blocked[0] != 0 || blocked[1] != 10 || blocked[2] != 0 || blocked[25] != 10 {
		t.Errorf("blocked, by hour: %v; want 10 at the second and then daily", blocked)
	}
	ref := fleet.Ref{Project: "bad-0", Location: "europe-west1", Name: "b0"}
	if h, err := s.contents.History(t.Context(), ref); err != nil || len(h) != 1 || len(h[0].Findings) != 1 ||
		!strings.Contains(h[0].Findings[0], "48 times in a row") {
		t.Errorf("history %+v, error %v", h, err)
	}
	if got := e.kinds(ref); !slices.Contains(got, record.NoticeBlocked) {
		t.Errorf("people heard %v", got)
	}
	res := blind(s.process(), bad...).must()
	if n := count(res); n.people != 10 {
		t.Errorf("%d need action", n.people)
	}

	// With the right it starts, and all that is forgotten.
	s.pass(time.Hour)
	s.process().must()
	s.wantSent("StartIPRotation", 14)
	s.pass(time.Hour)
	s.process().must()
	for name, tried := range s.doc().Tries {
		if _, has := s.doc().Slots[name]; has {
			t.Errorf("%s has started, and %+v is remembered", name, tried)
		}
	}
}

// TestWithdrawnCanary: a canary whose start cannot be sent keeps the next wave
// closed, also where a slot became free.
func TestWithdrawnCanary(t *testing.T) {
	s := newStage(t)
	canary, prod := fleet.Ref{Project: "dev", Location: "europe-west1", Name: "c"},
		fleet.Ref{Project: "shop", Location: "europe-west1", Name: "p"}
	s.add(canary, "2027-02-20", nil)
	s.add(prod, "2027-03-11", nil)
	var waves fleet.Waves
	if err := waves.UnmarshalText([]byte("!prod > prod")); err != nil {
		t.Fatal(err)
	}
	s.policy.Waves = waves
	if err := s.gke.Change(prod.Path(),
		func(pb *containerpb.Cluster) { pb.ResourceLabels = map[string]string{"prod": "yes"} }); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		blind(s.process(), "dev").must()
		s.pass(time.Hour)
	}
	s.wantSent("StartIPRotation", 0)
}

// TestWithdrawnCompletion: a completion that is taken back each hour is an event
// the second time, and goes out when it can.
func TestWithdrawnCompletion(t *testing.T) {
	s := newStage(t, shop)
	s.hourly(60, func() bool { return s.phase() == record.UpdatingClients })
	s.pass(24 * time.Hour)
	var heard []int
	for range 3 {
		p := s.process()
		p.after(record.CallComplete, func() { blind(p, "shop") })
		p.must()
		heard = append(heard, p.heard("blocked"))
		if s.phase() != record.UpdatingClients {
			t.Fatalf("phase %s", s.phase())
		}
		s.pass(time.Hour)
	}
	if !slices.Equal(heard, []int{0, 1, 0}) || len(s.rotation().OftenWithdrawn()) == 0 {
		t.Errorf("blocked %v, %q", heard, s.rotation().OftenWithdrawn())
	}
	s.process().must()
	s.wantSent("CompleteIPRotation", 1)
	if len(s.rotation().OftenWithdrawn()) > 0 {
		t.Error("it went out, and is still told as taken back")
	}
}

// TestStoppedBetweenIntentAndCall: told to stop there, a run takes its intents
// back, tells that, says at its end that it was stopped, and that counts against
// no cluster.
func TestStoppedBetweenIntentAndCall(t *testing.T) {
	s := newStage(t, shop, yard)
	for range 3 {
		ctx, stop := context.WithCancel(t.Context())
		p := s.process()
		p.after(record.CallStart, stop)
		res, err := p.run(ctx)
		if err != nil || res.Stopped == "" {
			t.Errorf("stopped %q, error %v", res.Stopped, err)
		}
		if m := p.line("run_finished"); m["stopped"] != "the run was told to stop" {
			t.Errorf("the last line says stopped=%q", m["stopped"])
		}
		if n := p.heard("call_withdrawn"); n != 1 || p.heard("phase_changed") != 0 || p.heard("blocked") != 0 {
			t.Errorf("told %v", p.events())
		}
		if tries := s.doc().Tries; len(tries) != 0 {
			t.Errorf("it counts: %v", tries)
		}
		s.pass(time.Hour)
	}
	s.wantSent("StartIPRotation", 0)
	s.process().must()
	s.wantSent("StartIPRotation", 2)
}
