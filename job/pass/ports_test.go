package pass

import (
	"context"
	"errors"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

var errDead = errors.New("the process is dead")

type reader struct{ p *process }

func (r reader) begin(call string) error {
	if r.p.dead {
		return errDead
	}
	r.p.called(call)
	if r.p.beforeRead != nil {
		return r.p.beforeRead(call)
	}
	return nil
}

func (r reader) Clusters(ctx context.Context, project string) ([]fleet.Cluster, []fleet.Unread, error) {
	if err := r.begin("clusters " + project); err != nil {
		return nil, nil, err
	}
	return r.p.cloud.Clusters(ctx, project)
}

func (r reader) Cluster(ctx context.Context, ref fleet.Ref) (fleet.Cluster, error) {
	if err := r.begin("cluster " + ref.Name); err != nil {
		return fleet.Cluster{}, err
	}
	return r.p.cloud.Cluster(ctx, ref)
}

func (r reader) Operations(ctx context.Context, project string) (map[fleet.Ref][]fleet.Operation, error) {
	if err := r.begin("operations " + project); err != nil {
		return nil, err
	}
	return r.p.cloud.Operations(ctx, project)
}

type mover struct{ p *process }

func (m mover) send(call string, do func() record.Outcome) record.Outcome {
	if m.p.dead {
		return record.Outcome{State: record.Unclear, Raw: errDead.Error()}
	}
	m.p.called(call)
	if m.p.beforeSend != nil {
		m.p.beforeSend()
	}
	o := do()
	if m.p.answer != nil {
		o = m.p.answer(o)
	}
	return o
}

func (m mover) Start(ctx context.Context, ref fleet.Ref) record.Outcome {
	return m.send("start "+ref.Name, func() record.Outcome { return m.p.cloud.Start(ctx, ref) })
}

func (m mover) Complete(ctx context.Context, ref fleet.Ref) record.Outcome {
	return m.send("complete "+ref.Name, func() record.Outcome { return m.p.cloud.Complete(ctx, ref) })
}

func (m mover) Recreate(ctx context.Context, ref fleet.Ref, target fleet.Pool) record.Outcome {
	return m.send("recreate "+target.Name, func() record.Outcome { return m.p.cloud.Recreate(ctx, ref, target) })
}

type book struct {
	state.Store
	p *process
}

func (b book) begin(call string) error {
	if b.p.dead {
		return errDead
	}
	b.p.called(call)
	return nil
}

func (b book) Book(ctx context.Context) (record.Book, error) {
	if err := b.begin("book"); err != nil {
		return record.Book{}, err
	}
	return b.Store.Book(ctx)
}

func (b book) Fleet(ctx context.Context) (record.FleetDoc, error) {
	if err := b.begin("fleet"); err != nil {
		return record.FleetDoc{}, err
	}
	return b.Store.Fleet(ctx)
}

func (b book) History(ctx context.Context, ref fleet.Ref) ([]record.Record, error) {
	if err := b.begin("history"); err != nil {
		return nil, err
	}
	return b.Store.History(ctx, ref)
}

func (b book) Outbox(ctx context.Context) (record.Outbox, error) {
	if err := b.begin("outbox"); err != nil {
		return record.Outbox{}, err
	}
	if b.p.beforeRead != nil {
		if err := b.p.beforeRead("outbox"); err != nil {
			return record.Outbox{}, err
		}
	}
	return b.Store.Outbox(ctx)
}

func (b book) Told(ctx context.Context, n record.Notice, all bool) error {
	if err := b.begin("told"); err != nil {
		return err
	}
	return b.Store.Told(ctx, n, all)
}

func (b book) Lease(ctx context.Context, l state.Lease) (state.Lease, error) {
	if b.p.dead {
		return state.Lease{}, errDead
	}
	if b.p.lease != nil {
		if held, ok := b.p.lease(l); ok {
			return held, nil
		}
	}
	return b.Store.Lease(ctx, l)
}

func (b book) Write(ctx context.Context, c state.Change) (state.Change, error) {
	if err := b.begin("write"); err != nil {
		return c, err
	}
	if err := ctx.Err(); err != nil {
		return c, err
	}
	if b.p.beforeWrite != nil {
		if err := b.p.beforeWrite(c); err != nil {
			return c, err
		}
	}
	got, err := b.Store.Write(ctx, c)
	if err == nil && b.p.afterWrite != nil {
		if err := b.p.afterWrite(c); err != nil {
			return c, err
		}
	}
	return got, err
}

// intends says whether the write stores an intent of that kind.
func intends(c state.Change, kind record.CallKind) bool {
	if c.Rotation == nil {
		return false
	}
	if kind == record.CallRecreate {
		for _, call := range c.Rotation.PoolCalls {
			if call.State == record.Intended {
				return true
			}
		}
		return false
	}
	return c.Rotation.Call != nil && c.Rotation.Call.Kind == kind && c.Rotation.Call.State == record.Intended
}

// after runs f once, right after the first intent of that kind is stored.
func (p *process) after(kind record.CallKind, f func()) {
	done := false
	p.afterWrite = func(c state.Change) error {
		if !done && intends(c, kind) {
			done = true
			f()
		}
		return nil
	}
}

// alone lets the process believe that it holds the lease: correctness never
// depends on it.
func (p *process) alone() *process {
	p.lease = func(l state.Lease) (state.Lease, bool) { return l, true }
	return p
}

// refusing is a GKE that refuses completions: no request takes effect.
type refusing struct{ mover }

func (r refusing) Complete(context.Context, fleet.Ref) record.Outcome {
	return r.send("complete", func() record.Outcome { return record.Outcome{} })
}

// silent is a network that swallows starts.
type silent struct{ mover }

func (r silent) Start(context.Context, fleet.Ref) record.Outcome {
	return r.send("start", func() record.Outcome { return record.Outcome{State: record.Unclear, Raw: "deadline exceeded"} })
}

// noHistory is a book whose history cannot be read.
type noHistory struct{ state.Store }

func (noHistory) History(context.Context, fleet.Ref) ([]record.Record, error) {
	return nil, errors.New("permission denied")
}

// doubling is a network that delivers starts and completions twice and loses
// the first answer.
type doubling struct{ mover }

func (r doubling) Start(ctx context.Context, ref fleet.Ref) record.Outcome {
	return r.send("start", func() record.Outcome {
		_ = r.p.cloud.Start(ctx, ref)
		return r.p.cloud.Start(ctx, ref)
	})
}

func (r doubling) Complete(ctx context.Context, ref fleet.Ref) record.Outcome {
	return r.send("complete", func() record.Outcome {
		_ = r.p.cloud.Complete(ctx, ref)
		return r.p.cloud.Complete(ctx, ref)
	})
}
