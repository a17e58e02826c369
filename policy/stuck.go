package policy

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/course"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

// countStuck adds the time since the last run to what nothing explains. It
// counts at most two runs' distance, so a paused schedule counts nothing.
func (k *Case) countStuck(d *Decision, r *record.Rotation) {
	if d.Close != "" || !r.Managed {
		return
	}
	if k.explained(*d) {
		r.CountedAt = time.Time{}
		return
	}
	if !r.CountedAt.IsZero() {
		r.Unexplained += min(k.Now.Sub(r.CountedAt), 2*k.Policy.Every)
	}
	r.CountedAt = k.Now
	if r.Unexplained > k.Policy.StuckAfter && !r.Stuck {
		r.Stuck = true
		d.Tell(rotationStuck(r, d.Message))
	}
}

// explained says whether a gate or an operation explains that nothing moves.
// An operation explains itself while its count of nodes done rises, and without one
// for up to twice the time that it takes at the latest.
func (k *Case) explained(d Decision) bool {
	if d.Action != Wait && d.Action != NeedsAction {
		return true
	}
	switch d.Reason.Info().Explains {
	case reason.Always:
		return true
	case reason.WhileGKEWaits:
		if next, ok := k.Open().Next(k.Now); !ok || next.Start.After(k.Now) {
			return true
		}
	}
	for _, op := range k.Cluster.Operations {
		if op.Done {
			continue
		}
		since, longest := op.Start, course.StartTakesLate
		if p := k.pool(op.Pool); p != nil && op.Pool != "" {
			longest = max(longest, k.Longest(*p))
		}
		if w := k.Rotation.Pools[op.Pool]; w.Operation == op.Name {
			since = window.Later(since, w.RoseAt)
		}
		if k.Now.Sub(since) < 2*longest {
			return true
		}
	}
	return false
}

// noteCaught tells at once, and once, that a hold, a freeze, a soak, the completion
// window or a calendar that nobody understands has caught the rotation: GKE waits
// for none of them.
func (k *Case) noteCaught(d *Decision, r *record.Rotation) {
	gates := d.Gates
	if !r.Managed || (r.Phase != record.RecreatingNodes && r.Phase != record.UpdatingClients) {
		gates = nil
	}
	var caught []string
	gke := k.AutoComplete()
	for _, v := range gates {
		catching := v.Reason.Info().Catches
		catches := catching == reason.Always || catching == reason.IfAfterGKE && !v.OpensAt.Before(gke)
		if v.Open || v.Lifted || !catches || slices.Contains(caught, string(v.Reason)) {
			continue
		}
		caught = append(caught, string(v.Reason))
		note := v.Message.Tailf("; GKE may complete by itself from %v, and only a NO_UPGRADES exclusion on the cluster delays that", gke)
		if v.Reason == d.Reason {
			d.Message = note
		}
		if !slices.Contains(r.Caught, string(v.Reason)) {
			d.Tell(Blocked(v.Reason, note))
		}
	}
	r.Caught = caught
}
