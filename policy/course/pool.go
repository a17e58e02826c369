package course

import (
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/window"
)

// Pool is a pool that needs work.
type Pool struct {
	fleet.Pool
	// LeftToGKE: we do not touch it, for it failed too often or GKE refused it.
	LeftToGKE bool
	// NotBefore is when we try it again.
	NotBefore time.Time
	// Running is the operation at work on it; nil: none.
	Running *Running
}

// Running is node work under way.
type Running struct {
	Since time.Time
	ByGKE bool
	// Done of Total nodes, as GKE tells; zero: it does not.
	Done, Total int
}

// GKE's numbers on node work. (docs.cloud.google.com/kubernetes-engine, "Node upgrade
// strategies")
const (
	// mostSurge is how many nodes GKE recreates together at most.
	mostSurge = 20
	// drainWait is how long a surge upgrade waits for a disruption budget and a
	// pod's grace, for each node, unless the pool says otherwise.
	drainWait = time.Hour
	// shortLived is how long flex-start and queued nodes may live: GKE waits for them
	// to go by themselves.
	shortLived = 7 * 24 * time.Hour
)

// Takes is how long recreating a pool takes, likely and at the latest: in the pool's
// own way when we ask for it; by surge, whatever the pool's way, when GKE does it for
// a rotation.
func Takes(p fleet.Pool, byGKE bool, node time.Duration) (likely, late time.Duration) {
	if p.ShortLived > 0 {
		return min(p.ShortLived, shortLived), shortLived
	}
	drain := max(node, drainWait, p.DrainTimeout)
	if p.BlueGreen && !byGKE {
		// Making new nodes is one half of the work, draining the old ones, batch by
		// batch, the other.
		batches := time.Duration(max(p.Batches, 1))
		return node/2 + batches*node/2 + p.PoolSoak, node/2 + batches*drain + p.PoolSoak
	}
	n := time.Duration(groups(p))
	return n * node, n * drain
}

// groups is how often nodes are recreated together: one zone after another, at most
// 20 at a time; all at once where the pool is one slice of TPUs.
func groups(p fleet.Pool) int {
	if p.Atomic {
		return 1
	}
	zones := max(p.Zones, 1)
	inZone := max((p.Nodes+zones-1)/zones, 1)
	surge := min(max(p.MaxSurge+p.MaxUnavailable, 1), mostSurge)
	return zones * ((inZone + surge - 1) / surge)
}

// left is how long work under way still takes: by its own pace, once nodes are done.
func (p Pool) left(now time.Time, gke window.Schedule, at pace, node time.Duration) time.Duration {
	r := p.Running
	usual, longest := Takes(p.Pool, r.ByGKE, node)
	if at == late {
		usual = longest
	}
	worked := now.Sub(r.Since)
	if r.ByGKE { // its work pauses
		worked = window.OpenTime(gke, window.Span{Start: r.Since, End: now})
	}
	switch {
	case at == early:
		return 0
	case r.Done > 0 && r.Total > r.Done:
		each := worked / time.Duration(r.Done)
		if at == late {
			each = max(each, min(drainWait, longest))
		}
		return each * time.Duration(r.Total-r.Done)
	case r.Done > 0:
		return 0
	}
	return max(usual-worked, node) // overdue: a node more, until something is measured
}

func (p Pool) takes(at pace, byGKE bool, node time.Duration) time.Duration {
	usual, longest := Takes(p.Pool, byGKE, node)
	switch at {
	case early:
		return 0
	case late:
		return longest
	}
	return usual
}

// except closes the schedule while the pool's own exclusion holds.
func (p Pool) except(s window.Schedule) window.Schedule {
	if e := p.Exclusion; e != nil && e.Blocks() {
		return window.All(s, window.Except(e.Stretch()))
	}
	return s
}
