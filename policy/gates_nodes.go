package policy

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/course"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// NodeGates is what must be open before we recreate a pool ourselves, instead
// of leaving it to GKE.
var NodeGates = []Gate{
	{Name: "managed", Ask: askNodesManaged, Emergency: ByItself},
	{Name: "nodes", Ask: askNodesMode},
	{Name: GateHold, Ask: askHold},
	{Name: "label-hold", Ask: askLabels},
	{Name: "status", Ask: askHealthy},
	{Name: "pool-needed", Ask: askPoolNeeded},
	{Name: "pool-tries", Ask: askPoolTries},
	{Name: "operation", Ask: askClusterOperation},
	{Name: "pool-running", Ask: askPoolRunning},
	{Name: "pool-settled", Ask: askPoolSettled},
	{Name: GateMaintenance, Ask: askMaintenance, Emergency: Lifted, Compromised: Lifted},
	{Name: GateWindow, Ask: askWindow, Emergency: IfLate, Compromised: Lifted},
	{Name: "exclusion", Ask: askExclusion, Emergency: IfLate, Compromised: Lifted},
	{Name: "pool-exclusion", Ask: askPoolExclusion, Emergency: IfLate, Compromised: Lifted},
	{Name: "freeze", Ask: askFreeze, Emergency: IfLate, Compromised: Lifted},
	{Name: "overrun", Ask: askOverrun, Emergency: IfLate, Compromised: Lifted},
	{Name: "grace", Ask: askGrace, Emergency: Lifted, Compromised: Lifted},
	{Name: "pools-at-once", Ask: askPoolsAtOnce},
}

// askNodesManaged: a watched rotation gets node work only in an emergency.
func askNodesManaged(k *Case) Verdict {
	switch r := k.Rotation; {
	case r.Managed || k.Emergency && r.ClosedBy == nil:
		return isOpen(nil)
	case r.ClosedBy != nil:
		return closedBy(reason.ClosedWatching, k.closedWatching())
	}
	return closedUntil(reason.AdoptedWatching, fact.Say("started outside this tool; we only look"),
		k.Cluster.Bundle.Oldest().Expires.Add(-k.Policy.EmergencyBeforeExpiry))
}

func askNodesMode(k *Case) Verdict {
	if k.Policy.Nodes == rules.NodesGKE {
		return closedBy(reason.NodesLeftToGKE, fact.Set("NODES", rules.NodesGKE))
	}
	return isOpen(nil)
}

// askPoolNeeded: nothing is recreated twice. An Autopilot control plane that was
// upgraded gets one full window for GKE to recreate the nodes.
func askPoolNeeded(k *Case) Verdict {
	if k.Pool.Name == "" {
		if w := k.work(); w.Done() {
			return k.autopilotWaits(w)
		}
		return isOpen(nil)
	}
	if !slices.Contains(k.Unrecreated(), k.Pool.Name) {
		return closedBy(reason.NodesDone, fact.Sayf("%s is recreated", fleet.PoolWords(k.Pool.Name)))
	}
	return isOpen(nil)
}

// autopilotWaits says until when GKE recreates the nodes of an Autopilot cluster
// whose control plane was upgraded.
func (k *Case) autopilotWaits(w record.Work) Verdict {
	const upgraded = "the control plane was upgraded and GKE recreates the nodes"
	switch at := course.FullWindowAfter(k.Open(), w.EndedAt); {
	case !at.IsZero():
		return closedUntil(reason.NodesPending, fact.Sayf(upgraded+"; the completion judges from %v", at), at)
	case k.Cluster.Maintenance.Problem != "":
		return closedBy(reason.MaintenanceUnknown,
			fact.Sayf(upgraded+", but when a window has passed nobody can tell: %s", k.Cluster.Maintenance.Problem))
	}
	return closedBy(reason.NodesPending,
		fact.Sayf(upgraded+", but the window %v does not open within 400 days", k.WindowText()))
}

func (k *Case) work() record.Work { return k.Rotation.Pools[k.Pool.Name] }

func askPoolTries(k *Case) Verdict {
	w := k.work()
	switch {
	case w.LeftToGKE != "":
		return closedBy(reason.NodesLeftToGKE,
			fact.Sayf("%s is left to GKE: %s", fleet.PoolWords(k.Pool.Name), w.LeftToGKE))
	case k.Now.Before(w.NotBefore):
		return closedUntil(reason.BackingOff, fact.Sayf("%s failed or was refused: %s; next try %v",
			fleet.PoolWords(k.Pool.Name), w.LastError, w.NotBefore), w.NotBefore)
	}
	return isOpen(nil)
}

