package trial

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/state"
)

// mostAtOnce is how many passes of one deployment there are at one time.
const mostAtOnce = 4

// deployment is one installation: its store, its settings, its schedule.
type deployment struct {
	p        *play
	policy   *rules.Policy
	mode     string
	contents *state.Memory
	heard    Heard
	// deafUntil is when its receiver can be reached again.
	deafUntil time.Time
	paused    time.Time // no runs are scheduled before
	minute    time.Duration
	// Before calmUntil nothing changes unless something happens.
	quietUntil time.Time
}

// deploy makes the deployments. The second one has a store of its own, and its
// projects are partly the first one's.
func (p *play) deploy() error {
	first, err := p.drawPolicy("one")
	if err != nil {
		return err
	}
	first.Projects = slices.Clone(p.fleet.projects)
	p.deployments = []*deployment{{p: p, policy: first, mode: "act", contents: state.NewMemory(p.Seed%4 == 0),
		minute: p.between(0, time.Hour)}}
	if p.rates.moods && p.likely(0.3) {
		p.deployments[0].mode = "observe"
	}
	if !p.rates.second {
		return nil
	}
	other, err := p.drawPolicy("two")
	if err != nil {
		return err
	}
	other.Projects = p.fleet.projects[:1]
	p.deployments = append(p.deployments, &deployment{p: p, policy: other, mode: pick(p, "act", "observe"),
		contents: state.NewMemory(false), minute: p.between(0, time.Hour)})
	p.fault("second deployment")
	return nil
}

// schedule puts all that comes by itself on the agenda.
func (p *play) schedule() {
	for _, d := range p.deployments {
		p.in(d.minute%d.policy.Every, d.tick)
		if p.rates.skipDays && p.Faults {
			p.at(p.Begin.Add(p.between(day, p.Calm.Sub(p.Begin)-5*day)), d.rest)
		}
		if p.rates.moods {
			p.in(p.between(day, 15*day), d.change)
		}
	}
	if p.Faults {
		p.in(p.between(time.Hour, p.rates.outside), p.meddle)
		p.at(p.Calm, p.becalm)
	} else {
		p.becalm()
	}
	if p.rates.growing {
		p.in(2*day, p.grow)
	}
	for _, d := range p.deployments {
		p.in(p.between(time.Hour, p.rates.people), d.people)
	}
	p.in(30*time.Minute, p.answer)
	if p.owners.busy {
		p.in(12*time.Hour, p.owners.act)
	}
}

// becalm ends all troubles: the last part of a play shows that all ends well.
func (p *play) becalm() {
	p.calm = true
	for i, d := range p.deployments {
		d.paused = time.Time{}
		d.mode = "act"
		if i > 0 {
			d.mode = "observe"
		}
		if p.Faults || p.Seed%2 == 0 { // promise 9 speaks of ample limits
			d.set(func(x *rules.Policy) { p.soothe(x) })
		}
	}
	p.owners.rest()
	p.tell(&Event{Kind: Calm})
}

// tick is the scheduler: a run is due, and the next is planned.
func (d *deployment) tick() {
	p := d.p
	p.in(d.policy.Every, d.tick)
	if p.now.Before(d.paused) {
		return
	}
	if p.skips && len(p.live) == 0 && p.underway == 0 && p.now.Add(time.Minute).Before(d.quietUntil) {
		p.out.Skipped++
		return
	}
	late := time.Duration(0)
	if p.Faults { // else leaving runs out would move the others by seconds, and so over an edge
		late = p.between(0, 20*time.Second)
	}
	p.in(late, d.run)
	if p.sometimes(p.rates.together) {
		p.fault("started again beside the scheduled run")
		for range 1 + p.dice.IntN(2) {
			p.in(late+p.between(0, pick(p, 5*time.Second, 10*time.Minute)), d.run)
		}
	}
	if p.sometimes(p.rates.plan) || p.calm && p.likely(0.002) {
		p.in(late+p.between(0, 10*time.Minute), func() { p.begin(d, true, "", 0) })
	}
}

// run begins a run, unless too many are at work.
func (d *deployment) run() {
	if d.liveRuns() < mostAtOnce {
		d.p.begin(d, false, "", 0)
	}
}

