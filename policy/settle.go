package policy

import (
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/reason"
)

// Intend gives the decision to store before a start is sent: a new attempt
// whose only call is the intent, and its slot. The ids are random and made by
// the caller, who alone may send the call.
func Intend(d Decision, attemptID, callID, run string, no int, now time.Time) Decision {
	c := d.Cluster
	d.Rotation = &Rotation{
		Cluster: c.Ref, ClusterID: c.ID, AttemptID: attemptID, AttemptNo: no, Origin: Ours, Carry: true,
		Baseline: baselineOf(c), Phase: Starting, DueAt: d.Due.At, Wave: d.Wave, Emergency: d.Emergency, Urgent: d.Urgent,
		Transitions: []Transition{{Starting, now, run, d.Reason}},
		Call:        &Call{ID: callID, Kind: CallStart, IntentAt: now, Run: run, State: Intended},
		LastRead:    c.Seen, Reason: reason.StartSent, InForce: d.InForce,
	}
	d.Tried.follow(d.Rotation)
	d.Rotation.relyOn(d.Approved)
	d.Phase, d.Write, d.Slot = Starting, true, SlotTake
	d.Events = append(d.Events,
		Event{EventPhaseChanged, reason.StartSent, fact.Sayf("%s: %v", Starting, d.Message)})
	return d
}

// IntendCall gives the decision to store before a complete or the node calls
// are sent: one call id a pool, random and made by the caller, who alone may
// send it.
func IntendCall(d Decision, ids map[string]string, run string, now time.Time) Decision {
	r := d.Rotation.clone()
	kind := CallComplete
	if d.Action == Recreate {
		kind = CallRecreate
	}
	for pool, id := range ids {
		call := Call{ID: id, Kind: kind, Pool: pool, IntentAt: now, Run: run, State: Intended}
		if kind == CallComplete {
			r.completeIntent(call, now)
			r.relyOn(d.Approved)
			r.under(d.InForce)
			d.Events = append(d.Events,
				Event{EventPhaseChanged, reason.CompleteSent, fact.Sayf("%s: %v", Completing, d.Message)})
			continue
		}
		if r.PoolCalls == nil {
			r.PoolCalls = map[string]Call{}
		}
		r.PoolCalls[pool] = call
	}
	d.Rotation, d.Phase, d.Write = &r, r.Phase, true
	return d
}

// relyOn records the approval that a call relied on.
func (r *Rotation) relyOn(a *Approval) {
	if a != nil {
		r.Approvals = append(slices.Clone(r.Approvals), ApprovalUse{Kind: a.Kind, Entry: a.Entry, Said: a.Said})
	}
}

func (r *Rotation) completeIntent(call Call, now time.Time) {
	if r.Call != nil {
		r.remember(*r.Call)
	}
	r.Call = &call
	r.move(Completing, now, call.Run, reason.CompleteSent)
	r.Reason = reason.CompleteSent
}

// move is the only place that changes a phase, and makes only moves that the
// lifecycle knows.
func (r *Rotation) move(to Phase, now time.Time, run string, reason reason.Code) {
	if !Allowed(r.Phase, to) {
		panic(illegalMove{r.Phase, to}) // see onIllegalMove
	}
	if to == UpdatingClients && r.Phase == RecreatingNodes {
		r.Entries++
		r.AskedAt = time.Time{} // this entry needs an approval of its own
	}
	r.Phase = to
	r.Transitions = append(slices.Clone(r.Transitions), Transition{to, now, run, reason})
	if n := len(r.Transitions); n > MaxTransitions {
		r.Transitions = slices.Delete(r.Transitions, 1, n-MaxTransitions+1)
	}
	r.Unexplained, r.BlockedSince = 0, time.Time{}
}

// Settle is the other half of the state machine: what the outcomes of the
// calls, by call id, make of the rotation.
func Settle(d Decision, outcomes map[string]Outcome, run string, now time.Time) (out Decision) {
	r := d.Rotation.clone()
	defer onIllegalMove(func(m illegalMove) { // the answers are stored all the same
		out.Close, out.Slot, out.Phase, out.Reason, out.Message = "", SlotKeep, r.Phase, reason.IllegalMove, m.text()
		out.Events = append(out.Events, Event{EventActionFailed, reason.IllegalMove, m.text()})
	})
	out = Decision{Cluster: d.Cluster, Due: d.Due, Wave: d.Wave, Emergency: d.Emergency, Urgent: d.Urgent, Action: Update, Reason: r.Reason, Rotation: &r, Write: true}
	if r.Call != nil {
		if o, ok := outcomes[r.Call.ID]; ok {
			call := answered(*r.Call, o, now)
			r.Call = &call
			out.settleCall(&r, o, run, now)
		}
	}
	for pool, call := range maps.Clone(r.PoolCalls) {
		if o, ok := outcomes[call.ID]; ok {
			r.PoolCalls[pool] = answered(call, o, now)
			r.settlePool(pool, o, now)
			out.announce(o, "pool "+pool)
		}
	}
	out.countWithdrawn(&r, outcomes, now)
	out.Phase = r.Phase
	return out
}

