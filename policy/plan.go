package policy

import (
	"cmp"
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

// Plan decides, for every cluster that was seen and every rotation on record,
// what a run at now does and why. It is pure: the same fleet, policy and time
// give the same decisions, ordered by cluster.
func Plan(p *Policy, f Fleet, run string, now time.Time) []Decision {
	tally := newTally(&f.Book.Fleet)
	cases := make([]*Case, 0, len(f.Clusters))
	ds := make([]Decision, 0, len(f.Clusters)+len(f.Book.Rotations))
	seen := make(map[fleet.Ref]bool, len(f.Clusters))
	for _, c := range f.Clusters {
		seen[c.Ref] = true
		var r *record.Rotation
		if stored, ok := f.Book.Rotations[c.Ref]; ok {
			r = &stored
		}
		k := newCase(p, c, r, &f.Book.Fleet, run, now)
		k.Tally = tally
		cases = append(cases, k)
		ds = append(ds, k.decide(f))
	}
	var lost []Decision
	for ref, r := range f.Book.Rotations {
		if !seen[ref] {
			k := newCase(p, fleet.Cluster{Ref: ref, ID: r.ClusterID, Seen: now}, &r, &f.Book.Fleet, run, now)
			d := k.unseen(f)
			d.NextChange = soonest(d.NextChange, k.holdsEnd()) // then it keeps its wave shut
			lost = append(lost, d)
			tally.noteWave(k, d)
		}
	}
	for i, k := range cases {
		tally.noteWave(k, ds[i])
	}
	dealOut(cases, ds, lost)
	ds = append(ds, lost...)
	slices.SortFunc(ds, func(a, b Decision) int { return a.Cluster.Ref.Compare(b.Cluster.Ref) })
	return ds
}

// Again decides once more on a fresh read, right before a call whose intent is
// stored in r: the same cluster, the same gates but those over the fleet,
// whose answer the stored intent already holds. The call may be sent only if
// the action is still the same.
func Again(p *Policy, doc record.FleetDoc, r record.Rotation, kind record.CallKind, pool string, fresh fleet.Cluster, now time.Time) Decision {
	r = r.Clone()
	k := newCase(p, fresh, &r, &doc, "", now)
	k.Fresh = true
	if kind != record.CallStart {
		k.absorb(&r) // what the fresh operations prove
	}
	d := Decision{Cluster: fresh, Phase: r.Phase, Action: Wait, Due: k.Due, Emergency: k.Emergency, Urgent: k.Urgent, Rotation: &r}
	switch {
	case fresh.ID != r.ClusterID:
		d.Reason, d.Message = reason.ClusterRecreated, sentence(reason.ClusterRecreated)
		return d
	case fresh.Bundle.Oldest().Fingerprint != r.Baseline.CA.Fingerprint:
		d.Reason, d.Message = reason.OneNewCA, fact.Say("the CA is no longer the baseline's")
		return d
	case !fresh.OperationsRead:
		d.Reason, d.Message = reason.NotReadable, fact.Say("operations could not be read")
		return d
	}
	action := Start
	switch kind {
	case record.CallStart:
		d.Gates = k.ask(StartGates, freshGate)
	case record.CallComplete:
		action = Complete
		d.Gates = k.ask(CompleteGates, freshGate)
	case record.CallRecreate:
		action = Recreate
		k.Pool = k.pool(pool)
		if k.Pool == nil {
			d.Reason, d.Message = reason.ClusterGone, fact.Sayf("pool %s is gone", pool)
			return d
		}
		d.Gates = k.ask(NodeGates, freshGate)
	}
	if v, ok := firstShut(d.Gates); ok {
		d.Reason, d.Message = v.Reason, v.Message
		return d
	}
	d.Action, d.Pools = action, []string{pool}
	return d
}

// pool finds the pool, or the control plane of an Autopilot cluster.
func (k *Case) pool(name string) *fleet.Pool {
	if name == "" && k.Cluster.Autopilot {
		return &fleet.Pool{Version: k.Cluster.Version, Etag: k.Cluster.Etag}
	}
	for i := range k.Cluster.Pools {
		if k.Cluster.Pools[i].Name == name {
			return &k.Cluster.Pools[i]
		}
	}
	return nil
}

// decide is the decision for one cluster, without regard to the others.
func (k *Case) decide(f Fleet) (d Decision) {
	defer onIllegalMove(func(m illegalMove) { d = k.refused(m) })
	d = Decision{Cluster: k.Cluster, Action: None, Due: k.Due, Wave: k.WaveName, Emergency: k.Emergency, Urgent: k.Urgent}
	k.windows(&d)
	if k.Rotation != nil {
		k.inFlight(&d)
	} else {
		k.idle(&d, f)
	}
	if d.NextChange.IsZero() || !d.NextChange.After(k.Now) {
		d.NextChange = soonest(k.changes(d.Gates)...)
	}
	return d
}

// windows fills in when the cluster's maintenance policy allows node work.
func (k *Case) windows(d *Decision) {
	next, ok := k.Cluster.Maintenance.Open(k.Policy.Window).Next(k.Now)
	if !ok {
		return
	}
	d.WindowOpen = !next.Start.After(k.Now)
	d.NextWindow = &window.Span{Start: next.Start, End: next.End}
	if next.Start.IsZero() {
		d.NextWindow.Start = k.Now
	}
}

// changes lists the times at which passing time alone may change the decision.
func (k *Case) changes(gates []Verdict) []time.Time {
	var ts []time.Time
	add := func(t time.Time) {
		if t.After(k.Now) {
			ts = append(ts, t)
		}
	}
	for _, g := range gates {
		add(g.Changes)
	}
	if ca := k.Cluster.Bundle.Oldest(); ca.Fingerprint != "" {
		add(k.Due.At)
		add(ca.Expires.Add(-k.Policy.EmergencyBeforeExpiry))
		add(ca.Expires.Add(-DeadlineBefore))
		add(ca.Expires)
	}
	return ts
}

// dueSince is when the cluster became due: on its way, by the CA it had.
func (k *Case) dueSince() time.Time {
	if k.Rotation == nil {
		return k.Due.At
	}
	baseline := fleet.Bundle{CAs: []fleet.CA{k.Rotation.Baseline.CA}}
	return k.Policy.due(baseline, k.Doc.Asked(record.RequestRotate, fleet.Cluster{Ref: k.Cluster.Ref, ID: k.Cluster.ID, Bundle: baseline}), k.Now).At
}

// holdsWave: due and startable, or on its way, and so not verified yet. excused
// says why one that is due and not verified keeps no wave shut.
func (k *Case) holdsWave(d Decision) (holds bool, excused string) {
	if !k.Due.Is && k.Rotation == nil || d.Reason == reason.NotSelected {
		return false, ""
	}
	switch {
	case k.held():
		return false, "held"
	case k.Rotation != nil && !k.Rotation.Carry:
		return false, "watched"
	case d.Close == record.Lost:
		return false, "lost"
	case d.Action == People:
		return false, string(d.Reason)
	}
	return k.Rotation != nil || d.Action == Start || d.Action == Wait, ""
}

// dealOut asks the fleet gates: of what waits anyway as the book has them, then
// of what would start, in order of urgency, counting slots as it gives them
// away.
func dealOut(cases []*Case, ds, lost []Decision) {
	var waiting, contenders []int
	for i, k := range cases {
		switch {
		case k.Rotation != nil || k.out || ds[i].Gates == nil:
		case ds[i].Action == Start:
			contenders = append(contenders, i)
		default:
			waiting = append(waiting, i)
		}
	}
	changes := wavesChange(cases, ds, lost)
	contested := time.Time{} // when somebody may join or leave the contest
	for i, k := range cases {
		if !k.out || k.Rotation != nil {
			contested = soonest(contested, ds[i].NextChange)
		}
	}
	for _, i := range waiting {
		k, d := cases[i], &ds[i]
		fleet := k.askFleet(d)
		d.NextChange = soonest(append(k.changes(fleet), d.NextChange, changes[k.Wave])...)
	}
	for i, k := range cases {
		if ds[i].Slot == SlotTake { // adopted ones enter without asking and count
			k.Tally.take(k.Cluster.Ref, k.Emergency, k.Urgent)
		}
	}
	slices.SortFunc(contenders, func(a, b int) int { return urgency(cases[a], cases[b]) })
	for _, i := range contenders {
		cases[i].contend(&ds[i], soonest(contested, changes[cases[i].Wave]))
	}
}

// askFleet asks the fleet gates and gives their verdicts.
func (k *Case) askFleet(d *Decision) []Verdict {
	own := len(d.Gates)
	d.Gates = k.ask(StartGates, fleetGate, d.Gates...)
	return d.Gates[own:]
}

// contend asks the fleet gates of a cluster that would start, and takes a slot
// for it if they are open.
func (k *Case) contend(d *Decision, contested time.Time) {
	fleet := k.askFleet(d)
	d.NextChange = soonest(append(k.changes(fleet), d.NextChange, contested)...)
	if v, ok := firstShut(fleet); ok {
		d.Action, d.Reason, d.Message, d.Approved = Wait, v.Reason, v.Message, nil
		if v.Reason == reason.BreakerOpen {
			d.Action = People
		}
		return
	}
	d.Message = fact.Join(d.Message, fleet[len(fleet)-1].Message) // which slot
	k.Tally.take(k.Cluster.Ref, k.Emergency, k.Urgent)
}

// wavesChange is, for each wave, when a decision about an earlier one may
// change and with it who keeps the wave shut.
func wavesChange(cases []*Case, ds, lost []Decision) map[int]time.Time {
	last := 0
	for _, k := range cases {
		last = max(last, k.Wave)
	}
	own, out := map[int]time.Time{}, map[int]time.Time{}
	for i, k := range cases {
		own[k.Wave] = soonest(own[k.Wave], ds[i].NextChange)
		if !k.out {
			own[k.Wave] = soonest(own[k.Wave], k.holdsEnd())
		}
	}
	for _, d := range lost { // of whatever wave: it is rare
		out[0] = soonest(out[0], d.NextChange)
	}
	for w := 1; w <= last; w++ {
		out[w] = soonest(out[w-1], own[w-1])
	}
	return out
}

// urgency orders starts: urgent, emergency, then wave, deadline, name; and behind
// all of them those whose calls were taken back too often.
func urgency(a, b *Case) int {
	often := func(k *Case) bool {
		t := k.Doc.Tried(k.Cluster)
		return t != nil && t.Withdrawals >= record.WithdrawnOften
	}
	return cmp.Or(
		cmpBool(often(a), often(b)),
		-cmpBool(a.Urgent, b.Urgent),
		-cmpBool(a.Emergency, b.Emergency),
		cmp.Compare(a.Wave, b.Wave),
		a.Due.Deadline.Compare(b.Due.Deadline),
		a.Cluster.Ref.Compare(b.Cluster.Ref),
	)
}

func cmpBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// ActingOrder lists those of the decisions that act, in the order in which a run
// carries them out: what is in flight first, then starts by urgency.
func ActingOrder(ds []Decision, acts func(*Decision) bool) []*Decision {
	var order []*Decision // decisions are large, and a fleet has thousands
	for i := range ds {
		if acts(&ds[i]) {
			order = append(order, &ds[i])
		}
	}
	slices.SortStableFunc(order, func(a, b *Decision) int {
		return cmp.Or(
			cmpBool(a.Action == Start, b.Action == Start),
			-cmpBool(a.Urgent, b.Urgent),
			-cmpBool(a.Emergency, b.Emergency),
			a.Due.Deadline.Compare(b.Due.Deadline),
			a.Cluster.Ref.Compare(b.Cluster.Ref),
		)
	})
	return order
}
