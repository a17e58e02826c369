package trial

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/job/intercept"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// lying changes every cluster that is shown.
func lying(change func(*fleet.Cluster)) func(pass.World, Process) pass.World {
	show := func(c *fleet.Cluster) {
		c.Bundle.CAs = slices.Clone(c.Bundle.CAs)
		change(c)
	}
	return func(w pass.World, _ Process) pass.World {
		w.Read = intercept.Reader(w.Read, func(ctx context.Context, c *intercept.Call, next intercept.Next) error {
			err := next(ctx)
			c.Listed = slices.Clone(c.Listed)
			for i := range c.Listed {
				show(&c.Listed[i])
			}
			if c.Method == intercept.Cluster && err == nil {
				show(&c.Cluster)
			}
			return err
		})
		return w
	}
}

// badStore is a Store that does not do what it says. Each part is optional.
type badStore struct {
	// store and fleet change what was read; they get copies.
	contents func(*record.Contents)
	fleet    func(*record.FleetDoc)
	// write changes what is to be written; it gets copies.
	write func(*state.Change)
	wrote func(ctx context.Context, s state.Store, c, now state.Change, err error) (state.Change, error)
	// history changes what is remembered.
	history func([]record.Record) []record.Record
	lease   func(state.Lease) state.Lease
}

func (s badStore) read(c *intercept.Call) {
	switch {
	case c.Method == intercept.Contents:
		if s.contents != nil {
			c.Contents.Rotations = maps.Clone(c.Contents.Rotations)
			s.contents(&c.Contents)
		}
		if s.fleet != nil {
			s.fleet(&c.Contents.Fleet)
		}
	case c.Method == intercept.Fleet && s.fleet != nil:
		s.fleet(&c.Fleet)
	case c.Method == intercept.History && s.history != nil:
		c.Records = s.history(c.Records)
	case c.Method == intercept.Lease && s.lease != nil:
		c.Lease = s.lease(c.Lease)
	}
}

// keeping wraps the world's store.
func keeping(s badStore) func(pass.World, Process) pass.World {
	return func(w pass.World, _ Process) pass.World {
		inner := w.Store
		w.Store = intercept.Store(inner, func(ctx context.Context, c *intercept.Call, next intercept.Next) error {
			if c.Method == intercept.Write && s.write != nil {
				c.Change = copied(c.Change)
				s.write(&c.Change)
			}
			asked := c.Change
			err := next(ctx)
			if c.Method == intercept.Write && s.wrote != nil {
				c.Change, err = s.wrote(ctx, inner, asked, c.Change, err)
			}
			if err == nil {
				s.read(c)
			}
			return err
		})
		return w
	}
}

// copied copies what defects change.
func copied(c state.Change) state.Change {
	if c.Fleet != nil {
		doc := *c.Fleet
		doc.Slots, doc.Holds = maps.Clone(doc.Slots), slices.Clone(doc.Holds)
		c.Fleet = &doc
	}
	if c.Rotation != nil {
		r := copyOf(*c.Rotation)
		c.Rotation = &r
	}
	if c.Close != nil {
		rec := *c.Close
		rec.Rotation = copyOf(rec.Rotation)
		c.Close = &rec
	}
	return c
}

func copyOf(r record.Rotation) record.Rotation {
	r.Transitions, r.Settled = slices.Clone(r.Transitions), slices.Clone(r.Settled)
	r.Pools, r.PoolCalls = maps.Clone(r.Pools), maps.Clone(r.PoolCalls)
	if r.Call != nil {
		call := *r.Call
		r.Call = &call
	}
	return r
}

// sendsTwice is a transport that repeats what stayed without an answer.
func sendsTwice(w pass.World, _ Process) pass.World {
	if w.Move != nil {
		w.Move = intercept.Mover(w.Move, func(ctx context.Context, c *intercept.Call, next intercept.Next) error {
			if _ = next(ctx); c.Outcome.State != record.Unclear {
				return nil
			}
			return next(ctx)
		})
	}
	return w
}

