// Package lifecycle is the phases that a rotation goes through: every move there is,
// and the one function that makes one.
package lifecycle

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// Edge is one way a rotation may move. From "" is idle, To "" is closed.
type Edge struct {
	From, To record.Phase
	When     string
}

// Edges are all moves there are; ARCHITECTURE.md prints them, and a rotation makes
// no other. Three of them go back.
var Edges = []Edge{
	{"", record.Starting, "due, and every gate of a start is open: the intent is stored, then sent"},
	{"", record.RecreatingNodes, "two CAs without a record of ours: foreign, or our own start accepted late"},
	{record.Starting, record.RecreatingNodes,
		"old and new CA are in place and the start operation is done: hand-over"},
	{record.Starting, record.Verifying, "one new CA: completed elsewhere"},
	{record.Starting, "", "the start provably left nothing: not-started"},
	{record.RecreatingNodes, record.UpdatingClients, "every pool is recreated or gone: hand-over again"},
	{record.RecreatingNodes, record.Verifying, "one new CA: completed elsewhere"},
	{record.UpdatingClients, record.RecreatingNodes, "back: an unrecreated pool appears; the approval is void"},
	{record.UpdatingClients, record.Completing,
		"soak over, approved if asked, completion window open with room: the intent is stored, then sent"},
	{record.UpdatingClients, record.Verifying, "one new CA: completed elsewhere"},
	{record.Completing, record.RecreatingNodes,
		"back: GKE says that a pool requires recreation; its older evidence is void"},
	{record.Completing, record.UpdatingClients,
		"back: our completion left nothing, was withdrawn, or its operation failed"},
	{record.Completing, record.Verifying, "the operation is done and one new CA is left"},
	{record.Verifying, "", "no worse than the baseline: completed; else after STUCK_AFTER completed-with-findings"},
}

// Allowed says whether a rotation may move so. Any phase may also be closed:
// the cluster is gone, recreated or lost, or a person says so.
func Allowed(from, to record.Phase) bool {
	return to == "" || slices.ContainsFunc(Edges, func(e Edge) bool { return e.From == from && e.To == to })
}

// Move is the only place that changes a phase, and makes only moves that the
// lifecycle knows.
func Move(r *record.Rotation, to record.Phase, now time.Time, run string, reason reason.Code) {
	if !Allowed(r.Phase, to) {
		panic(IllegalMove{r.Phase, to}) // see OnIllegalMove
	}
	if to == record.UpdatingClients && r.Phase == record.RecreatingNodes {
		r.Entries++
		r.AskedAt = time.Time{} // this entry needs an approval of its own
	}
	r.Phase = to
	r.Transitions = append(slices.Clone(r.Transitions), record.Transition{Phase: to, At: now, Run: run,
		Reason: reason})
	if n := len(r.Transitions); n > record.MaxTransitions {
		r.Transitions = slices.Delete(r.Transitions, 1, n-record.MaxTransitions+1)
	}
	r.Unexplained, r.BlockedSince = 0, time.Time{}
}

// IllegalMove is a move that the lifecycle does not know. It is a defect of this
// program, or a document that it did not write.
type IllegalMove struct{ from, to record.Phase }

// Text says which move, and that it is not made.
func (m IllegalMove) Text() fact.Text {
	return fact.Sayf("from %q to %q is no move that the lifecycle knows, so it is not made", m.from, m.to)
}

// OnIllegalMove is deferred, and lets what was begun for one cluster end in a refusal;
// the other clusters go on.
func OnIllegalMove(refuse func(IllegalMove)) {
	switch x := recover().(type) {
	case nil:
	case IllegalMove:
		refuse(x)
	default:
		panic(x)
	}
}
