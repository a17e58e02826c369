package gkesim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
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
	cas      []authority // oldest first; none when the recording shows none that can be read
	serial   int         // CAs issued here
	touched  int         // changes, for etags
	open     window.Schedule
	rotation *rotation
	ops      []*operation
	clock    time.Time
	status   containerpb.Cluster_Status // when nothing runs
	recorded []*containerpb.StatusCondition
	spoiled  []spoil // failures to come
	advice   []*advice
	added    int       // pools, by somebody outside
	errand   time.Time // when who started a rotation outside sees to its nodes; zero: never
	due      time.Time // when it is or was on the world's agenda
}

// rotation is one under way: what GKE knows and never tells.
type rotation struct {
	started   time.Time
	pending   map[string]bool // pools that still need recreation
	nodesFrom time.Time       // when GKE may begin the next pool by itself
	tryAt     time.Time       // when GKE next tries to complete by itself
}

// read takes in what the API's cluster says of its CAs and maintenance policy.
func (c *cluster) read() {
	c.open = maintenance.Of(c.pb.GetMaintenancePolicy()).Open(window.Always())
	c.cas = readAuthorities(c.pb.GetMasterAuth().GetClusterCaCertificate())
	if len(c.cas) == 2 && c.rotation == nil {
		// Loaded in the middle of a rotation that somebody started.
		c.rotate()
	}
}

// rotate notes that a rotation is under way from now on.
func (c *cluster) rotate() {
	c.rotation = &rotation{
		started: c.clock, pending: c.allPools(),
		nodesFrom: c.clock.Add(c.w.opts.GKEWaits), tryAt: c.clock.Add(autoComplete),
	}
}

func (c *cluster) allPools() map[string]bool {
	all := map[string]bool{}
	for _, p := range c.pb.GetNodePools() {
		if c.nodesOf(p) > 0 || !c.w.opts.EmptyPoolsExempt {
			all[p.GetName()] = true
		}
	}
	return all
}

// advance plays the cluster's events in order until t. Every event either
// begins an operation, which takes time, ends one, or puts the next try off,
// so events never repeat without end at one instant.
func (c *cluster) advance(t time.Time) {
	for {
		at, event := c.next()
		if event == nil || at.After(t) {
			break
		}
		c.clock = window.Later(c.clock, at)
		event()
	}
	c.clock = window.Later(c.clock, t)
	c.show()
}

// next gives what happens next to the cluster, and when.
func (c *cluster) next() (at time.Time, event func()) {
	consider := func(t time.Time, do func()) {
		if event == nil || t.Before(at) {
			at, event = t, do
		}
	}
	for _, op := range c.ops {
		if !op.done {
			consider(op.end, func() { c.finish(op) })
		}
	}
	if event != nil && c.running() != nil {
		return at, event // GKE begins nothing of its own beside an operation
	}
	switch r := c.rotation; {
	case r != nil && !c.expired():
		if pool, begin, ok := c.nextByGKE(); ok {
			consider(begin, func() { c.recreateByGKE(pool) })
		}
		consider(window.Later(r.tryAt, c.clock), func() { c.autoComplete() })
		if !c.errand.IsZero() {
			consider(window.Later(c.errand, c.clock), c.runErrand)
		}
	case r == nil && !c.expires().IsZero() && !c.expired() && c.status == containerpb.Cluster_RUNNING:
		// Within 30 days of expiry GKE starts by itself, window or not.
		consider(window.Later(c.expires().Add(-lastResort), c.clock), func() { c.start() })
	}
	return at, event
}

// expires is when the oldest CA ends; zero when there is none.
func (c *cluster) expires() time.Time {
	if len(c.cas) == 0 {
		return time.Time{}
	}
	return c.cas[0].expires
}

func (c *cluster) expired() bool { return len(c.cas) > 0 && !c.clock.Before(c.expires()) }

// nextPool is the first pool of the list that still needs recreation, or "".
func (c *cluster) nextPool() string {
	for _, p := range c.pb.GetNodePools() {
		if c.rotation.pending[p.GetName()] {
			return p.GetName()
		}
	}
	return ""
}

// start begins a rotation; the second CA is there when its operation ends.
func (c *cluster) start() *operation {
	return c.begin("UPDATE_CLUSTER", "", c.w.opts.StartTakes, c.started)
}

func (c *cluster) started() {
	c.serial++
	c.cas = append(c.cas, c.w.issue(fmt.Sprintf("%s#%d", c.name, c.serial), c.clock))
	c.rotate()
	if !c.w.opts.EndpointLate {
		c.switchEndpoint()
	}
	c.write()
	c.down()
}

