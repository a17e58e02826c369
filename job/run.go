package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
)

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Make one run: look at every cluster, move each rotation at most one phase",
		Long: `Make one run: look at every cluster, move each rotation at most one phase.
This is what the schedule starts, about once an hour.

With MODE=observe nothing is sent to GKE; the book is kept all the same.`,
		Example: `  rotator run
  rotator run --report /srv/www/rotator.html
  ROTATOR_MODE=act ROTATOR_STATE=file:/var/lib/rotator/book.db rotator run`,
		Args: cobra.NoArgs,
	}
	at := atFlag(cmd)
	page := reportFlag(cmd)
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		s, now, err := a.begin(*at, false)
		if err != nil {
			return err
		}
		return a.onePass(cmd.Context(), s, now, cmp.Or(*page, string(s.Report.V)))
	})
	return cmd
}

func (a *app) onePass(ctx context.Context, s config.Settings, now func() time.Time, page string) error {
	world, done, err := a.connect(ctx, s, wiring{now: now})
	if err != nil {
		return err
	}
	defer done()
	res, err := pass.Run(ctx, world, a.passOptions(s))
	a.runReport(ctx, s, page, world, res)
	switch unstored := fmt.Sprintf("%d outcomes could not be stored; each is in the log, whole", res.Unstored); {
	case res.Unstored == 0:
		return err
	case err == nil:
		return errors.New(unstored)
	default:
		return fmt.Errorf("%s: %w", unstored, err)
	}
}

func (a *app) passOptions(s config.Settings) pass.Options {
	name, attempt := a.execution()
	return pass.Options{
		Policy: s.Policy(), Run: name, Attempt: attempt, Mode: s.Mode.V,
		Parallel: s.Parallel.V, Deadline: s.Deadline.V, Ahead: s.NotifyAhead.V, Version: version(),
	}
}
