package pass

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// TestLostIsHeard: a rotation in a project that nobody can read for more than 14 days. People
// hear before GKE may complete it, and when it is given up; and what became of it, when it
// is seen again.
func TestLostIsHeard(t *testing.T) {
	s := newStage(t, shop)
	s.hourly(30, func() bool { return s.phase() == record.UpdatingClients })
	s.policy.Soak = 6 * 24 * time.Hour
	other := fleet.Ref{Project: "yard", Location: "europe-west1", Name: "y"}
	s.add(other, "2054-03-12", nil)
	var told []string
	for range 16 * 4 {
		s.pass(6 * time.Hour)
		p := s.process()
		p.beforeRead = func(call string) error {
			if call == "clusters shop" {
				return errDenied
			}
			return nil
		}
		p.must()
		for _, l := range p.lines() {
			if l["event"] == policy.EventBlocked {
				told = append(told, fmt.Sprintf("%s %s", l["level"], l["reason"]))
			}
		}
	}
	if want := []string{"ERROR unreadable", "ERROR lost"}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	if h := s.history(); len(h) != 1 || h[0].ClosedAs != record.Lost {
		t.Fatalf("history %+v", h)
	}
	external := 0
	for range 4 {
		s.pass(time.Hour)
		p := s.process()
		p.must()
		external += p.heard(policy.EventCompletedExternally)
	}
	h := s.history()
	if external != 1 || !slices.Contains(closings(h), record.CompletedElsewhere) {
		t.Errorf("its end is told %d times; history %v", external, closings(h))
	}
	if len(s.doc().Lost) != 0 || s.rotation() != nil {
		t.Errorf("remembered %v, on record %v", s.doc().Lost, s.rotation())
	}
}

func closings(h []record.Record) (as []record.ClosedAs) {
	for _, r := range h {
		as = append(as, r.ClosedAs)
	}
	return as
}

// TestReadOnceMore: one answer that fails is asked for again in the same run; a project that
// Google says does not exist is not, and is told as gone.
func TestReadOnceMore(t *testing.T) {
	for _, tt := range []struct {
		err    error
		always bool
		calls  int
		unread int
		gone   bool
	}{
		{errDenied, false, 2, 0, false},
		{errDenied, true, 2, 1, false},
		{fmt.Errorf("%w: NotFound", gke.ErrNoProject), true, 1, 1, true},
	} {
		s := newStage(t, shop, fleet.Ref{Project: "yard", Location: "europe-west1", Name: "y"})
		p, calls := s.process(), 0
		p.beforeRead = func(call string) error {
			if call != "clusters yard" {
				return nil
			}
			if calls++; tt.always || calls == 1 {
				return tt.err
			}
			return nil
		}
		res := p.must()
		if calls != tt.calls || len(res.Fleet.Unread) != tt.unread ||
			tt.unread == 1 && res.Fleet.Unread[0].Gone != tt.gone {
			t.Errorf("%v: asked %d times, unread %+v", tt.err, calls, res.Fleet.Unread)
		}
		if got := strings.Count(strings.Join(p.events(), " "), EventProjectUnreadable); got != tt.unread {
			t.Errorf("%v: told %d times", tt.err, got)
		}
	}
}
