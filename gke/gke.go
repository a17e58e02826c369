// Package gke is what clusters look like and what can be done to them: the
// ports that a run uses, and the adapter on Google's own clients.
package gke

import (
	"context"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// Reader looks at GKE. Reads may be stale by some minutes and may be
// repeated.
type Reader interface {
	// Clusters lists every cluster of a project. What could not be reached
	// is named in the unread list: clusters there are unknown, not gone. An
	// error means that nothing of the project could be read.
	Clusters(ctx context.Context, project string) ([]fleet.Cluster, []fleet.Unread, error)
	// Cluster reads one cluster. [ErrNotFound] says that it does not exist.
	Cluster(ctx context.Context, ref fleet.Ref) (fleet.Cluster, error)
	// Operations lists a project's operations by cluster. GKE forgets old ones.
	Operations(ctx context.Context, project string) (map[fleet.Ref][]fleet.Operation, error)
}

// Mover changes clusters. Every call is sent once, never repeated; silence is
// an outcome, not an error.
type Mover interface {
	// Start starts a credential rotation.
	Start(ctx context.Context, ref fleet.Ref) record.Outcome
	// Recreate upgrades a pool to the version it already runs, or an Autopilot
	// control plane (pool "") likewise, guarded by its etag.
	Recreate(ctx context.Context, ref fleet.Ref, target fleet.Pool) record.Outcome
	// Complete ends the rotation, and the old credentials with it.
	Complete(ctx context.Context, ref fleet.Ref) record.Outcome
}
