package gkesim

import (
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
)

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
		from, allowed := afterExclusion(p, later(c.rotation.nodesFrom, c.clock))
		if !allowed {
			continue
		}
		if next, open := c.open.Next(from); open && (!ok || later(next.Start, from).Before(begin)) {
			pool, begin, ok = p.GetName(), later(next.Start, from), true
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
	return later(t, e.GetEndTime().AsTime()), true
}