// sendsOthers sends the intents of others that it finds in the store.
func sendsOthers(w pass.World, about Process) pass.World {
	if w.Move == nil {
		return w
	}
	move := w.Move
	return keeping(badStore{contents: func(b *record.Contents) {
		for _, ref := range slices.SortedFunc(maps.Keys(b.Rotations), fleet.Ref.Compare) {
			if r := b.Rotations[ref]; r.Call != nil && r.Call.State == record.Intended && r.Call.Run != about.Name {
				_ = move.Start(nobody, ref)
			}
		}
	}})(w, about)
}

// ahead is every second process with a wall clock that is 31 minutes ahead.
func ahead(w pass.World, about Process) pass.World {
	if now := w.Now; about.Pass%2 == 0 {
		w.Now = func() time.Time { return now().Add(31 * time.Minute) }
	}
	return w
}

// frozen is a monotonic clock that stands still.
func frozen(w pass.World, _ Process) pass.World {
	w.Mono = func() time.Duration { return time.Hour }
	return w
}

// fromBefore answers the read under the intent with what the list showed.
func fromBefore(w pass.World, _ Process) pass.World {
	seen := map[fleet.Ref]fleet.Cluster{}
	w.Read = intercept.Reader(w.Read, func(ctx context.Context, c *intercept.Call, next intercept.Next) error {
		if known, ok := seen[c.Ref]; ok && c.Method == intercept.Cluster {
			c.Cluster = known
			return nil
		}
		err := next(ctx)
		for _, one := range c.Listed {
			seen[one.Ref] = one
		}
		return err
	})
	return w
}

// clusterFirst reads operations once more, after the cluster.
func clusterFirst(w pass.World, _ Process) pass.World {
	inner := w.Read
	w.Read = intercept.Reader(inner, func(ctx context.Context, c *intercept.Call, next intercept.Next) error {
		err := next(ctx)
		if c.Method == intercept.Cluster && err == nil {
			_, err = inner.Operations(ctx, c.Project)
		}
		return err
	})
	return w
}

// ignoresVersions writes over what somebody else wrote.
func ignoresVersions(ctx context.Context, s state.Store, c, now state.Change, err error) (state.Change,
	error) {
	if !errors.Is(err, state.ErrConflict) {
		return now, err
	}
	b, readErr := s.Contents(ctx)
	if readErr != nil {
		return now, err
	}
	c = copied(c)
	if c.Fleet != nil {
		c.Fleet.Version = b.Fleet.Version
	}
	if c.Rotation != nil {
		c.Rotation.Version = b.Rotations[c.Rotation.Cluster].Version
	}
	if c.Close != nil {
		c.Close.Rotation.Version = b.Rotations[c.Close.Rotation.Cluster].Version
	}
	return s.Write(ctx, c)
}

// planWrites is a plan that leaves a note in the store.
func planWrites(w pass.World, about Process) pass.World {
	if !about.Look {
		return w
	}
	store := w.Store
	return keeping(badStore{contents: func(b *record.Contents) {
		doc := b.Fleet
		_, _ = store.Write(nobody, state.Change{Fleet: &doc})
	}})(w, about)
}

// observeSends builds the mutating client in observe, too.
func observeSends(w pass.World, about Process) pass.World {
	if !about.Look {
		w.Move = about.Move
	}
	return w
}

// approving is a store that shows an approval for every rotation, of an attempt
// and an entry as they are.
func approving(w pass.World, about Process) pass.World {
	var all []record.Approval
	return keeping(badStore{
		contents: func(b *record.Contents) {
			all = nil
			for ref, r := range b.Rotations {
				all = append(all, record.Approval{Kind: record.CallComplete, Cluster: ref, ClusterID: r.ClusterID,
					Attempt: r.AttemptID, Entry: r.Entries})
			}
		},
		fleet: func(d *record.FleetDoc) { d.Approvals = append(slices.Clone(d.Approvals), all...) },
	})(w, about)
}
