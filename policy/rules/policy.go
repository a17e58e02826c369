package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

// Policy is what a deployment wants, read from its settings. Each field's
// meaning, default and reason stand with the setting in job/config/settings.go.
type Policy struct {
	Env       string
	Projects  []string
	Locations []string // empty: all
	Selector  fleet.Selector

	RotateBeforeExpiry time.Duration
	MaxCAAge           time.Duration // 0: off
	RotateIssuedBefore time.Time     // zero: none

	Compromised          *fleet.Selector // nil: none; together with RotateIssuedBefore
	SoakCompromised      time.Duration
	CompromisedMaxActive int

	EmergencyBeforeExpiry time.Duration
	EmergencyMaxActive    int

	Window      window.Weekly // for clusters without a window of their own
	StartWindow window.Weekly // in addition to the cluster's
	Freezes     window.Freezes

	CompleteWindow window.Weekly
	ZonalComplete  ZonalComplete

	Soak        time.Duration
	Approval    ApprovalMode
	OwnerLabels OwnerLabels

	Nodes       NodesBy
	NodeGrace   time.Duration // of open-window time
	NodeTime    time.Duration // per node
	NodeOverrun time.Duration // how far past the window our node work may likely run
	Fit         FitMode
	Exclusions  ExclusionsMode
	PoolsAtOnce int // 0: the fewest that fits

	Adopt AdoptMode

	MaxActive            int
	MaxActivePerProject  int // 0: off
	MaxActivePerLocation int // 0: off

	Waves    fleet.Waves
	WaveSoak time.Duration

	MaxFailed  int
	StuckAfter time.Duration

	Every time.Duration // how often the job is scheduled

	// Receivers are those who are told, by name; nil: not known.
	Receivers []string

	// InForce is this policy in words, kept with what it decides; nil: unknown.
	InForce *record.InForce
}

// ZonalComplete says which window a zonal cluster's completion obeys: its API
// server is gone for a moment.
type ZonalComplete string

// The choices of ZONAL_COMPLETE.
const (
	ZonalPeople ZonalComplete = "people" // COMPLETE_WINDOW alone
	ZonalWindow ZonalComplete = "window" // the cluster's window alone
	ZonalBoth   ZonalComplete = "both"
)

// ApprovalMode says which steps ask for a person's yes.
type ApprovalMode string

// The choices of APPROVAL.
const (
	ApproveNone     ApprovalMode = "none"
	ApproveStart    ApprovalMode = "start"
	ApproveComplete ApprovalMode = "complete"
	ApproveBoth     ApprovalMode = "both"
)

// Asks says whether that kind of call needs an approval.
func (a ApprovalMode) Asks(k record.CallKind) bool {
	return a == ApproveBoth || (a == ApproveStart && k == record.CallStart) ||
		(a == ApproveComplete && k == record.CallComplete)
}

// AutoComplete is from when GKE may complete the rotation by itself.
func AutoComplete(r record.Rotation) time.Time { return r.StartedAt().Add(AutoCompleteAfter) }

// LastMoment is when a wave no longer keeps a cluster waiting whose CA expires then: so
// long before that GKE need not start it, with so many before it in the queue.
func (p *Policy) LastMoment(expires time.Time, before int) time.Time {
	const each = AutoCompleteAfter + 24*time.Hour
	most := max(p.MaxActive, 1)
	rounds := time.Duration((before + most - 1) / most)
	return expires.Add(-LastMomentBefore - rounds*each)
}

// NodesBy says who recreates nodes.
type NodesBy string

// The choices of NODES.
const (
	NodesAuto NodesBy = "auto" // GKE first, then we
	NodesGKE  NodesBy = "gke"  // GKE alone
)

// FitMode says what becomes of a start that GKE would complete before we can.
type FitMode string

// The choices of FIT.
const (
	FitBind   FitMode = "bind"   // it waits
	FitReport FitMode = "report" // it is said, and started
)

