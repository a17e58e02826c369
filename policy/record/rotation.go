package record

import (
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
)

// Phase is where a rotation stands. Idle clusters have none.
type Phase string

// The phases, in order.
const (
	Starting        Phase = "starting"
	RecreatingNodes Phase = "recreating-nodes"
	UpdatingClients Phase = "updating-clients"
	Completing      Phase = "completing"
	Verifying       Phase = "verifying"
)

// Phases lists them in order.
var Phases = []Phase{Starting, RecreatingNodes, UpdatingClients, Completing, Verifying}

// Origin says whose rotation it is.
type Origin string

// The origins.
const (
	Ours      Origin = "ours"
	Foreign   Origin = "foreign"   // somebody else started it: a person, CI, GKE
	Reclaimed Origin = "reclaimed" // ours, but GKE accepted it after we had given up
)

// ClosedAs says how an attempt ended.
type ClosedAs string

// The ends of an attempt.
const (
	Completed             ClosedAs = "completed"
	CompletedWithFindings ClosedAs = "completed-with-findings"
	CompletedElsewhere    ClosedAs = "completed-elsewhere"
	NotStarted            ClosedAs = "not-started"
	Gone                  ClosedAs = "gone"
	Recreated             ClosedAs = "recreated"
	Lost                  ClosedAs = "lost"
	ClosedByPeople        ClosedAs = "closed"
)

