package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/operator"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// sayCommand makes a command that tells the job something about a cluster.
func (a *app) sayCommand(s saying) *cobra.Command {
	cmd := &cobra.Command{Use: s.use, Short: s.short, Long: s.long, Example: s.example, Args: cobra.ExactArgs(1)}
	f := cmd.Flags()
	by := f.String("by", "", "`WHO` says it; recorded as stated; required")
	reason := f.String("reason", "", "`WHY`; recorded as stated; required but of hold")
	at := atFlag(cmd)
	until := new(string)
	if s.withUntil {
		f.StringVar(until, "until", "", "`WHEN` it ends: a date (its first minute in UTC), a time as in RFC 3339, or a duration from now, e.g. 3d")
	}
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		h, err := a.listen(cmd, args[0], *at, *until, record.Said{By: clip(*by), Reason: clip(*reason)})
		if err != nil {
			return err
		}
		defer closeStore(h.store)
		if s.before != nil {
			if err := s.before(cmd.Context(), h); err != nil {
				return err
			}
		}
		if err := h.note(cmd.Context(), s.word); err != nil {
			return err
		}
		for _, line := range h.beyond {
			a.complain("a hold cannot stop this: " + line)
		}
		return nil
	})
	return cmd
}

// heard is what was said, and the store in which it will be noted.
type heard struct {
	*reading
	ref     fleet.Ref     // zero: all
	cluster fleet.Cluster // as GKE has it, where the word needs that
	until   time.Time
	said    record.Said
	beyond  []string // what a hold cannot stop
}

// listen checks what was said, and opens the store.
func (a *app) listen(cmd *cobra.Command, cluster, at, until string, said record.Said) (*heard, error) {
	s, now, err := a.begin(at, false)
	if err != nil {
		return nil, err
	}
	said.At = now()
	said.Run, _ = a.execution()
	h := &heard{said: said}
	var missing []string
	if said.By == "" {
		missing = append(missing, "--by is missing: write who says it, e.g. --by ann")
	}
	if said.Reason == "" && cmd.Name() != "hold" { // a stop is wanted at once
		missing = append(missing, `--reason is missing: write why, e.g. --reason "ticket 4711"`)
	}
	if h.until, err = parseWhen(until, said.At, 1, "3d"); err != nil {
		missing = append(missing, "--until "+err.Error())
	}
	if len(missing) > 0 {
		return nil, &failure{2, missing}
	}
	if h.reading, err = a.recall(cmd.Context(), s, said.At, false); err != nil {
		return nil, err
	}
	if cluster == "all" {
		return h, nil
	}
	if h.ref, err = h.clusterNamed(cluster); err != nil {
		closeStore(h.store)
	}
	return h, err
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

// conflicts is how often a note is tried again when somebody else wrote first.
const conflicts = 5

// note reads the store, asks what the word makes of it and stores that.
func (h *heard) note(ctx context.Context, say word) error {
	var err error
	for range conflicts {
		var contents record.Contents
		if contents, err = pass.Recall(ctx, h.store, string(h.s.Env.V)); err != nil {
			return err
		}
		doc, text, refused := say(h, contents)
		var declined *operator.Declined
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
			return fmt.Errorf("nothing was stored, the store is full: %w; release or close what is over, rotator status lists it", err)
		case err != nil:
			return fmt.Errorf("it is not clear whether this was stored, look with rotator status: %w", err)
		}
		h.tell(text, h.said)
		return nil
	}
	return fmt.Errorf("the store is too busy, nothing was noted: %w", err)
}

func (a *app) tell(text string, said record.Said) {
	if a.vars["CLOUD_RUN_JOB"] != "" {
		a.log.Info(text, "by", said.By, "why", said.Reason)
		return
	}
	fmt.Fprintln(a.stdout, words.Harmless(text)+".")
}

// rotation gives the cluster's rotation on record; nil when there is none.
func (h *heard) rotation(contents record.Contents) *record.Rotation {
	if r, ok := contents.Rotations[h.ref]; ok {
		return &r
	}
	return nil
}

