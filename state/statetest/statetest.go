// Package statetest is the one conformance suite that every store must pass.
package statetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// Opener opens the same, at first empty, store as often as it is asked to.
type Opener func(t *testing.T) state.Store

// Run tests the store that fresh gives an opener of, a new one for each test.
func Run(t *testing.T, fresh func(t *testing.T) Opener) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, state.Store)
	}{
		{"an empty store", empty},
		{"create, replace, conflict", replace},
		{"create only once", createOnce},
		{"fleet and rotation at once or not at all", atomic},
		{"one rotation alone", alone},
		{"close", closing},
		{"close only what was read", closingConflict},
		{"no version comes back", aba},
		{"an attempt opened again leaves the history", reopen},
		{"a record takes the place of another", replaces},
		{"history, newest first", history},
		{"records of all clusters, in the order of their closing", records},
		{"records that are closed or opened again meanwhile", recordsMeanwhile},
		{"what is given is not changed", untouched},
		{"lease", lease},
		{"names that break ids", badNames},
		{"the largest documents", largest},
		{"too large a document", tooLarge},
		{"a full fleet document", full},
		{"writers at once", contention},
		{"a cancelled write writes nothing", cancelled},
		{"every field comes back", fields},
		{"notices", notices},
		{"a notice written twice", sameNotice},
		{"what was announced", announced},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := fresh(t)(t)
			defer func() {
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			}()
			tt.test(t, store)
		})
	}
	t.Run("what was written outlives the process", func(t *testing.T) { reopened(t, fresh(t)) })
}

var (
	ctx   = context.Background()
	begin = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
)

func ref(name string) fleet.Ref {
	return fleet.Ref{Project: "p", Location: "europe-west1", Name: name}
}

func rotation(name, attempt string) record.Rotation {
	return record.Rotation{
		Cluster: ref(name), ClusterID: "id-" + name, AttemptID: attempt, AttemptNo: 1, Origin: record.Ours,
		Managed:     true,
		Phase:       record.Starting,
		Transitions: []record.Transition{{Phase: record.Starting, At: begin, Run: "run-1", Reason: reason.IsDue}},
		Baseline: record.Baseline{CA: fleet.CA{Fingerprint: "aa", Issued: begin.AddDate(-5, 0, 0),
			Expires: begin.AddDate(0, 3, 0)}, Status: fleet.Running},
	}
}

