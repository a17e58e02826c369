// Package sim plays passes over the simulated GKE in simulated time. It runs
// the same pass as production; only the clock and GKE are not real.
package sim

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// Setup is what is played.
type Setup struct {
	Policy *policy.Policy
	World  *gkesim.World
	From   time.Time
	Days   int
	Every  time.Duration
	Seed   int64
	Log    *slog.Logger // nil: none
}

// Play makes a pass every Every, until Days have gone by, and tells the story.
// each, when given, sees every pass's result.
func Play(ctx context.Context, s Setup, each func(pass.Result)) (Story, error) {
	dir, err := os.MkdirTemp("", "rotator-simulate-")
	if err != nil {
		return Story{}, fmt.Errorf("a place for the simulation's book: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary folder harms nobody
	book, err := state.OpenFile(filepath.Join(dir, "book.db"), state.FileOptions{NoSync: true})
	if err != nil {
		return Story{}, err
	}
	defer func() { _ = book.Close() }()
	opts, stop, err := s.World.Connect()
	if err != nil {
		return Story{}, err
	}
	defer stop()
	cloud, err := gke.Dial(ctx, opts...)
	if err != nil {
		return Story{}, err
	}
	defer func() { _ = cloud.Close() }()
	return s.play(ctx, cloud, book, each)
}

func (s Setup) play(ctx context.Context, cloud *gke.Cloud, book state.Store, each func(pass.Result)) (Story, error) {
	log := s.Log
	if log == nil {
		log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	now, ids := s.From, 0
	w := pass.World{
		Read: cloud, Move: cloud, Store: book, Log: log,
		Now:   func() time.Time { return now },
		Mono:  func() time.Duration { return now.Sub(s.From) },
		NewID: func() string { ids++; return fmt.Sprintf("sim-%d-%06d", s.Seed, ids) },
	}
	story := newStory(s)
	end := s.From.Add(time.Duration(s.Days) * 24 * time.Hour)
	for ; !now.After(end); now = now.Add(s.Every) {
		s.World.Advance(now)
		story.Runs++
		o := pass.Options{Policy: s.Policy, Run: fmt.Sprintf("run-%05d", story.Runs), Mode: "act", Parallel: 1, Deadline: time.Hour}
		res, err := pass.Run(ctx, w, o)
		if err != nil {
			return story.Story, fmt.Errorf("the run of %s: %w", now.Format(time.RFC3339), err)
		}
		story.add(res)
		if each != nil {
			each(res)
		}
	}
	story.finish(s.World.Journal())
	return story.Story, nil
}
