// Package outcome is the other half of the state machine: what a decision makes of the
// store before its calls are sent, and what the answers make of it.
package outcome

import (
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/lifecycle"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// Intend gives the decision to store before a start is sent: a new attempt
// whose only call is the intent, and its slot. The ids are random and made by
// the caller, who alone may send the call.
func Intend(d policy.Decision, attemptID, callID, run string, no int, now time.Time) policy.Decision {
	c := d.Cluster
	d.Rotation = &record.Rotation{
		Cluster: c.Ref, ClusterID: c.ID, AttemptID: attemptID, AttemptNo: no, Origin: record.Ours, Managed: true,
		Baseline: record.BaselineOf(c), Phase: record.Starting, DueAt: d.Due.At, Wave: d.Wave,
		Emergency: d.Emergency, Compromised: d.Compromised,
		Transitions: []record.Transition{{Phase: record.Starting, At: now, Run: run, Reason: d.Reason}},
		Call: &record.Call{ID: callID, Kind: record.CallStart, IntentAt: now, Run: run,
			State: record.Intended},
		LastRead: c.Seen, Reason: reason.StartSent, InForce: d.InForce, WaveOpened: d.WaveOpened,
	}
	d.Tried.Follow(d.Rotation)
	relyOn(d.Rotation, d.Approved)
	d.Phase, d.Write, d.Slot = record.Starting, true, policy.SlotTake
	d.Tell(policy.PhaseChanged(record.Starting, reason.StartSent, d.Message))
	return d
}

// IntendCall gives the decision to store before a complete or the node calls
// are sent: one call id a pool, random and made by the caller, who alone may
// send it.
func IntendCall(d policy.Decision, ids map[string]string, run string, now time.Time) policy.Decision {
	r := d.Rotation.Clone()
	kind := record.CallComplete
	if d.Action == policy.Recreate {
		kind = record.CallRecreate
	}
	for pool, id := range ids {
		call := record.Call{ID: id, Kind: kind, Pool: pool, IntentAt: now, Run: run, State: record.Intended}
		if kind == record.CallComplete {
			completeIntent(&r, call, now)
			relyOn(&r, d.Approved)
			r.Under(d.InForce)
			d.Tell(policy.PhaseChanged(record.Completing, reason.CompleteSent, d.Message))
			continue
		}
		if r.PoolCalls == nil {
			r.PoolCalls = map[string]record.Call{}
		}
		r.PoolCalls[pool] = call
	}
	d.Rotation, d.Phase, d.Write = &r, r.Phase, true
	return d
}

// relyOn records the approval that a call relied on.
func relyOn(r *record.Rotation, a *record.Approval) {
	if a != nil {
		r.Approvals = append(slices.Clone(r.Approvals), record.ApprovalUse{Kind: a.Kind, Entry: a.Entry,
			Said: a.Said})
	}
}

func completeIntent(r *record.Rotation, call record.Call, now time.Time) {
	r.RetireCall()
	r.Call = &call
	lifecycle.Move(r, record.Completing, now, call.Run, reason.CompleteSent)
	r.Reason = reason.CompleteSent
}

// Resolve gives what the outcomes of the calls, by call id, make of the rotation.
func Resolve(d policy.Decision, outcomes map[string]record.Outcome, run string,
	now time.Time) (out policy.Decision) {
	r := d.Rotation.Clone()
	defer lifecycle.OnIllegalMove(func(m lifecycle.IllegalMove) { // the answers are stored all the same
		out.Close, out.Slot, out.Phase, out.Reason, out.Message = "", policy.SlotKeep, r.Phase, reason.IllegalMove,
			m.Text()
		out.Tell(policy.ActionFailed(reason.IllegalMove, m.Text()))
	})
	out = policy.Decision{Cluster: d.Cluster, Due: d.Due, Wave: d.Wave, Emergency: d.Emergency,
		Compromised: d.Compromised, Action: policy.Update, Reason: r.Reason, Rotation: &r, Write: true}
	if r.Call != nil {
		if o, ok := outcomes[r.Call.ID]; ok {
			call := answered(*r.Call, o, now)
			r.Call = &call
			resolveCall(&out, &r, o, run, now)
		}
	}
	for pool, call := range maps.Clone(r.PoolCalls) {
		if o, ok := outcomes[call.ID]; ok {
			r.PoolCalls[pool] = answered(call, o, now)
			resolvePool(&r, pool, o, now)
			w := r.Pools[pool]
			if w.Told.Again(o.Raw, now) {
				noteAnswer(&out, o, fleet.PoolWords(pool))
			}
			if w.Told.Times > 0 && o.State != record.Accepted && o.State != record.Withdrawn {
				r.Pools = record.CloneMap(r.Pools)
				r.Pools[pool] = w
			}
		}
	}
	countWithdrawn(&out, &r, outcomes, now)
	out.Phase = r.Phase
	return out
}

func answered(c record.Call, o record.Outcome, now time.Time) record.Call {
	c.State, c.Operation, c.AnsweredAt, c.Refusal, c.RawError = o.State, o.Operation, now, o.Refusal,
		record.Clip(o.Raw)
	return c
}

// resolveCall: a refusal decides the phase, never that nothing happened. A call
// that was never sent needs no settlement.
func resolveCall(d *policy.Decision, r *record.Rotation, o record.Outcome, run string, now time.Time) {
	to := func(p record.Phase, reason reason.Code) {
		lifecycle.Move(r, p, now, run, reason)
		r.Reason = reason
		d.Reason, d.Message = reason, fact.Say(reason.Info().Sentence)
		d.Tell(policy.PhaseChanged(p, reason, d.Message))
	}
	switch {
	case o.State == record.Withdrawn:
		kind := r.Call.Kind
		r.RetireCall()
		if kind == record.CallStart {
			d.Close, d.Slot = record.NotStarted, policy.SlotRelease
		} else {
			lifecycle.Move(r, record.UpdatingClients, now, run, reason.CallWithdrawn)
			r.Reason = reason.CallWithdrawn
		}
		d.Reason, d.Message = reason.CallWithdrawn, fact.Sayf("withdrawn before it was sent: %s", o.Raw)
	case o.State == record.Refused && o.Refusal == record.RequiresRecreation:
		to(record.RecreatingNodes, reason.NeedsRecreation)
		d.Message = fact.Say(record.Clip(o.Raw))
		void(r, o.Pool)
		r.RefusedAt(now)
	default:
		noteAnswer(d, o, string(r.Call.Kind))
	}
}

// noteAnswer tells of a refusal or of silence.
func noteAnswer(d *policy.Decision, o record.Outcome, what string) {
	switch o.State {
	case record.Refused:
		d.Tell(policy.ActionFailed(reason.Code(o.Refusal), fact.Sayf("%s refused: %s", what, o.Raw)))
	case record.Unclear:
		d.Tell(policy.ActionFailed(reason.CallUnsettled, fact.Sayf("%s: no clear answer: %s", what, o.Raw)))
	}
}

// void makes a pool's older evidence worthless, and that of an Autopilot's
// control plane; when GKE names no pool, that of all.
func void(r *record.Rotation, pool string) {
	r.Pools = record.CloneMap(r.Pools)
	names := []string{pool}
	if pool == "" {
		names = r.PoolsSeen
	} else if !slices.Contains(r.PoolsSeen, pool) {
		r.PoolsSeen = append(slices.Clone(r.PoolsSeen), pool)
	}
	for _, name := range names {
		voidOne(r, name)
	}
	if _, ok := r.Pools[""]; ok {
		voidOne(r, "")
	}
}

func voidOne(r *record.Rotation, pool string) {
	w := r.Pools[pool]
	since := w.StartedAt
	if since.IsZero() {
		since = r.NodesFrom()
	}
	r.Pools[pool] = record.Work{VoidBefore: since, Counted: w.Counted, Failures: w.Failures}
}

func resolvePool(r *record.Rotation, pool string, o record.Outcome, now time.Time) {
	if o.State == record.Withdrawn {
		r.RetirePool(pool, r.PoolCalls[pool])
		return
	}
	if o.State != record.Refused || o.Refusal == record.OtherOperation || o.Refusal == record.Throttled ||
		o.Refusal == record.StaleEtag {
		return
	}
	r.Pools = record.CloneMap(r.Pools)
	w := r.Pools[pool]
	switch failures := w.Fail(o.Raw, now); {
	case o.Refusal == record.Invalid:
		w.LeftToGKE = "GKE refuses its version: " + w.LastError
	case failures >= record.FailuresBeforePeople:
		w.LeftToGKE = "refused three times: " + w.LastError
	}
	r.Pools[pool] = w
}

// countWithdrawn counts calls that were all taken back before they were sent: by
// the read under the intent, mostly. A run that is told to stop takes back what
// it has begun; that says nothing about the cluster.
func countWithdrawn(d *policy.Decision, r *record.Rotation, outcomes map[string]record.Outcome,
	now time.Time) {
	why := ""
	for _, o := range outcomes {
		switch {
		case o.State != record.Withdrawn:
			r.Withdrawals, r.WithdrawnTold = 0, time.Time{}
			return
		case o.Stopped:
			return
		}
		why = max(why, o.Raw)
	}
	r.Withdrawals++
	often := record.OftenWithdrawn(r.Withdrawals, why)
	if len(often) > 0 && d.Close != "" {
		d.Findings = []string{record.Clip(often.String())}
	}
	if len(often) > 0 && now.Sub(r.WithdrawnTold) >= 24*time.Hour {
		r.WithdrawnTold = now
		d.Tell(policy.Blocked(reason.CallWithdrawn, often.Clip(record.MaxMessage)))
	}
}
