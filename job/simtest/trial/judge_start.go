package trial

import (
	"fmt"
	"slices"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// startsAllowed judges promise 1. It also asks for the approval of a start and
// for what makes a cluster ineligible; the fit check, waves, back-off and
// breaker are decisions of comfort that no promise names, and are not judged.
func (j *judge) startsAllowed(e *Event) {
	if e.Kind == IntentStored {
		j.startIntended(e)
	}
	if e.Kind != Sent || e.Request.Kind != record.CallStart {
		return
	}
	v, ok := j.look(e)
	if !ok {
		return // promise 2 tells
	}
	if why := v.never(func(t time.Time) string { return v.mayStart(t, j.ledger(e.Env).approved) }); why != "" {
		j.accuse(e, v.cluster.Ref, "a start was sent although %s", why)
	}
}

// startIntended: the transaction itself must not show a hold.
func (j *judge) startIntended(e *Event) {
	w, ok := written(e)
	if !ok || w.Now.Fleet == nil || w.Now.Rotation == nil || w.Now.Rotation.Call == nil ||
		w.Now.Rotation.Call.Kind != record.CallStart || w.Now.Rotation.Call.State != record.Intended {
		return
	}
	// A hold that ran out while the transaction was on its way is none.
	if ref := w.Now.Rotation.Cluster; held(w.Now.Fleet, ref, e.Clock.Add(time.Hour)) &&
		held(&j.ledger(e.Env).fleet, ref, e.Clock.Add(time.Hour)) && j.heldSince(e, ref) {
		j.accuse(e, ref, "a start intent was stored with a fleet document that holds the cluster")
	}
}

// heldSince says whether the hold was there when the process read the store: one
// that a person adds before a retried commit binds from the read under the
// intent on.
func (j *judge) heldSince(e *Event, ref fleet.Ref) bool {
	f := j.pass(e).fleet
	return f != nil && (f.Contents != nil && held(&f.Contents.Fleet, ref, e.Clock.Add(time.Hour)) ||
		f.Fleet != nil && held(f.Fleet, ref, e.Clock.Add(time.Hour)))
}

// mayStart says why a start is not allowed at t, or "".
func (v showing) mayStart(t time.Time, approved map[approvalKey]bool) string {
	c, ca := v.cluster, oldest(v.cluster)
	switch {
	case !v.selected():
		return "the cluster is not selected"
	case !v.due(t):
		return "it is not due"
	case len(c.Bundle.CAs) != 1:
		return fmt.Sprintf("it shows %d CAs", len(c.Bundle.CAs))
	case !t.Before(ca.Expires):
		return "its CA has expired"
	case c.Alpha || c.CustomerCA:
		return "its kind cannot be rotated"
	case c.Status != "RUNNING" && (c.Status != "DEGRADED" || t.Before(ca.Expires.Add(-lastResortAt))):
		return "its status is " + string(c.Status)
	case v.busy() != "":
		return v.busy() + " runs"
	case held(v.doc, c.Ref, t) || labelHolds(v.policy, c.Labels, t):
		return "it is held"
	case !v.startApproved(t, approved):
		return "nobody approved the start"
	}
	return v.closedBy(t, nil)
}

// startApproved: an approval for this CA of this cluster, given by a person.
func (v showing) startApproved(t time.Time, given map[approvalKey]bool) bool {
	if a := v.policy.Approval; a != rules.ApproveStart && a != rules.ApproveBoth {
		return true
	}
	return v.labelApproves(t, nil) || slices.ContainsFunc(v.doc.Approvals, func(a record.Approval) bool {
		return a.Kind == record.CallStart && a.Cluster == v.cluster.Ref && a.ClusterID == v.cluster.ID &&
			a.CA == oldest(v.cluster).Fingerprint && (a.Until.IsZero() || t.Before(a.Until)) && given[keyOf(a)]
	})
}

// nodesAllowed judges what design.md 5 adds to promise 1: node calls, too,
// begin only where calendars have room. NODE_GRACE and POOLS_AT_ONCE are not
// judged.
func (j *judge) nodesAllowed(e *Event) {
	if e.Kind != Sent || e.Request.Kind != record.CallRecreate {
		return
	}
	v, ok := j.look(e)
	if !ok {
		return
	}
	pool := &fleet.Pool{}
	for i := range v.cluster.Pools {
		if e.Request.Pool != "" && v.cluster.Pools[i].Name == e.Request.Pool {
			pool = &v.cluster.Pools[i]
		}
	}
	if why := v.never(func(t time.Time) string { return v.closedBy(t, pool) }); why != "" {
		j.accuse(e, v.cluster.Ref, "a call for pool %q was sent although %s", e.Request.Pool, why)
	}
}
