package gke

import (
	"context"
	"slices"
	"time"

	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Retry says how reads are repeated. Calls that change a cluster never are.
type Retry struct {
	// Pauses come between the tries: there is one try more than pauses.
	Pauses []time.Duration
	// Attempt limits one try, Overall all of them with their pauses.
	Attempt, Overall time.Duration
	// Sleep waits for a pause, or less when ctx ends; nil waits in real time.
	Sleep func(ctx context.Context, d time.Duration) error

	final codes.Code // not repeated either
}

// DefaultRetry is how reads from Google are repeated: a listing of a whole
// project may take seconds, a quota minute must not end the run.
func DefaultRetry() Retry {
	return Retry{Pauses: []time.Duration{time.Second, 5 * time.Second, 25 * time.Second},
		Attempt: 20 * time.Second, Overall: 2 * time.Minute}
}

// NoRetry asks once and never waits: for simulated time.
func NoRetry() Retry { return Retry{Attempt: 20 * time.Second, Overall: 20 * time.Second} }

// passing are the codes after which a read may succeed when it is repeated.
var passing = []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Internal,
	codes.Aborted}

// read makes the call until it is answered, refused for good or out of tries.
func (r Retry) read(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.Overall)
	defer cancel()
	sleep := r.Sleep
	if sleep == nil {
		sleep = gax.Sleep
	}
	for try := 0; ; try++ {
		err := r.attempt(ctx, call)
		code := status.Code(err)
		if err == nil || ctx.Err() != nil || try >= len(r.Pauses) || code == r.final ||
			!slices.Contains(passing, code) {
			return err
		}
		if sleep(ctx, r.Pauses[try]) != nil {
			return err // what GKE said is worth more than that time is up
		}
	}
}

func (r Retry) attempt(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.Attempt)
	defer cancel()
	return call(ctx)
}
