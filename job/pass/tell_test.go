package pass

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/state"
)

// ear is a receiver: what it got, in order, and what befalls it.
type ear struct {
	name string
	had  []record.Notice
	// answer says what comes of a delivery; nil: it takes everything.
	answer func(ctx context.Context, n record.Notice) error
	tries  int
}

func (e *ear) Name() string { return e.name }

func (e *ear) Notify(ctx context.Context, n record.Notice) error {
	e.tries++
	if e.answer != nil {
		if err := e.answer(ctx, n); err != nil {
			return err
		}
	}
	e.had = append(e.had, n)
	return nil
}

// kinds is what it heard of a cluster, in order.
func (e *ear) kinds(ref fleet.Ref) []record.NoticeKind {
	var out []record.NoticeKind
	for _, n := range e.had {
		if n.Cluster == ref {
			out = append(out, n.Kind)
		}
	}
	return out
}

// delivery is a process that tells those ears.
func (s *stage) delivery(ears ...*ear) *process {
	p := s.process()
	p.Ahead = 12 * time.Hour
	for _, e := range ears {
		p.Notify = append(p.Notify, e)
	}
	return p
}

// wholeStory is what is told of a rotation that goes well: the soak of a day is
// longer than what is announced ahead.
var wholeStory = []record.NoticeKind{record.NoticeHandedOver, record.NoticeNodesDone,
	record.NoticeCompletesSoon, record.NoticeCompleted}

func (s *stage) wantTold(e *ear, want ...record.NoticeKind) {
	s.t.Helper()
	if got := e.kinds(shop); !slices.Equal(got, want) {
		s.t.Errorf("%s heard %v, want %v", e.name, got, want)
	}
	seen := map[string]bool{}
	for _, n := range e.had {
		if seen[n.ID] {
			s.t.Errorf("%s heard %s %s twice", e.name, n.Kind, n.ID)
		}
		seen[n.ID] = true
	}
}

