package policy

import (
	"fmt"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

// StartGates is what must be open before a rotation starts.
var StartGates = []Gate{
	{Name: "selected", Ask: askSelected, First: true},
	{Name: "due", Ask: askDue, First: true},
	{Name: "eligible", Ask: askEligible, First: true},
	{Name: "status", Ask: askStatus},
	{Name: "one-ca", Ask: askOneCA},
	{Name: "operation", Ask: askOperation, Fresh: true},
	{Name: "hold", Ask: askHold},
	{Name: "label-hold", Ask: askLabels},
	{Name: "tries", Ask: askTries},
	{Name: "approval", Ask: askStartApproval},
	{Name: "maintenance", Ask: askMaintenance, Emergency: Lifted, Urgent: Lifted},
	{Name: "window", Ask: askWindow, Emergency: IfLate, Urgent: Lifted},
	{Name: "exclusion", Ask: askExclusion, Emergency: IfLate, Urgent: Lifted},
	{Name: "start-window", Ask: askStartWindow, Emergency: IfLate, Urgent: Lifted},
	{Name: "freeze", Ask: askFreeze, Emergency: IfLate, Urgent: Lifted},
	{Name: "fit", Ask: askFit, Emergency: Reported, Urgent: Reported},
	{Name: "breaker", Ask: askBreaker, Emergency: Reported, Urgent: Reported, Fleet: true},
	{Name: "wave", Ask: askWave, Emergency: IfLate, Urgent: Lifted, Fleet: true},
	{Name: "slot", Ask: askSlot, Fleet: true}, // has its own caps for emergencies
}

func askSelected(k *Case) Verdict {
	p, c := k.Policy, k.Cluster
	if len(p.Locations) > 0 && !c.Ref.In(p.Locations) {
		return shut(reason.NotSelected, "location "+c.Ref.Location+" is not in LOCATIONS", time.Time{})
	}
	if !p.Selector.Matches(c.Labels) {
		return shut(reason.NotSelected, "its labels do not match SELECTOR "+p.Selector.String(), time.Time{})
	}
	return isOpen("", time.Time{})
}

func askDue(k *Case) Verdict {
	if k.Due.Is {
		return isOpen(k.Due.Why, time.Time{})
	}
	if k.Due.At.IsZero() {
		return shut(reason.CAUnreadable, k.Cluster.Bundle.Problem, time.Time{})
	}
	return shut(reason.NotDue, "not due before "+day(k.Due.At), k.Due.At)
}

func askEligible(k *Case) Verdict {
	c := k.Cluster
	expires := c.Bundle.Oldest().Expires
	switch {
	case c.Bundle.Problem != "":
		return shut(reason.CAUnreadable, c.Bundle.Problem, time.Time{})
	case !k.Now.Before(expires):
		return shut(reason.CAExpired, "CA expired "+day(expires), time.Time{})
	case c.Alpha:
		return shut(reason.AlphaCluster, "alpha cluster", time.Time{})
	case c.CustomerCA:
		return shut(reason.CustomerManagedCA, "customer-managed CA", time.Time{})
	case c.Partial:
		return shut(reason.ListedPartly, "GKE listed it only partly", time.Time{})
	}
	return isOpen("", expires)
}

func askStatus(k *Case) Verdict {
	c := k.Cluster
	if c.Status == fleet.Running {
		return isOpen("", time.Time{})
	}
	// Seven days before expiry GKE degrades a cluster for its CA alone.
	expires := c.Bundle.Oldest().Expires
	lastResort := expires.Add(-LastResortBefore)
	if c.Status == fleet.Degraded && !k.Now.Before(lastResort) {
		return isOpen("DEGRADED counts as the CA's expiry", time.Time{})
	}
	return Verdict{Reason: reason.StatusNotRunning, Message: "status " + string(c.Status), Changes: lastResort}
}

func askOneCA(k *Case) Verdict {
	if len(k.Cluster.Bundle.CAs) > 1 {
		return shut(reason.TwoCAs, "two CAs are in place", time.Time{})
	}
	return isOpen("", time.Time{})
}

func askOperation(k *Case) Verdict {
	if busy := k.Cluster.Busy(); busy != "" {
		return shut(reason.OperationRunning, busy+" runs", time.Time{})
	}
	return isOpen("", time.Time{})
}

func askHold(k *Case) Verdict {
	h, ok := k.Doc.Held(k.Cluster.Ref, k.Now)
	if !ok {
		return isOpen("", time.Time{})
	}
	msg := "held by " + record.Who(h.Said)
	if h.Reason != "" {
		msg += ": " + h.Reason
	}
	if !h.Until.IsZero() {
		msg += ", until " + when(h.Until)
	}
	return shut(reason.Held, msg, h.Until)
}

func askTries(k *Case) Verdict {
	t := k.Doc.Tried(k.Cluster)
	if t == nil {
		return isOpen("", time.Time{})
	}
	if t.Count >= record.FailuresBeforePeople {
		return shut(reason.TriesExhausted, fmt.Sprintf("starting failed %d times: %s", t.Count, t.LastError), time.Time{})
	}
	if k.Now.Before(t.NotBefore) {
		return shut(reason.BackingOff, "the last start failed: "+t.LastError+"; next try "+when(t.NotBefore), t.NotBefore)
	}
	if t.Withdrawals > 0 && t.Run == k.Run && k.Run != "" {
		return shut(reason.CallWithdrawn, "its start was taken back in this run: "+t.LastError, time.Time{})
	}
	return isOpen("", time.Time{})
}

func askMaintenance(k *Case) Verdict {
	if problem := k.Cluster.Maintenance.Problem; problem != "" {
		return shut(reason.MaintenanceUnknown, problem, time.Time{})
	}
	return isOpen("", time.Time{})
}

func askWindow(k *Case) Verdict {
	w, text := window.Schedule(k.Policy.Window), "WINDOW="+k.Policy.Window.String()
	if own := k.Cluster.Maintenance.Window; own != nil {
		w, text = own, k.Cluster.Maintenance.Text
	}
	return k.calendar(w, reason.WindowClosed, "window "+text)
}

// calendar asks a schedule for room for a call.
func (k *Case) calendar(s window.Schedule, reason reason.Code, what string) Verdict {
	open, changes := window.RoomAt(s, k.Now, record.Room)
	switch {
	case open:
		return isOpen(what, changes)
	case changes.IsZero():
		return shut(reason, what+" does not open within 400 days", time.Time{})
	}
	return shut(reason, what+" opens "+when(changes), changes)
}

func askExclusion(k *Case) Verdict {
	var blocking []window.Span
	name := ""
	for _, e := range k.Cluster.Maintenance.Exclusions {
		if !e.Blocks() {
			continue
		}
		blocking = append(blocking, e.Stretch())
		if s := e.Stretch(); s.Contains(k.Now.Add(record.Room)) || s.Contains(k.Now) {
			name = e.Name
		}
	}
	v := k.calendar(window.Except(blocking...), reason.Excluded, "no exclusion")
	if !v.Open {
		v.Message = fmt.Sprintf("exclusion %q blocks node work", name)
		if !v.OpensAt.IsZero() {
			v.Message += " until " + when(v.OpensAt)
		}
	}
	return v
}

func askStartWindow(k *Case) Verdict {
	return k.calendar(k.Policy.StartWindow, reason.StartWindowClosed, "START_WINDOW="+k.Policy.StartWindow.String())
}

func askFreeze(k *Case) Verdict {
	v := k.calendar(k.Policy.Freezes, reason.Frozen, "no freeze")
	if !v.Open {
		v.Message = "frozen until " + when(v.OpensAt)
	}
	return v
}

func askStartApproval(k *Case) Verdict {
	if !k.Policy.Approval.Asks(record.CallStart) {
		return isOpen("", time.Time{})
	}
	if a, ok := k.approved(record.CallStart); ok {
		return isOpen("approved by "+record.Who(a.Said), a.Until)
	}
	how, changes := k.unapproved(record.CallStart)
	return Verdict{Reason: reason.ApprovalNeeded, Message: fmt.Sprintf("APPROVAL=%s: nobody has approved this start%s", k.Policy.Approval, how), Changes: changes}
}

func askBreaker(k *Case) Verdict {
	if f, open := Breaker(*k.Doc, k.Policy); open {
		return shut(reason.BreakerOpen, fmt.Sprintf("%d failed or stuck rotations reach MAX_FAILED=%d, the last %s", len(k.Doc.Failures), k.Policy.MaxFailed, f.Cluster), time.Time{})
	}
	return isOpen("", time.Time{})
}
