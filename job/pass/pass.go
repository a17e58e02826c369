// Package pass is one run of the job: recall the book, observe GKE, plan, act,
// record. It decides nothing: policy does; and it knows no cloud: ports do.
package pass

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// World is everything a run touches.
type World struct {
	Read gke.Reader
	// Move is nil in observe mode: what was never built cannot be called.
	Move  gke.Mover
	Store state.Store // nil: a plan without a book
	Now   func() time.Time
	// Mono is a clock that nobody sets, for SEND_WITHIN.
	Mono func() time.Duration
	// NewID makes random ids.
	NewID func() string
	Log   *slog.Logger
}

// Options are one run's.
type Options struct {
	Policy   *policy.Policy
	Run      string // this execution's name
	Mode     string // observe or act, for the record
	Parallel int    // workers
	// Deadline is how long after its begin the run begins nothing new.
	Deadline time.Duration
	Version  string
}

// Result is what a run saw and did.
type Result struct {
	At        time.Time
	Fleet     policy.Fleet
	Decisions []policy.Decision // as planned, ordered by cluster
	Done      []Done            // what was carried out, ordered by cluster
	// Unstored counts outcomes that could not be stored; each is in the log.
	Unstored int
	// Busy names the run that holds the lease, when another does.
	Busy string
}

// Done is one decision carried out.
type Done struct {
	Ref      policy.Ref
	Action   policy.Action
	After    policy.Decision // what is stored now
	Outcomes map[string]policy.Outcome
	// Skipped says why nothing was sent after all.
	Skipped string
}

// Look is what plan shows: a run that stops before it acts. It writes nothing.
func Look(ctx context.Context, w World, o Options) (Result, error) {
	res := Result{At: w.Now()}
	book, err := recall(ctx, w)
	if err != nil {
		return res, err
	}
	if res.Fleet, err = observe(ctx, w, o, book); err != nil {
		return res, err
	}
	res.Decisions = policy.Plan(o.Policy, res.Fleet, o.Run, res.At)
	return res, nil
}

// Run makes one pass. Its error means that the run could not be made: the book
// or every project was out of reach. What happened to single clusters is in
// the result.
func Run(ctx context.Context, w World, o Options) (Result, error) {
	res, err := Look(ctx, w, o)
	if err != nil {
		return res, err
	}
	return res, act(ctx, w, o, &res)
}

func recall(ctx context.Context, w World) (policy.Book, error) {
	if w.Store == nil {
		return policy.Book{}, nil
	}
	book, err := w.Store.Book(ctx)
	if err != nil {
		return book, fmt.Errorf("read the book: %w", err)
	}
	return book, nil
}
