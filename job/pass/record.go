package pass

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/outcome"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// storeTimeout bounds each write and what it takes to make sure of it. Writes
// go on after a signal, so they take no context but the actor's last.
const storeTimeout = 8 * time.Second

// record stores a decision that makes no call. What cannot be stored is seen again by the next run.
func (a *actor) record(d policy.Decision) {
	stored, err := a.store(d)
	if err != nil && (unwritten(err) || !a.applied(d)) {
		a.skip(d, notStored(err))
		return
	}
	a.log.decision(stored)
	a.note(Done{Ref: d.Cluster.Ref, Action: d.Action, After: stored})
}

// applied looks whether a write of which nobody knows the end is in the store.
func (a *actor) applied(d policy.Decision) bool {
	r, err := a.onRecord(d.Cluster.Ref)
	switch {
	case err != nil:
		return false
	case r == nil:
		return d.Close != ""
	}
	stored, _ := json.Marshal(r) // plain values: it cannot fail
	wanted, _ := json.Marshal(d.Rotation)
	return d.Close == "" && bytes.Equal(stored, wanted)
}

// unwritten says whether it is known that nothing was written.
func unwritten(err error) bool {
	return errors.Is(err, state.ErrConflict) || errors.Is(err, state.ErrTooLarge)
}

func notStored(err error) string {
	switch {
	case errors.Is(err, state.ErrConflict):
		return "another run or person is at it: " + err.Error()
	case errors.Is(err, state.ErrTooLarge):
		return "not stored: " + err.Error()
	}
	return "not stored, or nobody knows: " + err.Error()
}

// notIntended: without a stored intent nothing is sent. If nobody knows whether
// it was stored, the writer, who alone could send it, takes it back.
func (a *actor) notIntended(d, intended policy.Decision, intents []intent, err error) {
	if !unwritten(err) {
		outcomes := map[string]record.Outcome{}
		for _, in := range intents {
			outcomes[in.id] = record.Outcome{State: record.Withdrawn, Raw: "nobody knew whether the intent was stored"}
		}
		if a.applied(intended) {
			a.log.decision(intended)
		}
		if _, backErr := a.storeOutcomeAgain(intended, outcomes); backErr != nil {
			err = errors.Join(err, fmt.Errorf("nor could it be taken back: %w", backErr))
		}
	}
	a.skip(d, notStored(err))
}

// settleTries is how often an outcome is stored anew: each try loses only to a write that succeeded.
const settleTries = 5

// storeOutcome stores what came of the calls, or else logs it whole, so that a person can enter it.
func (a *actor) storeOutcome(sent policy.Decision, outcomes map[string]record.Outcome) {
	next := outcome.Resolve(sent, outcomes, a.Run, a.Now())
	stored, err := a.store(next)
	for tries, again := 0, err; again != nil && tries < settleTries; tries++ {
		if stored, again = a.storeOutcomeAgain(sent, outcomes); again == nil {
			err = nil
		} else if !errors.Is(again, state.ErrConflict) || tries == settleTries-1 {
			err = errors.Join(err, again)
			break
		}
	}
	done := Done{Ref: sent.Cluster.Ref, Action: sent.Action, After: stored, Outcomes: outcomes}
	if why := withdrawn(outcomes); why != "" {
		done.Skipped, done.Withdrawn = "withdrawn: "+why, true
		a.log.withdrawn(sent, why)
	}
	if err != nil {
		done.After, done.Skipped = sent, "its outcome could not be stored: "+err.Error()
		a.log.unstored(sent, next, outcomes, err)
		a.mu.Lock()
		a.res.Unstored++
		a.mu.Unlock()
	} else {
		a.log.decision(stored)
	}
	a.note(done)
}

// withdrawn says why nothing was sent, when nothing was; else "".
func withdrawn(outcomes map[string]record.Outcome) string {
	why := ""
	for _, o := range outcomes {
		if o.State != record.Withdrawn {
			return ""
		}
		why = max(why, o.Raw)
	}
	return why
}

// storeOutcomeAgain looks at what is stored, after a write that conflicted or whose
// end nobody knows, and stores the outcomes if they are not in the store yet.
func (a *actor) storeOutcomeAgain(sent policy.Decision, outcomes map[string]record.Outcome) (policy.Decision,
	error) {
	next := outcome.Resolve(sent, outcomes, a.Run, a.Now())
	r, err := a.onRecord(sent.Cluster.Ref)
	if err != nil {
		return sent, err
	}
	if r == nil || r.AttemptID != sent.Rotation.AttemptID {
		return next, nil // closed: by this write, or by another run's proof
	}
	if !awaits(*r, outcomes) || r.Phase != sent.Rotation.Phase {
		next.Rotation = r // entered, or proved by what another run saw
		return next, nil
	}
	sent.Rotation = r
	return a.store(outcome.Resolve(sent, outcomes, a.Run, a.Now()))
}

// awaits says whether one of the calls is still without an answer.
func awaits(r record.Rotation, outcomes map[string]record.Outcome) bool {
	calls := slices.Collect(maps.Values(r.PoolCalls))
	if r.Call != nil {
		calls = append(calls, *r.Call)
	}
	return slices.ContainsFunc(calls, func(c record.Call) bool {
		_, ours := outcomes[c.ID]
		return ours && c.State == record.Intended
	})
}

