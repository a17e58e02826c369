package gkesim

import (
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// tryStart starts a rotation if GKE would.
func (c *cluster) tryStart() (*operation, error) {
	switch {
	case c.rotation != nil:
		return nil, status.Error(c.w.opts.RefuseStart, "The cluster has an IP rotation in progress.")
	case c.running() != nil:
		return nil, busy(c.running())
	case c.status != containerpb.Cluster_RUNNING && c.status != containerpb.Cluster_DEGRADED:
		return nil, status.Error(codes.FailedPrecondition,
			"Cluster is currently being created, deleted, updated or repaired and cannot be updated.")
	case c.pb.GetUserManagedKeysConfig().GetClusterCa() != "":
		return nil, status.Error(codes.FailedPrecondition,
			"The cluster uses customer-managed keys and certificate authorities; its credentials cannot be rotated by GKE.")
	case len(c.cas) == 0:
		// A recording whose CA was removed or redacted: one cannot make it up.
		return nil, status.Error(codes.FailedPrecondition,
			"gkesim: the recorded cluster shows no CA that can be read, so there is none to rotate.")
	}
	return c.start(), nil
}

// tryComplete completes the rotation if GKE would.
func (c *cluster) tryComplete() (*operation, error) {
	switch {
	case c.running() != nil:
		return nil, busy(c.running())
	case c.rotation == nil:
		return nil, status.Error(c.w.opts.RefuseComplete, "The cluster does not have an IP rotation in progress.")
	}
	if pool := c.nextPool(); pool != "" {
		return nil, status.Errorf(c.w.opts.RefuseComplete, "Node pool %q requires recreation.", pool)
	}
	return c.complete(), nil
}

// longAgo is how old a CA must be for somebody outside to rotate it.
const longAgo = 365 * 24 * time.Hour

// startOutside starts a rotation as somebody else would: not of what was just
// rotated, nor of what cannot be saved.
func (c *cluster) startOutside() error {
	if len(c.cas) == 0 || c.expired() || c.clock.Sub(c.cas[0].issued) < longAgo {
		return errNothing
	}
	_, err := c.tryStart()
	if err == nil {
		c.errand = c.clock.Add(c.w.opts.StartTakes + time.Hour)
	}
	return err
}

// runErrand is who started a rotation from outside, coming back for the nodes.
func (c *cluster) runErrand() {
	c.errand = time.Time{}
	for _, p := range c.pb.GetNodePools() {
		if c.rotation.pending[p.GetName()] {
			_, _ = c.upgradePool(p.GetName(), p.GetVersion(), "") // refused: left to GKE
		}
	}
}

// mostAdded is how many pools somebody adds to one cluster.
const mostAdded = 1

var errNothing = errors.New("there is nothing to do")

// addPool adds a pool during a rotation as somebody else would; its nodes have
// the new credentials from the start.
func (c *cluster) addPool() error {
	if c.rotation == nil || c.pb.GetAutopilot().GetEnabled() || c.running() != nil || c.added >= mostAdded {
		return errNothing
	}
	c.added++
	c.w.faults.pools++
	c.pb.NodePools = append(c.pb.NodePools, &containerpb.NodePool{
		Name: fmt.Sprintf("added-%d", c.w.faults.pools), InitialNodeCount: 1,
		Version: c.pb.GetCurrentMasterVersion(), Status: containerpb.NodePool_RUNNING,
	})
	c.touch(c.pb.GetNodePools()[len(c.pb.GetNodePools())-1].GetName())
	return nil
}

// upgradeSome upgrades one of the pools to its own or to GKE's version.
func (c *cluster) upgradeSome() error {
	pools := c.pb.GetNodePools()
	if len(pools) == 0 {
		return errNothing
	}
	dice := c.w.faults.dice
	p := pools[dice.IntN(len(pools))]
	version := p.GetVersion()
	if dice.IntN(2) == 0 {
		version = "-"
	}
	_, err := c.upgradePool(p.GetName(), version, "")
	return err
}
