package pass

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// storeTimeout bounds the storing of an outcome, which goes on after a signal.
const storeTimeout = 8 * time.Second

// actor carries out the decisions of one run.
type actor struct {
	World
	Options
	begun time.Time

	mu       sync.Mutex // guards doc and everything below
	doc      policy.FleetDoc
	done     []Done
	unstored int
}

// act carries out what was planned: what is in flight first, then starts.
func act(ctx context.Context, w World, o Options, res *Result) error {
	a := &actor{World: w, Options: o, begun: res.At, doc: res.Fleet.Book.Fleet}
	var g errgroup.Group
	g.SetLimit(max(o.Parallel, 1))
	for _, d := range policy.ActingOrder(res.Decisions) {
		if !d.Write && !d.Action.Sends() {
			continue
		}
		g.Go(func() error {
			a.carryOut(ctx, d)
			return nil
		})
	}
	_ = g.Wait() // what fails is in the results
	res.Done, res.Unstored = a.done, a.unstored
	return a.finish(ctx, res)
}

// carryOut stores the decision, and sends its call under the stored intent.
func (a *actor) carryOut(ctx context.Context, d policy.Decision) {
	if d.Rotation != nil && d.Rotation.AttemptID == "" {
		r := *d.Rotation
		r.AttemptID = a.NewID()
		d.Rotation = &r
	}
	if !d.Action.Sends() || a.Move == nil || ctx.Err() != nil || a.Now().Sub(a.begun) > a.Deadline {
		if d.Write {
			a.record(ctx, d, nil)
		}
		return
	}
	begun := a.Mono()
	d, ids := a.intend(d)
	stored, err := a.store(ctx, d)
	if err != nil {
		// Not stored, or unclear whether: do not send.
		a.note(Done{Ref: d.Cluster.Ref, Action: d.Action, After: d, Skipped: err.Error()})
		return
	}
	outcomes := a.send(ctx, stored, ids, begun)
	a.record(ctx, policy.Settle(stored, outcomes, a.Run, a.Now()), outcomes)
}

// intend writes the intents into the decision. Their ids never leave this
// process but into the book.
func (a *actor) intend(d policy.Decision) (policy.Decision, map[string]string) {
	if d.Action == policy.Start {
		id := a.NewID()
		return policy.Intend(d, a.NewID(), id, a.Run, 1, a.Now()), map[string]string{"": id}
	}
	ids := map[string]string{}
	for _, pool := range d.Pools {
		ids[pool] = a.NewID()
	}
	if d.Action == policy.Complete {
		ids[""] = a.NewID()
	}
	return policy.IntendCall(d, ids, a.Run, a.Now()), ids
}

// send reads again under the intent, asks the policy again and makes the
// calls, each at most once and soon.
func (a *actor) send(ctx context.Context, d policy.Decision, ids map[string]string, begun time.Duration) map[string]policy.Outcome {
	outcomes := map[string]policy.Outcome{}
	withdraw := func(id, why string) { outcomes[id] = policy.Outcome{State: policy.Withdrawn, Raw: why} }
	ref := d.Cluster.Ref
	doc, docErr := a.Store.Fleet(ctx)
	fresh, err := readFresh(ctx, a.World, ref)
	for _, pool := range order(ids) {
		id := ids[pool]
		if err := errors.Join(docErr, err); err != nil {
			withdraw(id, "the read under the intent failed: "+err.Error())
			continue
		}
		again := policy.Again(a.Policy, doc, *d.Rotation, kindOf(d.Action), pool, fresh, a.Now())
		switch {
		case again.Action != d.Action:
			withdraw(id, again.Message)
		case a.Mono()-begun >= policy.SendWithin:
			withdraw(id, "more than "+policy.SendWithin.String()+" since the intent")
		case ctx.Err() != nil:
			withdraw(id, "the run was told to stop")
		default:
			outcomes[id] = a.call(ctx, d.Action, fresh, pool)
		}
	}
	return outcomes
}

