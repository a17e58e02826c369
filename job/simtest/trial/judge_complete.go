package trial

import (
	"regexp"
	"slices"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// completesAllowed judges promise 3. That a pool was recreated it sees from
// GKE's operations as any process has read them, not from the store; for an
// Autopilot cluster an upgrade of the control plane will do, without the full
// window that must follow it.
func (j *judge) completesAllowed(e *Event) {
	if e.Kind != Sent || e.Request.Kind != record.CallComplete {
		return
	}
	v, ok := j.look(e)
	if !ok {
		return
	}
	ref, t := v.cluster.Ref, j.truth(e.Request.Cluster)
	if v.rotation == nil {
		j.accuse(e, ref, "a complete was sent without a rotation on record")
		return
	}
	a := j.ledger(e.Env).attempts[v.rotation.AttemptID]
	for _, p := range v.cluster.Pools {
		if !j.recreated(t, v, a, p.Name) {
			j.accuse(e, ref, "a complete was sent although no operation is known that recreated pool %q", p.Name)
		}
	}
	if over := v.soakOver(t, a); e.At.Before(over) {
		j.accuse(e, ref, "a complete was sent although the soak is not over before %s", stampOf(over))
	}
	if why := v.never(func(at time.Time) string {
		return v.mayComplete(at, a,
			j.ledger(e.Env).approved)
	}); why != "" {
		j.accuse(e, ref, "a complete was sent although %s", why)
	}
}

// recreated: a node upgrade that began after the second CA was there has ended
// well, or the pool came later than that CA.
func (j *judge) recreated(t *truth, v showing, a *attempt, pool string) bool {
	if t.poolsThen != nil && !t.poolsThen[pool] {
		return true
	}
	after := thereSince(v.cluster)
	for _, op := range t.ops {
		if !op.Done || op.Error != "" || op.Start.Before(after) {
			continue
		}
		if op.Type == "UPGRADE_NODES" && op.Pool == pool &&
			(a.void[pool].IsZero() || op.Start.After(a.void[pool])) {
			return true
		}
		if op.Type == "UPGRADE_MASTER" && v.cluster.Autopilot {
			return true
		}
	}
	return false
}

// thereSince is when the newest CA was there: GKE sets notBefore back by an
// hour.
func thereSince(c fleet.Cluster) time.Time {
	return newest(c).Issued.Add(time.Hour - time.Second)
}

// soakOver is the earliest time, on the world's clock, at which the soak can be
// over: what the store calls hand-over is not earlier than the run that stored
// it began, and nodes are not seen done before they are.
func (v showing) soakOver(t *truth, a *attempt) time.Time {
	p, handed := v.policy, a.handedOver
	if handed.IsZero() {
		return time.Time{}
	}
	var nodes time.Time
	for _, op := range t.ops {
		// Work that began within an hour of the new CA may not count as the
		// rotation's; the later work that does is counted itself.
		if op.Type == "UPGRADE_NODES" && op.Done && op.Error == "" &&
			op.Start.After(thereSince(v.cluster).Add(time.Hour)) && op.End.After(nodes) && v.shows(op) {
			nodes = op.End
		}
	}
	after := func(soak time.Duration) time.Time {
		return laterOf(handed.Add(soak),
			nodes.Add(min(soak, afterNodes)))
	}
	over := after(p.Soak)
	switch rest := oldest(v.cluster).Expires.Add(-emergencyRest); {
	case v.compromised():
		over = after(p.SoakCompromised)
	case v.emergency(v.to) && over.After(rest):
		over = laterOf(rest, laterOf(handed, nodes).Add(leastSoak))
	}
	return over.Add(-skewBy)
}

// shows says whether the read under the intent showed the operation done.
func (v showing) shows(op fleet.Operation) bool {
	return slices.ContainsFunc(v.ops, func(o fleet.Operation) bool { return o.Name == op.Name && o.Done })
}

var zonal = regexp.MustCompile(`-[a-z]$`)

// mayComplete says why a complete is not allowed at t, or "".
func (v showing) mayComplete(t time.Time, a *attempt, given map[approvalKey]bool) string {
	ca := oldest(v.cluster)
	inZone := zonal.MatchString(v.cluster.Ref.Location)
	last := ca.Expires.Add(-waitUntil)
	switch {
	case len(v.cluster.Bundle.CAs) != 2:
		return "the read under its intent does not show two CAs"
	case v.busy() != "":
		return v.busy() + " runs"
	case held(v.doc, v.cluster.Ref, t) || labelHolds(v.policy, v.cluster.Labels, t):
		return "it is held"
	case !v.completeApproved(t, a, given):
		return "nobody approved it for this attempt and entry"
	case (!inZone || v.policy.ZonalComplete != rules.ZonalWindow) &&
		v.awaits(weekly(v.policy.CompleteWindow.String()), t, ca.Expires.Add(-emergencyRest)):
		return "COMPLETE_WINDOW had no room"
	case v.awaits(freezes(v.policy.Freezes.String()), t, last):
		return "freezes had no room"
	}
	if inZone && v.policy.ZonalComplete != rules.ZonalPeople {
		window := v.gke.window
		if window == nil {
			window = weekly(v.policy.Window.String())
		}
		if v.awaits(both(window, v.gke.exclusions), t, last) {
			return "the zonal cluster's window had no room"
		}
	}
	return ""
}

// completeApproved: an approval for this attempt and this entry into
// updating-clients, as the judge counts entries, given by a person.
func (v showing) completeApproved(t time.Time, a *attempt, given map[approvalKey]bool) bool {
	if ask := v.policy.Approval; ask != rules.ApproveComplete && ask != rules.ApproveBoth {
		return true
	}
	return v.labelApproves(t, a) || slices.ContainsFunc(v.doc.Approvals, func(x record.Approval) bool {
		return x.Kind == record.CallComplete && x.Cluster == v.cluster.Ref && x.ClusterID == v.cluster.ID &&
			x.Attempt == a.id && x.Entry == a.entries && (x.Until.IsZero() || t.Before(x.Until)) && given[keyOf(x)]
	})
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func stampOf(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }
