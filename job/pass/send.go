package pass

import (
	"context"
	"errors"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// send reads again under the stored intents, asks the policy again and makes the calls in order, each at
// most once and soon. What may not be sent after all is withdrawn.
func (a *actor) send(ctx context.Context, d policy.Decision, intents []intent,
	begun time.Duration) map[string]record.Outcome {
	outcomes := map[string]record.Outcome{}
	doc, docErr := a.Store.Fleet(ctx) // holds and approvals of this minute
	fresh, readErr := ReadCluster(ctx, a.Read, d.Cluster.Ref, a.Now())
	err := errors.Join(docErr, readErr)
	for _, in := range intents {
		if ctx.Err() != nil {
			a.stopped(toldToStop)
			outcomes[in.id] = record.Outcome{State: record.Withdrawn, Raw: toldToStop, Stopped: true}
			continue
		}
		if why := a.mayNot(d, in, doc, fresh, err, begun); why != "" {
			outcomes[in.id] = record.Outcome{State: record.Withdrawn, Raw: why}
			continue
		}
		outcomes[in.id] = a.once(ctx, d.Action, fresh, in.pool)
	}
	return outcomes
}

// mayNot says why an intended call may not be sent, or "".
func (a *actor) mayNot(d policy.Decision, in intent, doc record.FleetDoc, fresh fleet.Cluster, readErr error,
	begun time.Duration) string {
	if readErr != nil {
		return "the read under the intent failed: " + readErr.Error()
	}
	again := policy.Recheck(a.Policy, doc, *d.Rotation, kindOf(d.Action), in.pool, fresh, a.Now())
	switch {
	case again.Action != d.Action:
		return again.Message.String()
	case a.Mono()-begun >= record.SendWithin:
		return "more than " + record.SendWithin.String() + " since the intent"
	}
	return ""
}

func kindOf(a policy.Action) record.CallKind {
	switch a {
	case policy.Start:
		return record.CallStart
	case policy.Complete:
		return record.CallComplete
	}
	return record.CallRecreate
}

// After a signal Cloud Run waits ten seconds and kills. By then the outcome of
// a call under way must be in the store or, if the store is away too, in the log.
const (
	// stopGrace is how long a call under way may take after a signal.
	stopGrace = 5 * time.Second
	// stopWithin is how long after a signal the last write may take.
	stopWithin = 8 * time.Second
)

// outlive gives a context that goes on for so long after ctx has ended.
func outlive(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		grace, done := context.WithTimeout(longer, after)
		defer done()
		<-grace.Done()
		cancel()
	})
	return longer, func() {
		stop()
		cancel()
	}
}

// once makes the one call. A signal does not cut it short at once: its outcome
// counts. A call that stays without an answer is unclear, and settles.
func (a *actor) once(ctx context.Context, action policy.Action, c fleet.Cluster, pool string) record.Outcome {
	ctx, end := outlive(ctx, stopGrace)
	defer end()
	ctx, cancel := context.WithTimeout(ctx, record.CallTimeout)
	defer cancel()
	switch action {
	case policy.Start:
		return a.Move.Start(ctx, c.Ref)
	case policy.Complete:
		return a.Move.Complete(ctx, c.Ref)
	}
	target := fleet.Pool{Version: c.Version, Etag: c.Etag} // Autopilot: the control plane
	for _, p := range c.Pools {
		if pool != "" && p.Name == pool {
			target = p
		}
	}
	return a.Move.Recreate(ctx, c.Ref, target)
}