func kindOf(a policy.Action) policy.CallKind {
	switch a {
	case policy.Start:
		return policy.CallStart
	case policy.Complete:
		return policy.CallComplete
	}
	return policy.CallRecreate
}

// call makes the one call. A signal does not cut it short: its outcome counts.
func (a *actor) call(ctx context.Context, action policy.Action, c policy.Cluster, pool string) policy.Outcome {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), policy.CallTimeout)
	defer cancel()
	switch action {
	case policy.Start:
		return a.Move.Start(ctx, c.Ref)
	case policy.Complete:
		return a.Move.Complete(ctx, c.Ref)
	}
	target := policy.Pool{Version: c.Version, Etag: c.Etag}
	for _, p := range c.Pools {
		if p.Name == pool {
			target = p
		}
	}
	return a.Move.Recreate(ctx, c.Ref, target)
}

// record stores what came of it. An outcome that cannot be stored is logged
// whole, so that a person can enter it.
func (a *actor) record(ctx context.Context, d policy.Decision, outcomes map[string]policy.Outcome) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	stored, err := a.store(ctx, d)
	done := Done{Ref: d.Cluster.Ref, Action: d.Action, After: stored, Outcomes: outcomes}
	switch {
	case errors.Is(err, state.ErrConflict) && outcomes == nil:
		done.After, done.Skipped = d, err.Error() // another run is at it
	case err != nil:
		done.After, done.Skipped = d, err.Error()
		text, _ := json.Marshal(d.Rotation)
		a.Log.Error("an outcome could not be stored", "event", "outcome_unstored", "cluster", d.Cluster.Ref.String(), "error", err, "rotation", string(text))
		a.mu.Lock()
		a.unstored++
		a.mu.Unlock()
	}
	a.note(done)
}

// store writes the decision's rotation, and the fleet document when it
// changes with it, in one conditional write.
func (a *actor) store(ctx context.Context, d policy.Decision) (policy.Decision, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	stored, err := a.write(ctx, d)
	if !errors.Is(err, state.ErrConflict) || d.Action == policy.Start {
		return stored, err
	}
	// Somebody wrote the fleet document: what this writes fits the new one too.
	doc, readErr := a.Store.Fleet(ctx)
	if readErr != nil || doc.Version == a.doc.Version {
		return stored, err
	}
	a.doc = doc
	return a.write(ctx, d)
}

func (a *actor) write(ctx context.Context, d policy.Decision) (policy.Decision, error) {
	now := a.Now()
	doc, changed := a.doc.After(d, now)
	var c state.Change
	if changed {
		c.Fleet = &doc
	}
	if d.Close != "" {
		c.Close = &policy.Record{Rotation: *d.Rotation, ClosedAs: d.Close, ClosedAt: now, CompletedBy: d.Rotation.CompletedBy, Findings: d.Findings}
	} else {
		c.Rotation = d.Rotation
	}
	got, err := a.Store.Write(ctx, c)
	if err != nil {
		return d, fmt.Errorf("store %s: %w", d.Cluster.Ref, err)
	}
	if got.Fleet != nil {
		a.doc = *got.Fleet
	}
	if got.Rotation != nil {
		d.Rotation = got.Rotation
	}
	return d, nil
}

func (a *actor) note(d Done) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done = append(a.done, d)
}

// finish notes the run in the fleet document.
func (a *actor) finish(ctx context.Context, res *Result) error {
	if a.Store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	doc := a.doc.Tidy(res.Decisions, policy.RunNote{Run: a.Run, At: res.At, Mode: a.Mode, Version: a.Version})
	doc.Env = a.Policy.Env
	if _, err := a.Store.Write(ctx, state.Change{Fleet: &doc}); err != nil && !errors.Is(err, state.ErrConflict) {
		return fmt.Errorf("note the run in the book: %w", err)
	}
	return nil
}

// order lists the pools in a fixed order.
func order(ids map[string]string) []string {
	return slices.Sorted(maps.Keys(ids))
}
