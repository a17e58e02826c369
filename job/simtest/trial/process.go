package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gke-credential-rotator/job/intercept"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

var (
	errDead  = errors.New("the process is dead")
	errStore = errors.New("the store is out of reach")
	errGKE   = errors.New("GKE is out of reach")
)

// process is one pass as a process of its own: its clocks, its name, and what
// befalls it. Its code runs only while the scheduler waits for it to park.
type process struct {
	*play
	Run
	dep  *deployment
	n    int
	wake chan struct{}
	dead bool
	over bool
	ids  int
	mono time.Duration // what its monotonic clock showed when the play began
	// alone: it believes that it holds the lease.
	alone  bool
	told   time.Time       // when it was told to stop; zero: it was not
	ctx    context.Context //nolint:containedctx // the process's own, cancelled by a signal
	signal context.CancelFunc
	// intents are the newest intents that it has stored, or tried to; unsent
	// are those for which nothing was sent or stored yet.
	intents map[intentKey]string
	unsent  map[string]bool
	read    uint64 // the store's stamp when it was read
	res     pass.Result
	err     error
}

type intentKey struct {
	kind    record.CallKind
	cluster fleet.Ref
	pool    string
}

// begin begins a process of a deployment. Name "" is a new execution.
func (p *play) begin(d *deployment, look bool, name string, attempt int) {
	p.passes++
	x := &process{
		play: p, dep: d, n: p.passes, wake: make(chan struct{}), intents: map[intentKey]string{},
		unsent: map[string]bool{},
		mono:   p.between(0, 1000*time.Hour),
	}
	if name == "" {
		name = fmt.Sprintf("%s-%05d", d.policy.Env, x.n)
	}
	x.Run = Run{Name: name, Attempt: attempt, Look: look, Mode: d.mode, Policy: d.policy}
	if p.Faults {
		x.Skew = p.between(-record.Skew/2, record.Skew/2).Truncate(time.Millisecond)
		if x.Skew.Abs() > time.Minute {
			p.fault("clock apart by more than a minute")
		}
	}
	x.alone = p.sometimes(p.rates.alone)
	if x.alone {
		p.fault("lease ignored")
	}
	x.ctx, x.signal = context.WithCancel(nobody)
	p.out.Passes++
	if look {
		p.out.Plans++
	}
	if n := d.liveRuns(); n > 0 {
		p.fault(fmt.Sprintf("%d passes at once", n+1))
	}
	p.live = append(p.live, x)
	x.tell(&Event{Kind: RunBegin, Run: &x.Run})
	go x.work()
	<-p.yield
}

// work is the process itself.
func (x *process) work() {
	w := pass.World{
		Read: reader{x}, Move: intercept.Mover(x.cloud, x.send), Insights: insights{x},
		Store: intercept.Store(x.dep.contents, x.store),
		Now:   x.clock, Mono: x.monotonic,
		NewID: func() string { x.ids++; return fmt.Sprintf("%s%d", x.prefix(), x.ids) },
	}
	about := Process{Pass: x.n, Env: x.dep.policy.Env, Run: x.Run, Move: w.Move}
	if x.Mode != "act" {
		w.Move = nil
	}
	if x.Notify {
		w.Notify = []pass.Receiver{receiver{x}}
	}
	if x.Defect != nil && x.Defect.World != nil {
		w = x.Defect.World(w, about)
	}
	o := pass.Options{Policy: x.Policy, Run: x.Name, Attempt: x.Attempt, Mode: x.Mode, Parallel: 1,
		Deadline: min(50*time.Minute, x.Policy.Every), Ahead: 2 * day}
	if x.Look {
		x.res, x.err = pass.Look(x.ctx, w, o)
	} else {
		x.res, x.err = pass.Run(x.ctx, w, o)
	}
	x.over = true
	x.signal()
	if !x.dead {
		x.ended()
	}
	x.yield <- struct{}{}
}

// ended takes in that a process ended by itself.
func (x *process) ended() {
	text := ""
	switch {
	case x.err != nil:
		text = x.err.Error()
	case x.res.Busy != "":
		text = "another run is at work: " + x.res.Busy
	case x.res.Stopped != "":
		text = x.res.Stopped
	}
	x.gone()
	e := &Event{Kind: RunEnd, Text: text}
	if text == "" && !x.Look {
		e.Said = x.said()
	}
	x.tell(e)
	x.dep.quiet(x)
}

// said is what the run has said of each cluster.
func (x *process) said() map[fleet.Ref]Spoken {
	all := slices.Clone(x.res.Decisions)
	for _, d := range x.res.Done {
		all = append(all, d.After)
	}
	out := map[fleet.Ref]Spoken{}
	for _, d := range all {
		said := out[d.Cluster.Ref]
		said.Reason += string(d.Reason)
		said.Message += d.Message.String()
		for _, e := range d.Events {
			said.Events = append(said.Events, e.Name)
		}
		out[d.Cluster.Ref] = said
	}
	return out
}

