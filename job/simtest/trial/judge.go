package trial

import (
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// protocol.md's numbers, written down a second time: the judge does not take
// them from those it judges.
const (
	sendWithin  = 60 * time.Second
	callTimeout = 45 * time.Second
	lateBy      = 15 * time.Minute
	skewBy      = 5 * time.Minute
	settleAfter = 30 * time.Minute
	// roomFor is what a call needs of open window.
	roomFor = sendWithin + callTimeout + lateBy
	// unsettledFor is how long after its intent was stored a call that was sent
	// is unsettled for sure, on the world's clock: the intent may be dated a
	// send-within before it was stored, and the clock that looks at it may be
	// ahead of the one that dated it.
	unsettledFor = settleAfter - sendWithin - skewBy
)

// promises are protocol.md's, each with the function that judges it. Several
// functions may judge parts of one promise.
var promises = []struct {
	number int
	says   string
	judge  func(*judge, *Event)
}{
	{1, "a start is sent only if the read under its intent and the transaction that stored it allowed it",
		(*judge).startsAllowed},
	{1, "a node call is sent only inside window, exclusions and freezes", (*judge).nodesAllowed},
	{2, "no start or complete is sent while an earlier one is unsettled; the sender stored the intent itself and read under it", (*judge).sentOnce},
	{3, "a complete is sent only if every pool was recreated, the soak is over, it is approved and the window has room", (*judge).completesAllowed},
	{4, "starts of ours hold slots, and a start adds one only within its run's limits", (*judge).slotsHold},
	{5, "a call that was sent is in one document; not-started and foreign are said only where they are true",
		(*judge).callsKept},
	{6, "phases go back only by the three edges, and transitions are only added", (*judge).phasesForward},
	{7, "plan does nothing, observe sends nothing, and nothing is sent for a held cluster", (*judge).stopsStop},
	{8, "once it is calm, every due cluster is verified in time, every call settles and every slot has its rotation", (*judge).endsWell},
	{9, "with all that it needs, no cluster comes near its expiry", (*judge).neverLate},
	{10, "where nothing is in its way, no rotation of ours is ended by GKE", (*judge).notEndedByGKE},
	{10, "the old credentials end at no time before the date that people were told", (*judge).datesTrue},
	{11, "nothing of ours completes before the newest hand-over's date", (*judge).promiseKept},
	{12, "no cluster starts before one of an earlier wave that it had to wait for", (*judge).wavesKept},
	{12, "of each due cluster a run says why it waits, and calls taken back again and again are told", (*judge).notSilent},
}

// judge holds what the journal has told, as little as the promises need. Its
// cost per event does not grow with the journal.
//
// Where it cannot know exactly, it gives the benefit of the doubt:
//   - a call is unsettled for 24 of its 30 minutes: clocks are apart;
//   - a decision was made at some moment between the read under the intent and
//     the sending, and any such moment that allows the call will do;
//   - whether GKE's operation of an accepted start failed, it knows only when
//     some process has read so; a second CA within two hours is held to be its.
type judge struct {
	setup     Setup
	calendars gkeCalendars
	ledgers   map[string]*ledger
	passes    map[int]*runner
	clusters  map[fleet.Ref]*truth
	calls     map[string]*call // by intent
	requests  map[int]*call
	closing   ending
	found     []Violation
	promise   int // being judged
	now       time.Time
}

// NewJudge makes the judge of one play.
func NewJudge(s Setup) Judge {
	return &judge{
		setup: s, ledgers: map[string]*ledger{}, passes: map[int]*runner{}, clusters: map[fleet.Ref]*truth{},
		calls: map[string]*call{}, requests: map[int]*call{},
		calendars: gkeCalendars{until: s.End.Add(farAhead),
			known: map[*containerpb.MaintenancePolicy]gkeCalendar{}},
	}
}

// Event judges what happened by what was known before, then remembers it.
func (j *judge) Event(e *Event) []Violation {
	j.found, j.now = nil, e.At
	for i := range promises {
		j.promise = promises[i].number
		promises[i].judge(j, e)
	}
	j.learn(e)
	return j.found
}

// accuse says that the promise being judged is broken.
func (j *judge) accuse(e *Event, cluster fleet.Ref, format string, args ...any) {
	j.found = append(j.found, Violation{Promise: j.promise, At: e.At, Cluster: cluster,
		Text: fmt.Sprintf(format, args...)})
}

// runner is what the judge knows of one pass.
type runner struct {
	run     *Run
	begun   time.Time
	intents map[fleet.Ref]*Event // the newest write that stored an intent
	ops     map[string]*Event    // the newest read of a project's operations
	reads   map[fleet.Ref]*Event // the newest read of a cluster
	fleet   *Event               // the newest read of the fleet document
	listed  map[fleet.Ref]fleet.Cluster
}

// under gives the reads that the process made for the cluster since its intent;
// nil for each that it did not make.
func (p *runner) under(ref fleet.Ref) (intent, ops, read, fleet *Event) {
	if intent = p.intents[ref]; intent == nil {
		return nil, nil, nil, nil
	}
	after := func(e *Event) *Event {
		if e == nil || e.N < intent.N {
			return nil
		}
		return e
	}
	return intent, after(p.ops[ref.Project]), after(p.reads[ref]), after(p.fleet)
}

// call is one intent that was stored.
type call struct {
	id, attempt, pool string
	kind              record.CallKind
	cluster           fleet.Ref
	env               string
	pass              int
	intent            *Event
	sentAt            time.Time // zero: not sent
	accepted          time.Time // zero: not accepted
	operation         string
	failed            bool // its operation did
	took              bool // a start: the second CA came of it
	over              bool // a start: and is gone again, or the old one is
}

// unsettled says whether a call that was sent is still unsettled for sure.
func (c *call) unsettled(t time.Time) bool {
	return c != nil && !c.sentAt.IsZero() && t.Before(c.intent.At.Add(unsettledFor))
}

// late says whether an acceptance at t came later than LATE after we gave up.
func (c *call) late(t time.Time) bool { return t.After(c.sentAt.Add(callTimeout + lateBy)) }

// ledger is one deployment's, as it was written.
type ledger struct {
	fleet    record.FleetDoc
	active   map[fleet.Ref]*record.Rotation
	attempts map[string]*attempt
	starts   map[fleet.Ref]*call // the newest that was sent
	finals   map[fleet.Ref]*call // the newest complete that was sent
	nodes    map[string]*call    // the newest node call that was sent, by cluster and pool
	// heldSince is when a hold that binds the cluster was last on record.
	heldSince map[fleet.Ref]time.Time
	// rulesSince is since when waves and what makes a cluster due are as they are.
	rulesSince time.Time
	rules      *rules.Policy
	silent     map[fleet.Ref]*silence
	// approved are the approvals that people gave.
	approved map[approvalKey]bool
}

type approvalKey struct {
	kind      record.CallKind
	cluster   fleet.Ref
	clusterID string
	which     string // CA or attempt
	entry     int
}

func keyOf(a record.Approval) approvalKey {
	return approvalKey{a.Kind, a.Cluster, a.ClusterID, string(a.CA) + a.Attempt, a.Entry}
}

// attempt is one rotation, as the journal shows it.
type attempt struct {
	id          string
	cluster     fleet.Ref
	origin      record.Origin
	baseline    fleet.Fingerprint
	sent        []*call
	handedOver  time.Time // not later than when people were told
	entries     int       // into updating-clients, from recreating-nodes
	transitions []record.Transition
	closed      record.ClosedAs // "": active
	blocked     time.Time       // since when it is known to need action
	void        map[string]time.Time
	since       time.Time // when it was first stored
	moved       time.Time // when its phase last changed
	told        []told    // in the order of the notices
}

// truth is what is true of a cluster in GKE.
type truth struct {
	fact *Fact
	// two: since when there are two CAs; zero: there are not.
	two       time.Time
	known     bool // when the second CA came was seen
	poolsThen map[string]bool
	ops       map[string]fleet.Operation
	accepted  *call // a start whose effect is not seen yet
	by        *call // the start of ours that the second CA came of
	// completedElse is when somebody else last completed its rotation, meddled when somebody
	// last did anything to it.
	completedElse, meddled time.Time
	// since is since when its labels and its oldest CA are what they are.
	since time.Time
	// thereSince is since when a cluster of that name is known to be there;
	// replaced, whether another was there before.
	thereSince time.Time
	replaced   bool
}

func (j *judge) ledger(env string) *ledger {
	b := j.ledgers[env]
	if b == nil {
		b = &ledger{
			active: map[fleet.Ref]*record.Rotation{}, attempts: map[string]*attempt{}, starts: map[fleet.Ref]*call{},
			finals: map[fleet.Ref]*call{}, nodes: map[string]*call{}, approved: map[approvalKey]bool{},
			heldSince: map[fleet.Ref]time.Time{},
			silent:    map[fleet.Ref]*silence{},
		}
		j.ledgers[env] = b
	}
	return b
}

func (j *judge) truth(ref fleet.Ref) *truth {
	t := j.clusters[ref]
	if t == nil {
		t = &truth{ops: map[string]fleet.Operation{}}
		j.clusters[ref] = t
	}
	return t
}

// pass gives the process; one that nobody announced has an empty run.
func (j *judge) pass(e *Event) *runner {
	p := j.passes[e.Pass]
	if p == nil {
		p = &runner{run: &Run{}, begun: e.At, intents: map[fleet.Ref]*Event{}, ops: map[string]*Event{},
			reads: map[fleet.Ref]*Event{}}
		j.passes[e.Pass] = p
	}
	return p
}

// written gives the change that an event put into the store, or false.
func written(e *Event) (*Write, bool) {
	switch e.Kind {
	case IntentStored, OutcomeStored, Stored, Person:
		return e.Write, e.Write != nil && e.Write.Applied
	}
	return nil, false
}

// rotationIn gives the rotation that a write holds, closed or not.
func rotationIn(w *Write) (r *record.Rotation, closed record.ClosedAs) {
	if w.Now.Close != nil {
		return &w.Now.Close.Rotation, w.Now.Close.ClosedAs
	}
	return w.Now.Rotation, ""
}

func refOf(name string) fleet.Ref {
	parts := strings.SplitN(name, "/", 3)
	if len(parts) != 3 {
		return fleet.Ref{}
	}
	return fleet.Ref{Project: parts[0], Location: parts[1], Name: parts[2]}
}
