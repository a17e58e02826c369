package course

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

// nodes follows the node work at a pace: when the last pool is done, zero if not
// before Until, and the work in order of its beginning. begins: GKE sets about it
// by itself; else it does only what nobody else may.
func (f *facts) nodes(p pace, how plan, t Times, begins bool) (time.Time, []Work) {
	if f.autopilot {
		return f.autopilotNodes(p, how, t, begins)
	}
	w := f.crew(p, how, t)
	w.theirs = func(Pool) bool { return true }
	if !begins && !f.nodesByGKE {
		only := map[string]bool{}
		for _, p := range w.todo {
			only[p.Name] = !w.mayOurs(p)
		}
		w.theirs = func(p Pool) bool { return only[p.Name] }
	}
	for w.step() {
	}
	return w.done(t), w.work
}

// crew is who works on the pools, and what is left for them.
type crew struct {
	*facts
	pace   pace
	places int    // for pools at one time
	todo   []Pool // those that take longest first
	work   []Work
	free   time.Time       // from when GKE may begin its next pool
	ours   time.Time       // from when we may begin
	theirs func(Pool) bool // pools that GKE may begin
}

func (f *facts) crew(p pace, how plan, t Times) *crew {
	w := &crew{facts: f, pace: p, places: how.atOnce, free: latest(t.StartEnded, f.now),
		ours: latest(t.HandedOver, f.now, f.graceOver(how.grace))}
	for _, pool := range f.pools {
		if pool.Running == nil {
			w.todo = append(w.todo, pool)
			continue
		}
		left := pool.left(f.now, f.gke, p, f.node)
		run := Work{Pool: pool.Name, ByGKE: pool.Running.ByGKE, Begin: pool.Running.Since,
			Likely: f.now.Add(left), Closes: closes(f.window, f.now)}
		if run.ByGKE {
			run.Likely, run.Closes = f.openEnd(pool, f.now, left), closes(f.gke, f.now)
			w.free = latest(w.free, run.Likely)
		}
		run.Late = run.Likely.Add(pool.left(f.now, f.gke, late, f.node) - left)
		w.work = append(w.work, run)
	}
	slices.SortStableFunc(w.todo, func(a, b Pool) int {
		return int(b.takes(likely, true, f.node) - a.takes(likely, true, f.node))
	})
	return w
}

// graceOver is when GKE has had so much of open window to begin by itself.
func (f *facts) graceOver(grace time.Duration) time.Time {
	if grace == 0 {
		return f.begun()
	}
	if at := openFor(f.window, f.begun(), grace); !at.IsZero() {
		return at
	}
	return f.until
}

// step lets whoever can begin first begin a pool; false: nobody can any more.
func (w *crew) step() bool {
	gke, theirs := w.nextOfGKE()
	run, mine := w.nextOfOurs()
	switch {
	case gke.IsZero() && run.IsZero():
		return false
	case run.IsZero() || !gke.IsZero() && !gke.After(run):
		w.begin(theirs, gke, true)
	default:
		w.begin(mine, run, false)
	}
	return true
}

func (w *crew) begin(i int, at time.Time, byGKE bool) {
	pool := w.todo[i]
	w.todo = slices.Delete(slices.Clone(w.todo), i, i+1)
	job := Work{Pool: pool.Name, ByGKE: byGKE, Begin: at}
	takes, longest := pool.takes(w.pace, byGKE, w.node), pool.takes(late, byGKE, w.node)
	if byGKE {
		job.Likely, job.Late = w.openEnd(pool, at, takes), w.openEnd(pool, at, longest)
		job.Closes = closes(pool.except(w.gke), at)
		w.free = latest(job.Likely, w.now)
		if job.Likely.IsZero() {
			w.free = w.until
		}
	} else {
		job.Likely, job.Late = at.Add(takes), at.Add(longest)
		job.Closes = closes(w.window, at)
	}
	w.work = append(w.work, job)
}

// nextOfGKE is when GKE begins which pool by itself: the longest, as soon as it may.
// Whether it begins one beside work of ours nobody could confirm, so it waits here.
func (w *crew) nextOfGKE() (first time.Time, which int) {
	free := w.free
	for _, job := range w.work {
		free = latest(free, job.Likely)
	}
	for i, pool := range w.todo {
		if !w.theirs(pool) {
			continue
		}
		next, ok := pool.except(w.gke).Next(free)
		if !ok {
			continue
		}
		if at := latest(next.Start, free); at.Before(w.until) && (first.IsZero() || at.Before(first)) {
			first, which = at, i
		}
	}
	return first, which
}

