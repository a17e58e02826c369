package record

import (
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy/fleet"
)

// Hold is a person's stop. Those of several people add up: each has its end, and none
// takes the place of another.
type Hold struct {
	ID string `json:"id"` // short, for people to name it by
	Target
	Until time.Time `json:"until,omitzero"` // zero: until released
	Said
}

// Target is what a hold is on: one field of it is set; none: all clusters.
type Target struct {
	Cluster fleet.Ref `json:"cluster,omitzero"`
	Project string    `json:"project,omitempty"`
	// Name is the end of a cluster's name: all that are called so.
	Name string `json:"name,omitempty"`
	// Selector is what the labels must be at the call, or were when the hold was
	// said; Matched are the clusters of then, as far as there is room.
	Selector fleet.Selector `json:"selector,omitzero"`
	Matched  []fleet.Ref    `json:"matched,omitempty"`
}

// TheCluster is a hold's target of one cluster; of all, when none is named.
func TheCluster(ref fleet.Ref) Target { return Target{Cluster: ref} }

// All says whether it is every cluster of the deployment.
func (t Target) All() bool {
	return t.Cluster.IsZero() && t.Project == "" && t.Name == "" && t.Selector.All()
}

// Stop says whether it is a large one, of all clusters or a whole project, which
// always has room.
func (t Target) Stop() bool { return t.Project != "" || t.All() }

// Typed is the target as people type it.
func (t Target) Typed() string {
	switch {
	case t.All():
		return "all"
	case t.Project != "":
		return t.Project
	case t.Name != "":
		return t.Name
	case !t.Selector.All():
		return t.Selector.String()
	}
	return t.Cluster.String()
}

// String is the target in words.
func (t Target) String() string {
	switch {
	case t.All():
		return "every cluster"
	case t.Project != "":
		return "project " + t.Project
	case t.Name != "":
		return "every cluster called " + t.Name
	case !t.Selector.All():
		return "every cluster with " + t.Selector.String()
	}
	return t.Cluster.String()
}

// Covers says whether the cluster is of the target.
func (t Target) Covers(c fleet.Cluster) bool {
	switch {
	case t.Project != "":
		return t.Project == c.Ref.Project
	case t.Name != "":
		return c.Ref.Ends(t.Name)
	case !t.Selector.All():
		return t.Selector.Matches(c.Labels) || slices.Contains(t.Matched, c.Ref)
	}
	return t.Cluster.IsZero() || t.Cluster == c.Ref
}

// Binds says whether the hold has not run out yet.
func (h Hold) Binds(now time.Time) bool { return h.Until.IsZero() || now.Before(h.Until) }

// Outlasts says whether the hold ends later than the other.
func (h Hold) Outlasts(other Hold) bool { return outlasts(h.Until, other.Until) }

// Outlasts says whether the yes is good for longer than the other.
func (a Approval) Outlasts(other Approval) bool { return outlasts(a.Until, other.Until) }

// outlasts compares ends, of which zero is none.
func outlasts(a, b time.Time) bool { return !b.IsZero() && (a.IsZero() || a.After(b)) }

// Is says whether that is who said it.
func (s Said) Is(by string) bool { return strings.EqualFold(s.By, by) }

// Held gives the holds that bind the cluster now, the longest first.
func (f FleetDoc) Held(c fleet.Cluster, now time.Time) []Hold {
	var found []Hold
	for _, h := range f.Holds {
		if h.Binds(now) && h.Covers(c) {
			found = append(found, h)
		}
	}
	slices.SortStableFunc(found, func(a, b Hold) int {
		switch {
		case a.Outlasts(b):
			return -1
		case b.Outlasts(a):
			return 1
		}
		return 0
	})
	return found
}
