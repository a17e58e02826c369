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

// candidate is all that the second step knows of a cluster: it reads none itself.
type candidate struct {
	pressing
	ref      fleet.Ref
	wave     int
	deadline time.Time // see [rules.Due.Deadline]
	dueSince time.Time
	often    bool      // its calls were taken back too often to be an accident
	lost     bool      // on record, and not seen by this run
	out      bool      // a First gate is closed: it takes no part
	asks     bool      // idle, and asks the fleet gates
	holds    string    // why it is not verified, and so keeps later waves closed
	lasts    bool      // people end that, and not time
	excused  string    // why it is not verified, and yet keeps no wave closed
	holdsEnd time.Time // when holds on it run out, in so far as they do
}

// candidate is what the case alone says.
func (k *Case) candidate() candidate {
	c := candidate{
		pressing: k.pressing(), ref: k.Cluster.Ref, wave: k.Wave,
		dueSince: k.Due.At, deadline: k.Due.Deadline,
	}
	if k.Due.Is {
		t := k.Doc.Tried(k.Cluster)
		c.often = t != nil && t.Withdrawals >= record.WithdrawnOften
	}
	return c
}

// deal is the second step: it asks the fleet gates, of what waits anyway as the
// store has them, then of what would start, in order of urgency, counting slots as
// it gives them away. all and ds are of the same clusters in the same order.
func deal(t *tally, all []candidate, ds []Decision) {
	for i := range all {
		t.noteWave(&all[i])
	}
	changes := wavesChange(all, ds)
	contested := time.Time{} // when somebody may join or leave the contest
	for i := range all {
		if !all[i].out && !all[i].lost {
			contested = window.Soonest(contested, ds[i].NextChange)
		}
	}
	var contenders []int
	for i := range all {
		switch c := &all[i]; {
		case !c.asks:
		case ds[i].Action == Start:
			contenders = append(contenders, i)
		default:
			t.ask(c, &ds[i], changes[c.wave])
		}
	}
	for i := range all {
		if ds[i].Slot == SlotTake { // adopted ones enter without asking and count
			t.take(all[i].ref, all[i].emergency, all[i].compromised)
		}
	}
	slices.SortFunc(contenders, func(a, b int) int { return urgency(&all[a], &all[b]) })
	for _, i := range contenders {
		t.contend(&all[i], &ds[i], window.Soonest(contested, changes[all[i].wave]))
	}
}

// ask puts the fleet gates' questions after the cluster's own, and gives their
// verdicts; changes is when another cluster may change one.
func (t *tally) ask(c *candidate, d *Decision, changes time.Time) []Verdict {
	before := len(d.Gates)
	d.NextChange = window.Soonest(d.NextChange, changes)
	for _, g := range FleetGates {
		v := c.named(g.Name, g.Ask(c, t), g.Emergency, g.Compromised)
		if v.Changes.After(t.now) {
			d.NextChange = window.Soonest(d.NextChange, v.Changes)
		}
		d.Gates = append(d.Gates, v)
	}
	return d.Gates[before:]
}

// contend asks the fleet gates of a cluster that would start, and takes a slot
// for it if they are open.
func (t *tally) contend(c *candidate, d *Decision, contested time.Time) {
	answers := t.ask(c, d, contested)
	if v, ok := FirstClosed(answers); ok {
		d.Action, d.Reason, d.Message, d.Approved, d.On = Wait, v.Reason, v.Message, nil, v.On
		if v.Reason == reason.BreakerOpen {
			d.Action = NeedsAction
		}
		return
	}
	for _, v := range answers { // which slot, and what went before it
		d.Message = fact.Join(d.Message, v.Message)
	}
	if t.doc.OpenWaves != nil {
		d.WaveOpened = t.opened(c, t.shut(c))
	}
	t.take(c.ref, c.emergency, c.compromised)
}

// wavesChange is, for each wave, when a decision about an earlier one may
// change and with it who keeps the wave closed.
func wavesChange(all []candidate, ds []Decision) map[int]time.Time {
	last := 0
	own, out := map[int]time.Time{}, map[int]time.Time{}
	for i := range all {
		c := &all[i]
		if c.lost { // of whatever wave: it is rare
			out[0] = window.Soonest(out[0], ds[i].NextChange)
			continue
		}
		last = max(last, c.wave)
		own[c.wave] = window.Soonest(own[c.wave], ds[i].NextChange, c.holdsEnd)
	}
	for w := 1; w <= last; w++ {
		out[w] = window.Soonest(out[w-1], own[w-1])
	}
	return out
}

// MoreUrgent orders cases as their starts are ordered.
func MoreUrgent(a, b *Case) int {
	x, y := a.candidate(), b.candidate()
	return urgency(&x, &y)
}

// urgency orders starts: compromised, emergency, then wave, deadline, name; and behind
// all of them those whose calls were taken back too often.
func urgency(a, b *candidate) int {
	return cmp.Or(cmpBool(a.often, b.often), -cmpBool(a.compromised, b.compromised),
		-cmpBool(a.emergency, b.emergency),
		cmp.Compare(a.wave, b.wave),
		a.deadline.Compare(b.deadline),
		a.ref.Compare(b.ref),
	)
}
