package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/view/terminal"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

func (a *app) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [CLUSTER]",
		Short: "Show what is in flight, what people said, or the story of one cluster",
		Long: `Show what the book holds: what waits for people, rotations in flight, holds,
the last run. It asks nothing of GKE. With a cluster, its story: that reads the
cluster too, and earlier rotations.`,
		Example: `  rotator status
  rotator status shop-prod/us-central1/catalog
  rotator status catalog --format json`,
		Args: cobra.MaximumNArgs(1),
	}
	at := cmd.Flags().String("at", "", "`TIME` of a simulated GKE's clock, as in RFC 3339")
	form := formatFlag(cmd)
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		s, err := a.settings()
		if err != nil {
			return err
		}
		now, err := clock(*at, s, false)
		if err != nil {
			return err
		}
		store, err := a.openExistingBook(cmd.Context(), s)
		if err != nil {
			return err
		}
		defer closeBook(store)
		book, err := pass.Recall(cmd.Context(), store, string(s.Env.V))
		if err != nil {
			return err
		}
		if len(args) == 1 {
			return a.clusterStatus(cmd.Context(), s, store, book, args[0], now(), *form)
		}
		holder := a.atWork(cmd.Context(), store, s, now())
		status := view.StatusOf(book, holder, now(), s.Policy())
		if *form == "json" {
			return view.WriteJSON(a.stdout, status)
		}
		return terminal.Status(a.stdout, status, a.options(string(s.Mode.V)))
	})
	return cmd
}

// atWork names the run that keeps others out, or nil. That the lease cannot be
// read stops nobody who only looks.
func (a *app) atWork(ctx context.Context, store state.Store, s Settings, now time.Time) *pass.Holder {
	holder, err := pass.AtWork(ctx, store, time.Duration(s.Deadline.V), now)
	if err != nil {
		a.complain(err.Error())
	}
	return holder
}

func (a *app) clusterStatus(ctx context.Context, s Settings, store state.Store, book policy.Book, text string, now time.Time, form format) error {
	ref, err := a.clusterNamed(text, book)
	if err != nil {
		return err
	}
	var history []policy.Record
	if store != nil {
		if history, err = store.History(ctx, ref); err != nil {
			return fmt.Errorf("read the history of %s: %w", ref, err)
		}
	}
	d, err := a.decisionOn(ctx, s, store, book, ref, now)
	if _, known := book.Rotations[ref]; errors.Is(err, gke.ErrNotFound) && !known && len(history) == 0 {
		return wrong("%v, and the book knows nothing of it; rotator plan --format json lists those that do", err)
	}
	if err != nil {
		a.complain(fmt.Sprintf("%s could not be read, so this is what the book holds: %v", ref, err))
	}
	story := view.StoryOf(book, history, d, ref, now, s.Policy())
	if form == "json" {
		return view.WriteJSON(a.stdout, story)
	}
	return terminal.StatusCluster(a.stdout, story, a.options(string(s.Mode.V)))
}

// decisionOn says what a run would do about one cluster now. A rotation needs
// a look at its own cluster alone; whether an idle one may start depends on the
// others, so that takes a whole plan.
func (a *app) decisionOn(ctx context.Context, s Settings, store state.Store, book policy.Book, ref policy.Ref, now time.Time) (*policy.Decision, error) {
	_, inFlight := book.Rotations[ref]
	if !inFlight && slices.Contains(s.Projects.V, ref.Project) {
		cloud, err := gke.Dial(ctx, clientOptions(s.GKEEndpoint.V)...)
		if err != nil {
			return nil, err
		}
		defer func() { _ = cloud.Close() }() // nothing is under way any more
		world := pass.World{Read: cloud, Store: store, Now: func() time.Time { return now }, Mono: a.mono, NewID: randomID}
		res, err := pass.Look(ctx, world, a.passOptions(s))
		if err != nil {
			return nil, err
		}
		if d := decisionIn(res.Decisions, ref); d != nil {
			return d, nil
		}
	}
	c, err := readCluster(ctx, s, ref, now)
	if err != nil {
		return nil, err
	}
	alone := policy.Fleet{Clusters: []policy.Cluster{c}, Book: book}
	return decisionIn(policy.Plan(s.Policy(), alone, "", now), ref), nil
}

func decisionIn(ds []policy.Decision, ref policy.Ref) *policy.Decision {
	for i := range ds {
		if ds[i].Cluster.Ref == ref {
			return &ds[i]
		}
	}
	return nil
}

// clusterNamed understands a full name, or the end of one that the book knows.
func (a *app) clusterNamed(text string, book policy.Book) (policy.Ref, error) {
	if ref, err := policy.ParseRef(text); err == nil {
		return ref, nil
	}
	ref, err := view.Find(bookRefs(book), text)
	if err != nil {
		return ref, wrong("%v; outside the book, write it whole: PROJECT/LOCATION/CLUSTER (rotator plan --explain finds it by its end)", err)
	}
	return ref, nil
}
