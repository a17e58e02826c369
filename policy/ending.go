package policy

import (
	"fmt"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// completing waits for one CA, or for the proof that the completion left
// nothing.
func (k *Case) completing(d *Decision, r *record.Rotation) {
	call := r.Call
	switch {
	case call == nil || call.State == record.Withdrawn:
		k.enter(d, r, record.UpdatingClients, reason.CompleteLeftNone)
	case !k.unproved(d, *call, "completion", reason.CompleteSent, reason.CompleteRuns):
		why := reason.CompleteLeftNone
		if op, ok := k.operation(call.Operation); ok && op.Error != "" {
			why = reason.CompleteFailed
			r.CompleteFailures++
			d.Tell(ActionFailed(why, fact.Say(op.Error)))
		}
		if call.State == record.Refused || why == reason.CompleteFailed {
			r.RefusedAt(k.Now)
		}
		r.RetireCall()
		k.enter(d, r, record.UpdatingClients, why)
		if r.CompleteFailures >= 2 || r.Refusals >= record.FailuresBeforePeople {
			k.fail(d, r, why)
		}
	}
}

// oneNewCA: the old CA is gone, whoever completed it.
func (k *Case) oneNewCA(d *Decision, r *record.Rotation) {
	if busy := k.clusterBusy(); busy != "" && r.Phase == record.Completing {
		k.stay(d, reason.CompleteRuns, fact.Sayf("the new CA alone is in place; %s still runs", busy))
		return
	}
	r.New = k.Cluster.Bundle.Oldest()
	if k.Cluster.Endpoint != "" {
		r.Endpoint = k.Cluster.Endpoint
	}
	why := reason.ElsewhereCompleted
	switch gke := k.AutoComplete(); {
	case r.Phase == record.Completing && r.Call != nil && r.Call.MayHaveTaken():
		r.CompletedBy, why = record.ByUs, reason.OneNewCA
		if r.Call.State != record.Accepted {
			r.CompletedBy = record.ByUnknown
		}
	case k.Now.Before(gke):
		r.CompletedBy = record.ByOther
		d.Message = fact.Sayf("somebody else completed it, before GKE does so from %v", gke)
	default:
		r.CompletedBy = record.ByGKE
		d.Message = fact.Sayf("GKE completed it by itself, as it may from %v", gke)
	}
	said := d.Message
	k.enter(d, r, record.Verifying, why)
	if why == reason.ElsewhereCompleted {
		d.Message = said
		d.Tell(completedExternally(said))
	}
}

// verify compares with the baseline and closes the attempt.
func (k *Case) verify(d *Decision, r *record.Rotation) {
	c := k.Cluster
	if c.Bundle.Has(r.Baseline.CA.Fingerprint) {
		k.stay(d, reason.ReadShowsLess, fact.Say("GKE shows the old CA although it was gone: an old answer"))
		return
	}
	if r.Unsettled(k.Now) {
		at := r.Call.SettlesAt()
		k.stay(d, reason.CallUnsettled, fact.Sayf("the completion is settled from %v", at))
		d.NextChange = at
		return
	}
	findings, busy := k.compared(r)
	switch {
	case len(findings) == 0 && busy != "":
		k.stay(d, reason.VerifyingHealth, fact.Sayf("GKE is at work: %s", busy))
	case len(findings) == 0:
		as := record.Completed
		if r.CompletedBy == record.ByOther || r.CompletedBy == record.ByGKE {
			as = record.CompletedElsewhere
		}
		d.Findings = k.otherVersions(r)
		k.close(d, r, as, reason.Verified)
	case k.Now.Before(r.Entered(record.Verifying).Add(k.Policy.StuckAfter)):
		k.stay(d, reason.VerifyingHealth, fact.Say(fact.Some(findings)))
		d.NextChange = r.Entered(record.Verifying).Add(k.Policy.StuckAfter)
	default:
		d.Findings = findings
		k.close(d, r, record.CompletedWithFindings, reason.WithFindings)
		if r.Origin != record.Foreign && r.ClosedBy == nil {
			r.Failed = "" // what it suffered on its way is over
			k.fail(d, r, reason.WorseThanBefore)
		}
	}
}

// compared says what is worse than before, and with what GKE is busy, which is no damage:
// any status that it ends by itself.
func (k *Case) compared(r *record.Rotation) (worse []string, busy string) {
	if !r.New.Expires.After(r.Baseline.CA.Expires) {
		worse = append(worse, "the new CA expires "+fact.Day(r.New.Expires)+", not after the old one")
	}
	look := func(what, words string, now, before fleet.Status) {
		switch {
		case harm[now] > harm[before]:
			worse = append(worse, fmt.Sprintf("%s %s, before %s", what, words, before))
		case harm[now] == 0 && now != fleet.Running && now != before && busy == "":
			busy = what + " " + string(now)
		}
	}
	look("status", k.Cluster.State(), k.Cluster.Status, r.Baseline.Status)
	for _, p := range k.Cluster.Pools {
		if was, ok := r.Baseline.Pools[p.Name]; ok {
			look("pool "+p.Name, p.State(), p.Status, was)
		}
	}
	if op := k.Cluster.Runs(); busy != "" && op != "" {
		busy += ", " + op
	}
	return worse, busy
}

// otherVersions are pools that came back on another version. That is no damage, but nobody
// asked for it: GKE makes no nodes of a version that it no longer offers.
func (k *Case) otherVersions(r *record.Rotation) (found []string) {
	for _, p := range k.Cluster.Pools {
		if was := r.Baseline.Versions[p.Name]; was != "" && was != p.Version {
			found = append(found, fmt.Sprintf("pool %s runs version %s, before %s", p.Name, p.Version, was))
		}
	}
	return found
}

// harm is how bad a status is; the others are good, or pass.
var harm = map[fleet.Status]int{fleet.Degraded: 1, fleet.RunningWithError: 1, fleet.Error: 2}

// close ends the attempt, unless a call may still be on its way.
func (k *Case) close(d *Decision, r *record.Rotation, as record.ClosedAs, why reason.Code) {
	if r.AnyUnsettled(k.Now) {
		at := k.resolvedAt(r)
		k.stay(d, reason.CallUnsettled,
			clause(why).Tailf("; the record closes when the last call is settled, %v", at))
		d.NextChange = at
		return
	}
	r.RetireCall()
	d.Close, d.Write, d.Slot = as, true, SlotRelease
	d.Action, d.Reason, d.Message = Update, why, sentence(why)
	d.Tell(PhaseChanged(as, why, d.Message))
}

// resolvedAt is when the last call on its way is settled.
func (k *Case) resolvedAt(r *record.Rotation) time.Time {
	var at time.Time
	if r.Call != nil && r.Call.Sent() {
		at = r.Call.SettlesAt()
	}
	for _, c := range r.PoolCalls {
		if c.Sent() {
			at = window.Later(at, c.SettlesAt())
		}
	}
	return at
}

// endedByPerson carries out a close request.
func (k *Case) endedByPerson(d *Decision, r *record.Rotation) bool {
	q := k.Doc.AskedOf(record.RequestClose, *r)
	if q == nil {
		return false
	}
	k.close(d, r, record.ClosedByPeople, reason.ClosedByPerson)
	return true
}

// takeUp carries out adopt and retry requests.
func (k *Case) takeUp(d *Decision, r *record.Rotation) {
	adopt := k.Doc.Asked(record.RequestAdopt, k.Cluster)
	if !r.Managed && (k.Policy.Adopt == rules.AdoptManage && r.ClosedBy == nil || adopt != nil) &&
		len(k.Policy.Unselected(k.Cluster)) == 0 {
		r.Managed, r.ClosedBy = true, nil
		d.Slot = SlotTake
		d.Write = true
	}
	retry := k.Doc.AskedOf(record.RequestRetry, *r)
	if retry != nil {
		r.Failed, r.Stuck, r.Refusals, r.CompleteFailures, r.NotBefore, r.Unexplained = "", false, 0, 0,
			time.Time{}, 0
		for name, w := range r.Pools {
			w.Failures, w.NotBefore, w.LeftToGKE = 0, time.Time{}, ""
			r.Pools[name] = w
		}
		d.Write = true
	}
	for _, q := range []*record.Request{adopt, retry} {
		if q != nil {
			d.Taken = append(d.Taken, *q)
		}
	}
}

// fail announces a failed rotation once; it counts against the breaker until
// somebody acknowledges it.
func (k *Case) fail(d *Decision, r *record.Rotation, reason reason.Code) {
	if r.Failed == "" {
		r.Failed = string(reason)
		d.Tell(ActionFailed(reason, sentence(reason)))
	}
}

// holdSlot releases the slot once one CA is seen, or after eight days of
// needing people.
func (k *Case) holdSlot(d *Decision, r *record.Rotation) {
	if d.Action == NeedsAction || d.Reason.Info().WaitsOn == reason.OnPeople || r.Failed != "" || r.Stuck {
		if r.BlockedSince.IsZero() {
			r.BlockedSince, d.Write = k.Now, true
		}
	} else if !r.BlockedSince.IsZero() {
		r.BlockedSince, d.Write = time.Time{}, true
	}
	_, holds := k.Doc.Slots[r.Cluster.String()]
	tooLong := !r.BlockedSince.IsZero() && k.Now.Sub(r.BlockedSince) > rules.BlockedFreesSlot
	if holds && (r.Phase == record.Verifying || tooLong) && !r.Unsettled(k.Now) {
		d.Slot, d.Write = SlotRelease, true
	}
}
