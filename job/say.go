package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// saying is what people's commands share: who, why, and until when.
type saying struct {
	a                     *app
	by, reason, until, at string
}

// sayCommand makes a command that tells the job something about a cluster.
func (a *app) sayCommand(use, short, long, example string, withUntil bool, do func(*cobra.Command, *heard) error) *cobra.Command {
	w := &saying{a: a}
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: cobra.ExactArgs(1)}
	f := cmd.Flags()
	f.StringVar(&w.by, "by", "", "`WHO` says it; recorded as stated; required")
	f.StringVar(&w.reason, "reason", "", "`WHY`; recorded as stated; required but of hold")
	f.StringVar(&w.at, "at", "", "`TIME` of a simulated GKE's clock, as in RFC 3339")
	if withUntil {
		f.StringVar(&w.until, "until", "", "`WHEN` it ends: a date (its first minute in UTC), a time as in RFC 3339, or a duration from now, e.g. 3d")
	}
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		h, err := w.listen(cmd.Context(), cmd.Name(), args[0])
		if err != nil {
			return err
		}
		defer closeBook(h.store)
		return do(cmd, h)
	})
	return cmd
}

// heard is what was said, and the book in which it will be noted.
type heard struct {
	a     *app
	s     Settings
	store state.Store
	ref   policy.Ref // zero: all
	until time.Time
	said  policy.Said
}

func (w *saying) listen(ctx context.Context, word, cluster string) (*heard, error) {
	s, err := w.a.settings()
	if err != nil {
		return nil, err
	}
	now, err := clock(w.at, s, false)
	if err != nil {
		return nil, err
	}
	name, _ := w.a.execution()
	h := &heard{a: w.a, s: s, said: policy.Said{By: clip(w.by), Reason: clip(w.reason), At: now(), Run: name}}
	var missing []string
	if h.said.By == "" {
		missing = append(missing, "--by is missing: write who says it, e.g. --by ann")
	}
	if h.said.Reason == "" && word != "hold" { // a stop is wanted at once
		missing = append(missing, `--reason is missing: write why, e.g. --reason "ticket 4711"`)
	}
	if h.until, err = parseUntil(w.until, h.said.At); err != nil {
		missing = append(missing, "--until "+err.Error())
	}
	if len(missing) > 0 {
		return nil, &failure{2, missing}
	}
	if h.store, err = w.a.openBook(ctx, s); err != nil {
		return nil, err
	}
	book, err := pass.Recall(ctx, h.store, string(s.Env.V))
	if err == nil && cluster != "all" {
		h.ref, err = w.a.clusterNamed(cluster, book)
	}
	if err != nil {
		closeBook(h.store)
		return nil, err
	}
	return h, nil
}

// clip keeps what people write from filling the document.
func clip(text string) string {
	text = words.OneLine(text)
	const most = 200
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

func parseUntil(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := policy.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	t, err := parseTime(text)
	if err != nil {
		return t, fmt.Errorf("%w, nor a duration as 3d", err)
	}
	return t, nil
}

// word is one of policy's answers to what people say.
type word func(policy.Book) (policy.FleetDoc, string, error)

// conflicts is how often a note is tried again when somebody else wrote first.
const conflicts = 5

// note reads the book, asks what the word makes of it and stores that.
func (h *heard) note(ctx context.Context, say word) error {
	var err error
	for range conflicts {
		var book policy.Book
		if book, err = pass.Recall(ctx, h.store, string(h.s.Env.V)); err != nil {
			return err
		}
		doc, text, refused := say(book)
		var declined *policy.Declined
		switch {
		case errors.As(refused, &declined):
			return wrong("%s%s", declined.Why, words.Plain(declined.Next, declined.Cluster.String(), ""))
		case refused != nil:
			return wrong("%v", refused)
		}
		doc.Env = string(h.s.Env.V)
		_, err = state.WriteLean(ctx, h.store, state.Change{Fleet: &doc})
		switch {
		case errors.Is(err, state.ErrConflict):
			continue
		case errors.Is(err, state.ErrTooLarge):
			return fmt.Errorf("nothing was stored, the book is full: %w; release or close what is over, rotator status lists it", err)
		case err != nil:
			return fmt.Errorf("it is not clear whether this was stored, look with rotator status: %w", err)
		}
		h.a.tell(text, h.said)
		return nil
	}
	return fmt.Errorf("the book is too busy, nothing was noted: %w", err)
}

// tell says what was noted.
func (a *app) tell(text string, said policy.Said) {
	if a.vars["CLOUD_RUN_JOB"] != "" {
		a.log.Info(text, "by", said.By, "why", said.Reason)
		return
	}
	fmt.Fprintln(a.stdout, words.Harmless(text)+".")
}

// rotationOf gives the cluster's rotation on record; nil when there is none.
func rotationOf(book policy.Book, ref policy.Ref) *policy.Rotation {
	if r, ok := book.Rotations[ref]; ok {
		return &r
	}
	return nil
}

// onlyOne refuses all where one cluster must be named.
func (h *heard) onlyOne() error {
	if h.ref.IsZero() {
		return wrong("name one cluster: PROJECT/LOCATION/CLUSTER; only hold and release take all")
	}
	return nil
}

// cluster reads the cluster that is spoken of; it must be one that this
// deployment looks at.
func (h *heard) cluster(ctx context.Context) (policy.Cluster, error) {
	if err := h.onlyOne(); err != nil {
		return policy.Cluster{}, err
	}
	if !slices.Contains(h.s.Projects.V, h.ref.Project) {
		return policy.Cluster{}, wrong("project %s is not among %sPROJECTS%s, so this deployment never looks at %s", h.ref.Project, prefix, didYouMean(h.ref.Project, h.s.Projects.V), h.ref)
	}
	c, err := readCluster(ctx, h.s, h.ref, h.said.At)
	if errors.Is(err, gke.ErrNotFound) {
		return c, wrong("%v; rotator plan --format json lists those that do", err)
	}
	return c, err
}

// meant names the clusters of the project that are a few letters away.
func meant(ctx context.Context, cloud gke.Reader, ref policy.Ref) string {
	clusters, _, err := cloud.Clusters(ctx, ref.Project)
	if err != nil {
		return "" // what is told already is enough
	}
	known := make([]policy.Ref, len(clusters))
	for i, c := range clusters {
		known[i] = c.Ref
	}
	return view.DidYouMean(known, ref.String())
}

// readCluster reads one cluster and its operations, operations first.
func readCluster(ctx context.Context, s Settings, ref policy.Ref, now time.Time) (policy.Cluster, error) {
	cloud, err := gke.Dial(ctx, clientOptions(s.GKEEndpoint.V)...)
	if err != nil {
		return policy.Cluster{}, err
	}
	defer func() { _ = cloud.Close() }() // nothing is under way any more
	c, err := pass.ReadCluster(ctx, cloud, ref, now)
	if errors.Is(err, gke.ErrNotFound) {
		return policy.Cluster{}, fmt.Errorf("%s: %w%s", ref, gke.ErrNotFound, meant(ctx, cloud, ref))
	}
	if err != nil {
		return policy.Cluster{}, fmt.Errorf("read %s: %w", ref, err)
	}
	return c, nil
}
