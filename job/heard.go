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

// heard is what was said, and the store in which it will be noted.
type heard struct {
	*reading
	ref      fleet.Ref      // the cluster, where one is named
	cluster  fleet.Cluster  // as GKE has it, where the word needs that; without an id: it could not be read
	on       *record.Target // what a hold is on
	id, wave string         // what else is released
	until    time.Time
	said     record.Said
	beyond   []string // what a hold cannot stop
}

// listen checks what was said, and opens the store.
func (a *app) listen(cmd *cobra.Command, at, until string, said record.Said) (*heard, error) {
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
	if h.until, err = parseUntil(until, said.At); err != nil {
		missing = append(missing, "--until "+err.Error())
	}
	if len(missing) > 0 {
		return nil, &failure{2, missing}
	}
	h.reading, err = a.recall(cmd.Context(), s, said.At, false)
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

// oneCluster takes the name of one cluster.
func oneCluster(ctx context.Context, h *heard, text string) (err error) {
	if text == "all" {
		return wrong("name one cluster: PROJECT/LOCATION/CLUSTER; only hold and release take all")
	}
	h.ref, err = h.clusterNamed(ctx, text)
	return err
}

// seenCluster takes the name of one cluster, of those that this deployment looks at, and reads it. Where that
// cannot be, the word is taken all the same: the next run that reads the cluster sees what it means.
func seenCluster(ctx context.Context, h *heard, text string) error {
	if err := oneCluster(ctx, h, text); err != nil {
		return err
	}
	r, flying := h.contents.Rotations[h.ref]
	if p := h.ref.Project; !slices.Contains(pass.ProjectsOf(h.s.Projects.V, h.contents), p) || !flying &&
		!slices.Contains(h.s.Projects.V, p) {
		return wrong("project %s is not among %sPROJECTS%s, and no rotation of %s is on record, so this deployment does not look at it",
			p, config.Prefix, words.DidYouMean(p, h.s.Projects.V), h.ref)
	}
	var err error
	h.cluster, err = h.readCluster(ctx, h.ref)
	switch {
	case errors.Is(err, gke.ErrNotFound):
		return wrong("%v; rotator plan --format json lists those that do", err)
	case err != nil:
		h.complain(fmt.Sprintf("taken without having seen the cluster: the next run that reads it finds out "+
			"whether it fits: %v", err))
		h.cluster = fleet.Cluster{Ref: h.ref, ID: r.ClusterID}
	}
	return nil
}

// namesMany understands what is on more than one cluster, and full names: all that takes no look at GKE.
func (h *heard) namesMany(text string) (on *record.Target, err error) {
	ref, notFull := fleet.ParseRef(text)
	projects := pass.ProjectsOf(h.s.Projects.V, h.contents)
	for _, x := range h.contents.Fleet.Holds {
		if x.Project != "" {
			projects = append(projects, x.Project)
		}
	}
	switch {
	case text == "all":
		return &record.Target{}, nil
	case notFull == nil:
		on := record.TheCluster(ref)
		return &on, nil
	case strings.Count(text, "/") > 1:
		return nil, wrong("%v", notFull)
	case slices.Contains(projects, text):
		return &record.Target{Project: text}, nil
	case strings.ContainsAny(text, "=!,() "):
		selector, err := fleet.ParseSelector(text)
		if err != nil {
			return nil, wrong("%v", err)
		}
		return &record.Target{Selector: selector}, nil
	}
	return nil, nil //nolint:nilnil // the end of a name is another question
}

// toHold finds out what is to be held. A full name, a project and all take no look at GKE; where a short name
// is not certain, every cluster of that name is meant.
func toHold(ctx context.Context, h *heard, text string) (err error) {
	text = strings.TrimSpace(text)
	h.on, err = h.namesMany(text)
	switch {
	case err != nil:
		return err
	case h.on == nil:
		return h.toHoldByName(ctx, text)
	case !h.on.Selector.All():
		h.matching(ctx)
	case !h.on.Cluster.IsZero() && !slices.Contains(pass.ProjectsOf(h.s.Projects.V, h.contents),
		h.on.Cluster.Project):
		h.complain(fmt.Sprintf("project %s is not among %sPROJECTS%s: this deployment looks at it only "+
			"while a rotation is on record there", h.on.Cluster.Project, config.Prefix,
			words.DidYouMean(h.on.Cluster.Project, h.s.Projects.V)))
	}
	return nil
}

func (h *heard) toHoldByName(ctx context.Context, text string) error {
	known, unread := h.known(ctx)
	ends := slices.DeleteFunc(slices.Clone(known), func(ref fleet.Ref) bool { return !ref.Ends(text) })
	if _, err := view.Find(known, text); len(ends) == 0 && len(unread) == 0 || words.Harmless(text) != text {
		return wrong("%v; no project is called so either, so there is nothing to hold", err)
	}
	if len(ends) == 1 && len(unread) == 0 {
		on := record.TheCluster(ends[0])
		h.on = &on
		return nil
	}
	h.on = &record.Target{Name: text}
	said := fmt.Sprintf("every cluster called %s is meant: %s", text, words.Plural(len(ends), "is",
		"are")+" known")
	if len(ends) > 0 {
		said += ", " + words.Few(words.Each(ends, fleet.Ref.String), 5)
	}
	if len(unread) > 0 {
		said += "; " + notRead(unread)
	}
	h.complain(said)
	return nil
}

// matching notes which clusters a selector matches now: a label that is taken away ends no hold.
func (h *heard) matching(ctx context.Context) {
	clusters, unread := h.list(ctx)
	for _, c := range clusters {
		if h.on.Selector.Matches(c.Labels) {
			h.on.Matched = append(h.on.Matched, c.Ref)
		}
	}
	said := words.Plural(len(h.on.Matched), "cluster matches", "clusters match") + " now"
	if len(unread) > 0 {
		said += "; whatever matches at the call is held, too; " + notRead(unread)
	}
	h.complain(said)
}

// toRelease finds out what is to be released, and what a release does not end: the cluster's own labels. When
// GKE cannot be asked, the release counts all the same.
func toRelease(ctx context.Context, h *heard, text string) (err error) {
	switch {
	case text == "" && h.id == "" && h.wave == "":
		return wrong("name what to release: a cluster, a project, a selector or all; or a hold, --id ID; or a wave, --wave NAME")
	case h.wave != "" && (text != "" || h.id != ""):
		return wrong("--wave NAME stands alone: it opens a wave, and ends no hold")
	case text == "":
		return nil
	}
	text = strings.TrimSpace(text)
	byName := record.Target{Name: text}
	if h.on, err = h.namesMany(text); err != nil {
		return err
	}
	if h.on == nil && slices.ContainsFunc(h.contents.Fleet.Holds,
		func(x record.Hold) bool { return x.Typed() == text }) {
		h.on = &byName
	}
	if h.on == nil {
		ref, err := h.clusterNamed(ctx, text)
		if err != nil {
			return err
		}
		on := record.TheCluster(ref)
		h.on = &on
	}
	if h.ref = h.on.Cluster; h.ref.IsZero() {
		return nil
	}
	if h.cluster, err = h.readCluster(ctx, h.ref); err != nil {
		h.complain(fmt.Sprintf("whether its labels hold it too is not known: %v", err))
		h.cluster = fleet.Cluster{Ref: h.ref}
		return nil
	}
	if label := h.s.Policy().LabelHold(h.cluster, h.said.At); len(label) > 0 {
		next := reason.HeldByLabel.Info().Next
		h.complain(fmt.Sprintf("a release lifts no label: %s is %s. %s", h.ref, label, next))
	}
	return nil
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

// beyondHold says what a hold cannot stop.
func beyondHold(contents record.Contents, h *heard) []string {
	var out []string
	for _, ref := range slices.SortedFunc(maps.Keys(contents.Rotations), fleet.Ref.Compare) {
		if !h.on.Covers(fleet.Cluster{Ref: ref}) {
			continue
		}
		for _, what := range operator.BeyondHold(contents.Rotations[ref], h.said.At) {
			out = append(out, ref.String()+": "+what)
		}
	}
	return out
}