func (x *process) gone() {
	x.live = slices.DeleteFunc(x.live, func(y *process) bool { return x == y })
}

func (x *process) clock() time.Time         { return x.now.Add(x.Skew) }
func (x *process) monotonic() time.Duration { return x.mono + x.now.Sub(x.Begin) }

// tell writes an event of this process.
func (x *process) tell(e *Event) {
	if x.dead && e.Kind != Killed {
		return
	}
	e.Pass, e.Env, e.Clock, e.Mono = x.n, x.dep.policy.Env, x.clock(), x.monotonic()
	x.play.tell(e)
}

// step lets the process go on until it parks or ends. It is the scheduler's.
func (x *process) step() {
	if x.over {
		return
	}
	x.wake <- struct{}{}
	<-x.yield
}

// park waits until that much time has gone by. A dead process waits for
// nothing: it runs to its end without any effect.
func (x *process) park(d time.Duration) {
	if x.dead {
		return
	}
	x.in(d, x.step)
	x.yield <- struct{}{}
	<-x.wake
}

// await is how a call begins: it takes its time, in which the process may end.
func (x *process) await(ctx context.Context) error {
	if err := x.alive(ctx); err != nil {
		return err
	}
	x.park(x.latency())
	return x.alive(ctx)
}

// latency is how long a call takes that nothing disturbs.
func (x *process) latency() time.Duration {
	return 20*time.Millisecond + time.Duration(x.dice.Int64N(int64(400*time.Millisecond)))
}

// boundary is a place where a process may be paused or killed.
type boundary string

// The boundaries.
const (
	afterStore   boundary = "after store read"
	afterList    boundary = "after list"
	beforeIntent boundary = "before intent commit"
	afterIntent  boundary = "after intent commit"
	afterFresh   boundary = "after the read under the intent"
	beforeSend   boundary = "before send"
	afterSend    boundary = "after send"
	beforeStore  boundary = "before outcome"
	elsewhere    boundary = "elsewhere"
)

// reach is a process coming to a boundary: it may be paused, killed, told to
// stop or overtaken there, and somebody may place a hold.
func (x *process) reach(b boundary, ref fleet.Ref) {
	if x.dead || x.calm || !x.Faults {
		return
	}
	r := x.rates
	if b == afterStore || b == afterList || b == elsewhere {
		r.overlap /= 10
		r.kill, r.pause, r.hold, r.stop = r.kill/40, r.pause/20, r.hold/40, r.stop/40
	}
	if !ref.IsZero() && x.sometimes(r.hold) {
		x.fault("hold placed " + string(b))
		x.in(0, func() { x.dep.hold(ref) })
		x.park(time.Millisecond)
	}
	if b != elsewhere && x.sometimes(r.overlap) {
		x.fault("overtaken " + string(b))
		x.in(0, func() { x.dep.run() })
	}
	if x.sometimes(r.stop) {
		x.fault("told to stop " + string(b))
		if x.told.IsZero() {
			x.told = x.now
		}
		x.signal()
	}
	switch {
	case x.sometimes(r.kill):
		x.die(b)
	case x.sometimes(r.pause):
		x.pause(b)
	}
}

// pause stops the process for a while.
func (x *process) pause(b boundary) {
	d := x.between(time.Second, pick(x.play, 90*time.Second, 20*time.Minute, time.Hour, 12*time.Hour))
	d = min(d, max(x.Calm.Sub(x.now), 0))
	x.fault("paused " + string(b))
	x.tell(&Event{Kind: Paused, Text: fmt.Sprintf("for %s %s", d.Truncate(time.Second), b)})
	x.park(d)
}

// die ends the process at once. Its execution may be tried again.
func (x *process) die(b boundary) {
	x.fault("killed " + string(b))
	x.out.Kills++
	x.tell(&Event{Kind: Killed, Text: string(b)})
	x.dead = true
	x.gone()
	x.stir()
	if x.likely(0.4) {
		d, name, attempt := x.dep, x.Name, x.Attempt+1
		look := x.Look
		x.in(x.between(5*time.Second, 3*time.Minute), func() {
			if d.liveRuns() < mostAtOnce {
				x.fault("tried again under the same name")
				x.begin(d, look, name, attempt)
			}
		})
	}
}

// prefix is what its ids begin with.
func (x *process) prefix() string { return fmt.Sprintf("%s.%d.", x.dep.policy.Env, x.n) }

// alive says why a call of the process has no effect any more, or nil.
func (x *process) alive(ctx context.Context) error {
	if x.dead {
		return errDead
	}
	// Deadlines run on the real clock, which a play knows nothing of: what
	// takes too long is drawn by the seed.
	if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}
