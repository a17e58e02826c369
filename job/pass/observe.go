package pass

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// observer reads the fleet. An idle project costs one call; operations are
// listed only where the store or an unexplained second CA asks for them.
type observer struct {
	World
	Options
	contents record.Contents

	mu    sync.Mutex // guards all below
	again []string   // the projects that could not be read at first
	res   *Result
	err   error // the first project's that could not be read
	bad   int   // how many
}

func observe(ctx context.Context, w World, o Options, contents record.Contents, res *Result) error {
	ob := &observer{World: w, Options: o, contents: contents, res: res}
	res.Fleet.Contents = contents
	res.attempts = map[fleet.Ref]int{}
	projects := ProjectsOf(o.Policy.Projects, contents)
	inParallel(o.Parallel, projects, func(project string) { ob.project(ctx, project, false) })
	again := ob.again // what cannot be read holds up others: once more, before that counts
	inParallel(o.Parallel, again, func(project string) { ob.project(ctx, project, true) })
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("stopped while looking at the projects: %w", err)
	}
	f := &res.Fleet
	slices.SortFunc(f.Clusters, func(a, b fleet.Cluster) int { return a.Ref.Compare(b.Ref) })
	slices.SortFunc(f.Gone, fleet.Ref.Compare)
	for _, list := range [][]fleet.Unread{f.Unread, res.blind} {
		slices.SortFunc(list, func(a, b fleet.Unread) int {
			return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Location, b.Location))
		})
	}
	slices.SortFunc(f.Contents.Closed, func(a, b record.Record) int {
		return cmp.Or(a.Rotation.Cluster.Compare(b.Rotation.Cluster), b.ClosedAt.Compare(a.ClosedAt))
	})
	if ob.bad == len(projects) && ob.bad > 0 {
		return fmt.Errorf("no project could be read: %w", ob.err)
	}
	return nil
}

// ProjectsOf are the projects of the settings, and others as long as a rotation is on record there.
func ProjectsOf(settings []string, contents record.Contents) []string {
	projects := slices.Clone(settings)
	for ref := range contents.Rotations {
		projects = append(projects, ref.Project)
	}
	slices.Sort(projects)
	return slices.Compact(projects)
}

func (ob *observer) project(ctx context.Context, project string, last bool) {
	s, err := ob.read(ctx, project)
	ob.mu.Lock()
	defer ob.mu.Unlock()
	f := &ob.res.Fleet
	gone := errors.Is(err, gke.ErrNoProject)
	switch {
	case err == nil:
	case !last && !gone && ctx.Err() == nil:
		ob.again = append(ob.again, project)
		return
	default:
		ob.bad++
		ob.err = cmp.Or(ob.err, err)
		s.Unread = []fleet.Unread{{Project: project, Reason: err.Error(), Gone: gone}}
	}
	f.Clusters = append(f.Clusters, s.Clusters...)
	f.Unread = append(f.Unread, s.Unread...)
	f.Gone = append(f.Gone, s.Gone...)
}

// read keeps to the protocol's order: the store was read before, then operations, then the clusters.
func (ob *observer) read(ctx context.Context, project string) (s policy.Fleet, err error) {
	var ops map[fleet.Ref][]fleet.Operation
	at, opsRead := ob.Now(), false
	inFlight := ob.inFlight(project)
	if len(inFlight) > 0 || ob.waitsOnGKE(project) {
		ops, opsRead = ob.operations(ctx, project)
	}
	s.Clusters, s.Unread, err = ob.Read.Clusters(ctx, project)
	if err != nil {
		return policy.Fleet{}, fmt.Errorf("list clusters: %w", err)
	}
	if !slices.Contains(ob.Policy.Projects, project) {
		// It left the settings: only what is in flight is managed to its end.
		s.Clusters = slices.DeleteFunc(s.Clusters, func(c fleet.Cluster) bool { return !ob.onRecord(c.Ref) })
	}
	ob.askFor(ctx, inFlight, &s)
	for i := range s.Clusters {
		c := &s.Clusters[i]
		c.Seen = at
		c.Operations, c.OperationsRead = ops[c.Ref], opsRead
	}
	ob.explain(ctx, project, s.Clusters, opsRead)
	return s, nil
}

// askFor reads by name what is on record and not in the list of its place: that alone proves no absence.
func (ob *observer) askFor(ctx context.Context, inFlight []fleet.Ref, s *policy.Fleet) {
	listed := map[fleet.Ref]bool{}
	for _, c := range s.Clusters {
		listed[c.Ref] = true
	}
	for _, ref := range inFlight {
		if listed[ref] || s.UnreadAt(ref) != "" {
			continue
		}
		c, err := ob.Read.Cluster(ctx, ref)
		switch {
		case errors.Is(err, gke.ErrNotFound):
			s.Gone = append(s.Gone, ref)
		case err != nil:
			s.Unread = append(s.Unread, fleet.Unread{Project: ref.Project, Location: ref.Location,
				Reason: fmt.Sprintf("the list does not show %s, and GKE does not say whether it still exists: %v",
					ref.Name, err)})
		default:
			s.Clusters = append(s.Clusters, c)
		}
	}
}

// operations lists a project's operations. When they cannot be read, the
// clusters still can: a decision that needs them says that they are unknown.
func (ob *observer) operations(ctx context.Context, project string) (map[fleet.Ref][]fleet.Operation, bool) {
	ops, err := ob.Read.Operations(ctx, project)
	if err != nil {
		ob.mu.Lock()
		defer ob.mu.Unlock()
		why := "list operations: " + err.Error()
		ob.res.blind = append(ob.res.blind, fleet.Unread{Project: project, Reason: why})
	}
	return ops, err == nil
}

