// Package rules holds what a deployment wants, and what the owners of one cluster
// want beside it: the settings as values, the labels, and the distances in time that
// all rules keep. It asks nothing about other clusters and decides no step.
package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

// Owners steer with labels on their own cluster, as gcloud and Terraform set
// them. What a label can do is decided here, and nowhere else:
//
//  1. A stop wins. A hold by command (on the cluster or on all) and a hold by
//     label bind side by side, also in an emergency and a compromise; the call
//     waits until the last of them is gone.
//  2. A label lifts nothing: no hold of a person, no gate of the policy. Nor
//     does a command lift a label: release says that it still holds.
//  3. Where APPROVAL asks for a yes, one by command or one by label is enough;
//     both are bound to the same things and become void with them.
//  4. What cannot be understood stops and does not approve.
//
// Labels are read with the cluster, so they are looked at again on the fresh
// read right before every call.
const (
	// LabelHold holds the cluster until the label is removed; the value is
	// free: who, or why.
	LabelHold = "rotator-hold"
	// LabelHoldUntil holds the cluster through a day, in UTC: 2026-12-24.
	LabelHoldUntil = "rotator-hold-until"
	// LabelApprove approves one completion, complete-ATTEMPT-ENTRY, or one
	// start, start-CA-DAY: through that day in UTC.
	LabelApprove = "rotator-approve"
)

// OwnerLabels says what labels on a cluster may do. Holding is safe in anybody's
// hands. Approving gives nobody a new power over the cluster: whoever may label
// it (container.clusters.update) may also complete its rotation himself. But a
// label names no person, so it is a choice.
type OwnerLabels string

// The choices of OWNER_LABELS.
const (
	OwnerLabelsOff  OwnerLabels = "off"
	OwnerLabelsHold OwnerLabels = "hold"
	OwnerLabelsBoth OwnerLabels = "both" // hold and approve
)

// labelHold is one label that holds.
type labelHold struct {
	label string    // as it stands on the cluster
	until time.Time // zero: until it is removed
	wrong string    // what is wrong with it, and what to write
}

// on adds the label to what is said already, and until when it holds.
func (h labelHold) on(said fact.Text) fact.Text {
	if len(said) == 0 {
		said = fact.Sayf("held by its label %s", h.label)
	} else {
		said = said.Tailf("; and by %s", h.label)
	}
	switch {
	case h.wrong != "":
		return said.Tailf(", %s", h.wrong)
	case h.until.IsZero():
		return said.Tailf(", until it is removed")
	}
	return said.Tailf(", until %v", h.until)
}

// labelHolds reads the labels that hold, or have held, in the order of their
// keys. A key that is nearly one of ours holds: somebody meant to.
func labelHolds(labels map[string]string) []labelHold {
	var holds []labelHold
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if !strings.HasPrefix(strings.ReplaceAll(key, "_", "-"), LabelHold) {
			continue
		}
		h := labelHold{label: labelText(key, labels[key])}
		switch key {
		case LabelHold:
		case LabelHoldUntil:
			end, ok := window.EndOf(labels[key])
			if h.until = end; !ok {
				h.wrong = "which is no date: write a day, e.g. " + LabelHoldUntil + "=2026-12-24, or remove it"
			}
		default:
			h.wrong = "which means nothing: write " + LabelHold + " or " + LabelHoldUntil + ", or remove it"
		}
		holds = append(holds, h)
	}
	return holds
}

// labelText writes a label as gcloud takes it. What GKE does not allow in one
// comes only out of files.
func labelText(key, value string) string {
	const most = 63
	printable := func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError { // also what is no UTF-8
			return '?'
		}
		return r
	}
	text := fact.Clip(key, most)
	if value != "" {
		text += "=" + fact.Clip(value, most)
	}
	return strings.Map(printable, text)
}

