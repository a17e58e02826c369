package record

import (
	"time"
)

// CallKind is what a call asks of GKE.
type CallKind string

// The kinds of call.
const (
	CallStart    CallKind = "start"
	CallComplete CallKind = "complete"
	CallRecreate CallKind = "recreate"
)

// CallState is what is known of a call.
type CallState string

// The states of a call. Only the process that wrote an intent may send it.
const (
	Intended  CallState = "intended"
	Accepted  CallState = "accepted"
	Refused   CallState = "refused"
	Unclear   CallState = "unclear"
	Withdrawn CallState = "withdrawn" // never sent
	Settled   CallState = "settled"
)

// Call is one mutating call, stored before it is sent.
type Call struct {
	ID         string    `json:"id"` // random, made by the process that may send it
	Kind       CallKind  `json:"kind"`
	Pool       string    `json:"pool,omitempty"`
	IntentAt   time.Time `json:"intentAt"`
	Run        string    `json:"run"`
	State      CallState `json:"state"`
	Operation  string    `json:"operation,omitempty"`
	AnsweredAt time.Time `json:"answeredAt,omitzero"`
	Refusal    Refusal   `json:"refusal,omitempty"`
	RawError   string    `json:"rawError,omitempty"`
}

// SettlesAt is when a read may begin for which absence proves anything.
func (c Call) SettlesAt() time.Time { return c.IntentAt.Add(SettleAfter) }

// MaySettle says whether a read begun at t comes late enough for absence to
// prove anything. An intent dated in the reader's future is unsettled.
func (c Call) MaySettle(t time.Time) bool { return !t.Before(c.SettlesAt()) }

// MayHaveTaken says whether the call may have had its effect: it was sent, and
// not refused. A request may be delivered twice, and then the second is refused
// for what the first did. So after a clean read under the intent a refusal
// because another operation runs, a start's because one is under way, and a
// completion's because none is, say that it may have been ours.
func (c Call) MayHaveTaken() bool {
	if c.State != Refused {
		return c.Sent()
	}
	switch c.Refusal {
	case OtherOperation:
		return true
	case AlreadyRotating:
		return c.Kind == CallStart
	case NotRotating:
		return c.Kind == CallComplete
	}
	return false
}

// Sent says whether the call may have reached GKE.
func (c Call) Sent() bool { return c.State != Withdrawn }