func askPoolSettled(k *Case) Verdict {
	if k.Fresh {
		return isOpen(nil)
	}
	if c, ok := k.Rotation.PoolCalls[k.Pool.Name]; ok && c.Sent() {
		return closedUntil(reason.CallUnsettled,
			fact.Sayf("the call for pool %q is on its way", k.Pool.Name), c.SettlesAt())
	}
	return isOpen(nil)
}

// askClusterOperation: node pools may be upgraded side by side, but not beside
// an operation on the whole cluster.
func askClusterOperation(k *Case) Verdict {
	if op := k.Cluster.RunsOn(""); op != "" {
		return closedBy(reason.OperationRunning, fact.Sayf("%s runs", op))
	}
	return isOpen(nil)
}

func askPoolRunning(k *Case) Verdict {
	if op := k.Cluster.RunsOn(k.Pool.Name); op != "" {
		return closedBy(reason.NodesRunning, fact.Sayf("%s is being recreated by %s",
			fleet.PoolWords(k.Pool.Name), op))
	}
	return isOpen(nil)
}

func askPoolExclusion(k *Case) Verdict {
	excluded, is := k.Pool.Excluded()
	if !is || !k.Policy.Exclusions.Binds(*k.Pool.Exclusion) {
		return isOpen(nil)
	}
	v := k.calendar(window.Except(excluded), reason.PoolExcluded, fact.Say("no pool exclusion"))
	if !v.Open {
		what := fact.Sayf("%s has an exclusion of its own", fleet.PoolWords(k.Pool.Name))
		if k.Pool.Exclusion.EndsWithSupport() {
			what = fact.Sayf("%v, until its version's end of support", what)
		}
		v.Message = untilf(what, v.OpensAt)
	}
	return v
}

// askGrace: GKE first, unless the rest would then not fit.
func askGrace(k *Case) Verdict {
	at := k.GraceOver()
	if !k.Now.Before(at) {
		return isOpen(nil)
	}
	v := closedUntil(reason.NodeGraceRuns, fact.Sayf("GKE gets until %v to begin by itself", at), at)
	v.Changes = window.Soonest(at, k.Now.Truncate(course.Grid).Add(course.Grid))
	return v
}

// askOverrun: our work goes on after the window, but not longer than agreed, and not
// into a freeze or an exclusion.
func askOverrun(k *Case) Verdict {
	if k.Pool.Name == "" {
		return isOpen(nil) // GKE does an Autopilot cluster's nodes, and pauses
	}
	w, stop, changes := k.Begun(*k.Pool)
	switch {
	case !stop.IsZero():
		v := closedBy(reason.WouldOverrun, fact.Sayf(
			"pool %q would take until %v, and must be done by %v (%v past the window, and no freeze or exclusion): GKE does it, and pauses",
			w.Pool, w.Likely, stop, fact.Set("NODE_OVERRUN", fleet.Days(k.Policy.NodeOverrun))))
		v.Changes = changes
		return v
	case w.Overruns():
		return openUntil(fact.Sayf("pool %q goes on after the window closes %v, to about %v, at worst %v", w.Pool, w.Closes,
			w.Likely, w.Late), changes)
	}
	return openUntil(nil, changes)
}

func askPoolsAtOnce(k *Case) Verdict {
	running := k.poolsRunning()
	limit := k.PoolsAtOnce()
	var changes time.Time
	if k.Policy.PoolsAtOnce == 0 { // how many must go together grows with time
		changes = k.Now.Truncate(course.Grid).Add(course.Grid)
	}
	if running >= limit {
		full := fact.Sayf("%d of %v pools are being recreated", running, fact.Set("POOLS_AT_ONCE", limit))
		return Verdict{Reason: reason.PoolsAtOnceFull, Message: full, Changes: changes}
	}
	return openUntil(nil, changes)
}

// poolsRunning counts pools under way: GKE's, and ours that are still unclear.
func (k *Case) poolsRunning() int {
	names := map[string]bool{}
	for _, op := range k.Cluster.Operations {
		if !op.Done && op.Pool != "" {
			names[op.Pool] = true
		}
	}
	for pool, c := range k.Rotation.PoolCalls {
		if c.Sent() && (k.Pool == nil || pool != k.Pool.Name || !k.Fresh) {
			names[pool] = true
		}
	}
	return len(names)
}
