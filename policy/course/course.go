// Package course is the one model of the future. From a cluster, the policy and what
// is measured it gives, for each coming step of a rotation, an early, a likely and a
// late time. Whatever names a future date, or asks whether something fits, reads it;
// nobody else calculates one. No gate and no phase is decided here.
//
// It knows who does what. GKE's own node work begins at once when the cluster's policy
// is open, with whichever pool takes longest, one at a time, and pauses when the window
// closes; ours begins in a run, inside the window, and goes on to its end.
package course

import (
	"fmt"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Course is all that the dates of one cluster depend on.
type Course struct {
	Policy   *rules.Policy
	Cluster  fleet.Cluster
	Rotation *record.Rotation // nil when idle
	Now      time.Time
	LastRun  time.Time // the grid of runs; zero: from now on
	// Emergency and Compromised: there may be no time to wait.
	Emergency, Compromised bool
}

// Grid keeps the answers about the future the same for a while inside an open
// window; a decision names when it may change.
const Grid = 5 * time.Minute

// Open is when the cluster's maintenance policy allows node work. Where nobody
// understands it, never; but in an emergency or a compromise the gate of that name
// is lifted, and WINDOW and the exclusions that could be read are what is left.
func (k *Course) Open() window.Schedule { return k.ours().Open(k.Policy.Window) }

// ours is the maintenance policy as far as it binds our work.
func (k *Course) ours() window.Maintenance {
	m := k.maintenance()
	if k.Policy.Exclusions == rules.ExclusionsGKEOnly {
		m.Exclusions = k.Excluding()
	}
	return m
}

// Excluding are the cluster's exclusions that bind our work.
func (k *Course) Excluding() (out []window.Exclusion) {
	for _, e := range k.Cluster.Maintenance.Exclusions {
		if k.Policy.Exclusions.Binds(e) {
			out = append(out, e)
		}
	}
	return out
}

// SetAside names the exclusions that are for GKE alone, by EXCLUSIONS; nil: none.
func (k *Course) SetAside() fact.Text {
	var names []string
	for _, e := range k.Cluster.Maintenance.Exclusions {
		if e.Blocks() && !k.Policy.Exclusions.Binds(e) {
			names = append(names, fmt.Sprintf("exclusion %q", e.Name))
		}
	}
	for _, p := range k.Cluster.Pools {
		if e := p.Exclusion; e != nil && e.Blocks() && !k.Policy.Exclusions.Binds(*e) {
			names = append(names, fmt.Sprintf("the exclusion of pool %q", p.Name))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fact.Sayf("%v: for GKE's own upgrades, not for ours: %s", fact.Set("EXCLUSIONS",
		k.Policy.Exclusions),
		fact.Some(names))
}

func (k *Course) maintenance() window.Maintenance {
	m := k.Cluster.Maintenance
	if k.Emergency || k.Compromised {
		m.Problem = ""
	}
	return m
}

// startCalendar is when the calendars together allow a start.
func (k *Course) startCalendar() window.Schedule {
	return window.All(k.Open(), k.Policy.StartWindow, k.Policy.Freezes)
}

// NextOpening is when a run may next send a start, as far as calendars tell,
// and until when that answer holds. Inside an opening, and between runs, time moves in
// steps of Grid, so that the answer is the same for a while: that of its end, the worse.
func (k *Course) NextOpening(from time.Time) (at, changes time.Time) {
	calendar := k.startCalendar()
	open, edge := window.RoomAt(calendar, from, record.Room)
	if open && k.NextRun(from).Equal(from) {
		return from, from.Add(1)
	}
	if open {
		step := from.Add(Grid - 1).Truncate(Grid)
		changes = window.Soonest(edge, step.Add(1))
		if still, _ := window.RoomAt(calendar, step, record.Room); !still {
			step = from.Truncate(Grid)
		}
		return step, changes
	}
	changes = edge
	for !edge.IsZero() && edge.Before(from.Add(window.Horizon)) {
		at = k.NextRun(edge)
		if open, edge = window.RoomAt(calendar, at, record.Room); open {
			return at, changes
		}
	}
	return time.Time{}, changes
}

// NextRun is the first scheduled run from t on, as far as the last one tells.
func (k *Course) NextRun(t time.Time) time.Time {
	f := facts{run: k.grid(t), every: max(k.Policy.Every, time.Minute)}
	return f.runAt(t)
}

// grid is one of the runs, from which the others follow.
func (k *Course) grid(t time.Time) time.Time {
	if k.LastRun.IsZero() {
		return t.Truncate(k.Policy.Every)
	}
	return k.LastRun
}

// Forecast is how a rotation goes that starts at start.
func (k *Course) Forecast(start time.Time) Forecast { return k.from(start).all(k.expires()) }

// fits says whether a start at that time does.
func (k *Course) fits(start time.Time) bool {
	f, _ := k.from(start).plot(k.expires())
	return f.Fits()
}

// from is the facts of a start.
func (k *Course) from(start time.Time) *facts {
	f := k.facts(start, k.Compromised)
	f.run, f.until = start, start.Add(rules.AutoCompleteAfter) // what comes later does not fit
	for _, p := range k.Cluster.Pools {
		f.pools = append(f.pools, Pool{Pool: p})
	}
	return f
}

// NextFit looks through the openings of the next 30 days for one that fits.
func (k *Course) NextFit() (time.Time, bool) {
	limit, calendar := k.Now.Add(rules.BlockedAfter), k.startCalendar()
	for at := k.Now; at.Before(limit); {
		start, _ := k.NextOpening(at)
		if start.IsZero() || start.After(limit) {
			return time.Time{}, false
		}
		if start.After(k.Now) && k.fits(start) {
			return start, true
		}
		// A long opening is tried once a day: its last days may fit.
		stretch, _ := calendar.Next(start)
		at = window.Later(at.Add(time.Minute), window.Earlier(stretch.End, start.Add(24*time.Hour)))
	}
	return time.Time{}, false
}

func (k *Course) expires() time.Time { return k.Cluster.Bundle.Oldest().Expires }

// facts gathers what the times hang on, as seen at now. free: at any time of day, for
// there is no time to wait.
func (k *Course) facts(now time.Time, free bool) *facts {
	p, m := k.Policy, k.maintenance()
	f := &facts{
		now: now, until: now.Add(rules.BlockedAfter), run: k.grid(now), every: max(p.Every, time.Minute),
		gke: m.Open(window.Always()), window: m.Windows(p.Window), hard: window.All(p.Freezes,
			k.ours().Outside()), binds: p.Exclusions.Binds,
		nodesByGKE: p.Nodes == rules.NodesGKE, autopilot: k.Cluster.Autopilot,
		grace: p.NodeGrace, node: p.NodeTime, overrun: p.NodeOverrun, atOnce: p.PoolsAtOnce,
		soakOver: func(handedOver, nodesDone time.Time) time.Time {
			at, _ := k.soakOver(handedOver, nodesDone)
			return at
		},
	}
	if free {
		f.gke, f.window, f.hard, f.grace = window.Always(), window.Always(), window.Always(), 0
	}
	f.completes = func(from time.Time) time.Time { return k.completesFrom(f, from) }
	return f
}

// completesFrom is the first run from t on at which the calendars allow a completion,
// or an emergency no longer waits for them.
func (k *Course) completesFrom(f *facts, t time.Time) time.Time {
	if k.Compromised {
		return f.runAt(t)
	}
	ordinary := f.next(k.completeCalendar(), t)
	expires := k.expires()
	if expires.IsZero() || !ordinary.IsZero() && !ordinary.After(expires.Add(-rules.DeadlineBefore)) {
		return ordinary
	}
	// From the emergency on, freezes and the cluster's own window are not awaited, and
	// COMPLETE_WINDOW while it opens before expiry - 3 d.
	pressed := latest(t, expires.Add(-k.Policy.EmergencyBeforeExpiry))
	at := f.runAt(pressed)
	if !k.ZonalOnly() {
		people := f.next(k.Policy.CompleteWindow, pressed)
		if !people.IsZero() && !people.After(expires.Add(-rules.EmergencyReserve)) {
			at = people
		}
	}
	if ordinary.IsZero() {
		return at
	}
	return window.Earlier(ordinary, at)
}

// ZonalOnly says whether a zonal cluster's completion ignores COMPLETE_WINDOW.
func (k *Course) ZonalOnly() bool {
	return k.Cluster.Zonal && k.Policy.ZonalComplete == rules.ZonalWindow
}

// completeCalendar is when the calendars together allow a completion.
func (k *Course) completeCalendar() window.Schedule {
	of := []window.Schedule{k.Policy.Freezes}
	if !k.ZonalOnly() {
		of = append(of, k.Policy.CompleteWindow)
	}
	if k.Cluster.Zonal && k.Policy.ZonalComplete != rules.ZonalPeople {
		of = append(of, k.Open())
	}
	return window.All(of...)
}

// SoakOver is when clients have had their time, as far as the record tells. It is
// never shortened silently: the text names the rule that gave it.
func (k *Course) SoakOver() (time.Time, fact.Text) {
	return k.soakOver(k.Rotation.HandedOverAt, k.Rotation.NodesDoneAt())
}

func (k *Course) soakOver(handedOver, nodesDone time.Time) (time.Time, fact.Text) {
	soak, why := k.Policy.Soak, fact.Set("SOAK", fleet.Days(k.Policy.Soak))
	if k.Compromised {
		soak = k.Policy.SoakCompromised
		why = fact.Set("SOAK_COMPROMISED", fleet.Days(soak))
	}
	var lateBy time.Duration // how much later than it was made the hand-over reached people
	if r := k.Rotation; r != nil && len(r.Delivery) > 0 && !k.Compromised {
		at := r.DeliveredAt(k.Now)
		if at.IsZero() {
			at = k.Now
		}
		lateBy = max(0, at.Sub(r.ToldAt()))
	}
	if k.Rotation != nil && !k.Rotation.RetoldAt.IsZero() {
		handedOver = window.Later(handedOver, k.Rotation.RetoldAt)
		if !k.Compromised {
			soak = max(soak, rules.SoakAnew)
			why = fact.Say(fleet.Days(soak))
		}
		why = fact.Sayf("%v (people were told anew)", why)
	}
	over := window.Later(handedOver.Add(soak), nodesDone.Add(min(soak, rules.NodeSoak)))
	if late := handedOver.Add(lateBy + soak); lateBy > 0 && late.After(over) {
		over, why = k.lateSoak(over, late, why)
		handedOver = handedOver.Add(lateBy)
	}
	if k.Emergency && !k.Compromised {
		reserve := k.expires().Add(-rules.EmergencyReserve)
		least := window.Later(handedOver, nodesDone).Add(rules.EmergencySoak)
		if over.After(reserve) {
			return window.Later(reserve, least), fact.Say("what is left of SOAK before the expiry")
		}
	}
	return over, why
}

// lateSoak is a soak that late delivery makes longer: no further than our last moment, but
// for the least that people get from delivery. over is when it had ended otherwise.
func (k *Course) lateSoak(over, late time.Time, why fact.Text) (time.Time, fact.Text) {
	r := k.Rotation
	last, by := k.LastMoment()
	at := r.DeliveredAt(k.Now)
	if !late.After(last) {
		return late, fact.Sayf("%v from the delivery of the hand-over", why)
	}
	cut := window.Later(over, last)
	if !at.IsZero() {
		cut = window.Later(cut, at.Add(rules.EmergencySoak))
	}
	return cut, fact.Sayf("%v from the delivery of the hand-over (cut: %v)", why, by)
}

// LastMoment is until when a hand-over that people do not have holds the completion up:
// the last completion window with room before GKE may complete, or before the expiry
// less three days, and what comes first of the two. Of a long window it is the last
// day. Zero: there is none.
func (k *Course) LastMoment() (at time.Time, by fact.Text) {
	limit, calendar := k.AutoComplete(), k.completeCalendar()
	by = fact.Sayf("GKE may complete by itself from %v", limit)
	if reserve := k.expires().Add(-rules.EmergencyReserve); reserve.Before(limit) {
		limit, by = reserve, fact.Sayf("the expiry less 3d, %v", reserve)
	}
	for t := k.Rotation.ToldAt(); t.Before(limit); {
		span, ok := calendar.Next(t)
		if !ok {
			break
		}
		begin, end := window.Later(span.Start, t), window.Earlier(span.End, limit)
		if end.Sub(begin) >= record.Room {
			at = window.Later(begin, end.Add(-24*time.Hour))
		}
		t = span.End
	}
	return at, by
}

// UsualSoak says whether the soak is the whole of SOAK, from the first hand-over.
func (k *Course) UsualSoak() bool {
	usual := *k
	r := *k.Rotation
	r.RetoldAt, r.Delivery = time.Time{}, nil
	usual.Rotation, usual.Emergency, usual.Compromised = &r, false, false
	over, _ := k.SoakOver()
	want, _ := usual.SoakOver()
	return over.Equal(want)
}

// WindowText is the window that node work keeps to, in words.
func (k *Course) WindowText() string {
	if k.Cluster.Maintenance.Window != nil {
		return k.Cluster.Maintenance.Text
	}
	return k.Policy.Window.String()
}

// ZonalText is the window that a zonal cluster's completion keeps to.
func (k *Course) ZonalText() fact.Text {
	return fact.Sayf("%v: window %v", fact.Set("ZONAL_COMPLETE", k.Policy.ZonalComplete), k.WindowText())
}
