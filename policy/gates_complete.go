package policy

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

// CompleteGates is what must be open before a rotation is completed.
var CompleteGates = []Gate{
	{Name: "managed", Ask: askManaged},
	{Name: "status", Ask: askHealthy},
	{Name: "operation", Ask: askOperation},
	{Name: GateSettled, Ask: askSettled},
	{Name: GateHold, Ask: askHold},
	{Name: "label-hold", Ask: askLabels},
	{Name: "pools", Ask: askPoolsDone},
	{Name: GateTries, Ask: askCompleteTries},
	{Name: GateSoak, Ask: askSoak, Emergency: ByItself, Compromised: ByItself},
	{Name: GateApproval, Ask: askCompleteApproval},
	{Name: "complete-window", Ask: askCompleteWindow, Emergency: ByItself, Compromised: Lifted, Calendar: true},
	{Name: "zonal-window", Ask: askZonalWindow, Emergency: IfLate, Compromised: Lifted, Calendar: true},
	{Name: "freeze", Ask: askFreeze, Emergency: IfLate, Compromised: Lifted, Calendar: true},
}

func askManaged(k *Case) Verdict {
	if k.Rotation.Managed {
		return isOpen(nil, time.Time{})
	}
	return closedBy(reason.AdoptedWatching,
		fact.Sayf("started outside this tool; we only look. GKE completes it from %v", k.autoComplete()),
		time.Time{})
}

// autoComplete is when GKE may complete the rotation by itself.
func (k *Case) autoComplete() time.Time { return k.Rotation.StartedAt().Add(AutoCompleteAfter) }

func askHealthy(k *Case) Verdict {
	if s := k.Cluster.Status; s != fleet.Running && s != fleet.Degraded && s != fleet.Reconciling {
		return closedBy(reason.StatusNotRunning, fact.Sayf("status %s", s), time.Time{})
	}
	return isOpen(nil, time.Time{})
}

func askSettled(k *Case) Verdict {
	if k.Rotation.Unsettled(k.Now) && !k.Fresh {
		at := k.Rotation.Call.IntentAt.Add(record.SettleAfter)
		return closedBy(reason.CallUnsettled,
			fact.Sayf("the last %s is settled from %v", k.Rotation.Call.Kind, at), at)
	}
	return isOpen(nil, time.Time{})
}

func askPoolsDone(k *Case) Verdict {
	if names := k.unrecreated(); len(names) > 0 {
		return closedBy(reason.PoolsNotRecreated, fact.Sayf("not recreated: %s", some(names)), time.Time{})
	}
	return isOpen(nil, time.Time{})
}

func askCompleteTries(k *Case) Verdict {
	r := k.Rotation
	if k.Now.Before(r.NotBefore) {
		return closedBy(reason.BackingOff,
			fact.Sayf("the last completion was refused or failed; next try %v", r.NotBefore), r.NotBefore)
	}
	if r.CompleteFailures >= 2 || r.Refusals >= record.FailuresBeforePeople {
		return closedBy(reason.TriesExhausted, fact.Say("completing failed too often"), time.Time{})
	}
	return isOpen(nil, time.Time{})
}

func askSoak(k *Case) Verdict {
	over, why := k.soakOver()
	if k.Now.Before(over) {
		return closedBy(reason.SoakRuns, why.Tailf(" until %v", over), over)
	}
	return isOpen(why.Tailf(" over since %v", over), time.Time{})
}

// soakOver is when clients have had their time. It is never shortened
// silently: the text names the rule that gave it.
func (k *Case) soakOver() (time.Time, fact.Text) {
	r := k.Rotation
	after := func(soak time.Duration) time.Time {
		return later(r.HandedOverAt.Add(soak), r.NodesDoneAt().Add(min(soak, NodeSoak)))
	}
	normal := after(k.Policy.Soak)
	switch {
	case k.Compromised:
		return after(k.Policy.SoakCompromised), fact.Set("SOAK_COMPROMISED", fleet.Days(k.Policy.SoakCompromised))
	case k.Emergency:
		reserve := k.Cluster.Bundle.Oldest().Expires.Add(-EmergencyReserve)
		least := later(r.HandedOverAt, r.NodesDoneAt()).Add(EmergencySoak)
		if normal.After(reserve) {
			return later(reserve, least), fact.Say("what is left of SOAK before the expiry")
		}
	}
	return normal, fact.Set("SOAK", fleet.Days(k.Policy.Soak))
}

func askCompleteApproval(k *Case) Verdict {
	if !k.Policy.Approval.Asks(record.CallComplete) {
		return isOpen(nil, time.Time{})
	}
	if a, ok := k.approved(record.CallComplete); ok {
		return isOpen(approvedBy(&a), a.Until)
	}
	how, _ := k.unapproved(record.CallComplete)
	return closedBy(reason.ApprovalNeeded,
		fact.Sayf("%v: nobody has approved this completion%s; GKE completes by itself from %v",
			fact.Set("APPROVAL", k.Policy.Approval), how, k.autoComplete()), time.Time{})
}

