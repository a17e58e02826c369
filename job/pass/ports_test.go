package pass

import (
	"context"
	"errors"

	"gke-credential-rotator/job/intercept"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

var errDead = errors.New("the process is dead")

// intercept notes every call and asks the hooks.
func (p *process) intercept(ctx context.Context, c *intercept.Call, next intercept.Next) error {
	if p.dead {
		return errDead
	}
	switch c.Method {
	case intercept.Lease:
		if p.lease != nil {
			if held, ok := p.lease(c.Lease); ok {
				c.Lease = held
				return nil
			}
		}
		return next(ctx)
	case intercept.Clusters, intercept.Operations:
		return p.read(ctx, string(c.Method)+" "+c.Project, next)
	case intercept.Cluster:
		return p.read(ctx, "cluster "+c.Ref.Name, next)
	case intercept.Outbox:
		return p.read(ctx, "outbox", next)
	case intercept.Recreate:
		return p.send(ctx, c.Pool.Name, c, next)
	case intercept.Start, intercept.Complete:
		return p.send(ctx, c.Ref.Name, c, next)
	case intercept.Write:
		return p.write(ctx, c.Change, next)
	}
	p.called(string(c.Method))
	return next(ctx)
}

func (p *process) read(ctx context.Context, call string, next intercept.Next) error {
	p.called(call)
	if p.beforeRead != nil {
		if err := p.beforeRead(call); err != nil {
			return err
		}
	}
	return next(ctx)
}

func (p *process) send(ctx context.Context, name string, c *intercept.Call, next intercept.Next) error {
	p.called(string(c.Method) + " " + name)
	if p.beforeSend != nil {
		p.beforeSend()
	}
	if p.network == nil {
		_ = next(ctx) // what is sent has an outcome, no error
	} else if err := p.network(ctx, c, next); err != nil {
		c.Outcome = record.Outcome{State: record.Unclear, Raw: err.Error()}
	}
	if p.answer != nil {
		c.Outcome = p.answer(c.Outcome)
	}
	return nil
}

func (p *process) write(ctx context.Context, c state.Change, next intercept.Next) error {
	p.called("write")
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.beforeWrite != nil {
		if err := p.beforeWrite(c); err != nil {
			return err
		}
	}
	if err := next(ctx); err != nil || p.afterWrite == nil {
		return err
	}
	return p.afterWrite(c)
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
func refusing(ctx context.Context, c *intercept.Call, next intercept.Next) error {
	if c.Method == intercept.Complete {
		return nil
	}
	return next(ctx)
}

// silent is a network that swallows starts.
func silent(ctx context.Context, c *intercept.Call, next intercept.Next) error {
	if c.Method == intercept.Start {
		return errors.New("deadline exceeded")
	}
	return next(ctx)
}

// doubling is a network that delivers starts and completions twice and loses
// the first answer.
func doubling(ctx context.Context, c *intercept.Call, next intercept.Next) error {
	if c.Method != intercept.Recreate {
		_ = next(ctx) // the answer that is lost
	}
	return next(ctx)
}

// noHistory is a store whose history cannot be read.
func noHistory(ctx context.Context, c *intercept.Call, next intercept.Next) error {
	if c.Method == intercept.History {
		return errors.New("permission denied")
	}
	return next(ctx)
}
