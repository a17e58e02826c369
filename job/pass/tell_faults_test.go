package pass

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// TestHangingReceiver: each delivery has a deadline, a receiver that does not
// keep it is tried once a run, and slow ones end with the time for all.
func TestHangingReceiver(t *testing.T) {
	s := newStage(t, shop, yard, fleet.Ref{Project: "other", Location: "europe-west1", Name: "o"},
		fleet.Ref{Project: "other", Location: "europe-west1", Name: "p"})
	hangs, slow := &ear{name: "hangs"}, &ear{name: "slow"}
	bounded := func(ctx context.Context) {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > tellTimeout { //nolint:forbidigo // a context's deadline is on the real clock
			t.Errorf("a delivery may go on until %v", end)
		}
	}
	hangs.answer = func(ctx context.Context, _ record.Notice) error {
		bounded(ctx)
		s.mono += tellTimeout
		return context.DeadlineExceeded
	}
	slow.answer = func(ctx context.Context, _ record.Notice) error {
		bounded(ctx)
		s.mono += tellTimeout
		return nil
	}
	s.process().must()
	s.pass(time.Hour)
	p := s.delivery(hangs, slow) // four hand-overs
	if res := p.must(); len(res.Done) != 4 {
		t.Fatalf("done: %+v", res.Done)
	}
	if hangs.tries != 1 || len(slow.had) != 3 {
		t.Errorf("%d tries of the one, %d deliveries to the other: want 1 and 3, which take 20 s together",
			hangs.tries, len(slow.had))
	}
	if m := p.line(EventNotificationsWait); m["waiting"] != float64(4) {
		t.Errorf("told %v", m)
	}
	hangs.answer = nil
	s.delivery(hangs, slow).must()
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
			p.lease = func(state.Lease) (state.Lease, bool) {
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
			p := s.delivery(e)
			befalls(s, p, cancel)
			if _, err := p.run(ctx); err != nil {
				t.Fatal(err)
			}
			if e.tries != 0 || len(s.outbox().Notices) != 1 {
				t.Errorf("%d deliveries, %d wait", e.tries, len(s.outbox().Notices))
			}
			s.pass(time.Hour)
			s.delivery(e).must()
			if got := e.kinds(shop); len(got) == 0 || got[0] != record.NoticeHandedOver {
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
	e.answer = func(context.Context, record.Notice) error { cancel(); return nil }
	if _, err := s.delivery(e).run(ctx); err != nil {
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
	e := &ear{name: "ear", answer: func(_ context.Context, n record.Notice) error {
		if n.Cluster == shop && n.Kind == record.NoticeHandedOver {
			return fmt.Errorf("%w: HTTP 400", ErrRefused)
		}
		return nil
	}}
	gaveUp := 0
	for range 9 * 24 { // the soak waits for it as long as it may
		p, before := s.delivery(e), len(e.kinds(shop))
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
		p := s.delivery(e)
		outrun := false
		if hour%3 == 1 {
			p.afterWrite = func(state.Change) error { return errStore }
		}
		if hour%3 == 2 {
			p.beforeWrite = func(state.Change) error {
				if !outrun {
					outrun = true
					s.edit(func(d *record.FleetDoc) { d.Requests = nil })
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
	s.edit(func(d *record.FleetDoc) { d.Failures, d.Tries = nil, nil })
}
