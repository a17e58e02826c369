package state

import (
	"context"
	"fmt"
	"path"
	"reflect"
	"slices"
	"sync"

	"gke-credential-rotator/policy/record"
)

// Memory is a store that lives as long as its process: for simulations, which
// make thousands of runs and need no file. It passes the conformance suite of
// every store.
type Memory struct {
	local
	mu    sync.Mutex
	table table
}

// NewMemory makes an empty store. With fresh every read is decoded anew: no
// reader shares anything with another, as with a file.
func NewMemory(fresh bool) *Memory {
	m := &Memory{table: table{fresh: fresh, docs: map[string]envelope{}}}
	m.local = newLocal(m.view, m.update)
	return m
}

// MemoryOf makes a store that holds what another store holds, and of its history
// the records that are given. What is done to the one does nothing to the other.
func MemoryOf(contents record.Contents, history []record.Record) (*Memory, error) {
	m := NewMemory(false)
	w := &writes{documents: &m.table}
	w.keep(idFleet, &contents.Fleet, nil)
	for ref, r := range contents.Rotations {
		w.keep(colRotations+"/"+DocID(ref), &r, nil)
	}
	for _, rec := range history {
		w.keep(colHistory+"/"+rec.Rotation.AttemptID, &rec, nil)
	}
	return m, w.err
}

// Stamp grows with every document that is written, but for the lease.
func (m *Memory) Stamp() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.table.stamp
}

func (m *Memory) view(ctx context.Context, do func(documents) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return do(&m.table)
}

func (m *Memory) update(ctx context.Context, do func(documents) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	m.table.before = nil
	err := do(&m.table)
	if err != nil {
		for _, was := range slices.Backward(m.table.before) {
			m.table.set(was.id, was.envelope)
		}
	}
	return err
}

// table is documents in memory.
type table struct {
	fresh    bool
	versions uint64
	stamp    uint64
	names    []string // in order
	docs     map[string]envelope
	before   []was // what this transaction has changed
}

type was struct {
	id string
	envelope
}

// set puts a document in its place, or takes away what was there.
func (t *table) set(id string, e envelope) {
	at, there := slices.BinarySearch(t.names, id)
	switch {
	case e.Version == "" && there:
		t.names = slices.Delete(t.names, at, at+1)
	case e.Version != "" && !there:
		t.names = slices.Insert(t.names, at, id)
	}
	t.docs[id] = e
	if e.Version == "" {
		delete(t.docs, id)
	}
}

func (t *table) get(id string) (envelope, error) {
	e := t.docs[id]
	if t.fresh {
		e.value = nil
	}
	return e, nil
}

// put keeps what the text says, and not what it was made from.
func (t *table) put(id string, e envelope) error {
	e.id, e.value = path.Base(id), reflect.New(reflect.TypeOf(e.value).Elem()).Interface()
	if err := e.into(e.value); err != nil {
		return err
	}
	if id != idLease {
		t.stamp++
	}
	t.before = append(t.before, was{id, t.docs[id]})
	t.set(id, e)
	return nil
}

func (t *table) delete(id string) error {
	t.before = append(t.before, was{id, t.docs[id]})
	t.set(id, envelope{})
	return nil
}

func (t *table) ids(collection string) []string {
	from, _ := slices.BinarySearch(t.names, collection+"/")
	to, _ := slices.BinarySearch(t.names, collection+"0") // "0" comes after "/"
	return t.names[from:to]
}

func (t *table) next(string) (uint64, error) {
	t.versions++
	return t.versions, nil
}
