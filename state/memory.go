package state

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// Memory is a store that lives as long as its process: for simulations, which
// make thousands of runs and need no file. It passes the conformance suite of
// every store.
type Memory struct {
	mu       sync.Mutex
	fresh    bool // every read is decoded anew, as from a file
	versions int
	flights  map[fleet.Ref]page[record.Rotation]
	fleet    page[record.FleetDoc]
	history  map[string]page[record.Record]
	lease    Lease
	outbox   outbox
}

// page is one document: its text, and the value that the text gives.
type page[T any] struct {
	text    []byte
	value   T
	version string
}

// NewMemory makes an empty store. With fresh every read is decoded anew: no
// reader shares anything with another, as with a file.
func NewMemory(fresh bool) *Memory {
	return &Memory{fresh: fresh, flights: map[fleet.Ref]page[record.Rotation]{},
		history: map[string]page[record.Record]{}}
}

// MemoryOf makes a store that holds what another store holds, and of its history
// the records that are given. What is done to the one does nothing to the other.
func MemoryOf(contents record.Contents, history []record.Record) (*Memory, error) {
	m := NewMemory(false)
	var err error
	if m.fleet, err = pageOf(m, contents.Fleet); err != nil {
		return nil, fmt.Errorf("copy the fleet document: %w", err)
	}
	for ref, r := range contents.Rotations {
		if m.flights[ref], err = pageOf(m, r); err != nil {
			return nil, fmt.Errorf("copy the rotation of %s: %w", ref, err)
		}
	}
	for _, rec := range history {
		if m.history[rec.Rotation.AttemptID], err = pageOf(m, rec); err != nil {
			return nil, fmt.Errorf("copy the history of %s: %w", rec.Rotation.Cluster, err)
		}
	}
	return m, nil
}

// pageOf writes a document as a file does: as text, which is read back.
func pageOf[T any](m *Memory, v T) (page[T], error) {
	text, err := bodyOf(&v)
	if err != nil {
		return page[T]{}, err
	}
	m.versions++
	p := page[T]{text: text, version: strconv.Itoa(m.versions)}
	return p, json.Unmarshal(text, &p.value)
}

// pageIn reads a document.
func pageIn[T any](m *Memory, p page[T]) (T, error) {
	if !m.fresh || p.text == nil {
		return p.value, nil
	}
	var v T
	err := json.Unmarshal(p.text, &v)
	return v, err
}

func (m *Memory) rotation(ref fleet.Ref) (record.Rotation, error) {
	p := m.flights[ref]
	r, err := pageIn(m, p)
	r.Version = p.version
	return r, err
}

// Contents implements [Store].
func (m *Memory) Contents(ctx context.Context) (record.Contents, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return record.Contents{}, err
	}
	out := record.Contents{Known: true, Rotations: make(map[fleet.Ref]record.Rotation, len(m.flights))}
	for ref := range m.flights {
		r, err := m.rotation(ref)
		if err != nil {
			return record.Contents{}, err
		}
		out.Rotations[ref] = r
	}
	var err error
	out.Fleet, err = m.doc()
	return out, err
}

func (m *Memory) doc() (record.FleetDoc, error) {
	doc, err := pageIn(m, m.fleet)
	doc.Version = m.fleet.version
	return doc, err
}

// Fleet implements [Store].
func (m *Memory) Fleet(ctx context.Context) (record.FleetDoc, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return record.FleetDoc{}, err
	}
	return m.doc()
}

