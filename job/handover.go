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
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/view/handover"
	"gke-credential-rotator/job/view/terminal"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/state"
)

// handOverForm is the --format of handover.
type handOverForm string

func (f *handOverForm) String() string { return string(*f) }

// Type is what --help shows.
func (f *handOverForm) Type() string { return "text|markdown|json" }

// Set reads the flag.
func (f *handOverForm) Set(text string) error {
	return pick(f, []byte(text), "text", "markdown", "json")
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
	at := cmd.Flags().String("at", "", "`TIME` of a simulated GKE's clock, as in RFC 3339")
	form := handOverForm("text")
	cmd.Flags().Var(&form, "format", "print text for a terminal, Markdown for a ticket, or JSON for programs")
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
		h, err := a.handOver(cmd.Context(), s, store, args[0], now())
		if err != nil {
			return err
		}
		switch p := handover.Of(h); form {
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
func (a *app) handOver(ctx context.Context, s Settings, store state.Store, text string, now time.Time) (policy.HandOver, error) {
	var none policy.HandOver
	book, err := pass.Recall(ctx, store, string(s.Env.V))
	if err != nil {
		return none, err
	}
	ref, err := a.clusterNamed(text, book)
	if err != nil {
		return none, err
	}
	r, flying := book.Rotations[ref]
	if !flying {
		return a.handOverOfLast(ctx, s, store, book, ref, now)
	}
	d, err := a.decisionOn(ctx, s, store, book, ref, now)
	if err != nil {
		a.complain(fmt.Sprintf("%s could not be read, so this is what the book holds: %v", ref, err))
		d = &policy.Decision{Cluster: policy.Cluster{Ref: ref, ID: r.ClusterID}, Phase: r.Phase, Rotation: &r,
			Message: fact.Say("asked without GKE")}
	}
	h, ok := policy.HandOverOf(s.Policy(), *d, now, policy.AtAnyTime)
	if !ok {
		return none, wrong("%s is %s: there is nothing to hand over until the new CA is there; look again when the start is done, %s",
			ref, r.Phase, words.Plain("`rotator status CLUSTER`", ref.String(), ""))
	}
	return h, nil
}

// handOverOfLast is about the newest attempt on record that brought a new CA.
func (a *app) handOverOfLast(ctx context.Context, s Settings, store state.Store, book policy.Book, ref policy.Ref, now time.Time) (policy.HandOver, error) {
	var none policy.HandOver
	var history []policy.Record
	if store != nil {
		var err error
		if history, err = store.History(ctx, ref); err != nil {
			return none, fmt.Errorf("read the history of %s: %w", ref, err)
		}
	}
	for _, rec := range history {
		if rec.Rotation.Entered(policy.Verifying).IsZero() {
			continue // it ended before the old credentials did
		}
		c, err := readCluster(ctx, s, ref, now)
		if err != nil {
			c = policy.Cluster{Ref: ref}
			if !errors.Is(err, gke.ErrNotFound) {
				a.complain(fmt.Sprintf("%s could not be read, so this is what the book holds: %v", ref, err))
			}
		}
		d := policy.Decision{Cluster: c, Phase: rec.Rotation.Phase, Rotation: &rec.Rotation, Close: rec.ClosedAs}
		if h, ok := policy.HandOverOf(s.Policy(), d, now, policy.AtAnyTime); ok {
			return h, nil
		}
	}
	return none, wrong("no rotation of %s is in flight, and none that was completed is on record%s; when it starts: %s",
		ref, inFlightHint(book), words.Plain(view.ToExplain, ref.String(), ""))
}

// inFlightHint names what could be handed over instead.
func inFlightHint(book policy.Book) string {
	refs := slices.SortedFunc(maps.Keys(book.Rotations), policy.Ref.Compare)
	if len(refs) == 0 {
		return ""
	}
	names := make([]string, len(refs))
	for i, ref := range refs {
		names[i] = ref.String()
	}
	return " (in flight: " + words.Few(names, 3) + ")"
}
