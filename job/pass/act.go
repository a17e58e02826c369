package pass

import (
	"context"
	"errors"
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
	// overtaken: somebody else changed the fleet document, so the plan's slots and waves no longer hold.
	overtaken bool
	heard     *insightReads // nil: Recommender was not asked
	waiting   record.Outbox // what is to be told
	res       *Result
	// active are the rotations on record as this run has changed them.
	active map[fleet.Ref]record.Rotation
}

// act carries out what was planned: what is in flight first, then starts.
func (a *actor) act(ctx context.Context, res *Result) error {
	a.res, a.planned, a.doc = res, res.Fleet.Contents.Fleet, res.Fleet.Contents.Fleet
	a.active = map[fleet.Ref]record.Rotation{}
	maps.Copy(a.active, res.Fleet.Contents.Rotations)
	a.doc.Env = a.Policy.Env
	acts := func(d *policy.Decision) bool { return d.Write || (d.Action.Sends() && a.Move != nil) }
	for ds := res.Decisions; len(ds) > 0; ds = a.startInstead() {
		inParallel(a.Parallel, policy.ActingOrder(ds, acts), func(d *policy.Decision) { a.perform(ctx, *d) })
	}
	slices.SortFunc(res.Done, func(x, y Done) int { return x.Ref.Compare(y.Ref) })
	a.readInsights(ctx)
	if ctx.Err() != nil {
		a.stopped(toldToStop)
	}
	err := a.finish()
	a.deliver(ctx) // what is stored is told, whatever became of the note
	return err
}

// inParallel does it for all, several at a time; what fails, do has to note.
func inParallel[T any](workers int, all []T, do func(T)) {
	var g errgroup.Group
	g.SetLimit(max(workers, 1))
	for _, one := range all {
		g.Go(func() error {
			do(one)
			return nil
		})
	}
	_ = g.Wait() // no worker returns an error: one does not stop the rest
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
func (a *actor) stop(ctx context.Context) (why string) {
	switch {
	case ctx.Err() != nil:
		why = toldToStop
	case a.overtime():
		why = "DEADLINE=" + fleet.Days(a.Deadline) + " is over"
	default:
		return ""
	}
	a.stopped(why)
	return why
}

func (a *actor) overtime() bool { return a.Deadline > 0 && a.Mono()-a.begun >= a.Deadline }

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
	begun := a.Mono() // before the commit: see record.SendWithin
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

// intent is one call about to be made. Its id leaves this process only into the store: nobody else sends it.
type intent struct{ pool, id string }

// intend writes the intents into the decision: all of them in one write.
func (a *actor) intend(d policy.Decision, number int) (policy.Decision, []intent) {
	pools := d.Pools
	if d.Action != policy.Recreate {
		pools = []string{""}
	}
	ids := map[string]string{}
	var intents []intent
	for _, pool := range pools {
		in := intent{pool, a.NewID()}
		ids[pool] = in.id
		intents = append(intents, in)
	}
	if d.Action == policy.Start {
		return outcome.Intend(d, a.NewID(), ids[""], a.Run, number, a.Now()), intents
	}
	return outcome.IntendCall(d, ids, a.Run, a.Now()), intents
}

func (a *actor) note(d Done) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.res.Done = append(a.res.Done, d)
}

func (a *actor) skip(d policy.Decision, why string) {
	a.log.skipped(d, why)
	a.note(Done{Ref: d.Cluster.Ref, Action: d.Action, After: d, Skipped: why})
}

// send reads again under the stored intents, asks the policy again and makes the calls in order, each at
// most once and soon. What may not be sent after all is withdrawn.
func (a *actor) send(ctx context.Context, d policy.Decision, intents []intent,
	begun time.Duration) map[string]record.Outcome {
	outcomes := map[string]record.Outcome{}
	doc, docErr := a.Store.Fleet(ctx) // holds and approvals of this minute
	fresh, readErr := ReadCluster(ctx, a.Read, d.Cluster.Ref, a.Now())
	err := errors.Join(docErr, readErr)
	for _, in := range intents {
		if ctx.Err() != nil {
			a.stopped(toldToStop)
			outcomes[in.id] = record.Outcome{State: record.Withdrawn, Raw: toldToStop, Stopped: true}
			continue
		}
		if why := a.mayNot(d, in, doc, fresh, err, begun); why != "" {
			outcomes[in.id] = record.Outcome{State: record.Withdrawn, Raw: why}
			continue
		}
		outcomes[in.id] = a.once(ctx, d.Action, fresh, in.pool)
	}
	return outcomes
}

// mayNot says why an intended call may not be sent, or "".
func (a *actor) mayNot(d policy.Decision, in intent, doc record.FleetDoc, fresh fleet.Cluster, readErr error,
	begun time.Duration) string {
	if readErr != nil {
		return "the read under the intent failed: " + readErr.Error()
	}
	again := policy.Recheck(a.Policy, doc, *d.Rotation, kindOf(d.Action), in.pool, fresh, a.Now())
	switch {
	case again.Action != d.Action:
		return again.Message.String()
	case a.Mono()-begun >= record.SendWithin:
		return "more than " + record.SendWithin.String() + " since the intent"
	}
	return ""
}

func kindOf(a policy.Action) record.CallKind {
	switch a {
	case policy.Start:
		return record.CallStart
	case policy.Complete:
		return record.CallComplete
	}
	return record.CallRecreate
}

// After a signal Cloud Run waits ten seconds and kills. By then the outcome of
// a call under way must be in the store or, if the store is away too, in the log.
const (
	// stopGrace is how long a call under way may take after a signal.
	stopGrace = 5 * time.Second
	// stopWithin is how long after a signal the last write may take.
	stopWithin = 8 * time.Second
)

// outlive gives a context that goes on for so long after ctx has ended.
func outlive(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		grace, done := context.WithTimeout(longer, after)
		defer done()
		<-grace.Done()
		cancel()
	})
	return longer, func() {
		stop()
		cancel()
	}
}

// once makes the one call. A signal does not cut it short at once: its outcome
// counts. A call that stays without an answer is unclear, and settles.
func (a *actor) once(ctx context.Context, action policy.Action, c fleet.Cluster, pool string) record.Outcome {
	ctx, end := outlive(ctx, stopGrace)
	defer end()
	ctx, cancel := context.WithTimeout(ctx, record.CallTimeout)
	defer cancel()
	switch action {
	case policy.Start:
		return a.Move.Start(ctx, c.Ref)
	case policy.Complete:
		return a.Move.Complete(ctx, c.Ref)
	}
	target := fleet.Pool{Version: c.Version, Etag: c.Etag} // Autopilot: the control plane
	for _, p := range c.Pools {
		if pool != "" && p.Name == pool {
			target = p
		}
	}
	return a.Move.Recreate(ctx, c.Ref, target)
}
