package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/view/evidence"
	"gke-credential-rotator/job/view/handover"
	"gke-credential-rotator/job/view/terminal"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/notice"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

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
	since := cmd.Flags().String("since", "", "closed at this `TIME` or later: a date "+
		"(its first minute in UTC), a time as in RFC 3339, or a duration before now, e.g. 90d")
	until := cmd.Flags().String("until", "", "closed before this `TIME`, written alike")
	at := atFlag(cmd)
	form := formatFlag(cmd, "print one JSON object a line, or a table for spreadsheets",
		"jsonl", "csv")
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		s, now, err := a.begin(*at, false)
		if err != nil {
			return err
		}
		from, err := parseWhen(*since, now(), -1, "90d")
		if err != nil {
			return wrong("--since %v", err)
		}
		to, err := parseWhen(*until, now(), -1, "90d")
		if err != nil {
			return wrong("--until %v", err)
		}
		if !to.IsZero() && !from.Before(to) {
			return wrong("--since %s is not before --until %s", from.Format(time.RFC3339), to.Format(time.RFC3339))
		}
		r, err := a.recall(cmd.Context(), s, now(), true) // the store says whether it is this deployment's
		if err != nil {
			return err
		}
		defer closeStore(r.store)
		return a.evidence(cmd.Context(), r.store, from, to, *form)
	})
	return cmd
}

// evidence writes the records as they are read: there may be thousands.
func (a *app) evidence(ctx context.Context, store state.Store, from, to time.Time, form string) error {
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

func (a *app) handOverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "handover CLUSTER",
		Short: "Say what people must update for a rotation, in exact commands",
		Long: `Say what people must update between the start of a rotation and its completion:
old and new endpoint and CA, when the old ones end, and for each kind of client
how to find it, how to tell old from new, and how to update it. For a rotation in
flight, else for the last one that was completed. Nothing is changed.`,
		Example: `  rotator handover shop-prod/us-central1/catalog
  rotator handover catalog --format markdown > handover.md
  rotator handover catalog --format json | jq -r '.facts.completes'`,
		Args: cobra.ExactArgs(1),
	}
	at := atFlag(cmd)
	form := formatFlag(cmd, "print text for a terminal, Markdown for a ticket, or JSON for programs",
		"text", "markdown", "json")
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
		h, err := r.handOver(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		switch p := handover.Of(h); *form {
		case "json":
			return handover.WriteJSON(a.stdout, p)
		case "markdown":
			return handover.WriteMarkdown(a.stdout, p)
		default:
			return terminal.HandOver(a.stdout, p, a.options(""))
		}
	})
	return cmd
}

// handOver gathers the facts about the cluster that the text names.
func (r *reading) handOver(ctx context.Context, text string) (record.HandOver, error) {
	var none record.HandOver
	ref, err := r.clusterToShow(ctx, text)
	if err != nil {
		return none, err
	}
	rot, flying := r.contents.Rotations[ref]
	if !flying {
		return r.handOverOfLast(ctx, ref)
	}
	d, err := r.decisionOn(ctx, ref)
	if err != nil {
		r.unread(ref, err)
		c := fleet.Cluster{Ref: ref, ID: rot.ClusterID}
		d = &policy.Decision{Cluster: c, Phase: rot.Phase, Rotation: &rot, Message: fact.Say("asked without GKE")}
	}
	h, ok := notice.HandOverOf(r.s.Policy(), *d, r.now, record.AtAnyTime)
	if !ok {
		return none, wrong("%s is %s: there is nothing to hand over until the new CA is there; look again when the start is done, %s", ref, rot.Phase,
			words.Plain("`rotator status CLUSTER`", ref.String(), ""))
	}
	return h, nil
}

// handOverOfLast is about the newest attempt on record that brought a new CA.
func (r *reading) handOverOfLast(ctx context.Context, ref fleet.Ref) (record.HandOver, error) {
	var none record.HandOver
	history, err := r.history(ctx, ref)
	if err != nil {
		return none, err
	}
	for _, rec := range history {
		if rec.Rotation.Entered(record.Verifying).IsZero() {
			continue // it ended before the old credentials did
		}
		c, err := r.readCluster(ctx, ref)
		if err != nil {
			c = fleet.Cluster{Ref: ref}
			if !errors.Is(err, gke.ErrNotFound) {
				r.unread(ref, err)
			}
		}
		d := policy.Decision{Cluster: c, Phase: rec.Rotation.Phase, Rotation: &rec.Rotation, Close: rec.ClosedAs}
		if h, ok := notice.HandOverOf(r.s.Policy(), d, r.now, record.AtAnyTime); ok {
			return h, nil
		}
	}
	return none, wrong("no rotation of %s is in flight, and none that was completed is on record%s; "+
		"when it starts: %s", ref, inFlightHint(r.contents), words.Plain(view.ToExplain, ref.String(), ""))
}

// inFlightHint names what could be handed over instead.
func inFlightHint(contents record.Contents) string {
	refs := slices.SortedFunc(maps.Keys(contents.Rotations), fleet.Ref.Compare)
	if len(refs) == 0 {
		return ""
	}
	names := make([]string, len(refs))
	for i, ref := range refs {
		names[i] = ref.String()
	}
	return " (in flight: " + words.Few(names, 3) + ")"
}
