// Package intercept stands between a run and its ports, as an interceptor of gRPC stands between client and
// server: one function sees every call and says whether it is made, once or twice, and what is answered.
// Simulations with faults are made of it, and tests.
package intercept

import (
	"context"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// Method is what a port is asked for.
type Method string

// The methods of [gke.Reader], [gke.Mover] and [state.Store].
const (
	Clusters   Method = "clusters"
	Cluster    Method = "cluster"
	Operations Method = "operations"
	Start      Method = "start"
	Recreate   Method = "recreate"
	Complete   Method = "complete"
	Contents   Method = "store"
	Rotation   Method = "rotation"
	Fleet      Method = "fleet"
	Write      Method = "write"
	History    Method = "history"
	Outbox     Method = "outbox"
	Delivered  Method = "told"
	Lease      Method = "lease"
	Holder     Method = "holder"
)

// Call is one call: what is asked, and afterwards what is answered. An interceptor may change both.
type Call struct {
	Method  Method
	Project string
	Ref     fleet.Ref
	Pool    fleet.Pool // Recreate

	// Change and Lease are asked, then answered.
	Change state.Change
	Lease  state.Lease

	Listed     []fleet.Cluster
	Unread     []fleet.Unread
	Cluster    fleet.Cluster
	Operations map[fleet.Ref][]fleet.Operation
	Outcome    record.Outcome
	Contents   record.Contents
	Rotation   *record.Rotation
	Fleet      record.FleetDoc
	Records    []record.Record
	Outbox     record.Outbox
}

// Interceptor is given a call and the way to make it, as often as it likes. What it gives is the caller's
// error; for a call that changes a cluster, where there are no errors, nobody knows then what came of it.
type Interceptor func(ctx context.Context, c *Call, next Next) error

// Next makes the call.
type Next func(context.Context) error

// ask lets the interceptor make a call whose answer goes into a part of it.
func ask[T any](
	ctx context.Context, by Interceptor, c *Call, into *T, do func(context.Context) (T, error),
) (T, error) {
	err := by(ctx, c, func(ctx context.Context) error {
		got, err := do(ctx)
		if err == nil {
			*into = got
		}
		return err
	})
	return *into, err
}

type reader struct {
	gke.Reader
	by Interceptor
}

// Reader puts the interceptor before a reader.
func Reader(r gke.Reader, by Interceptor) gke.Reader { return reader{r, by} }

func (r reader) Clusters(ctx context.Context, project string) ([]fleet.Cluster, []fleet.Unread, error) {
	c := &Call{Method: Clusters, Project: project}
	err := r.by(ctx, c, func(ctx context.Context) (err error) {
		c.Listed, c.Unread, err = r.Reader.Clusters(ctx, project)
		return err
	})
	return c.Listed, c.Unread, err
}

func (r reader) Cluster(ctx context.Context, ref fleet.Ref) (fleet.Cluster, error) {
	c := &Call{Method: Cluster, Project: ref.Project, Ref: ref}
	return ask(ctx, r.by, c, &c.Cluster, func(ctx context.Context) (fleet.Cluster, error) {
		return r.Reader.Cluster(ctx, ref)
	})
}

func (r reader) Operations(ctx context.Context, project string) (map[fleet.Ref][]fleet.Operation, error) {
	c := &Call{Method: Operations, Project: project}
	return ask(ctx, r.by, c, &c.Operations, func(ctx context.Context) (map[fleet.Ref][]fleet.Operation, error) {
		return r.Reader.Operations(ctx, project)
	})
}

type mover struct {
	gke.Mover
	by Interceptor
}

// Mover puts the interceptor before a mover.
func Mover(m gke.Mover, by Interceptor) gke.Mover { return mover{m, by} }

func (m mover) send(ctx context.Context, c Call, do func(context.Context) record.Outcome) record.Outcome {
	c.Project = c.Ref.Project
	if err := m.by(ctx, &c, func(ctx context.Context) error { c.Outcome = do(ctx); return nil }); err != nil {
		return record.Outcome{State: record.Unclear, Raw: err.Error()}
	}
	return c.Outcome
}

func (m mover) Start(ctx context.Context, ref fleet.Ref) record.Outcome {
	c := Call{Method: Start, Ref: ref}
	return m.send(ctx, c, func(ctx context.Context) record.Outcome { return m.Mover.Start(ctx, ref) })
}

func (m mover) Recreate(ctx context.Context, ref fleet.Ref, pool fleet.Pool) record.Outcome {
	c := Call{Method: Recreate, Ref: ref, Pool: pool}
	return m.send(ctx, c, func(ctx context.Context) record.Outcome {
		return m.Mover.Recreate(ctx, ref, pool)
	})
}

func (m mover) Complete(ctx context.Context, ref fleet.Ref) record.Outcome {
	c := Call{Method: Complete, Ref: ref}
	return m.send(ctx, c, func(ctx context.Context) record.Outcome { return m.Mover.Complete(ctx, ref) })
}

type store struct {
	state.Store
	by Interceptor
}

// Store puts the interceptor before a store, but for Records, which no run asks for.
func Store(s state.Store, by Interceptor) state.Store { return store{s, by} }

func (s store) Contents(ctx context.Context) (record.Contents, error) {
	c := &Call{Method: Contents}
	return ask(ctx, s.by, c, &c.Contents, s.Store.Contents)
}

func (s store) Fleet(ctx context.Context) (record.FleetDoc, error) {
	c := &Call{Method: Fleet}
	return ask(ctx, s.by, c, &c.Fleet, s.Store.Fleet)
}

func (s store) Write(ctx context.Context, change state.Change) (state.Change, error) {
	c := &Call{Method: Write, Change: change}
	return ask(ctx, s.by, c, &c.Change, func(ctx context.Context) (state.Change, error) {
		return s.Store.Write(ctx, c.Change)
	})
}

func (s store) Rotation(ctx context.Context, ref fleet.Ref) (*record.Rotation, error) {
	c := &Call{Method: Rotation, Ref: ref}
	return ask(ctx, s.by, c, &c.Rotation, func(ctx context.Context) (*record.Rotation, error) {
		return s.Store.Rotation(ctx, ref)
	})
}

func (s store) History(ctx context.Context, ref fleet.Ref) ([]record.Record, error) {
	c := &Call{Method: History, Ref: ref}
	return ask(ctx, s.by, c, &c.Records, func(ctx context.Context) ([]record.Record, error) {
		return s.Store.History(ctx, ref)
	})
}

func (s store) Outbox(ctx context.Context) (record.Outbox, error) {
	c := &Call{Method: Outbox}
	return ask(ctx, s.by, c, &c.Outbox, s.Store.Outbox)
}

func (s store) Delivered(ctx context.Context, n record.Notice, all bool) error {
	c := &Call{Method: Delivered}
	return s.by(ctx, c, func(ctx context.Context) error { return s.Store.Delivered(ctx, n, all) })
}

func (s store) Lease(ctx context.Context, l state.Lease) (state.Lease, error) {
	c := &Call{Method: Lease, Lease: l}
	return ask(ctx, s.by, c, &c.Lease, func(ctx context.Context) (state.Lease, error) {
		return s.Store.Lease(ctx, c.Lease)
	})
}

func (s store) Holder(ctx context.Context) (state.Lease, error) {
	c := &Call{Method: Holder}
	return ask(ctx, s.by, c, &c.Lease, s.Store.Holder)
}
