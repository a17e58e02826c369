package policy

import (
	"fmt"
	"slices"
	"time"
)

// explainedBy are the reasons for which a rotation may stay where it is: a
// calendar, a person, a clock of ours.
var explainedBy = []Reason{
	WindowClosed, Excluded, PoolExcluded, Frozen, Held, ApprovalNeeded, SoakRuns, CompleteWindowShut,
	CallUnsettled, StartSent, CompleteSent, NodeGraceRuns, BackingOff, AdoptedWatching, NotReadable, VerifyingHealth, MaintenanceUnknown,
}

// countStuck adds the time since the last run to what nothing explains. It
// counts at most two runs' distance, so a paused schedule counts nothing.
func (k *Case) countStuck(d *Decision, r *Rotation) {
	if d.Close != "" || !r.Carry {
		return
	}
	if k.explained(*d) {
		if !r.CountedAt.IsZero() {
			r.CountedAt = time.Time{}
		}
		return
	}
	if !r.CountedAt.IsZero() {
		r.Unexplained += min(k.Now.Sub(r.CountedAt), 2*k.Policy.Every)
	}
	r.CountedAt = k.Now
	if r.Unexplained > k.Policy.StuckAfter && !r.Stuck {
		r.Stuck = true
		d.Events = append(d.Events, Event{EventRotationStuck, IsStuck, fmt.Sprintf("%s for %s without a reason: %s", r.Phase, Days(r.Unexplained), d.Message)})
	}
}

// explained says whether a gate or an operation explains that nothing moves.
// An operation explains itself up to twice its estimate.
func (k *Case) explained(d Decision) bool {
	if d.Action != Wait && d.Action != People {
		return true
	}
	if slices.Contains(explainedBy, d.Reason) {
		return true
	}
	if d.Reason == NodesLeftToGKE || d.Reason == PoolsNotRecreated || d.Reason == NodesRunning || d.Reason == PoolsAtOnceFull {
		if next, ok := k.open().Next(k.Now); !ok || next.Start.After(k.Now) {
			return true // GKE works only while its policy is open
		}
	}
	for _, op := range k.Cluster.Operations {
		if op.Done {
			continue
		}
		estimate := startTakes
		if p := k.pool(op.Pool); p != nil && op.Pool != "" {
			estimate = max(estimate, k.poolTime(*p))
		}
		if k.Now.Sub(op.Start) < 2*estimate {
			return true
		}
	}
	return false
}

// announce tells at once, and once, that a hold, a freeze or a soak has caught
// the rotation: GKE does not wait for any of them.
func (k *Case) announce(d *Decision, r *Rotation) {
	caught := ""
	if r.Carry && (r.Phase == RecreatingNodes || r.Phase == UpdatingClients) {
		switch d.Reason {
		case Held, Frozen:
			caught = string(d.Reason)
		case SoakRuns:
			if over, _ := k.soakOver(); over.After(k.gkeCompletes()) {
				caught = string(d.Reason)
			}
		}
	}
	if caught == "" {
		r.Announced = nil
		return
	}
	note := fmt.Sprintf("GKE completes by itself from %s; only a NO_UPGRADES exclusion on the cluster delays that", when(k.gkeCompletes()))
	d.Message = join(d.Message, note)
	if !contains(r.Announced, caught) {
		r.Announced = []string{caught}
		d.Events = append(d.Events, Event{EventBlocked, d.Reason, d.Message})
	}
}

// gkeCompletes is when GKE may complete by itself: seven days after the start,
// its policy open, nodes done.
func (k *Case) gkeCompletes() time.Time {
	at := later(k.autoComplete(), k.Rotation.NodesDoneAt())
	if next, ok := k.open().Next(at); ok && next.Start.After(at) {
		return next.Start
	}
	return at
}
