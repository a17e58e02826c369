package trial

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// badReader is a Reader that lies. Each part is optional.
type badReader struct {
	gke.Reader
	clusters func(gke.Reader, context.Context, string) ([]policy.Cluster, []policy.Unread, error)
	cluster  func(gke.Reader, context.Context, policy.Ref) (policy.Cluster, error)
	ops      func(gke.Reader, context.Context, string) (map[policy.Ref][]policy.Operation, error)
	// shown changes every cluster that is shown.
	shown func(*policy.Cluster)
}

func (r *badReader) Clusters(ctx context.Context, project string) ([]policy.Cluster, []policy.Unread, error) {
	ask := r.clusters
	if ask == nil {
		ask = gke.Reader.Clusters
	}
	list, unread, err := ask(r.Reader, ctx, project)
	list = slices.Clone(list)
	for i := range list {
		r.show(&list[i])
	}
	return list, unread, err
}

func (r *badReader) Cluster(ctx context.Context, ref policy.Ref) (policy.Cluster, error) {
	ask := r.cluster
	if ask == nil {
		ask = gke.Reader.Cluster
	}
	c, err := ask(r.Reader, ctx, ref)
	if err == nil {
		r.show(&c)
	}
	return c, err
}

func (r *badReader) show(c *policy.Cluster) {
	if r.shown != nil {
		c.Bundle.CAs = slices.Clone(c.Bundle.CAs)
		r.shown(c)
	}
}

func (r *badReader) Operations(ctx context.Context, project string) (map[policy.Ref][]policy.Operation, error) {
	if r.ops != nil {
		return r.ops(r.Reader, ctx, project)
	}
	return r.Reader.Operations(ctx, project)
}

// lying wraps the world's reader.
func lying(r badReader) func(pass.World, Process) pass.World {
	return func(w pass.World, _ Process) pass.World {
		mine := r
		mine.Reader = w.Read
		w.Read = &mine
		return w
	}
}

// badStore is a Store that does not do what it says. Each part is optional.
type badStore struct {
	state.Store
	// book and fleet change what was read; they get copies.
	book  func(*policy.Book)
	fleet func(*policy.FleetDoc)
	// write changes what is to be written; it gets copies.
	write func(*state.Change)
	wrote func(ctx context.Context, s state.Store, c, now state.Change, err error) (state.Change, error)
	// history changes what is remembered.
	history func([]policy.Record) []policy.Record
	lease   func(state.Lease) state.Lease
}

func (s *badStore) Book(ctx context.Context) (policy.Book, error) {
	b, err := s.Store.Book(ctx)
	if err == nil && s.book != nil {
		b.Rotations = maps.Clone(b.Rotations)
		s.book(&b)
	}
	if err == nil && s.fleet != nil {
		s.fleet(&b.Fleet)
	}
	return b, err
}

func (s *badStore) Fleet(ctx context.Context) (policy.FleetDoc, error) {
	doc, err := s.Store.Fleet(ctx)
	if err == nil && s.fleet != nil {
		s.fleet(&doc)
	}
	return doc, err
}

func (s *badStore) Write(ctx context.Context, c state.Change) (state.Change, error) {
	if s.write != nil {
		c = copied(c)
		s.write(&c)
	}
	now, err := s.Store.Write(ctx, c)
	if s.wrote != nil {
		return s.wrote(ctx, s.Store, c, now, err)
	}
	return now, err
}

func (s *badStore) History(ctx context.Context, ref policy.Ref) ([]policy.Record, error) {
	records, err := s.Store.History(ctx, ref)
	if err == nil && s.history != nil {
		records = s.history(records)
	}
	return records, err
}