// approval is what a call of that kind relies on; nil when none is asked for.
func (k *Case) approval(kind record.CallKind) *record.Approval {
	if !k.Policy.Approval.Asks(kind) {
		return nil
	}
	a, ok := k.approved(kind)
	if !ok {
		return nil
	}
	return &a
}

// note says whose yes it is; nothing, when none was asked for.
func approvedBy(a *record.Approval) fact.Text {
	if a == nil {
		return nil
	}
	return fact.Sayf("approved by %s", record.Who(a.Said))
}

// zonalOnly says whether a zonal cluster's completion ignores COMPLETE_WINDOW.
func (k *Case) zonalOnly() bool { return k.Cluster.Zonal && k.Policy.ZonalComplete == ZonalWindow }

func askCompleteWindow(k *Case) Verdict {
	if k.zonalOnly() {
		return isOpen(fact.Sayf("%v: not asked", fact.Set("ZONAL_COMPLETE", ZonalWindow)), time.Time{})
	}
	v := k.calendar(k.Policy.CompleteWindow, reason.CompleteWindowClosed,
		fact.Set("COMPLETE_WINDOW", k.Policy.CompleteWindow))
	if k.Emergency && !v.Open {
		// It binds while one opens before expiry - 3 d.
		reserve := k.Cluster.Bundle.Oldest().Expires.Add(-EmergencyReserve)
		if v.OpensAt.IsZero() || v.OpensAt.After(reserve) {
			return isOpen(fact.Say("COMPLETE_WINDOW no longer opens before the expiry: not awaited"),
				time.Time{})
		}
	}
	return v
}

func askZonalWindow(k *Case) Verdict {
	if !k.Cluster.Zonal || k.Policy.ZonalComplete == ZonalPeople {
		return isOpen(nil, time.Time{})
	}
	return k.calendar(k.open(), reason.WindowClosed, k.zonalText())
}

// completeCalendar is when the calendars together allow a completion.
func (k *Case) completeCalendar() window.Schedule {
	of := []window.Schedule{k.Policy.Freezes}
	if !k.zonalOnly() {
		of = append(of, k.Policy.CompleteWindow)
	}
	if k.Cluster.Zonal && k.Policy.ZonalComplete != ZonalPeople {
		of = append(of, k.open())
	}
	return window.All(of...)
}

// unrecreated names the pools without proof of recreation. An Autopilot
// cluster may prove it by its control plane instead.
func (k *Case) unrecreated() []string {
	var names []string
	for _, p := range k.Cluster.Pools {
		if k.poolNeedsWork(p) {
			names = append(names, p.Name)
		}
	}
	if k.Cluster.Autopilot && (len(names) > 0 || len(k.Cluster.Pools) == 0) {
		if k.autopilotDone() {
			return nil
		}
		if len(names) == 0 {
			names = []string{"(Autopilot nodes)"}
		}
	}
	return names
}

// poolNeedsWork: a pool of the first read that showed two CAs needs proof; one
// that was absent there is new and has the new credentials.
func (k *Case) poolNeedsWork(p fleet.Pool) bool {
	r := k.Rotation
	if !slices.Contains(r.PoolsSeen, p.Name) && r.Pools[p.Name].VoidBefore.IsZero() {
		return false
	}
	return !r.Pools[p.Name].Done()
}

// autopilotDone: one full window has passed since our control-plane
// re-upgrade; GKE's answer to the completion then judges.
func (k *Case) autopilotDone() bool {
	w := k.Rotation.Pools[""]
	if !w.Done() {
		return false
	}
	at := k.fullWindowAfter(w.EndedAt)
	return !at.IsZero() && !k.Now.Before(at)
}

// fullWindow is what counts as one full window where the window never closes:
// GKE's least contiguous availability.
const fullWindow = 4 * time.Hour

// fullWindowAfter is when a whole window has passed since t; zero when none
// opens.
func (k *Case) fullWindowAfter(t time.Time) time.Time {
	s, ok := k.open().Next(t)
	if ok && s.End.Sub(later(s.Start, t)) < fullWindow && s.Start.Before(t) {
		s, ok = k.open().Next(s.End)
	}
	if !ok {
		return time.Time{}
	}
	end := later(s.Start, t).Add(fullWindow)
	if s.End.Before(end) {
		end = s.End
	}
	return end
}

// approved gives the approval that covers that call of the case.
func approved(f record.FleetDoc, kind record.CallKind, k *Case) (record.Approval, bool) {
	for _, a := range slices.Backward(f.Approvals) {
		if a.Kind != kind || a.Cluster != k.Cluster.Ref || a.ClusterID != k.Cluster.ID ||
			(!a.Until.IsZero() && !k.Now.Before(a.Until)) {
			continue
		}
		if kind == record.CallStart && a.CA == k.Cluster.Bundle.Oldest().Fingerprint {
			return a, true
		}
		if kind == record.CallComplete && k.Rotation != nil && a.Attempt == k.Rotation.AttemptID &&
			a.Entry == k.Rotation.Entries {
			return a, true
		}
	}
	return record.Approval{}, false
}
