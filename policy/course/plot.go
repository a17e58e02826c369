package course

import (
	"time"

	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// facts is what the times of one rotation hang on.
type facts struct {
	// now is the time of the look. A rotation without started begins then.
	now, started time.Time
	// startEnded and handedOver are zero until they happened.
	startEnded, handedOver time.Time
	// lastDone is when the last node work so far was seen done.
	lastDone time.Time
	// until is how far the course looks; what comes later is told as never.
	until time.Time
	// run is one of the runs, which come every.
	run   time.Time
	every time.Duration

	// gke is when GKE works by itself: the cluster's own window, or always, and its
	// exclusions. window is what our node calls keep to: the cluster's own, or WINDOW.
	// hard are the dates into which no work of ours may run: freezes, exclusions.
	gke, window, hard window.Schedule

	binds func(window.Exclusion) bool // whether a pool's exclusion binds our work

	nodesByGKE bool // nobody but GKE does node work
	autopilot  bool
	grace      time.Duration // of open window since the start that GKE gets first
	node       time.Duration // NODE_TIME
	overrun    time.Duration // how far past the window's end our work may likely run
	atOnce     int           // pools at one time; 0: the fewest that fit, at most mostAtOnce

	// pools are those that still need work.
	pools []Pool
	// upgraded is when our upgrade of an Autopilot control plane ended; zero: not yet.
	upgraded time.Time
	// soakOver is when clients have had their time, and completes the first run from
	// then on at which a completion may be sent; zero: never.
	soakOver  func(handedOver, nodesDone time.Time) time.Time
	completes func(from time.Time) time.Time
}

// mostAtOnce is the most that POOLS_AT_ONCE=fit ever uses.
const mostAtOnce = 3

// Times is when each step is reached; a zero time: not as far as the course looks.
type Times struct {
	StartEnded, HandedOver, NodesDone, SoakOver, Completed time.Time
}

// Forecast is how a rotation goes.
type Forecast struct {
	Start time.Time
	// Early is what no luck can hasten: work takes no time, but runs, soak and
	// windows are kept. Likely is what to reckon with. In Late the start operation
	// takes 30 minutes and every node as long as GKE waits for a disruption budget.
	Early, Likely, Late Times
	// GKE is from when GKE may complete by itself, and Limit when ours must be
	// through: before that, and before the expiry.
	GKE, Limit time.Time
	// AtOnce is how many pools go together; Hastened: GKE does not get its grace,
	// for with it the rest would not fit.
	AtOnce   int
	Hastened bool
	// Work is the node work to come, in order of its beginning.
	Work []Work
}

// Fits says whether our completion likely comes in time.
func (f Forecast) Fits() bool {
	return !f.Likely.Completed.IsZero() && f.Likely.Completed.Before(f.Limit)
}

// Work is the recreation of one pool.
type Work struct {
	Pool  string // "" is the control plane of an Autopilot cluster
	ByGKE bool
	Begin time.Time
	// Likely and Late are its ends; zero: not as far as the course looks.
	Likely, Late time.Time
	// Closes is the end of the window in which it begins; zero: it does not close.
	Closes time.Time
}

// Overruns says whether work of ours likely goes on after its window.
func (w Work) Overruns() bool { return !w.ByGKE && !w.Closes.IsZero() && w.Likely.After(w.Closes) }

// tightRoom is how little room in a window is told beforehand.
const tightRoom = time.Hour

// Tight says whether GKE's work, which pauses there, ends within an hour of the
// window's end: a little more of it, and it goes on in the next window.
func (w Work) Tight() bool {
	return w.ByGKE && !w.Closes.IsZero() && !w.Likely.IsZero() && !w.Likely.After(w.Closes) &&
		w.Closes.Sub(w.Likely) < tightRoom
}

// plot gives the course: with as few pools at once as fit, and with GKE's grace if it
// can be given; where nothing fits, with all that may be.
func (f *facts) plot(expires time.Time) (Forecast, plan) {
	least, most := f.atOnce, f.atOnce
	if f.atOnce == 0 {
		least, most = 1, mostAtOnce
	}
	graces := []time.Duration{f.grace, 0}
	if f.nodesByGKE {
		least, most = 1, 1
	}
	if f.grace == 0 || f.nodesByGKE {
		graces = graces[:1]
	}
	out := Forecast{Start: f.begun(), GKE: f.begun().Add(rules.AutoCompleteAfter)}
	out.Limit = out.GKE
	if !expires.IsZero() {
		out.Limit = window.Earlier(expires, out.GKE)
	}
	var how plan
	for _, grace := range graces {
		for n := least; n <= most; n++ {
			how = plan{atOnce: n, grace: grace}
			if out.Likely, out.Work = f.times(likely, how); out.Fits() {
				return out, how
			}
		}
	}
	return out, how
}

// all is the course with its early and late times.
func (f *facts) all(expires time.Time) Forecast {
	out, how := f.plot(expires)
	out.AtOnce, out.Hastened = how.atOnce, how.grace < f.grace
	out.Early, _ = f.times(early, how)
	out.Late, _ = f.times(late, how)
	return out
}

// plan is how we go about the node work.
type plan struct {
	atOnce int
	grace  time.Duration
}

func (f *facts) begun() time.Time {
	if f.started.IsZero() {
		return f.now
	}
	return f.started
}

// pace is how fast things go.
type pace int

const (
	early pace = iota
	likely
	late
)

// startTakes is how long GKE's start operation takes. Nobody documents it; labs saw
// up to 15 minutes.
var startTakes = [...]time.Duration{early: 0, likely: 15 * time.Minute, late: StartTakesLate}

// StartTakesLate is how long a start, and any other change of a control plane, takes at
// the latest.
const StartTakesLate = 30 * time.Minute

// times follows the steps at a pace.
func (f *facts) times(p pace, how plan) (Times, []Work) {
	t := Times{StartEnded: f.startEnded, HandedOver: f.handedOver}
	if t.StartEnded.IsZero() {
		t.StartEnded = latest(f.begun().Add(startTakes[p]), f.now)
	}
	if t.HandedOver.IsZero() {
		t.HandedOver = f.runAt(latest(t.StartEnded, f.begun().Add(time.Nanosecond)))
	}
	// GKE may begin by itself, or leave it to us: both must come in time.
	done, work := f.nodes(p, how, t, true)
	if !f.nodesByGKE && p != early && !done.IsZero() {
		if byUs, w := f.nodes(p, how, t, false); byUs.IsZero() || byUs.After(done) {
			done, work = byUs, w
		}
	}
	if t.NodesDone = done; done.IsZero() {
		return t, work
	}
	t.SoakOver = f.soakOver(t.HandedOver, done)
	from := latest(t.SoakOver, f.now)
	if len(f.pools) > 0 { // one phase a run: seen done in one, completed in the next
		from = latest(from, f.runAt(latest(done, t.HandedOver)).Add(f.every))
	}
	if t.Completed = f.completes(from); t.Completed.After(f.until) {
		t.Completed = time.Time{}
	}
	return t, work
}

// runAt is the first run at or after t.
func (f *facts) runAt(t time.Time) time.Time {
	n := t.Sub(f.run) / f.every
	if at := f.run.Add(n * f.every); !at.Before(t) {
		return at
	}
	return f.run.Add((n + 1) * f.every)
}

// next is the first run at or after t at which s has room for a call.
func (f *facts) next(s window.Schedule, t time.Time) time.Time {
	s = f.near(s)
	for at := f.runAt(t); !at.After(f.until); {
		open, edge := window.RoomAt(s, at, record.Room)
		if open {
			return at
		}
		if edge.IsZero() {
			break
		}
		at = f.runAt(edge)
	}
	return time.Time{}
}

// near is the schedule as far as the course looks: calendars that never meet would be
// followed for 400 days.
func (f *facts) near(s window.Schedule) window.Schedule {
	beyond := window.Span{Start: f.until.Add(record.Room), End: window.Forever}
	return window.All(window.Except(beyond), s)
}

func latest(a time.Time, more ...time.Time) time.Time {
	for _, b := range more {
		a = window.Later(a, b)
	}
	return a
}
