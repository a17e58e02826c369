package record

import (
	"cmp"
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
)

// Notice is one thing that people are told outside the log. It is stored in the
// same write as what it tells of, and kept until every receiver has it: at least
// once, and never before it is true.
type Notice struct {
	// ID is unique and stays the same when it is sent again, so that a receiver
	// can drop what it has.
	ID   string     `json:"id"`
	Kind NoticeKind `json:"kind"`
	// Cluster is zero when the whole fleet is meant.
	Cluster fleet.Ref `json:"cluster,omitzero"`
	At      time.Time `json:"at"`
	// Seq orders the notices of one write; the store orders the writes.
	Seq     int64       `json:"seq,omitempty"`
	Run     string      `json:"run"`
	Phase   Phase       `json:"phase,omitempty"`
	Reason  reason.Code `json:"reason,omitempty"`
	Message fact.Text   `json:"message"`
	// Expected is the moment that is announced: of the start, of the completion.
	Expected time.Time `json:"expected,omitzero"`
	// HandOver are the facts for those who must update clients.
	HandOver *HandOver `json:"handOver,omitempty"`
	// Had are the receivers that have it already.
	Had []string `json:"had,omitempty"`

	// Version is the store's mark of what was read; opaque.
	Version string `json:"-"`
}

// Subject is the cluster that is meant, P/L/C; "" is the whole fleet.
func (n Notice) Subject() string {
	if n.Cluster.IsZero() {
		return ""
	}
	return n.Cluster.String()
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

// KindOfNotice explains one kind.
type KindOfNotice struct {
	Kind NoticeKind
	// Tells is its meaning, and Once what it is told once for.
	Tells, Once string
	// Next is what people do now; "" where the reason knows better.
	Next reason.Advice
	// Acts: people must do something, so it is the last to be dropped when too
	// many wait.
	Acts bool
	// Acting: true only where runs act. With MODE=observe it would announce
	// what nobody is going to do.
	Acting bool
}

// NoticeKinds are all there are, in the order of a rotation's life.
var NoticeKinds = []KindOfNotice{
	{NoticeStartsSoon, "A rotation of the cluster is going to start.", "CA that is replaced",
		"Nothing, if the time suits. To stop it: `rotator hold CLUSTER --by NAME --reason WHY`", false, true},
	{NoticeHandedOver, "Old and new credentials are both in force: clients can be updated from now on.",
		"attempt, and again when the policy was loosened",
		"Update every client of the cluster: `rotator handover CLUSTER` says how.", true, false},
	{NoticeNodesDone, "Every node pool is recreated; what is left are the clients.",
		"time that all pools are done",
		"Make sure that every client is updated: `rotator handover CLUSTER` says how.", false, false},
	{NoticeApprovalNeeded, "A start or a completion waits for a person's yes.",
		"CA to be replaced, or entry into updating-clients",
		"`rotator approve CLUSTER --by NAME --reason WHY`", true, true},
	{NoticeCompletesSoon, "The old credentials end soon: a client that was forgotten fails then.",
		"entry into updating-clients",
		"Make sure that every client is updated. To stop us: `rotator hold CLUSTER --by NAME --reason WHY`; GKE completes by itself all the same.", true, true},
	{NoticeCompleted, "The rotation is over and was verified.", "attempt", "", false, false},
	{NoticeStuck, "The rotation failed, or stays in its phase longer than gates and operations explain.",
		"failure", "", true, false},
	{NoticeBlocked, "The cluster is due, or in flight, and does not go on until people change something.",
		"reason, while it stands", "", true, false},
	{NoticeForeign, "Somebody else started a rotation: a person, CI, GKE.", "rotation", "", true, false},
	{NoticeCompletedExternally, "Somebody else completed the rotation: a person or GKE.", "rotation", "", true,
		false},
	{NoticeBreakerOpen, "Failed or stuck rotations wait for a person: no new ones start in the whole fleet.",
		"opening", "", true, false},
}

// About explains the kind.
func (k NoticeKind) About() KindOfNotice {
	i := slices.IndexFunc(NoticeKinds, func(a KindOfNotice) bool { return a.Kind == k })
	if i < 0 {
		return KindOfNotice{Kind: k}
	}
	return NoticeKinds[i]
}

// Next is what people must do, or "".
func (n Notice) Next() reason.Advice { return cmp.Or(n.Kind.About().Next, n.Reason.Info().Next) }
