package trial

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/intercept"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// reader is a process's view of GKE: late, at times stale, at times none.
type reader struct{ x *process }

// look waits for an answer, in which fill puts what is shown as of its time.
func (r reader) look(
	ctx context.Context, kind Kind, project string, ref fleet.Ref, fill func(*Look),
) (*Look, error) {
	x, begun := r.x, r.x.now
	if err := x.await(ctx); err != nil {
		return nil, err
	}
	what := map[Kind]string{Listed: "list", ClusterRead: "cluster", OperationsRead: "operations"}[kind]
	if x.sometimes(x.rates.unread) {
		x.fault("unread " + what)
		x.tell(&Event{Kind: ReadFailed, Text: what})
		return nil, errGKE
	}
	l := &Look{Project: project, Begun: begun, AsOf: x.now}
	if x.sometimes(x.rates.stale) {
		x.fault("stale " + what)
		l.AsOf = begun.Add(-x.between(0, record.Stale))
	}
	fill(l)
	x.tell(&Event{Kind: kind, Cluster: ref, Look: l})
	at := elsewhere
	switch {
	case kind == Listed:
		at = afterList
	case kind == ClusterRead && len(x.unsent) > 0:
		at = afterFresh
	}
	x.reach(at, ref)
	if x.dead {
		return nil, errDead
	}
	return l, nil
}

// Clusters implements [gke.Reader].
func (r reader) Clusters(ctx context.Context, project string) ([]fleet.Cluster, []fleet.Unread, error) {
	x := r.x
	l, err := r.look(ctx, Listed, project, fleet.Ref{}, func(l *Look) {
		missing, all := "", x.cache.Projects()[project]
		if x.sometimes(x.rates.missing) && len(all) > 0 {
			missing = pick(x.play, all...).Location
			x.fault("location missing from a list")
			why := "GKE did not answer for " + missing
			l.Unread = []fleet.Unread{{Project: project, Location: missing, Reason: why}}
		}
		l.Raw = map[fleet.Ref]*containerpb.Cluster{}
		for _, ref := range all {
			v := x.cache.AsOf(ref, l.AsOf)
			if v.Gone || ref.Location == missing {
				continue
			}
			c := v.Cluster
			inside := strings.HasPrefix(ref.Location, missing+"-") || strings.HasPrefix(missing, ref.Location+"-")
			c.Partial = missing != "" && inside
			l.Clusters = append(l.Clusters, c)
			l.Raw[ref] = v.Raw
		}
	})
	if err != nil {
		return nil, nil, err
	}
	return slices.Clone(l.Clusters), l.Unread, nil
}

// Cluster implements [gke.Reader].
func (r reader) Cluster(ctx context.Context, ref fleet.Ref) (fleet.Cluster, error) {
	l, err := r.look(ctx, ClusterRead, ref.Project, ref, func(l *Look) {
		v := r.x.cache.AsOf(ref, l.AsOf)
		if l.Gone = v.Gone; !v.Gone {
			l.Clusters, l.Raw = []fleet.Cluster{v.Cluster}, map[fleet.Ref]*containerpb.Cluster{ref: v.Raw}
		}
	})
	switch {
	case err != nil:
		return fleet.Cluster{}, err
	case l.Gone:
		return fleet.Cluster{}, errors.Join(errors.New(ref.String()), gke.ErrNotFound)
	}
	return l.Clusters[0], nil
}

// Operations implements [gke.Reader].
func (r reader) Operations(ctx context.Context, project string) (map[fleet.Ref][]fleet.Operation, error) {
	l, err := r.look(ctx, OperationsRead, project, fleet.Ref{}, func(l *Look) {
		l.Operations = r.x.cache.Operations(project, l.AsOf)
	})
	if err != nil {
		return nil, err
	}
	return maps.Clone(l.Operations), nil
}

// insights is a Recommender that knows nothing, or does not answer.
type insights struct{ x *process }

// Insights implements [gke.Insights].
func (i insights) Insights(ctx context.Context, _, _ string) ([]record.Insight, bool, error) {
	x := i.x
	if err := x.await(ctx); err != nil {
		return nil, false, err
	}
	if x.sometimes(x.rates.unread) {
		x.fault("unread insights")
		return nil, false, gke.ErrNoAnswer
	}
	return nil, true, x.alive(ctx)
}

