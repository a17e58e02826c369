package pass

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/state"
)

const (
	leaseRenew = time.Minute
	// leaseBeyond is how much longer than DEADLINE a run may hold the lease:
	// what it then finishes and tells takes far less.
	leaseBeyond = 10 * time.Minute
)

// Holder is the run that holds the lease.
type Holder struct {
	Run   string    `json:"holder"` // execution/attempt/random
	Since time.Time `json:"since"`  // when it took the lease, by its own clock
	Until time.Time `json:"until"`
	// Overdue: it has held the lease for longer than a run may take.
	Overdue bool `json:"overdue"`
}

// AtWork gives the run that keeps others out now, or nil. It takes nothing.
func AtWork(ctx context.Context, store state.Store, deadline time.Duration, now time.Time) (*Holder, error) {
	if store == nil {
		return nil, nil //nolint:nilnil // nobody is an answer
	}
	held, err := store.Holder(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the lease in the store: %w", err)
	}
	if !held.HeldAt(now) {
		return nil, nil //nolint:nilnil // nobody is an answer
	}
	h := holderOf(held, deadline, now)
	return &h, nil
}

func holderOf(held state.Lease, deadline time.Duration, now time.Time) Holder {
	return Holder{
		Run: held.Holder, Since: held.Since.UTC(), Until: held.Until.UTC(),
		Overdue: deadline > 0 && now.Sub(held.Since) > deadline+leaseBeyond,
	}
}

// lease keeps overlapping runs from getting into each other's way. It is a
// courtesy: what makes overlaps harmless are intents and conditional writes.
type lease struct {
	w        World
	holder   string
	deadline time.Duration

	mu    sync.Mutex
	taken bool
	lost  string // why, when another run may be at work
	asked time.Time
	until time.Time
}

func newLease(w World, o Options) *lease {
	l := &lease{w: w, deadline: o.Deadline}
	if w.Store != nil {
		l.holder = fmt.Sprintf("%s/%d/%s", o.Run, o.Attempt, w.NewID())
	}
	return l
}

// take takes the lease, or keeps it. busy says why this run has it not: another has. That it has it for
// longer than a run may take is an error, for no run after it would ever act.
func (l *lease) take(ctx context.Context) (busy string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken {
		return l.renew(ctx), nil
	}
	held, err := l.ask(ctx, false)
	switch {
	case errors.Is(err, state.ErrConflict):
		return "another run, just beginning", nil
	case err != nil:
		return "", fmt.Errorf("take the lease in the store: %w", err)
	case held.Holder != l.holder:
		if h := holderOf(held, l.deadline, l.asked); h.Overdue {
			err = fmt.Errorf("%s has held the lease since %s UTC, longer than DEADLINE=%s and %s more: see whether that execution still runs, and end it; RUNBOOK.md, lease_busy",
				h.Run, h.Since.Format("Mon 2006-01-02 15:04"), fleet.Days(l.deadline), fleet.Days(leaseBeyond))
		}
		return held.Holder, err
	}
	l.taken = true
	return "", nil
}

// keep renews the lease about once a minute. It is asked before each intent,
// so that no timer runs beside the work, and says why none may be made.
func (l *lease) keep(ctx context.Context) (lost string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renew(ctx)
}

func (l *lease) renew(ctx context.Context) (lost string) {
	now := l.w.Now()
	if !l.taken || l.lost != "" || now.Before(l.asked.Add(leaseRenew)) {
		return l.lost
	}
	held, err := l.ask(ctx, false)
	switch {
	case err == nil && held.Holder != l.holder:
		l.lost = "the lease went to " + held.Holder
	case err != nil && !now.Before(l.until):
		l.lost = "the lease ran out and could not be renewed: " + err.Error()
	}
	return l.lost
}

// giveBack ends the lease, also after a signal: ctx is the run's last. One that
// cannot be given back runs out by itself.
func (l *lease) giveBack(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.taken || l.lost != "" {
		return
	}
	l.taken = false
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if _, err := l.ask(ctx, true); err != nil {
		l.w.Log.Debug("the lease was not given back; it runs out by itself", "error", err)
	}
}

func (l *lease) ask(ctx context.Context, release bool) (state.Lease, error) {
	now := l.w.Now()
	until := now.Add(state.LeaseLasts)
	held, err := l.w.Store.Lease(ctx, state.Lease{Holder: l.holder, Until: until, Now: now, Release: release})
	l.asked = now
	if err == nil && held.Holder == l.holder {
		l.until = until
	}
	return held, err
}

// gone says whether another run may have taken over.
func (l *lease) gone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost != ""
}