// onlyOne refuses all where one cluster must be named.
func onlyOne(_ context.Context, h *heard) error {
	if h.ref.IsZero() {
		return wrong("name one cluster: PROJECT/LOCATION/CLUSTER; only hold and release take all")
	}
	return nil
}

// mustSee reads the cluster that is spoken of; it must be one that this deployment looks at.
func mustSee(ctx context.Context, h *heard) error {
	if err := onlyOne(ctx, h); err != nil {
		return err
	}
	if p := h.ref.Project; !slices.Contains(h.s.Projects.V, p) {
		return wrong("project %s is not among %sPROJECTS%s, so this deployment never looks at %s",
			p, config.Prefix, words.DidYouMean(p, h.s.Projects.V), h.ref)
	}
	var err error
	h.cluster, err = h.readCluster(ctx, h.ref)
	if errors.Is(err, gke.ErrNotFound) {
		return wrong("%v; rotator plan --format json lists those that do", err)
	}
	return err
}

// meant names the clusters of the project that are a few letters away.
func meant(ctx context.Context, cloud gke.Reader, ref fleet.Ref) string {
	clusters, _, err := cloud.Clusters(ctx, ref.Project)
	if err != nil {
		return "" // what is told already is enough
	}
	known := make([]fleet.Ref, len(clusters))
	for i, c := range clusters {
		known[i] = c.Ref
	}
	return view.DidYouMean(known, ref.String())
}

func (r *reading) readCluster(ctx context.Context, ref fleet.Ref) (c fleet.Cluster, err error) {
	cloud, err := gke.Dial(ctx, clientOptions(r.s.GKEEndpoint.V)...)
	if err != nil {
		return c, err
	}
	defer func() { _ = cloud.Close() }() // nothing is under way any more
	c, err = pass.ReadCluster(ctx, cloud, ref, r.now)
	if errors.Is(err, gke.ErrNotFound) {
		return fleet.Cluster{}, fmt.Errorf("%s: %w%s", ref, gke.ErrNotFound, meant(ctx, cloud, ref))
	}
	if err != nil {
		return fleet.Cluster{}, fmt.Errorf("read %s: %w", ref, err)
	}
	return c, nil
}

type word func(*heard, record.Contents) (record.FleetDoc, string, error)

// saying is a command by which people tell the job something about a cluster.
type saying struct {
	use, short, long, example string
	withUntil                 bool
	// before looks at what is spoken of; word is what policy makes of it.
	before func(context.Context, *heard) error
	word   word
}

