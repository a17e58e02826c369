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
	reads
	// view reads the documents.
	view func(ctx context.Context, do func(documents) error) error
	// update writes them, at once or not at all.
	update func(ctx context.Context, do func(documents) error) error
}

func newLocal(view, update func(context.Context, func(documents) error) error) local {
	look := func(ctx context.Context, do func(context.Context, reader) error) error {
		return view(ctx, func(d documents) error { return do(ctx, walk{d}) })
	}
	return local{reads{look}, view, update}
}

// Close implements [Store]: nothing is open between reads and writes.
func (local) Close() error { return nil }

// walk is the [reader] of a transaction.
type walk struct{ documents }

func (w walk) get(_ context.Context, id string) (envelope, error) { return w.documents.get(id) }

func (w walk) each(_ context.Context, collection, _ string, do func(envelope) error) error {
	for _, id := range w.ids(collection) {
		e, err := w.documents.get(id)
		if err == nil {
			err = do(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
				if ids, err = closedSince(ctx, walk{d}, since); err != nil {
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

// Delivered implements [Store].
func (l local) Delivered(ctx context.Context, n record.Notice, all bool) error {
	return l.update(ctx, func(d documents) error {
		id := noticeOf(d, n.ID)
		switch {
		case id == "":
			return nil
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
		e, err := d.get(idLease)
		if err != nil {
			return err
		}
		now, err := read[Lease](e)
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
	if w.err != nil || noticeOf(w.documents, n.ID) != "" {
		return
	}
	number, err := w.next(colNotices)
	w.fail(n.ID, err)
	w.keep(fmt.Sprintf("%s/%016x-%s", colNotices, number, n.ID), n, &n.Version)
}

// noticeOf finds the document of a notice; "" when there is none.
func noticeOf(d documents, id string) string {
	ids := d.ids(colNotices)
	i := slices.IndexFunc(ids, func(name string) bool { return strings.HasSuffix(name, "-"+id) })
	if i < 0 {
		return ""
	}
	return ids[i]
}
