package policy

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/lifecycle"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

// inFlight decides for a cluster whose rotation is on record: take in what GKE
// shows, move at most one phase, then see whether a call is due.
func (k *Case) inFlight(d *Decision) {
	r := k.Rotation.Clone()
	k.Rotation = &r
	d.Phase, d.Rotation = r.Phase, &r
	before := r.Clone()
	k.caughtBefore = before.Caught
	r.Wave = k.WaveName // always by the current policy

	k.observe(&r)
	k.poolTrouble(d, &before, &r)
	switch {
	case k.endedByPerson(d, &r):
	case k.Cluster.ID != r.ClusterID && r.ClusterID != "":
		k.close(d, &r, record.Recreated, reason.ClusterRecreated)
	case k.Cluster.Bundle.Problem != "":
		k.stay(d, reason.CAUnreadable, fact.Say(k.Cluster.Bundle.Problem))
	case !k.Cluster.OperationsRead:
		k.stay(d, reason.NotReadable, fact.Say("its operations could not be read"))
	case k.Cluster.Partial:
		k.stay(d, reason.ListedPartly, sentence(reason.ListedPartly))
	default:
		k.takeUp(d, &r)
		k.retell(d, &r)
		k.step(d, &r)
	}
	d.Phase = r.Phase
	k.besideUs(d)
	r.Reason = d.Reason
	k.noteCaught(d, &r)
	k.noteAway(d, &r)
	k.countStuck(d, &r)
	k.holdSlot(d, &r)
	if seen := k.Cluster.Seen; seen.Sub(r.LastRead) > 24*time.Hour {
		r.LastRead = seen
	}
	d.Write = d.Write || !same(before, r)
}

// step moves by the phase.
func (k *Case) step(d *Decision, r *record.Rotation) {
	b, base := k.Cluster.Bundle, r.Baseline.CA.Fingerprint
	switch {
	case r.Phase == record.Verifying:
		k.verify(d, r)
	case !b.Has(base) && len(b.CAs) == 2:
		// Completed and started again since the last look.
		if !b.Has(r.New.Fingerprint) {
			r.New = b.Oldest()
		}
		d.Tell(completedExternally(fact.Say("completed, and another rotation started, since the last look")))
		k.close(d, r, record.CompletedElsewhere, reason.ElsewhereCompleted)
	case !b.Has(base):
		k.oneNewCA(d, r)
	case r.Phase == record.Starting:
		k.starting(d, r)
	case len(b.CAs) == 1:
		// Two CAs were proved; an old answer changes nothing.
		k.stay(d, reason.ReadShowsLess,
			fact.Say("GKE shows one CA although two were seen: an old answer, or a rotation undone"))
	case r.Phase == record.RecreatingNodes:
		k.recreatingNodes(d, r)
	case r.Phase == record.UpdatingClients:
		k.updatingClients(d, r)
	case r.Phase == record.Completing:
		k.completing(d, r)
	}
}

func (k *Case) stay(d *Decision, why reason.Code, message fact.Text) { d.set(Wait, why, message) }

// enter moves to the phase and says so.
func (k *Case) enter(d *Decision, r *record.Rotation, p record.Phase, reason reason.Code) {
	lifecycle.Move(r, p, k.Now, k.Run, reason)
	d.set(Update, reason, sentence(reason))
	d.Tell(PhaseChanged(p, reason, d.Message))
}

// starting waits for the second CA, or for the proof that none will come.
func (k *Case) starting(d *Decision, r *record.Rotation) {
	c := k.Cluster
	call := r.Call
	ours := call != nil && call.MayHaveTaken()
	switch {
	case len(c.Bundle.CAs) == 2 && ours && k.clusterBusy() == "":
		k.bothCAs(d, r, reason.BothCAs)
		k.nodesNow(d)
	case len(c.Bundle.CAs) == 2 && ours:
		k.stay(d, reason.StartRuns, fact.Sayf("both CAs are in place; %s still runs", k.clusterBusy()))
	case call == nil || call.State == record.Withdrawn:
		k.close(d, r, record.NotStarted, reason.StartLeftNone) // never sent: no failure
	case !k.unproved(d, *call, "start", reason.StartSent, reason.StartRuns):
		k.notStarted(d, r)
	}
}

// unproved waits while nothing proves yet that a start or a completion came to nothing.
func (k *Case) unproved(d *Decision, call record.Call, what string, sent, runs reason.Code) bool {
	switch busy := k.busySince(call); {
	case call.State == record.Accepted && k.running(call.Operation):
		k.stay(d, runs, fact.Sayf("%s runs", call.Operation))
	case !call.MaySettle(k.Cluster.Seen):
		k.stay(d, sent, fact.Sayf("the %s was sent %v; absence proves nothing before %v", what, call.IntentAt,
			call.SettlesAt()))
		d.NextChange = call.SettlesAt()
	case busy != "":
		k.stay(d, runs, fact.Sayf("%s may be the %s", busy, what))
	default:
		return false
	}
	return true
}

