// Package pass is one run of the job: recall the store, observe GKE, plan, act, record. It decides nothing:
// policy does; and it knows no cloud: ports do. Production and simulation run the same code.
package pass

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/state"
)

// World is everything a run touches.
type World struct {
	Read gke.Reader
	// Move is nil in observe mode: what was never built cannot be called.
	Move gke.Mover
	// Insights is nil when Recommender is not asked. A plan never asks it.
	Insights gke.Insights
	// Notify are those who are told of notices; none: no notice is made. A plan tells nobody.
	Notify []Receiver
	Store  state.Store // nil: a plan without a store
	Now    func() time.Time
	// Date is the time by Google's clock in the first answer that said it; zero: none
	// has. nil: it is not asked.
	Date func() time.Time
	// Mono is a clock that nobody sets, for [record.SendWithin].
	Mono func() time.Duration
	// NewID makes random ids.
	NewID func() string
	Log   *slog.Logger // nil: none
}

// Options are one run's.
type Options struct {
	Policy   *rules.Policy
	Run      string // this execution's name
	Attempt  int    // which attempt of that execution: a retry has the same name
	Mode     string // observe or act, for the record
	Parallel int    // workers
	// Deadline is how long after its begin the run begins nothing new; 0: no deadline.
	Deadline time.Duration
	Version  string
	// Ahead is how long before a start or a completion it is announced.
	Ahead time.Duration
	// Apart is how far Now may be from GKE's clock; 0: it is not compared.
	Apart time.Duration
}

// Result is what a run saw and did.
type Result struct {
	At        time.Time
	Fleet     policy.Fleet
	Decisions []policy.Decision // as planned, ordered by cluster
	Done      []Done            // what was carried out, ordered by cluster
	// Unstored counts outcomes that could not be stored; each is in the log.
	Unstored int
	// Busy names the run that holds the lease, when another does: then nothing was done.
	Busy string
	// Holder is the run that keeps others out, for a plan to show; nil: none.
	Holder *Holder
	// Clock says how far this machine's clock is from GKE's, where it is too far; else "".
	Clock string
	// Stopped says why the run began nothing more before its end, or "".
	Stopped string

	// attempts are how many attempts the history holds of the clusters for which it was read.
	attempts map[fleet.Ref]int
	// blind are projects that were listed without their operations.
	blind []fleet.Unread
}

// Done is one decision carried out.
type Done struct {
	Ref      fleet.Ref
	Action   policy.Action
	After    policy.Decision // what is stored now
	Outcomes map[string]record.Outcome
	// Skipped says why nothing was sent or stored after all.
	Skipped string
	// Withdrawn: all its calls were taken back before they were sent.
	Withdrawn bool

	dealt bool // its slot was given to another start
}

// Closed are the rotations that the run has ended.
func (r Result) Closed() []record.Record {
	var out []record.Record
	for _, done := range r.Done {
		if done.After.Close != "" && done.Skipped == "" && done.After.Rotation != nil {
			out = append(out, closed(done.After, r.At))
		}
	}
	return out
}

func closed(d policy.Decision, at time.Time) record.Record {
	return record.Record{Rotation: *d.Rotation, ClosedAs: d.Close, ClosedAt: at,
		CompletedBy: d.Rotation.CompletedBy, Findings: d.Findings}
}

// EnvError says that the store is another deployment's: nothing was read from GKE, and nothing written.
type EnvError struct{ Contents, Settings string }

// Error implements error.
func (e *EnvError) Error() string {
	return fmt.Sprintf("ENV is %q, but the store belongs to %q: set ROTATOR_ENV=%s, or name this deployment's own store with ROTATOR_STATE", e.Settings, e.Contents, e.Contents)
}

// errNoStore: a call without a stored intent could be lost or doubled.
var errNoStore = errors.New("a run that acts needs a store: set ROTATOR_STATE")

// Look is what plan shows: a run that stops before it acts. It writes nothing and takes no lease.
func Look(ctx context.Context, w World, o Options) (Result, error) {
	w = w.complete()
	res := Result{At: w.Now()}
	err := w.look(ctx, o, res.At, &res)
	return res, err
}

// look fills in what there is to see. Our clock showed from before anything was asked.
func (w World) look(ctx context.Context, o Options, from time.Time, res *Result) error {
	contents, err := Recall(ctx, w.Store, o.Policy.Env)
	if err != nil {
		return err
	}
	if err := observe(ctx, w, o, contents, res); err != nil {
		return err
	}
	res.Clock = w.clockApart(o, from, res.Fleet.Clusters)
	res.Decisions = policy.Plan(o.Policy, res.Fleet, o.Run, res.At)
	return nil
}

// Run makes one pass. Its error means that the run could not be made: the store or every project was out of
// reach, the store is another deployment's ([EnvError]), or it was told to stop before it could act. What
// happened to single clusters is in the result.
func Run(ctx context.Context, w World, o Options) (res Result, err error) {
	w = w.complete()
	o.Policy = named(*o.Policy, w.Notify)
	last, end := outlive(ctx, stopWithin)
	defer end()
	a := &actor{World: w, Options: o, last: last, log: newRunLog(w, o), lease: newLease(w, o)}
	a.log.line(EventRunStarted, "run started")
	from := w.Now()
	res.At = from
	defer func() {
		if ctx.Err() != nil && err != nil {
			res.Stopped = cmp.Or(res.Stopped, toldToStop)
		}
		if res.Busy == "" {
			a.log.finished(res, err)
		}
	}()
	if w.Move != nil && w.Store == nil {
		return res, errNoStore
	}
	defer a.lease.giveBack(last)
	if w.Move != nil {
		if res.Busy, err = a.takeLease(ctx); err != nil || res.Busy != "" {
			return res, err
		}
	}
	a.begun = w.Mono()
	res.At = w.Now()
	if err = w.look(ctx, o, from, &res); err == nil {
		err = a.clock(res)
	}
	if err != nil {
		return res, err
	}
	a.log.fleet(res)
	writes := func(d policy.Decision) bool { return d.Write }
	if w.Move == nil && w.Store != nil && slices.ContainsFunc(res.Decisions, writes) {
		if res.Busy, err = a.takeLease(ctx); err != nil || res.Busy != "" {
			return res, err
		}
	}
	if w.Store != nil {
		err = a.act(ctx, &res)
	}
	return res, err
}

// named is the policy with the names of those who are told.
func named(p rules.Policy, receivers []Receiver) *rules.Policy {
	p.Receivers = []string{}
	for _, r := range receivers {
		p.Receivers = append(p.Receivers, r.Name())
	}
	return &p
}

// takeLease says in the log who is at work, when another run is.
func (a *actor) takeLease(ctx context.Context) (busy string, err error) {
	if busy, err = a.lease.take(ctx); busy != "" {
		a.log.line(EventLeaseBusy, "another run is at work: "+busy, slog.String("holder", busy))
	}
	return busy, err
}

// complete fills in what may be left out.
func (w World) complete() World {
	if w.Log == nil {
		w.Log = slog.New(slog.DiscardHandler)
	}
	return w
}

// Recall reads the store and makes sure that it is this deployment's; without a store it is an unknown one.
func Recall(ctx context.Context, store state.Store, env string) (record.Contents, error) {
	if store == nil {
		return record.Contents{}, nil
	}
	contents, err := store.Contents(ctx)
	if err != nil {
		return contents, fmt.Errorf("read the store: %w", err)
	}
	if of := contents.Fleet.Env; of != "" && of != env {
		return contents, &EnvError{Contents: of, Settings: env}
	}
	return contents, nil
}
