package policy

import "time"

// Notice is one thing that people are told outside the log. It is stored in the
// same write as what it tells of, and kept until every receiver has it: at least
// once, and never before it is true.
type Notice struct {
	// ID is unique and stays the same when it is sent again, so that a receiver
	// can drop what it has.
	ID   string     `json:"id"`
	Kind NoticeKind `json:"kind"`
	// Cluster is zero when the whole fleet is meant.
	Cluster Ref       `json:"cluster,omitzero"`
	At      time.Time `json:"at"`
	// Seq orders the notices of one cluster.
	Seq     int64  `json:"seq"`
	Run     string `json:"run"`
	Phase   Phase  `json:"phase,omitempty"`
	Reason  Reason `json:"reason,omitempty"`
	Message string `json:"message"`
	// Next is what people must do, or "".
	Next string `json:"next,omitempty"`
	// Expected is the moment that is announced: of the start, of the completion.
	Expected time.Time `json:"expected,omitzero"`
	// HandOver are the facts for those who must update clients.
	HandOver *HandOver `json:"handOver,omitempty"`
	// Had are the receivers that have it already.
	Had []string `json:"had,omitempty"`

	// Version is the store's mark of what was read; opaque.
	Version string `json:"-"`
}

// NoticeKind is what a notice tells of.
type NoticeKind string

// The kinds of notice.
const (
	NoticeStartsSoon          NoticeKind = "starts-soon"
	NoticeHandedOver          NoticeKind = "handed-over"
	NoticeNodesDone           NoticeKind = "nodes-done"
	NoticeApprovalNeeded      NoticeKind = "approval-needed"
	NoticeCompletesSoon       NoticeKind = "completes-soon"
	NoticeCompleted           NoticeKind = "completed"
	NoticeStuck               NoticeKind = "stuck"
	NoticeBlocked             NoticeKind = "blocked"
	NoticeForeign             NoticeKind = "foreign"
	NoticeCompletedExternally NoticeKind = "completed-externally"
	NoticeBreakerOpen         NoticeKind = "breaker-open"
)