func write(t *testing.T, s state.Store, c state.Change) state.Change {
	t.Helper()
	got, err := s.Write(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func contents(t *testing.T, s state.Store) record.Contents {
	t.Helper()
	b, err := s.Contents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func conflicts(t *testing.T, s state.Store, c state.Change, what string) {
	t.Helper()
	before := contents(t, s)
	got, err := s.Write(ctx, c)
	if !errors.Is(err, state.ErrConflict) {
		t.Errorf("%s: error %v, want a conflict", what, err)
	}
	if !reflect.DeepEqual(got, c) {
		t.Errorf("%s: a conflict gave back %+v", what, got)
	}
	if after := contents(t, s); !reflect.DeepEqual(after, before) {
		t.Errorf("%s: a conflict left %+v, was %+v", what, after, before)
	}
}

func empty(t *testing.T, s state.Store) {
	b := contents(t, s)
	if !b.Known || len(b.Rotations) != 0 || b.Fleet.Version != "" {
		t.Errorf("an empty store is known and empty, got %+v", b)
	}
	if doc, err := s.Fleet(ctx); err != nil || doc.Version != "" {
		t.Errorf("fleet document %+v, error %v", doc, err)
	}
	if h, err := s.History(ctx, ref("a")); err != nil || len(h) != 0 {
		t.Errorf("history %v, error %v", h, err)
	}
}

func replace(t *testing.T, s state.Store) {
	r := rotation("a", "one")
	first := write(t, s, state.Change{Rotation: &r})
	if first.Rotation == nil || first.Rotation.Version == "" || first.Fleet != nil {
		t.Fatalf("created: %+v", first)
	}
	next := *first.Rotation
	next.Phase = record.RecreatingNodes
	second := write(t, s, state.Change{Rotation: &next})
	if second.Rotation.Version == first.Rotation.Version {
		t.Error("a replaced document keeps its version")
	}
	if got := contents(t, s).Rotations[ref("a")]; got.Phase != record.RecreatingNodes ||
		got.Version != second.Rotation.Version {
		t.Errorf("read %+v", got)
	}
	conflicts(t, s, state.Change{Rotation: &next}, "the version before")
	bogus := next
	bogus.Version = "no-version-of-yours"
	conflicts(t, s, state.Change{Rotation: &bogus}, "a version that never was")

	doc := record.FleetDoc{Env: "test"}
	one := write(t, s, state.Change{Fleet: &doc})
	conflicts(t, s, state.Change{Fleet: &doc}, "a second fleet document")
	two := write(t, s, state.Change{Fleet: one.Fleet})
	conflicts(t, s, state.Change{Fleet: one.Fleet}, "the fleet document before")
	if got, err := s.Fleet(ctx); err != nil || got.Version != two.Fleet.Version || got.Env != "test" {
		t.Errorf("fleet document %+v, error %v", got, err)
	}
}

func createOnce(t *testing.T, s state.Store) {
	r := rotation("a", "one")
	write(t, s, state.Change{Rotation: &r})
	other := rotation("a", "two")
	conflicts(t, s, state.Change{Rotation: &other}, "a second rotation of one cluster")
	gone := rotation("b", "three")
	gone.Version = "7"
	conflicts(t, s, state.Change{Rotation: &gone}, "replacing what is not there")
}

func atomic(t *testing.T, s state.Store) {
	r, doc := rotation("a", "one"), record.FleetDoc{Env: "test"}
	got := write(t, s, state.Change{Rotation: &r, Fleet: &doc})
	fresh := rotation("b", "two")
	conflicts(t, s, state.Change{Rotation: &fresh, Fleet: &doc}, "an old fleet document with a new rotation")
	conflicts(t, s, state.Change{Rotation: &r, Fleet: got.Fleet}, "a new fleet document with an old rotation")
	write(t, s, state.Change{Rotation: got.Rotation, Fleet: got.Fleet})
	rec := record.Record{Rotation: r, ClosedAs: record.Gone, ClosedAt: begin}
	conflicts(t, s, state.Change{Close: &rec, Fleet: &doc}, "an old close")
}

func closing(t *testing.T, s state.Store) {
	r, doc := rotation("a", "one"),
		record.FleetDoc{Env: "test", Slots: map[string]record.Slot{"p/europe-west1/a": {Attempt: "one"}}}
	got := write(t, s, state.Change{Rotation: &r, Fleet: &doc})
	after := *got.Fleet
	after.Slots = nil
	rec := record.Record{Rotation: *got.Rotation, ClosedAs: record.Completed, ClosedAt: begin, CompletedBy: "us",
		Findings: []string{"pool web is worse"}}
	write(t, s, state.Change{Close: &rec, Fleet: &after})
	b := contents(t, s)
	if len(b.Rotations) != 0 || len(b.Fleet.Slots) != 0 {
		t.Errorf("after closing: %+v", b)
	}
	h, err := s.History(ctx, ref("a"))
	if err != nil || len(h) != 1 || h[0].ClosedAs != record.Completed || h[0].Rotation.AttemptID != "one" ||
		!h[0].ClosedAt.Equal(begin) || h[0].CompletedBy != "us" || len(h[0].Findings) != 1 {
		t.Errorf("history %+v, error %v", h, err)
	}
	if h, err := s.History(ctx, ref("b")); err != nil || len(h) != 0 {
		t.Errorf("another cluster's history %+v, error %v", h, err)
	}
}

func closingConflict(t *testing.T, s state.Store) {
	r := rotation("a", "one")
	first := write(t, s, state.Change{Rotation: &r})
	second := write(t, s, state.Change{Rotation: first.Rotation})
	old := record.Record{Rotation: *first.Rotation, ClosedAs: record.Gone, ClosedAt: begin}
	conflicts(t, s, state.Change{Close: &old}, "closing what has changed")
	if h, err := s.History(ctx, ref("a")); err != nil || len(h) != 0 {
		t.Errorf("a close that conflicted is in the history: %v, %v", h, err)
	}
	now := record.Record{Rotation: *second.Rotation, ClosedAs: record.Gone, ClosedAt: begin}
	write(t, s, state.Change{Close: &now})
	conflicts(t, s, state.Change{Close: &now}, "closing twice")
}

// aba: a rotation that was closed and begun anew takes no version of the old
// one, or a paused process would overwrite what it never read.
func aba(t *testing.T, s state.Store) {
	seen := map[string]bool{}
	stale := []record.Rotation{}
	for i := range 3 {
		r := rotation("a", fmt.Sprintf("attempt-%d", i))
		got := write(t, s, state.Change{Rotation: &r})
		for range 2 {
			if seen[got.Rotation.Version] {
				t.Fatalf("version %s is given twice", got.Rotation.Version)
			}
			seen[got.Rotation.Version] = true
			for _, old := range stale {
				conflicts(t, s, state.Change{Rotation: &old}, "a version of a document that is gone")
				conflicts(t, s, state.Change{Close: &record.Record{Rotation: old, ClosedAs: record.Gone,
					ClosedAt: begin}}, "closing by a version of a document that is gone")
			}
			stale = append(stale, *got.Rotation)
			got = write(t, s, state.Change{Rotation: got.Rotation})
		}
		write(t, s, state.Change{Close: &record.Record{Rotation: *got.Rotation, ClosedAs: record.Completed,
			ClosedAt: begin}})
	}
}

func reopen(t *testing.T, s state.Store) {
	r := rotation("a", "one")
	got := write(t, s, state.Change{Rotation: &r})
	write(t, s, state.Change{Close: &record.Record{Rotation: *got.Rotation, ClosedAs: record.NotStarted,
		ClosedAt: begin}})
	claimed := rotation("a", "one")
	claimed.Origin = record.Reclaimed
	got = write(t, s, state.Change{Rotation: &claimed})
	if h, err := s.History(ctx, ref("a")); err != nil || len(h) != 0 {
		t.Errorf("the attempt is on record twice: %v, %v", h, err)
	}
	write(t, s, state.Change{Close: &record.Record{Rotation: *got.Rotation, ClosedAs: record.Completed,
		ClosedAt: begin.Add(time.Hour)}})
	if h, err := s.History(ctx, ref("a")); err != nil || len(h) != 1 || h[0].ClosedAs != record.Completed {
		t.Errorf("history %v, error %v", h, err)
	}
}

func replaces(t *testing.T, s state.Store) {
	for i := range 3 {
		r := rotation("a", fmt.Sprintf("attempt-%d", i))
		got := write(t, s, state.Change{Rotation: &r})
		c := state.Change{Close: &record.Record{Rotation: *got.Rotation, ClosedAs: record.NotStarted,
			ClosedAt: begin.Add(time.Duration(i) * time.Hour)}}
		if i == 2 {
			c.Replaces = "attempt-1"
		}
		write(t, s, c)
	}
	h, err := s.History(ctx, ref("a"))
	if err != nil || len(h) != 2 || h[0].Rotation.AttemptID != "attempt-2" ||
		h[1].Rotation.AttemptID != "attempt-0" {
		t.Errorf("history %v, error %v; want attempts 2 and 0", h, err)
	}
}

func history(t *testing.T, s state.Store) {
	for i, hours := range []int{2, 0, 1} {
		r := rotation("a", fmt.Sprintf("attempt-%d", i))
		got := write(t, s, state.Change{Rotation: &r})
		write(t, s, state.Change{Close: &record.Record{Rotation: *got.Rotation, ClosedAs: record.Completed,
			ClosedAt: begin.Add(time.Duration(hours) * time.Hour)}})
	}
	h, err := s.History(ctx, ref("a"))
	if err != nil || len(h) != 3 || h[0].Rotation.AttemptID != "attempt-0" ||
		h[1].Rotation.AttemptID != "attempt-2" || h[2].Rotation.AttemptID != "attempt-1" {
		t.Errorf("history %v, error %v; want attempts 0, 2, 1: newest first", h, err)
	}
}

func untouched(t *testing.T, s state.Store) {
	r, doc := rotation("a", "one"), record.FleetDoc{Env: "test"}
	write(t, s, state.Change{Rotation: &r, Fleet: &doc})
	if r.Version != "" || doc.Version != "" {
		t.Errorf("the caller's own values were given versions: %q, %q", r.Version, doc.Version)
	}
}

func lease(t *testing.T, s state.Store) {
	ask := func(holder string, after, lasts time.Duration, release bool) state.Lease {
		t.Helper()
		now := begin.Add(after)
		got, err := s.Lease(ctx, state.Lease{Holder: holder, Now: now, Until: now.Add(lasts), Release: release})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	const five = 5 * time.Minute
	for _, tt := range []struct {
		what    string
		holder  string
		after   time.Duration
		release bool
		want    string
	}{
		{"taken", "a", 0, false, "a"},
		{"held by another", "b", time.Minute, false, "a"},
		{"renewed", "a", 4 * time.Minute, false, "a"},
		{"still held", "b", 8 * time.Minute, false, "a"},
		{"not another's to release", "b", 8 * time.Minute, true, "a"},
		{"held after that, too", "b", 8 * time.Minute, false, "a"},
		{"run out", "b", 9 * time.Minute, false, "b"},
		{"lost", "a", 10 * time.Minute, false, "b"},
		{"released", "b", 11 * time.Minute, true, "b"},
		{"free", "c", 11 * time.Minute, false, "c"},
		{"taken by a clock that is ten years ahead", "d", 87600 * time.Hour, false, "d"},
		{"so it keeps nobody out", "e", 12 * time.Minute, false, "e"},
		{"taken by a clock that is five minutes ahead", "f", 18 * time.Minute, false, "f"},
		{"which is as far as clocks may be apart", "g", 13 * time.Minute, false, "f"},
		{"and no more", "h", 13*time.Minute - time.Second, false, "h"},
		{"renewed for long", "h", 17 * time.Minute, false, "h"},
	} {
		if got := ask(tt.holder, tt.after, five, tt.release); got.Holder != tt.want {
			t.Errorf("%s: %q holds it, want %q", tt.what, got.Holder, tt.want)
		}
	}
	held, err := s.Holder(ctx)
	if err != nil || held.Holder != "h" || !held.Since.Equal(begin.Add(13*time.Minute-time.Second)) ||
		!held.Until.Equal(begin.Add(22*time.Minute)) {
		t.Errorf("the lease is %+v, error %v; want that of h, with the time at which it was first taken", held, err)
	}
	if got := ask("h", 18*time.Minute, five, true); got.Holder != "h" {
		t.Errorf("given back: %+v", got)
	}
	if held, err = s.Holder(ctx); err != nil || held.Holder != "" {
		t.Errorf("given back, it is still %+v, error %v", held, err)
	}
	if b := contents(t, s); b.Fleet.Version != "" || len(b.Rotations) != 0 {
		t.Errorf("the lease changed the store: %+v", b)
	}
}

func largest(t *testing.T, s state.Store) {
	r, doc := Largest()
	got := write(t, s, state.Change{Rotation: &r, Fleet: &doc})
	b := contents(t, s)
	if !reflect.DeepEqual(b.Rotations[r.Cluster], *got.Rotation) {
		t.Error("the largest rotation comes back changed")
	}
	if !reflect.DeepEqual(b.Fleet, *got.Fleet) {
		t.Error("the largest fleet document comes back changed")
	}
	write(t, s, state.Change{Close: &record.Record{Rotation: *got.Rotation, ClosedAs: record.Completed,
		ClosedAt: begin}})
}

func tooLarge(t *testing.T, s state.Store) {
	r := rotation("a", "one")
	r.Caught = []string{strings.Repeat("x", state.MaxDocument)}
	if _, err := s.Write(ctx, state.Change{Rotation: &r}); err == nil || errors.Is(err, state.ErrConflict) ||
		!strings.Contains(err.Error(), "bytes") {
		t.Errorf("error %v, want one that names the size", err)
	}
	if b := contents(t, s); len(b.Rotations) != 0 {
		t.Errorf("it was stored: %v", b)
	}
}

// contention: of writers that read the same version one wins, the others learn.
func contention(t *testing.T, s state.Store) {
	const writers, rounds = 8, 10
	write(t, s, state.Change{Fleet: &record.FleetDoc{Env: "test", Waves: map[string]record.WaveNotes{}}})
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	for i := range writers {
		wg.Go(func() {
			for done := 0; done < rounds; {
				doc, err := s.Fleet(ctx)
				if err != nil {
					errs <- err
					return
				}
				next := doc
				next.Waves = map[string]record.WaveNotes{fmt.Sprintf("%d/%d", i, done): {{At: begin}}}
				for k, v := range doc.Waves {
					next.Waves[k] = v
				}
				switch _, err := s.Write(ctx, state.Change{Fleet: &next}); {
				case err == nil:
					done++
				case !errors.Is(err, state.ErrConflict):
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	if doc, err := s.Fleet(ctx); err != nil || len(doc.Waves) != writers*rounds {
		t.Errorf("%d writes are left of %d: %v", len(doc.Waves), writers*rounds, err)
	}
}

func cancelled(t *testing.T, s state.Store) {
	over, cancel := context.WithCancel(ctx)
	cancel()
	r := rotation("a", "one")
	if _, err := s.Write(over, state.Change{Rotation: &r}); err == nil || errors.Is(err, state.ErrConflict) {
		t.Errorf("error %v", err)
	}
	if b := contents(t, s); len(b.Rotations) != 0 {
		t.Errorf("it was stored: %v", b)
	}
}

// fields: what the rules store they find again, to the nanosecond.
func fields(t *testing.T, s state.Store) {
	r := rotation("a", "one")
	r.Call = &record.Call{ID: "c", Kind: record.CallStart, IntentAt: begin.Add(123456789), State: record.Unclear,
		Refusal: record.OtherOperation, RawError: "a \"quoted\" <word> \u2028 und Umlaute äöü"}
	r.PoolCalls = map[string]record.Call{"web": {ID: "d", Kind: record.CallRecreate, Pool: "web",
		State: record.Accepted}}
	r.Pools = map[string]record.Work{"": {Operation: "op", Failures: 2}}
	r.Approvals = []record.ApprovalUse{{Kind: record.CallComplete, Entry: 2,
		Said: record.Said{By: "eve", At: begin}}}
	r.Unexplained = 90 * time.Minute
	doc := record.FleetDoc{
		Env: "test", Holds: []record.Hold{{Said: record.Said{By: "eve", Reason: "all", At: begin}},
			{ID: "3f2a", Target: record.TheCluster(ref("a")), Until: begin.Add(time.Hour)},
			{ID: "77c1", Target: record.Target{Selector: prod(), Matched: []fleet.Ref{ref("a")}}},
			{ID: "a1b2", Target: record.Target{Project: "p"}}, {ID: "c3d4",
				Target: record.Target{Name: "a"}}},
		Requests: []record.Request{{Kind: record.RequestRotate, Cluster: ref("a"), CA: "aa"}},
		Failures: []record.Failure{{Cluster: ref("a"), Attempt: "one", What: reason.IsStuck, At: begin}},
		LastRun:  record.RunNote{Run: "run-1", At: begin, Mode: "act"},
	}
	got := write(t, s, state.Change{Rotation: &r, Fleet: &doc})
	b := contents(t, s)
	if !reflect.DeepEqual(b.Rotations[ref("a")], *got.Rotation) {
		t.Errorf("wrote %+v\nread  %+v", *got.Rotation, b.Rotations[ref("a")])
	}
	if !reflect.DeepEqual(b.Fleet, *got.Fleet) {
		t.Errorf("wrote %+v\nread  %+v", *got.Fleet, b.Fleet)
	}
}

func reopened(t *testing.T, open Opener) {
	s := open(t)
	r := rotation("a", "one")
	got := write(t, s, state.Change{Rotation: &r, Fleet: &record.FleetDoc{Env: "test"}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t)
	defer func() { _ = s.Close() }()
	b := contents(t, s)
	if b.Rotations[ref("a")].Version != got.Rotation.Version || b.Fleet.Env != "test" {
		t.Errorf("after opening again: %+v", b)
	}
	write(t, s, state.Change{Rotation: got.Rotation, Fleet: got.Fleet})
}

func prod() fleet.Selector {
	selector, _ := fleet.ParseSelector("env=prod")
	return selector
}
