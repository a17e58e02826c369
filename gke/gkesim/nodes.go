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

// recreate upgrades a pool to the version it runs. GKE's own work pauses when
// the window closes; manual work does not ask.
func (c *cluster) recreate(name string, byGKE bool) *operation {
	took := c.poolTakes(name)
	if byGKE {
		took = c.openTime(took)
	}
	before := c.pool(name).GetStatus()
	op := c.begin("UPGRADE_NODES", name, took, func() {
		if c.rotation != nil {
			delete(c.rotation.pending, name)
		}
		c.endPool(name, before, containerpb.NodePool_RUNNING)
	})
	op.spoilt = func() {
		if c.rotation != nil {
			c.rotation.nodesFrom = later(c.rotation.nodesFrom, c.clock.Add(retryNodes))
		}
		c.endPool(name, before, containerpb.NodePool_RUNNING_WITH_ERROR)
	}
	if exp := c.expires(); op.failure == "" && !exp.IsZero() && !op.end.Before(exp) {
		op.failure = expiredText
	}
	return op
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
	p.Status = now
}

// openTime stretches work over the times at which the policy is open. Work
// that finds too few of them stays paused beyond every horizon.
func (c *cluster) openTime(work time.Duration) time.Duration {
	at, left := c.clock, work
	for {
		next, ok := c.open.Next(at)
		if !ok {
			return at.Sub(c.clock) + window.Horizon
		}
		begin := later(next.Start, at)
		if next.End.Sub(begin) >= left {
			return begin.Add(left).Sub(c.clock)
		}
		left -= next.End.Sub(begin)
		at = next.End
	}
}

// poolTakes is how long recreating the pool's nodes takes.
func (c *cluster) poolTakes(name string) time.Duration {
	p := c.pool(name)
	zones := len(p.GetLocations())
	if zones == 0 {
		zones = max(len(c.pb.GetLocations()), 1)
	}
	nodes, up := int(p.GetInitialNodeCount())*zones, p.GetUpgradeSettings()
	if up.GetStrategy() == containerpb.NodePoolUpdateStrategy_BLUE_GREEN {
		return 2*c.w.opts.NodeTakes + up.GetBlueGreenSettings().GetNodePoolSoakDuration().AsDuration()
	}
	surge := max(int(up.GetMaxSurge()+up.GetMaxUnavailable()), 1)
	return time.Duration(max((nodes+surge-1)/surge, 1)) * c.w.opts.NodeTakes
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
	case etag != "" && etag != p.GetEtag():
		return nil, status.Error(codes.Aborted, "The etag does not match the node pool's.")
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
		return nil, status.Errorf(codes.ResourceExhausted, "Too many operations: cluster %q hits the concurrent operations quota %d", c.pb.GetName(), mostOperations)
	}
	if version == "" || version == "-" {
		version = c.pb.GetCurrentMasterVersion() // a real upgrade, when the pool lags
	}
	p.Version = version
	return c.recreate(name, false), nil
}

// upgradeMaster to its own version makes Autopilot recreate its nodes as soon
// as its policy is open.
func (c *cluster) upgradeMaster() (*operation, error) {
	if op := c.running(); op != nil {
		return nil, busy(op)
	}
	return c.begin("UPGRADE_MASTER", "", c.w.opts.StartTakes, func() {
		if c.rotation != nil && c.pb.GetAutopilot().GetEnabled() {
			c.rotation.nodesFrom = c.clock
		}
	}), nil
}