// notStarted closes an attempt whose start provably left nothing.
func (k *Case) notStarted(d *Decision, r *record.Rotation) {
	code, why := reason.StartLeftNone, r.Call.RawError
	if op, ok := k.operation(r.Call.Operation); ok && op.Error != "" {
		code, why = reason.StartFailed, op.Error
	}
	d.Tell(ActionFailed(code, fact.Join(clause(code), fact.Say(why))))
	k.close(d, r, record.NotStarted, code)
	d.Findings = append(d.Findings, record.Clip(why))
}

// bothCAs enters recreating-nodes: the start is done, hand over.
func (k *Case) bothCAs(d *Decision, r *record.Rotation, reason reason.Code) {
	c := k.Cluster
	r.New, r.Endpoint = c.Bundle.Newest(), c.Endpoint
	r.PoolsSeen = nil
	for _, p := range c.Pools {
		r.PoolsSeen = append(r.PoolsSeen, p.Name)
	}
	k.findStartOp(r)
	r.HandedOverAt = k.Now
	r.HandTo(k.Policy.Receivers)
	k.Rotation = r
	k.enter(d, r, record.RecreatingNodes, reason)
	k.observe(r)
	k.handOver(d, fact.Sayf("old and new CA in place%s", endpointChange(r.Baseline.Endpoint, c.Endpoint)))
}

func endpointChange(from, to string) string {
	if from == to || to == "" {
		return ""
	}
	return ", endpoint " + from + " -> " + to
}

// handOver tells people, and holds us to what they are told.
func (k *Case) handOver(d *Decision, what fact.Text) {
	if r := k.Rotation; r.Managed {
		r.Promised, r.Terms = window.Later(r.Promised, k.Promise()), k.Terms()
	}
	d.Message = what
	d.Tell(handedOver(d.Reason, what))
}

// updatingClients waits for soak, approval and the completion window.
func (k *Case) updatingClients(d *Decision, r *record.Rotation) {
	if names := k.Unrecreated(); len(names) > 0 {
		k.enter(d, r, record.RecreatingNodes, reason.PoolAppeared)
		d.Message = fact.Sayf("not recreated: %s", fact.Some(names))
		k.nodesNow(d)
		return
	}
	d.Gates = k.Ask(CompleteGates, anyGate)
	if v, isClosed := FirstClosed(d.Gates); isClosed {
		d.set(Wait, v.Reason, v.Message)
		if v.Reason.Info().NeedsAction || v.Reason == reason.AdoptedWatching || v.Reason == reason.ClosedWatching {
			d.Action = NeedsAction
		}
		if v.Reason == reason.TriesExhausted {
			k.fail(d, r, reason.CompleteFailed)
		}
		k.askForApproval(d, r)
		return
	}
	d.InForce, d.Approved = k.Policy.InForce, k.approval(record.CallComplete)
	ready := k.ready(d.Gates)
	if len(ready) == 0 {
		usual := "The soak is over, and a completion window is open with room"
		if d.Approved == nil {
			usual += "."
		}
		ready = fact.Say(usual)
	}
	d.set(Complete, reason.ReadyToComplete, fact.Join(ready, approvedBy(d.Approved)))
}

// ready says by what the old credentials may end now where that is not the whole soak and
// an open completion window: nothing is lifted without a word.
func (k *Case) ready(gates []Verdict) fact.Text {
	lifted := k.liftedNote(gates)
	verdict := func(gate string) Verdict {
		return gates[slices.IndexFunc(gates, func(v Verdict) bool { return v.Gate == gate })]
	}
	w := verdict(GateCompleteWindow)
	awaited := !w.Lifted && (!w.Changes.IsZero() || k.Policy.CompleteWindow.IsAlways())
	switch {
	case awaited && len(lifted) == 0 && k.UsualSoak():
		return nil
	case awaited:
		w.Message = fact.Sayf("%v is open", w.Message)
	case w.Lifted:
		w.Message = nil
	}
	return fact.Join(verdict(GateSoak).Message, verdict(GateDelivery).Message, w.Message, lifted)
}

// askForApproval asks at hand-over and then once a day.
func (k *Case) askForApproval(d *Decision, r *record.Rotation) {
	if !r.Managed || !k.Policy.Approval.Asks(record.CallComplete) ||
		k.Now.Before(r.AskedAt.Add(24*time.Hour)) {
		return
	}
	if v := askCompleteApproval(k); !v.Open {
		r.AskedAt = k.Now
		d.Tell(approvalNeeded(v.Message))
	}
}