// switchEndpoint shows the new address of the control plane. DNS endpoints
// keep their name.
func (c *cluster) switchEndpoint() {
	public := c.w.address(fmt.Sprintf("%s#%d", c.name, c.serial))
	private, ip := c.pb.GetPrivateClusterConfig(), c.pb.GetControlPlaneEndpointsConfig().GetIpEndpointsConfig()
	only := private.GetEnablePrivateEndpoint()                                                                                                  //nolint:staticcheck // what older clusters have
	hidden := c.pb.GetEndpoint() != "" && (c.pb.GetEndpoint() == private.GetPrivateEndpoint() || c.pb.GetEndpoint() == ip.GetPrivateEndpoint()) //nolint:staticcheck // likewise
	inside := ""
	if c.w.opts.PrivateEndpointSwitches {
		inside = "10" + strings.TrimPrefix(public, "34")
	}
	replace := func(field *string, with string) {
		if *field != "" && with != "" {
			*field = with
		}
	}
	if private != nil {
		replace(&private.PublicEndpoint, public)  //nolint:staticcheck // likewise
		replace(&private.PrivateEndpoint, inside) //nolint:staticcheck // likewise
	}
	if ip != nil {
		replace(&ip.PublicEndpoint, public)
		replace(&ip.PrivateEndpoint, inside)
	}
	if only || hidden {
		replace(&c.pb.Endpoint, inside)
	} else {
		c.pb.Endpoint = public
	}
}

// complete ends the rotation: the newest CA is left.
func (c *cluster) complete() *operation {
	return c.begin("UPDATE_CLUSTER", "", c.w.opts.CompleteTakes, c.completed)
}

func (c *cluster) completed() {
	if c.rotation == nil {
		return
	}
	c.advise()
	c.cas, c.rotation = c.cas[len(c.cas)-1:], nil
	c.retire()
	if c.w.opts.EndpointLate {
		c.switchEndpoint()
	}
	c.write()
	c.down()
}

// write shows the CAs in the API's cluster. What was recorded stays as it came
// until a rotation changes it.
func (c *cluster) write() {
	shown := slices.Clone(c.cas)
	if c.w.opts.NewFirst {
		slices.Reverse(shown)
	}
	var bundle strings.Builder
	for _, ca := range shown {
		bundle.WriteString(ca.pem)
	}
	if c.pb.MasterAuth == nil {
		c.pb.MasterAuth = &containerpb.MasterAuth{}
	}
	c.pb.MasterAuth.ClusterCaCertificate = base64.StdEncoding.EncodeToString([]byte(bundle.String()))
}

// autoComplete is GKE's own try, from day 7 on until nodes are done.
func (c *cluster) autoComplete() {
	c.rotation.tryAt = c.clock.Add(c.w.opts.RetryComplete)
	if c.nextPool() == "" {
		c.complete()
	}
}

// show makes the API's view agree with the cluster's state.
func (c *cluster) show() {
	c.pb.Status, c.pb.Conditions = c.status, c.recorded
	if exp := c.expires(); !exp.IsZero() && c.status == containerpb.Cluster_RUNNING &&
		exp.Sub(c.clock) <= degradeAt {
		c.pb.Status = containerpb.Cluster_DEGRADED
		if !c.w.opts.DegradedAlone {
			c.pb.Conditions = append(slices.Clone(c.recorded), &containerpb.StatusCondition{
				Code: containerpb.StatusCondition_CA_EXPIRING, Message: "cluster CA is expiring soon", //nolint:staticcheck // canonical_code cannot say CA_EXPIRING
			})
		}
	}
	if c.running() != nil {
		c.pb.Status = containerpb.Cluster_RECONCILING
	}
	for _, p := range c.pb.GetNodePools() {
		if op := c.runningOn(p.GetName()); op != nil {
			p.Status = containerpb.NodePool_RECONCILING
			if s := op.at(c.clock); s != nil && s.phase != 0 {
				p.UpdateInfo = &containerpb.NodePool_UpdateInfo{BlueGreenInfo: &containerpb.NodePool_UpdateInfo_BlueGreenInfo{Phase: s.phase}}
			}
		}
	}
}

// touch gives the cluster, and the pool if one is named, a new etag: a request
// made for the state before it is refused.
func (c *cluster) touch(pool string) {
	c.touched++
	if c.w.watched {
		c.w.touched = append(c.w.touched, c.name)
	}
	tag := func(of string) string {
		sum := sha256.Sum256([]byte(fmt.Sprintf("%s/%s#%d", c.name, of, c.touched)))
		return hex.EncodeToString(sum[:8])
	}
	c.pb.Etag = tag("")
	if p := c.pool(pool); p != nil {
		p.Etag = tag(pool)
	}
}

func (c *cluster) pool(name string) *containerpb.NodePool {
	for _, p := range c.pb.GetNodePools() {
		if p.GetName() == name {
			return p
		}
	}
	return nil
}
