package sim

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
)

// Cache is what reads of a simulated GKE show, now and for a while back. It reads
// through the adapter that production uses, but only what has changed: of a year
// of runs nearly all the time would go into reading the same again.
type Cache struct {
	// Changed is told of every read that [Cache.Refresh] makes; nil: nobody is.
	Changed func(ref fleet.Ref, before, now View)

	world    *gkesim.World
	cloud    *gke.Cloud
	keep     time.Duration
	raw      *containerpb.Cluster // the last that GKE showed
	reads    map[fleet.Ref]history[View]
	projects map[string][]fleet.Ref
	ops      map[string]history[map[fleet.Ref][]fleet.Operation]
	err      error
}

// View is a cluster as it is shown.
type View struct {
	Gone    bool
	Raw     *containerpb.Cluster
	Cluster fleet.Cluster // without operations
	// Changes is when time alone changes it: the CA's last week begins. Zero: never.
	Changes time.Time
}

// NewCache makes an empty cache that keeps older reads for so long.
func NewCache(w *gkesim.World, keep time.Duration) *Cache {
	c := &Cache{
		world: w, keep: keep, reads: map[fleet.Ref]history[View]{}, projects: map[string][]fleet.Ref{},
		ops: map[string]history[map[fleet.Ref][]fleet.Operation]{},
	}
	client := w.Direct()
	client.Around = func(
		ctx context.Context, req any, _ *grpc.UnaryServerInfo, serve grpc.UnaryHandler,
	) (any, error) {
		out, err := serve(ctx, req)
		if pb, ok := out.(*containerpb.Cluster); ok {
			c.raw = pb
		}
		return out, err
	}
	c.cloud = gke.Over(client, gke.NoRetry())
	w.Touched() // from now on it tells
	return c
}

// Err is the first read that failed otherwise than by finding nothing.
func (c *Cache) Err() error { return c.err }

// AddProject takes in all clusters of a project.
func (c *Cache) AddProject(project string) {
	list, _, err := c.cloud.Clusters(context.Background(), project)
	c.err = cmp.Or(c.err, err)
	for _, cluster := range list {
		c.know(cluster.Ref)
		c.read(cluster.Ref, c.world.Now())
	}
	c.readOperations(project)
}

// Add takes in one cluster, or reads it again.
func (c *Cache) Add(ref fleet.Ref) {
	c.know(ref)
	c.read(ref, c.world.Now())
	c.readOperations(ref.Project)
}

func (c *Cache) know(ref fleet.Ref) {
	byPath := func(a, b fleet.Ref) int { return strings.Compare(a.Path(), b.Path()) }
	if at, known := slices.BinarySearchFunc(c.projects[ref.Project], ref, byPath); !known {
		c.projects[ref.Project] = slices.Insert(c.projects[ref.Project], at, ref)
	}
}

// Projects are the clusters that were ever there, by project and in the order in which GKE lists them.
func (c *Cache) Projects() map[string][]fleet.Ref { return c.projects }

// read reads a cluster, of which what it shows is so since then.
func (c *Cache) read(ref fleet.Ref, since time.Time) {
	cluster, err := c.cloud.Cluster(context.Background(), ref)
	r := View{Gone: err != nil}
	if err == nil {
		r.Cluster, r.Raw = cluster, c.raw
		if ca := cluster.Bundle.Oldest(); ca.Fingerprint != "" {
			if week := ca.Expires.Add(-rules.DegradedBefore); week.After(c.world.Now()) {
				r.Changes = week
			}
		}
		// A calendar remembers what it was asked.
		old := c.reads[ref].last()
		if old.Raw != nil && proto.Equal(old.Raw.GetMaintenancePolicy(), r.Raw.GetMaintenancePolicy()) {
			r.Cluster.Maintenance = old.Cluster.Maintenance
		}
	} else if !errors.Is(err, gke.ErrNotFound) {
		c.err = cmp.Or(c.err, err)
	}
	c.reads[ref] = c.reads[ref].add(since, r, c.world.Now().Add(-c.keep))
}

func (c *Cache) readOperations(project string) {
	ops, err := c.cloud.Operations(context.Background(), project)
	c.err = cmp.Or(c.err, err)
	now := c.world.Now()
	c.ops[project] = c.ops[project].add(now, ops, now.Add(-c.keep))
}

// Refresh reads again what has changed, and these clusters, and gives both.
func (c *Cache) Refresh(also ...fleet.Ref) []fleet.Ref {
	var changed []fleet.Ref
	for _, name := range c.world.Touched() {
		if ref, err := fleet.ParseRef(name); err == nil && len(c.reads[ref]) > 0 {
			changed = append(changed, ref)
		}
	}
	for _, ref := range also {
		if !slices.Contains(changed, ref) {
			changed = append(changed, ref)
		}
	}
	projects := map[string]bool{}
	for _, ref := range changed {
		before := c.reads[ref].last()
		c.read(ref, c.world.Now())
		projects[ref.Project] = true
		if c.Changed != nil {
			c.Changed(ref, before, c.reads[ref].last())
		}
	}
	for project := range projects {
		c.readOperations(project)
	}
	return changed
}

// Now is the cluster as it is shown now.
func (c *Cache) Now(ref fleet.Ref) View {
	if len(c.reads[ref]) == 0 {
		return View{Gone: true}
	}
	if r := c.reads[ref].last(); !r.Changes.IsZero() && !c.world.Now().Before(r.Changes) {
		c.read(ref, r.Changes)
	}
	return c.reads[ref].last()
}

// AsOf is the cluster as it was shown then.
func (c *Cache) AsOf(ref fleet.Ref, then time.Time) View {
	c.Now(ref)
	if r, ok := c.reads[ref].at(then); ok {
		return r
	}
	return View{Gone: true}
}

// Operations are those of a project as they were shown then.
func (c *Cache) Operations(project string, then time.Time) map[fleet.Ref][]fleet.Operation {
	if ops, _ := c.ops[project].at(then); ops != nil {
		return ops
	}
	return map[fleet.Ref][]fleet.Operation{}
}

// history is what was read since when, oldest first.
type history[T any] []seen[T]

type seen[T any] struct {
	since time.Time
	what  T
}

// add takes the place of what was read at the same time, and drops what nobody can ask for any more.
func (h history[T]) add(since time.Time, what T, oldest time.Time) history[T] {
	if n := len(h); n > 0 && h[n-1].since.Equal(since) {
		h = h[:n-1]
	}
	h = append(h, seen[T]{since, what})
	for len(h) > 1 && !h[1].since.After(oldest) {
		h = h[1:]
	}
	return h
}

func (h history[T]) last() (what T) {
	if len(h) > 0 {
		what = h[len(h)-1].what
	}
	return what
}

func (h history[T]) at(then time.Time) (what T, ok bool) {
	for _, s := range slices.Backward(h) {
		if !s.since.After(then) {
			return s.what, true
		}
	}
	return what, false
}
