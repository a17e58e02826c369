package policy

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Action is what a run does for one cluster.
type Action string

// The actions.
const (
	None        Action = "none"         // nothing to do
	Wait        Action = "wait"         // something to do, not now
	Start       Action = "start"        // start the rotation
	Recreate    Action = "recreate"     // recreate node pools
	Complete    Action = "complete"     // complete the rotation
	Update      Action = "update"       // only the store changes
	NeedsAction Action = "needs-action" // only people can go on
)

// Sends says whether the action is a call that changes the cluster.
func (a Action) Sends() bool { return a == Start || a == Recreate || a == Complete }

// Decision is what one run does for one cluster and why. plan prints it, run
// carries it out: both hold the same value.
type Decision struct {
	Cluster fleet.Cluster
	Phase   record.Phase // after this decision; "" when idle
	Action  Action
	Pools   []string // recreate: which; [""] is the control plane (Autopilot)
	Reason  reason.Code
	Message fact.Text
	// On is the cluster to act upon, where that is another one.
	On    fleet.Ref
	Gates []Verdict

	Due  rules.Due
	Wave string
	wave int // its number
	// Pending is since when it is due and not verified, and so keeps later waves shut;
	// zero: it does not.
	Pending     time.Time
	Emergency   bool
	Compromised bool

	WindowOpen bool
	NextWindow *window.Span
	// NextChange: before it, with unchanged inputs, the decision does not
	// change. Zero: no passing of time changes it.
	NextChange time.Time

	// Rotation is the record as it must be stored, before acting; nil when
	// there is none. Write says that it differs from what is stored.
	Rotation *record.Rotation
	Write    bool
	// Close says that the attempt ends; Rotation is then what is kept.
	Close    record.ClosedAs
	Findings []string
	// Slot says what becomes of the cluster's slot with this write.
	Slot   SlotChange
	Events []Event
	// Taken are people's requests that this write carries out.
	Taken []record.Request
	// Approved is the approval that the call relies on.
	Approved *record.Approval
	// WaveOpened is who opened the wave that a start would have waited for.
	WaveOpened *record.Said
	// Tried is what came of the cluster's last starts; nil: nothing.
	Tried *record.Try
	// OnGKE is what it waits for that GKE does beside the rotation; nil: nothing.
	OnGKE *record.GKEWork
	// InForce is the policy that a call is decided by.
	InForce *record.InForce
}

// set says what is done, and why.
func (d *Decision) set(action Action, why reason.Code, message fact.Text) {
	d.Action, d.Reason, d.Message = action, why, message
}

// SlotChange is what a write does to the cluster's slot.
type SlotChange string

// The changes of a slot.
const (
	SlotKeep    SlotChange = ""
	SlotTake    SlotChange = "take"
	SlotRelease SlotChange = "release"
)

// Verdict is what one gate says.
type Verdict struct {
	Gate    string
	Open    bool
	Lifted  bool // closed, but not binding at this moment
	Reason  reason.Code
	Message fact.Text
	On      fleet.Ref // the cluster to act upon, where that is another one
	Lasting bool      // of a wave: people must end it, though time may lift it at last
	// OpensAt is when it may open; zero: not known, or somebody must act.
	OpensAt time.Time
	// Changes is when passing time alone may change this verdict; zero: never.
	Changes time.Time
}

// ActOn is the cluster that a person acts upon to let this one go on.
func (d Decision) ActOn() fleet.Ref {
	if d.On.IsZero() {
		return d.Cluster.Ref
	}
	return d.On
}

// ShutOut is what keeps the cluster's wave shut, where people must end it.
func (d Decision) ShutOut() (Verdict, bool) {
	i := slices.IndexFunc(d.Gates, func(v Verdict) bool { return v.Lasting })
	if i < 0 {
		return Verdict{}, false
	}
	return d.Gates[i], true
}

// OftenWithdrawn says that the cluster's calls were taken back too often to be
// an accident; nil: they were not.
func (d Decision) OftenWithdrawn() fact.Text {
	switch {
	case d.Rotation != nil:
		return d.Rotation.OftenWithdrawn()
	case d.Tried != nil:
		return d.Tried.OftenWithdrawn()
	}
	return nil
}
