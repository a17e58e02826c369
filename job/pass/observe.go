package pass

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"gke-credential-rotator/policy"
)

// observe reads every project: operations first where a rotation is on record,
// then the clusters. Idle projects cost one call.
func observe(ctx context.Context, w World, o Options, book policy.Book) (policy.Fleet, error) {
	f := policy.Fleet{Book: book}
	inFlight := map[string]bool{}
	for ref := range book.Rotations {
		inFlight[ref.Project] = true
	}
	// A project that left the settings stays listed while it has a rotation.
	projects := slices.Clone(o.Policy.Projects)
	for p := range inFlight {
		if !slices.Contains(projects, p) {
			projects = append(projects, p)
		}
	}
	slices.Sort(projects)

	var mu sync.Mutex
	failed := 0
	var first error
	var g errgroup.Group
	g.SetLimit(max(o.Parallel, 1))
	for _, project := range projects {
		g.Go(func() error {
			clusters, unread, err := readProject(ctx, w, project, inFlight[project], &f.Book)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed++
				first = cmpErr(first, err)
				unread = append(unread, policy.Unread{Project: project, Reason: err.Error()})
			}
			f.Clusters = append(f.Clusters, clusters...)
			f.Unread = append(f.Unread, unread...)
			return nil
		})
	}
	_ = g.Wait() // the workers return no error: one project does not stop the rest
	slices.SortFunc(f.Clusters, func(a, b policy.Cluster) int { return a.Ref.Compare(b.Ref) })
	slices.SortFunc(f.Unread, func(a, b policy.Unread) int {
		return policy.Ref{Project: a.Project, Location: a.Location}.Compare(policy.Ref{Project: b.Project, Location: b.Location})
	})
	if failed == len(projects) && failed > 0 {
		return f, fmt.Errorf("no project could be read: %w", first)
	}
	return f, nil
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// readProject reads one project in the order that the protocol asks for.
func readProject(ctx context.Context, w World, project string, inFlight bool, book *policy.Book) ([]policy.Cluster, []policy.Unread, error) {
	var ops map[policy.Ref][]policy.Operation
	var unread []policy.Unread
	var err error
	if inFlight {
		if ops, err = w.Read.Operations(ctx, project); err != nil {
			return nil, nil, fmt.Errorf("list operations: %w", err)
		}
	}
	seen := w.Now()
	clusters, unread, err := w.Read.Clusters(ctx, project)
	if err != nil {
		return nil, nil, fmt.Errorf("list clusters: %w", err)
	}
	for i := range clusters {
		c := &clusters[i]
		c.Seen = seen
		if inFlight {
			c.Operations, c.OperationsRead = ops[c.Ref], true
		}
		if _, known := book.Rotations[c.Ref]; !known && len(c.Bundle.CAs) == 2 && book.Known {
			explain(ctx, w, c)
		}
	}
	return clusters, unread, nil
}

// explain reads a cluster with a second CA and no record once more, after its
// operations.
func explain(ctx context.Context, w World, c *policy.Cluster) {
	fresh, err := readFresh(ctx, w, c.Ref)
	if err != nil {
		return // OperationsRead stays false: the decision says that they are unknown
	}
	partial := c.Partial
	*c = fresh
	c.Partial = partial
}

// readFresh reads operations, then the cluster.
func readFresh(ctx context.Context, w World, ref policy.Ref) (policy.Cluster, error) {
	ops, err := w.Read.Operations(ctx, ref.Project)
	if err != nil {
		return policy.Cluster{}, err
	}
	seen := w.Now()
	c, err := w.Read.Cluster(ctx, ref)
	if err != nil {
		return policy.Cluster{}, err
	}
	c.Operations, c.OperationsRead, c.Seen = ops[ref], true, seen
	return c, nil
}
