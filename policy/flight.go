package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// inFlight decides for a cluster whose rotation is on record: take in what GKE
// shows, move at most one phase, then see whether a call is due.
func (k *Case) inFlight(d *Decision) {
	r := k.Rotation.clone()
	k.Rotation = &r
	d.Phase, d.Rotation = r.Phase, &r
	before := r.clone()
	r.Wave = k.WaveName // always by the current policy

	k.absorb(&r)
	k.poolTrouble(d, &before, &r)
	switch {
	case k.endedByPerson(d, &r):
	case k.Cluster.ID != r.ClusterID && r.ClusterID != "":
		k.close(d, &r, Recreated, ClusterRecreated)
	case k.Cluster.Bundle.Problem != "":
		k.stay(d, CAUnreadable, k.Cluster.Bundle.Problem)
	case !k.Cluster.OperationsRead:
		k.stay(d, NotReadable, "its operations could not be read")
	case k.Cluster.Partial:
		k.stay(d, ListedPartly, Reasons[ListedPartly].Sentence)
	default:
		k.takeUp(d, &r)
		k.step(d, &r)
	}
	d.Phase = r.Phase
	r.Reason = d.Reason
	k.announce(d, &r)
	k.countStuck(d, &r)
	k.holdSlot(d, &r)
	if seen := k.Cluster.Seen; seen.Sub(r.LastRead) > 24*time.Hour {
		r.LastRead = seen
	}
	d.Write = d.Write || !same(before, r)
}

// step moves by the phase.
func (k *Case) step(d *Decision, r *Rotation) {
	b, base := k.Cluster.Bundle, r.Baseline.CA.Fingerprint
	switch {
	case r.Phase == Verifying:
		k.verify(d, r)
	case !b.Has(base) && len(b.CAs) == 2:
		// Completed and started again since the last look.
		r.New = b.Oldest()
		d.Events = append(d.Events, Event{EventCompletedExternally, ElsewhereCompleted, "completed, and another rotation started, since the last look"})
		k.close(d, r, CompletedElsewhere, ElsewhereCompleted)
	case !b.Has(base):
		k.oneNewCA(d, r)
	case r.Phase == Starting:
		k.starting(d, r)
	case len(b.CAs) == 1:
		// Two CAs were proved; an old answer changes nothing.
		k.stay(d, ReadShowsLess, "GKE shows one CA although two were seen: an old answer, or a rotation undone")
	case r.Phase == RecreatingNodes:
		k.recreatingNodes(d, r)
	case r.Phase == UpdatingClients:
		k.updatingClients(d, r)
	case r.Phase == Completing:
		k.completing(d, r)
	}
}

func (k *Case) stay(d *Decision, reason Reason, message string) {
	d.Action, d.Reason, d.Message = Wait, reason, message
}

// enter moves to the phase and says so.
func (k *Case) enter(d *Decision, r *Rotation, p Phase, reason Reason) {
	r.move(p, k.Now, k.Run, reason)
	d.Action, d.Reason, d.Message = Update, reason, Reasons[reason].Sentence
	d.Events = append(d.Events, Event{EventPhaseChanged, reason, string(p) + ": " + Reasons[reason].Sentence})
}

// starting waits for the second CA, or for the proof that none will come.
func (k *Case) starting(d *Decision, r *Rotation) {
	c := k.Cluster
	call := r.Call
	ours := call != nil && call.MayHaveTaken()
	switch {
	case len(c.Bundle.CAs) == 2 && ours && k.clusterBusy() == "":
		k.bothCAs(d, r, BothCAs)
		k.nodesNow(d)
	case len(c.Bundle.CAs) == 2 && ours:
		k.stay(d, StartRuns, "both CAs are in place; "+k.clusterBusy()+" still runs")
	case call == nil || call.State == Withdrawn:
		k.close(d, r, NotStarted, StartLeftNone) // never sent: no failure
	case call.State == Accepted && k.running(call.Operation):
		k.stay(d, StartRuns, call.Operation+" runs")
	case !call.MaySettle(c.Seen):
		k.stay(d, StartSent, fmt.Sprintf("the start was sent %s; absence proves nothing before %s", when(call.IntentAt), when(call.IntentAt.Add(SettleAfter))))
		d.NextChange = call.IntentAt.Add(SettleAfter)
	case k.busySince(*call) != "":
		k.stay(d, StartRuns, k.busySince(*call)+" may be the start")
	default:
		k.notStarted(d, r)
	}
}

// notStarted closes an attempt whose start provably left nothing.
func (k *Case) notStarted(d *Decision, r *Rotation) {
	reason, why := StartLeftNone, r.Call.RawError
	if op, ok := k.operation(r.Call.Operation); ok && op.Error != "" {
		reason, why = StartFailed, op.Error
	}
	d.Events = append(d.Events, Event{EventActionFailed, reason, clip(join(strings.TrimSuffix(Reasons[reason].Sentence, "."), why))})
	k.close(d, r, NotStarted, reason)
	d.Findings = append(d.Findings, clip(why))
}