// HeldByLabels says whether the owners' labels hold the cluster at now, until when
// (zero: until they are removed) and in which words. What does not hold is told, too.
func (p *Policy) HeldByLabels(c fleet.Cluster, now time.Time) (held bool, until time.Time, said fact.Text) {
	holds := labelHolds(c.Labels)
	if len(holds) == 0 {
		return false, time.Time{}, nil
	}
	if p.OwnerLabels == OwnerLabelsOff {
		return false, time.Time{}, fact.Sayf("OWNER_LABELS=%s, so its label does not count: %s", OwnerLabelsOff,
			holds[0].label)
	}
	endless := false
	for _, h := range holds {
		if !h.until.IsZero() && !now.Before(h.until) {
			continue
		}
		said = h.on(said)
		until, endless = h.until, endless || h.until.IsZero()
	}
	switch {
	case len(said) == 0:
		return false, time.Time{}, fact.Sayf("label %s is over", holds[0].label)
	case endless:
		until = time.Time{}
	}
	return true, until, said.Clip(record.MaxMessage)
}

// LabelHold says which labels hold the cluster at now, in words; nil: none.
func (p *Policy) LabelHold(c fleet.Cluster, now time.Time) fact.Text {
	if held, _, said := p.HeldByLabels(c, now); held {
		return said
	}
	return nil
}

// ApprovedByLabel gives the approval of that kind of call that the cluster's label
// is; r is nil while it is idle.
func (p *Policy) ApprovedByLabel(kind record.CallKind, c fleet.Cluster, r *record.Rotation, now time.Time,
	run string) (record.Approval, bool) {
	a := record.Approval{Kind: kind, Cluster: c.Ref, ClusterID: c.ID}
	value, ok := c.Labels[LabelApprove]
	if !ok || p.OwnerLabels != OwnerLabelsBoth {
		return a, false
	}
	a.Said = record.Said{By: "label " + LabelApprove + " on the cluster", Reason: labelText(LabelApprove, value),
		At: now, Run: run}
	if kind == record.CallComplete {
		if r == nil || value != completeLabel(*r) {
			return a, false
		}
		a.Attempt, a.Entry = r.AttemptID, r.Entries
		return a, true
	}
	if a.Until, ok = startLabelDay(c, value); !ok {
		return a, false
	}
	a.CA = c.Bundle.Oldest().Fingerprint
	return a, now.Before(a.Until) && !now.Before(startLabelFrom(a.Until))
}

// startLabelFrom is since when a label may approve a start until then: no yes
// to a start is older than StartApprovalLasts, and a label does not say since
// when it is there.
func startLabelFrom(until time.Time) time.Time {
	return until.Add(-StartApprovalLasts - 24*time.Hour)
}

// labelLetters is how much of an attempt's id and of a fingerprint a label
// holds: enough that no other is meant.
const labelLetters = 16

// completeLabel is the value that approves the completion which the rotation
// waits for: of this attempt, and of this entry into updating-clients.
func completeLabel(r record.Rotation) string {
	return fmt.Sprintf("complete-%s-%d", fact.Clip(r.AttemptID, labelLetters), r.Entries)
}

// startLabel is how the value begins that approves the replacement of this CA;
// the last day on which it counts follows.
func startLabel(c fleet.Cluster) string {
	return "start-" + fact.Clip(string(c.Bundle.Oldest().Fingerprint), labelLetters) + "-"
}

// startLabelDay is when the approval of a start is over that the value gives.
func startLabelDay(c fleet.Cluster, value string) (until time.Time, ok bool) {
	day, ok := strings.CutPrefix(value, startLabel(c))
	if !ok {
		return time.Time{}, false
	}
	return window.EndOf(day)
}

// HowToApprove tells how to approve by label, and why the label that is there
// does not; changes is when passing time alone makes it count.
func (p *Policy) HowToApprove(kind record.CallKind, c fleet.Cluster,
	r *record.Rotation) (hint string, changes time.Time) {
	value, given := c.Labels[LabelApprove]
	is := labelText(LabelApprove, value)
	switch {
	case p.OwnerLabels != OwnerLabelsBoth && given:
		return fmt.Sprintf("; its label %s does not count, for OWNER_LABELS=%s", is, p.OwnerLabels), changes
	case p.OwnerLabels != OwnerLabelsBoth:
		return "", changes
	}
	write := LabelApprove + "="
	if kind == record.CallComplete {
		write += completeLabel(*r)
	} else {
		write += startLabel(c) + "YYYY-MM-DD, its last day, at most " + fleet.Days(StartApprovalLasts) + " ahead"
		if until, ok := startLabelDay(c, value); ok {
			changes = startLabelFrom(until)
		}
	}
	if given {
		return fmt.Sprintf("; its label %s does not, but this would: %s", is, write), changes
	}
	return "; by label: " + write, changes
}
