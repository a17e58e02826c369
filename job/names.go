package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
)

// list gives the clusters of every project that a run looks at, and says which places could not be read.
func (r *reading) list(ctx context.Context) (clusters []fleet.Cluster, unread []string) {
	projects := pass.ProjectsOf(r.s.Projects.V, r.contents)
	cloud, err := gke.Dial(ctx, clientOptions(r.s.GKEEndpoint.V)...)
	if err != nil {
		return nil, []string{fmt.Sprintf("GKE: %v", err)}
	}
	defer func() { _ = cloud.Close() }() // nothing is under way any more
	clusters, places := pass.List(ctx, cloud, projects, r.s.Parallel.V)
	for _, u := range places {
		if !u.Gone {
			unread = append(unread, strings.TrimSuffix("project "+u.Project+"/"+u.Location,
				"/")+": "+u.Reason)
		}
	}
	return clusters, unread
}

// known are the clusters of fleet and store.
func (r *reading) known(ctx context.Context) (refs []fleet.Ref, unread []string) {
	clusters, unread := r.list(ctx)
	refs = storedRefs(r.contents)
	for _, c := range clusters {
		refs = append(refs, c.Ref)
	}
	slices.SortFunc(refs, fleet.Ref.Compare)
	return slices.Compact(refs), unread
}

func notRead(unread []string) string {
	const few = 3
	return "what could not be read: " + words.Few(unread, few)
}

// clusterNamed takes a full name as it is, and understands the end of one that fleet and store know once.
func (r *reading) clusterNamed(ctx context.Context, text string) (fleet.Ref, error) {
	ref, unread, err := r.named(ctx, text)
	if err == nil && len(unread) > 0 {
		return ref, wrong("%q may be %s, or another cluster that is called so; write it whole; %s",
			words.Harmless(text), ref, notRead(unread))
	}
	return ref, err
}

// clusterToShow is clusterNamed for those who only look: it shows what it finds, and says what it does not
// know.
func (r *reading) clusterToShow(ctx context.Context, text string) (fleet.Ref, error) {
	ref, unread, err := r.named(ctx, text)
	if err == nil && len(unread) > 0 {
		r.complain(fmt.Sprintf("another cluster may be called so; %s", notRead(unread)))
	}
	if err == nil || r.store == nil {
		return ref, err
	}
	var past []fleet.Ref
	for rec, broken := range r.store.Records(ctx, time.Time{}) {
		if broken != nil {
			return ref, err
		}
		if rec.Rotation.Cluster.Ends(text) && !slices.Contains(past, rec.Rotation.Cluster) {
			past = append(past, rec.Rotation.Cluster)
		}
	}
	if len(past) == 1 {
		return past[0], nil
	}
	return ref, err
}

func (r *reading) named(ctx context.Context, text string) (ref fleet.Ref, unread []string, err error) {
	text = strings.TrimSpace(text)
	ref, err = fleet.ParseRef(text)
	switch {
	case err == nil:
		return ref, nil, nil
	case strings.Count(text, "/") > 1: // no end of a name
		return ref, nil, wrong("%v", err)
	}
	known, unread := r.known(ctx)
	ref, err = view.Find(known, text)
	switch {
	case err != nil && len(unread) > 0:
		err = wrong("%v; write it whole, PROJECT/LOCATION/CLUSTER; %s", err, notRead(unread))
	case err != nil:
		err = wrong("%v", err)
	}
	return ref, unread, err
}
