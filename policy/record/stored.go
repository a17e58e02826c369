package record

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
)

// Contents is what is stored and active: the rotations in flight and the fleet
// document. Known is false when there is no store to read (a plan without
// one): holds, approvals and waves are then unknown, not empty.
type Contents struct {
	Known     bool
	Rotations map[fleet.Ref]Rotation
	Fleet     FleetDoc
	// Closed are attempts that ended as not-started, kept in sight so that a
	// start accepted late is known as ours.
	Closed []Record
}

// FleetDoc is the one document that every start must see: a start intent
// is written only if the document is unchanged.
type FleetDoc struct {
	Env       string               `json:"env"`
	Slots     map[string]Slot      `json:"slots,omitempty"` // by cluster
	Holds     []Hold               `json:"holds,omitempty"`
	Approvals []Approval           `json:"approvals,omitempty"`
	Requests  []Request            `json:"requests,omitempty"`
	Waves     map[string]WaveNotes `json:"waves,omitempty"`
	// Rules is since when WAVES and the rules of what is due are what they are, and
	// Projects what each project held that keeps later waves shut, when it was last read.
	Rules    RulesNote              `json:"rules,omitzero"`
	Projects map[string]ProjectNote `json:"projects,omitempty"`
	// OpenWaves are those that people have opened, until their due clusters are done.
	OpenWaves map[string]Said `json:"openWaves,omitempty"`
	// ShutWaves is since when due clusters of a wave wait for what people must end.
	ShutWaves map[string]time.Time `json:"shutWaves,omitempty"`
	// Failures are failed or stuck rotations of ours that nobody has
	// acknowledged; the breaker counts them.
	Failures []Failure `json:"failures,omitempty"`
	// Tries counts starts that came to nothing, per cluster.
	Tries   map[string]Try         `json:"tries,omitempty"`
	Blocked map[string]reason.Code `json:"blocked,omitempty"` // due and not startable, or held by a label
	// Lost are clusters whose attempt was closed unread, since when: what became of it
	// is told when they are seen again.
	Lost map[string]time.Time `json:"lost,omitempty"`
	// OnGKE is what GKE does, beside any rotation, that due clusters and those in flight
	// wait for, since when it was first seen.
	OnGKE map[string]GKEWork `json:"onGke,omitempty"`
	// Insights are the last reads of Recommender, by [InsightPlace].
	Insights     map[string]InsightNote `json:"insights,omitempty"`
	InsightsFrom time.Time              `json:"insightsFrom,omitzero"` // none before: its quota is used up
	Mismatches   map[string]Mismatch    `json:"mismatches,omitempty"`  // by cluster
	LastRun      RunNote                `json:"lastRun,omitzero"`

	Version string `json:"-"`
}

// Slot is a place that MAX_ACTIVE allows, held from the stored start intent
// until one CA is seen.
type Slot struct {
	Attempt     string    `json:"attempt"`
	Since       time.Time `json:"since"`
	Emergency   bool      `json:"emergency,omitempty"`
	Compromised bool      `json:"compromised,omitempty"`
}

// Said is who said something to the job and why, as stated.
type Said struct {
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
	Run    string    `json:"run,omitempty"` // the execution that recorded it
}

// Approval is a person's yes to one start or one completion.
type Approval struct {
	Kind      CallKind          `json:"kind"` // start or complete
	Cluster   fleet.Ref         `json:"cluster"`
	ClusterID string            `json:"clusterId"`
	CA        fleet.Fingerprint `json:"ca,omitempty"`      // start: of the CA to be replaced
	Attempt   string            `json:"attempt,omitempty"` // complete: of that attempt ...
	Entry     int               `json:"entry,omitempty"`   // ... and that entry into updating-clients
	Until     time.Time         `json:"until,omitzero"`
	Said
}

// Same says whether both are a yes to the very same call.
func (a Approval) Same(b Approval) bool {
	return a.Kind == b.Kind && a.Cluster == b.Cluster && a.ClusterID == b.ClusterID && a.CA == b.CA &&
		a.Attempt == b.Attempt && a.Entry == b.Entry
}