var sayings = []saying{
	{
		use: "approve CLUSTER", short: "Say yes to the start or completion that a cluster waits for",
		long: `Say yes to what a cluster waits for under APPROVAL. The yes to a start is bound
to this cluster and this CA, and good for 14 days. The yes to a completion is
bound to this attempt, and void when a node pool must be recreated again.`,
		example:   `  rotator approve shop-prod/us-central1/catalog --by ann --reason "all clients updated"`,
		withUntil: true,
		before:    mustSee,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			return operator.Approve(contents.Fleet, h.s.Policy(), h.cluster, h.rotation(contents), h.until, h.said)
		},
	},
	{
		use: "hold CLUSTER|all", short: "Stop every change of ours to a cluster, or to all",
		long: `Stop every call of ours that changes a cluster, or any cluster with all: in any
phase, also in an emergency, from the next call on. It says what it cannot
stop: calls under way, and GKE itself.`,
		example: `  rotator hold shop-prod/us-central1/catalog --by ann --reason "launch week" --until 2026-12-24
  rotator hold all --by ann --reason "incident 4711" --until 8h`,
		withUntil: true,
		before:    known,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			h.beyond = beyondHold(contents, h)
			return operator.Hold(contents.Fleet, h.ref, h.until, h.said)
		},
	},
	{
		use: "release CLUSTER|all", short: "End a hold",
		long: `End the hold on one cluster, or with all the hold on all clusters. Holds on
single clusters outlive the one on all. A label on the cluster that holds it is
its owners' to remove.`,
		example: `  rotator release shop-prod/us-central1/catalog --by ann --reason "launch week is over"
  rotator release all --by ann --reason "incident 4711 is over"`,
		before: labelsHold,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			return operator.Release(contents.Fleet, h.ref, h.said)
		},
	},
	{
		use: "retry CLUSTER", short: "Acknowledge what failed or is stuck, and let the next run try again",
		long: `Acknowledge what failed or is stuck, and let the next run try again. What is
acknowledged no longer counts against MAX_FAILED, so other clusters may start.
It cannot clear a call that may still be on its way to GKE.`,
		example: `  rotator retry shop-prod/us-central1/catalog --by ann --reason "quota raised"`,
		before:  onlyOne,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			return operator.Retry(contents.Fleet, h.ref, h.rotation(contents), h.said)
		},
	},
	{
		use: "adopt CLUSTER", short: "Manage a rotation to its end that somebody else started",
		long: `Manage a rotation to its end that somebody else started: a person, another
tool, or GKE itself. ADOPT=manage does so for all.`,
		example: `  rotator adopt shop-prod/us-central1/catalog --by ann --reason "started by terraform"`,
		before:  mustSee,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			return operator.Adopt(contents.Fleet, h.s.Policy(), h.cluster, h.rotation(contents), h.said)
		},
	},
	{
		use: "rotate CLUSTER", short: "Make a cluster due now",
		long: `Make a cluster due now, whatever the age of its CA. Windows, freezes, limits
and approvals still hold.`,
		example: `  rotator rotate shop-prod/us-central1/catalog --by ann --reason "kubeconfig leaked"`,
		before:  mustSee,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			return operator.Rotate(contents.Fleet, h.s.Policy(), h.cluster, h.rotation(contents), h.said)
		},
	},
	{
		use: "close CLUSTER", short: "End our record of a rotation without touching GKE",
		long: `End our record of a rotation, and acknowledge what failed. GKE is not touched:
there is no cancel and no rollback in GKE, so the rotation itself goes on.`,
		example: `  rotator close shop-prod/us-central1/catalog --by ann --reason "finished by hand"`,
		before:  onlyOne,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			return operator.Close(contents.Fleet, h.ref, h.rotation(contents), h.said)
		},
	},
}

// known refuses a name that no cluster has, for a hold on it would hold nothing. When GKE cannot be asked,
// the hold counts: it may be what people need most.
func known(ctx context.Context, h *heard) error {
	if h.ref.IsZero() {
		return nil
	}
	_, err := h.readCluster(ctx, h.ref)
	switch {
	case errors.Is(err, gke.ErrNotFound):
		return wrong("%v, so there is nothing to hold", err)
	case err != nil:
		h.complain(fmt.Sprintf("held without having seen the cluster, make sure of its name: %v", err))
	case !slices.Contains(h.s.Projects.V, h.ref.Project):
		h.complain(fmt.Sprintf("project %s is not among %sPROJECTS: this deployment looks at it only "+
			"while a rotation is on record there", h.ref.Project, config.Prefix))
	}
	return nil
}

// beyondHold says what a hold cannot stop.
func beyondHold(contents record.Contents, h *heard) []string {
	var out []string
	for _, ref := range slices.SortedFunc(maps.Keys(contents.Rotations), fleet.Ref.Compare) {
		if !h.ref.IsZero() && ref != h.ref {
			continue
		}
		for _, what := range operator.BeyondHold(contents.Rotations[ref], h.said.At) {
			out = append(out, ref.String()+": "+what)
		}
	}
	return out
}

// labelsHold says what a release does not end: the cluster's own labels. When GKE cannot be asked, the
// release counts all the same.
func labelsHold(ctx context.Context, h *heard) error {
	if h.ref.IsZero() {
		return nil
	}
	c, err := h.readCluster(ctx, h.ref)
	if err != nil {
		h.complain(fmt.Sprintf("whether its labels hold it too is not known: %v", err))
		return nil
	}
	if label := h.s.Policy().LabelHold(c, h.said.At); len(label) > 0 {
		next := reason.HeldByLabel.Info().Next
		h.complain(fmt.Sprintf("a release lifts no label: %s is %s. %s", h.ref, label, next))
	}
	return nil
}
