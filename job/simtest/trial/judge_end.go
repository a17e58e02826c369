package trial

import (
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// How long things may take when nothing is in their way.
const (
	// rotates is how long a rotation may take: GKE completes it after seven
	// days, and every pool must have had its window before.
	rotates = 14 * 24 * time.Hour
	// operationTakes is longer than an operation on a cluster.
	operationTakes = 3 * time.Hour
	// grid is how fine the judge looks at a whole play's calendars.
	grid = 30 * time.Minute
)

// ending is what promises 8 and 9 need of the whole play.
type ending struct {
	calm     time.Time           // zero: not yet
	settings map[string]*Event   // by deployment, the newest
	began    map[fleet.Ref]*Fact // when it became calm, or the cluster was made
	since    map[fleet.Ref]time.Time
}

// endsWell judges promise 8, when the play is over. What it cannot bound it
// does not judge: a rotation that is only watched; one in a cluster whose
// calendars leave little room; a cluster that waits in a queue which moves.
func (j *judge) endsWell(e *Event) {
	if e.Kind != End || j.closing.calm.IsZero() {
		return
	}
	for env, s := range j.closing.settings {
		b := j.ledger(env)
		for name, slot := range b.fleet.Slots {
			if r := b.active[refOf(name)]; r == nil || r.AttemptID != slot.Attempt {
				j.accuse(e, refOf(name), "a slot is held by attempt %s, which is not active", slot.Attempt)
			}
		}
		if s.Mode != "act" {
			continue
		}
		for ref, r := range b.active {
			j.flightEnds(e, s, ref, r)
		}
		j.nothingLeft(e, s, b)
	}
}

// flightEnds: a rotation that we manage ends in time, and its calls settle.
func (j *judge) flightEnds(e *Event, s *Event, ref fleet.Ref, r *record.Rotation) {
	t, a := j.truth(ref), j.ledger(s.Env).attempts[r.AttemptID]
	if !r.Managed || a == nil || t.fact == nil || t.busy() || t.fact.Cluster.Alpha ||
		!e.At.Before(oldest(t.fact.Cluster).Expires) {
		return // of an alpha cluster nobody recreates nodes, and once the old CA has expired, new ones fail
	}
	calmSince := laterOf(j.closing.calm, a.moved)
	limit := settleAfter + 2*s.Policy.Every + operationTakes
	if (r.Phase == record.Starting || r.Phase == record.Completing) && e.At.Sub(calmSince) > limit {
		j.accuse(e, ref, "its %s has not settled since %s", r.Call.Kind, stampOf(a.moved))
	}
	if c := t.fact.Cluster; c.Alpha || c.CustomerCA {
		return // nodes of an alpha cluster cannot be recreated
	}
	if e.At.Sub(laterOf(j.closing.calm, a.since)) > rotates && j.easy(t.fact, s.Policy, e.At.Add(-rotates),
		e.At) {
		j.accuse(e, ref, "its rotation of %s is still %s", stampOf(a.since), r.Phase)
	}
}

// busy says whether an operation is known to run on the cluster, or its status
// says that something does.
func (t *truth) busy() bool {
	for _, op := range t.ops {
		if !op.Done {
			return true
		}
	}
	return t.fact.Cluster.Status != "RUNNING" && t.fact.Cluster.Status != "DEGRADED"
}

// nothingLeft: where nothing moves any more, nothing is left that could. A
// queue that moves is not judged: how long it takes depends on limits and waves.
func (j *judge) nothingLeft(e *Event, s *Event, b *ledger) {
	for _, c := range b.starts {
		if e.At.Sub(c.sentAt) < rotates {
			return
		}
	}
	for ref, f := range j.closing.began {
		t := j.truth(ref)
		if t.fact == nil || b.active[ref] != nil || t.busy() ||
			oldest(t.fact.Cluster).Fingerprint != oldest(f.Cluster).Fingerprint ||
			len(t.fact.Cluster.Bundle.CAs) != 1 {
			continue
		}
		v := ofCluster(s.Policy, t.fact.Cluster)
		since := laterOf(j.closing.since[ref], j.closing.calm)
		if e.At.Sub(since) > rotates && v.mayEver(since) && v.mayEver(e.At) &&
			j.easy(t.fact, s.Policy, e.At.Add(-rotates), e.At) && !j.before(s.Policy, t.fact, e.At) {
			j.accuse(e, ref, "it is due, nothing is in its way, and nothing was started for %s", rotates)
		}
	}
}

// before says whether a due cluster of an earlier wave is there that may itself have to
// wait for people: then the later waves wait with it.
func (j *judge) before(p *rules.Policy, f *Fact, t time.Time) bool {
	wave := waveOf(p, f.Cluster.Labels)
	for _, other := range j.clusters {
		if other.fact == nil || waveOf(p, other.fact.Cluster.Labels) >= wave {
			continue
		}
		v := ofCluster(p, other.fact.Cluster)
		if v.selected() && v.due(t) && (!v.mayEver(t) || !j.easy(other.fact, p, t.Add(-rotates), t)) {
			return true
		}
	}
	return false
}

// waveOf is the number of the wave; what no wave matches comes last.
func waveOf(p *rules.Policy, labels map[string]string) int {
	for i, w := range p.Waves {
		if matches(w.Selector.String(), labels) {
			return i
		}
	}
	return len(p.Waves)
}

// mayEver: due and eligible by what does not pass.
func (v showing) mayEver(t time.Time) bool {
	c := v.cluster
	return v.selected() && !labelHolds(v.policy, c.Labels, t) && v.due(t) && !c.Alpha && !c.CustomerCA &&
		c.Status == "RUNNING" && t.Before(oldest(c).Expires) && len(c.Pools) > 0
}

// easy: calendars leave the cluster eight hours of every four days for starts
// and nodes, and room for a completion every week. Whether less is
// enough is the fit check's to say.
func (j *judge) easy(f *Fact, p *rules.Policy, from, to time.Time) bool {
	gke := j.calendars.of(f.Raw.GetMaintenancePolicy())
	window := gke.window
	if window == nil {
		window = weekly(p.Window.String())
	}
	if gke.strange || gke.vague || p.Nodes != rules.NodesAuto {
		return false
	}
	for _, pool := range f.Cluster.Pools {
		if pool.Exclusion != nil {
			return false // beside the cluster's calendar it has one of its own
		}
	}
	frozen, own := freezes(p.Freezes.String()), both(window, gke.exclusions)
	open := both(own, both(weekly(p.StartWindow.String()), frozen))
	complete := both(weekly(p.CompleteWindow.String()), frozen)
	if zonal.MatchString(f.Ref.Location) && p.ZonalComplete != rules.ZonalPeople {
		complete = both(complete, own)
	}
	const fourDays, aWeek = 4 * 24 * time.Hour, 7 * 24 * time.Hour
	lastCompletion := from
	var opens []time.Time
	for t := from; t.Before(to); t = t.Add(grid) {
		if complete.room(t, p.Every+roomFor) { // so that a run falls into it
			lastCompletion = t
		}
		if open(t) {
			opens = append(opens, t)
		}
		for len(opens) > 0 && opens[0].Before(t.Add(-fourDays)) {
			opens = opens[1:]
		}
		if t.Sub(lastCompletion) > aWeek || t.Sub(from) > fourDays && len(opens) < int(8*time.Hour/grid) {
			return false
		}
	}
	return true
}

// neverLate judges promise 9 where its conditions hold: it has been calm for
// long enough, the limits let all clusters rotate at once, the cluster is in the
// first wave, and calendars leave room. Reaching an emergency comes before all the rest
// that it names. Faults before the calm part are not held against it.
func (j *judge) neverLate(e *Event) {
	switch e.Kind {
	case Begin, Calm, Settings, Changed, Outside:
		if e.Kind == Changed && e.Fact != nil {
			j.changedInTime(e, e.Fact)
		}
		j.closing.learn(j, e)
	case End:
		for i := range e.Facts {
			j.inTime(e, &e.Facts[i])
		}
	}
}

func (n *ending) learn(j *judge, e *Event) {
	if n.settings == nil {
		n.settings, n.began, n.since = map[string]*Event{}, map[fleet.Ref]*Fact{}, map[fleet.Ref]time.Time{}
	}
	switch e.Kind {
	case Begin:
		for i := range e.Facts {
			n.meet(e, &e.Facts[i])
		}
	case Calm:
		n.calm = e.At
		for ref, t := range j.clusters {
			if t.fact != nil {
				n.began[ref], n.since[ref] = t.fact, e.At
			}
		}
	case Settings:
		n.settings[e.Env] = e
	case Changed, Outside:
		if e.Fact != nil {
			n.meet(e, e.Fact)
		}
	}
}

// meet notes since when a cluster is as it is: somebody may have changed its
// calendars or its labels.
func (n *ending) meet(e *Event, f *Fact) {
	if old := n.began[f.Ref]; e.Kind == Changed && old != nil && old.Cluster.ID == f.Cluster.ID {
		return
	}
	n.began[f.Ref], n.since[f.Ref] = f, e.At
}

// changedInTime looks at a CA that has gone just now.
func (j *judge) changedInTime(e *Event, now *Fact) {
	t := j.truth(now.Ref)
	if was := t.fact; was != nil && was.Cluster.ID == now.Cluster.ID &&
		!has(now.Cluster, oldest(was.Cluster).Fingerprint) {
		j.inTime(e, was)
	}
}

// inTime: a CA that is still in place when its emergency has begun was late, if
// the rotation had all it needs for long enough before.
func (j *judge) inTime(e *Event, f *Fact) {
	if j.closing.calm.IsZero() {
		return
	}
	for env, s := range j.closing.settings {
		p, ca := s.Policy, oldest(f.Cluster)
		v := ofCluster(p, f.Cluster)
		reached := ca.Expires.Add(-p.EmergencyBeforeExpiry)
		from := laterOf(laterOf(laterOf(j.closing.calm, s.At), j.closing.since[f.Ref]),
			ca.Expires.Add(-p.RotateBeforeExpiry))
		if ca.Fingerprint == "" || s.Mode != "act" || e.At.Before(reached) || reached.Sub(from) < needs(p) ||
			!j.ample(p, f) || !v.mayEver(from) {
			continue
		}
		if b := j.ledger(env); len(b.fleet.Failures)+len(b.fleet.Tries) == 0 &&
			j.easy(f, p, reached.Add(-needs(p)), reached) {
			j.accuse(e, f.Ref, "its CA is in place when the emergency has begun, %s, although it could be rotated since %s", stampOf(reached), stampOf(from))
		}
	}
}

// needs is how long a rotation takes whose calendars are easy: two days for
// approvals, the start and what goes wrong once, nodes in a day after
// NODE_GRACE, the soak, and a week to the next completion window.
func needs(p *rules.Policy) time.Duration { return p.Soak + p.NodeGrace + 11*24*time.Hour }

// ample: limits let every cluster rotate at once, and this one waits for no
// other: it is in the first wave.
func (j *judge) ample(p *rules.Policy, f *Fact) bool {
	n := len(j.clusters)
	enough := func(limit int) bool { return limit == 0 || limit >= n }
	first := len(p.Waves) == 0 || matches(p.Waves[0].Selector.String(), f.Cluster.Labels)
	return first && p.MaxActive >= n && enough(p.MaxActivePerProject) && enough(p.MaxActivePerLocation) &&
		p.Every <= time.Hour
}