func (d *deployment) liveRuns() int {
	n := 0
	for _, x := range d.p.live {
		if x.dep == d {
			n++
		}
	}
	return n
}

// rest is a schedule that is paused for days.
func (d *deployment) rest() {
	d.paused = d.p.now.Add(d.p.between(day, 5*day))
	d.p.fault("schedule paused for days")
}

// set gives the deployment other settings, from the next run on.
func (d *deployment) set(change func(*rules.Policy)) {
	next := *d.policy
	change(&next)
	d.policy = &next
	d.quietUntil = time.Time{}
	d.p.tell(&Event{Kind: Settings, Env: next.Env, Policy: d.policy, Mode: d.mode})
}

// change is somebody who changes the settings.
func (d *deployment) change() {
	p := d.p
	if p.calm {
		return
	}
	p.in(p.between(2*day, 15*day), d.change)
	fresh, err := p.drawPolicy(d.policy.Env)
	if err != nil {
		return
	}
	switch p.dice.IntN(5) {
	case 0:
		d.mode = pick(p, "act", "act", "observe")
		p.fault("mode changed")
		d.set(func(*rules.Policy) {})
	case 1, 2:
		p.fault("projects changed")
		d.set(func(x *rules.Policy) {
			x.Projects = slices.Clone(p.fleet.projects)
			if len(x.Projects) > 1 && p.likely(0.6) {
				at := p.dice.IntN(len(x.Projects))
				x.Projects = slices.Delete(x.Projects, at, at+1)
			}
		})
	default:
		p.fault("settings changed")
		d.set(func(x *rules.Policy) {
			fresh.Projects = x.Projects
			*x = *fresh
		})
	}
}

// stir says that something has happened: what runs would have left out is to be
// looked at again.
func (p *play) stir() {
	for _, d := range p.deployments {
		d.quietUntil = time.Time{}
	}
}

// quiet takes in a run that ended by itself: until when nothing changes.
func (d *deployment) quiet(x *process) {
	d.quietUntil = time.Time{}
	if !d.p.skips || x.err != nil || x.Look || x.res.Busy != "" || x.res.Stopped != "" || len(x.res.Done) > 0 ||
		len(x.res.Fleet.Unread) > 0 || x.Policy != d.policy || x.Mode != d.mode {
		return
	}
	until := d.p.End
	for _, dec := range x.res.Decisions {
		if !dec.NextChange.IsZero() && dec.NextChange.Before(until) {
			until = dec.NextChange
		}
		if !dec.Cluster.Seen.IsZero() && len(dec.Cluster.Operations) > 0 && dec.Rotation != nil {
			return // what is in flight is looked at every time
		}
	}
	if x.dep.contents.Stamp() != x.read {
		return // somebody wrote since
	}
	d.quietUntil = until.Add(-record.Skew)
}

// wrote takes in what was written into the store.
func (d *deployment) wrote(c state.Change) {
	if c.Rotation != nil || c.Close != nil {
		d.quietUntil = time.Time{}
	}
	if c.Close == nil {
		return
	}
	if d.p.out.Closed == nil {
		d.p.out.Closed = map[record.ClosedAs]int{}
	}
	d.p.out.Closed[c.Close.ClosedAs]++
}

// say is a person who says something to the store, as the commands do.
func (d *deployment) say(what string, ref fleet.Ref,
	change func(b record.Contents, said record.Said) (record.FleetDoc, string, error)) bool {
	b, err := d.contents.Contents(context.Background())
	if err != nil {
		return false
	}
	said := record.Said{By: "ann", Reason: what, At: d.p.now.Add(d.p.between(-record.Skew/2, record.Skew/2)),
		Run: fmt.Sprintf("said-%d", d.p.events)}
	doc, text, err := change(b, said)
	if err != nil {
		return false
	}
	doc.Env = d.policy.Env
	c := state.Change{Fleet: &doc}
	now, err := d.contents.Write(context.Background(), c)
	if err != nil {
		return false
	}
	d.quietUntil = time.Time{}
	d.p.tell(&Event{Kind: Person, Env: d.policy.Env, Cluster: ref, Text: what + ": " + text,
		Write: &Write{Asked: c, Now: now, Applied: true}})
	return true
}
