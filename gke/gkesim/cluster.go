package gkesim

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke/maintenance"
	"gke-credential-rotator/policy/window"
)

// GKE's own times, from "Rotate your cluster credentials".
const (
	autoComplete = 7 * 24 * time.Hour
	lastResort   = 30 * 24 * time.Hour
	degradeAt    = 7 * 24 * time.Hour
)

// cluster is one simulated cluster. Its clock never runs ahead of the world's
// but while advance works.
type cluster struct {
	w        *World
	name     string
	pb       *containerpb.Cluster
	cas      []authority // old first
	serial   int
	open     window.Schedule
	rotation *rotation
	ops      []*operation
	clock    time.Time
	status   containerpb.Cluster_Status // when nothing runs
	spoiled  []spoil                    // failures to come
}

// rotation is one under way: what GKE knows and never tells.
type rotation struct {
	started time.Time
	pending map[string]bool // pools that still need recreation; "" for Autopilot's nodes
	tryAt   time.Time       // when GKE next tries to complete by itself
}

func newCluster(w *World, name string, pb *containerpb.Cluster) *cluster {
	m := maintenance.Of(pb.GetMaintenancePolicy())
	c := &cluster{w: w, name: name, pb: pb, open: m.Open(window.Always()), clock: w.now, status: pb.GetStatus()}
	c.cas = readAuthorities(pb.GetMasterAuth().GetClusterCaCertificate())
	if len(c.cas) == 2 {
		// Loaded in the middle of a rotation that somebody started.
		c.rotation = &rotation{started: c.clock, pending: c.allPools(), tryAt: c.clock.Add(autoComplete)}
	}
	return c
}

func (c *cluster) allPools() map[string]bool {
	all := map[string]bool{}
	for _, p := range c.pb.GetNodePools() {
		all[p.GetName()] = true
	}
	return all
}

// advance plays the cluster's events in order until t.
func (c *cluster) advance(t time.Time) {
	for {
		at, event := c.next()
		if event == nil || at.After(t) {
			break
		}
		if at.After(c.clock) {
			c.clock = at
		}
		event()
	}
	if t.After(c.clock) {
		c.clock = t
	}
	c.show()
}

