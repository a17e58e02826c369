package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

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
	at := cmd.Flags().String("at", "", "`TIME` of a simulated GKE's clock, as in RFC 3339")
	page := reportFlag(cmd)
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		s, err := a.settings()
		if err != nil {
			return err
		}
		if *page != "" {
			s.Report.V = filePath(*page)
		}
		now, err := clock(*at, s, false)
		if err != nil {
			return err
		}
		return a.onePass(cmd.Context(), s, now)
	})
	return cmd
}

func (a *app) onePass(ctx context.Context, s Settings, now func() time.Time) error {
	world, done, err := a.connect(ctx, s, wiring{now: now})
	if err != nil {
		return err
	}
	defer done()
	res, err := pass.Run(ctx, world, a.passOptions(s))
	a.runReport(ctx, s, world, res)
	switch unstored := fmt.Sprintf("%d outcomes could not be stored; each is in the log, whole", res.Unstored); {
	case res.Unstored == 0:
		return err
	case err == nil:
		return errors.New(unstored)
	default:
		return fmt.Errorf("%s: %w", unstored, err)
	}
}

func (a *app) passOptions(s Settings) pass.Options {
	name, attempt := a.execution()
	return pass.Options{
		Policy: s.Policy(), Run: name, Attempt: attempt, Mode: string(s.Mode.V),
		Parallel: int(s.Parallel.V), Deadline: time.Duration(s.Deadline.V), Ahead: time.Duration(s.NotifyAhead.V), Version: version(),
	}
}
