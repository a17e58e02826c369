package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/view/terminal"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

func (a *app) planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what a run would do, and why not; change nothing",
		Long: `Show what a run would do at a time, and why not. Nothing is sent and nothing
is written. Without a store, holds, approvals and waves are unknown. Clusters that
wait for the same thing stand in one row; --all gives each its own.`,
		Example: `  rotator plan
  rotator plan --all
  rotator plan --at 2026-12-24T03:00:00Z
  rotator plan --explain shop-prod/us-central1/catalog
  rotator plan --report plan.html
  rotator plan --format json | jq '.clusters[] | select(.action == "people")'`,
		Args: cobra.NoArgs,
	}
	at := cmd.Flags().String("at", "",
		"plan for this `TIME`, as in RFC 3339, with the clusters as they are now")
	explain := cmd.Flags().String("explain", "",
		"show every gate of one `CLUSTER`, PROJECT/LOCATION/CLUSTER or the end of it")
	all := cmd.Flags().Bool("all", false, "one row for each cluster, also for those that wait for the same")
	form := tableFlag(cmd)
	page := reportFlag(cmd)
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		if *explain != "" && *form == "json" {
			return wrong("--explain is text for people; --format json holds every gate of every cluster")
		}
		s, now, err := a.begin(*at, true)
		if err != nil {
			return err
		}
		world, done, err := a.connect(cmd.Context(), s, now, true)
		if err != nil {
			return err
		}
		defer done()
		looking := a.passOptions(s)
		if *at == "" { // else another time than the present was asked for
			looking.Apart = record.Skew
		}
		res, err := pass.Look(cmd.Context(), world, looking)
		if err != nil {
			return err
		}
		res.Holder = a.atWork(cmd.Context(), world.Store, s, res.At)
		if err := askedReport(*page, a.pageWithEvidence(cmd.Context(), "plan", s, world, res)); err != nil {
			return err
		}
		switch plan, o := view.PlanOf(res, s.Policy()), a.options(s.Mode.V); {
		case *form == "json":
			return view.WriteJSON(a.stdout, plan)
		case *explain != "":
			if _, err := view.Find(plan.Refs(), *explain); err != nil {
				return wrong("--explain: %v", err)
			}
			return terminal.Explain(a.stdout, plan, *explain, o)
		default:
			o.All = *all
			return terminal.Plan(a.stdout, plan, o)
		}
	})
	return cmd
}

func (a *app) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [CLUSTER]",
		Short: "Show what is in flight, what people said, or the story of one cluster",
		Long: `Show what the store holds: what waits for people, rotations in flight, holds,
the last run. It asks nothing of GKE. With a cluster, its story: that reads the
cluster too, and earlier rotations.`,
		Example: `  rotator status
  rotator status shop-prod/us-central1/catalog
  rotator status catalog --format json`,
		Args: cobra.MaximumNArgs(1),
	}
	at := atFlag(cmd)
	form := tableFlag(cmd)
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		s, now, err := a.begin(*at, false)
		if err != nil {
			return err
		}
		r, err := a.recall(cmd.Context(), s, now(), true)
		if err != nil {
			return err
		}
		defer closeStore(r.store)
		if len(args) == 1 {
			return r.cluster(cmd.Context(), args[0], *form)
		}
		holder := a.atWork(cmd.Context(), r.store, s, r.now)
		status := view.StatusOf(r.contents, holder, r.now, s.Policy())
		if *form == "json" {
			return view.WriteJSON(a.stdout, status)
		}
		return terminal.Status(a.stdout, status, a.options(s.Mode.V))
	})
	return cmd
}

// atWork names the run that keeps others out, or nil. An unreadable lease stops nobody who only looks.
func (a *app) atWork(ctx context.Context, store state.Store, s config.Settings, now time.Time) *pass.Holder {
	holder, err := pass.AtWork(ctx, store, s.Deadline.V, now)
	if err != nil {
		a.complain(err.Error())
	}
	return holder
}

// cluster tells the story of the cluster that the text names.
func (r *reading) cluster(ctx context.Context, text, form string) error {
	ref, err := r.clusterToShow(ctx, text)
	if err != nil {
		return err
	}
	history, err := r.history(ctx, ref)
	if err != nil {
		return err
	}
	d, err := r.decisionOn(ctx, ref)
	if _, known := r.contents.Rotations[ref]; errors.Is(err, gke.ErrNotFound) && !known && len(history) == 0 {
		return wrong("%v, and the store knows nothing of it; rotator plan --format json lists those that do",
			err)
	}
	if err != nil {
		r.unread(ref, err)
	}
	story := view.StoryOf(r.contents, history, d, ref, r.now, r.s.Policy())
	if form == "json" {
		return view.WriteJSON(r.stdout, story)
	}
	return terminal.StatusCluster(r.stdout, story, r.options(r.s.Mode.V))
}

// decisionOn says what a run would do about one cluster now. A rotation needs a look at its own cluster
// alone; whether an idle one may start depends on the others, so that takes a whole plan.
func (r *reading) decisionOn(ctx context.Context, ref fleet.Ref) (*policy.Decision, error) {
	if _, inFlight := r.contents.Rotations[ref]; !inFlight && slices.Contains(r.s.Projects.V, ref.Project) {
		cloud, err := gke.Dial(ctx, clientOptions(r.s.GKEEndpoint.V)...)
		if err != nil {
			return nil, err
		}
		defer func() { _ = cloud.Close() }() // nothing is under way any more
		now := func() time.Time { return r.now }
		world := pass.World{Read: cloud, Store: r.store, Now: now, Mono: r.mono, NewID: randomID}
		res, err := pass.Look(ctx, world, r.passOptions(r.s))
		if err != nil {
			return nil, err
		}
		if d := decisionIn(res.Decisions, ref); d != nil {
			return d, nil
		}
	}
	c, err := r.readCluster(ctx, ref)
	if err != nil {
		return nil, err
	}
	alone := policy.Fleet{Clusters: []fleet.Cluster{c}, Contents: r.contents}
	return decisionIn(policy.Plan(r.s.Policy(), alone, "", r.now), ref), nil
}

func decisionIn(ds []policy.Decision, ref fleet.Ref) *policy.Decision {
	for i := range ds {
		if ds[i].Cluster.Ref == ref {
			return &ds[i]
		}
	}
	return nil
}

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Check the settings; show the policy in force and what follows from it",
		Long: `Check the settings, all at once, and show the policy in force and what follows
from it. It reads the environment only: neither GKE nor the store.`,
		Example: `  rotator validate
  env $(cat prod.env) rotator validate`,
		Args: cobra.NoArgs,
		RunE: does(func(*cobra.Command, []string) error {
			s, now, err := a.begin("", true)
			if err != nil {
				return err
			}
			return terminal.Policy(a.stdout, s.Policy(), s.InForce(), now(), a.options(s.Mode.V))
		}),
	}
}