func (s *badStore) Lease(ctx context.Context, l state.Lease) (state.Lease, error) {
	held, err := s.Store.Lease(ctx, l)
	if err == nil && s.lease != nil {
		held = s.lease(held)
	}
	return held, err
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

func copyOf(r policy.Rotation) policy.Rotation {
	r.Transitions, r.Settled = slices.Clone(r.Transitions), slices.Clone(r.Settled)
	r.Pools, r.PoolCalls = maps.Clone(r.Pools), maps.Clone(r.PoolCalls)
	if r.Call != nil {
		call := *r.Call
		r.Call = &call
	}
	return r
}

// keeping wraps the world's store.
func keeping(s badStore) func(pass.World, Process) pass.World {
	return func(w pass.World, _ Process) pass.World {
		mine := s
		mine.Store = w.Store
		w.Store = &mine
		return w
	}
}

// badMover does something to every call.
type badMover struct {
	gke.Mover
	call func(send func() policy.Outcome) policy.Outcome
}

func (m badMover) Start(ctx context.Context, ref policy.Ref) policy.Outcome {
	return m.call(func() policy.Outcome { return m.Mover.Start(ctx, ref) })
}

func (m badMover) Complete(ctx context.Context, ref policy.Ref) policy.Outcome {
	return m.call(func() policy.Outcome { return m.Mover.Complete(ctx, ref) })
}

func (m badMover) Recreate(ctx context.Context, ref policy.Ref, p policy.Pool) policy.Outcome {
	return m.call(func() policy.Outcome { return m.Mover.Recreate(ctx, ref, p) })
}

// sendsTwice is a transport that repeats what stayed without an answer.
func sendsTwice(w pass.World, _ Process) pass.World {
	if w.Move != nil {
		w.Move = badMover{w.Move, func(send func() policy.Outcome) policy.Outcome {
			if o := send(); o.State != policy.Unclear {
				return o
			}
			return send()
		}}
	}
	return w
}

// sendsOthers sends the intents of others that it finds in the book.
func sendsOthers(w pass.World, about Process) pass.World {
	if w.Move == nil {
		return w
	}
	move := w.Move
	return keeping(badStore{book: func(b *policy.Book) {
		for _, ref := range slices.SortedFunc(maps.Keys(b.Rotations), policy.Ref.Compare) {
			if r := b.Rotations[ref]; r.Call != nil && r.Call.State == policy.Intended && r.Call.Run != about.Name {
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
	seen := map[policy.Ref]policy.Cluster{}
	r := badReader{Reader: w.Read}
	r.clusters = func(from gke.Reader, ctx context.Context, project string) ([]policy.Cluster, []policy.Unread, error) {
		list, unread, err := from.Clusters(ctx, project)
		for _, c := range list {
			seen[c.Ref] = c
		}
		return list, unread, err
	}
	r.cluster = func(from gke.Reader, ctx context.Context, ref policy.Ref) (policy.Cluster, error) {
		if c, ok := seen[ref]; ok {
			return c, nil
		}
		return from.Cluster(ctx, ref)
	}
	w.Read = &r
	return w
}

// clusterFirst reads the cluster before the operations.
func clusterFirst(w pass.World, _ Process) pass.World {
	var from gke.Reader
	ops := map[string]map[policy.Ref][]policy.Operation{}
	r := badReader{Reader: w.Read}
	r.ops = func(real gke.Reader, ctx context.Context, project string) (map[policy.Ref][]policy.Operation, error) {
		from = real
		if known, ok := ops[project]; ok {
			delete(ops, project)
			return known, nil
		}
		return real.Operations(ctx, project)
	}
	r.cluster = func(real gke.Reader, ctx context.Context, ref policy.Ref) (policy.Cluster, error) {
		c, err := real.Cluster(ctx, ref)
		if err == nil {
			_, err = from.Operations(ctx, ref.Project)
		}
		return c, err
	}
	w.Read = &r
	return w
}

// ignoresVersions writes over what somebody else wrote.
func ignoresVersions(ctx context.Context, s state.Store, c, now state.Change, err error) (state.Change, error) {
	if !errors.Is(err, state.ErrConflict) {
		return now, err
	}
	b, readErr := s.Book(ctx)
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

// planWrites is a plan that leaves a note in the book.
func planWrites(w pass.World, about Process) pass.World {
	if !about.Look {
		return w
	}
	store := w.Store
	return keeping(badStore{book: func(b *policy.Book) {
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
	var all []policy.Approval
	return keeping(badStore{
		book: func(b *policy.Book) {
			all = nil
			for ref, r := range b.Rotations {
				all = append(all, policy.Approval{Kind: policy.CallComplete, Cluster: ref, ClusterID: r.ClusterID, Attempt: r.AttemptID, Entry: r.Entries})
			}
		},
		fleet: func(d *policy.FleetDoc) { d.Approvals = append(slices.Clone(d.Approvals), all...) },
	})(w, about)
}
