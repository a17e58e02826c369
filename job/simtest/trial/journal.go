package trial

import (
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/state"
)

// Kind says what happened.
type Kind string

// The kinds of event. Each names the parts of [Event] that it fills.
const (
	// Begin opens every journal: Facts.
	Begin Kind = "begin"
	// Calm: from now on there are no faults, people answer and runs are made
	// at least every hour.
	Calm Kind = "calm"
	// End closes every journal: Facts, as GKE has them now.
	End Kind = "end"

	// RunBegin: a process begins; Run. RunEnd: it ended by itself; Text is its
	// error or "", Said what it said of which cluster. Busy runs end so, too.
	RunBegin Kind = "run-begin"
	RunEnd   Kind = "run-end"
	// Killed: from now on no call of the process has an effect. What it sent
	// may still be delivered.
	Killed Kind = "killed"
	// Paused: the process does nothing until a while later; Text says how long.
	Paused Kind = "paused"

	// BookRead, FleetRead and HistoryRead: what the store gave; Store, Fleet,
	// Records.
	StoreRead   Kind = "store-read"
	FleetRead   Kind = "fleet-read"
	HistoryRead Kind = "history-read"
	// Listed: the clusters of a project; Look. OperationsRead: the operations
	// of a project; Look. ClusterRead: one cluster; Look.
	Listed         Kind = "list"
	OperationsRead Kind = "operations-read"
	ClusterRead    Kind = "cluster-read"
	// ReadFailed: a read of the store or of GKE failed; Text.
	ReadFailed Kind = "read-failed"

	// IntentStored, OutcomeStored, Stored: a write to the store: one that stores
	// at least one new intent; one that answers or withdraws one; any other.
	// Write; Write.Applied says whether it is in the store.
	IntentStored  Kind = "intent-stored"
	OutcomeStored Kind = "outcome-stored"
	Stored        Kind = "stored"
	// Leased: the lease was asked for; Text is who holds it.
	Leased Kind = "leased"

	// Sent: a process sends a request that changes a cluster; Request.
	Sent Kind = "sent"
	// Delivered: it reaches GKE; Request, Outcome is what GKE says. A request
	// may be delivered later than its process lives, twice, or never.
	Delivered Kind = "delivered"
	// Answered: what the process is told; Request, Outcome.
	Answered Kind = "answered"

	// Person: somebody said something to the store; Write, Text is what.
	Person Kind = "person"
	// Settings: from now on runs have another policy; Policy, Mode.
	Settings Kind = "settings"
	// Outside: something happened to a cluster that no pass did: Text is what,
	// Fact is the cluster afterwards (nil: it is gone).
	Outside Kind = "outside"
	// Changed: the CAs of a cluster changed, whoever did it; Fact.
	Changed Kind = "changed"
)

// Event is one line of the journal. What it points to is never changed
// afterwards; whoever keeps it needs no copy.
type Event struct {
	N    int       // from 1
	At   time.Time // the world's clock, which is GKE's
	Kind Kind
	// Pass is the process, from 1; 0 for what no pass did.
	Pass int
	// Env is the deployment, which has a store of its own; "" for the world's.
	Env string
	// Clock is the process's own wall clock, Mono its own monotonic one.
	Clock   time.Time
	Mono    time.Duration
	Cluster fleet.Ref // zero: none, or several
	Text    string

	Facts    []Fact
	Fact     *Fact
	Run      *Run
	Contents *record.Contents
	Fleet    *record.FleetDoc
	Records  []record.Record
	Look     *Look
	Write    *Write
	Request  *Request
	Outcome  *record.Outcome
	Policy   *rules.Policy
	Mode     string // observe or act
	Said     map[fleet.Ref]Spoken
}

// Fact is what is true of a cluster in GKE, whatever anybody has read.
type Fact struct {
	Ref fleet.Ref
	// Raw is the cluster as the API shows it.
	Raw *containerpb.Cluster
	// Cluster is the same, as read; without operations.
	Cluster fleet.Cluster
}

// Run is one process.
type Run struct {
	Name    string // the execution; a retry has the same
	Attempt int
	Look    bool   // it is a plan: it neither sends nor writes
	Mode    string // observe or act
	Policy  *rules.Policy
	Skew    time.Duration // of its wall clock: Event.Clock is Event.At plus this
}

// Look is one read of GKE.
type Look struct {
	Project string
	Begun   time.Time // on the world's clock: when it was asked
	AsOf    time.Time // on the world's clock: what it shows is of then
	// Clusters are what was shown, in the order of the answer; one for
	// ClusterRead, none with Gone.
	Clusters []fleet.Cluster
	// Raw are the same as the API shows them, by cluster.
	Raw        map[fleet.Ref]*containerpb.Cluster
	Operations map[fleet.Ref][]fleet.Operation
	Unread     []fleet.Unread
	Gone       bool // ClusterRead: GKE says that there is no such cluster
}

// Write is one write to the store.
type Write struct {
	// Asked is the change as the writer gave it. Its parts hold the versions
	// on which it is conditional.
	Asked state.Change
	// Now is what the store holds of it after the write, with new versions;
	// meaningful when Applied.
	Now     state.Change
	Applied bool
	// Delivered is the error that the writer was given; "": it was told of success.
	Delivered string
}

// Request is one request that changes a cluster.
type Request struct {
	N       int // from 1, over the whole play
	Kind    record.CallKind
	Cluster fleet.Ref
	Pool    string // recreate; "" is the control plane (Autopilot)
	// Intent is the id of the newest intent of that kind (and pool) that the
	// process has stored for the cluster, by what it was told or not; "": none.
	Intent string
	SentAt time.Time // world's clock
	// Copy counts its deliveries, from 1.
	Copy int
}

// Violation is a promise that was broken.
type Violation struct {
	Promise int // of protocol.md, "Always true", from 1
	At      time.Time
	Cluster fleet.Ref // zero: the fleet
	Text    string
}

// Judge is told every event in order, Begin first and End last, and says which
// promises it breaks. It must not keep the play waiting: the cost of an event
// must not grow with the length of the journal.
type Judge interface {
	Event(e *Event) []Violation
}

// Setup is what a judge knows beforehand: all else is in the journal.
type Setup struct {
	Options
	// Calm is when the last part of the play begins, End when it ends.
	Begin, Calm, End time.Time
	// Every is how often runs are made at least in the calm part.
	Every time.Duration
	// Slow says that GKE takes longer for a start, or stops our node work at the window's
	// end, which nobody reckons with; NodeTakes is how long it takes for a node.
	Slow      bool
	NodeTakes time.Duration
}
