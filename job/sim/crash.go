package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// Crash is the word for runs that are cut after an intent, or before its
// outcome is stored.
const Crash = "crash"

// errCut says that a run was cut: what it would have done is not done.
var errCut = errors.New("the run was cut")

// One run in so many is cut, at one of so many writes.
const (
	cutOne    = 8
	cutWrites = 4
)

// crasher cuts runs. From then on nothing of the run reaches GKE or the book,
// as if its machine had gone.
type crasher struct {
	mu      sync.Mutex
	dice    *rand.Rand
	left    int  // writes until the cut; 0: not in this run
	applied bool // whether the last write is there
	dead    bool
	cuts    int
}

func newCrasher(seed int64) *crasher {
	return &crasher{dice: rand.New(rand.NewPCG(uint64(seed), 0xc4a5))} //nolint:gosec // seeded on purpose: a simulation is repeatable
}

// begin throws the dice for one run.
func (c *crasher) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead, c.left = false, 0
	if c.dice.IntN(cutOne) == 0 {
		c.left, c.applied = 1+c.dice.IntN(cutWrites), c.dice.IntN(2) == 0
	}
}

func (c *crasher) cut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// write says whether the next write is made, and whether its answer arrives.
func (c *crasher) write() (made, told bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return false, false
	}
	if c.left == 0 {
		return true, true
	}
	if c.left--; c.left > 0 {
		return true, true
	}
	c.dead = true
	c.cuts++
	return c.applied, false
}

// crashStore is the book as a run sees it that may be cut.
type crashStore struct {
	state.Store
	c *crasher
}

func (s crashStore) Write(ctx context.Context, change state.Change) (state.Change, error) {
	made, told := s.c.write()
	if !made {
		return state.Change{}, errCut
	}
	out, err := s.Store.Write(ctx, change)
	if !told {
		return state.Change{}, errCut
	}
	return out, err
}

func (s crashStore) Told(ctx context.Context, n record.Notice, all bool) error {
	if s.c.cut() {
		return errCut
	}
	return s.Store.Told(ctx, n, all)
}

func (s crashStore) Lease(ctx context.Context, l state.Lease) (state.Lease, error) {
	if s.c.cut() {
		return state.Lease{}, errCut
	}
	return s.Store.Lease(ctx, l)
}

// crashMover sends nothing for a run that was cut.
type crashMover struct {
	gke.Mover
	c *crasher
}

func (m crashMover) send(call func() record.Outcome) record.Outcome {
	if m.c.cut() {
		return record.Outcome{State: record.Unclear, Raw: errCut.Error()}
	}
	return call()
}

func (m crashMover) Start(ctx context.Context, ref fleet.Ref) record.Outcome {
	return m.send(func() record.Outcome { return m.Mover.Start(ctx, ref) })
}

func (m crashMover) Recreate(ctx context.Context, ref fleet.Ref, target fleet.Pool) record.Outcome {
	return m.send(func() record.Outcome { return m.Mover.Recreate(ctx, ref, target) })
}

func (m crashMover) Complete(ctx context.Context, ref fleet.Ref) record.Outcome {
	return m.send(func() record.Outcome { return m.Mover.Complete(ctx, ref) })
}