// bothCAs enters recreating-nodes: the start is done, hand over.
func (k *Case) bothCAs(d *Decision, r *Rotation, reason Reason) {
	c := k.Cluster
	r.New = c.Bundle.Newest()
	r.PoolsSeen = nil
	for _, p := range c.Pools {
		r.PoolsSeen = append(r.PoolsSeen, p.Name)
	}
	k.findStartOp(r)
	r.HandedOverAt = k.Now
	k.Rotation = r
	k.enter(d, r, RecreatingNodes, reason)
	k.absorb(r)
	k.handOver(d, "old and new CA in place"+endpointChange(r.Baseline.Endpoint, c.Endpoint))
}

func endpointChange(from, to string) string {
	if from == to || to == "" {
		return ""
	}
	return ", endpoint " + from + " -> " + to
}

func (k *Case) handOver(d *Decision, what string) {
	d.Message = what
	d.Events = append(d.Events, Event{EventHandedOver, d.Reason, what})
}

// recreatingNodes waits for proof of every pool, and recreates what GKE has
// not begun.
func (k *Case) recreatingNodes(d *Decision, r *Rotation) {
	if len(k.unrecreated()) > 0 {
		k.nodesNow(d)
		return
	}
	if k.anyRunning() != "" {
		k.stay(d, NodesRunning, k.anyRunning()+" runs")
		return
	}
	k.enter(d, r, UpdatingClients, NodesDone)
	done, all := k.progress()
	next := "GKE completes it from " + when(k.gkeCompletes())
	if r.Carry {
		over, why := k.soakOver()
		next = fmt.Sprintf("completion not before %s (%s)", when(over), why)
	}
	k.handOver(d, fmt.Sprintf("%d of %d pools recreated; %s", done, all, next))
	k.askForApproval(d, r)
}

// nodesNow sees which pools a run may recreate.
func (k *Case) nodesNow(d *Decision) {
	entered := d.Action == Update
	var pools []string
	var gates []Verdict
	var closed Verdict
	targets := k.unrecreated()
	if k.Cluster.Autopilot {
		targets = []string{""}
	}
	for _, name := range targets {
		if k.Pool = k.pool(name); k.Pool == nil {
			continue
		}
		verdicts := k.ask(NodeGates, anyGate)
		v, isShut := firstShut(verdicts)
		if !isShut && k.poolsRunning()+len(pools) >= k.poolsAtOnce() {
			v, isShut = Verdict{Reason: PoolsAtOnceFull, Message: "as many pools as allowed are under way"}, true
		}
		if !isShut {
			pools = append(pools, name)
		} else if closed.Reason == "" || worse(v, closed) {
			closed = v
		}
		for i := range verdicts {
			verdicts[i].Gate = join2(name, verdicts[i].Gate)
		}
		gates = append(gates, verdicts...)
	}
	k.Pool = nil
	d.Gates = gates
	switch {
	case len(pools) > 0:
		d.Action, d.Pools = Recreate, pools
		if !entered {
			d.Reason, d.Message = NodesPending, "recreating "+some(named(pools))
		}
	case !entered:
		done, all := k.progress()
		d.Action, d.Reason = Wait, closed.Reason
		d.Message = fmt.Sprintf("nodes %d of %d; %s", done, all, closed.Message)
	}
}

func named(pools []string) []string {
	out := slices.Clone(pools)
	for i := range out {
		if out[i] == "" {
			out[i] = "the control plane (Autopilot)"
		}
	}
	return out
}

func join2(pool, gate string) string {
	if pool == "" {
		return gate
	}
	return pool + ": " + gate
}

// worse prefers what people must know over what time will mend.
func worse(a, b Verdict) bool {
	return a.OpensAt.IsZero() && !b.OpensAt.IsZero() && a.Reason != NodesRunning
}

func (k *Case) progress() (done, all int) {
	for _, p := range k.Cluster.Pools {
		all++
		if !k.poolNeedsWork(p) {
			done++
		}
	}
	return done, all
}

// updatingClients waits for soak, approval and the completion window.
func (k *Case) updatingClients(d *Decision, r *Rotation) {
	if names := k.unrecreated(); len(names) > 0 {
		k.enter(d, r, RecreatingNodes, PoolAppeared)
		d.Message = "not recreated: " + some(names)
		k.nodesNow(d)
		return
	}
	d.Gates = k.ask(CompleteGates, anyGate)
	if v, isShut := firstShut(d.Gates); isShut {
		d.Action, d.Reason, d.Message = Wait, v.Reason, v.Message
		if needsPeople[v.Reason] || v.Reason == AdoptedWatching {
			d.Action = People
		}
		if v.Reason == TriesExhausted {
			k.fail(d, r, CompleteFailed)
		}
		k.askForApproval(d, r)
		return
	}
	d.Action, d.Reason, d.Message = Complete, ReadyToComplete, Reasons[ReadyToComplete].Sentence
	d.Approved = k.approval(CallComplete)
}

