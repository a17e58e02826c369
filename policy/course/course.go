// Package course tells what the calendars of one cluster allow, and when: its own
// maintenance policy, the settings' windows and freezes, the grid of runs, and how
// long its nodes take. It is dates, and how
// far its nodes are; no gate and no phase is decided here.
package course

import (
	"slices"
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

// StartTakes is what the fit check allows for GKE's start operation. Nobody
// documents it; labs saw up to 15 minutes.
const StartTakes = 30 * time.Minute

// Grid keeps the fit check's answer the same for a while inside an open
// window; a decision names when it may change.
const Grid = 5 * time.Minute

// mostPoolsAtOnce is the most that POOLS_AT_ONCE=fit ever uses.
const mostPoolsAtOnce = 3

// Forecast is when a rotation started at Start would reach each step, on the
// cluster's calendar and the policy's.
type Forecast struct {
	Start, HandedOver, NodesDone, SoakOver, Completed time.Time
	PoolsAtOnce                                       int
	// Blame is nil when it fits, else what prevents it.
	Blame fact.Text
}

// NeverOpen names the calendars that together leave no opening.
func (k *Course) NeverOpen() fact.Text {
	return fact.Sayf("window %v, %v, exclusions and freezes leave no opening for a start within 400 days",
		k.WindowText(), fact.Set("START_WINDOW", k.Policy.StartWindow))
}

// startCalendar is when the calendars together allow a start.
func (k *Course) startCalendar() window.Schedule {
	return window.All(k.Open(), k.Policy.StartWindow, k.Policy.Freezes)
}

// NextOpening is when a run may next send a start, as far as calendars tell,
// and until when that answer holds. Inside an opening time moves in steps of
// Grid, so that the answer is the same for a while.
func (k *Course) NextOpening(from time.Time) (at, changes time.Time) {
	calendar := k.startCalendar()
	open, edge := window.RoomAt(calendar, from, record.Room)
	if open {
		step := from.Truncate(Grid)
		return step, window.Soonest(edge, step.Add(Grid))
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
	last := k.LastRun
	if last.IsZero() {
		last = t.Truncate(k.Policy.Every)
	}
	if !t.After(last) {
		return last.Add(-(last.Sub(t) / k.Policy.Every) * k.Policy.Every)
	}
	return k.RunAt(last, t)
}

// NextFit looks through the openings of the next 30 days for one that fits.
func (k *Course) NextFit() (time.Time, bool) {
	limit, calendar := k.Now.Add(rules.BlockedAfter), k.startCalendar()
	for at := k.Now; at.Before(limit); {
		start, _ := k.NextOpening(at)
		if start.IsZero() || start.After(limit) {
			return time.Time{}, false
		}
		if start.After(k.Now) && len(k.Forecast(start).Blame) == 0 {
			return start, true
		}
		// A long opening is tried once a day: its last days may fit.
		stretch, _ := calendar.Next(start)
		at = window.Later(at.Add(time.Minute), window.Earlier(stretch.End, start.Add(24*time.Hour)))
	}
	return time.Time{}, false
}

// Forecast plays a rotation that starts at start through the calendars, in
// steps of EVERY as the job would.
func (k *Course) Forecast(start time.Time) Forecast {
	f := Forecast{Start: start}
	limit := start.Add(rules.AutoCompleteAfter)
	if expires := k.Cluster.Bundle.Oldest().Expires; expires.Before(limit) {
		limit = expires
	}
	f.HandedOver = k.RunAt(start, start.Add(StartTakes))
	for n := 1; n <= mostPoolsAtOnce; n++ {
		if k.Policy.PoolsAtOnce > 0 {
			n = k.Policy.PoolsAtOnce
		}
		f.PoolsAtOnce, f.Blame = n, nil
		k.finish(&f, limit)
		if len(f.Blame) == 0 || k.Policy.PoolsAtOnce > 0 || k.Policy.Nodes == rules.NodesGKE {
			break
		}
	}
	return f
}

// finish fills in nodes, soak and completion for f.PoolsAtOnce.
func (k *Course) finish(f *Forecast, limit time.Time) {
	var slowest fact.Text
	f.NodesDone, slowest = k.nodesDone(f.Start, f.HandedOver, f.PoolsAtOnce, limit, k.Cluster.Pools)
	if f.NodesDone.IsZero() || f.NodesDone.After(limit) {
		f.Blame = fact.Sayf("the nodes would not be recreated by %v, GKE's seven days or the expiry: %v",
			limit, slowest)
		return
	}
	f.SoakOver = soaked(k.Policy.Soak, f.HandedOver, f.NodesDone)
	f.Completed = k.completionAt(f.Start, f.SoakOver)
	if f.Completed.IsZero() || !f.Completed.Before(limit) {
		var nodes fact.Text
		if f.SoakOver.After(f.HandedOver.Add(k.Policy.Soak)) && len(slowest) > 0 {
			nodes = fact.Sayf("nodes done %v (%v); ", f.NodesDone, slowest)
		}
		f.Blame = fact.Sayf("%vafter %v, over %v, no completion window (%v%v) opens before %v",
			nodes, fact.Set("SOAK",
				fleet.Days(k.Policy.Soak)), f.SoakOver, k.completeText(), k.FreezeNote(f.SoakOver, limit), limit)
	}
}

// completeText names what shuts the completion: where two calendars must meet,
// both, and how often a run is there to see them meet.
func (k *Course) completeText() fact.Text {
	people, own := fact.Set("COMPLETE_WINDOW", k.Policy.CompleteWindow), k.ZonalText()
	switch {
	case !k.Cluster.Zonal || k.Policy.ZonalComplete == rules.ZonalPeople:
		return people
	case k.ZonalOnly():
		return own
	}
	return fact.Sayf("%v; %v; EVERY=%s", people, own, fleet.Days(k.Policy.Every))
}

// ZonalText is the window that a zonal cluster's completion keeps to.
func (k *Course) ZonalText() fact.Text {
	return fact.Sayf("%v: window %v", fact.Set("ZONAL_COMPLETE", k.Policy.ZonalComplete), k.WindowText())
}

// FreezeNote names the freezes, if one falls between the times.
func (k *Course) FreezeNote(from, to time.Time) fact.Text {
	if window.OpenTime(k.Policy.Freezes, window.Span{Start: from, End: to}) < to.Sub(from) {
		return fact.Sayf(", %v", fact.Set("FREEZES", k.Policy.Freezes))
	}
	return nil
}

// RunAt is the first run at or after t, of runs every EVERY since start.
func (k *Course) RunAt(start, t time.Time) time.Time {
	if !t.After(start) {
		return start
	}
	n := (t.Sub(start) + k.Policy.Every - 1) / k.Policy.Every
	return start.Add(n * k.Policy.Every)
}

// completionAt is the first run at which completion is allowed from t on.
func (k *Course) completionAt(start, t time.Time) time.Time {
	// What opens after GKE's seven days is of no use, and calendars that never
	// meet would be followed for 400 days.
	after := window.Span{Start: start.Add(rules.AutoCompleteAfter + record.Room), End: window.Forever}
	s := window.All(window.Except(after), k.completeCalendar())
	return k.roomFrom(s, start, k.RunAt(start, t), start.Add(rules.AutoCompleteAfter))
}

// nodesDone is when the pools would be recreated, at most n at once, and which
// pool or calendar takes longest. Zero: not before limit.
func (k *Course) nodesDone(started, handedOver time.Time, n int, limit time.Time,
	pools []fleet.Pool) (time.Time, fact.Text) {
	if len(pools) == 0 {
		return handedOver, nil
	}
	if k.Policy.Nodes == rules.NodesGKE {
		n = 1 // GKE works on one pool at a time
	}
	pools = slices.Clone(pools)
	slices.SortStableFunc(pools, func(a, b fleet.Pool) int { return int(k.PoolTime(b) - k.PoolTime(a)) })
	lanes := slices.Repeat([]time.Time{k.graceOver(started, handedOver)}, n) // when each place is free
	var done time.Time
	var last fact.Text
	for _, pool := range pools {
		lane := slices.Index(lanes, slices.MinFunc(lanes, time.Time.Compare))
		begin := k.roomFrom(k.poolCalendar(pool), started, lanes[lane], limit)
		if begin.IsZero() {
			return time.Time{}, fact.Sayf("pool %q finds no opening for its %s of work in window %s%v%v",
				pool.Name, fleet.Days(k.PoolTime(pool)),
				k.WindowText(), k.FreezeNote(started, limit),
				k.exclusionNote(pool, window.Span{Start: started, End: limit}))
		}
		end := begin.Add(k.PoolTime(pool))
		lanes[lane] = k.RunAt(started, end)
		if end.After(done) {
			done, last = end, fact.Sayf("pool %q takes %s", pool.Name, fleet.Days(k.PoolTime(pool)))
		}
		if end.After(limit) {
			return time.Time{}, fact.Sayf("pool %q needs %s (%d nodes, surge %d, %v)",
				pool.Name, fleet.Days(k.PoolTime(pool)), pool.Nodes, pool.Surge(), fact.Set("NODE_TIME",
					fleet.Days(k.Policy.NodeTime)))
		}
	}
	return done, last
}

// WindowText is the window that GKE keeps to, in words.
func (k *Course) WindowText() string {
	if k.Cluster.Maintenance.Window != nil {
		return k.Cluster.Maintenance.Text
	}
	return k.Policy.Window.String()
}

func (k *Course) exclusionNote(pool fleet.Pool, in window.Span) fact.Text {
	if s, is := pool.Excluded(); is && s.Start.Before(in.End) && s.End.After(in.Start) {
		return fact.Sayf(", with an exclusion of its own until %v", s.End)
	}
	for _, e := range k.Cluster.Maintenance.Exclusions {
		if s := e.Stretch(); e.Blocks() && s.Start.Before(in.End) && s.End.After(in.Start) {
			return fact.Sayf(", with exclusion %q until %v", e.Name, s.End)
		}
	}
	return nil
}

// graceOver is the first run from which we may recreate pools ourselves.
func (k *Course) graceOver(started, handedOver time.Time) time.Time {
	if k.Policy.NodeGrace == 0 || k.Policy.Nodes == rules.NodesGKE {
		return handedOver
	}
	at := k.AfterOpenTime(started, k.Policy.NodeGrace)
	if at.IsZero() {
		return started.Add(rules.AutoCompleteAfter)
	}
	return window.Later(handedOver, k.RunAt(started, at))
}

// AfterOpenTime is when need of the cluster's open time has passed since from;
// zero if not within GKE's seven days.
func (k *Course) AfterOpenTime(from time.Time, need time.Duration) time.Time {
	s, limit := k.Open(), from.Add(rules.AutoCompleteAfter)
	for at := from; at.Before(limit); {
		next, ok := s.Next(at)
		if !ok || !next.Start.Before(limit) {
			return time.Time{}
		}
		begin := window.Later(next.Start, at)
		have := next.End.Sub(begin)
		if have >= need {
			return begin.Add(need)
		}
		need -= have
		at = next.End
	}
	return time.Time{}
}

// poolCalendar is when the pool's work may begin. GKE keeps to the cluster's own
// policy and knows no freeze.
func (k *Course) poolCalendar(pool fleet.Pool) window.Schedule {
	of := []window.Schedule{k.Open()}
	if k.Policy.Nodes != rules.NodesGKE {
		of = append(of, k.Policy.Freezes)
	}
	if excluded, is := pool.Excluded(); is {
		of = append(of, window.Except(excluded))
	}
	return window.All(of...)
}

// roomFrom is the first run from the one at t on, of runs since start, at which the
// schedule has room for a call; zero: none before limit.
func (k *Course) roomFrom(s window.Schedule, start, t, limit time.Time) time.Time {
	for at := t; at.Before(limit); {
		open, edge := window.RoomAt(s, at, record.Room)
		switch {
		case open:
			return at
		case edge.IsZero():
			return time.Time{}
		}
		at = k.RunAt(start, edge)
	}
	return time.Time{}
}

// PoolTime is how long recreating the pool takes: NODE_TIME for each group of
// surge nodes, and a blue-green pool's own soak.
func (k *Course) PoolTime(pool fleet.Pool) time.Duration {
	groups := (pool.Nodes + pool.Surge() - 1) / pool.Surge()
	d := time.Duration(max(groups, 1)) * k.Policy.NodeTime
	if pool.BlueGreen {
		d += pool.PoolSoak
	}
	return d
}