// store is the store as a process reaches it.
func (x *process) store(ctx context.Context, c *intercept.Call, next intercept.Next) error {
	if c.Method == intercept.Write {
		return x.write(ctx, c, next)
	}
	if err := x.await(ctx); err != nil {
		return err
	}
	if x.sometimes(x.rates.storedAway) {
		x.fault("store away: " + string(c.Method))
		x.tell(&Event{Kind: ReadFailed, Text: string(c.Method)})
		return errStore
	}
	if c.Method == intercept.Lease && x.alone {
		return nil // as if it had got what it asks for
	}
	if err := next(nobody); err != nil {
		return err
	}
	switch c.Method {
	case intercept.Holder:
		return nil
	case intercept.Lease:
		x.tell(&Event{Kind: Leased, Text: c.Lease.Holder})
		return nil
	case intercept.Contents:
		x.read = x.dep.contents.Stamp()
		b := c.Contents
		x.tell(&Event{Kind: StoreRead, Contents: &b})
		x.reach(afterStore, fleet.Ref{})
		c.Contents.Rotations = maps.Clone(b.Rotations)
		return x.alive(nobody)
	case intercept.Fleet:
		doc := c.Fleet
		x.tell(&Event{Kind: FleetRead, Fleet: &doc})
	case intercept.History:
		x.tell(&Event{Kind: HistoryRead, Cluster: c.Ref, Records: c.Records})
	}
	x.reach(elsewhere, fleet.Ref{})
	return x.alive(nobody)
}

func (x *process) write(ctx context.Context, c *intercept.Call, next intercept.Next) error {
	if err := x.alive(ctx); err != nil {
		return err
	}
	kind, ref := x.sort(c.Change)
	switch kind {
	case OutcomeStored:
		x.reach(beforeStore, ref)
	case IntentStored:
		x.reach(beforeIntent, ref)
	}
	x.park(x.latency())
	if err := x.alive(ctx); err != nil {
		return err
	}
	e := &Event{Kind: kind, Cluster: ref, Write: &Write{Asked: c.Change}}
	if x.sometimes(x.rates.writeLost) {
		x.fault("write failed, nothing applied")
		e.Write.Delivered = errStore.Error()
		x.tell(e)
		return errStore
	}
	before := x.dep.contents.Stamp()
	err := next(nobody)
	x.read += x.dep.contents.Stamp() - before
	e.Write.Now, e.Write.Applied = c.Change, err == nil
	if err == nil {
		x.dep.wrote(e.Write.Asked)
		x.dep.heard.Stored = append(x.dep.heard.Stored, c.Change.Notices...)
	}
	if err == nil && x.sometimes(x.rates.answerLost) {
		x.fault("commit applied but reported as failed")
		err = errStore
	}
	if err != nil {
		c.Change, e.Write.Delivered = e.Write.Asked, err.Error()
	}
	x.tell(e)
	if kind == IntentStored {
		x.reach(afterIntent, ref)
	}
	if x.dead {
		return errDead
	}
	return err
}

// sort says what a write is about, and remembers the intents that it stores.
func (x *process) sort(c state.Change) (Kind, fleet.Ref) {
	var r *record.Rotation
	switch {
	case c.Rotation != nil:
		r = c.Rotation
	case c.Close != nil:
		r = &c.Close.Rotation
	default:
		return Stored, fleet.Ref{}
	}
	kind := Stored
	calls := make([]record.Call, 0, 4)
	if r.Call != nil {
		calls = append(calls, *r.Call)
	}
	for _, call := range r.PoolCalls {
		calls = append(calls, call)
	}
	calls = append(calls, r.Settled...)
	for _, call := range calls {
		mine := intentKey{call.Kind, r.Cluster, call.Pool}
		switch {
		case call.State == record.Intended && call.Run == x.Name && x.intents[mine] != call.ID &&
			strings.HasPrefix(call.ID, x.prefix()):
			x.intents[mine], x.unsent[call.ID] = call.ID, true
			kind = IntentStored
		case call.State != record.Intended && x.intents[mine] == call.ID:
			delete(x.unsent, call.ID)
			if kind != IntentStored {
				kind = OutcomeStored
			}
		}
	}
	return kind, r.Cluster
}