// store writes the rotation, and the fleet document when it changes with it, in one conditional write.
func (a *actor) store(d policy.Decision) (policy.Decision, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d.Action == policy.Start && a.overtaken {
		return d, fmt.Errorf("the fleet document changed after the plan: %w", state.ErrConflict)
	}
	ctx, cancel := context.WithTimeout(a.last, storeTimeout)
	defer cancel()
	stored, err := a.write(ctx, d)
	if !errors.Is(err, state.ErrConflict) {
		return stored, err
	}
	// Nothing was written. If it was for the fleet document, what this writes
	// fits the new one too; but a start must have been planned on it.
	if changed, readErr := a.catchUp(ctx); readErr != nil || !changed || d.Action == policy.Start {
		return stored, err
	}
	return a.write(ctx, d)
}

// again tries a second time when somebody else has changed the fleet document.
func (a *actor) again(ctx context.Context, write func() error) error {
	err := write()
	if errors.Is(err, state.ErrConflict) {
		if _, err = a.catchUp(ctx); err == nil {
			return write()
		}
	}
	return err
}

// catchUp reads the fleet document that somebody else has changed.
func (a *actor) catchUp(ctx context.Context) (changed bool, err error) {
	doc, err := a.Store.Fleet(ctx)
	if err != nil || doc.Version == a.doc.Version {
		return false, err
	}
	if doc.Env != "" && doc.Env != a.Policy.Env {
		return false, &EnvError{Contents: doc.Env, Settings: a.Policy.Env}
	}
	doc.Env = a.Policy.Env
	a.doc, a.overtaken = doc, true
	return true, nil
}

// onRecord reads one rotation, also after a signal; nil: there is none.
func (a *actor) onRecord(ref fleet.Ref) (*record.Rotation, error) {
	ctx, cancel := context.WithTimeout(a.last, storeTimeout)
	defer cancel()
	return a.Store.Rotation(ctx, ref)
}

func (a *actor) write(ctx context.Context, d policy.Decision) (policy.Decision, error) {
	now := a.Now()
	doc, changed := outcome.After(a.doc, d, now)
	doc.Requests = a.keepUnseen(doc.Requests)
	var c state.Change
	if changed || d.Slot != policy.SlotKeep {
		// A slot is given back only on the newest document: on an older one it
		// may not show yet, and would stay taken for ever.
		c.Fleet = &doc
	}
	if d.Close != "" {
		rec := closed(d, now)
		rec.Said = a.saidToClose(d)
		c.Close = &rec
		if d.Reason == reason.CallWithdrawn {
			c.Replaces = d.Rotation.Follows
		}
	} else {
		c.Rotation = d.Rotation
	}
	c.Notices = a.notices(d, now)
	got, err := state.WriteLean(ctx, a.Store, c)
	if err != nil {
		return d, fmt.Errorf("store %s: %w", d.Cluster.Ref, err)
	}
	if got.Fleet != nil {
		a.doc = *got.Fleet
	}
	if got.Rotation != nil {
		d.Rotation = got.Rotation
		a.active[d.Cluster.Ref] = *got.Rotation
	}
	if c.Close != nil {
		delete(a.active, d.Cluster.Ref)
	}
	return d, nil
}

// keepUnseen keeps requests that came after the plan: no decision of this run has taken them up.
func (a *actor) keepUnseen(after []record.Request) []record.Request {
	for _, q := range a.doc.Requests {
		if !slices.Contains(a.planned.Requests, q) && !slices.Contains(after, q) {
			after = append(after, q)
		}
	}
	return after
}

func (a *actor) saidToClose(d policy.Decision) record.Said {
	if d.Close == record.ClosedByPeople {
		for _, q := range slices.Backward(a.doc.Requests) {
			if q.Kind == record.RequestClose && q.Cluster == d.Rotation.Cluster {
				return q.Said
			}
		}
	}
	return record.Said{}
}

// finish notes the run in the fleet document, also after a signal; not when another run has taken over.
func (a *actor) finish() error {
	a.log.breaker(a.planned, a.doc, a.res.At)
	if a.lease.gone() {
		return nil
	}
	ctx, cancel := context.WithTimeout(a.last, storeTimeout)
	defer cancel()
	note := record.RunNote{Run: a.Run, At: a.res.At, Mode: a.Mode, Version: a.Version, Summary: summary(*a.res)}
	err := a.again(ctx, func() error { return a.noteRun(ctx, note) })
	if err != nil && !errors.Is(err, state.ErrConflict) {
		return fmt.Errorf("note the run in the store: %w", err)
	}
	return nil
}

// noteRun stores the run's note and, where it is known what was announced before, what it announces.
func (a *actor) noteRun(ctx context.Context, note record.RunNote) error {
	doc := a.heard.into(outcome.Tidy(a.doc, a.Policy, a.res.Fleet, a.res.Decisions, note))
	c := state.Change{Fleet: &doc}
	if a.readOutbox(ctx) {
		a.noteStanding(doc, &c)
	}
	got, err := state.WriteLean(ctx, a.Store, c)
	if err == nil {
		a.waiting.Notices = append(a.waiting.Notices, got.Notices...)
	}
	return err
}
