package gkesim

import (
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/policy/window"
)

// retryNodes is how long GKE leaves a pool alone that it failed to recreate.
const retryNodes = time.Hour

// expiredText is how nodes fail that meet an expired CA.
const expiredText = "All cluster resources were brought up, but: nodes failed to register: x509: certificate has expired or is not yet valid"

// recreate upgrades a pool to that version, most often the one it runs.
// GKE's own work pauses when the window closes; manual work does not, but by
// option.
func (c *cluster) recreate(name, version string, byGKE bool) *operation {
	steps := c.poolSteps(name, byGKE)
	end := c.lay(steps, byGKE || c.w.opts.ManualPauses && c.isOpen())
	before := c.pool(name).GetStatus()
	op := c.begin("UPGRADE_NODES", name, end.Sub(c.clock), func() {
		if p := c.pool(name); p != nil {
			p.Version = version
		}
		c.recreated(name, before)
	})
	op.steps = steps
	op.spoilt = func() {
		if c.rotation != nil {
			c.rotation.nodesFrom = window.Later(c.rotation.nodesFrom, c.clock.Add(retryNodes))
		}
		c.endPool(name, before, containerpb.NodePool_RUNNING_WITH_ERROR)
	}
	if exp := c.expires(); op.failure == "" && !exp.IsZero() && !op.end.Before(exp) {
		op.failure = expiredText
	}
	return op
}

// recreated notes that the pool has new nodes.
func (c *cluster) recreated(name string, before containerpb.NodePool_Status) {
	if c.rotation != nil {
		delete(c.rotation.pending, name)
	}
	c.endPool(name, before, containerpb.NodePool_RUNNING)
}

// recreateByGKE gives a pool new nodes of the version it runs, or of the
// control plane's when that version is no longer to be had.
func (c *cluster) recreateByGKE(name string) {
	version := c.pool(name).GetVersion()
	if c.w.retired[version] {
		version = c.pb.GetCurrentMasterVersion()
	}
	c.recreate(name, version, true)
}

// endPool gives the pool its status after an upgrade; one whose recording has
// none keeps none while all is well.
func (c *cluster) endPool(name string, before, now containerpb.NodePool_Status) {
	p := c.pool(name)
	if p == nil {
		return // gone meanwhile
	}
	if before == containerpb.NodePool_STATUS_UNSPECIFIED && now == containerpb.NodePool_RUNNING {
		now = before
	}
	p.Status, p.UpdateInfo = now, nil
}

func (c *cluster) isOpen() bool {
	next, ok := c.open.Next(c.clock)
	return ok && !next.Start.After(c.clock)
}

// openEnd is when work begun then ends, if it goes on only while the policy is
// open. Work that finds too few such times stays paused beyond every horizon.
func (c *cluster) openEnd(at time.Time, work time.Duration) time.Time {
	for {
		next, ok := c.open.Next(at)
		if !ok {
			return at.Add(window.Horizon)
		}
		begin := window.Later(next.Start, at)
		if next.End.Sub(begin) >= work {
			return begin.Add(work)
		}
		work -= next.End.Sub(begin)
		at = next.End
	}
}

// mostOperations is GKE's quota of concurrent operations on one cluster.
const mostOperations = 5

// upgradePool is a manual upgrade: it begins at once, window or not.
func (c *cluster) upgradePool(name, version, etag string) (*operation, error) {
	p := c.pool(name)
	switch {
	case p == nil:
		return nil, status.Errorf(codes.NotFound, "Not found: %s/nodePools/%s.", c.name, name)
	case c.pb.GetAutopilot().GetEnabled():
		return nil, status.Error(codes.InvalidArgument, "Autopilot node pools cannot be accessed or modified.")
	case c.pb.GetEnableKubernetesAlpha():
		return nil, status.Error(codes.FailedPrecondition, "Node upgrades are not supported on alpha clusters.")
	case etag != "" && etag != p.GetEtag():
		return nil, status.Error(codes.Aborted, "The etag does not match the node pool's.")
	}
	if version == "" || version == "-" {
		version = c.pb.GetCurrentMasterVersion() // a real upgrade, when the pool lags
	}
	switch {
	case c.w.retired[version]:
		return nil, status.Errorf(codes.InvalidArgument, "Node version %q is unsupported.", version)
	case newer(version, c.pb.GetCurrentMasterVersion()):
		return nil, status.Errorf(codes.InvalidArgument,
			"Node version %q must not be newer than the control plane's %q.", version, c.pb.GetCurrentMasterVersion())
	}
	running := 0
	for _, op := range c.ops {
		if !op.done && (op.pool == "" || op.pool == name) {
			return nil, busy(op)
		}
		if !op.done {
			running++
		}
	}
	if running >= mostOperations {
		return nil, status.Errorf(codes.ResourceExhausted,
			"Too many operations: cluster %q hits the concurrent operations quota %d", c.pb.GetName(), mostOperations)
	}
	return c.recreate(name, version, false), nil
}

