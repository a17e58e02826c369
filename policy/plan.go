package policy

import (
	"cmp"
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/lifecycle"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Plan decides, for every cluster that was seen and every rotation on record,
// what a run at now does and why, in two steps: first each cluster by itself, then
// who of those that could start does. It is pure: the same fleet, policy and time
// give the same decisions, ordered by cluster.
func Plan(p *rules.Policy, f Fleet, run string, now time.Time) []Decision {
	all := make([]candidate, 0, len(f.Clusters)+len(f.Contents.Rotations))
	ds := make([]Decision, 0, cap(all))
	var k Case // one after the other, for a fleet has thousands, and nobody keeps it
	decide := func(c fleet.Cluster, r *record.Rotation, seen bool) {
		k = caseOf(p, c, r, &f.Contents.Fleet, run, now)
		d, who := own(&k, f, seen)
		ds, all = append(ds, d), append(all, who)
	}
	seen := make(map[fleet.Ref]bool, len(f.Clusters))
	for _, c := range f.Clusters {
		seen[c.Ref] = true
		var r *record.Rotation
		if stored, ok := f.Contents.Rotations[c.Ref]; ok {
			r = &stored
		}
		decide(c, r, true)
	}
	for ref, r := range f.Contents.Rotations {
		if !seen[ref] {
			decide(fleet.Cluster{Ref: ref, ID: r.ClusterID, Seen: now}, &r, false)
		}
	}
	t := newTally(p, &f.Contents.Fleet, now)
	for ref, r := range f.Contents.Rotations {
		if len(r.Delivery) > 0 && r.DeliveredAt(now).IsZero() && now.After(r.ToldAt()) {
			t.untold = append(t.untold, ref.String())
		}
	}
	slices.Sort(t.untold)
	t.noteUnread(f.Unread)
	deal(t, all, ds)
	slices.SortFunc(ds, func(a, b Decision) int { return a.Cluster.Ref.Compare(b.Cluster.Ref) })
	return ds
}

// own is the first step: what one cluster is and does by itself, and what the
// second step must know of it.
func own(k *Case, f Fleet, seen bool) (d Decision, c candidate) {
	if seen {
		d = k.decide(f)
	} else {
		d = k.unseen(f)
	}
	c = k.candidate()
	c.lost, c.out, c.asks = !seen, k.out, k.Rotation == nil && !k.out && d.Gates != nil
	if c.holds, c.excused = k.holdsWave(d); c.holds != "" {
		c.dueSince = k.dueSince()
		d.Pending = c.dueSince
		c.lasts = d.Action == NeedsAction || d.Reason.Info().WaitsOn == reason.OnPeople || k.held() ||
			k.Rotation != nil && (!k.Rotation.Managed || k.Rotation.Failed != "")
	}
	if !c.out {
		c.holdsEnd = k.holdsEnd()
	}
	return d, c
}

// Recheck decides once more on a fresh read, right before a call whose intent is
// stored in r: the same cluster, and the step's own table whole. The gates over the
// fleet are not asked, for the stored intent already holds their answer. The call
// may be sent only if the action is still the same.
func Recheck(p *rules.Policy, doc record.FleetDoc, r record.Rotation, kind record.CallKind, pool string,
	fresh fleet.Cluster, now time.Time) Decision {
	r = r.Clone()
	k := NewCase(p, fresh, &r, &doc, "", now)
	k.Fresh = true
	if kind != record.CallStart {
		k.observe(&r) // what the fresh operations prove
	}
	d := k.decision(Wait)
	d.Phase, d.Rotation = r.Phase, &r
	action, table := Start, StartGates
	switch kind {
	case record.CallComplete:
		action, table = Complete, CompleteGates
	case record.CallRecreate:
		action, table, k.Pool = Recreate, NodeGates, k.pool(pool)
	}
	switch {
	case fresh.ID != r.ClusterID:
		k.stay(&d, reason.ClusterRecreated, sentence(reason.ClusterRecreated))
	case !fresh.Bundle.Has(r.Baseline.CA.Fingerprint):
		k.stay(&d, reason.OneNewCA, fact.Say("the CA is no longer the baseline's"))
	case !fresh.OperationsRead:
		k.stay(&d, reason.NotReadable, fact.Say("operations could not be read"))
	case kind == record.CallRecreate && k.Pool == nil:
		k.stay(&d, reason.ClusterGone, fact.Sayf("%s is gone", fleet.PoolWords(pool)))
	default:
		d.Gates = k.Ask(table, anyGate)
		if v, ok := FirstClosed(d.Gates); ok {
			k.stay(&d, v.Reason, v.Message)
			break
		}
		d.Action, d.Pools = action, []string{pool}
	}
	return d
}

// pool finds the pool, or the control plane of an Autopilot cluster.
func (k *Case) pool(name string) *fleet.Pool {
	if name == "" && k.Cluster.Autopilot {
		return &fleet.Pool{Version: k.Cluster.Version, Etag: k.Cluster.Etag}
	}
	i := slices.IndexFunc(k.Cluster.Pools, func(p fleet.Pool) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &k.Cluster.Pools[i]
}

// decision is what every decision about the cluster begins with.
func (k *Case) decision(action Action) Decision {
	return Decision{Cluster: k.Cluster, Action: action, Due: k.Due, Wave: k.WaveName, wave: k.Wave,
		Emergency:   k.Emergency,
		Compromised: k.Compromised}
}

// decide is the decision for one cluster that was seen, by itself.
func (k *Case) decide(f Fleet) (d Decision) {
	defer lifecycle.OnIllegalMove(func(m lifecycle.IllegalMove) { d = k.refused(m) })
	d = k.decision(None)
	k.windows(&d)
	if k.Rotation != nil {
		k.inFlight(&d)
	} else {
		k.idle(&d, f)
	}
	if d.NextChange.IsZero() || !d.NextChange.After(k.Now) {
		d.NextChange = k.nextChange(d.Gates)
	}
	d.NextChange = window.Soonest(d.NextChange, k.waits)
	return d
}

// windows fills in when the cluster's maintenance policy allows node work.
func (k *Case) windows(d *Decision) {
	next, ok := k.Cluster.Maintenance.Open(k.Policy.Window).Next(k.Now)
	if !ok {
		return
	}
	d.WindowOpen = !next.Start.After(k.Now)
	d.NextWindow = &next
	if next.Start.IsZero() {
		d.NextWindow.Start = k.Now
	}
}

// nextChange is when passing time alone may first change the decision.
func (k *Case) nextChange(gates []Verdict) time.Time {
	times := ChangesOf(gates)
	if ca := k.Cluster.Bundle.Oldest(); ca.Fingerprint != "" {
		times = append(times, k.Due.At, ca.Expires.Add(-k.Policy.EmergencyBeforeExpiry),
			ca.Expires.Add(-rules.DeadlineBefore), ca.Expires)
	}
	return window.SoonestAfter(k.Now, times...)
}

// dueSince is when the cluster became due: on its way, by the CA it had.
func (k *Case) dueSince() time.Time {
	if k.Rotation == nil {
		return k.Due.At
	}
	baseline := fleet.Bundle{CAs: []fleet.CA{k.Rotation.Baseline.CA}}
	return k.Policy.DueFor(baseline, k.Policy.IssuedBefore(k.Doc.Rules, k.Now),
		k.Doc.Asked(record.RequestRotate, fleet.Cluster{Ref: k.Cluster.Ref, ID: k.Cluster.ID,
			Bundle: baseline}),
		k.Now).At
}

// holdsWave: due, or on its way, and so not verified yet: holds says why. excused says
// why one that is due keeps no wave closed: we can never rotate it.
func (k *Case) holdsWave(d Decision) (holds, excused string) {
	switch {
	case !k.Due.Is && k.Rotation == nil || d.Reason == reason.NotSelected:
		return "", ""
	case k.Rotation == nil && d.Reason.Info().Never:
		return "", string(d.Reason)
	case k.Rotation != nil && k.Rotation.ClosedBy != nil:
		return "in flight, its record closed by people", ""
	case k.Rotation != nil && !k.Rotation.Managed:
		return "in flight, started elsewhere", ""
	case k.Rotation != nil && k.Rotation.Failed != "":
		return "failed", ""
	case k.held():
		return "held", ""
	case k.Rotation != nil:
		return "in flight: " + string(k.Rotation.Phase), ""
	case d.Action == Start:
		return "starts", ""
	}
	return string(d.Reason), ""
}

// ActingOrder lists those of the decisions that act, in the order in which a run
// carries them out: what is in flight first, then starts, as slots are given to them.
func ActingOrder(ds []Decision, acts func(*Decision) bool) []*Decision {
	var order []*Decision // decisions are large, and a fleet has thousands
	for i := range ds {
		if acts(&ds[i]) {
			order = append(order, &ds[i])
		}
	}
	slices.SortStableFunc(order, func(a, b *Decision) int {
		x, y := a.candidate(), b.candidate()
		return cmp.Or(cmpBool(a.Action == Start, b.Action == Start), urgency(&x, &y))
	})
	return order
}

// candidate is what of a decision gives its place among others.
func (d *Decision) candidate() candidate {
	return candidate{pressing: pressing{emergency: d.Emergency, compromised: d.Compromised}, ref: d.Cluster.Ref,
		wave: d.wave, deadline: d.Due.Deadline,
		often: d.Due.Is && d.Tried != nil && d.Tried.Withdrawals >= record.WithdrawnOften}
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

// refused is the decision in place of one with an illegal move.
func (k *Case) refused(m lifecycle.IllegalMove) Decision {
	d := k.decision(NeedsAction)
	d.Reason, d.Message = reason.IllegalMove, m.Text()
	if k.Rotation != nil {
		r := k.Rotation.Clone()
		d.Rotation, d.Phase = &r, r.Phase
	}
	return d
}