// ApprovalUse is an approval that a call of ours relied on.
type ApprovalUse struct {
	Kind  CallKind `json:"kind"`
	Entry int      `json:"entry,omitempty"`
	Said
}

// RequestKind is what a person asks for one cluster.
type RequestKind string

// The requests.
const (
	RequestRotate RequestKind = "rotate" // make it due now
	RequestAdopt  RequestKind = "adopt"  // manage a foreign rotation
	RequestRetry  RequestKind = "retry"  // acknowledge a failure and try again
	RequestClose  RequestKind = "close"  // end the record without touching GKE
)

// Request is a person's wish that the next run takes up.
type Request struct {
	Kind      RequestKind       `json:"kind"`
	Cluster   fleet.Ref         `json:"cluster"`
	ClusterID string            `json:"clusterId,omitempty"`
	CA        fleet.Fingerprint `json:"ca,omitempty"`      // rotate, adopt: the CA to be replaced
	Attempt   string            `json:"attempt,omitempty"` // retry, close: the attempt meant
	Said
}

// Failure is a failed or stuck rotation that nobody has acknowledged.
type Failure struct {
	Cluster fleet.Ref   `json:"cluster"`
	Attempt string      `json:"attempt"`
	What    reason.Code `json:"what"`
	At      time.Time   `json:"at"`
}

// Try counts the starts of one cluster, on one CA, that came to nothing.
type Try struct {
	ClusterID string            `json:"clusterId"`
	CA        fleet.Fingerprint `json:"ca"`
	Count     int               `json:"count"`
	NotBefore time.Time         `json:"notBefore,omitzero"`
	LastError string            `json:"lastError,omitempty"`
	// Withdrawals counts the last of them that were taken back, one after
	// another, before they were sent; the last was this Attempt, by this Run.
	// Delivered is when people last heard.
	Withdrawals int       `json:"withdrawals,omitempty"`
	Run         string    `json:"run,omitempty"`
	Attempt     string    `json:"attempt,omitempty"`
	Delivered   time.Time `json:"told,omitzero"`
}

// GKEWork is work of GKE's own, or that a cluster is not listed whole.
type GKEWork struct {
	What  string    `json:"what"` // the operation's name, else the status
	Since time.Time `json:"since"`
}

// RunNote is what the last run left.
type RunNote struct {
	Run     string    `json:"run"`
	At      time.Time `json:"at"`
	Mode    string    `json:"mode"`
	Version string    `json:"version,omitempty"`
	Summary string    `json:"summary,omitempty"`
}

// Record is a closed attempt, kept in the history.
type Record struct {
	Rotation    Rotation  `json:"rotation"`
	ClosedAs    ClosedAs  `json:"closedAs"`
	ClosedAt    time.Time `json:"closedAt"`
	CompletedBy string    `json:"completedBy,omitempty"`
	Findings    []string  `json:"findings,omitempty"`
	Said        Said      `json:"said,omitzero"` // close: who ended it
}

// Over says whether the approval has run out.
func (a Approval) Over(now time.Time) bool { return !a.Until.IsZero() && !now.Before(a.Until) }

// ClosedOurs finds the newest attempt on this very CA that was closed by people, or of
// ours although its start took, or may have taken, effect.
func (b Contents) ClosedOurs(c fleet.Cluster) (Record, bool) {
	for _, rec := range b.Closed {
		r := rec.Rotation
		if r.Cluster != c.Ref || r.ClusterID != c.ID ||
			!c.Bundle.Has(r.Baseline.CA.Fingerprint) {
			continue
		}
		if rec.ClosedAs == ClosedByPeople {
			return rec, true // whoever began it: it is only watched
		}
		if r.Origin == Foreign && !r.Managed {
			continue
		}
		if rec.ClosedAs == Lost || (rec.ClosedAs == NotStarted && mayHaveStarted(r)) {
			return rec, true
		}
	}
	return Record{}, false
}

