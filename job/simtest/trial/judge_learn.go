package trial

import (
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// takesEffect is how long after its acceptance a start may bring the second CA.
const takesEffect = 2 * time.Hour

// learn remembers what happened.
func (j *judge) learn(e *Event) {
	switch e.Kind {
	case Begin:
		for i := range e.Facts {
			j.learnFact(e, &e.Facts[i], false)
		}
	case RunBegin:
		p := j.pass(e)
		p.run, p.begun = e.Run, e.At
	case RunEnd, Killed:
		delete(j.passes, e.Pass)
	case Listed:
		j.pass(e).learnListed(e.Look)
	case StoreRead, FleetRead:
		j.pass(e).fleet = e
	case OperationsRead:
		j.pass(e).ops[e.Look.Project] = e
		j.learnOperations(e.Look)
	case ClusterRead:
		j.pass(e).reads[e.Cluster] = e
	case IntentStored, OutcomeStored, Stored, Person:
		if e.Pass > 0 {
			j.learnIntents(e)
		}
		if w, ok := written(e); ok {
			j.learnWrite(e, w)
			j.learnTold(e, w)
			j.learnWithdrawn(e, w)
		}
	case Sent:
		j.learnSent(e)
	case Delivered:
		j.learnDelivered(e)
	case Settings:
		j.learnRules(e)
	case Changed, Outside:
		if e.Kind == Outside {
			j.truth(e.Cluster).meddled = e.At
		}
		if e.Kind == Outside && somebodyCompletes(e.Text) {
			j.truth(e.Cluster).completedElse = e.At
		}
		if e.Fact != nil {
			j.learnFact(e, e.Fact, true)
		} else if t := j.truth(e.Cluster); e.Kind == Outside {
			t.end()
			t.fact, t.replaced = nil, true
		}
	}
}

// end notes that no rotation is under way.
func (t *truth) end() {
	if t.by != nil {
		t.by.over = true
	}
	t.two, t.by, t.known = time.Time{}, nil, false
}

// learnFact takes in the CAs. A second one came of the start of ours that was
// accepted shortly before, unless its operation is known to have failed: GKE
// takes no other start while one runs.
func (j *judge) learnFact(e *Event, f *Fact, seen bool) {
	t := j.truth(f.Ref)
	was := t.fact
	if was == nil {
		t.thereSince = e.At
	}
	if was == nil || oldest(was.Cluster).Fingerprint != oldest(f.Cluster).Fingerprint ||
		!maps.Equal(was.Cluster.Labels, f.Cluster.Labels) {
		t.since = e.At
	}
	t.fact = f
	cas := f.Cluster.Bundle.CAs
	if was != nil && was.Cluster.ID != f.Cluster.ID {
		t.end()
		t.accepted = nil
		clear(t.ops)
		t.replaced = true
		was = nil
	}
	if len(cas) != 2 {
		t.end()
		return
	}
	if was != nil && len(was.Cluster.Bundle.CAs) == 2 &&
		newest(was.Cluster).Fingerprint == newest(f.Cluster).Fingerprint {
		return
	}
	t.end()
	t.two, t.known, t.poolsThen = e.At, seen, map[string]bool{}
	for _, p := range f.Cluster.Pools {
		t.poolsThen[p.Name] = true
	}
	if c := t.accepted; c != nil && !c.failed && e.At.Sub(c.accepted) <= takesEffect {
		c.took, t.by = true, c
	}
	t.accepted = nil
}

func (j *judge) learnOperations(l *Look) {
	for ref, ops := range l.Operations {
		t := j.truth(ref)
		for _, op := range ops {
			if known, ok := t.ops[op.Name]; ok && known.Done == op.Done {
				continue
			}
			t.ops[op.Name] = op
			if op.Done && op.Error != "" && t.accepted != nil && t.accepted.operation == op.Name {
				t.accepted.failed = true
				t.accepted = nil
			}
		}
	}
}

// learnIntents notes the intents that a process tried to store, stored or not.
// A write that came to nothing may be tried again.
func (j *judge) learnIntents(e *Event) {
	r := e.Write.Asked.Rotation
	if r == nil {
		return
	}
	note := func(c record.Call) {
		if c.State != record.Intended {
			return
		}
		known := j.calls[c.ID]
		switch {
		case known == nil:
			j.calls[c.ID] = &call{id: c.ID, attempt: r.AttemptID, pool: c.Pool, kind: c.Kind, cluster: r.Cluster,
				env: e.Env, pass: e.Pass, intent: e}
		case known.pass == e.Pass && !known.intent.Write.Applied && e.Write.Applied:
			known.intent = e
		default:
			return
		}
		j.pass(e).intents[r.Cluster] = e
	}
	if r.Call != nil {
		note(*r.Call)
	}
	for _, c := range r.PoolCalls {
		note(c)
	}
}

func (j *judge) learnSent(e *Event) {
	c := j.calls[e.Request.Intent]
	if c == nil {
		return
	}
	j.requests[e.Request.N] = c
	if !c.sentAt.IsZero() {
		return
	}
	c.sentAt = e.At
	b := j.ledger(c.env)
	delete(b.silent, c.cluster)
	if a := b.attempts[c.attempt]; a != nil {
		a.sent = append(a.sent, c)
	}
	switch c.kind {
	case record.CallStart:
		b.starts[c.cluster] = c
	case record.CallComplete:
		b.finals[c.cluster] = c
	default:
		b.nodes[c.cluster.String()+" "+c.pool] = c
	}
}

func (j *judge) learnDelivered(e *Event) {
	c := j.requests[e.Request.N]
	if c == nil || e.Outcome == nil {
		return
	}
	if e.Outcome.State == record.Accepted && c.accepted.IsZero() {
		c.accepted, c.operation = e.At, e.Outcome.Operation
		if c.kind == record.CallStart {
			j.truth(c.cluster).accepted = c
		}
	}
}

// learnWrite keeps the store.
func (j *judge) learnWrite(e *Event, w *Write) {
	b := j.ledger(e.Env)
	if w.Now.Fleet != nil {
		b.fleet = *w.Now.Fleet
		for ref := range j.clusters {
			if held(&b.fleet, ref, e.At) {
				b.heldSince[ref] = e.At
			}
		}
	}
	if e.Kind == Person {
		for _, a := range b.fleet.Approvals {
			b.approved[keyOf(a)] = true
		}
	}
	r, closed := rotationIn(w)
	if r == nil {
		return
	}
	a := b.attempts[r.AttemptID]
	if a == nil {
		a = &attempt{id: r.AttemptID, cluster: r.Cluster, baseline: r.Baseline.CA.Fingerprint, since: e.At,
			void: map[string]time.Time{}}
		b.attempts[r.AttemptID] = a
	}
	j.learnMove(e, b, a, r)
	a.origin, a.closed = r.Origin, closed
	switch {
	case r.BlockedSince.IsZero():
		a.blocked = time.Time{}
	case a.blocked.IsZero():
		a.blocked = e.At
	}
	if closed != "" {
		delete(b.active, r.Cluster)
		return
	}
	b.active[r.Cluster] = r
}

// learnMove takes in the transitions that a write added.
func (j *judge) learnMove(e *Event, b *ledger, a *attempt, r *record.Rotation) {
	for i := len(a.transitions); i < len(r.Transitions); i++ {
		from, to := record.Phase(""), r.Transitions[i].Phase
		if i > 0 {
			from = r.Transitions[i-1].Phase
		}
		a.moved = e.At
		switch {
		case to == record.RecreatingNodes && from != record.UpdatingClients && from != record.Completing:
			// People are told when this is stored; the time on record is that
			// of the plan, which came after the run's begin.
			a.handedOver = j.pass(e).begun
		case to == record.UpdatingClients && from == record.RecreatingNodes:
			a.entries++
		case to == record.RecreatingNodes && from == record.Completing:
			// What GKE holds to be unrecreated is void until it is done anew.
			if old := b.active[r.Cluster]; old != nil {
				for name, w := range old.Pools {
					if now, kept := r.Pools[name]; !kept || now.EndedAt.IsZero() {
						a.void[name] = w.StartedAt
					}
				}
			}
		}
	}
	a.transitions = r.Transitions
}

// newest and oldest are by their dates of issue; zero without a CA.
func newest(c fleet.Cluster) fleet.CA {
	return firstCA(c, func(a, b time.Time) int { return b.Compare(a) })
}
func oldest(c fleet.Cluster) fleet.CA { return firstCA(c, time.Time.Compare) }

func firstCA(c fleet.Cluster, by func(a, b time.Time) int) fleet.CA {
	if len(c.Bundle.CAs) == 0 {
		return fleet.CA{}
	}
	return slices.MinFunc(c.Bundle.CAs, func(a, b fleet.CA) int { return by(a.Issued, b.Issued) })
}
