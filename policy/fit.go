package policy

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

// startTakes is what the fit check allows for GKE's start operation. Nobody
// documents it; labs saw up to 15 minutes.
const startTakes = 30 * time.Minute

// fitGrid keeps the fit check's answer the same for a while inside an open
// window; see [Decision.NextChange].
const fitGrid = 5 * time.Minute

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

// askFit asks whether a rotation that starts at the next opening fits into
// GKE's seven days.
func askFit(k *Case) Verdict {
	start, changes := k.nextOpening(k.Now)
	if start.IsZero() {
		return closedBy(reason.DoesNotFit, k.neverOpen(), time.Time{})
	}
	f := k.forecast(start)
	if len(f.Blame) == 0 {
		return isOpen(fact.Sayf("nodes done about %v, completion about %v", f.NodesDone, f.Completed),
			changes)
	}
	v := closedBy(reason.DoesNotFit, f.Blame, time.Time{})
	v.Changes = changes
	if at, ok := k.nextFit(); ok {
		v.OpensAt = at
		v.Message = fact.Sayf("%v; a start on %v would fit", f.Blame, at)
	}
	return v
}

// neverOpen names the calendars that together leave no opening.
func (k *Case) neverOpen() fact.Text {
	return fact.Sayf("window %v, %v, exclusions and freezes leave no opening for a start within 400 days",
		k.windowText(), fact.Set("START_WINDOW", k.Policy.StartWindow))
}

// startCalendar is when the calendars together allow a start.
func (k *Case) startCalendar() window.Schedule {
	return window.All(k.open(), k.Policy.StartWindow, k.Policy.Freezes)
}

// nextOpening is when a run may next send a start, as far as calendars tell,
// and until when that answer holds. Inside an opening time moves in steps of
// fitGrid, so that the answer is the same for a while.
func (k *Case) nextOpening(from time.Time) (at, changes time.Time) {
	calendar := k.startCalendar()
	open, edge := window.RoomAt(calendar, from, record.Room)
	if open {
		step := from.Truncate(fitGrid)
		return step, soonest(edge, step.Add(fitGrid))
	}
	changes = edge
	for !edge.IsZero() && edge.Before(from.Add(window.Horizon)) {
		at = k.nextRun(edge)
		if open, edge = window.RoomAt(calendar, at, record.Room); open {
			return at, changes
		}
	}
	return time.Time{}, changes
}

// nextRun is the first scheduled run from t on, as far as the last one tells.
func (k *Case) nextRun(t time.Time) time.Time {
	last := k.Doc.LastRun.At
	if last.IsZero() {
		last = t.Truncate(k.Policy.Every)
	}
	if !t.After(last) {
		return last.Add(-(last.Sub(t) / k.Policy.Every) * k.Policy.Every)
	}
	return k.runAt(last, t)
}

