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
	base
	view func(context.Context, func(documents) error) error
}

// newLocal makes the store over a way to read its documents, and one to write them at
// once or not at all.
func newLocal(view, update func(context.Context, func(documents) error) error) local {
	look := func(ctx context.Context, do func(context.Context, reader) error) error {
		return view(ctx, func(d documents) error { return do(ctx, walk{d}) })
	}
	commit := func(ctx context.Context, do func(writer)) error {
		return update(ctx, func(d documents) error {
			w := &writes{documents: d}
			do(w)
			return w.err
		})
	}
	return local{base{look, commit}, view}
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

// writes is a [writer] that writes at once.
type writes struct {
	documents
	err error
}

// do takes a step, if all before it went well.
func (w *writes) do(step func() error) {
	if w.err == nil {
		w.err = step()
	}
}

func (w *writes) fail(id string, err error) {
	if err != nil {
		w.do(func() error { return fmt.Errorf("store %s: %w", path.Base(id), err) })
	}
}

func (w *writes) unchanged(id, read string) {
	w.do(func() error {
		e, err := w.get(id)
		if err == nil && e.Version != read {
			err = fmt.Errorf("%s: %w", path.Base(id), ErrConflict)
		}
		return err
	})
}

func (w *writes) put(id, read string, v any, version *string) {
	w.unchanged(id, read)
	w.keep(id, v, version)
}

// keep overwrites nothing that cannot be read. It gives no version twice, so what
// was read of a document that is gone never fits the one that came after it.
func (w *writes) keep(id string, v any, version *string) {
	w.do(func() error {
		if _, err := w.get(id); err != nil {
			return err
		}
		body, err := bodyOf(v)
		w.fail(id, err)
		collection, _, _ := strings.Cut(id, "/")
		n, err := w.next(collection)
		w.fail(id, err)
		if w.err != nil {
			return w.err
		}
		e := envelope{value: v, Schema: Schema, Version: strconv.FormatUint(n, 10), Body: body}
		if version != nil {
			*version = e.Version
		}
		return w.documents.put(id, e)
	})
}

func (w *writes) remove(id, read string) {
	w.unchanged(id, read)
	w.forget(id)
}

func (w *writes) forget(id string) { w.do(func() error { return w.delete(id) }) }

// idOf gives a new notice a name that begins with a number that only grows, so the
// order of the names is that of the writes.
func (w *writes) idOf(n record.Notice) string {
	ids := w.ids(colNotices)
	if i := slices.IndexFunc(ids, func(id string) bool { return strings.HasSuffix(id, "-"+n.ID) }); i >= 0 {
		return ids[i]
	}
	number, err := w.next(colNotices)
	w.fail(n.ID, err)
	return fmt.Sprintf("%s/%016x-%s", colNotices, number, n.ID)
}

// notice adds a notice unless it is there.
func (w *writes) notice(n *record.Notice) {
	id := w.idOf(*n)
	if e, err := w.get(id); err == nil && e.Version == "" {
		w.keep(id, n, &n.Version)
	}
}
