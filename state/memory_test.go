package state_test

import (
	"context"
	"testing"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
	"gke-credential-rotator/state/statetest"
)

// TestMemory: the store in memory is a store as any other.
func TestMemory(t *testing.T) {
	for name, fresh := range map[string]bool{"decoded once": false, "decoded at every read": true} {
		t.Run(name, func(t *testing.T) {
			statetest.Run(t, func(*testing.T) statetest.Opener {
				b := state.NewMemory(fresh)
				return func(*testing.T) state.Store { return b }
			})
		})
	}
}

// TestMemoryOf: a copy holds what the store held, and goes its own way.
func TestMemoryOf(t *testing.T) {
	ctx := context.Background()
	ref := fleet.Ref{Project: "p", Location: "l", Name: "c"}
	first := state.NewMemory(false)
	r := record.Rotation{Cluster: ref, ClusterID: "id", AttemptID: "one", AttemptNo: 1, Phase: record.Starting}
	if _, err := first.Write(ctx,
		state.Change{Rotation: &r,
			Fleet: &record.FleetDoc{Env: "prod",
				Slots: map[string]record.Slot{ref.String(): {Attempt: "one"}}}}); err != nil {
		t.Fatal(err)
	}
	contents, err := first.Contents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	old := record.Record{Rotation: record.Rotation{Cluster: ref, AttemptID: "zero"}, ClosedAs: record.Completed}
	copied, err := state.MemoryOf(contents, []record.Record{old})
	if err != nil {
		t.Fatal(err)
	}
	got, err := copied.Contents(ctx)
	if err != nil {
		t.Fatal(err)
	}
	kept, closed := got.Rotations[ref], got.Rotations[ref]
	if kept.AttemptID != "one" || got.Fleet.Env != "prod" || len(got.Fleet.Slots) != 1 {
		t.Errorf("the copy holds %+v", got)
	}
	if _, err := copied.Write(ctx,
		state.Change{Close: &record.Record{Rotation: closed, ClosedAs: record.Completed}}); err != nil {
		t.Fatal(err)
	}
	if history, err := copied.History(ctx, ref); err != nil || len(history) != 2 {
		t.Errorf("the copy's history: %+v, %v", history, err)
	}
	if contents, err := first.Contents(ctx); err != nil || len(contents.Rotations) != 1 {
		t.Errorf("what was done to the copy was done to the store: %+v, %v", contents, err)
	}
}
