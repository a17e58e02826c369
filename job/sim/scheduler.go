package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/state"
)

// scheduler plays a forecast: the runs of the schedule, with the same pass as in production, but without
// those, and in each run without those clusters, that cannot matter. It comes to the same as all runs over
// all clusters: see [scheduler.choose], and the test that plays both.
type scheduler struct {
	*Game
	cache     *Cache
	rows      []*row // ordered by cluster
	byCluster map[fleet.Ref]*row
	story     *recorder
	rotations *rotations
	last      int // the last wave that has clusters
	room      func(fleet.Ref) policy.Verdict
	skipped   int
}

// row is one cluster: what reads show, and what the forecast remembers of it.
type row struct {
	cluster fleet.Cluster
	ops     []fleet.Operation
	// changes is when time alone changes what GKE shows: the CA's last week
	// begins, or an operation is forgotten. Zero: never.
	changes time.Time
	// changed: since it was last planned. listed: this run sees it.
	changed, listed bool

	// What is remembered between the runs that see it.
	ours    bool // its project is among the policy's
	wave    int
	planned bool
	d       policy.Decision // the last one
	// until: before it time alone changes nothing of d.
	until time.Time
	held  Wait      // what it waits for; no gate: nothing
	since time.Time // since when
	waits []Wait    // before this attempt, or in it
}

func newScheduler(s Setup) (*scheduler, error) {
	s.Contents.Rotations = maps.Clone(s.Contents.Rotations)
	for ref, r := range s.Contents.Rotations { // as if receivers answered from now on
		for _, receiver := range r.Undelivered() {
			r.TakenBy(receiver, s.From)
		}
		s.Contents.Rotations[ref] = r
	}
	store, err := state.MemoryOf(s.Contents, s.History)
	if err != nil {
		return nil, err
	}
	c := &scheduler{
		Game: newGame(s, store, "forecast"), story: newStory(s), rotations: newRotations(s),
		cache: NewCache(s.World, 0), byCluster: map[fleet.Ref]*row{},
	}
	c.Pass.Read = c
	c.story.sparse = true
	for _, project := range s.World.Projects() {
		c.cache.AddProject(project)
	}
	for project, refs := range c.cache.Projects() {
		for _, ref := range refs {
			x := &row{ours: slices.Contains(s.Policy.Projects, project)}
			c.rows, c.byCluster[ref] = append(c.rows, x), x
			c.take(ref)
			x.wave, _ = s.Policy.Waves.Of(x.cluster.Labels)
			c.last = max(c.last, x.wave)
		}
	}
	slices.SortFunc(c.rows, func(a, b *row) int { return a.cluster.Ref.Compare(b.cluster.Ref) })
	return c, c.cache.Err()
}

func (c *scheduler) refresh() error {
	var due []fleet.Ref
	for _, x := range c.rows {
		if !x.changes.IsZero() && !c.now.Before(x.changes) {
			due = append(due, x.cluster.Ref)
		}
	}
	for _, ref := range c.cache.Refresh(due...) {
		c.take(ref)
	}
	return c.cache.Err()
}

func (c *scheduler) take(ref fleet.Ref) {
	read, x := c.cache.Now(ref), c.byCluster[ref]
	x.cluster, x.changes, x.changed = read.Cluster, read.Changes, true
	x.ops = c.cache.Operations(ref.Project, c.now)[ref]
	for _, op := range x.ops {
		if forgets := c.World.Forgets(); forgets > 0 && op.Done {
			at := op.End.Add(forgets + time.Nanosecond)
			if at.After(c.now) && (x.changes.IsZero() || at.Before(x.changes)) {
				x.changes = at
			}
		}
	}
}

// Clusters implements [gke.Reader]: those that this run is to see.
func (c *scheduler) Clusters(_ context.Context, project string) ([]fleet.Cluster, []fleet.Unread, error) {
	var out []fleet.Cluster
	for _, ref := range c.cache.Projects()[project] {
		if x := c.byCluster[ref]; x.listed {
			out = append(out, x.cluster)
		}
	}
	return out, nil, nil
}

// Cluster implements [gke.Reader].
func (c *scheduler) Cluster(_ context.Context, ref fleet.Ref) (fleet.Cluster, error) {
	if err := c.refresh(); err != nil {
		return fleet.Cluster{}, err
	}
	if x := c.byCluster[ref]; x != nil {
		return x.cluster, nil
	}
	return fleet.Cluster{}, gke.ErrNotFound
}

// Operations implements [gke.Reader].
func (c *scheduler) Operations(_ context.Context, project string) (map[fleet.Ref][]fleet.Operation, error) {
	if err := c.refresh(); err != nil {
		return nil, err
	}
	out := map[fleet.Ref][]fleet.Operation{}
	for _, ref := range c.cache.Projects()[project] {
		if x := c.byCluster[ref]; x.listed && len(x.ops) > 0 {
			out[ref] = x.ops
		}
	}
	return out, nil
}

// step lets time pass until now and makes the run of that time, unless nothing can come of it.
func (c *scheduler) step(ctx context.Context, now time.Time, each func(pass.Result)) error {
	c.World.Advance(now)
	c.now = now
	if err := c.refresh(); err != nil {
		return err
	}
	contents, err := c.Store.Contents(ctx)
	if err != nil {
		return err
	}
	first, end := c.runs == 0, now.Add(c.Every).After(c.story.To)
	if !c.choose(contents, first || end) {
		c.skipped++
		return nil
	}
	for _, x := range c.rows {
		if x.listed {
			x.changed = false // until this run changes it
		}
	}
	p := *c.Policy
	p.Projects = c.projects()
	res, err := c.run(ctx, &p)
	if err != nil {
		return fmt.Errorf("the run of %s: %w", now.Format(time.RFC3339), err)
	}
	c.story.add(res)
	c.rotations.add(res)
	for _, d := range res.Decisions {
		if x := c.byCluster[d.Cluster.Ref]; x != nil {
			c.remember(x, d)
		}
	}
	if each != nil {
		each(res)
	}
	return nil
}

