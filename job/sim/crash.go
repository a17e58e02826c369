package sim

import (
	"context"
	"errors"
	"math/rand/v2"

	"gke-credential-rotator/job/intercept"
)

// Crash is the word for runs that are cut after an intent, or before its outcome is stored.
const Crash = "crash"

// errCut says that a run was cut: what it would have done is not done.
var errCut = errors.New("the run was cut")

// One run in so many is cut, at one of so many writes.
const (
	cutOne    = 8
	cutWrites = 4
)

// crasher cuts runs. From then on nothing of the run reaches GKE or the store, as if its machine had gone.
type crasher struct {
	dice    *rand.Rand
	left    int  // writes until the cut; 0: not in this run
	applied bool // whether the last write is there
	dead    bool
	cuts    int
}

// begin throws the dice for one run.
func (c *crasher) begin() {
	c.dead, c.left = false, 0
	if c.dice.IntN(cutOne) == 0 {
		c.left, c.applied = 1+c.dice.IntN(cutWrites), c.dice.IntN(2) == 0
	}
}

// intercept cuts what changes something; a run that was cut may read on.
func (c *crasher) intercept(ctx context.Context, call *intercept.Call, next intercept.Next) error {
	switch call.Method {
	case intercept.Write, intercept.Delivered, intercept.Lease, intercept.Start, intercept.Recreate,
		intercept.Complete:
		if c.dead {
			return errCut
		}
	}
	if call.Method != intercept.Write || c.left == 0 {
		return next(ctx)
	}
	if c.left--; c.left > 0 {
		return next(ctx)
	}
	c.dead = true
	c.cuts++
	if c.applied {
		_ = next(ctx) // nobody is left to be told
	}
	return errCut
}
