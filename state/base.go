package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// reader reads documents named COLLECTION/ID.
type reader interface {
	// get gives a document; one without a version when there is none.
	get(ctx context.Context, id string) (envelope, error)
	// each gives the documents of a collection. With a cluster it may leave out
	// those of others.
	each(ctx context.Context, collection, cluster string, do func(envelope) error) error
}

// base is what every [Store] does over its own way to read and to write.
type base struct {
	// look reads: once, or again from the beginning after a passing trouble.
	look func(ctx context.Context, do func(context.Context, reader) error) error
	// commit makes the writes at once or not at all.
	commit func(ctx context.Context, do func(writer)) error
}

// Contents implements [Store]. The fleet document is read first and so is never
// newer than the rotations: a write that rests on both, while somebody changed
// both in between, meets a conflict. A slot is never seen before its rotation.
func (s base) Contents(ctx context.Context) (record.Contents, error) {
	var contents record.Contents
	err := s.look(ctx, func(ctx context.Context, r reader) (err error) {
		contents = record.Contents{Known: true, Rotations: map[fleet.Ref]record.Rotation{}}
		if contents.Fleet, err = fleetIn(ctx, r); err != nil {
			return err
		}
		return r.each(ctx, colRotations, "", func(e envelope) error {
			r, err := rotationIn(e)
			contents.Rotations[r.Cluster] = r
			return err
		})
	})
	if err != nil {
		return record.Contents{}, err
	}
	return contents, nil
}

func rotationIn(e envelope) (record.Rotation, error) {
	r, err := read[record.Rotation](e)
	if err == nil && DocID(r.Cluster) != path.Base(e.id) {
		err = fmt.Errorf("document %s cannot be read: it is about %s", e.id, r.Cluster)
	}
	r.Version = e.Version
	return r, err
}

// Rotation implements [Store].
func (s base) Rotation(ctx context.Context, ref fleet.Ref) (found *record.Rotation, err error) {
	err = s.look(ctx, func(ctx context.Context, r reader) error {
		found = nil
		e, err := r.get(ctx, colRotations+"/"+DocID(ref))
		if err != nil || e.Version == "" {
			return err
		}
		got, err := rotationIn(e)
		found = &got
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Fleet implements [Store].
func (s base) Fleet(ctx context.Context) (doc record.FleetDoc, err error) {
	err = s.look(ctx, func(ctx context.Context, r reader) (err error) {
		doc, err = fleetIn(ctx, r)
		return err
	})
	return doc, err
}

func fleetIn(ctx context.Context, r reader) (record.FleetDoc, error) {
	e, err := r.get(ctx, idFleet)
	if err != nil {
		return record.FleetDoc{}, err
	}
	doc, err := read[record.FleetDoc](e)
	doc.Version = e.Version
	return doc, err
}

// History implements [Store].
func (s base) History(ctx context.Context, ref fleet.Ref) (out []record.Record, err error) {
	err = s.look(ctx, func(ctx context.Context, r reader) error {
		out = nil
		return r.each(ctx, colHistory, ref.String(), func(e envelope) error {
			rec, err := read[record.Record](e)
			if rec.Rotation.Cluster == ref {
				out = append(out, rec)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b record.Record) int { return b.ClosedAt.Compare(a.ClosedAt) })
	return out, nil
}

// Outbox implements [Store]. The order of the writes is that of the documents'
// creation, which later writes leave as it is; a store that knows no such time
// gives them in that order.
func (s base) Outbox(ctx context.Context) (box record.Outbox, err error) {
	var made map[string]time.Time
	err = s.look(ctx, func(ctx context.Context, r reader) error {
		box, made = record.Outbox{}, map[string]time.Time{}
		return r.each(ctx, colNotices, "", func(e envelope) (err error) {
			if path.Base(e.id) == path.Base(idAnnounced) {
				box.Standing, err = read[record.Standing](e)
				box.Standing.Version = e.Version
				return err
			}
			n, err := read[record.Notice](e)
			n.Version, made[n.ID] = e.Version, e.Made
			box.Notices = append(box.Notices, n)
			return err
		})
	})
	if err != nil {
		return record.Outbox{}, err
	}
	slices.SortStableFunc(box.Notices, func(a, b record.Notice) int {
		if made[a.ID].IsZero() {
			return 0
		}
		return cmp.Or(made[a.ID].Compare(made[b.ID]), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.ID, b.ID))
	})
	return box, nil
}

// Write implements [Store].
func (s base) Write(ctx context.Context, c Change) (Change, error) {
	written := c
	if err := s.commit(ctx, func(w writer) { written = c.into(w) }); err != nil {
		return c, err
	}
	return written, nil
}

// Delivered implements [Store].
func (s base) Delivered(ctx context.Context, n record.Notice, all bool) error {
	err := s.commit(ctx, func(w writer) {
		w.fail(colNotices, checkNotice(n.ID))
		if id := w.idOf(n); all {
			w.forget(id)
		} else {
			w.put(id, n.Version, &n, nil)
		}
	})
	if errors.Is(err, ErrConflict) {
		return nil // somebody else noted something: at worst it is told once more
	}
	return err
}

// leaseTries is how often a taker looks again when another was quicker.
const leaseTries = 5

// Lease implements [Store].
func (s base) Lease(ctx context.Context, want Lease) (held Lease, err error) {
	for range leaseTries {
		var now Lease
		var seen string
		if now, seen, err = s.lease(ctx); err != nil {
			return Lease{}, err
		}
		held, granted := now.grant(want)
		if !granted {
			return held, nil
		}
		err = s.commit(ctx, func(w writer) {
			switch {
			case !want.Release:
				w.put(idLease, seen, &held, nil)
			case seen != "":
				w.remove(idLease, seen)
			}
		})
		if err == nil {
			return held, nil
		}
		if !errors.Is(err, ErrConflict) {
			return Lease{}, err
		}
	}
	return Lease{}, err
}

// Holder implements [Store].
func (s base) Holder(ctx context.Context) (Lease, error) {
	held, _, err := s.lease(ctx)
	return held, err
}

func (s base) lease(ctx context.Context) (now Lease, version string, err error) {
	err = s.look(ctx, func(ctx context.Context, r reader) error {
		e, err := r.get(ctx, idLease)
		if err == nil {
			version = e.Version
			now, err = read[Lease](e)
		}
		return err
	})
	return now, version, err
}
