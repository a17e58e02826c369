package pass

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/outcome"
	"gke-credential-rotator/policy/record"
)

// actor carries out the decisions of one run.
type actor struct {
	World
	Options
	lease   *lease
	log     *runLog
	begun   time.Duration   // on Mono
	last    context.Context // of what is finished after a signal
	planned record.FleetDoc // as the plan saw it

	mu sync.Mutex // guards all below, and is held over a write
	// doc is the fleet document as this run last stored or read it.
	doc record.FleetDoc
	// overtaken: somebody else changed the fleet document after the plan, so
	// what the plan says about slots and waves no longer holds.
	overtaken bool
	heard     *insightReads // nil: Recommender was not asked
	waiting   record.Outbox // what is to be told
	res       *Result
	// active are the rotations on record as this run has changed them.
	active map[fleet.Ref]record.Rotation
}

// act carries out what was planned: what is in flight first, then starts.
func act(ctx, last context.Context, w World, o Options, l *lease, log *runLog, begun time.Duration,
	res *Result) error {
	a := &actor{World: w, Options: o, lease: l, log: log, begun: begun, last: last,
		planned: res.Fleet.Contents.Fleet, doc: res.Fleet.Contents.Fleet, res: res,
		active: map[fleet.Ref]record.Rotation{}}
	maps.Copy(a.active, res.Fleet.Contents.Rotations)
	a.doc.Env = o.Policy.Env
	for ds := res.Decisions; len(ds) > 0; ds = a.startInstead() {
		a.performAll(ctx, ds)
	}
	slices.SortFunc(res.Done, func(x, y Done) int { return x.Ref.Compare(y.Ref) })
	a.readInsights(ctx)
	err := a.finish()
	a.deliver(ctx) // what is stored is told, whatever became of the note
	return err
}

// performAll carries out what writes or sends, several at a time.
func (a *actor) performAll(ctx context.Context, ds []policy.Decision) {
	var g errgroup.Group
	g.SetLimit(max(a.Parallel, 1))
	acts := func(d *policy.Decision) bool { return d.Write || (d.Action.Sends() && a.Move != nil) }
	for _, d := range policy.ActingOrder(ds, acts) {
		g.Go(func() error {
			a.perform(ctx, *d)
			return nil
		})
	}
	_ = g.Wait() // what fails is in the results
}

// startInstead gives the starts to which go the slots of those that were taken
// back before they were sent: planned anew on what this run has stored. None,
// when nothing was taken back since it was last asked, or somebody else writes.
func (a *actor) startInstead() []policy.Decision {
	tried, again := map[fleet.Ref]bool{}, false
	for i := range a.res.Done {
		done := &a.res.Done[i]
		tried[done.Ref] = true
		again = again || (done.Action == policy.Start && done.Withdrawn && !done.dealt)
		done.dealt = true
	}
	if !again || a.overtaken || a.res.Stopped != "" {
		return nil
	}
	fleet := a.res.Fleet
	fleet.Contents.Fleet, fleet.Contents.Rotations = a.doc, a.active
	return slices.DeleteFunc(policy.Plan(a.Policy, fleet, a.Run, a.res.At), func(d policy.Decision) bool {
		return d.Action != policy.Start || tried[d.Cluster.Ref]
	})
}

// perform does one decision: what it stores, then its call under a stored
// intent. Once the run is to stop nothing new is begun.
func (a *actor) perform(ctx context.Context, d policy.Decision) {
	if why := a.stop(ctx); why != "" {
		a.skip(d, why)
		return
	}
	if d.Action.Sends() && a.Move != nil {
		lost := a.lease.keep(ctx)
		if lost == "" {
			a.call(ctx, d)
			return
		}
		a.stopped(lost)
		if !d.Write {
			a.skip(d, lost)
			return
		}
	}
	a.record(a.named(d))
}

const toldToStop = "the run was told to stop"

// stop says why nothing new may be begun.
func (a *actor) stop(ctx context.Context) string {
	why := ""
	switch {
	case ctx.Err() != nil:
		why = toldToStop
	case a.Deadline > 0 && a.Mono()-a.begun >= a.Deadline:
		why = "DEADLINE=" + fleet.Days(a.Deadline) + " is over"
	default:
		return ""
	}
	a.stopped(why)
	return why
}

func (a *actor) stopped(why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.res.Stopped == "" {
		a.res.Stopped = why
	}
}

// named gives an adopted rotation its attempt id and number.
func (a *actor) named(d policy.Decision) policy.Decision {
	if d.Rotation != nil && d.Rotation.AttemptID == "" {
		r := *d.Rotation
		r.AttemptID, r.AttemptNo = a.NewID(), a.res.attempts[r.Cluster]+1
		d.Rotation = &r
	}
	return d
}

// call stores the intents, sends the calls and stores what came of them.
func (a *actor) call(ctx context.Context, d policy.Decision) {
	number := 0
	if d.Action == policy.Start {
		records, err := a.Store.History(ctx, d.Cluster.Ref)
		if err != nil {
			a.skip(d, fmt.Sprintf("read the history of %s: %v", d.Cluster.Ref, err))
			return
		}
		number = lastAttempt(records) + 1
	}
	begun := a.Mono() // before the commit: see SEND_WITHIN
	intended, intents := a.intend(a.named(d), number)
	stored, err := a.store(intended)
	if err != nil {
		a.notIntended(d, intended, intents, err)
		return
	}
	outcomes := a.send(ctx, stored, intents, begun)
	if withdrawn(outcomes) == "" {
		a.log.decision(stored) // what was taken back before it was sent has not begun
	}
	a.storeOutcome(stored, outcomes)
}

// intent is one call about to be made. Its id leaves this process only into
// the store, so nobody else can send it.
type intent struct{ pool, id string }

// intend writes the intents into the decision: all of them in one write.
func (a *actor) intend(d policy.Decision, number int) (policy.Decision, []intent) {
	if d.Action == policy.Start {
		in := intent{id: a.NewID()}
		return outcome.Intend(d, a.NewID(), in.id, a.Run, number, a.Now()), []intent{in}
	}
	pools := d.Pools
	if d.Action == policy.Complete {
		pools = []string{""}
	}
	ids := map[string]string{}
	var intents []intent
	for _, pool := range pools {
		in := intent{pool, a.NewID()}
		ids[pool] = in.id
		intents = append(intents, in)
	}
	return outcome.IntendCall(d, ids, a.Run, a.Now()), intents
}

func (a *actor) note(d Done) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.res.Done = append(a.res.Done, d)
}

// skip notes that a decision was not carried out.
func (a *actor) skip(d policy.Decision, why string) {
	a.log.skipped(d, why)
	a.note(Done{Ref: d.Cluster.Ref, Action: d.Action, After: d, Skipped: why})
}
