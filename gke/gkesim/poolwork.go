package gkesim

import (
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
)

// step is a part of a pool's upgrade.
type step struct {
	takes time.Duration
	waits bool // on purpose: goes on while the window is closed
	nodes int  // that are done when it ends
	phase containerpb.NodePool_UpdateInfo_BlueGreenInfo_Phase
	end   time.Time
}

// lay gives every step its end, and the last one's.
func (c *cluster) lay(steps []step, pauses bool) time.Time {
	at := c.clock
	for i, s := range steps {
		if pauses && !s.waits {
			at = c.openEnd(at, s.takes)
		} else {
			at = at.Add(s.takes)
		}
		steps[i].end = at
	}
	return at
}

// nodesOf is how many nodes the pool has, as far as the API tells.
func (c *cluster) nodesOf(p *containerpb.NodePool) int {
	zones := len(p.GetLocations())
	if zones == 0 {
		zones = max(len(c.pb.GetLocations()), 1)
	}
	return int(p.GetInitialNodeCount()) * zones
}

// mostSurge is how many nodes GKE recreates together at most.
const mostSurge = 20

// poolSteps is what recreating the pool's nodes consists of. For a rotation GKE
// does it by surge, whatever the pool's strategy, and so zone by zone; what somebody
// asks for goes in the pool's own way; and nodes that live for a set time are waited
// for, whoever asks.
func (c *cluster) poolSteps(name string, byGKE bool) []step {
	p := c.pool(name)
	nodes, up := c.nodesOf(p), p.GetUpgradeSettings()
	switch {
	case shortLived(p) > 0:
		return []step{{takes: shortLived(p), waits: true, nodes: nodes}}
	case up.GetStrategy() == containerpb.NodePoolUpdateStrategy_BLUE_GREEN && (!byGKE || c.w.opts.BlueGreenByGKE):
		return c.blueGreenSteps(nodes, up.GetBlueGreenSettings())
	case p.GetPlacementPolicy().GetTpuTopology() != "":
		return []step{{takes: c.w.opts.NodeTakes, nodes: nodes}} // one slice, one step
	}
	surge := min(max(int(up.GetMaxSurge())+int(up.GetMaxUnavailable()), 1), mostSurge)
	inZone := int(p.GetInitialNodeCount())
	var steps []step
	for range max(nodes/max(inZone, 1), 1) {
		steps = c.groups(steps, inZone, surge, step{takes: c.w.opts.NodeTakes}, 0)
	}
	return steps
}

// shortLived is how long a pool's flex-start or queued nodes may live; zero: it has
// none of these.
func shortLived(p *containerpb.NodePool) time.Duration {
	config := p.GetConfig()
	if p.GetUpgradeSettings().GetStrategy() != containerpb.NodePoolUpdateStrategy_SHORT_LIVED &&
		!config.GetFlexStart() && !p.GetQueuedProvisioning().GetEnabled() {
		return 0
	}
	const most = 7 * 24 * time.Hour
	if d := config.GetMaxRunDuration(); d != nil {
		return min(d.AsDuration(), most)
	}
	return most
}

// mostSteps bounds what one upgrade consists of: above it, groups of nodes are
// counted together.
const mostSteps = 1000

// groups appends steps that do the nodes so many at a time, each followed by
// that wait.
func (c *cluster) groups(steps []step, nodes, each int, like step, wait time.Duration) []step {
	number := max((nodes+each-1)/each, 1)
	together := (number + mostSteps - 1) / mostSteps
	for done, left := 0, nodes; done < number; done += together {
		n := min(together, number-done)
		s := like
		s.takes, s.nodes = like.takes*time.Duration(n), min(each*n, left)
		left -= s.nodes
		steps = append(steps, s)
		if wait > 0 {
			s.takes, s.nodes, s.waits = wait*time.Duration(n), 0, true
			steps = append(steps, s)
		}
	}
	return steps
}

// defaultDrainWait is what GKE waits before it drains an autoscaled blue-green
// pool, unless told otherwise.
const defaultDrainWait = 3 * 24 * time.Hour

// defaultSoak is how long a blue-green pool keeps its old nodes, unless told otherwise.
const defaultSoak = time.Hour

// blueGreenSteps: new nodes, then the old ones drained in batches, then the soak,
// after which the old nodes go. Nothing of it pauses when the window closes.
func (c *cluster) blueGreenSteps(nodes int, s *containerpb.BlueGreenSettings) []step {
	half := c.w.opts.NodeTakes / 2 // making nodes is one half of recreating them, draining the other
	steps := []step{{takes: half, waits: true,
		phase: containerpb.NodePool_UpdateInfo_BlueGreenInfo_CREATING_GREEN_POOL}}
	drain := step{takes: half, waits: true, phase: containerpb.NodePool_UpdateInfo_BlueGreenInfo_DRAINING_BLUE_POOL}
	if a := s.GetAutoscaledRolloutPolicy(); a != nil { // it soaks before, not after
		wait := defaultDrainWait
		if a.GetWaitForDrainDuration() != nil {
			wait = a.GetWaitForDrainDuration().AsDuration()
		}
		steps = append(steps, step{takes: wait, waits: true,
			phase: containerpb.NodePool_UpdateInfo_BlueGreenInfo_CORDONING_BLUE_POOL})
		return c.groups(steps, nodes, mostSurge, drain, 0)
	}
	r, batch := s.GetStandardRolloutPolicy(), 1
	if n := int(r.GetBatchNodeCount()); n > 0 {
		batch = n
	} else if part := r.GetBatchPercentage(); part > 0 {
		batch = max(int(float64(nodes)*float64(min(part, 1))), 1)
	}
	steps = c.groups(steps, nodes, batch, drain, r.GetBatchSoakDuration().AsDuration())
	soak := defaultSoak
	if s.GetNodePoolSoakDuration() != nil {
		soak = s.GetNodePoolSoakDuration().AsDuration()
	}
	return append(steps, step{takes: soak, waits: true,
		phase: containerpb.NodePool_UpdateInfo_BlueGreenInfo_NODE_POOL_SOAKING})
}
