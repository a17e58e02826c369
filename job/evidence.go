package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view/evidence"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// evidenceForm is the --format of evidence.
type evidenceForm string

func (f *evidenceForm) String() string { return string(*f) }

// Type is what --help shows.
func (f *evidenceForm) Type() string { return "jsonl|csv" }

// Set reads the flag.
func (f *evidenceForm) Set(text string) error { return pick(f, []byte(text), "jsonl", "csv") }

func (a *app) evidenceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "evidence",
		Short: "Export the finished rotations for auditors",
		Long: `Export the finished rotations of all clusters, in the order of their closing:
fingerprints and dates before and after, each phase's times, who approved as
stated and in which execution, calls, operations, findings, and the policy that
was in force. One JSON object a line, or CSV with stable columns. Nothing is
asked of GKE. How long records are kept is in deploy/STATE.md.`,
		Example: `  rotator evidence
  rotator evidence --since 90d --format csv > rotations.csv
  rotator evidence --since 2026-01-01 --until 2027-01-01 > 2026.jsonl
  rotator evidence --since 30d | jq -r 'select(.closedAs != "completed") | .cluster'`,
		Args: cobra.NoArgs,
	}
	since := cmd.Flags().String("since", "", "closed at this `TIME` or later: a date (its first minute in UTC), a time as in RFC 3339, or a duration before now, e.g. 90d")
	until := cmd.Flags().String("until", "", "closed before this `TIME`, written alike")
	at := cmd.Flags().String("at", "", "`TIME` of a simulated GKE's clock, as in RFC 3339")
	form := evidenceForm("jsonl")
	cmd.Flags().Var(&form, "format", "print one JSON object a line, or a table for spreadsheets")
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		s, err := a.settings()
		if err != nil {
			return err
		}
		now, err := clock(*at, s, false)
		if err != nil {
			return err
		}
		from, err := parseAgo(*since, now())
		if err != nil {
			return wrong("--since %v", err)
		}
		to, err := parseAgo(*until, now())
		if err != nil {
			return wrong("--until %v", err)
		}
		if !to.IsZero() && !from.Before(to) {
			return wrong("--since %s is not before --until %s", from.Format(time.RFC3339), to.Format(time.RFC3339))
		}
		store, err := a.openExistingBook(cmd.Context(), s)
		if err != nil {
			return err
		}
		defer closeBook(store)
		return a.evidence(cmd.Context(), s, store, from, to, form)
	})
	return cmd
}

// evidence writes the records as they are read: there may be thousands.
func (a *app) evidence(ctx context.Context, s Settings, store state.Store, from, to time.Time, form evidenceForm) error {
	if _, err := pass.Recall(ctx, store, string(s.Env.V)); err != nil { // is it this deployment's?
		return err
	}
	table, n := evidence.NewTable(a.stdout), 0
	write := func(e evidence.Entry) error { return evidence.WriteJSON(a.stdout, e) }
	if form == "csv" {
		write = table.Write
		if err := table.Flush(); err != nil {
			return err
		}
	}
	if store != nil {
		for rec, err := range store.Records(ctx, from) {
			if err != nil {
				return fmt.Errorf("read the history, of which %d records are written: %w", n, err)
			}
			if !to.IsZero() && !rec.ClosedAt.Before(to) {
				break
			}
			if err := write(evidence.Of(rec)); err != nil {
				return err
			}
			n++
		}
	}
	if n == 0 {
		a.complain("no rotation was closed in that time; what is in flight: rotator status")
	}
	return nil
}

// parseAgo reads a time, or a duration before now; nothing is no time.
func parseAgo(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := policy.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	t, err := parseTime(text)
	if err != nil {
		return t, fmt.Errorf("%w, nor a duration as 90d", err)
	}
	return t, nil
}