// nextOfOurs is the first run that may begin a pool, and which: of those that have the
// room the longest.
func (w *crew) nextOfOurs() (first time.Time, which int) {
	if w.nodesByGKE {
		return time.Time{}, 0
	}
	for from := w.ours; !from.IsZero(); from = w.nextEnd(first) {
		if first, which = w.call(from); first.IsZero() || w.running(first) < w.places {
			return first, which
		}
	}
	return time.Time{}, 0
}

// call is the first run from t on that may begin one of the pools.
func (w *crew) call(t time.Time) (time.Time, int) {
	for at := w.runAt(t); at.Before(w.until) && len(w.todo) > 0; {
		room, changes := w.room(at)
		if room > 0 {
			best := -1
			for i, p := range w.todo {
				if w.fits(p, at, room) && (best < 0 || w.ourTime(p) > w.ourTime(w.todo[best])) {
					best = i
				}
			}
			if best >= 0 {
				return at, best
			}
		}
		if changes.IsZero() {
			break
		}
		at = w.runAt(changes)
	}
	return time.Time{}, 0
}

func (f *facts) ourTime(p Pool) time.Duration { return p.takes(likely, false, f.node) }

// fits says whether the pool may be begun at a time with that much room.
func (f *facts) fits(p Pool, at time.Time, room time.Duration) bool {
	takes := p.takes(likely, false, f.node)
	if p.LeftToGKE || takes > room || at.Before(p.NotBefore) {
		return false
	}
	if p.Exclusion == nil || !f.binds(*p.Exclusion) {
		return true
	}
	own := window.Except(p.Exclusion.Stretch())
	open, _ := window.RoomAt(own, at, record.Room)
	stop := closes(own, at)
	return open && (stop.IsZero() || !at.Add(takes).After(stop))
}

// running counts the pools at work at t.
func (w *crew) running(t time.Time) int {
	n := 0
	for _, job := range w.work {
		if !job.Begin.After(t) && (job.Likely.IsZero() || job.Likely.After(t)) {
			n++
		}
	}
	return n
}

func (w *crew) nextEnd(t time.Time) (end time.Time) {
	for _, job := range w.work {
		if job.Likely.After(t) && (end.IsZero() || job.Likely.Before(end)) {
			end = job.Likely
		}
	}
	return end
}

// mayOurs says whether any run before until may begin the pool.
func (w *crew) mayOurs(p Pool) bool {
	alone := crew{facts: w.facts, todo: []Pool{p}}
	at, _ := alone.call(w.ours)
	return !at.IsZero()
}

// room is how long work of ours that begins at a time may likely take: not longer past
// the window's end than NODE_OVERRUN, and not into a freeze or an exclusion; zero, when
// none may begin. changes is when that may next be otherwise, for longer work too; zero:
// not within [window.Horizon].
func (f *facts) room(at time.Time) (room time.Duration, changes time.Time) {
	open, edge := window.RoomAt(f.near(window.All(f.window, f.hard)), at, record.Room)
	if !open {
		return 0, edge
	}
	room = window.Horizon
	if stop := closes(f.hard, at); !stop.IsZero() {
		room, changes = stop.Sub(at), stop
	}
	if stop := closes(f.window, at); !stop.IsZero() {
		room, changes = min(room, stop.Add(f.overrun).Sub(at)), window.Soonest(changes, stop)
	}
	return room, changes
}

// closes is when a schedule that is open at t closes; zero: not within the horizon.
func closes(s window.Schedule, t time.Time) time.Time {
	next, ok := s.Next(t)
	if !ok || next.Start.After(t) || next.End.Equal(window.Forever) {
		return time.Time{}
	}
	return next.End
}

// openEnd is when work of GKE's own ends that goes on only while its policy is open.
// Nodes that live out their time need no window for that.
func (f *facts) openEnd(p Pool, from time.Time, work time.Duration) time.Time {
	if p.ShortLived > 0 {
		return from.Add(work)
	}
	end := openFor(p.except(f.gke), from, work)
	if end.After(f.until) {
		return time.Time{}
	}
	return end
}

// openFor is when so much of a schedule's open time has passed since from; zero: not
// within [window.Horizon].
func openFor(s window.Schedule, from time.Time, need time.Duration) time.Time {
	for at, limit := from, from.Add(window.Horizon); at.Before(limit); {
		next, ok := s.Next(at)
		if !ok {
			break
		}
		begin := latest(next.Start, at)
		if next.End.Sub(begin) >= need {
			return begin.Add(need)
		}
		need -= next.End.Sub(begin)
		at = next.End
	}
	return time.Time{}
}

// done is when the last pool is done.
func (w *crew) done(t Times) time.Time {
	done := latest(t.HandedOver, w.lastDone)
	if len(w.todo) > 0 {
		return time.Time{}
	}
	for _, job := range w.work {
		if job.Likely.IsZero() || job.Likely.After(w.until) {
			return time.Time{}
		}
		done = latest(done, job.Likely, w.now)
	}
	return done
}