// askForApproval asks at hand-over and then once a day.
func (k *Case) askForApproval(d *Decision, r *Rotation) {
	if !r.Carry || !k.Policy.Approval.Asks(CallComplete) || k.Now.Before(r.AskedAt.Add(24*time.Hour)) {
		return
	}
	if v := askCompleteApproval(k); !v.Open {
		r.AskedAt = k.Now
		d.Events = append(d.Events, Event{EventApprovalNeeded, ApprovalNeeded, v.Message})
	}
}

// completing waits for one CA, or for the proof that the completion left
// nothing.
func (k *Case) completing(d *Decision, r *Rotation) {
	call := r.Call
	switch {
	case call == nil || call.State == Withdrawn:
		k.enter(d, r, UpdatingClients, CompleteLeftNone)
	case call.State == Accepted && k.running(call.Operation):
		k.stay(d, CompleteRuns, call.Operation+" runs")
	case !call.MaySettle(k.Cluster.Seen):
		k.stay(d, CompleteSent, fmt.Sprintf("the completion was sent %s; absence proves nothing before %s", when(call.IntentAt), when(call.IntentAt.Add(SettleAfter))))
		d.NextChange = call.IntentAt.Add(SettleAfter)
	case k.busySince(*call) != "":
		k.stay(d, CompleteRuns, k.busySince(*call)+" may be the completion")
	default:
		reason := CompleteLeftNone
		if op, ok := k.operation(call.Operation); ok && op.Error != "" {
			reason = CompleteFailed
			r.CompleteFailures++
			d.Events = append(d.Events, Event{EventActionFailed, reason, clip(op.Error)})
		}
		if call.State == Refused || reason == CompleteFailed {
			r.backOff(k.Now)
		}
		k.retire(r)
		k.enter(d, r, UpdatingClients, reason)
		if r.CompleteFailures >= 2 || r.Refusals >= failuresBeforePeople {
			k.fail(d, r, reason)
		}
	}
}

// oneNewCA: the old CA is gone, whoever completed it.
func (k *Case) oneNewCA(d *Decision, r *Rotation) {
	if busy := k.clusterBusy(); busy != "" && r.Phase == Completing {
		k.stay(d, CompleteRuns, "the new CA alone is in place; "+busy+" still runs")
		return
	}
	r.New = k.Cluster.Bundle.Oldest()
	r.CompletedBy = "other"
	reason := ElsewhereCompleted
	if r.Phase == Completing && r.Call != nil && (r.Call.State == Accepted || r.Call.State == Unclear || r.Call.State == Intended) {
		r.CompletedBy, reason = "us", OneNewCA
		if r.Call.State != Accepted {
			r.CompletedBy = "unknown"
		}
	}
	k.enter(d, r, Verifying, reason)
	if reason == ElsewhereCompleted {
		d.Events = append(d.Events, Event{EventCompletedExternally, reason, Reasons[reason].Sentence})
	}
}

// verify compares with the baseline and closes the attempt.
func (k *Case) verify(d *Decision, r *Rotation) {
	c := k.Cluster
	if c.Bundle.Has(r.Baseline.CA.Fingerprint) {
		k.stay(d, ReadShowsLess, "GKE shows the old CA although it was gone: an old answer")
		return
	}
	if r.Unsettled(k.Now) {
		at := r.Call.IntentAt.Add(SettleAfter)
		k.stay(d, CallUnsettled, "the completion is settled from "+when(at))
		d.NextChange = at
		return
	}
	var findings []string
	if !r.New.Expires.After(r.Baseline.CA.Expires) {
		findings = append(findings, "the new CA expires "+day(r.New.Expires)+", not after the old one")
	}
	if worseStatus(c.Status, r.Baseline.Status) {
		findings = append(findings, fmt.Sprintf("status %s, before %s", c.Status, r.Baseline.Status))
	}
	for _, p := range c.Pools {
		if was, ok := r.Baseline.Pools[p.Name]; ok && worseStatus(p.Status, was) {
			findings = append(findings, fmt.Sprintf("pool %s %s, before %s", p.Name, p.Status, was))
		}
	}
	switch {
	case len(findings) == 0:
		as := Completed
		if r.CompletedBy == "other" {
			as = CompletedElsewhere
		}
		k.close(d, r, as, Verified)
	case k.Now.Before(r.Entered(Verifying).Add(k.Policy.StuckAfter)):
		k.stay(d, VerifyingHealth, some(findings))
		d.NextChange = r.Entered(Verifying).Add(k.Policy.StuckAfter)
	default:
		d.Findings = findings
		k.close(d, r, CompletedWithFindings, WithFindings)
		if r.Origin != Foreign {
			k.fail(d, r, WorseThanBefore)
		}
	}
}