func answered(c Call, o Outcome, now time.Time) Call {
	c.State, c.Operation, c.AnsweredAt, c.Refusal, c.RawError = o.State, o.Operation, now, o.Refusal, clip(o.Raw)
	return c
}

// settleCall: a refusal decides the phase, never that nothing happened. A call
// that was never sent needs no settlement.
func (d *Decision) settleCall(r *Rotation, o Outcome, run string, now time.Time) {
	to := func(p Phase, reason reason.Code) {
		r.move(p, now, run, reason)
		r.Reason = reason
		d.Reason, d.Message = reason, sentence(reason)
		d.Events = append(d.Events, Event{EventPhaseChanged, reason, fact.Sayf("%s: %v", p, d.Message)})
	}
	switch {
	case o.State == Withdrawn && r.Call.Kind == CallStart:
		r.remember(*r.Call)
		r.Call = nil
		d.Close, d.Slot = NotStarted, SlotRelease
		d.Reason, d.Message = reason.CallWithdrawn, fact.Sayf("withdrawn before it was sent: %s", o.Raw)
	case o.State == Withdrawn:
		r.remember(*r.Call)
		r.Call = nil
		r.move(UpdatingClients, now, run, reason.CallWithdrawn)
		r.Reason = reason.CallWithdrawn
		d.Reason, d.Message = reason.CallWithdrawn, fact.Sayf("withdrawn before it was sent: %s", o.Raw)
	case o.State == Refused && o.Refusal == RequiresRecreation:
		to(RecreatingNodes, reason.NeedsRecreation)
		d.Message = fact.Say(clip(o.Raw))
		r.void(o.Pool)
		r.backOff(now)
	default:
		d.announce(o, string(r.Call.Kind))
	}
}

// announce tells of a refusal or of silence.
func (d *Decision) announce(o Outcome, what string) {
	switch o.State {
	case Refused:
		d.Events = append(d.Events, Event{EventActionFailed, reason.Code(o.Refusal),
			fact.Sayf("%s refused: %s", what, o.Raw).Clip(MaxMessage)})
	case Unclear:
		d.Events = append(d.Events, Event{EventActionFailed, reason.CallUnsettled,
			fact.Sayf("%s: no clear answer: %s", what, o.Raw).Clip(MaxMessage)})
	}
}

// void makes a pool's older evidence worthless, and that of an Autopilot's
// control plane; when GKE names no pool, that of all.
func (r *Rotation) void(pool string) {
	r.Pools = cloneMap(r.Pools)
	names := []string{pool}
	if pool == "" {
		names = r.PoolsSeen
	} else if !slices.Contains(r.PoolsSeen, pool) {
		r.PoolsSeen = append(slices.Clone(r.PoolsSeen), pool)
	}
	for _, name := range names {
		r.voidOne(name)
	}
	if _, ok := r.Pools[""]; ok {
		r.voidOne("")
	}
}

func (r *Rotation) voidOne(pool string) {
	w := r.Pools[pool]
	since := w.StartedAt
	if since.IsZero() {
		since = r.nodesFrom()
	}
	r.Pools[pool] = Work{VoidBefore: since, Counted: w.Counted, Failures: w.Failures}
}

func (r *Rotation) settlePool(pool string, o Outcome, now time.Time) {
	if o.State == Withdrawn {
		r.retirePool(pool, r.PoolCalls[pool])
		return
	}
	if o.State != Refused || o.Refusal == OtherOperation || o.Refusal == Throttled || o.Refusal == StaleEtag {
		return
	}
	r.Pools = cloneMap(r.Pools)
	w := r.Pools[pool]
	w.Failures++
	w.LastError = fact.Clip(o.Raw, maxPoolError)
	w.NotBefore = now.Add(backoff[min(w.Failures, len(backoff))-1])
	switch {
	case o.Refusal == Invalid:
		w.LeftToGKE = "GKE refuses its version: " + w.LastError
	case w.Failures >= failuresBeforePeople:
		w.LeftToGKE = "refused three times: " + w.LastError
	}
	r.Pools[pool] = w
}

// backOff makes the next try wait: 1 h, 6 h, then 24 h.
func (r *Rotation) backOff(now time.Time) {
	r.Refusals++
	r.NotBefore = now.Add(backoff[min(r.Refusals, len(backoff))-1])
}
