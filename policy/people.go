package policy

import (
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

func askHold(k *Case) Verdict {
	holds := k.Doc.Held(k.Cluster, k.Now)
	if len(holds) == 0 {
		return isOpen(nil)
	}
	v := closedUntil(reason.Held, HeldBy(holds), holds[0].Until)
	v.Changes = soonestEnd(holds)
	return v
}

// soonestEnd is when the first of the holds ends by itself; zero: none does.
func soonestEnd(holds []record.Hold) time.Time {
	var at time.Time
	for _, h := range holds {
		at = window.Soonest(at, h.Until)
	}
	return at
}

// HeldBy says who holds, why, until when, and by which id each hold is ended.
func HeldBy(holds []record.Hold) fact.Text {
	var said fact.Text
	for i, h := range holds {
		by := h.Line()
		switch {
		case i == 0:
			said = fact.Sayf("held by %s", by)
		case i < fact.Few:
			said = said.Tailf("; and by %s", by)
		default:
			return said.Tailf("; and by %d more", len(holds)-i)
		}
		if !h.Until.IsZero() {
			said = said.Tailf(", until %v", h.Until)
		}
		said = said.Tailf(" (hold %s)", h.ID)
	}
	return said
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
	return len(k.Doc.Held(k.Cluster, k.Now)) > 0 || !askLabels(k).Open
}

// holdsEnd is when the first hold on the cluster runs out, in so far as one does.
func (k *Case) holdsEnd() time.Time {
	return window.Soonest(soonestEnd(k.Doc.Held(k.Cluster, k.Now)), askLabels(k).Changes)
}

func askStartApproval(k *Case) Verdict {
	return k.askApproval(record.CallStart, "start", StartMeans(k))
}

func askCompleteApproval(k *Case) Verdict {
	return k.askApproval(record.CallComplete, "completion",
		fact.Sayf("%v; GKE may complete by itself from %v", CompletionMeans(*k.Rotation), k.AutoComplete()))
}

// CompletionMeans says what a yes to the completion ends, and for whom.
func CompletionMeans(r record.Rotation) fact.Text {
	endpoint := ""
	if old := r.Baseline.Endpoint; old != "" && old != r.Endpoint {
		endpoint = ", and endpoint " + old
	}
	return fact.Sayf("it ends CA %s with its tokens and client certificates%s, for every client that does not know CA %s",
		r.Baseline.CA.Fingerprint.Short(), endpoint, r.New.Fingerprint.Short())
}

// StartMeans says what a yes to the start begins, and what ends in its course.
func StartMeans(k *Case) fact.Text {
	after := fact.Sayf("%v after", fact.Set("SOAK", fleet.Days(k.Policy.Soak)))
	if k.Emergency || k.Compromised {
		after = fact.Say("sooner than SOAK after")
	}
	return fact.Sayf("it recreates every node and ends CA %s, %v clients were handed the new one",
		k.Cluster.Bundle.Oldest().Fingerprint.Short(), after)
}

// askApproval asks for a person's yes to a call of that kind, called what; means is
// what the yes leads to.
func (k *Case) askApproval(kind record.CallKind, what string, means fact.Text) Verdict {
	if !k.Policy.Approval.Asks(kind) {
		return isOpen(nil)
	}
	if a, ok := k.approved(kind); ok {
		return openUntil(approvedBy(&a), a.Until)
	}
	how, changes := k.Policy.HowToApprove(kind, k.Cluster, k.Rotation)
	nobody := fact.Sayf("%v: nobody has approved this %s", fact.Set("APPROVAL", k.Policy.Approval), what).
		Tailf("; whoever may run this job can%s; %v", how, means)
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

// isFor says whether the yes is to this very start or completion, and still good. One
// that was said when the cluster could not be read is bound by the next run's look.
func (k *Case) isFor(a *record.Approval) bool {
	switch {
	case a.Over(k.Now) || a.ClusterID != "" && a.ClusterID != k.Cluster.ID:
		return false
	case a.Kind == record.CallStart:
		return a.CA == "" || a.CA == k.Cluster.Bundle.Oldest().Fingerprint
	}
	return k.Rotation != nil && a.Attempt == k.Rotation.AttemptID && a.Entry == k.Rotation.Entries
}

// approved gives the approval that a call of that kind can rely on: by command, the longest,
// else by label.
func (k *Case) approved(kind record.CallKind) (record.Approval, bool) {
	var best *record.Approval
	for i := range k.Doc.Approvals {
		a := &k.Doc.Approvals[i]
		if a.Kind == kind && a.Cluster == k.Cluster.Ref && k.isFor(a) && (best == nil || a.Outlasts(*best)) {
			best = a
		}
	}
	if best != nil {
		return *best, true
	}
	return k.Policy.ApprovedByLabel(kind, k.Cluster, k.Rotation, k.Now, k.Run)
}
