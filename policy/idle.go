package policy

import (
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// idle decides for a cluster without a rotation on record.
func (k *Case) idle(d *Decision, f Fleet) {
	c := k.Cluster
	if c.Bundle.Problem == "" && len(c.Bundle.CAs) == 2 {
		k.twoCAs(d, f)
		return
	}
	if rec, lost := f.Contents.LostOf(c); lost && c.Bundle.Problem == "" {
		k.reopen(d, rec) // the next run tells what became of it
		return
	}
	d.Gates = k.Ask(StartGates, firstGate)
	v, isClosed := FirstClosed(d.Gates)
	if k.out = isClosed; !k.out {
		room := len(StartGates) + len(FleetGates) // the second step asks these
		d.Gates = k.Ask(StartGates, ownGate, slices.Grow(d.Gates, room)...)
		v, isClosed = FirstClosed(d.Gates)
	}
	switch {
	case !isClosed:
		d.Action, d.Reason, d.InForce, d.Tried = Start, reason.IsDue, k.Policy.InForce, k.Doc.Tried(c)
		d.Approved = k.approval(record.CallStart)
		d.Message = fact.Join(fact.Say(k.Due.Why), approvedBy(d.Approved), k.liftedNote(d.Gates),
			k.reserved(), k.SetAside())
	case v.Reason == reason.NotSelected || v.Reason == reason.NotDue:
		d.set(None, v.Reason, v.Message)
	case v.Reason.Info().NeedsAction, v.Reason == reason.StatusNotRunning && !passing[k.Cluster.Status]:
		d.set(NeedsAction, v.Reason, v.Message)
	default:
		d.set(Wait, v.Reason, v.Message)
		k.blocked(d)
	}
	k.besideUs(d)
	switch {
	case d.Reason == reason.ApprovalNeeded:
		d.Tell(approvalNeeded(d.Message))
	case d.Action == NeedsAction:
		d.Tell(Blocked(d.Reason, d.Message))
	}
	if k.Due.Is && k.Emergency {
		d.Tell(expiresSoon(d.Reason, c.Bundle.Oldest()))
	}
}

// liftedNote says which gates are not awaited, and why.
func (k *Case) liftedNote(gates []Verdict) fact.Text {
	var names []string
	for _, v := range gates {
		if v.Lifted {
			names = append(names, v.Gate)
		}
	}
	if len(names) == 0 {
		return nil
	}
	why := "emergency"
	if k.Compromised {
		why = "compromised"
	}
	return fact.Sayf("%s, not awaited: %s", why, strings.Join(names, ", "))
}

// passing are the statuses that GKE ends by itself. DEGRADED is none: it asks
// for people, and may last for months.
var passing = map[fleet.Status]bool{fleet.Reconciling: true, "PROVISIONING": true, "STOPPING": true}

// blocked: due, and not startable within 30 days for what time alone does not end.
func (k *Case) blocked(d *Decision) {
	if d.Reason.Info().Hold || k.Emergency || k.Compromised {
		return
	}
	for _, v := range d.Gates {
		if v.Gate == GateFit && !v.Open && (v.OpensAt.IsZero() ||
			v.OpensAt.After(k.Now.Add(rules.BlockedAfter))) {
			d.set(NeedsAction, v.Reason, v.Message)
			return
		}
	}
	// What time alone opens is awaited, a monthly window or a long freeze, unless it is then
	// too late.
	expires := k.Cluster.Bundle.Oldest().Expires
	if start, _ := k.NextOpening(k.Now); start.IsZero() || start.After(expires.Add(-rules.DeadlineBefore)) {
		d.Action, d.Message = NeedsAction, fact.Join(d.Message,
			fact.Sayf("no start is possible before it is an emergency, %s",
				fact.Day(expires.Add(-k.Policy.EmergencyBeforeExpiry))))
		if d.Reason == "" {
			d.Reason = reason.BlockedReason
		}
	}
}

// twoCAs decides for a rotation without a record: ours that was accepted late,
// or somebody else's.
func (k *Case) twoCAs(d *Decision, f Fleet) {
	c := k.Cluster
	rec, ours := f.Contents.ClosedOurs(c)
	switch {
	case !f.Contents.Known:
		d.set(NeedsAction, reason.TwoCAs,
			fact.Say("two CAs are in place; without a store nobody knows whose rotation it is"))
	case !c.OperationsRead:
		d.set(Wait, reason.NotReadable, fact.Say("two CAs are in place; its operations could not be read"))
	case c.Partial:
		d.set(Wait, reason.ListedPartly, fact.Sayf("two CAs are in place; %v", sentence(reason.ListedPartly)))
	case k.clusterBusy() != "":
		d.set(Wait, reason.ForeignRotation, fact.Sayf("two CAs are in place and %s runs", k.clusterBusy()))
	case ours:
		old := rec.Rotation.Baseline.CA.Fingerprint
		k.Cluster.Bundle = c.Bundle.OldFirst(old)
		d.Cluster.Bundle = k.Cluster.Bundle
		k.reopen(d, rec)
	case len(k.Policy.Unselected(c)) > 0:
		d.set(None, reason.NotSelected, fact.Say("two CAs are in place; not selected, so not adopted"))
	default:
		k.adopt(d)
	}
}

// reopen takes up an attempt of ours that was closed too early: GKE accepted
// its start late, or nobody could read the cluster. What a person closed is only
// watched.
func (k *Case) reopen(d *Decision, rec record.Record) {
	if rec.ClosedAs == record.ClosedByPeople {
		k.watchClosed(d, rec)
		return
	}
	r := rec.Rotation.Clone()
	r.Origin, r.Managed, r.Version = record.Reclaimed, true, ""
	if rec.ClosedAs == record.Lost {
		r.LastRead = k.Cluster.Seen
		d.Slot = SlotTake
		k.keep(d, &r, Update, r.Reason, fact.Say("it can be read again: the attempt goes on"))
		return
	}
	k.bothCAs(d, &r, reason.LateStart)
	d.Slot = SlotTake
	d.Tell(ActionFailed(reason.LateStart, sentence(reason.LateStart)))
	k.keep(d, &r, Update, reason.LateStart, sentence(reason.LateStart))
}

// watchClosed takes up a rotation whose record a person closed, to tell its end; to manage
// it again only where somebody has asked for that since.
func (k *Case) watchClosed(d *Decision, rec record.Record) {
	r, said := rec.Rotation.Clone(), rec.Said
	r.ClosedBy, r.Managed, r.Version, r.LastRead = &said, false, "", k.Cluster.Seen
	r.Failed, r.Stuck, r.BlockedSince, r.Unexplained = "", false, time.Time{}, 0
	k.Rotation = &r
	if r.Phase == record.Starting {
		k.bothCAs(d, &r, reason.ClosedWatching)
	}
	k.takeUp(d, &r)
	if r.Managed {
		k.keep(d, &r, Update, reason.AdoptedManaging, sentence(reason.AdoptedManaging))
		return
	}
	k.keep(d, &r, NeedsAction, reason.ClosedWatching, k.closedWatching())
}

// closedWatching says who closed the record, and what becomes of the rotation.
func (k *Case) closedWatching() fact.Text {
	return fact.Sayf("%s closed its record; we only look. GKE may complete it from %v",
		record.Who(*k.Rotation.ClosedBy), k.AutoComplete())
}

// adopt makes a record of a rotation that somebody else started.
func (k *Case) adopt(d *Decision) {
	c := k.Cluster
	r := record.Rotation{
		Cluster: c.Ref, ClusterID: c.ID, AttemptNo: 1, Origin: record.Foreign,
		Managed:  k.Policy.Adopt == rules.AdoptManage || k.Doc.Asked(record.RequestAdopt, c) != nil,
		Baseline: record.BaselineOf(c), DueAt: k.Due.At, Wave: k.WaveName, Emergency: k.Emergency,
		Compromised: k.Compromised, LastRead: c.Seen,
		InForce: k.Policy.InForce,
	}
	d.Tell(foreignRotation())
	k.bothCAs(d, &r, reason.ForeignRotation)
	why := reason.AdoptedWatching
	if r.Managed {
		why = reason.AdoptedManaging
		d.Slot = SlotTake
	}
	k.keep(d, &r, Update, why, sentence(why))
}

// keep writes the rotation into the decision.
func (k *Case) keep(d *Decision, r *record.Rotation, action Action, reason reason.Code, message fact.Text) {
	r.Reason = reason
	d.Rotation, d.Write, d.Phase = r, true, r.Phase
	d.set(action, reason, message)
}
