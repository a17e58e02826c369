package policy

import (
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// Event is something worth telling, logged under its name. deploy/ filters on
// these names.
type Event struct {
	Name    string
	Reason  reason.Code
	Message fact.Text
}

// The events of one cluster; the functions below make them, and nothing else does.
const (
	EventPhaseChanged        = "phase_changed"
	EventHandedOver          = "handed_over"
	EventApprovalNeeded      = "approval_needed"
	EventRotationStuck       = "rotation_stuck"
	EventCAExpiring          = "ca_expiring"
	EventBlocked             = "blocked"
	EventForeignRotation     = "foreign_rotation"
	EventCompletedExternally = "completed_externally"
	EventActionFailed        = "action_failed"
)

// Tell adds what is worth telling of the decision.
func (d *Decision) Tell(e Event) { d.Events = append(d.Events, e) }

// PhaseChanged tells that the rotation has moved, or moves with the call that is sent
// next; the last change of all is that the attempt has ended.
func PhaseChanged[To record.Phase | record.ClosedAs](to To, why reason.Code, what fact.Text) Event {
	return Event{EventPhaseChanged, why, fact.Sayf("%s: %v", to, what)}
}

// handedOver: from now on people update their clients. Once when both CAs are in
// place, and again whenever the nodes are done.
func handedOver(why reason.Code, what fact.Text) Event { return Event{EventHandedOver, why, what} }

// approvalNeeded: a start or a completion waits for nothing but a person's yes.
// Of a completion it is told at hand-over and then once a day.
func approvalNeeded(what fact.Text) Event {
	return Event{EventApprovalNeeded, reason.ApprovalNeeded, what}
}

// rotationStuck: for longer than STUCK_AFTER no gate and no operation has explained
// that nothing moves. Once for each rotation, until somebody says retry.
func rotationStuck(r *record.Rotation, what fact.Text) Event {
	return Event{EventRotationStuck, reason.IsStuck,
		fact.Sayf("%s for %s without a reason: %v", r.Phase, fleet.Days(r.Unexplained), what)}
}

// expiresSoon: the CA ends within EMERGENCY_BEFORE_EXPIRY, and no rotation is on its
// way.
func expiresSoon(why reason.Code, ca fleet.CA) Event {
	return Event{EventCAExpiring, why, fact.Sayf("CA expires %s", fact.Day(ca.Expires))}
}

// Blocked tells that only people can go on, or that what GKE waits for none of has caught
// a rotation.
func Blocked(why reason.Code, what fact.Text) Event { return Event{EventBlocked, why, what} }

// foreignRotation: two CAs were found that nobody here asked for.
func foreignRotation() Event {
	return Event{EventForeignRotation, reason.ForeignRotation, sentence(reason.ForeignRotation)}
}

// completedExternally: the old CA is gone, and not by a call of ours.
func completedExternally(what fact.Text) Event {
	return Event{EventCompletedExternally, reason.ElsewhereCompleted, what}
}

// ActionFailed tells that GKE refused a call, failed at it, or did not answer clearly; or
// that the rotation counts as failed and against the breaker.
func ActionFailed(why reason.Code, what fact.Text) Event {
	return Event{EventActionFailed, why, what.Clip(record.MaxMessage)}
}