func (ob *observer) onRecord(ref fleet.Ref) bool {
	_, ok := ob.contents.Rotations[ref]
	return ok
}

// waitsOnGKE: a cluster of the project waits for work of GKE's own, which people want to
// have named.
func (ob *observer) waitsOnGKE(project string) bool {
	for name := range ob.contents.Fleet.OnGKE {
		if strings.HasPrefix(name, project+"/") {
			return true
		}
	}
	return false
}

// inFlight are the clusters of a project with a rotation on record.
func (ob *observer) inFlight(project string) []fleet.Ref {
	refs := slices.SortedFunc(maps.Keys(ob.contents.Rotations), fleet.Ref.Compare)
	return slices.DeleteFunc(refs, func(ref fleet.Ref) bool { return ref.Project != project })
}

// explain looks into clusters with a second CA and no record: their operations, then the cluster once more,
// and the history, for a start of ours may have been accepted after we had given it up.
func (ob *observer) explain(ctx context.Context, project string, clusters []fleet.Cluster, opsRead bool) {
	var unexplained []*fleet.Cluster
	for i := range clusters {
		if c := &clusters[i]; ob.contents.Known && !ob.onRecord(c.Ref) && len(c.Bundle.CAs) == 2 {
			unexplained = append(unexplained, c)
		}
	}
	if len(unexplained) > 0 && !opsRead {
		seen := ob.Now()
		if ops, ok := ob.operations(ctx, project); ok {
			for _, c := range unexplained {
				fresh, err := ob.Read.Cluster(ctx, c.Ref)
				if err != nil {
					continue // its operations count as unread
				}
				fresh.Partial, fresh.Seen = c.Partial, seen
				fresh.Operations, fresh.OperationsRead = ops[c.Ref], true
				*c = fresh
			}
		}
	}
	for i := range clusters { // of one that was lost, whatever it shows
		_, lost := ob.contents.Fleet.Lost[clusters[i].Ref.String()]
		if lost && !ob.onRecord(clusters[i].Ref) && len(clusters[i].Bundle.CAs) == 1 {
			unexplained = append(unexplained, &clusters[i])
		}
	}
	for _, c := range unexplained {
		ob.remember(ctx, c)
	}
}

// remember looks at the cluster's history. Without it nobody knows whose rotation it is: nothing is adopted.
func (ob *observer) remember(ctx context.Context, c *fleet.Cluster) {
	records, err := ob.Store.History(ctx, c.Ref)
	if err != nil {
		ob.Log.Warn("the history of the cluster could not be read", attrCluster, c.Ref.String(), attrError, err.Error())
		c.OperationsRead = false
		return
	}
	ob.mu.Lock()
	defer ob.mu.Unlock()
	ob.res.attempts[c.Ref] = lastAttempt(records)
	for _, rec := range records { // what the last rotation left is the old one of the next
		if rec.ClosedAs.Verified() && rec.Rotation.ClusterID == c.ID && c.Bundle.Has(rec.Rotation.New.Fingerprint) {
			c.Bundle = c.Bundle.OldFirst(rec.Rotation.New.Fingerprint)
			break
		}
	}
	for _, rec := range records {
		same := rec.Rotation.ClusterID == c.ID && c.Bundle.Has(rec.Rotation.Baseline.CA.Fingerprint)
		if same || rec.ClosedAs == record.Lost {
			ob.res.Fleet.Contents.Closed = append(ob.res.Fleet.Contents.Closed, rec)
		}
	}
}

func lastAttempt(records []record.Record) int {
	last := 0
	for _, rec := range records {
		last = max(last, rec.Rotation.AttemptNo)
	}
	return last
}

// List gives the clusters of the projects as GKE lists them, and what could not be read.
func List(ctx context.Context, read gke.Reader, projects []string, parallel int,
) (clusters []fleet.Cluster, unread []fleet.Unread) {
	var mu sync.Mutex
	inParallel(parallel, projects, func(project string) {
		found, places, err := read.Clusters(ctx, project)
		if err != nil {
			places = []fleet.Unread{{Project: project, Reason: err.Error()}}
		}
		mu.Lock()
		defer mu.Unlock()
		clusters, unread = append(clusters, found...), append(unread, places...)
	})
	slices.SortFunc(clusters, func(a, b fleet.Cluster) int { return a.Ref.Compare(b.Ref) })
	slices.SortFunc(unread, func(a, b fleet.Unread) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Location, b.Location))
	})
	return clusters, unread
}

// ReadCluster reads one cluster in the order that the protocol asks for: its
// operations, then itself. [gke.ErrNotFound]: GKE says that there is none.
func ReadCluster(ctx context.Context, read gke.Reader, ref fleet.Ref, now time.Time) (fleet.Cluster, error) {
	ops, err := read.Operations(ctx, ref.Project)
	if err != nil {
		return fleet.Cluster{}, fmt.Errorf("list operations: %w", err)
	}
	c, err := read.Cluster(ctx, ref)
	if err != nil {
		return fleet.Cluster{}, fmt.Errorf("read the cluster: %w", err)
	}
	c.Operations, c.OperationsRead, c.Seen = ops[ref], true, now
	return c, nil
}
