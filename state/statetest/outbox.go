package statetest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// note is a notice; its id says nothing of its place.
func note(number int, kind record.NoticeKind) record.Notice {
	return record.Notice{ID: fmt.Sprintf("%02x%02x", 255-number, number), Kind: kind, Cluster: ref("a"),
		At: begin.Add(-time.Duration(number) * time.Hour), Run: "run-1", Message: fact.Say("m")}
}

func outbox(t *testing.T, s state.Store) record.Outbox {
	t.Helper()
	box, err := s.Outbox(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// waiting are the ids of what waits, in order.
func waiting(t *testing.T, s state.Store) []string {
	t.Helper()
	ids := []string{}
	for _, n := range outbox(t, s).Notices {
		ids = append(ids, n.ID)
	}
	return ids
}

func waits(t *testing.T, s state.Store, what string, want ...record.Notice) {
	t.Helper()
	ids := []string{}
	for _, n := range want {
		ids = append(ids, n.ID)
	}
	if got := waiting(t, s); !reflect.DeepEqual(got, ids) {
		t.Errorf("%s: %q wait, want %q", what, got, ids)
	}
}

// notices: stored with the state that they tell of or not at all, in the order
// of the writes, whatever their ids and times; what is told goes.
func notices(t *testing.T, s state.Store) {
	if box := outbox(t, s); len(box.Notices) != 0 || box.Standing.Version != "" {
		t.Errorf("an empty outbox: %+v", box)
	}
	r, doc := rotation("a", "one"), record.FleetDoc{Env: "test"}
	one, two, three, four := note(1, record.NoticeForeign), note(2, record.NoticeHandedOver),
		note(3, record.NoticeNodesDone), note(4, record.NoticeBlocked)
	two.Seq = 1
	got := write(t, s, state.Change{Rotation: &r, Notices: []record.Notice{one, two}})
	conflicts(t, s, state.Change{Rotation: &r, Notices: []record.Notice{three}},
		"a notice of a write that conflicts")
	waits(t, s, "after a conflict", one, two)
	write(t, s, state.Change{Fleet: &doc, Notices: []record.Notice{four}})
	write(t, s, state.Change{Close: &record.Record{Rotation: *got.Rotation, ClosedAs: record.Completed,
		ClosedAt: begin}, Notices: []record.Notice{three}})
	waits(t, s, "after four", one, two, four, three)
	if len(got.Notices) != 2 || got.Notices[0].Version == "" || one.Version != "" {
		t.Errorf("given back: %+v", got.Notices)
	}
	box := outbox(t, s)
	if n := box.Notices[1]; n.Version == "" || n.Kind != two.Kind || !n.At.Equal(two.At) ||
		n.Cluster != two.Cluster {
		t.Errorf("read %+v, want %+v", n, two)
	}
	first := got.Notices[0]
	first.Had = []string{"webhook"}
	for _, told := range []struct {
		n   record.Notice
		all bool
		// by two runs at once, too
	}{{first, false}, {box.Notices[2], true}, {box.Notices[2], true}, {box.Notices[2], false}} {
		if err := s.Delivered(ctx, told.n, told.all); err != nil {
			t.Error(err)
		}
	}
	waits(t, s, "after one was told", one, two, three)
	if n := outbox(t, s).Notices[0]; !reflect.DeepEqual(n.Had, []string{"webhook"}) || n.Version == "" {
		t.Errorf("who has it is not kept: %+v", n)
	}
	if len(contents(t, s).Rotations) != 0 {
		t.Error("the attempt is not closed")
	}
}

// sameNotice: a notice with the id of another is that other, and told once.
func sameNotice(t *testing.T, s state.Store) {
	r, n := rotation("a", "one"), note(1, record.NoticeForeign)
	got := write(t, s, state.Change{Rotation: &r, Notices: []record.Notice{n}})
	write(t, s, state.Change{Rotation: got.Rotation, Notices: []record.Notice{n}})
	waits(t, s, "written twice", n)
	for _, bad := range []string{"", "a/b", "..", "announced", "0g", "__a__"} {
		n.ID = bad
		if _, err := s.Write(ctx, state.Change{Fleet: &record.FleetDoc{Env: "test"},
			Notices: []record.Notice{n}}); err == nil || errors.Is(err, state.ErrConflict) {
			t.Errorf("a notice with the id %q: %v", bad, err)
		}
	}
	if doc, err := s.Fleet(ctx); err != nil || doc.Version != "" {
		t.Errorf("the rest of a bad change was written: %+v, %v", doc, err)
	}
}

// announced: what was announced is conditional as all else, and at once with it.
func announced(t *testing.T, s state.Store) {
	m := record.Standing{Sent: map[string][]string{"p/l/a": {"blocked/held"}, "": {"breaker-open/"}}}
	doc := record.FleetDoc{Env: "test"}
	got := write(t, s, state.Change{Fleet: &doc, Standing: &m})
	if m.Version != "" || got.Standing == nil || got.Standing.Version == "" {
		t.Fatalf("written %+v, given %+v", got.Standing, m)
	}
	if box := outbox(t, s); !reflect.DeepEqual(box.Standing, *got.Standing) || len(box.Notices) != 0 {
		t.Errorf("read %+v, want %+v", box.Standing, *got.Standing)
	}
	conflicts(t, s, state.Change{Fleet: got.Fleet, Standing: &m,
		Notices: []record.Notice{note(1, record.NoticeBlocked)}}, "an old note")
	waits(t, s, "after a conflict")
	next := *got.Standing
	next.Sent = map[string][]string{"p/l/b": {"starts-soon/aa"}}
	again := write(t, s, state.Change{Fleet: got.Fleet, Standing: &next,
		Notices: []record.Notice{note(2, record.NoticeStartsSoon)}})
	if again.Standing.Version == got.Standing.Version {
		t.Error("a replaced note keeps its version")
	}
	conflicts(t, s, state.Change{Standing: got.Standing}, "the note before")
}
