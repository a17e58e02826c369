// Package sim plays passes over the simulated GKE in simulated time. It runs
// the same pass as production; only the clock and GKE are not real.
package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/intercept"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/state"
)

// Setup is what is played.
type Setup struct {
	Policy *rules.Policy
	World  *gkesim.World
	From   time.Time
	Days   int
	Every  time.Duration
	Seed   int64
	Log    *slog.Logger // nil: none
	// Contents and History are what a forecast begins with; a simulation begins without.
	Contents record.Contents
	History  []record.Record
	// Faults are words: gkesim.Flaky, gkesim.Outside and [Crash].
	Faults []string
	// Ahead is how long before a start or completion those in the pass's world
	// are told of it; the simulation itself tells nobody.
	Ahead time.Duration
}

// Play makes a pass every Every, until Days have gone by, and tells the story.
// each, when given, sees every pass's result.
func Play(ctx context.Context, s Setup, each func(pass.Result)) (Story, error) {
	g, err := NewGame(s)
	if err != nil {
		return Story{}, err
	}
	story := newStory(s)
	for now := s.From; !now.After(story.To); now = now.Add(s.Every) {
		res, err := g.Step(ctx, now)
		if err != nil && len(s.Faults) > 0 && ctx.Err() == nil {
			// A run that could not be made, or was cut, tells nothing; the next one finds what it left.
			continue
		}
		if err != nil {
			return story.Story, fmt.Errorf("the run of %s: %w", now.Format(time.RFC3339), err)
		}
		story.add(res)
		if each != nil {
			each(res)
		}
	}
	story.finish(g.runs, s.World.Journal())
	story.Words, story.Faults = s.Faults, g.faults()
	return story.Story, nil
}

// Game is a simulation played step by step; what it is made of may be wrapped or changed between the steps.
type Game struct {
	Setup
	Pass  pass.World
	Store state.Store

	now   time.Time
	runs  int
	ids   int
	crash *crasher // nil: no run is cut
}

// newGame puts production's run over the simulated GKE and a store; name begins the ids that it makes up.
func newGame(s Setup, store state.Store, name string) *Game {
	g := &Game{Setup: s, Store: store, now: s.From}
	cloud := gke.Over(s.World.Direct(), gke.NoRetry())
	g.Pass = pass.World{
		Read: cloud, Move: cloud, Store: store, Log: s.Log,
		Now:   func() time.Time { return g.now },
		Mono:  func() time.Duration { return g.now.Sub(g.From) },
		NewID: func() string { g.ids++; return fmt.Sprintf("%s-%d-%06d", name, g.Seed, g.ids) },
	}
	return g
}

// NewGame sets up a simulation with an empty store of its own in memory, and lets the setup's faults begin.
func NewGame(s Setup) (*Game, error) {
	// A run that is cut leaves in the store what it wrote, and nothing else.
	g := newGame(s, state.NewMemory(true), "sim")
	words := slices.DeleteFunc(slices.Clone(s.Faults), func(word string) bool { return word == Crash })
	if len(words) < len(s.Faults) {
		g.crash = &crasher{dice: rand.New(rand.NewPCG(uint64(s.Seed), 0xc4a5))} //nolint:gosec // a simulation is repeatable
		g.Pass.Store = intercept.Store(g.Store, g.crash.intercept)
		g.Pass.Move = intercept.Mover(g.Pass.Move, g.crash.intercept)
	}
	if len(words) == 0 {
		return g, nil
	}
	return g, s.World.Suffer(gkesim.Faults{Words: words})
}

func (g *Game) faults() int {
	n := 0
	for _, times := range g.World.Suffered() {
		n += times
	}
	if g.crash != nil {
		n += g.crash.cuts
	}
	return n
}

// Step lets time pass until now and makes one run.
func (g *Game) Step(ctx context.Context, now time.Time) (pass.Result, error) {
	g.World.Advance(now)
	g.now = now
	if g.crash != nil {
		g.crash.begin()
	}
	res, err := g.run(ctx, g.Policy)
	if g.crash != nil && g.crash.dead {
		return res, errCut
	}
	return res, err
}

func (g *Game) run(ctx context.Context, p *rules.Policy) (pass.Result, error) {
	g.runs++
	return pass.Run(ctx, g.Pass, pass.Options{
		Policy: p, Run: fmt.Sprintf("run-%05d", g.runs), Mode: "act", Parallel: 1, Deadline: time.Hour,
		Ahead: g.Ahead,
	})
}

// Crash is the word for runs that are cut after an intent, or before its outcome is stored.
const Crash = "crash"

// errCut says that a run was cut: what it would have done is not done.
var errCut = errors.New("the run was cut")

// One run in so many is cut, at one of so many writes.
const (
	cutOne    = 8
	cutWrites = 4
)

// crasher cuts runs. From then on nothing of the run reaches GKE or the store, as if its machine had gone. A
// game's runs have one worker, so it needs no lock.
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