// worseStatus: anything but running, unless it was no better before.
func worseStatus(now, before Status) bool { return now != Running && now != before }

// close ends the attempt, unless a call may still be on its way.
func (k *Case) close(d *Decision, r *Rotation, as ClosedAs, reason Reason) {
	if r.anyUnsettled(k.Now) {
		at := k.settledAt(r)
		k.stay(d, CallUnsettled, fmt.Sprintf("%s; the record closes when the last call is settled, %s", Reasons[reason].Sentence, when(at)))
		d.NextChange = at
		return
	}
	k.retire(r)
	d.Close, d.Write, d.Slot = as, true, SlotRelease
	d.Action, d.Reason, d.Message = Update, reason, Reasons[reason].Sentence
	d.Events = append(d.Events, Event{EventPhaseChanged, reason, string(as) + ": " + Reasons[reason].Sentence})
}

// settledAt is when the last call on its way is settled.
func (k *Case) settledAt(r *Rotation) time.Time {
	var at time.Time
	if r.Call != nil && r.Call.Sent() {
		at = r.Call.IntentAt.Add(SettleAfter)
	}
	for _, c := range r.PoolCalls {
		if c.Sent() {
			at = later(at, c.IntentAt.Add(SettleAfter))
		}
	}
	return at
}

// endedByPerson carries out a close request.
func (k *Case) endedByPerson(d *Decision, r *Rotation) bool {
	q := k.Doc.askedOf(RequestClose, *r)
	if q == nil {
		return false
	}
	k.close(d, r, ClosedByPeople, ClosedByPerson)
	return true
}

// takeUp carries out adopt and retry requests.
func (k *Case) takeUp(d *Decision, r *Rotation) {
	adopt := k.Doc.asked(RequestAdopt, k.Cluster)
	if !r.Carry && (k.Policy.Adopt == AdoptCarry || adopt != nil) && askSelected(k).Open {
		r.Carry = true
		d.Slot = SlotTake
		d.Write = true
	}
	retry := k.Doc.askedOf(RequestRetry, *r)
	if retry != nil {
		r.Failed, r.Stuck, r.Refusals, r.CompleteFailures, r.NotBefore, r.Unexplained = "", false, 0, 0, time.Time{}, 0
		for name, w := range r.Pools {
			w.Failures, w.NotBefore, w.LeftToGKE = 0, time.Time{}, ""
			r.Pools[name] = w
		}
		d.Write = true
	}
	for _, q := range []*Request{adopt, retry} {
		if q != nil {
			d.Taken = append(d.Taken, *q)
		}
	}
}

// poolTrouble tells of node operations that failed since the last look. A pool
// that failed three times is left to GKE, and the rotation counts as failed.
func (k *Case) poolTrouble(d *Decision, before, r *Rotation) {
	for _, name := range slices.Sorted(maps.Keys(r.Pools)) {
		w := r.Pools[name]
		if w.Failures > before.Pools[name].Failures {
			d.Events = append(d.Events, Event{EventActionFailed, PoolFailed, clip(fmt.Sprintf("recreating pool %q failed: %s", name, w.LastError))})
		}
		if w.Failures >= failuresBeforePeople && !w.Done() && r.Carry {
			k.fail(d, r, PoolFailed)
		}
	}
}

// fail announces a failed rotation once; it counts against the breaker until
// somebody acknowledges it.
func (k *Case) fail(d *Decision, r *Rotation, reason Reason) {
	if r.Failed == "" {
		r.Failed = string(reason)
		d.Events = append(d.Events, Event{EventActionFailed, reason, Reasons[reason].Sentence})
	}
}

// holdSlot releases the slot once one CA is seen, or after eight days of
// needing people.
func (k *Case) holdSlot(d *Decision, r *Rotation) {
	if d.Action == People || Reasons[d.Reason].Waits == "people" || r.Failed != "" || r.Stuck {
		if r.BlockedSince.IsZero() {
			r.BlockedSince, d.Write = k.Now, true
		}
	} else if !r.BlockedSince.IsZero() {
		r.BlockedSince, d.Write = time.Time{}, true
	}
	_, holds := k.Doc.Slots[r.Cluster.String()]
	tooLong := !r.BlockedSince.IsZero() && k.Now.Sub(r.BlockedSince) > BlockedFreesSlot
	if holds && (r.Phase == Verifying || tooLong) && !r.Unsettled(k.Now) {
		d.Slot, d.Write = SlotRelease, true
	}
}
