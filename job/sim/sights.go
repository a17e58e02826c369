package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
)

// sights are the clusters of a simulated GKE as runs see them: read through the
// adapter that production uses, but only when something has changed. Of a year
// of runs nearly all the time would go into reading the same again.
type sights struct {
	world    *gkesim.World
	cloud    *gke.Cloud
	all      []*sight // ordered by cluster
	projects map[string][]*sight
	of       map[fleet.Ref]*sight
	unread   []fleet.Unread
	now      time.Time
}

// sight is one cluster, and what the forecast remembers of it.
type sight struct {
	cluster fleet.Cluster
	ops     []fleet.Operation
	// turns is when time alone changes what GKE shows: the CA's last week
	// begins, or an operation is forgotten. Zero: never.
	turns time.Time
	// changed: since it was last planned. listed: this run sees it.
	changed, listed bool
	idle
}

// look reads all that there is.
func look(ctx context.Context, w *gkesim.World, projects []string) (*sights, error) {
	s := &sights{world: w, cloud: gke.Over(w.Direct(), gke.NoRetry()), projects: map[string][]*sight{}, of: map[fleet.Ref]*sight{}, now: w.Now()}
	w.Touched() // from now on it tells
	for _, project := range projects {
		clusters, unread, err := s.cloud.Clusters(ctx, project)
		if err != nil {
			return nil, fmt.Errorf("list the clusters of %s: %w", project, err)
		}
		s.unread = append(s.unread, unread...)
		for _, c := range clusters {
			x := &sight{cluster: c, changed: true}
			s.all, s.projects[project], s.of[c.Ref] = append(s.all, x), append(s.projects[project], x), x
		}
		if err := s.readOperations(ctx, project, s.projects[project]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(s.all, func(a, b *sight) int { return a.cluster.Ref.Compare(b.cluster.Ref) })
	return s, nil
}

// refresh reads again what has changed by now.
func (s *sights) refresh(ctx context.Context, now time.Time) error {
	s.now = now
	stale := map[string][]*sight{}
	note := func(x *sight) {
		if x != nil && !slices.Contains(stale[x.cluster.Ref.Project], x) {
			stale[x.cluster.Ref.Project] = append(stale[x.cluster.Ref.Project], x)
		}
	}
	for _, name := range s.world.Touched() {
		if ref, err := fleet.ParseRef(name); err == nil {
			note(s.of[ref])
		}
	}
	for _, x := range s.all {
		if !x.turns.IsZero() && !now.Before(x.turns) {
			note(x)
		}
	}
	for project, list := range stale {
		for _, x := range list {
			c, err := s.cloud.Cluster(ctx, x.cluster.Ref)
			if err != nil {
				return fmt.Errorf("read %s: %w", x.cluster.Ref, err)
			}
			// Nobody changes a maintenance policy in a simulation, and its
			// calendar remembers what it was asked.
			c.Maintenance = x.cluster.Maintenance
			x.cluster, x.changed = c, true
		}
		if err := s.readOperations(ctx, project, list); err != nil {
			return err
		}
	}
	return nil
}

// readOperations reads a project's operations for these of its clusters.
func (s *sights) readOperations(ctx context.Context, project string, list []*sight) error {
	ops, err := s.cloud.Operations(ctx, project)
	if err != nil {
		return fmt.Errorf("list the operations of %s: %w", project, err)
	}
	for _, x := range list {
		x.ops, x.turns = ops[x.cluster.Ref], time.Time{}
		turn := func(at time.Time) {
			if at.After(s.now) && (x.turns.IsZero() || at.Before(x.turns)) {
				x.turns = at
			}
		}
		if ca := x.cluster.Bundle.Oldest(); ca.Fingerprint != "" {
			turn(ca.Expires.Add(-policy.DegradedBefore))
		}
		for _, op := range x.ops {
			if forgets := s.world.Forgets(); forgets > 0 && op.Done {
				turn(op.End.Add(forgets + time.Nanosecond))
			}
		}
	}
	return nil
}

// Clusters implements [gke.Reader]: those that this run is to see.
func (s *sights) Clusters(_ context.Context, project string) ([]fleet.Cluster, []fleet.Unread, error) {
	var out []fleet.Cluster
	for _, x := range s.projects[project] {
		if x.listed {
			out = append(out, x.cluster)
		}
	}
	return out, nil, nil
}

// Cluster implements [gke.Reader].
func (s *sights) Cluster(ctx context.Context, ref fleet.Ref) (fleet.Cluster, error) {
	if err := s.refresh(ctx, s.now); err != nil {
		return fleet.Cluster{}, err
	}
	if x := s.of[ref]; x != nil {
		return x.cluster, nil
	}
	return fleet.Cluster{}, gke.ErrNotFound
}

// Operations implements [gke.Reader].
func (s *sights) Operations(ctx context.Context, project string) (map[fleet.Ref][]fleet.Operation, error) {
	if err := s.refresh(ctx, s.now); err != nil {
		return nil, err
	}
	out := map[fleet.Ref][]fleet.Operation{}
	for _, x := range s.projects[project] {
		if x.listed && len(x.ops) > 0 {
			out[x.cluster.Ref] = x.ops
		}
	}
	return out, nil
}