// ExclusionsMode says whether an exclusion of node upgrades that stands until the
// version's end of support binds our own work, too.
type ExclusionsMode string

// The choices of EXCLUSIONS.
const (
	ExclusionsRespect ExclusionsMode = "respect"
	ExclusionsGKEOnly ExclusionsMode = "gke-only" // it is for GKE's own upgrades
)

// Binds says whether the exclusion binds our work.
func (m ExclusionsMode) Binds(e window.Exclusion) bool {
	return e.Blocks() && (m != ExclusionsGKEOnly || !e.Standing())
}

// AdoptMode says what becomes of rotations that somebody else started.
type AdoptMode string

// The choices of ADOPT.
const (
	AdoptWatch  AdoptMode = "watch"
	AdoptManage AdoptMode = "manage"
)

// WaveRules identifies WAVES and the rules of what is due.
func (p *Policy) WaveRules() string {
	waves, _ := p.Waves.MarshalText() // it never fails
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s|%s", waves, p.RotateBeforeExpiry, p.MaxCAAge,
		p.RotateIssuedBefore.UTC().Format(time.RFC3339)))
	return hex.EncodeToString(sum[:8])
}

// Due says whether and since when the CA must be replaced.
type Due struct {
	Is bool
	// At is since when it is due, or when it will be; zero: never.
	At time.Time
	// Deadline orders the starts: when a start would be late.
	Deadline time.Time
	Why      string
	// ByExpiry: it is due for its expiry, and for nothing before.
	ByExpiry bool
}

// Unselected says why the policy leaves the cluster out; nil: it does not.
func (p *Policy) Unselected(c fleet.Cluster) fact.Text {
	switch {
	case len(p.Locations) > 0 && !c.Ref.In(p.Locations):
		return fact.Sayf("location %s is not in LOCATIONS", c.Ref.Location)
	case !p.Selector.Matches(c.Labels):
		return fact.Sayf("its labels do not match SELECTOR %v", p.Selector)
	}
	return nil
}

// IssuedBefore is the date before which GKE must have made a CA for
// ROTATE_ISSUED_BEFORE to make it due; zero: none. One that lies ahead is taken as now,
// once: what is made afterwards is new.
func (p *Policy) IssuedBefore(note record.RulesNote, now time.Time) time.Time {
	if note.IssuedBefore.Equal(p.RotateIssuedBefore) {
		return note.Taken
	}
	return window.Earlier(p.RotateIssuedBefore, now)
}

// DueFor applies the three rules, of which issuedBefore is [Policy.IssuedBefore]; asked
// marks a person's rotate request.
func (p *Policy) DueFor(b fleet.Bundle, issuedBefore time.Time, asked *record.Request, now time.Time) Due {
	ca := b.Oldest()
	if ca.Fingerprint == "" {
		return Due{}
	}
	d := Due{At: ca.Expires.Add(-p.RotateBeforeExpiry), Deadline: ca.Expires.Add(-DeadlineBefore),
		Why: "CA expires " + fact.Day(ca.Expires), ByExpiry: true}
	if p.MaxCAAge > 0 {
		if at := ca.Issued.Add(p.MaxCAAge); at.Before(d.At) {
			d.At, d.ByExpiry = at, false
			d.Why = "CA issued " + fact.Day(ca.Issued) + ", older than " + fleet.Days(p.MaxCAAge)
		}
		if late := ca.Issued.Add(p.MaxCAAge + AgeDeadlineAfter); late.Before(d.Deadline) {
			d.Deadline = late
		}
	}
	if ca.Made().Before(issuedBefore) && issuedBefore.Before(d.At) {
		d.At, d.Why, d.ByExpiry = issuedBefore, "CA issued "+fact.Day(ca.Issued)+", before "+
			fact.Day(issuedBefore), false
	}
	if asked != nil && (d.At.After(asked.At) || d.At.After(now)) {
		d.At, d.Why, d.ByExpiry = asked.At, "asked for by "+record.Who(asked.Said), false
	}
	d.Is = !now.Before(d.At)
	return d
}