// choose marks the clusters that this run must see and says whether it can come to anything. Left out are
//
//   - idle ones with nothing to do, until time can change that;
//   - due ones that wait for a calendar or a person of their own, likewise;
//   - due ones for which the store has no slot, or all starts are closed: a slot
//     is only freed by a run, and the next one sees it;
//
// but none of the last two on which a later wave may wait. What GKE shows
// anew is always seen, and what is in flight in every run that is made.
func (c *scheduler) choose(contents record.Contents, all bool) bool {
	c.room = policy.FreeSlots(c.Policy, contents.Fleet)
	full := !c.room(fleet.Ref{}).Open && !slices.ContainsFunc(c.rows, func(x *row) bool {
		return c.presses(x) && !c.now.Before(x.until)
	})
	awake := all
	for _, x := range c.rows {
		r, inFlight := contents.Rotations[x.cluster.Ref]
		switch ripe := !c.now.Before(x.until); {
		case inFlight:
			awake = awake || x.changed || !c.rests(x, r)
			x.listed = true
			continue
		case !x.ours:
			x.listed = false
			continue
		case all || x.changed || !x.planned || x.d.Phase != "":
			x.listed = true
		case !waiting(x.d):
			x.listed = ripe
		default:
			c.holdUp(x)
			pressing := c.presses(x)
			goes := ripe && (pressing || c.room(x.cluster.Ref).Open)
			// A later wave asks about it, when there is a run.
			x.listed = (goes || x.wave < c.last) && (pressing || !full)
			awake = awake || goes && x.listed
			continue
		}
		awake = awake || x.listed
	}
	return awake
}

// presses: for emergencies and compromises other limits hold.
func (c *scheduler) presses(x *row) bool {
	ca := x.cluster.Bundle.Oldest()
	return x.d.Compromised || ca.Fingerprint != "" &&
		!c.now.Before(ca.Expires.Add(-c.Policy.EmergencyBeforeExpiry))
}

// rests says that for a rotation in flight nothing happens by itself: no time
// has come, nothing is counted, no slot is given back for being blocked.
func (c *scheduler) rests(x *row, r record.Rotation) bool {
	blocked := !r.BlockedSince.IsZero() && c.now.After(r.BlockedSince.Add(rules.BlockedFreesSlot))
	waits := x.d.Action == policy.Wait || x.d.Action == policy.NeedsAction
	return x.planned && x.d.Phase != "" && !x.d.Write && waits &&
		r.CountedAt.IsZero() && c.now.Before(x.until) && !blocked
}

func (c *scheduler) remember(x *row, d policy.Decision) {
	if x.planned && (x.d.Phase == "") != (d.Phase == "") {
		c.count(x, c.now)
		x.held, x.waits = Wait{}, nil
	}
	x.planned, x.d, x.until = true, d, d.NextChange
	ownClosed := slices.ContainsFunc(d.Gates, func(v policy.Verdict) bool {
		ofFleet := func(g policy.FleetGate) bool { return g.Name == v.Gate }
		return !v.Open && !v.Lifted && !slices.ContainsFunc(policy.FleetGates, ofFleet)
	})
	switch {
	case waiting(d) && d.Phase == "" && !ownClosed:
		x.until = c.now // what others do may let it go
	case x.until.IsZero():
		x.until = c.story.To.Add(c.Every)
	}
	c.holdUp(x)
}

// holdUp counts the time for what holds the cluster up: while it could go but
// for a slot, that; else of what the last decision waits for the last to end.
func (c *scheduler) holdUp(x *row) {
	var now Wait
	if waiting(x.d) {
		now = lastToOpen(x.d)
		if v := c.room(x.cluster.Ref); x.d.Phase == "" && x.d.Action == policy.Wait && !v.Open && !c.presses(x) {
			now = waitFor(v)
		}
	}
	if now.Gate == x.held.Gate && now.Reason == x.held.Reason {
		return
	}
	c.count(x, c.now)
	x.held, x.since = now, c.now
}

// lastToOpen is what an idle cluster waits for: of several closed gates the one that
// opens last, before all one that no time opens. In flight there is one reason.
func lastToOpen(d policy.Decision) Wait {
	w := Wait{Gate: gateOf(d), Reason: d.Reason, Message: d.Message}
	if d.Phase != "" {
		return w
	}
	var last time.Time
	for _, v := range d.Gates {
		switch {
		case v.Open || v.Lifted:
		case v.OpensAt.IsZero():
			return waitFor(v)
		case v.OpensAt.After(last):
			last, w = v.OpensAt, waitFor(v)
		}
	}
	return w
}

func waitFor(v policy.Verdict) Wait {
	return Wait{Gate: v.Gate, Reason: v.Reason, Message: v.Message}
}

// count adds the time until then to what the cluster waits for.
func (c *scheduler) count(x *row, until time.Time) {
	if x.held.Gate == "" {
		return
	}
	x.held.Time = until.Sub(x.since)
	chapter := c.story.of(x.d)
	chapter.Waited = withWait(chapter.Waited, x.held)
	x.waits = withWait(x.waits, x.held)
}

// projects are those of which the run sees a cluster.
func (c *scheduler) projects() []string {
	var out []string
	for _, project := range c.Policy.Projects {
		refs := c.cache.Projects()[project]
		if slices.ContainsFunc(refs, func(ref fleet.Ref) bool { return c.byCluster[ref].listed }) {
			out = append(out, project)
		}
	}
	return out
}
