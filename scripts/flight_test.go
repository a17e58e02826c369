package scripts_test

import (
	"testing"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
	"gke-credential-rotator/state/emulator"
)

// TestFlightInARealBook: what the job's own store writes is what teardown reads.
func TestFlightInARealStore(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	host := emulator.Start(t)
	w := newWorld(t)
	w.write(t, "deploy/env/dev.env", devSettings)
	// The emulator's own word for somebody who may do all.
	w.env = append(w.env, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE="+w.write(t, "token", "owner"))
	w.env = append(w.env, "CLOUDSDK_API_ENDPOINT_OVERRIDES_FIRESTORE=http://"+host+"/", "no_proxy=127.0.0.1")
	script := `. scripts/lib/common.sh; . scripts/lib/everything.sh; . scripts/lib/flight.sh
		load_env dev; want_begin make; read_store || fail "$WHY"; printf '%s\n' "in flight:" "${IN_FLIGHT[@]}"`
	if got := w.ok(t, "bash", "-c", script); got != "in flight:\n" {
		t.Errorf("an empty store: %q", got)
	}
	store, err := state.OpenFirestore(t.Context(), platform, "rotator-dev",
		state.FirestoreOptions{Emulator: host})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	shop := fleet.Ref{Project: targetA, Location: "europe-west1", Name: "shop"}
	r := record.Rotation{Cluster: shop, AttemptID: "one", Phase: record.UpdatingClients, Origin: record.Ours}
	if _, err := store.Write(t.Context(), state.Change{Rotation: &r}); err != nil {
		t.Fatal(err)
	}
	if got, want := w.ok(t, "bash", "-c", script), "in flight:\n"+targetA+"/europe-west1/shop\n"; got != want {
		t.Errorf("a store with a rotation: %q, not %q", got, want)
	}
}