func (s *stage) outbox() record.Outbox {
	s.t.Helper()
	box, err := s.contents.Outbox(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return box
}

// TestToldOnce: of a whole rotation each thing is told once, in order, and never
// before the store holds it.
func TestToldOnce(t *testing.T) {
	s := newStage(t, shop)
	e := &ear{name: "ear"}
	e.answer = func(_ context.Context, n record.Notice) error {
		r := s.rotation()
		if n.Kind == record.NoticeCompleted {
			if r != nil || len(s.history()) != 1 {
				t.Errorf("%s is told of %+v", n.Kind, r)
			}
		} else if r == nil || r.Phase != n.Phase {
			t.Errorf("%s of phase %s is told while the store has %+v", n.Kind, n.Phase, r)
		}
		return nil
	}
	for range 60 {
		s.delivery(e).must()
		s.pass(time.Hour)
	}
	s.wantTold(e, wholeStory...)
	for _, n := range e.had {
		if withFacts := n.Kind != record.NoticeCompleted; (n.HandOver != nil) != withFacts || len(n.Message) == 0 ||
			(n.Next() == "") == withFacts {
			t.Errorf("%s: %+v", n.Kind, n)
		}
	}
	if soon := e.had[2]; soon.Expected.Sub(soon.At) > 12*time.Hour || !soon.Expected.After(soon.At) {
		t.Errorf("announced at %s for %s", soon.At, soon.Expected)
	}
	if box := s.outbox(); len(box.Notices) != 0 {
		t.Errorf("in the outbox: %+v", box)
	}
}

// TestNobodyToTell: without receivers nothing is made, stored or read for them.
func TestNobodyToTell(t *testing.T) {
	s := newStage(t, shop)
	for range 60 {
		p := s.process()
		p.beforeWrite = func(c state.Change) error {
			if len(c.Notices) > 0 || c.Standing != nil {
				t.Errorf("stored: %+v", c.Notices)
			}
			return nil
		}
		p.must()
		if p.count("outbox") != 0 {
			t.Error("the outbox was read")
		}
		s.pass(time.Hour)
	}
}

// TestReceiverDown: down for three runs, then up: each once, in order, none lost;
// no run fails, each tries once and says how many wait.
func TestReceiverDown(t *testing.T) {
	s := newStage(t, shop)
	s.add(yard, "2027-03-12", nil)
	down := false
	e := &ear{name: "ear", answer: func(context.Context, record.Notice) error {
		if down {
			return errors.New("connection refused")
		}
		return nil
	}}
	run := 0
	for hour := range 60 {
		down = hour >= 1 && hour <= 3
		p, before := s.delivery(e), e.tries
		p.must()
		waiting := len(s.outbox().Notices)
		if down && (waiting == 0 || e.tries != before+1) {
			t.Errorf("hour %d: %d wait after %d tries", hour, waiting, e.tries-before)
		}
		if down {
			m := p.line(EventNotificationsWait)
			if run++; m["waiting"] != float64(waiting) ||
				!strings.Contains(m["msg"].(string), "hand-overs are among them (") ||
				!strings.Contains(m["msg"].(string), "ear: connection refused") || m["level"] != "ERROR" {
				t.Errorf("told %v, %d wait", m, waiting)
			}
		} else if waiting != 0 {
			t.Errorf("hour %d: %d wait", hour, waiting)
		}
		s.pass(time.Hour)
	}
	s.wantTold(e, wholeStory...)
	if got := e.kinds(yard); !slices.Equal(got, wholeStory) || run != 3 {
		t.Errorf("of the other cluster: %v; %d runs without the receiver", got, run)
	}
}

// TestKilledWhileTelling: between the delivery and its note: told again, under the
// same id, and nothing is lost.
func TestKilledWhileTelling(t *testing.T) {
	s := newStage(t, shop)
	e := &ear{name: "ear"}
	killed := map[string]bool{}
	for range 60 {
		p := s.delivery(e)
		e.answer = func(_ context.Context, n record.Notice) error {
			if !killed[n.ID] {
				killed[n.ID], p.dead = true, true
			}
			return nil
		}
		_, _ = p.run(t.Context()) // what a dead process returns, nobody sees
		s.pass(time.Hour)
	}
	var ids []string
	var kinds []record.NoticeKind
	for _, n := range e.had {
		if i := len(ids); i > 0 && ids[i-1] == n.ID {
			continue
		}
		ids, kinds = append(ids, n.ID), append(kinds, n.Kind)
	}
	if !slices.Equal(kinds, wholeStory) || len(e.had) != 2*len(wholeStory) {
		t.Errorf("%d deliveries of %v", len(e.had), kinds)
	}
}

// TestTwoReceivers: one that is dead takes nothing from the other, and gets all
// of it when it is back.
func TestTwoReceivers(t *testing.T) {
	s := newStage(t, shop)
	dead, well := &ear{name: "dead"}, &ear{name: "well"}
	dead.answer = func(context.Context, record.Notice) error { return errors.New("no route") }
	for range 40 {
		s.delivery(dead, well).must()
		s.pass(time.Hour)
	}
	s.wantTold(well, wholeStory...)
	for _, n := range s.outbox().Notices {
		if !slices.Equal(n.Had, []string{"well"}) {
			t.Errorf("%s was told to %v", n.Kind, n.Had)
		}
	}
	dead.answer = nil
	s.delivery(dead, well).must()
	s.wantTold(dead, wholeStory...)
	s.wantTold(well, wholeStory...)
	if box := s.outbox(); len(box.Notices) != 0 {
		t.Errorf("%d wait", len(box.Notices))
	}
	s.pass(time.Hour)
	s.delivery(well).must() // one that left the settings is waited for no longer
}

// TestObserveTells: what is true without us is told in observe, too; what we would
// do is not.
func TestObserveTells(t *testing.T) {
	s := newStage(t, shop)
	s.policy.Approval = rules.ApproveBoth
	s.add(yard, "2026-11-01", nil) // expired
	e := &ear{name: "ear"}
	observe := func() *process {
		p := s.delivery(e)
		p.Move, p.Mode = nil, "observe"
		return p
	}
	observe().must()
	if o := s.cloud.Start(t.Context(), shop); o.State != record.Accepted { // somebody else
		t.Fatalf("%+v", o)
	}
	for range 10 {
		s.pass(time.Hour)
		observe().must()
	}
	s.wantTold(e, record.NoticeForeign, record.NoticeHandedOver)
	if got := e.kinds(yard); !slices.Equal(got, []record.NoticeKind{record.NoticeBlocked}) {
		t.Errorf("of an expired CA: %v", got)
	}
	s.pass(time.Hour)
	p := observe()
	p.lease = func(state.Lease) (state.Lease, bool) { return state.Lease{Holder: "somebody"}, true }
	tries := e.tries
	if p.must(); e.tries != tries {
		t.Error("told without the lease")
	}
}

// TestApprovalIsAskedForOnce: and again only for another entry.
func TestApprovalIsAskedForOnce(t *testing.T) {
	s := newStage(t, shop)
	s.policy.Approval = rules.ApproveBoth
	e := &ear{name: "ear"}
	for range 50 {
		s.delivery(e).must()
		s.pass(time.Hour)
	}
	s.wantTold(e, record.NoticeApprovalNeeded)
	s.approve(record.CallStart)
	for range 100 {
		s.delivery(e).must()
		s.pass(time.Hour)
	}
	s.wantTold(e, record.NoticeApprovalNeeded, record.NoticeHandedOver, record.NoticeNodesDone,
		record.NoticeApprovalNeeded)
	s.approve(record.CallComplete)
	for range 5 {
		s.delivery(e).must()
		s.pass(time.Hour)
	}
	if got := e.kinds(shop); got[len(got)-1] != record.NoticeCompleted {
		t.Errorf("heard %v", got)
	}
}

func (s *stage) approve(kind record.CallKind) {
	s.t.Helper()
	a := record.Approval{Kind: kind, Cluster: shop, ClusterID: "id-web", Said: record.Said{By: "ann", At: s.now}}
	if r := s.rotation(); r != nil {
		a.Attempt, a.Entry = r.AttemptID, r.Entries
	} else {
		c, err := s.cloud.Cluster(s.t.Context(), shop)
		if err != nil {
			s.t.Fatal(err)
		}
		a.CA = c.Bundle.Oldest().Fingerprint
	}
	s.edit(func(d *record.FleetDoc) { d.Approvals = append(d.Approvals, a) })
}

// TestOutboxAway: an outbox that cannot be read stops nothing, and is told.
func TestOutboxAway(t *testing.T) {
	s := newStage(t, shop)
	e := &ear{name: "ear"}
	for hour := range 40 {
		p := s.delivery(e)
		if hour%2 == 0 {
			p.beforeRead = func(call string) error {
				if call == "outbox" {
					return errStore
				}
				return nil
			}
		}
		p.must()
		if hour%2 == 0 {
			p.line(EventNotificationsWait)
		}
		s.pass(time.Hour)
	}
	if got := e.kinds(shop); !slices.Equal(got, wholeStory) {
		t.Errorf("heard %v", got)
	}
}