// LostOf finds the attempt at the cluster that was closed as lost, and of which nothing was
// heard since.
func (b Contents) LostOf(c fleet.Cluster) (Record, bool) {
	_, lost := b.Fleet.Lost[c.Ref.String()]
	i := slices.IndexFunc(b.Closed, func(rec Record) bool {
		return rec.Rotation.Cluster == c.Ref && rec.ClosedAs == Lost
	})
	if !lost || i < 0 {
		return Record{}, false
	}
	return b.Closed[i], true
}

// AskedOf gives the request of that kind for this very attempt.
func (f FleetDoc) AskedOf(kind RequestKind, r Rotation) *Request {
	for _, q := range slices.Backward(f.Requests) {
		if q.Kind == kind && q.Cluster == r.Cluster && q.Attempt == r.AttemptID {
			return &q
		}
	}
	return nil
}

// Asked gives the newest request of that kind that still fits the cluster.
func (f FleetDoc) Asked(kind RequestKind, c fleet.Cluster) *Request {
	for _, q := range slices.Backward(f.Requests) {
		if q.Kind == kind && q.Cluster == c.Ref && (q.ClusterID == "" || q.ClusterID == c.ID) &&
			(q.CA == "" || q.CA == c.Bundle.Oldest().Fingerprint) {
			return &q
		}
	}
	return nil
}

// mayHaveStarted reports whether a start of the attempt may have had its effect.
func mayHaveStarted(r Rotation) bool {
	took := func(c Call) bool { return c.Kind == CallStart && c.MayHaveTaken() }
	return slices.ContainsFunc(r.Settled, took) || r.Call != nil && took(*r.Call)
}

// NoteWave adds what a wave verified. Of waves that the settings named once the
// one that has rested longest is forgotten.
func (f *FleetDoc) NoteWave(wave string, note WaveNote) {
	f.Waves[wave] = f.Waves[wave].With(note)
	for len(f.Waves) > fleet.MaxWaves {
		oldest := wave
		for name, notes := range f.Waves {
			if notes.Last().Before(f.Waves[oldest].Last()) || (notes.Last().Equal(f.Waves[oldest].Last()) &&
				name < oldest && name != wave) {
				oldest = name
			}
		}
		delete(f.Waves, oldest)
	}
}

// Lean is the document without what the next run sees again: for when it has
// become too large.
func (f FleetDoc) Lean() FleetDoc {
	f.Blocked, f.Insights, f.Mismatches = nil, nil, nil
	return f
}

// Clone copies what outcome.After and its kin change.
func (f FleetDoc) Clone() FleetDoc {
	f.Slots = CloneMap(f.Slots)
	f.Waves = CloneMap(f.Waves)
	f.Lost = maps.Clone(f.Lost)
	f.Projects, f.OpenWaves = maps.Clone(f.Projects), maps.Clone(f.OpenWaves)
	f.Tries = CloneMap(f.Tries)
	f.Failures = slices.Clone(f.Failures)
	f.Requests = slices.Clone(f.Requests)
	f.Approvals = slices.Clone(f.Approvals)
	f.Holds = slices.Clone(f.Holds)
	return f
}

// CloneMap copies a map, and makes one where there is none.
func CloneMap[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

// Verified reports whether one new CA was left, and compared with before.
func (as ClosedAs) Verified() bool {
	return as == Completed || as == CompletedElsewhere || as == CompletedWithFindings
}

// Short keeps what people say within its room.
func (s Said) Short() Said {
	s.By, s.Reason = fact.Clip(s.By, MaxBy), fact.Clip(s.Reason, MaxWhy)
	return s
}

// Line is who said it, and why.
func (s Said) Line() string {
	if s.Reason == "" {
		return Who(s)
	}
	return Who(s) + ": " + s.Reason
}

// Who names the person, as stated.
func Who(s Said) string { return cmp.Or(s.By, "somebody unnamed") }
