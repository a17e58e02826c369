package main

import (
	"github.com/spf13/cobra"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/view/terminal"
)

func (a *app) planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what a run would do, and why not; change nothing",
		Long: `Show what a run would do at a time, and why not. Nothing is sent and nothing
is written. Without a book, holds, approvals and waves are unknown.`,
		Example: `  rotator plan
  rotator plan --at 2026-12-24T03:00:00Z
  rotator plan --explain shop-prod/us-central1/catalog
  rotator plan --report plan.html
  rotator plan --format json | jq '.clusters[] | select(.action == "people")'`,
		Args: cobra.NoArgs,
	}
	at := cmd.Flags().String("at", "", "plan for this `TIME`, as in RFC 3339, with the clusters as they are now")
	explain := cmd.Flags().String("explain", "", "show every gate of one `CLUSTER`, PROJECT/LOCATION/CLUSTER or the end of it")
	form := formatFlag(cmd)
	page := reportFlag(cmd)
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		if *explain != "" && *form == "json" {
			return wrong("--explain is text for people; --format json holds every gate of every cluster")
		}
		s, err := a.settings()
		if err != nil {
			return err
		}
		now, err := clock(*at, s, true)
		if err != nil {
			return err
		}
		world, done, err := a.connect(cmd.Context(), s, wiring{now: now, lookOnly: true})
		if err != nil {
			return err
		}
		defer done()
		res, err := pass.Look(cmd.Context(), world, a.passOptions(s))
		if err != nil {
			return err
		}
		res.Holder = a.atWork(cmd.Context(), world.Store, s, res.At)
		if err := askedReport(*page, a.pageWithEvidence(cmd.Context(), "plan", s, world, res)); err != nil {
			return err
		}
		switch plan, o := view.PlanOf(res, s.Policy()), a.options(string(s.Mode.V)); {
		case *form == "json":
			return view.WriteJSON(a.stdout, plan)
		case *explain != "":
			if _, err := view.Find(plan.Refs(), *explain); err != nil {
				return wrong("--explain: %v", err)
			}
			return terminal.Explain(a.stdout, plan, *explain, o)
		default:
			return terminal.Plan(a.stdout, plan, o)
		}
	})
	return cmd
}
