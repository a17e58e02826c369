package policy

import (
	"fmt"
	"time"

	"gke-credential-rotator/policy/course"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// StartGates is what must be open before a rotation starts; [FleetGates] come after.
var StartGates = []Gate{
	{Name: "selected", Ask: askSelected, First: true},
	{Name: GateDue, Ask: askDue, First: true},
	{Name: "eligible", Ask: askEligible, First: true},
	{Name: "status", Ask: askStatus},
	{Name: "pools-healthy", Ask: askPoolsHealthy, Emergency: Lifted, Compromised: Lifted},
	{Name: "one-ca", Ask: askOneCA},
	{Name: "operation", Ask: askOperation, Fresh: true},
	{Name: GateHold, Ask: askHold},
	{Name: "label-hold", Ask: askLabels},
	{Name: GateTries, Ask: askTries},
	{Name: GateApproval, Ask: askStartApproval},
	{Name: GateMaintenance, Ask: askMaintenance, Emergency: Lifted, Compromised: Lifted},
	{Name: GateWindow, Ask: askWindow, Emergency: IfLate, Compromised: Lifted},
	{Name: "exclusion", Ask: askExclusion, Emergency: IfLate, Compromised: Lifted},
	{Name: "start-window", Ask: askStartWindow, Emergency: IfLate, Compromised: Lifted},
	{Name: "freeze", Ask: askFreeze, Emergency: IfLate, Compromised: Lifted},
	{Name: GateFit, Ask: askFit, Emergency: Reported, Compromised: Reported},
}

func askSelected(k *Case) Verdict {
	if why := k.Policy.Unselected(k.Cluster); len(why) > 0 {
		return closedBy(reason.NotSelected, why)
	}
	return isOpen(nil)
}

func askDue(k *Case) Verdict {
	if k.Due.Is {
		return isOpen(fact.Say(k.Due.Why))
	}
	if k.Due.At.IsZero() {
		return closedBy(reason.CAUnreadable, fact.Say(k.Cluster.Bundle.Problem))
	}
	return closedUntil(reason.NotDue, fact.Sayf("not due before %s", fact.Day(k.Due.At)), k.Due.At)
}

func askEligible(k *Case) Verdict {
	c := k.Cluster
	expires := c.Bundle.Oldest().Expires
	switch {
	case c.Bundle.Problem != "":
		return closedBy(reason.CAUnreadable, fact.Say(c.Bundle.Problem))
	case !k.Now.Before(expires):
		return closedBy(reason.CAExpired, fact.Sayf("CA expired %s", fact.Day(expires)))
	case c.Alpha:
		return closedBy(reason.AlphaCluster, fact.Say("alpha cluster"))
	case c.CustomerCA:
		return closedBy(reason.CustomerManagedCA, fact.Say("customer-managed CA"))
	case c.Partial:
		return closedBy(reason.ListedPartly, fact.Say("GKE listed it only partly"))
	}
	return openUntil(nil, expires)
}

func askStatus(k *Case) Verdict {
	c := k.Cluster
	if c.Status == fleet.Running {
		return isOpen(nil)
	}
	// Seven days before expiry GKE degrades a cluster for its CA alone.
	expires := c.Bundle.Oldest().Expires
	lastResort := expires.Add(-rules.LastResortBefore)
	if c.Status == fleet.Degraded && !k.Now.Before(lastResort) {
		return isOpen(fact.Say("DEGRADED counts as the CA's expiry"))
	}
	return Verdict{Reason: reason.StatusNotRunning, Message: fact.Sayf("status %s", c.State()),
		Changes: lastResort}
}

// askPoolsHealthy: a rotation recreates every node and cannot be taken back, so a pool
// that cannot make nodes is mended first.
func askPoolsHealthy(k *Case) Verdict {
	for _, p := range k.Cluster.Pools {
		if p.Status == fleet.Error || p.Status == fleet.RunningWithError {
			return closedBy(reason.PoolUnhealthy, fact.Sayf("%s is %s", fleet.PoolWords(p.Name), p.State()))
		}
	}
	return isOpen(k.reserved())
}

// reserved says which pools need room for their surge where there may be none: their
// reservation. Nobody can see from here how much is left.
func (k *Case) reserved() fact.Text {
	var pools []string
	for _, p := range k.Cluster.Pools {
		if n := p.Surge(); p.Reservation != "" && (p.BlueGreen || p.MaxSurge > 0) && p.Nodes > 0 {
			if !p.BlueGreen {
				n = p.MaxSurge
			}
			pools = append(pools, fmt.Sprintf("%s for %d more", fleet.PoolWords(p.Name)+" in "+p.Reservation,
				n))
		}
	}
	if len(pools) == 0 {
		return nil
	}
	return fact.Sayf("its reservation must have room meanwhile: %s", fact.Some(pools))
}

func askOneCA(k *Case) Verdict {
	if len(k.Cluster.Bundle.CAs) > 1 {
		return closedBy(reason.TwoCAs, fact.Say("two CAs are in place"))
	}
	return isOpen(nil)
}

func askOperation(k *Case) Verdict {
	if busy := k.Cluster.Busy(); busy != "" && k.Cluster.Runs() == "" {
		return closedBy(reason.OperationRunning, fact.Say(busy))
	} else if busy != "" {
		return closedBy(reason.OperationRunning, fact.Sayf("%s runs", busy))
	}
	return isOpen(nil)
}

func askTries(k *Case) Verdict {
	t := k.Doc.Tried(k.Cluster)
	if t == nil {
		return isOpen(nil)
	}
	if t.Count >= record.FailuresBeforePeople {
		return closedBy(reason.TriesExhausted,
			fact.Sayf("starting failed %d times: %s", t.Count, t.LastError))
	}
	if k.Now.Before(t.NotBefore) {
		return closedUntil(reason.BackingOff,
			fact.Sayf("the last start failed: %s; next try %v", t.LastError, t.NotBefore), t.NotBefore)
	}
	if t.Withdrawals > 0 && t.Run == k.Run && k.Run != "" {
		return closedBy(reason.CallWithdrawn,
			fact.Sayf("its start was taken back in this run: %s", t.LastError))
	}
	return isOpen(nil)
}

func askMaintenance(k *Case) Verdict {
	if problem := k.Cluster.Maintenance.Problem; problem != "" {
		return closedBy(reason.MaintenanceUnknown, fact.Say(problem))
	}
	return isOpen(nil)
}

func askWindow(k *Case) Verdict {
	w, text := window.Schedule(k.Policy.Window), fact.Set("WINDOW", k.Policy.Window)
	if own := k.Cluster.Maintenance.Window; own != nil {
		w, text = own, fact.Say(k.Cluster.Maintenance.Text)
	}
	return k.calendar(w, reason.WindowClosed, fact.Sayf("window %v", text))
}

// calendar asks a schedule for room for a call.
func (k *Case) calendar(s window.Schedule, reason reason.Code, what fact.Text) Verdict {
	open, changes := window.RoomAt(s, k.Now, record.Room)
	switch {
	case open:
		return openUntil(what, changes)
	case changes.IsZero():
		return closedBy(reason, fact.Sayf("%v does not open within 400 days", what))
	}
	return closedUntil(reason, what.Tailf(" opens %v", changes), changes)
}

// What is said of nearly every cluster.
var noExclusion, noFreeze = fact.Say("no exclusion"), fact.Say("no freeze")

func askExclusion(k *Case) Verdict {
	var blocking []window.Span
	name := ""
	for _, e := range k.Excluding() {
		if e.EndsWithSupport() && !k.Now.Add(record.Room).Before(e.Span.Start) {
			return closedBy(reason.Excluded, k.endless(e))
		}
		blocking = append(blocking, e.Stretch())
		if s := e.Stretch(); s.Contains(k.Now.Add(record.Room)) || s.Contains(k.Now) {
			name = e.Name
		}
	}
	v := k.calendar(window.Except(blocking...), reason.Excluded, noExclusion)
	if aside := k.SetAside(); v.Open && aside != nil {
		v.Message = aside
	}
	if !v.Open {
		v.Message = untilf(fact.Sayf("exclusion %q", name).Tailf(" blocks node work"), v.OpensAt)
	}
	return v
}

// endless says of an exclusion that stands until the version's end of support what ends
// it, and what happens otherwise.
func (k *Case) endless(e window.Exclusion) fact.Text {
	lifts := k.Cluster.Bundle.Oldest().Expires.Add(-k.Policy.EmergencyBeforeExpiry)
	otherwise := fact.Sayf("lifted only from %s, %v before the expiry", fact.Day(lifts),
		fact.Set("EMERGENCY_BEFORE_EXPIRY", fleet.Days(k.Policy.EmergencyBeforeExpiry)))
	switch {
	case k.Rotation != nil:
		return course.EndOfSupport(e)
	case !k.Due.ByExpiry:
		otherwise = fact.Sayf("never rotated for its age; %v", otherwise)
	}
	return fact.Sayf("%v; otherwise %v; %v", course.EndOfSupport(e), otherwise, k.EndsExclusion(e))
}

// untilf says until when, if that is known.
func untilf(what fact.Text, at time.Time) fact.Text {
	if at.IsZero() {
		return what
	}
	return what.Tailf(" until %v", at)
}

func askStartWindow(k *Case) Verdict {
	return k.calendar(k.Policy.StartWindow, reason.StartWindowClosed,
		fact.Set("START_WINDOW", k.Policy.StartWindow))
}

func askFreeze(k *Case) Verdict {
	v := k.calendar(k.Policy.Freezes, reason.Frozen, noFreeze)
	if !v.Open {
		v.Message = untilf(fact.Say("frozen"), v.OpensAt)
		if v.OpensAt.IsZero() {
			v.Message = fact.Sayf("frozen for more than %s by %v", fleet.Days(window.Horizon),
				fact.Set("FREEZES", k.Policy.Freezes))
		}
	}
	return v
}

// askFit asks whether a rotation that starts at the next opening ends by us: before GKE
// completes it, and before the expiry.
func askFit(k *Case) Verdict {
	start, changes := k.NextOpening(k.Now)
	if start.IsZero() {
		for _, e := range k.Excluding() {
			if e.EndsWithSupport() {
				return closedBy(reason.Excluded, k.endless(e))
			}
		}
		return closedBy(reason.DoesNotFit, k.NeverOpen())
	}
	f := k.Forecast(start)
	switch {
	case f.Fits():
		return openUntil(fact.Sayf("nodes done about %v, completion about %v%v", f.Likely.NodesDone, f.Likely.Completed,
			k.narrow(f)), changes)
	case k.Policy.Fit == rules.FitReport:
		return openUntil(fact.Sayf("%v: GKE completes it from %v, before we can: %v", fact.Set("FIT", k.Policy.Fit), f.GKE,
			k.Misfit(f)), changes)
	}
	v := closedBy(reason.DoesNotFit, k.Misfit(f))
	v.Changes = changes
	if at, ok := k.NextFit(); ok {
		v.OpensAt = at
		v.Message = fact.Sayf("%v; a start on %v would fit", v.Message, at)
		return v
	}
	switch needed := k.Remedies(); len(needed) {
	case 0:
		v.Message = v.Message.Tailf("; nothing that may be set makes it fit")
	default:
		v.Message = fact.Sayf("%v; it fits with %v", v.Message, needed[0].Text)
		for _, r := range needed[1:] {
			v.Message = fact.Sayf("%v and %v", v.Message, r.Text)
		}
	}
	return v
}

// narrow says what goes on after the window, or nearly does.
func (k *Case) narrow(f course.Forecast) (what fact.Text) {
	for _, w := range f.Work {
		switch {
		case w.Overruns():
			return fact.Sayf("; our work on pool %q goes on after the window closes %v, to about %v, at worst %v", w.Pool,
				w.Closes, w.Likely, w.Late)
		case w.Tight() && what == nil:
			what = fact.Sayf("; tight: GKE's work on pool %q ends about %v, and would pause when the window closes %v",
				w.Pool, w.Likely, w.Closes)
		}
	}
	return what
}
