package policy

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

func askHold(k *Case) Verdict {
	h, ok := k.Doc.Held(k.Cluster.Ref, k.Now)
	if !ok {
		return isOpen(nil)
	}
	by := fact.Sayf("held by %s", record.Who(h.Said))
	if h.Reason != "" {
		by = fact.Sayf("%v: %s", by, h.Reason)
	}
	if !h.Until.IsZero() {
		by = by.Tailf(", until %v", h.Until)
	}
	return closedUntil(reason.Held, by, h.Until)
}

// askLabels: the owners hold their cluster.
func askLabels(k *Case) Verdict {
	held, until, said := k.Policy.HeldByLabels(k.Cluster, k.Now)
	if !held {
		return isOpen(said)
	}
	return closedUntil(reason.HeldByLabel, said, until)
}

// held says whether anybody holds the cluster now, by command or by label.
func (k *Case) held() bool {
	_, byCommand := k.Doc.Held(k.Cluster.Ref, k.Now)
	return byCommand || !askLabels(k).Open
}

// holdsEnd is when holds on the cluster run out, in so far as they do.
func (k *Case) holdsEnd() time.Time {
	h, _ := k.Doc.Held(k.Cluster.Ref, k.Now)
	return window.Soonest(h.Until, askLabels(k).Changes)
}

func askStartApproval(k *Case) Verdict { return k.askApproval(record.CallStart, "start", nil) }

func askCompleteApproval(k *Case) Verdict {
	return k.askApproval(record.CallComplete, "completion",
		fact.Sayf("; GKE may complete by itself from %v", k.AutoComplete()))
}

// askApproval asks for a person's yes to a call of that kind, called what; otherwise
// is what becomes of it without one.
func (k *Case) askApproval(kind record.CallKind, what string, otherwise fact.Text) Verdict {
	if !k.Policy.Approval.Asks(kind) {
		return isOpen(nil)
	}
	if a, ok := k.approved(kind); ok {
		return openUntil(approvedBy(&a), a.Until)
	}
	how, changes := k.Policy.HowToApprove(kind, k.Cluster, k.Rotation)
	nobody := fact.Sayf("%v: nobody has approved this %s%s%v", fact.Set("APPROVAL", k.Policy.Approval), what,
		how, otherwise)
	return Verdict{Reason: reason.ApprovalNeeded, Message: nobody, Changes: changes}
}

// approval is what a call of that kind relies on; nil when none is asked for.
func (k *Case) approval(kind record.CallKind) *record.Approval {
	if a, ok := k.approved(kind); ok && k.Policy.Approval.Asks(kind) {
		return &a
	}
	return nil
}

// approvedBy says whose yes it is; nothing, when none was asked for.
func approvedBy(a *record.Approval) fact.Text {
	if a == nil {
		return nil
	}
	return fact.Sayf("approved by %s", record.Who(a.Said))
}

// approved gives the approval that a call of that kind can rely on: by command,
// else by label.
func (k *Case) approved(kind record.CallKind) (record.Approval, bool) {
	for _, a := range slices.Backward(k.Doc.Approvals) {
		if a.Kind != kind || a.Cluster != k.Cluster.Ref || a.ClusterID != k.Cluster.ID || a.Over(k.Now) {
			continue
		}
		if kind == record.CallStart && a.CA == k.Cluster.Bundle.Oldest().Fingerprint ||
			kind == record.CallComplete && k.Rotation != nil && a.Attempt == k.Rotation.AttemptID &&
				a.Entry == k.Rotation.Entries {
			return a, true
		}
	}
	return k.Policy.ApprovedByLabel(kind, k.Cluster, k.Rotation, k.Now, k.Run)
}