// Rotation is one attempt at one cluster, from start to verified: what is
// stored. It holds intent and evidence; GKE is the truth about the cluster.
type Rotation struct {
	Cluster   fleet.Ref `json:"cluster"`
	ClusterID string    `json:"clusterId"`
	AttemptID string    `json:"attemptId"` // random
	AttemptNo int       `json:"attemptNo"` // for display, from 1
	Origin    Origin    `json:"origin"`
	Managed   bool      `json:"managed"` // we manage it to its end; always for our own
	// ClosedBy closed its record while GKE goes on with it: it is only watched.
	ClosedBy *Said    `json:"closedBy,omitempty"`
	Baseline Baseline `json:"baseline"`
	New      fleet.CA `json:"new"` // the CA that will be left
	Phase    Phase    `json:"phase"`
	// Transitions is append-only and begins with the first phase.
	Transitions []Transition `json:"transitions"`
	// Call is the newest start or complete; it blocks the next until settled.
	Call *Call `json:"call,omitempty"`
	// PoolCalls are the node calls, one slot a pool ("" for the control plane).
	PoolCalls map[string]Call `json:"poolCalls,omitempty"`
	Settled   []Call          `json:"settled,omitempty"`
	// StartOp is the operation that made the second CA, in GKE's clock.
	StartOp Work `json:"startOp"`
	// PoolsSeen are the pools of the first read that showed two CAs. NodePool
	// has no creation time: a pool is new only if it is absent here.
	PoolsSeen []string        `json:"poolsSeen,omitempty"`
	Pools     map[string]Work `json:"pools,omitempty"` // "" is the control plane (Autopilot)
	// HandedOverAt is when people were told; soak counts from it.
	HandedOverAt time.Time `json:"handedOverAt,omitzero"`
	// Promised is before when we do not complete: what the last hand-over told. A later
	// one may move it back; forward only a new hand-over does, with a soak of its own.
	Promised time.Time `json:"promised,omitzero"`
	// Terms are the settings on which that rests, by name: see [Terms]. RetoldAt is when
	// people were last told anew because some were loosened.
	Terms    map[string]string `json:"terms,omitempty"`
	RetoldAt time.Time         `json:"retoldAt,omitzero"`
	// Delivery is to whom that hand-over went from which the soak counts, and when each
	// took it; a zero time: not yet. See [Rotation.DeliveredAt].
	Delivery  map[string]time.Time `json:"delivery,omitempty"`
	Approvals []ApprovalUse        `json:"approvals,omitempty"`
	AskedAt   time.Time            `json:"askedAt,omitzero"` // last approval_needed
	// WaveOpened is who opened the wave that the start would have waited for.
	WaveOpened  *Said     `json:"waveOpened,omitempty"`
	DueAt       time.Time `json:"dueAt,omitzero"` // since when the CA was due
	Wave        string    `json:"wave,omitempty"`
	Emergency   bool      `json:"emergency,omitempty"`
	Compromised bool      `json:"compromised,omitempty"`
	// CompletedBy is one of [ByUs] and its kin, once one new CA is left.
	CompletedBy string `json:"completedBy,omitempty"`
	// Entries counts how often it has entered updating-clients from
	// recreating-nodes; approvals are bound to it. A completion that was
	// withdrawn or left nothing comes back to the same entry: nothing that
	// people approved has changed.
	Entries int `json:"entries,omitempty"`
	// Refusals counts refused or failed calls of the present step;
	// NotBefore is when the next may be tried.
	Refusals  int       `json:"refusals,omitempty"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	// CompleteFailures counts complete operations that failed.
	CompleteFailures int `json:"completeFailures,omitempty"`
	// Unexplained is time in the phase that no gate or operation explains,
	// counted only over hours in which runs were made.
	Unexplained time.Duration `json:"unexplained,omitempty"`
	CountedAt   time.Time     `json:"countedAt,omitzero"`
	// BlockedSince is when it began to need action; see rules.BlockedFreesSlot.
	BlockedSince time.Time `json:"blockedSince,omitzero"`
	// LastRead is when the cluster was last read.
	LastRead time.Time   `json:"lastRead,omitzero"`
	Reason   reason.Code `json:"reason,omitempty"`
	// Endpoint is where the control plane is advertised since the start.
	Endpoint string `json:"endpoint,omitempty"`
	// InForce is the policy that it was started under, and CompletedUnder the one
	// of the last completion of ours, where that was another.
	InForce        *InForce `json:"inForce,omitempty"`
	CompletedUnder *InForce `json:"completedUnder,omitempty"`
	// Failed and Stuck are announced once and count against the breaker until
	// somebody acknowledges them.
	Failed string `json:"failed,omitempty"`
	Stuck  bool   `json:"stuck,omitempty"`
	// Withdrawals counts the last calls that were taken back, one after another,
	// before they were sent; WithdrawnTold is when people last heard of it. Of a
	// start it counts on from the attempt that this one Follows.
	Withdrawals   int       `json:"withdrawals,omitempty"`
	Follows       string    `json:"follows,omitempty"`
	WithdrawnTold time.Time `json:"withdrawnTold,omitzero"`
	// Caught are the reasons that hold it up now while GKE goes on, each told once.
	Caught []string `json:"announced,omitempty"`

	// Version is the store's mark of what was read; opaque.
	Version string `json:"-"`
}

// Terms are the names of [Rotation.Terms], in the order in which they are told.
var Terms = []string{"SOAK", "COMPLETE_WINDOW", "ZONAL_COMPLETE", "FREEZES", "APPROVAL", "COMPROMISED"}

// Who completed a rotation, as far as calls and dates tell.
const (
	ByUs      = "us"
	ByGKE     = "gke"     // from its own date on
	ByOther   = "other"   // before that date, and not us
	ByUnknown = "unknown" // our call was not answered, and may have done it
)

// Baseline is the cluster before its rotation.
type Baseline struct {
	CA       fleet.CA                `json:"ca"`
	Endpoint string                  `json:"endpoint,omitempty"`
	DNS      string                  `json:"dns,omitempty"`
	Status   fleet.Status            `json:"status"`
	Pools    map[string]fleet.Status `json:"pools,omitempty"`
	Version  string                  `json:"version,omitempty"`
	// Versions are those of the pools: GKE brings back none that it no longer offers.
	Versions map[string]string `json:"versions,omitempty"`
}

// Transition is one step of the lifecycle.
type Transition struct {
	Phase  Phase       `json:"phase"`
	At     time.Time   `json:"at"`
	Run    string      `json:"run"`
	Reason reason.Code `json:"reason"`
}

// Clone makes a copy that shares nothing that is ever changed.
func (r Rotation) Clone() Rotation {
	r.Transitions = slices.Clone(r.Transitions)
	r.PoolCalls = maps.Clone(r.PoolCalls)
	r.Settled = slices.Clone(r.Settled)
	r.PoolsSeen = slices.Clone(r.PoolsSeen)
	r.Pools = maps.Clone(r.Pools)
	r.Approvals = slices.Clone(r.Approvals)
	r.Caught = slices.Clone(r.Caught)
	if r.Call != nil {
		call := *r.Call
		r.Call = &call
	}
	return r
}

// Entered is when the rotation last entered the phase; zero if never.
func (r Rotation) Entered(p Phase) time.Time {
	for _, t := range slices.Backward(r.Transitions) {
		if t.Phase == p {
			return t.At
		}
	}
	return time.Time{}
}

// Stay is one stay of a rotation in a phase.
type Stay struct {
	Transition
	Left time.Time
}

// Stays are those of the rotation, the last of them until then.
func (r Rotation) Stays(until time.Time) []Stay {
	out := make([]Stay, len(r.Transitions))
	for i, tr := range r.Transitions {
		out[i] = Stay{tr, until}
		if i > 0 {
			out[i-1].Left = tr.At
		}
	}
	return out
}

// StartedAt is when the rotation began: GKE's seven days count from there. It is the
// start of our own operation; of a rotation that somebody else started, the moment at
// which its new CA was issued, which GKE sets back by an hour.
func (r Rotation) StartedAt() time.Time {
	var first time.Time
	if len(r.Transitions) > 0 {
		first = r.Transitions[0].At
	}
	issued := r.New.Made()
	switch {
	case r.Origin != Foreign && !r.StartOp.StartedAt.IsZero():
		return r.StartOp.StartedAt
	case r.Origin == Foreign && !r.New.Issued.IsZero() && (first.IsZero() || issued.Before(first)):
		return issued
	}
	return first
}

// NodesDoneAt is when the last node work was first seen done, on our clock. Nodes of an
// Autopilot cluster are only known to be done when clients' turn has come.
func (r Rotation) NodesDoneAt() time.Time {
	var last time.Time
	if r.Pools[""].Done() {
		last = r.Entered(UpdatingClients)
	}
	for _, w := range r.Pools {
		if w.Done() && w.FirstSeen.After(last) {
			last = w.FirstSeen
		}
	}
	return last
}

// AnyUnsettled says whether any call may still be on its way.
func (r Rotation) AnyUnsettled(now time.Time) bool {
	for _, c := range r.PoolCalls {
		if c.Sent() && !c.MaySettle(now) {
			return true
		}
	}
	return r.Unsettled(now)
}

// Unsettled says whether a start or complete may still be on its way.
func (r Rotation) Unsettled(now time.Time) bool {
	return r.Call != nil && r.Call.Sent() && !r.Call.MaySettle(now)
}

// RetirePool moves a node call out of its slot among those that are past.
func (r *Rotation) RetirePool(pool string, call Call) {
	r.PoolCalls = maps.Clone(r.PoolCalls)
	delete(r.PoolCalls, pool)
	if call.State != Withdrawn {
		call.State = Settled
	}
	r.remember(call)
}

// RetireCall moves a start or complete that is settled among those that are past.
func (r *Rotation) RetireCall() {
	if r.Call != nil {
		r.remember(*r.Call)
		r.Call = nil
	}
}

// remember adds a call to those that are past, of which the oldest are forgotten.
func (r *Rotation) remember(c Call) {
	r.Settled = append(slices.Clone(r.Settled), c)
	if n := len(r.Settled); n > MaxSettled {
		r.Settled = slices.Clone(r.Settled[n-MaxSettled:])
	}
}

// NodesFrom is the time (GKE's clock) from which node work counts: the end of
// the start operation, else a safe distance after the new CA was issued (GKE
// sets notBefore back by an hour).
func (r Rotation) NodesFrom() time.Time {
	switch {
	case !r.StartOp.EndedAt.IsZero():
		return r.StartOp.EndedAt
	case !r.New.Issued.IsZero():
		return r.New.Made().Add(time.Hour)
	}
	return time.Time{}
}

// Under records the policy that the last step was decided by, where it is not
// the one that the rotation was started under.
func (r *Rotation) Under(p *InForce) {
	if p == nil || (r.InForce != nil && r.InForce.Digest == p.Digest && r.InForce.Tool == p.Tool) {
		return
	}
	if r.InForce == nil && r.Origin != Ours {
		r.InForce = p // it was not ours to start
		return
	}
	r.CompletedUnder = p
}

// RefusedAt makes the next try wait: 1 h, 6 h, then 24 h.
func (r *Rotation) RefusedAt(now time.Time) {
	r.Refusals++
	r.NotBefore = NextTry(r.Refusals, now)
}

// BaselineOf is the cluster as it is before its rotation.
func BaselineOf(c fleet.Cluster) Baseline {
	b := Baseline{CA: c.Bundle.Oldest(), Endpoint: c.Endpoint, DNS: c.DNS, Status: c.Status,
		Version: c.Version, Pools: map[string]fleet.Status{}, Versions: map[string]string{}}
	for _, p := range c.Pools {
		b.Pools[p.Name], b.Versions[p.Name] = p.Status, p.Version
	}
	return b
}
