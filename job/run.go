package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view/html"
	"gke-credential-rotator/policy/record"
)

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Make one run: look at every cluster, move each rotation at most one phase",
		Long: `Make one run: look at every cluster, move each rotation at most one phase.
This is what the schedule starts, about once an hour.

With MODE=observe nothing is sent to GKE; the store is kept all the same.`,
		Example: `  rotator run
  rotator run --report /srv/www/rotator.html
  ROTATOR_MODE=act ROTATOR_STATE=file:/var/lib/rotator/store.db rotator run`,
		Args: cobra.NoArgs,
	}
	at := atFlag(cmd)
	page := reportFlag(cmd)
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		s, now, err := a.begin(*at, false)
		if err != nil {
			return err
		}
		return a.onePass(cmd.Context(), s, now, mayBeApart(*at), cmp.Or(*page, string(s.Report.V)))
	})
	return cmd
}

func (a *app) onePass(ctx context.Context, s config.Settings, now func() time.Time, apart time.Duration,
	page string,
) error {
	world, done, err := a.connect(ctx, s, now, false)
	if err != nil {
		return err
	}
	defer done()
	o := a.passOptions(s)
	o.Apart = apart
	res, err := pass.Run(ctx, world, o)
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

// mayBeApart is how far the clock may be from GKE's: one that follows a simulated one by --at is set by hand.
func mayBeApart(at string) time.Duration {
	if at != "" {
		return time.Hour
	}
	return record.Skew
}

func reportFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("report", "", "also write a page for people to `FILE`: HTML, in one piece, without scripts")
}

// page is a report of what the command saw and did; the caller adds stories.
func (a *app) page(command string, s config.Settings, res pass.Result) html.Page {
	return html.Page{
		Command: command, Mode: s.Mode.V, Version: version(), Zone: a.options("").Zone,
		Policy: s.Policy(), Settings: s.InForce(), Result: res,
	}
}

// evidenceFor is how far back a report shows finished rotations, and mostRecords how many it reads at most.
const (
	evidenceFor = 90 * day
	mostRecords = 1000
)

// pageWithEvidence also shows the finished rotations, as far as the store can be read.
func (a *app) pageWithEvidence(ctx context.Context, command string, s config.Settings, w pass.World,
	res pass.Result,
) html.Page {
	page := a.page(command, s, res)
	if w.Store == nil {
		page.Finished = res.Closed()
		return page
	}
	for rec, err := range w.Store.Records(ctx, res.At.Add(-evidenceFor)) {
		if err != nil {
			a.complain("the report lacks finished rotations: " + err.Error())
			break
		}
		if page.Finished = append(page.Finished, rec); len(page.Finished) == mostRecords {
			break
		}
	}
	return page
}

// askedReport writes the report that a person asked for.
func askedReport(path string, page html.Page) error {
	if path == "" {
		return nil
	}
	if err := saveReport(path, page); err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return nil
}

// reportWithin is how long a report may take: a mounted bucket may hang.
const reportWithin = time.Minute

// runReport writes the report of a run, whose work is done: what goes wrong is one line in the log, and a
// run that was told to stop ends without one.
func (a *app) runReport(ctx context.Context, s config.Settings, path string, w pass.World, res pass.Result) {
	if path == "" || len(res.Decisions)+len(res.Fleet.Unread) == 0 {
		return // nobody asked, or nothing was seen: the page before tells more
	}
	ctx, cancel := context.WithTimeout(ctx, reportWithin)
	defer cancel()
	written := make(chan error, 1)
	go func() { written <- saveReport(path, a.pageWithEvidence(ctx, "run", s, w, res)) }()
	var err error
	select {
	case err = <-written:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		a.log.Warn("the report could not be written", "error", err.Error())
	}
}

// saveReport makes the page and puts it in the place of the one before. Who reads meanwhile sees one of the
// two, whole, where the place can rename.
func saveReport(path string, page html.Page) error {
	var b bytes.Buffer
	if err := html.Write(&b, page); err != nil {
		return err
	}
	err := replaceFile(path, b.Bytes())
	if err != nil && errors.Is(err, errNoRename) {
		err = os.WriteFile(path, b.Bytes(), 0o644) //nolint:gosec // others read it; it holds no secrets
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// errNoRename says that the place takes files, and no temporary ones: some mounted buckets cannot rename.
var errNoRename = errors.New("cannot be replaced in one step")

func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("%w: %w", errNoRename, err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		if renamed := os.Rename(f.Name(), path); renamed != nil {
			err = fmt.Errorf("%w: %w", errNoRename, renamed)
		}
	}
	if err != nil {
		_ = os.Remove(f.Name()) // it is of no use
	}
	return err
}
