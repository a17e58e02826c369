package state

import (
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// documents are a store's documents, named COLLECTION/ID, in one transaction.
type documents interface {
	// get gives a document; one without a version when there is none.
	get(id string) (envelope, error)
	put(id string, e envelope) error
	delete(id string) error
	// ids are those of a collection, in order.
	ids(collection string) []string
	// next gives a number that only grows.
	next(collection string) (uint64, error)
}

// local is a store on this machine: [File] and [Memory], which differ in what a
// transaction is.
type local struct {
	// view reads the documents; it need not call do when there are none.
	view func(ctx context.Context, do func(documents) error) error
	// update writes them, at once or not at all.
	update func(ctx context.Context, do func(documents) error) error
}

// Close implements [Store]: nothing is open between reads and writes.
func (local) Close() error { return nil }

// each gives the documents of a collection in the order of their ids.
func each(d documents, collection string, do func(envelope) error) error {
	for _, id := range d.ids(collection) {
		e, err := d.get(id)
		if err == nil {
			err = do(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Contents implements [Store].
func (l local) Contents(ctx context.Context) (record.Contents, error) {
	contents := record.Contents{Known: true, Rotations: map[fleet.Ref]record.Rotation{}}
	err := l.view(ctx, func(d documents) error {
		err := each(d, colRotations, func(e envelope) error { return addRotation(contents, e) })
		if err != nil {
			return err
		}
		contents.Fleet, err = fleetIn(d)
		return err
	})
	if err != nil {
		return record.Contents{}, err
	}
	return contents, nil
}

// Fleet implements [Store].
func (l local) Fleet(ctx context.Context) (doc record.FleetDoc, err error) {
	err = l.view(ctx, func(d documents) error {
		doc, err = fleetIn(d)
		return err
	})
	return doc, err
}

func fleetIn(d documents) (record.FleetDoc, error) {
	e, err := d.get(idFleet)
	if err != nil {
		return record.FleetDoc{}, err
	}
	return fleetOf(e)
}

// History implements [Store].
func (l local) History(ctx context.Context, ref fleet.Ref) (out []record.Record, err error) {
	err = l.view(ctx, func(d documents) error {
		return each(d, colHistory, func(e envelope) error {
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
	slices.SortStableFunc(out, newestFirst)
	return out, nil
}

// Records implements [Store]. First it finds out which there are, and when they
// were closed.
func (l local) Records(ctx context.Context, since time.Time) iter.Seq2[record.Record, error] {
	var ids []string
	known := false
	return paged(ctx, func() (recs []record.Record, err error) {
		err = l.view(ctx, func(d documents) (err error) {
			if !known {
				known = true
				if ids, err = closedSince(d, since); err != nil {
					return err
				}
			}
			for len(ids) > 0 && len(recs) < recordsPage {
				e, err := d.get(ids[0])
				if err != nil {
					return err
				}
				ids = ids[1:]
				if e.Version == "" {
					continue // it was opened again meanwhile
				}
				rec, err := read[record.Record](e)
				if err != nil {
					return err
				}
				recs = append(recs, rec)
			}
			return nil
		})
		return recs, err
	})
}

// Write implements [Store].
func (l local) Write(ctx context.Context, c Change) (Change, error) {
	written := c
	err := l.update(ctx, func(d documents) error {
		w := &writes{documents: d}
		written = c.into(w)
		return w.err
	})
	if err != nil {
		return c, err
	}
	return written, nil
}

// Outbox implements [Store].
func (l local) Outbox(ctx context.Context) (record.Outbox, error) {
	var box record.Outbox
	err := l.view(ctx, func(d documents) error {
		return each(d, colNotices, func(e envelope) (err error) {
			if e.id == path.Base(idAnnounced) {
				box.Standing, err = read[record.Standing](e)
				box.Standing.Version = e.Version
				return err
			}
			n, err := read[record.Notice](e)
			n.Version = e.id
			box.Notices = append(box.Notices, n)
			return err
		})
	})
	if err != nil {
		return record.Outbox{}, err
	}
	return box, nil
}

// Delivered implements [Store].
func (l local) Delivered(ctx context.Context, n record.Notice, all bool) error {
	return l.update(ctx, func(d documents) error {
		id := colNotices + "/" + n.Version
		e, err := d.get(id)
		switch {
		case err != nil || e.Version == "":
			return err
		case all:
			return d.delete(id)
		}
		w := &writes{documents: d}
		w.keep(id, &n, nil)
		return w.err
	})
}

// Lease implements [Store].
func (l local) Lease(ctx context.Context, want Lease) (held Lease, err error) {
	err = l.update(ctx, func(d documents) error {
		now, err := leaseIn(d)
		if err != nil {
			return err
		}
		var granted bool
		switch held, granted = now.grant(want); {
		case !granted:
			return nil
		case want.Release:
			return d.delete(idLease)
		}
		body, err := bodyOf(&held)
		if err != nil {
			return err
		}
		const version = "1" // that nobody's write rests on
		return d.put(idLease, envelope{value: &held, Schema: Schema, Version: version, Body: body})
	})
	return held, err
}

// Holder implements [Store].
func (l local) Holder(ctx context.Context) (held Lease, err error) {
	err = l.view(ctx, func(d documents) error {
		held, err = leaseIn(d)
		return err
	})
	return held, err
}

func leaseIn(d documents) (Lease, error) {
	e, err := d.get(idLease)
	if err != nil {
		return Lease{}, err
	}
	return read[Lease](e)
}

// writes is a [writer] that writes at once.
type writes struct {
	documents
	err error
}

func (w *writes) fail(id string, err error) {
	if w.err == nil && err != nil {
		w.err = fmt.Errorf("store %s: %w", path.Base(id), err)
	}
}

// now gives the version of the document. One that cannot be read has none that
// anybody knows, so it is never overwritten.
func (w *writes) now(id string) (version string) {
	if w.err == nil {
		var e envelope
		e, w.err = w.get(id)
		version = e.Version
	}
	return version
}

func (w *writes) unchanged(id, read string) {
	if now := w.now(id); w.err == nil && now != read {
		w.err = fmt.Errorf("%s: %w", path.Base(id), ErrConflict)
	}
}

func (w *writes) put(id, read string, v any, version *string) {
	w.unchanged(id, read)
	w.set(id, v, version)
}

func (w *writes) keep(id string, v any, version *string) {
	w.now(id)
	w.set(id, v, version)
}

// set gives no version twice, so what was read of a document that is gone never
// fits the one that came after it.
func (w *writes) set(id string, v any, version *string) {
	if w.err != nil {
		return
	}
	body, err := bodyOf(v)
	if err != nil {
		w.fail(id, err)
		return
	}
	collection, _, _ := strings.Cut(id, "/")
	n, err := w.next(collection)
	if err != nil {
		w.fail(id, err)
		return
	}
	e := envelope{value: v, Schema: Schema, Version: strconv.FormatUint(n, 10), Body: body}
	if version != nil {
		*version = e.Version
	}
	w.err = w.documents.put(id, e)
}

func (w *writes) remove(id, read string) {
	w.unchanged(id, read)
	w.forget(id)
}

func (w *writes) forget(id string) {
	if w.err == nil {
		w.err = w.delete(id)
	}
}

// notice gives a notice a name that begins with a number that only grows, so the
// order of the names is that of the writes.
func (w *writes) notice(n *record.Notice) {
	there := func(id string) bool { return strings.HasSuffix(id, "-"+n.ID) }
	if w.err != nil || slices.ContainsFunc(w.ids(colNotices), there) {
		return
	}
	number, err := w.next(colNotices)
	if err != nil {
		w.fail(n.ID, err)
		return
	}
	key := fmt.Sprintf("%016x-%s", number, n.ID)
	w.keep(colNotices+"/"+key, n, nil)
	n.Version = key
}
