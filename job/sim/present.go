package sim

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// Present is a real fleet and its store as they are now, where forecasts begin. None of them changes it.
type Present struct {
	Clusters []gke.Seen
	Unread   []fleet.Unread // unknown clusters are in no forecast
	Contents record.Contents
	History  []record.Record // of clusters with a second CA and no record
	// Patience is how long GKE's own work counts as soon over; longer, and it has no end.
	Patience time.Duration
}

// Read reads the fleet of these projects; store is nil without one. An error: there is nothing to go on from.
func Read(ctx context.Context, cloud *gke.Cloud, store state.Store, contents record.Contents,
	projects []string) (*Present, error) {
	p := &Present{Contents: contents}
	asked := pass.ProjectsOf(projects, contents)
	bad := 0
	var first error
	for _, project := range asked {
		err := p.readProject(ctx, cloud, project, slices.Contains(projects, project))
		if err != nil {
			bad++
			first = cmp.Or(first, err)
			p.Unread = append(p.Unread, fleet.Unread{Project: project, Reason: err.Error()})
		}
	}
	if bad == len(asked) && bad > 0 {
		return nil, fmt.Errorf("no project could be read: %w", first)
	}
	p.forgetUnread()
	return p, p.readHistory(ctx, store)
}

// readProject reads a project. When it is not ours to look at any more, only what is in flight counts.
func (p *Present) readProject(ctx context.Context, cloud *gke.Cloud, project string, ours bool) error {
	list, unread, err := cloud.Raw(ctx, project)
	p.Unread = append(p.Unread, unread...)
	for _, seen := range list {
		if _, inFlight := p.Contents.Rotations[seen.Ref]; ours || inFlight {
			p.Clusters = append(p.Clusters, seen)
		}
	}
	return err
}

// forgetUnread takes out of the store what is in flight where nothing could be
// read: nobody knows how it goes on, and its slot is soon free.
func (p *Present) forgetUnread() {
	p.Contents.Rotations = maps.Clone(p.Contents.Rotations)
	p.Contents.Fleet.Slots = maps.Clone(p.Contents.Fleet.Slots)
	for ref := range p.Contents.Rotations {
		unread := slices.ContainsFunc(p.Unread, func(u fleet.Unread) bool { return u.Covers(ref) })
		if unread && !slices.ContainsFunc(p.Clusters, func(s gke.Seen) bool { return s.Ref == ref }) {
			delete(p.Contents.Rotations, ref)
			delete(p.Contents.Fleet.Slots, ref.String())
			why := ref.String() + " is in flight and could not be read: it is left out, and its slot counts as free"
			p.Unread = append(p.Unread, fleet.Unread{Project: ref.Project, Location: ref.Location, Reason: why})
		}
	}
}

// readHistory reads what the pass would ask for: whose rotation a second CA without a record is.
func (p *Present) readHistory(ctx context.Context, store state.Store) error {
	if store == nil {
		return nil
	}
	for _, seen := range p.Clusters {
		if _, onRecord := p.Contents.Rotations[seen.Ref]; onRecord ||
			len(fleet.ParseBundle(seen.Cluster.GetMasterAuth().GetClusterCaCertificate()).CAs) < 2 {
			continue
		}
		records, err := store.History(ctx, seen.Ref)
		if err != nil {
			return fmt.Errorf("read the history of %s: %w", seen.Ref, err)
		}
		p.History = append(p.History, records...)
	}
	return nil
}

// World makes a simulated GKE that goes on from there; now is when it was read.
func (p *Present) World(seed int64, now time.Time) (*gkesim.World, error) {
	w := gkesim.New(gkesim.Options{Seed: seed, Now: now})
	for _, seen := range p.Clusters {
		if err := w.Add(seen.Ref.Project, seen.Cluster); err != nil {
			return nil, err
		}
		if err := w.Resume(seen.Ref.Path(), p.midway(seen, now)); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// midway is how far a cluster has come, by the store and by GKE's operations.
func (p *Present) midway(seen gke.Seen, now time.Time) gkesim.Midway {
	m := gkesim.Midway{Operations: seen.Operations}
	if w, ok := p.Contents.Fleet.OnGKE[seen.Ref.String()]; ok {
		m.Stays = now.Sub(w.Since) > p.Patience
	}
	r, ok := p.Contents.Rotations[seen.Ref]
	if !ok {
		return m
	}
	m.Started = r.StartedAt()
	for name, work := range r.Pools {
		if work.Done() {
			m.Recreated = append(m.Recreated, name)
		}
	}
	switch r.Phase {
	case record.Starting:
		m.Brings = gkesim.StartsRotation
	case record.Completing:
		m.Brings = gkesim.EndsRotation
	}
	return m
}
