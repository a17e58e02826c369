package policy

import (
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
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
	{Name: GateDelivery, Ask: askDelivery, Emergency: ByItself, Compromised: Lifted},
	{Name: GateSoak, Ask: askSoak, Emergency: ByItself, Compromised: ByItself},
	{Name: "promise", Ask: askPromise, Emergency: ByItself, Compromised: ByItself},
	{Name: GateApproval, Ask: askCompleteApproval},
	{Name: GateCompleteWindow, Ask: askCompleteWindow, Emergency: ByItself, Compromised: Lifted,
		Calendar: true},
	{Name: "zonal-window", Ask: askZonalWindow, Emergency: IfLate, Compromised: Lifted, Calendar: true},
	{Name: "freeze", Ask: askFreeze, Emergency: IfLate, Compromised: Lifted, Calendar: true},
}

func askManaged(k *Case) Verdict {
	if k.Rotation.Managed {
		return isOpen(nil)
	}
	if k.Rotation.ClosedBy != nil {
		return closedBy(reason.ClosedWatching, k.closedWatching())
	}
	return closedBy(reason.AdoptedWatching,
		fact.Sayf("started outside this tool; we only look. GKE may complete it from %v", k.AutoComplete()))
}

func askHealthy(k *Case) Verdict {
	if s := k.Cluster.Status; s != fleet.Running && s != fleet.Degraded && s != fleet.Reconciling {
		return closedBy(reason.StatusNotRunning, fact.Sayf("status %s", k.Cluster.State()))
	}
	return isOpen(nil)
}

func askSettled(k *Case) Verdict {
	if k.Rotation.Unsettled(k.Now) && !k.Fresh {
		at := k.Rotation.Call.SettlesAt()
		return closedUntil(reason.CallUnsettled,
			fact.Sayf("the last %s is settled from %v", k.Rotation.Call.Kind, at), at)
	}
	return isOpen(nil)
}

func askPoolsDone(k *Case) Verdict {
	if names := k.Unrecreated(); len(names) > 0 {
		return closedBy(reason.PoolsNotRecreated, fact.Sayf("not recreated: %s", fact.Some(names)))
	}
	return isOpen(nil)
}

func askCompleteTries(k *Case) Verdict {
	r := k.Rotation
	if k.Now.Before(r.NotBefore) {
		return closedUntil(reason.BackingOff,
			fact.Sayf("the last completion was refused or failed; next try %v", r.NotBefore), r.NotBefore)
	}
	if r.CompleteFailures >= 2 || r.Refusals >= record.FailuresBeforePeople {
		return closedBy(reason.TriesExhausted, fact.Say("completing failed too often"))
	}
	return isOpen(nil)
}

// askDelivery: the soak counts from when people have the hand-over; up to our last moment
// one that nobody has holds the completion up.
func askDelivery(k *Case) Verdict {
	r := k.Rotation
	if at := r.DeliveredAt(k.Now); !at.IsZero() || len(r.Delivery) == 0 || !k.Now.After(r.ToldAt()) {
		return isOpen(nil)
	}
	last, by := k.LastMoment()
	changes := last
	if len(r.Undelivered()) < len(r.Delivery) { // another has it
		changes = window.SoonestAfter(k.Now, last, r.ToldAt().Add(record.AwayLasts))
	}
	if !k.Now.Before(last) {
		return openUntil(fact.Sayf("%v; not awaited any longer, for %v", r.Waiting(), by), changes)
	}
	return Verdict{Reason: reason.HandOverWaits, Changes: changes, OpensAt: last,
		Message: fact.Sayf("%v; it is awaited until %v at the latest, for %v", r.Waiting(), last, by)}
}

func askSoak(k *Case) Verdict {
	over, why := k.SoakOver()
	if k.Now.Before(over) {
		return closedUntil(reason.SoakRuns, why.Tailf(" until %v", over), over)
	}
	return isOpen(why.Tailf(" over since %v", over))
}

func askCompleteWindow(k *Case) Verdict {
	if k.ZonalOnly() {
		return isOpen(fact.Sayf("%v: not asked", fact.Set("ZONAL_COMPLETE", rules.ZonalWindow)))
	}
	v := k.calendar(k.Policy.CompleteWindow, reason.CompleteWindowClosed,
		fact.Set("COMPLETE_WINDOW", k.Policy.CompleteWindow))
	if k.Emergency && !v.Open {
		// It binds while one opens before expiry - 3 d.
		reserve := k.Cluster.Bundle.Oldest().Expires.Add(-rules.EmergencyReserve)
		if v.OpensAt.IsZero() || v.OpensAt.After(reserve) {
			return isOpen(fact.Say("COMPLETE_WINDOW no longer opens before the expiry: not awaited"))
		}
	}
	return v
}

func askZonalWindow(k *Case) Verdict {
	if !k.Cluster.Zonal || k.Policy.ZonalComplete == rules.ZonalPeople {
		return isOpen(nil)
	}
	return k.calendar(k.Open(), reason.WindowClosed, k.ZonalText())
}

// askPromise: nothing ends before what the last hand-over told. An emergency keeps the
// promise until three days before the expiry, and at least four hours.
func askPromise(k *Case) Verdict {
	at, r := k.Rotation.Promised, k.Rotation
	if reserve := k.Cluster.Bundle.Oldest().Expires.Add(-rules.EmergencyReserve); k.Emergency &&
		at.After(reserve) {
		at = window.Later(reserve, window.Later(r.ToldAt(), r.DeliveredAt(k.Now)).Add(rules.EmergencySoak))
	}
	if k.Now.Before(at) {
		return closedUntil(reason.PromiseHolds, fact.Sayf("people were told: not before %v", at), at)
	}
	return isOpen(nil)
}
