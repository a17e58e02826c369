package policy

import (
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy/course"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// Gate is one named condition of a step. A gate over known facts is one small
// pure function, one line in its step's table and one story in testdata.
type Gate struct {
	Name string
	Ask  func(*Case) Verdict
	// Emergency and Compromised say how the gate gives way.
	Emergency, Compromised Yield
	// First gates come before all others, which are not asked while one of
	// them is closed: an idle cluster costs little.
	First bool
	// Calendar gates are opened by time alone: their dates are told beforehand.
	Calendar bool
	// Fresh gates are too dear to ask for every cluster: they are asked only
	// on the read right before the call.
	Fresh bool
}

// Yield says how a gate gives way when there is no time to wait.
type Yield int

// The ways to give way.
const (
	Binds    Yield = iota
	IfLate         // not binding if waiting for it would pass expiry - 31 d
	Reported       // shown, not binding
	Lifted         // not binding
	ByItself       // binds, but asks for less: its function knows of the moment
)

// The names of gates that are known outside the tables.
const (
	GateApproval       = "approval"
	GateBreaker        = "breaker"
	GateCompleteWindow = "complete-window"
	GateDue            = "due"
	GateFit            = "fit"
	GateHold           = "hold"
	GateMaintenance    = "maintenance"
	GateSettled        = "settled"
	GateSlot           = "slot"
	GateSoak           = "soak"
	GateDelivery       = "delivery"
	GateTries          = "tries"
	GateWindow         = "window"
)

// Case is one question: this cluster, this rotation, now. Gates look at
// nothing else.
type Case struct {
	course.Course
	Doc  *record.FleetDoc
	Pool *fleet.Pool // node gates: which pool
	Run  string

	Due      rules.Due
	Wave     int
	WaveName string
	// caughtBefore are the reasons of [record.Rotation.Caught] as they were stored.
	caughtBefore []string
	// waits is how long GKE's own work is waited for; zero: nothing is.
	waits time.Time
	// out: a First gate is closed.
	out bool
	// Fresh: Cluster was read under the intent, operations included.
	Fresh bool
}

// NewCase gathers what the gates of one cluster share.
func NewCase(p *rules.Policy, c fleet.Cluster, r *record.Rotation, doc *record.FleetDoc, run string,
	now time.Time) *Case {
	k := caseOf(p, c, r, doc, run, now)
	return &k
}

func caseOf(p *rules.Policy, c fleet.Cluster, r *record.Rotation, doc *record.FleetDoc, run string,
	now time.Time) Case {
	if r != nil {
		c.Bundle = c.Bundle.OldFirst(r.Baseline.CA.Fingerprint)
	}
	issued := p.IssuedBefore(doc.Rules, now)
	k := Case{Doc: doc, Run: run, Due: p.DueFor(c.Bundle, issued, doc.Asked(record.RequestRotate, c), now),
		Course: course.Course{Policy: p, Cluster: c, Rotation: r, Now: now, LastRun: doc.LastRun.At}}
	k.Wave, k.WaveName = p.Waves.Of(c.Labels)
	if ca := c.Bundle.Oldest(); ca.Fingerprint != "" {
		k.Emergency = k.Due.Is && !now.Before(ca.Expires.Add(-p.EmergencyBeforeExpiry))
		// What a rotation to a CA that is too old as well leaves is due again: nothing is
		// gained by ending it sooner.
		k.Compromised = p.Compromised != nil && ca.Made().Before(issued) &&
			(len(c.Bundle.CAs) < 2 || !c.Bundle.Newest().Made().Before(issued)) &&
			p.Compromised.Matches(c.Labels)
	}
	return k
}

// Ask puts the table's questions, after those that were asked before, and lifts
// what the moment lifts.
func (k *Case) Ask(table []Gate, want func(Gate) bool, before ...Verdict) []Verdict {
	n := 0 // a fleet of idle clusters asks much and keeps it all: no room is wasted
	for i := range table {
		if want(table[i]) {
			n++
		}
	}
	out, when := slices.Grow(before, n), k.pressing()
	for _, g := range table {
		if !want(g) {
			continue
		}
		out = append(out, when.named(g.Name, g.Ask(k), g.Emergency, g.Compromised))
	}
	return out
}

// pressing is why a cluster may have no time to wait.
type pressing struct {
	emergency, compromised bool
	late                   time.Time // what opens only then does not bind an emergency
}

func (k *Case) pressing() pressing {
	return pressing{k.Emergency, k.Compromised, k.Cluster.Bundle.Oldest().Expires.Add(-rules.DeadlineBefore)}
}

// named gives a gate's verdict its name, and lifts it as the gate gives way.
func (p pressing) named(gate string, v Verdict, emergency, compromised Yield) Verdict {
	v.Gate = gate
	if v.Open && v.Reason == "" {
		v.Reason = reason.GateOpen
	}
	yields := func(y Yield) bool {
		return y == Reported || y == Lifted || y == IfLate && (v.OpensAt.IsZero() || v.OpensAt.After(p.late))
	}
	v.Lifted = !v.Open && (p.emergency && yields(emergency) || p.compromised && yields(compromised))
	return v
}

// ChangesOf is when passing time alone may change one of the verdicts.
func ChangesOf(vs []Verdict) []time.Time {
	times := make([]time.Time, 0, len(vs)+4) // the CA's dates follow
	for _, v := range vs {
		times = append(times, v.Changes)
	}
	return times
}

// FirstClosed gives the first verdict that binds.
func FirstClosed(vs []Verdict) (Verdict, bool) {
	for _, v := range vs {
		if !v.Open && !v.Lifted {
			return v, true
		}
	}
	return Verdict{}, false
}

func anyGate(Gate) bool     { return true }
func firstGate(g Gate) bool { return g.First }
func ownGate(g Gate) bool   { return !g.First && !g.Fresh }

func isOpen(message fact.Text) Verdict { return Verdict{Open: true, Message: message} }

func openUntil(message fact.Text, changes time.Time) Verdict {
	return Verdict{Open: true, Message: message, Changes: changes}
}

// closedBy: somebody must act, or nobody knows until when.
func closedBy(why reason.Code, message fact.Text) Verdict {
	return Verdict{Reason: why, Message: message}
}

func closedUntil(why reason.Code, message fact.Text, opens time.Time) Verdict {
	return Verdict{Reason: why, Message: message, OpensAt: opens, Changes: opens}
}

// sentence is what the reason means.
func sentence(r reason.Code) fact.Text { return fact.Say(r.Info().Sentence) }

// clause is a sentence that goes on.
func clause(r reason.Code) fact.Text { return fact.Say(strings.TrimSuffix(r.Info().Sentence, ".")) }
