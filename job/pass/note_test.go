package pass

import (
	"errors"
	"testing"
	"time"

	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

var errNoRoom = errors.New("no room for a note")

// noteless makes the store refuse what a run notes at its end, and nothing else.
func noteless(p *process) *process {
	p.beforeWrite = func(c state.Change) error {
		if c.Rotation == nil && c.Close == nil && c.Fleet != nil {
			return errNoRoom
		}
		return nil
	}
	return p
}

// TestToldWithoutNote: what a rotation's own document holds to be told is told
// although no run can note itself; each run says that it cannot.
func TestToldWithoutNote(t *testing.T) {
	s := newStage(t, shop)
	e := &ear{name: "ear"}
	for range 60 {
		if _, err := noteless(s.delivery(e)).run(t.Context()); !errors.Is(err, errNoRoom) {
			t.Fatalf("error %v", err)
		}
		s.pass(time.Hour)
	}
	// What only time makes true is announced with the note.
	s.wantTold(e, record.NoticeHandedOver, record.NoticeNodesDone, record.NoticeCompleted)
	if len(e.had) != 3 {
		t.FailNow()
	}
	if h := s.history(); len(h) != 1 || h[0].ClosedAs != record.Completed {
		t.Fatalf("history %+v", h)
	}
	completed := s.sent("CompleteIPRotation")[0].At
	for _, n := range e.had[:2] {
		if !n.At.Before(completed) {
			t.Errorf("%s is of %s, the completion of %s", n.Kind, n.At, completed)
		}
	}
}

// TestTooLargeIsKnown: a write that does not fit is known not to be written, so
// nothing is looked up, nothing taken back, and the next start is made.
func TestTooLargeIsKnown(t *testing.T) {
	s := newStage(t, shop, yard)
	p := s.process()
	refused := 0
	p.beforeWrite = func(c state.Change) error {
		if intends(c, record.CallStart) && c.Rotation.Cluster == shop {
			refused++
			return state.ErrTooLarge
		}
		return nil
	}
	res := p.must()
	if n := p.count("store"); n != 1 {
		t.Errorf("the store was read %d times", n)
	}
	s.wantSent("StartIPRotation", 1)
	if refused == 0 || res.Unstored != 0 {
		t.Errorf("refused %d times, %d unstored", refused, res.Unstored)
	}
}
