// Package sim plays passes over the simulated GKE in simulated time. It runs
// the same pass as production; only the clock and GKE are not real.
package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	// Store and History are what a forecast begins with; a simulation begins
	// without.
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
	g, err := NewGame(ctx, s)
	if err != nil {
		return Story{}, err
	}
	story := newStory(s)
	end := s.From.Add(time.Duration(s.Days) * 24 * time.Hour)
	for now := s.From; !now.After(end); now = now.Add(s.Every) {
		res, err := g.Step(ctx, now)
		if err != nil && len(s.Faults) > 0 && ctx.Err() == nil {
			// A run that could not be made, or was cut, tells nothing; the next
			// one finds what it left.
			story.Runs++
			continue
		}
		if err != nil {
			return story.Story, errors.Join(fmt.Errorf("the run of %s: %w", now.Format(time.RFC3339), err), g.Close())
		}
		story.Runs++
		story.add(res)
		if each != nil {
			each(res)
		}
	}
	story.finish(s.World.Journal())
	story.Words, story.Faults = s.Faults, g.faults()
	return story.Story, g.Close()
}

// Game is a simulation that is played step by step. What it is made of may be
// wrapped or changed between the steps.
type Game struct {
	Setup
	Pass  pass.World
	Store state.Store

	now   time.Time
	runs  int
	ids   int
	crash *crasher // nil: no run is cut
	close []func() error
}

// NewGame sets up the simulated GKE behind Google's own client, and a store of
// its own in memory.
func NewGame(ctx context.Context, s Setup) (*Game, error) {
	// A run that is cut leaves in the store what it wrote, and nothing else.
	g := &Game{Setup: s, Store: state.NewMemory(true), now: s.From}
	opts, stop, err := s.World.Connect()
	if err != nil {
		return nil, err
	}
	g.close = append(g.close, func() error { stop(); return nil })
	cloud, err := gke.DialWith(ctx, gke.NoRetry(), opts...)
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	g.close = append(g.close, cloud.Close)
	if err := g.suffer(); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	log := s.Log
	if log == nil {
		log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	g.Pass = pass.World{
		Read: cloud, Move: cloud, Store: g.Store, Log: log,
		Now:   func() time.Time { return g.now },
		Mono:  func() time.Duration { return g.now.Sub(g.From) },
		NewID: func() string { g.ids++; return fmt.Sprintf("sim-%d-%06d", g.Seed, g.ids) },
	}
	if g.crash != nil {
		g.Pass.Store = intercept.Store(g.Store, g.crash.intercept)
		g.Pass.Move = intercept.Mover(cloud, g.crash.intercept)
	}
	return g, nil
}

// suffer lets the setup's faults begin.
func (g *Game) suffer() error {
	var words []string
	for _, word := range g.Faults {
		if word == Crash {
			g.crash = newCrasher(g.Seed)
			continue
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		return nil
	}
	return g.World.Suffer(gkesim.Faults{Words: words})
}

// faults counts what was suffered.
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
	g.runs++
	if g.crash != nil {
		g.crash.begin()
	}
	res, err := pass.Run(ctx, g.Pass, pass.Options{
		Policy: g.Policy, Run: fmt.Sprintf("run-%05d", g.runs), Mode: "act", Parallel: 1, Deadline: time.Hour,
		Ahead: g.Ahead,
	})
	if g.crash != nil && g.crash.cut() {
		return res, errCut
	}
	return res, err
}

// Close ends the game.
func (g *Game) Close() error {
	var errs []error
	for i := len(g.close) - 1; i >= 0; i-- {
		errs = append(errs, g.close[i]())
	}
	g.close = nil
	return errors.Join(errs...)
}
