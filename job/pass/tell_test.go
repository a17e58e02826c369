package pass

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// ear is a receiver: what it got, in order, and what befalls it.
type ear struct {
	name string
	had  []policy.Notice
	// answer says what comes of a delivery; nil: it takes everything.
	answer func(ctx context.Context, n policy.Notice) error
	tries  int
}

func (e *ear) Name() string { return e.name }

func (e *ear) Tell(ctx context.Context, n policy.Notice) error {
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
func (e *ear) kinds(ref policy.Ref) []policy.NoticeKind {
	var out []policy.NoticeKind
	for _, n := range e.had {
		if n.Cluster == ref {
			out = append(out, n.Kind)
		}
	}
	return out
}

// telling is a process that tells those ears.
func (s *stage) telling(ears ...*ear) *process {
	p := s.process()
	p.Ahead = 12 * time.Hour
	for _, e := range ears {
		p.Tell = append(p.Tell, e)
	}
	return p
}

// wholeStory is what is told of a rotation that goes well: the soak of a day is
// longer than what is announced ahead.
var wholeStory = []policy.NoticeKind{policy.NoticeHandedOver, policy.NoticeNodesDone, policy.NoticeCompletesSoon, policy.NoticeCompleted}

func (s *stage) wantTold(e *ear, want ...policy.NoticeKind) {
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

func (s *stage) outbox() policy.Outbox {
	s.t.Helper()
	box, err := s.book.Outbox(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return box
}

// TestToldOnce: of a whole rotation each thing is told once, in order, and never
// before the book holds it.
func TestToldOnce(t *testing.T) {
	s := newStage(t, shop)
	e := &ear{name: "ear"}
	e.answer = func(_ context.Context, n policy.Notice) error {
		r := s.rotation()
		if n.Kind == policy.NoticeCompleted {
			if r != nil || len(s.history()) != 1 {
				t.Errorf("%s is told of %+v", n.Kind, r)
			}
		} else if r == nil || r.Phase != n.Phase {
			t.Errorf("%s of phase %s is told while the book has %+v", n.Kind, n.Phase, r)
		}
		return nil
	}
	for range 60 {
		s.telling(e).must()
		s.pass(time.Hour)
	}
	s.wantTold(e, wholeStory...)
	for _, n := range e.had {
		if withFacts := n.Kind != policy.NoticeCompleted; (n.HandOver != nil) != withFacts || n.Message == "" || (n.Next == "") == withFacts {
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
			if len(c.Notices) > 0 || c.Announced != nil {
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
	e := &ear{name: "ear", answer: func(context.Context, policy.Notice) error {
		if down {
			return errors.New("connection refused")
		}
		return nil
	}}
	run := 0
	for hour := range 60 {
		down = hour >= 1 && hour <= 3
		p, before := s.telling(e), e.tries
		p.must()
		waiting := len(s.outbox().Notices)
		if down && (waiting == 0 || e.tries != before+1) {
			t.Errorf("hour %d: %d wait after %d tries", hour, waiting, e.tries-before)
		}
		if down {
			m := p.line(EventNotificationsWait)
			if run++; m["waiting"] != float64(waiting) || !strings.Contains(m["msg"].(string), "ear: connection refused") || m["level"] != "WARN" {
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
		p := s.telling(e)
		e.answer = func(_ context.Context, n policy.Notice) error {
			if !killed[n.ID] {
				killed[n.ID], p.dead = true, true
			}
			return nil
		}
		_, _ = p.run(t.Context()) // what a dead process returns, nobody sees
		s.pass(time.Hour)
	}
	var ids []string
	var kinds []policy.NoticeKind
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
	dead.answer = func(context.Context, policy.Notice) error { return errors.New("no route") }
	for range 40 {
		s.telling(dead, well).must()
		s.pass(time.Hour)
	}
	s.wantTold(well, wholeStory...)
	for _, n := range s.outbox().Notices {
		if !slices.Equal(n.Had, []string{"well"}) {
			t.Errorf("%s was told to %v", n.Kind, n.Had)
		}
	}
	dead.answer = nil
	s.telling(dead, well).must()
	s.wantTold(dead, wholeStory...)
	s.wantTold(well, wholeStory...)
	if box := s.outbox(); len(box.Notices) != 0 {
		t.Errorf("%d wait", len(box.Notices))
	}
	s.pass(time.Hour)
	s.telling(well).must() // one that left the settings is waited for no longer
}

// TestHangingReceiver: each delivery has a deadline, a receiver that does not
// keep it is tried once a run, and slow ones end with the time for all.
func TestHangingReceiver(t *testing.T) {
	s := newStage(t, shop, yard, policy.Ref{Project: "other", Location: "europe-west1", Name: "o"}, policy.Ref{Project: "other", Location: "europe-west1", Name: "p"})
	hangs, slow := &ear{name: "hangs"}, &ear{name: "slow"}
	bounded := func(ctx context.Context) {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > tellTimeout { //nolint:forbidigo // a context's deadline is on the real clock
			t.Errorf("a delivery may go on until %v", end)
		}
	}
	hangs.answer = func(ctx context.Context, _ policy.Notice) error {
		bounded(ctx)
		s.mono += tellTimeout
		return context.DeadlineExceeded
	}
	slow.answer = func(ctx context.Context, _ policy.Notice) error {
		bounded(ctx)
		s.mono += tellTimeout
		return nil
	}
	s.process().must()
	s.pass(time.Hour)
	p := s.telling(hangs, slow) // four hand-overs
	if res := p.must(); len(res.Done) != 4 {
		t.Fatalf("done: %+v", res.Done)
	}
	if hangs.tries != 1 || len(slow.had) != 3 {
		t.Errorf("%d tries of the one, %d deliveries to the other: want 1 and 3, which take 20 s together", hangs.tries, len(slow.had))
	}
	if m := p.line(EventNotificationsWait); m["waiting"] != float64(4) {
		t.Errorf("told %v", m)
	}
	s.telling(slow).must()
	if len(slow.had) != 4 {
		t.Errorf("%d deliveries", len(slow.had))
	}
}

// TestTellingStops: after a signal, after DEADLINE and without the lease nothing
// is told; a later run tells all of it.
func TestTellingStops(t *testing.T) {
	for name, befalls := range map[string]func(*stage, *process, context.CancelFunc){
		"a signal": func(_ *stage, p *process, cancel context.CancelFunc) {
			p.afterWrite = func(state.Change) error { cancel(); return nil }
		},
		"DEADLINE": func(s *stage, p *process, _ context.CancelFunc) {
			p.Deadline = 50 * time.Minute
			p.afterWrite = func(state.Change) error { s.mono += 50 * time.Minute; return nil }
		},
		"the lease is lost": func(s *stage, p *process, _ context.CancelFunc) {
			p.afterWrite = func(state.Change) error { s.now = s.now.Add(2 * time.Minute); return nil }
			first := true
			p.lease = func(l state.Lease) (state.Lease, bool) {
				defer func() { first = false }()
				return state.Lease{Holder: "somebody"}, !first
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, shop)
			s.process().must()
			s.pass(time.Hour)
			e := &ear{name: "ear"}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := s.telling(e)
			befalls(s, p, cancel)
			if _, err := p.run(ctx); err != nil {
				t.Fatal(err)
			}
			if e.tries != 0 || len(s.outbox().Notices) != 1 {
				t.Errorf("%d deliveries, %d wait", e.tries, len(s.outbox().Notices))
			}
			s.pass(time.Hour)
			s.telling(e).must()
			if got := e.kinds(shop); len(got) == 0 || got[0] != policy.NoticeHandedOver {
				t.Errorf("heard %v", got)
			}
		})
	}
}

// TestCancelledWhileTelling: what was delivered when the signal came is noted.
func TestCancelledWhileTelling(t *testing.T) {
	s := newStage(t, shop, yard)
	s.process().must()
	s.pass(time.Hour)
	e := &ear{name: "ear"}
	ctx, cancel := context.WithCancel(t.Context())
	e.answer = func(context.Context, policy.Notice) error { cancel(); return nil }
	if _, err := s.telling(e).run(ctx); err != nil {
		t.Fatal(err)
	}
	if e.tries != 1 || len(s.outbox().Notices) != 1 {
		t.Errorf("%d deliveries, %d wait", e.tries, len(s.outbox().Notices))
	}
}

// TestRefusedNotice: one that a receiver does not take keeps back those of its
// cluster, not of others, and after a day is given up aloud.
func TestRefusedNotice(t *testing.T) {
	s := newStage(t, shop)
	s.add(yard, "2027-03-12", nil)
	e := &ear{name: "ear", answer: func(_ context.Context, n policy.Notice) error {
		if n.Cluster == shop && n.Kind == policy.NoticeHandedOver {
			return fmt.Errorf("%w: HTTP 400", ErrRefused)
		}
		return nil
	}}
	gaveUp := 0
	for range 60 {
		p, before := s.telling(e), len(e.kinds(shop))
		p.must()
		if slices.Contains(p.events(), EventNotificationsDropped) {
			gaveUp++
			if m := p.line(EventNotificationsDropped); m["cluster"] != shop.String() || m["level"] != "ERROR" {
				t.Errorf("told %v", m)
			}
			if before != 0 || len(e.kinds(shop)) == 0 {
				t.Errorf("heard %d before it was given up, and then %v", before, e.kinds(shop))
			}
		}
		s.pass(time.Hour)
	}
	s.wantTold(e, wholeStory[1:]...)
	if got := e.kinds(yard); !slices.Equal(got, wholeStory) || gaveUp != 1 {
		t.Errorf("of the other: %v; given up %d times", got, gaveUp)
	}
}

// TestToldOfAnUnclearWrite: a write of which nobody knows the end, and one that
// another outran, make no second notice.
func TestToldOfAnUnclearWrite(t *testing.T) {
	s := newStage(t, shop)
	e := &ear{name: "ear"}
	for hour := range 70 {
		p := s.telling(e)
		outrun := false
		if hour%3 == 1 {
			p.afterWrite = func(state.Change) error { return errBook }
		}
		if hour%3 == 2 {
			p.beforeWrite = func(state.Change) error {
				if !outrun {
					outrun = true
					s.edit(func(d *policy.FleetDoc) { d.Requests = nil })
				}
				return nil
			}
		}
		_, _ = p.run(t.Context())
		s.forgiveCalls()
		s.pass(time.Hour)
	}
	s.wantTold(e, wholeStory...)
}

// forgiveCalls acknowledges what failed meanwhile.
func (s *stage) forgiveCalls() {
	s.edit(func(d *policy.FleetDoc) { d.Failures, d.Tries = nil, nil })
}

// TestObserveTells: what is true without us is told in observe, too; what we would
// do is not.
func TestObserveTells(t *testing.T) {
	s := newStage(t, shop)
	s.policy.Approval = policy.ApproveBoth
	s.add(yard, "2026-11-01", nil) // expired
	e := &ear{name: "ear"}
	observe := func() *process {
		p := s.telling(e)
		p.Move, p.Mode = nil, "observe"
		return p
	}
	observe().must()
	if o := s.cloud.Start(t.Context(), shop); o.State != policy.Accepted { // somebody else
		t.Fatalf("%+v", o)
	}
	for range 10 {
		s.pass(time.Hour)
		observe().must()
	}
	s.wantTold(e, policy.NoticeForeign, policy.NoticeHandedOver)
	if got := e.kinds(yard); !slices.Equal(got, []policy.NoticeKind{policy.NoticeBlocked}) {
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
	s.policy.Approval = policy.ApproveBoth
	e := &ear{name: "ear"}
	for range 50 {
		s.telling(e).must()
		s.pass(time.Hour)
	}
	s.wantTold(e, policy.NoticeApprovalNeeded)
	s.approve(policy.CallStart)
	for range 100 {
		s.telling(e).must()
		s.pass(time.Hour)
	}
	s.wantTold(e, policy.NoticeApprovalNeeded, policy.NoticeHandedOver, policy.NoticeNodesDone, policy.NoticeApprovalNeeded)
	s.approve(policy.CallComplete)
	for range 5 {
		s.telling(e).must()
		s.pass(time.Hour)
	}
	if got := e.kinds(shop); got[len(got)-1] != policy.NoticeCompleted {
		t.Errorf("heard %v", got)
	}
}

func (s *stage) approve(kind policy.CallKind) {
	s.t.Helper()
	a := policy.Approval{Kind: kind, Cluster: shop, ClusterID: "id-web", Said: policy.Said{By: "ann", At: s.now}}
	if r := s.rotation(); r != nil {
		a.Attempt, a.Entry = r.AttemptID, r.Entries
	} else {
		c, err := s.cloud.Cluster(s.t.Context(), shop)
		if err != nil {
			s.t.Fatal(err)
		}
		a.CA = c.Bundle.Oldest().Fingerprint
	}
	s.edit(func(d *policy.FleetDoc) { d.Approvals = append(d.Approvals, a) })
}

// TestOutboxAway: an outbox that cannot be read stops nothing, and is told.
func TestOutboxAway(t *testing.T) {
	s := newStage(t, shop)
	e := &ear{name: "ear"}
	for hour := range 40 {
		p := s.telling(e)
		if hour%2 == 0 {
			p.beforeRead = func(call string) error {
				if call == "outbox" {
					return errBook
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
