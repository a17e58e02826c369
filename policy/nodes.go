package policy

import (
	"maps"
	"slices"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// recreatingNodes waits for proof of every pool, and recreates what GKE has not
// begun.
func (k *Case) recreatingNodes(d *Decision, r *record.Rotation) {
	if len(k.Unrecreated()) > 0 {
		k.nodesNow(d)
		return
	}
	if op := k.Cluster.Runs(); op != "" {
		k.stay(d, reason.OperationRunning, fact.Sayf("%s runs", op))
		return
	}
	k.enter(d, r, record.UpdatingClients, reason.NodesDone)
	done, all := k.Progress()
	next := fact.Sayf("GKE may complete it from %v", k.AutoComplete())
	if r.Managed {
		over, why := k.SoakOver()
		next = fact.Sayf("completion not before %v (%v)", over, why)
	}
	k.handOver(d, fact.Sayf("%d of %d pools recreated; %v", done, all, next))
	k.askForApproval(d, r)
}

// nodesNow sees which pools a run may recreate.
func (k *Case) nodesNow(d *Decision) {
	entered := d.Action == Update
	var pools, names []string
	var gates []Verdict
	var closed Verdict
	targets := k.Unrecreated()
	slices.SortStableFunc(targets, k.LongestFirst)
	if k.Cluster.Autopilot {
		targets = []string{""}
	}
	for _, name := range targets {
		if k.Pool = k.pool(name); k.Pool == nil {
			continue
		}
		verdicts := k.Ask(NodeGates, anyGate)
		v, isClosed := FirstClosed(verdicts)
		if !isClosed && k.poolsRunning()+len(pools) >= k.PoolsAtOnce() {
			v, isClosed = Verdict{Reason: reason.PoolsAtOnceFull,
				Message: fact.Say("as many pools as allowed are under way")}, true
		}
		if !isClosed {
			pools, names = append(pools, name), append(names, fleet.PoolName(name))
		} else if closed.Reason == "" || worse(v, closed) {
			closed = v
		}
		for i := range verdicts {
			verdicts[i].Gate = poolGate(name, verdicts[i].Gate)
		}
		gates = append(gates, verdicts...)
	}
	k.Pool = nil
	d.Gates = gates
	switch {
	case len(pools) > 0:
		d.Action, d.Pools = Recreate, pools
		if !entered {
			d.Reason, d.Message = reason.NodesPending, fact.Sayf("recreating %s", fact.Some(names))
		}
	case !entered:
		done, all := k.Progress()
		d.Action, d.Reason = Wait, closed.Reason
		if closed.Reason.Info().NeedsAction {
			d.Action = NeedsAction
		}
		// What it waits for is the gate; this tells how far it is.
		d.Message = fact.Text(nil).Tailf("nodes %d of %d; %v", done, all, closed.Message)
	}
}

func poolGate(pool, gate string) string {
	if pool == "" {
		return gate
	}
	return pool + ": " + gate
}

// worse prefers what people must know over what time will mend.
func worse(a, b Verdict) bool {
	return a.OpensAt.IsZero() && !b.OpensAt.IsZero() && a.Reason != reason.NodesRunning
}

// poolTrouble tells of node operations that failed since the last look. A pool
// that failed three times is left to GKE, and the rotation counts as failed.
func (k *Case) poolTrouble(d *Decision, before, r *record.Rotation) {
	for _, name := range slices.Sorted(maps.Keys(r.Pools)) {
		w := r.Pools[name]
		if w.Failures > before.Pools[name].Failures && w.Told.Again(w.LastError, k.Now) {
			r.Pools[name] = w
			d.Tell(ActionFailed(reason.PoolFailed,
				fact.Sayf("recreating %s failed: %s", fleet.PoolWords(name), w.LastError)))
		}
		if w.Failures >= record.FailuresBeforePeople && !w.Done() && r.Managed {
			k.fail(d, r, reason.PoolFailed)
		}
	}
}
