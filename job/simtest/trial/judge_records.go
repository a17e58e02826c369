package trial

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// mostSettled is how many settled calls a document keeps.
const mostSettled = 50

// callsKept judges promise 5. "Exactly one record" it sees by the writes: an
// attempt that was written is never replaced by another without being closed,
// and what a document held of calls that were sent, it holds until it is
// closed and in the record.
func (j *judge) callsKept(e *Event) {
	switch e.Kind {
	case Sent:
		c := j.calls[e.Request.Intent]
		if c == nil {
			return // promise 2 tells
		}
		if r := j.ledger(e.Env).active[c.cluster]; r == nil || r.AttemptID != c.attempt || !holds(r, c.id) {
			j.accuse(e, c.cluster, "a %s was sent that no active document holds", c.kind)
		}
	case Changed, Outside:
		j.tookAfterAll(e)
	case End:
		j.reopened(e)
	default:
		if w, ok := written(e); ok {
			j.recordKept(e, w)
		}
	}
}

// holds says whether the document holds the call.
func holds(r *record.Rotation, id string) bool {
	for _, c := range r.PoolCalls {
		if c.ID == id {
			return true
		}
	}
	settled := slices.ContainsFunc(r.Settled, func(c record.Call) bool { return c.ID == id })
	return r.Call != nil && r.Call.ID == id || settled || len(r.Settled) >= mostSettled // the oldest are dropped
}

func (j *judge) recordKept(e *Event, w *Write) {
	r, closed := rotationIn(w)
	if r == nil {
		return
	}
	b := j.ledger(e.Env)
	if old := b.active[r.Cluster]; old != nil && old.AttemptID != r.AttemptID {
		j.accuse(e, r.Cluster, "attempt %s was replaced by %s without being closed", old.AttemptID, r.AttemptID)
	}
	if closed != "" && b.active[r.Cluster] == nil {
		j.accuse(e, r.Cluster, "attempt %s was closed although it is not active", r.AttemptID)
	}
	j.ownedRightly(e, r)
	a := b.attempts[r.AttemptID]
	if a == nil {
		return
	}
	if a.closed != "" && closed == "" && r.Origin != record.Reclaimed &&
		a.closed != record.ClosedByPeople {
		j.accuse(e, r.Cluster, "attempt %s, closed as %s, is active again and not reclaimed", a.id, a.closed)
	}
	for _, c := range a.sent {
		switch {
		case !holds(r, c.id):
			j.accuse(e, r.Cluster, "the %s sent %s is no longer on record", c.kind, stampOf(c.sentAt))
		case closed != "" && c.unsettled(e.At):
			j.accuse(e, r.Cluster, "attempt %s was closed as %s while its %s of %s is unsettled", a.id, closed, c.kind,
				stampOf(c.sentAt))
		}
	}
	j.closedRightly(e, a, closed)
}

// ownedRightly: what came of a start of ours is not on record as foreign.
func (j *judge) ownedRightly(e *Event, r *record.Rotation) {
	if r.Origin != record.Foreign || j.ledger(e.Env).active[r.Cluster] != nil {
		return
	}
	if by := j.truth(r.Cluster).by; by != nil && by.env == e.Env {
		if a := j.ledger(e.Env).attempts[by.attempt]; a != nil && a.baseline == r.Baseline.CA.Fingerprint {
			j.accuse(e, r.Cluster, "the rotation that our start of %s began is on record as foreign",
				stampOf(by.sentAt))
		}
	}
}

// closedRightly: not-started is said only of what did not start, gone and
// recreated only of what is.
func (j *judge) closedRightly(e *Event, a *attempt, closed record.ClosedAs) {
	t := j.truth(a.cluster)
	switch closed {
	case record.NotStarted:
		for _, c := range a.sent {
			if c.kind == record.CallStart && c.took && !c.over {
				j.accuse(e, a.cluster, "closed as not-started although GKE accepted the start of %s", stampOf(c.sentAt))
			}
		}
	case record.Gone:
		if t.fact != nil && len(a.sent) > 0 && t.ageOf(e.At) > settleAfter && !t.replaced {
			j.accuse(e, a.cluster, "closed as gone although the cluster is there")
		}
	case record.Completed, record.CompletedElsewhere, record.CompletedWithFindings:
		if t.fact != nil && has(t.fact.Cluster, a.baseline) {
			j.accuse(e, a.cluster, "closed as %s although the old CA is in place", closed)
		}
	}
}

// ageOf is for how long the cluster is known to be there.
func (t *truth) ageOf(at time.Time) time.Duration { return at.Sub(t.thereSince) }

func has(c fleet.Cluster, f fleet.Fingerprint) bool {
	return slices.ContainsFunc(c.Bundle.CAs, func(ca fleet.CA) bool { return ca.Fingerprint == f })
}

// tookAfterAll: the second CA of a start comes although its record says
// not-started. That is inherent only when GKE accepted it later than LATE.
func (j *judge) tookAfterAll(e *Event) {
	t := j.truth(e.Cluster)
	c := t.accepted
	if e.Fact == nil || c == nil || c.failed || len(e.Fact.Cluster.Bundle.CAs) != 2 ||
		e.At.Sub(c.accepted) > takesEffect {
		return
	}
	a := j.ledger(c.env).attempts[c.attempt]
	if a != nil && a.closed == record.NotStarted && !c.late(c.accepted) {
		j.accuse(e, c.cluster, "the start of %s took although its record says not-started", stampOf(c.sentAt))
	}
}

// reopened: at the end, what began late of ours is on record again.
func (j *judge) reopened(e *Event) {
	for ref, t := range j.clusters {
		if t.by == nil || t.by.over || e.At.Sub(t.two) < 2*j.setup.Every+settleAfter {
			continue
		}
		a := j.ledger(t.by.env).attempts[t.by.attempt]
		if a != nil && a.closed == record.NotStarted && j.ledger(t.by.env).active[ref] == nil {
			j.accuse(e, ref, "our start of %s, accepted late, is still on record as not-started", stampOf(t.by.sentAt))
		}
	}
}
