package trial

import (
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// blockedFrees is after how long of needing people a rotation holds no slot.
const blockedFrees = 8 * 24 * time.Hour

// slotsHold judges promise 4, cluster by cluster: as slots are a map, "starts
// <= slots" holds when every start of ours that is accepted or may still be
// has its own. Rule 6's part of it (no slot is given back while a call is
// unsettled) is judged here, too. Adopted rotations and those accepted after
// LATE may exceed the limits and are not asked for slots.
func (j *judge) slotsHold(e *Event) {
	switch e.Kind {
	case Sent:
		c := j.calls[e.Request.Intent]
		if c != nil && c.kind == record.CallStart &&
			j.ledger(e.Env).fleet.Slots[c.cluster.String()].Attempt != c.attempt {
			j.accuse(e, c.cluster, "a start was sent without a slot of its own")
		}
	case Delivered:
		c := j.requests[e.Request.N]
		if c == nil || c.kind != record.CallStart || e.Outcome == nil || e.Outcome.State != record.Accepted ||
			c.late(e.At) {
			return
		}
		if j.ledger(c.env).fleet.Slots[c.cluster.String()].Attempt != c.attempt {
			j.accuse(e, c.cluster, "GKE accepted a start that holds no slot")
		}
	default:
		if w, ok := written(e); ok && w.Now.Fleet != nil {
			j.slotsGiven(e, w)
			j.slotsTaken(e, w)
		}
	}
}

// slotsGiven looks at slots that a write gives back.
func (j *judge) slotsGiven(e *Event, w *Write) {
	b := j.ledger(e.Env)
	for name, was := range b.fleet.Slots {
		if now, kept := w.Now.Fleet.Slots[name]; kept && now.Attempt == was.Attempt {
			continue
		}
		ref := refOf(name)
		start := b.starts[ref]
		if start == nil || start.attempt != was.Attempt {
			continue // never sent, adopted, or reclaimed
		}
		switch {
		case start.unsettled(e.At):
			j.accuse(e, ref, "the slot was given back while the start of %s is unsettled", stampOf(start.sentAt))
		case b.finals[ref].unsettled(e.At):
			j.accuse(e, ref, "the slot was given back while the complete of %s is unsettled",
				stampOf(b.finals[ref].sentAt))
		case start.took && !start.over && !b.mayRelease(e, w, ref):
			j.accuse(e, ref, "the slot was given back although the rotation that GKE accepted goes on")
		}
	}
}

// mayRelease: with one CA seen, with the record, or after eight days of
// needing people. A record says itself since when; the judge has seen it said.
func (b *ledger) mayRelease(e *Event, w *Write, ref fleet.Ref) bool {
	if c := w.Now.Close; c != nil && c.Rotation.Cluster == ref {
		return c.ClosedAs != record.NotStarted
	}
	r := b.active[ref]
	if w.Now.Rotation != nil && w.Now.Rotation.Cluster == ref {
		r = w.Now.Rotation
	}
	if r == nil || r.Phase == record.Verifying {
		return true
	}
	a := b.attempts[r.AttemptID]
	return !r.BlockedSince.IsZero() && a != nil && !a.blocked.IsZero() &&
		e.At.Sub(a.blocked) > blockedFrees-2*time.Hour
}

// slotsTaken: the transaction that stores a start intent adds its slot, and
// leaves slots of that kind within the limits that its run was given.
func (j *judge) slotsTaken(e *Event, w *Write) {
	r, p := w.Now.Rotation, j.pass(e).run.Policy
	if e.Kind != IntentStored || p == nil || r == nil || r.Call == nil || r.Call.Kind != record.CallStart ||
		j.ledger(e.Env).active[r.Cluster] != nil {
		return
	}
	slots := w.Now.Fleet.Slots
	own, ok := slots[r.Cluster.String()]
	if !ok || own.Attempt != r.AttemptID {
		j.accuse(e, r.Cluster, "a start intent was stored without its slot")
		return
	}
	var n tally
	for name, s := range slots {
		n.add(s, refOf(name), r.Cluster)
	}
	over := func(count, limit int, name string) {
		if count > limit {
			j.accuse(e, r.Cluster, "a start took slot %d of %s=%d", count, name, limit)
		}
	}
	switch {
	case own.Compromised:
		over(n.compromised, p.CompromisedMaxActive, "COMPROMISED_MAX_ACTIVE")
	case own.Emergency:
		over(n.emergency, p.EmergencyMaxActive, "EMERGENCY_MAX_ACTIVE")
	default:
		over(n.fleet, p.MaxActive, "MAX_ACTIVE")
		if p.MaxActivePerProject > 0 {
			over(n.project, p.MaxActivePerProject, "MAX_ACTIVE_PER_PROJECT")
		}
		if p.MaxActivePerLocation > 0 {
			over(n.location, p.MaxActivePerLocation, "MAX_ACTIVE_PER_LOCATION")
		}
	}
	j.rightly(e, own, r)
}

// tally counts slots by what limits them.
type tally struct{ compromised, emergency, fleet, project, location int }

func (n *tally) add(s record.Slot, ref, near fleet.Ref) {
	switch {
	case s.Compromised:
		n.compromised++
	case s.Emergency:
		n.emergency++
	default:
		n.fleet++
		if ref.Project == near.Project {
			n.project++
		}
		if ref.Location == near.Location {
			n.location++
		}
	}
}

// rightly: only an emergency takes an emergency's slot, and only what is
// compromised a compromised one's. What is true of the cluster is asked, not what the
// process read; its CA does not change by being read late.
func (j *judge) rightly(e *Event, own record.Slot, r *record.Rotation) {
	t := j.truth(r.Cluster)
	p := j.pass(e).run.Policy
	if t.fact == nil {
		return
	}
	v := ofCluster(p, t.fact.Cluster)
	if own.Compromised && !v.compromised() && v.policy.Compromised == nil {
		j.accuse(e, r.Cluster, "a start took a compromised slot without COMPROMISED")
	}
	// A rotate request, too, can make it due: then only the date is asked.
	if own.Emergency && !own.Compromised &&
		e.At.Add(2*skewBy).Before(oldest(v.cluster).Expires.Add(-p.EmergencyBeforeExpiry)) {
		j.accuse(e, r.Cluster, "a start took an emergency's slot, but its CA expires only %s",
			stampOf(oldest(v.cluster).Expires))
	}
}
