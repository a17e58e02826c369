package policy

import (
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// Fleet is everything one run knows: what GKE showed and what the store holds.
type Fleet struct {
	Clusters []fleet.Cluster
	Unread   []fleet.Unread
	// Gone are clusters of which GKE, asked for each by name, said that they do
	// not exist.
	Gone     []fleet.Ref
	Contents record.Contents
}

// UnreadAt says why the cluster's place could not be read, or "".
func (f Fleet) UnreadAt(ref fleet.Ref) string {
	for _, u := range f.Unread {
		if u.Covers(ref) {
			return u.Reason
		}
	}
	return ""
}
