package pass

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gke-credential-rotator/state"
)

const (
	leaseFor   = 5 * time.Minute
	leaseRenew = time.Minute
)

// lease keeps overlapping runs from getting into each other's way. It is a
// courtesy: what makes overlaps harmless are intents and conditional writes.
type lease struct {
	w      World
	holder string

	mu    sync.Mutex
	taken bool
	lost  string // why, when another run may be at work
	asked time.Time
	until time.Time
}

func newLease(w World, o Options) *lease {
	l := &lease{w: w}
	if w.Store != nil {
		l.holder = fmt.Sprintf("%s/%d/%s", o.Run, o.Attempt, w.NewID())
	}
	return l
}

// take takes the lease. busy names the run that has it, if another does.
func (l *lease) take(ctx context.Context) (busy string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held, err := l.ask(ctx, false)
	switch {
	case errors.Is(err, state.ErrConflict):
		return "another run, just beginning", nil
	case err != nil:
		return "", fmt.Errorf("take the lease in the book: %w", err)
	case held.Holder != l.holder:
		return held.Holder, nil
	}
	l.taken = true
	return "", nil
}

// orTake takes the lease if this run has none, as one that observed without
// writing.
func (l *lease) orTake(ctx context.Context) (busy string, err error) {
	l.mu.Lock()
	taken := l.taken
	l.mu.Unlock()
	if taken {
		return l.keep(ctx), nil
	}
	return l.take(ctx)
}

// keep renews the lease about once a minute. It is asked before each intent,
// so that no timer runs beside the work, and says why none may be made.
func (l *lease) keep(ctx context.Context) (lost string) {
	l.mu.Lock()
	defer l.mu.Unlock()
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
	until := now.Add(leaseFor)
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