// next gives what happens next to the cluster, and when.
func (c *cluster) next() (at time.Time, event func()) {
	consider := func(t time.Time, do func()) {
		if !t.IsZero() && (event == nil || t.Before(at)) {
			at, event = t, do
		}
	}
	for _, op := range c.ops {
		if !op.done {
			consider(op.end, func() { c.finish(op) })
		}
	}
	expires := c.expires()
	switch r := c.rotation; {
	case r != nil && c.running() == nil:
		if pool, ok := c.nextPool(); ok {
			if next, open := c.open.Next(c.clock); open && !c.expired() {
				consider(later(next.Start, c.clock), func() { c.recreate(pool, true) })
			}
		}
		consider(later(r.tryAt, c.clock), func() { c.autoComplete() })
	case r == nil && !expires.IsZero() && c.running() == nil:
		// Within 30 days of expiry GKE starts by itself, window or not.
		if at := later(expires.Add(-lastResort), c.clock); at.Before(expires) && c.status == containerpb.Cluster_RUNNING {
			consider(at, func() { c.start() })
		}
	}
	return at, event
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (c *cluster) expires() time.Time {
	if len(c.cas) == 0 {
		return time.Time{}
	}
	return c.cas[0].expires
}

func (c *cluster) expired() bool { return !c.clock.Before(c.expires()) }

// nextPool is the pool that GKE recreates next: in the order of the list.
func (c *cluster) nextPool() (string, bool) {
	for _, p := range c.pb.GetNodePools() {
		if c.rotation.pending[p.GetName()] {
			return p.GetName(), true
		}
	}
	return "", false
}

// start begins a rotation; the second CA is there when its operation ends.
func (c *cluster) start() *operation {
	return c.begin("UPDATE_CLUSTER", "", c.w.opts.StartTakes, func() {
		c.serial++
		c.cas = append(c.cas, c.w.issue(fmt.Sprintf("%s#%d", c.name, c.serial), c.clock))
		c.rotation = &rotation{started: c.clock, pending: c.allPools(), tryAt: c.clock.Add(autoComplete)}
		c.pb.Endpoint = c.w.address(fmt.Sprintf("%s#%d", c.name, c.serial))
	})
}

// complete ends the rotation.
func (c *cluster) complete() *operation {
	return c.begin("UPDATE_CLUSTER", "", c.w.opts.CompleteTakes, func() {
		if c.rotation != nil && len(c.cas) > 1 {
			c.cas, c.rotation = c.cas[1:], nil
		}
	})
}

// autoComplete is GKE's own try, from day 7 on until nodes are done.
func (c *cluster) autoComplete() {
	c.rotation.tryAt = c.clock.Add(c.w.opts.RetryComplete)
	if len(c.rotation.pending) == 0 {
		c.complete()
	}
}

// recreate upgrades a pool to the version it runs. GKE's own work pauses when
// the window closes; manual work does not ask.
func (c *cluster) recreate(pool string, byGKE bool) *operation {
	took := c.poolTakes(pool)
	if byGKE {
		took = c.openTime(took)
	}
	return c.begin("UPGRADE_NODES", pool, took, func() {
		if c.rotation != nil {
			delete(c.rotation.pending, pool)
		}
	})
}

// openTime stretches work over the times at which the policy is open.
func (c *cluster) openTime(work time.Duration) time.Duration {
	at, left := c.clock, work
	for {
		next, ok := c.open.Next(at)
		if !ok {
			return 365 * 24 * time.Hour
		}
		begin := later(next.Start, at)
		if next.End.Sub(begin) >= left {
			return begin.Add(left).Sub(c.clock)
		}
		left -= next.End.Sub(begin)
		at = next.End
	}
}

func (c *cluster) poolTakes(name string) time.Duration {
	for _, p := range c.pb.GetNodePools() {
		if p.GetName() != name {
			continue
		}
		zones := max(len(p.GetLocations()), len(c.pb.GetLocations()), 1)
		if len(p.GetLocations()) > 0 {
			zones = len(p.GetLocations())
		}
		nodes, up := int(p.GetInitialNodeCount())*zones, p.GetUpgradeSettings()
		if up.GetStrategy() == containerpb.NodePoolUpdateStrategy_BLUE_GREEN {
			return 2*c.w.opts.NodeTakes + up.GetBlueGreenSettings().GetNodePoolSoakDuration().AsDuration()
		}
		surge := max(int(up.GetMaxSurge()+up.GetMaxUnavailable()), 1)
		return time.Duration(max((nodes+surge-1)/surge, 1)) * c.w.opts.NodeTakes
	}
	return c.w.opts.NodeTakes
}

// show makes the API's view agree with the cluster's state.
func (c *cluster) show() {
	c.pb.Status = c.status
	if len(c.cas) > 0 {
		left := c.expires().Sub(c.clock)
		c.pb.Conditions = nil
		if left <= degradeAt && c.status == containerpb.Cluster_RUNNING {
			c.pb.Status = containerpb.Cluster_DEGRADED
			c.pb.Conditions = []*containerpb.StatusCondition{{Code: containerpb.StatusCondition_CA_EXPIRING, Message: "cluster CA is expiring soon"}}
		}
		var bundle strings.Builder
		for _, ca := range c.cas {
			bundle.WriteString(ca.pem)
		}
		if c.pb.MasterAuth == nil {
			c.pb.MasterAuth = &containerpb.MasterAuth{}
		}
		c.pb.MasterAuth.ClusterCaCertificate = base64.StdEncoding.EncodeToString([]byte(bundle.String()))
	}
	if c.running() != nil {
		c.pb.Status = containerpb.Cluster_RECONCILING
	}
}