// nextFit looks through the openings of the next 30 days for one that fits.
func (k *Case) nextFit() (time.Time, bool) {
	limit, calendar := k.Now.Add(BlockedAfter), k.startCalendar()
	for at := k.Now; at.Before(limit); {
		start, _ := k.nextOpening(at)
		if start.IsZero() || start.After(limit) {
			return time.Time{}, false
		}
		if start.After(k.Now) && len(k.forecast(start).Blame) == 0 {
			return start, true
		}
		// A long opening is tried once a day: its last days may fit.
		stretch, _ := calendar.Next(start)
		at = later(at.Add(time.Minute), earlier(stretch.End, start.Add(24*time.Hour)))
	}
	return time.Time{}, false
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// forecast plays a rotation that starts at start through the calendars, in
// steps of EVERY as the job would.
func (k *Case) forecast(start time.Time) Forecast {
	f := Forecast{Start: start}
	limit := start.Add(AutoCompleteAfter)
	if expires := k.Cluster.Bundle.Oldest().Expires; expires.Before(limit) {
		limit = expires
	}
	f.HandedOver = k.runAt(start, start.Add(startTakes))
	for n := 1; n <= mostPoolsAtOnce; n++ {
		if k.Policy.PoolsAtOnce > 0 {
			n = k.Policy.PoolsAtOnce
		}
		f.PoolsAtOnce, f.Blame = n, nil
		k.finish(&f, limit)
		if len(f.Blame) == 0 || k.Policy.PoolsAtOnce > 0 || k.Policy.Nodes == NodesGKE {
			break
		}
	}
	return f
}

// finish fills in nodes, soak and completion for f.PoolsAtOnce.
func (k *Case) finish(f *Forecast, limit time.Time) {
	var slowest fact.Text
	f.NodesDone, slowest = k.nodesDone(f.Start, f.HandedOver, f.PoolsAtOnce, limit, k.Cluster.Pools)
	if f.NodesDone.IsZero() || f.NodesDone.After(limit) {
		f.Blame = fact.Sayf("the nodes would not be recreated by %v, GKE's seven days or the expiry: %v",
			limit, slowest)
		return
	}
	f.SoakOver = later(f.HandedOver.Add(k.Policy.Soak), f.NodesDone.Add(min(k.Policy.Soak, NodeSoak)))
	f.Completed = k.completionAt(f.Start, f.SoakOver)
	if f.Completed.IsZero() || !f.Completed.Before(limit) {
		var nodes fact.Text
		if f.SoakOver.After(f.HandedOver.Add(k.Policy.Soak)) && len(slowest) > 0 {
			nodes = fact.Sayf("nodes done %v (%v); ", f.NodesDone, slowest)
		}
		f.Blame = fact.Sayf("%vafter %v, over %v, no completion window (%v%v) opens before %v",
			nodes, fact.Set("SOAK",
				fleet.Days(k.Policy.Soak)), f.SoakOver, k.completeText(), k.freezeNote(f.SoakOver, limit), limit)
	}
}

// completeText names what shuts the completion: where two calendars must meet,
// both, and how often a run is there to see them meet.
func (k *Case) completeText() fact.Text {
	people, own := fact.Set("COMPLETE_WINDOW", k.Policy.CompleteWindow), k.zonalText()
	switch {
	case !k.Cluster.Zonal || k.Policy.ZonalComplete == ZonalPeople:
		return people
	case k.zonalOnly():
		return own
	}
	return fact.Sayf("%v; %v; EVERY=%s", people, own, fleet.Days(k.Policy.Every))
}

// zonalText is the window that a zonal cluster's completion keeps to.
func (k *Case) zonalText() fact.Text {
	return fact.Sayf("%v: window %v", fact.Set("ZONAL_COMPLETE", k.Policy.ZonalComplete), k.windowText())
}

func (k *Case) freezeNote(from, to time.Time) fact.Text {
	if window.OpenTime(k.Policy.Freezes, window.Span{Start: from, End: to}) < to.Sub(from) {
		return fact.Sayf(", %v", fact.Set("FREEZES", k.Policy.Freezes))
	}
	return nil
}

// runAt is the first run at or after t, of runs every EVERY since start.
func (k *Case) runAt(start, t time.Time) time.Time {
	if !t.After(start) {
		return start
	}
	n := (t.Sub(start) + k.Policy.Every - 1) / k.Policy.Every
	return start.Add(n * k.Policy.Every)
}

// completionAt is the first run at which completion is allowed from t on.
func (k *Case) completionAt(start, t time.Time) time.Time {
	// What opens after GKE's seven days is of no use, and calendars that never
	// meet would be followed for 400 days.
	after := window.Span{Start: start.Add(AutoCompleteAfter + record.Room), End: window.Forever}
	s := window.All(window.Except(after), k.completeCalendar())
	for at := k.runAt(start, t); ; {
		open, edge := window.RoomAt(s, at, record.Room)
		switch {
		case open:
			return at
		case edge.IsZero() || edge.Sub(start) > AutoCompleteAfter:
			return time.Time{}
		}
		at = k.runAt(start, edge)
	}
}

// nodesDone is when the pools would be recreated, at most n at once, and which
// pool or calendar takes longest. Zero: not before limit.
func (k *Case) nodesDone(started, handedOver time.Time, n int, limit time.Time,
	pools []fleet.Pool) (time.Time, fact.Text) {
	if len(pools) == 0 {
		return handedOver, nil
	}
	if k.Policy.Nodes == NodesGKE {
		n = 1 // GKE works on one pool at a time
	}
	pools = slices.Clone(pools)
	slices.SortStableFunc(pools, func(a, b fleet.Pool) int { return int(k.poolTime(b) - k.poolTime(a)) })
	lanes := make([]time.Time, n) // when each of the n places is free
	free := k.graceOver(started, handedOver)
	for i := range lanes {
		lanes[i] = free
	}
	var done time.Time
	var last fact.Text
	for _, pool := range pools {
		lane := 0
		for i := range lanes {
			if lanes[i].Before(lanes[lane]) {
				lane = i
			}
		}
		begin := k.poolBegin(started, lanes[lane], limit, pool)
		if begin.IsZero() {
			return time.Time{}, fact.Sayf("pool %q finds no opening for its %s of work in window %s%v%v",
				pool.Name, fleet.Days(k.poolTime(pool)),
				k.windowText(), k.freezeNote(started, limit),
				k.exclusionNote(pool, window.Span{Start: started, End: limit}))
		}
		end := begin.Add(k.poolTime(pool))
		lanes[lane] = k.runAt(started, end)
		if end.After(done) {
			done, last = end, fact.Sayf("pool %q takes %s", pool.Name, fleet.Days(k.poolTime(pool)))
		}
		if end.After(limit) {
			return time.Time{}, fact.Sayf("pool %q needs %s (%d nodes, surge %d, %v)",
				pool.Name, fleet.Days(k.poolTime(pool)), pool.Nodes, pool.Surge(), fact.Set("NODE_TIME",
					fleet.Days(k.Policy.NodeTime)))
		}
	}
	return done, last
}

func (k *Case) windowText() string {
	if k.Cluster.Maintenance.Window != nil {
		return k.Cluster.Maintenance.Text
	}
	return k.Policy.Window.String()
}

func (k *Case) exclusionNote(pool fleet.Pool, in window.Span) fact.Text {
	if pool.Exclusion != nil && pool.Exclusion.Blocks() && pool.Exclusion.Stretch().Start.Before(in.End) &&
		pool.Exclusion.Stretch().End.After(in.Start) {
		return fact.Sayf(", with an exclusion of its own until %v", pool.Exclusion.Stretch().End)
	}
	for _, e := range k.Cluster.Maintenance.Exclusions {
		if s := e.Stretch(); e.Blocks() && s.Start.Before(in.End) && s.End.After(in.Start) {
			return fact.Sayf(", with exclusion %q until %v", e.Name, s.End)
		}
	}
	return nil
}

// graceOver is the first run from which we may recreate pools ourselves.
func (k *Case) graceOver(started, handedOver time.Time) time.Time {
	if k.Policy.NodeGrace == 0 || k.Policy.Nodes == NodesGKE {
		return handedOver
	}
	at := k.afterOpenTime(started, k.Policy.NodeGrace)
	if at.IsZero() {
		return started.Add(AutoCompleteAfter)
	}
	return later(handedOver, k.runAt(started, at))
}

// afterOpenTime is when need of the cluster's open time has passed since from;
// zero if not within GKE's seven days.
func (k *Case) afterOpenTime(from time.Time, need time.Duration) time.Time {
	s, limit := k.open(), from.Add(AutoCompleteAfter)
	for at := from; at.Before(limit); {
		next, ok := s.Next(at)
		if !ok || !next.Start.Before(limit) {
			return time.Time{}
		}
		begin := later(next.Start, at)
		if have := next.End.Sub(begin); have >= need {
			return begin.Add(need)
		}
		need -= next.End.Sub(begin)
		at = next.End
	}
	return time.Time{}
}

// poolBegin is the first run from t on at which the pool's work may begin.
func (k *Case) poolBegin(started, t, limit time.Time, pool fleet.Pool) time.Time {
	s := k.poolCalendar(pool)
	if k.Policy.Nodes == NodesGKE {
		s = k.open() // GKE keeps to the cluster's own policy and knows no freeze
		if pool.Exclusion != nil && pool.Exclusion.Blocks() {
			s = window.All(s, window.Except(pool.Exclusion.Stretch()))
		}
	}
	for at := t; at.Before(limit); {
		open, edge := window.RoomAt(s, at, record.Room)
		if open {
			return at
		}
		if edge.IsZero() {
			return time.Time{}
		}
		at = k.runAt(started, edge)
	}
	return time.Time{}
}

// poolCalendar is when a node call of ours for the pool may be sent.
func (k *Case) poolCalendar(pool fleet.Pool) window.Schedule {
	of := []window.Schedule{k.open(), k.Policy.Freezes}
	if pool.Exclusion != nil && pool.Exclusion.Blocks() {
		of = append(of, window.Except(pool.Exclusion.Stretch()))
	}
	return window.All(of...)
}

// poolTime is how long recreating the pool takes: NODE_TIME for each group of
// surge nodes, and a blue-green pool's own soak.
func (k *Case) poolTime(pool fleet.Pool) time.Duration {
	groups := (pool.Nodes + pool.Surge() - 1) / pool.Surge()
	d := time.Duration(max(groups, 1)) * k.Policy.NodeTime
	if pool.BlueGreen {
		d += pool.PoolSoak
	}
	return d
}
