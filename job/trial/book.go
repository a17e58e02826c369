package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// book is a store in memory: a play makes thousands of runs, and a file would
// take half of its time. It passes the conformance suite of every store.
type book struct {
	mu       sync.Mutex
	fresh    bool // every read is decoded anew, as from a file
	versions int
	flights  map[policy.Ref]page[policy.Rotation]
	fleet    page[policy.FleetDoc]
	history  map[string]page[policy.Record]
	lease    state.Lease
}

// page is one document: its text, and the value that the text gives.
type page[T any] struct {
	text    []byte
	value   T
	version string
}

func newBook(fresh bool) *book {
	return &book{fresh: fresh, flights: map[policy.Ref]page[policy.Rotation]{}, history: map[string]page[policy.Record]{}}
}

// put writes a document as a file does: as text, which is read back.
func put[T any](b *book, v T) (page[T], error) {
	text, err := json.Marshal(v)
	if err != nil {
		return page[T]{}, err
	}
	if len(text) > state.MaxDocument {
		return page[T]{}, fmt.Errorf("the document takes %d bytes, more than %d", len(text), state.MaxDocument)
	}
	b.versions++
	p := page[T]{text: text, version: strconv.Itoa(b.versions)}
	return p, json.Unmarshal(text, &p.value)
}

// get reads a document.
func get[T any](b *book, p page[T]) (T, error) {
	if !b.fresh || p.text == nil {
		return p.value, nil
	}
	var v T
	err := json.Unmarshal(p.text, &v)
	return v, err
}

func (b *book) rotation(ref policy.Ref) (policy.Rotation, error) {
	p := b.flights[ref]
	r, err := get(b, p)
	r.Version = p.version
	return r, err
}

// Book implements [state.Store].
func (b *book) Book(ctx context.Context) (policy.Book, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return policy.Book{}, err
	}
	out := policy.Book{Known: true, Rotations: make(map[policy.Ref]policy.Rotation, len(b.flights))}
	for ref := range b.flights {
		r, err := b.rotation(ref)
		if err != nil {
			return policy.Book{}, err
		}
		out.Rotations[ref] = r
	}
	var err error
	out.Fleet, err = b.doc()
	return out, err
}

func (b *book) doc() (policy.FleetDoc, error) {
	doc, err := get(b, b.fleet)
	doc.Version = b.fleet.version
	return doc, err
}

// Fleet implements [state.Store].
func (b *book) Fleet(ctx context.Context) (policy.FleetDoc, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return policy.FleetDoc{}, err
	}
	return b.doc()
}

// Write implements [state.Store].
func (b *book) Write(ctx context.Context, c state.Change) (state.Change, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return c, fmt.Errorf("nothing was written: %w", err)
	}
	if err := b.unchanged(c); err != nil {
		return c, err
	}
	var fleet page[policy.FleetDoc]
	var flight page[policy.Rotation]
	var record page[policy.Record]
	var err error
	written := c
	if c.Fleet != nil {
		if fleet, err = put(b, *c.Fleet); err != nil {
			return c, fmt.Errorf("store fleet: %w", err)
		}
		doc := fleet.value
		doc.Version = fleet.version
		written.Fleet = &doc
	}
	if c.Rotation != nil {
		if ref, err := policy.ParseRef(c.Rotation.Cluster.String()); err != nil || ref != c.Rotation.Cluster {
			return c, fmt.Errorf("store %q: it does not name a cluster", c.Rotation.Cluster)
		}
		if flight, err = put(b, *c.Rotation); err != nil {
			return c, fmt.Errorf("store %s: %w", c.Rotation.Cluster, err)
		}
		r := flight.value
		r.Version = flight.version
		written.Rotation = &r
	}
	if c.Close != nil {
		if record, err = put(b, *c.Close); err != nil {
			return c, fmt.Errorf("store %s: %w", c.Close.Rotation.Cluster, err)
		}
	}
	if c.Fleet != nil {
		b.fleet = fleet
	}
	if c.Rotation != nil {
		if c.Rotation.Version == "" {
			delete(b.history, c.Rotation.AttemptID) // opened again: it is never on record twice
		}
		b.flights[c.Rotation.Cluster] = flight
	}
	if c.Close != nil {
		delete(b.flights, c.Close.Rotation.Cluster)
		b.history[c.Close.Rotation.AttemptID] = record
	}
	return written, nil
}

// unchanged says whether all that the change is conditional on still holds.
func (b *book) unchanged(c state.Change) error {
	if c.Fleet != nil && c.Fleet.Version != b.fleet.version {
		return fmt.Errorf("fleet: %w", state.ErrConflict)
	}
	if c.Rotation != nil && c.Rotation.Version != b.flights[c.Rotation.Cluster].version {
		return fmt.Errorf("%s: %w", state.DocID(c.Rotation.Cluster), state.ErrConflict)
	}
	if c.Close == nil {
		return nil
	}
	if r := c.Close.Rotation; r.Version != b.flights[r.Cluster].version {
		return fmt.Errorf("%s: %w", state.DocID(r.Cluster), state.ErrConflict)
	}
	if c.Close.Rotation.AttemptID == "" {
		return fmt.Errorf("close %s: the attempt has no id to be kept under", state.DocID(c.Close.Rotation.Cluster))
	}
	return nil
}

// History implements [state.Store].
func (b *book) History(ctx context.Context, ref policy.Ref) ([]policy.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var ids []string
	for id, p := range b.history {
		if p.value.Rotation.Cluster == ref {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var out []policy.Record
	for _, id := range ids {
		rec, err := get(b, b.history[id])
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	slices.SortStableFunc(out, func(x, y policy.Record) int { return y.ClosedAt.Compare(x.ClosedAt) })
	return out, nil
}

// Records implements [state.Store].
func (b *book) Records(ctx context.Context, since time.Time) iter.Seq2[policy.Record, error] {
	return func(yield func(policy.Record, error) bool) {
		for _, rec := range b.recordsSince(since) {
			if err := ctx.Err(); err != nil {
				yield(policy.Record{}, err)
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

func (b *book) recordsSince(since time.Time) []policy.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []policy.Record
	for _, p := range b.history {
		if at := p.value.ClosedAt; !at.IsZero() && !at.Before(since) {
			out = append(out, p.value)
		}
	}
	slices.SortFunc(out, state.ByClosing)
	return out
}

// Lease implements [state.Store].
func (b *book) Lease(ctx context.Context, want state.Lease) (state.Lease, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return state.Lease{}, err
	}
	if now := b.lease; now.Holder != "" && now.Holder != want.Holder && want.Now.Before(now.Until) {
		return now, nil
	}
	b.lease = want
	if want.Release {
		b.lease = state.Lease{}
	}
	return want, nil
}

// stamp is how often the book was written.
func (b *book) stamp() int { return b.versions }

// Close implements [state.Store]: a book in memory outlives who used it.
func (b *book) Close() error { return nil }
