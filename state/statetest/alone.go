package statetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gke-credential-rotator/state"
)

// alone: one rotation is read as it stands among all, with a version on which the next
// write may rest; none is none.
func alone(t *testing.T, s state.Store) {
	for _, name := range []string{"one", "two"} {
		r := rotation(name, "attempt-"+name)
		if _, err := s.Write(ctx, state.Change{Rotation: &r}); err != nil {
			t.Fatal(err)
		}
	}
	contents, err := s.Contents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Rotation(ctx, ref("two"))
	if err != nil || got == nil {
		t.Fatalf("%v, %v", got, err)
	}
	if diff := cmp.Diff(contents.Rotations[ref("two")], *got); diff != "" {
		t.Error(diff)
	}
	got.AttemptNo = 7
	if _, err := s.Write(ctx, state.Change{Rotation: got}); err != nil {
		t.Errorf("a write on what was read: %v", err)
	}
	if none, err := s.Rotation(ctx, ref("three")); none != nil || err != nil {
		t.Errorf("of none: %v, %v", none, err)
	}
}
