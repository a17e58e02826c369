// Package notice is what people are told: of what a decision does, of what stands, and
// what a hand-over asks of them. It decides nothing.
package notice

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// notice makes one. occasion is what is never the same twice: the version of the
// document that the write replaces, so that of two writes for one occasion only
// one can succeed.
func notice(kind record.NoticeKind, ref fleet.Ref, reason reason.Code, message fact.Text, run string,
	now time.Time, occasion ...string) record.Notice {
	n := record.Notice{Kind: kind, Cluster: ref, At: now, Run: run, Reason: reason,
		Message: message.Clip(record.MaxMessage)}
	sum := sha256.Sum256([]byte(strings.Join(append([]string{string(kind), ref.String(), string(reason)},
		occasion...), "\n")))
	n.ID = hex.EncodeToString(sum[:16])
	return n
}

// ofEvent is what tells of an event, beside a hand-over.
var ofEvent = map[string]record.NoticeKind{
	policy.EventForeignRotation:     record.NoticeForeign,
	policy.EventCompletedExternally: record.NoticeCompletedExternally,
	policy.EventBlocked:             record.NoticeBlocked,
	policy.EventRotationStuck:       record.NoticeStuck,
}

// Of gives what people are told with the write of this decision, in order.
// before is the rotation as it was stored until now; nil: there was none.
func Of(p *rules.Policy, before *record.Rotation, d policy.Decision, run string,
	now time.Time) []record.Notice {
	r := d.Rotation
	if r == nil {
		return nil
	}
	var out []record.Notice
	tell := func(kind record.NoticeKind, reason reason.Code, message fact.Text, moment record.HandOverMoment) {
		n := notice(kind, r.Cluster, reason, message, run, now, r.ClusterID, r.AttemptID, r.Version)
		n.Phase, n.Seq = d.Phase, int64(len(out))
		if h, ok := HandOverOf(p, d, now, moment); ok && moment != "" {
			n.HandOver, n.Expected = &h, h.Completes
		}
		out = append(out, n)
	}
	for _, e := range d.Events {
		kind, told := ofEvent[e.Name]
		switch {
		case e.Name == policy.EventHandedOver && e.Reason == reason.NodesDone:
			tell(record.NoticeNodesDone, e.Reason, e.Message, record.AtNodesDone)
		case e.Name == policy.EventHandedOver && e.Reason == reason.Loosened:
			tell(record.NoticeHandedOver, e.Reason, e.Message, record.AtLoosened)
		case e.Name == policy.EventHandedOver:
			tell(record.NoticeHandedOver, e.Reason, e.Message, record.AtStartDone)
		case told && e.Reason != reason.HandOverWaits: // who waits cannot hear it; the others have the hand-over
			tell(kind, e.Reason, e.Message, "")
		}
	}
	if r.Failed != "" && (before == nil || before.AttemptID != r.AttemptID || before.Failed == "") &&
		r.Origin != record.Foreign {
		tell(record.NoticeStuck, reason.Code(r.Failed), failure(d), "")
	}
	switch {
	case d.Close.Verified():
		tell(record.NoticeCompleted, d.Reason, fact.Join(d.Message, fact.Say(strings.Join(d.Findings, "; "))), "")
	case d.Close == record.Lost:
		tell(record.NoticeBlocked, d.Reason, d.Message, "")
	}
	return out
}

// failure says what failed, in GKE's words where there are any.
func failure(d policy.Decision) fact.Text {
	reason := reason.Code(d.Rotation.Failed)
	for _, e := range d.Events {
		if e.Name == policy.EventActionFailed && e.Reason == reason {
			return e.Message
		}
	}
	return fact.Say(reason.Info().Sentence)
}
