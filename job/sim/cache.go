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
	"gke-credential-rotator/policy"
)

// Cache is what reads of a simulated GKE show. It reads through the adapter that
// production uses, but only what has changed: of a year of runs nearly all the
// time would go into reading the same again.
type Cache struct {
	// Changed is told of every read that [Cache.Refresh] makes; nil: nobody is.
	Changed func(ref policy.Ref, before, now View)
	// Seen is told of every view, and since when it is so; Listed of the operations
	// of a project. nil: nobody is.
	Seen   func(ref policy.Ref, since time.Time, v View)
	Listed func(project string, ops map[policy.Ref][]policy.Operation)

	world    *gkesim.World
	cloud    *gke.Cloud
	raw      *containerpb.Cluster // the last that GKE showed
	views    map[policy.Ref]View
	projects map[string][]policy.Ref
	ops      map[string]map[policy.Ref][]policy.Operation
	err      error
}

// View is a cluster as it is shown.
type View struct {
	Gone    bool
	Raw     *containerpb.Cluster
	Cluster policy.Cluster // without operations
	// Changes is when time alone changes it: the CA's last week begins. Zero: never.
	Changes time.Time
}

// NewCache makes an empty cache.
func NewCache(w *gkesim.World) *Cache {
	c := &Cache{
		world: w, views: map[policy.Ref]View{}, projects: map[string][]policy.Ref{},
		ops: map[string]map[policy.Ref][]policy.Operation{},
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
func (c *Cache) Add(ref policy.Ref) {
	c.know(ref)
	c.read(ref, c.world.Now())
	c.readOperations(ref.Project)
}

func (c *Cache) know(ref policy.Ref) {
	byPath := func(a, b policy.Ref) int { return strings.Compare(a.Path(), b.Path()) }
	if at, known := slices.BinarySearchFunc(c.projects[ref.Project], ref, byPath); !known {
		c.projects[ref.Project] = slices.Insert(c.projects[ref.Project], at, ref)
	}
}

// Projects are the clusters that were ever there, by project and in the order in
// which GKE lists them.
func (c *Cache) Projects() map[string][]policy.Ref { return c.projects }

// read reads a cluster, of which what it shows is so since then.
func (c *Cache) read(ref policy.Ref, since time.Time) {
	cluster, err := c.cloud.Cluster(context.Background(), ref)
	r := View{Gone: err != nil}
	if err == nil {
		r.Cluster, r.Raw = cluster, c.raw
		if ca := cluster.Bundle.Oldest(); ca.Fingerprint != "" {
			if week := ca.Expires.Add(-policy.DegradedBefore); week.After(c.world.Now()) {
				r.Changes = week
			}
		}
		// A calendar remembers what it was asked.
		old := c.views[ref]
		if old.Raw != nil && proto.Equal(old.Raw.GetMaintenancePolicy(), r.Raw.GetMaintenancePolicy()) {
			r.Cluster.Maintenance = old.Cluster.Maintenance
		}
	} else if !errors.Is(err, gke.ErrNotFound) {
		c.err = cmp.Or(c.err, err)
	}
	c.views[ref] = r
	if c.Seen != nil {
		c.Seen(ref, since, r)
	}
}

func (c *Cache) readOperations(project string) {
	ops, err := c.cloud.Operations(context.Background(), project)
	c.err = cmp.Or(c.err, err)
	c.ops[project] = ops
	if c.Listed != nil {
		c.Listed(project, ops)
	}
}

// Refresh reads again what has changed, and these clusters, and gives both.
func (c *Cache) Refresh(also ...policy.Ref) []policy.Ref {
	var changed []policy.Ref
	for _, name := range c.world.Touched() {
		if ref, err := policy.ParseRef(name); err == nil {
			if _, known := c.views[ref]; known {
				changed = append(changed, ref)
			}
		}
	}
	for _, ref := range also {
		if !slices.Contains(changed, ref) {
			changed = append(changed, ref)
		}
	}
	projects := map[string]bool{}
	for _, ref := range changed {
		before := c.views[ref]
		c.read(ref, c.world.Now())
		projects[ref.Project] = true
		if c.Changed != nil {
			c.Changed(ref, before, c.views[ref])
		}
	}
	for project := range projects {
		c.readOperations(project)
	}
	return changed
}

// Now is the cluster as it is shown now.
func (c *Cache) Now(ref policy.Ref) View {
	v, known := c.views[ref]
	if known && !v.Changes.IsZero() && !c.world.Now().Before(v.Changes) {
		c.read(ref, v.Changes)
	}
	v = c.views[ref]
	v.Gone = v.Gone || !known
	return v
}

// Operations are those of a project as they were read last.
func (c *Cache) Operations(project string) map[policy.Ref][]policy.Operation { return c.ops[project] }