// endSoak ends the soak of a blue-green upgrade: its old nodes go at once.
func (c *cluster) endSoak(name string) error {
	op := c.runningOn(name)
	if op == nil || op.at(c.clock) == nil ||
		op.at(c.clock).phase != containerpb.NodePool_UpdateInfo_BlueGreenInfo_NODE_POOL_SOAKING {
		return status.Errorf(codes.FailedPrecondition, "Node pool %q has no blue-green upgrade that soaks.", name)
	}
	op.end = c.clock
	op.steps[len(op.steps)-1].end = c.clock
	return nil
}

// newer compares versions by their numbers; what has none is never newer.
func newer(a, b string) bool {
	x, y := numbers(a), numbers(b)
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i] > y[i]
		}
	}
	return false
}

// upgradeMaster to its own version makes Autopilot recreate its nodes as soon
// as its policy is open.
func (c *cluster) upgradeMaster(version string) (*operation, error) {
	if op := c.running(); op != nil {
		return nil, busy(op)
	}
	if version == "-" || version == "latest" {
		version = c.w.masters(c.place())[0]
	}
	switch {
	case c.w.retired[version]:
		return nil, status.Errorf(codes.InvalidArgument, "Master version %q is unsupported.", version)
	case newer(c.pb.GetCurrentMasterVersion(), version):
		return nil, status.Errorf(codes.InvalidArgument, "Master cannot be upgraded to %q: it is older than %q.",
			version, c.pb.GetCurrentMasterVersion())
	}
	return c.begin("UPGRADE_MASTER", "", c.w.opts.StartTakes, func() {
		c.pb.CurrentMasterVersion = version
		c.down()
		if c.rotation != nil && c.pb.GetAutopilot().GetEnabled() {
			c.rotation.nodesFrom = c.clock
		}
	}), nil
}

// nextByGKE gives the pool that GKE recreates next by itself, and when: the
// first that the cluster's policy and the pool's own exclusion allow. ok is
// false when there is none.
func (c *cluster) nextByGKE() (pool string, begin time.Time, ok bool) {
	if c.pb.GetEnableKubernetesAlpha() {
		return "", time.Time{}, false
	}
	for _, p := range c.pb.GetNodePools() {
		if !c.rotation.pending[p.GetName()] {
			continue
		}
		from, allowed := afterExclusion(p, window.Later(c.rotation.nodesFrom, c.clock))
		if !allowed {
			continue
		}
		if next, open := c.open.Next(from); open && (!ok || window.Later(next.Start, from).Before(begin)) {
			pool, begin, ok = p.GetName(), window.Later(next.Start, from), true
		}
	}
	return pool, begin, ok
}

// afterExclusion is the first instant from t on at which the pool's own
// exclusion is not in force; false when it has no end that GKE tells.
func afterExclusion(p *containerpb.NodePool, t time.Time) (time.Time, bool) {
	e := p.GetMaintenancePolicy().GetExclusionUntilEndOfSupport()
	switch {
	case !e.GetEnabled(), e.GetStartTime() != nil && t.Before(e.GetStartTime().AsTime()):
		return t, true
	case e.GetEndTime() == nil:
		return t, false
	}
	return window.Later(t, e.GetEndTime().AsTime()), true
}