// Write implements [Store].
func (m *Memory) Write(ctx context.Context, c Change) (Change, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return c, fmt.Errorf("nothing was written: %w", err)
	}
	if err := m.unchanged(c); err != nil {
		return c, err
	}
	var doc page[record.FleetDoc]
	var flight page[record.Rotation]
	var record page[record.Record]
	var err error
	written := c
	if c.Fleet != nil {
		if doc, err = pageOf(m, *c.Fleet); err != nil {
			return c, fmt.Errorf("store fleet: %w", err)
		}
		after := doc.value
		after.Version = doc.version
		written.Fleet = &after
	}
	if c.Rotation != nil {
		if ref, err := fleet.ParseRef(c.Rotation.Cluster.String()); err != nil || ref != c.Rotation.Cluster {
			return c, fmt.Errorf("store %q: it does not name a cluster", c.Rotation.Cluster)
		}
		if flight, err = pageOf(m, *c.Rotation); err != nil {
			return c, fmt.Errorf("store %s: %w", c.Rotation.Cluster, err)
		}
		r := flight.value
		r.Version = flight.version
		written.Rotation = &r
	}
	if c.Close != nil {
		if record, err = pageOf(m, *c.Close); err != nil {
			return c, fmt.Errorf("store %s: %w", c.Close.Rotation.Cluster, err)
		}
	}
	outbox, err := m.outbox.after(m, c, &written)
	if err != nil {
		return c, err
	}
	m.outbox = outbox
	if c.Fleet != nil {
		m.fleet = doc
	}
	if c.Rotation != nil {
		if c.Rotation.Version == "" {
			delete(m.history, c.Rotation.AttemptID) // opened again: it is never on record twice
		}
		m.flights[c.Rotation.Cluster] = flight
	}
	if c.Close != nil {
		delete(m.flights, c.Close.Rotation.Cluster)
		delete(m.history, c.Replaces)
		m.history[c.Close.Rotation.AttemptID] = record
	}
	return written, nil
}

// unchanged says whether all that the change is conditional on still holds.
func (m *Memory) unchanged(c Change) error {
	if c.Fleet != nil && c.Fleet.Version != m.fleet.version {
		return fmt.Errorf("fleet: %w", ErrConflict)
	}
	if c.Rotation != nil && c.Rotation.Version != m.flights[c.Rotation.Cluster].version {
		return fmt.Errorf("%s: %w", DocID(c.Rotation.Cluster), ErrConflict)
	}
	if c.Standing != nil && c.Standing.Version != m.outbox.announced.version {
		return fmt.Errorf("announced: %w", ErrConflict)
	}
	if c.Close == nil {
		return nil
	}
	if r := c.Close.Rotation; r.Version != m.flights[r.Cluster].version {
		return fmt.Errorf("%s: %w", DocID(r.Cluster), ErrConflict)
	}
	if c.Close.Rotation.AttemptID == "" {
		return fmt.Errorf("close %s: the attempt has no id to be kept under", DocID(c.Close.Rotation.Cluster))
	}
	return nil
}

// History implements [Store].
func (m *Memory) History(ctx context.Context, ref fleet.Ref) ([]record.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var ids []string
	for id, p := range m.history {
		if p.value.Rotation.Cluster == ref {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var out []record.Record
	for _, id := range ids {
		rec, err := pageIn(m, m.history[id])
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	slices.SortStableFunc(out, func(x, y record.Record) int { return y.ClosedAt.Compare(x.ClosedAt) })
	return out, nil
}

// Records implements [Store].
func (m *Memory) Records(ctx context.Context, since time.Time) iter.Seq2[record.Record, error] {
	return func(yield func(record.Record, error) bool) {
		for _, rec := range m.recordsSince(since) {
			if err := ctx.Err(); err != nil {
				yield(record.Record{}, err)
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

func (m *Memory) recordsSince(since time.Time) []record.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []record.Record
	for _, p := range m.history {
		if at := p.value.ClosedAt; !at.IsZero() && !at.Before(since) {
			out = append(out, p.value)
		}
	}
	slices.SortFunc(out, ByClosing)
	return out
}

// Lease implements [Store].
func (m *Memory) Lease(ctx context.Context, want Lease) (Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return Lease{}, err
	}
	held, granted := m.lease.grant(want)
	if !granted {
		return held, nil
	}
	m.lease = held
	if want.Release {
		m.lease = Lease{}
	}
	return held, nil
}

// Holder implements [Store].
func (m *Memory) Holder(ctx context.Context) (Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lease, ctx.Err()
}

// Stamp grows with every document that is written.
func (m *Memory) Stamp() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.versions
}

// Close implements [Store]: a store in memory outlives who used it.
func (m *Memory) Close() error { return nil }
