package trial

import (
	"slices"

	"gke-credential-rotator/policy/record"
)

// mostTransitions is how many a document keeps; then the oldest but the first go.
const mostTransitions = 200

// edges are the moves that design.md 4 allows.
var edges = [][2]record.Phase{
	{"", "starting"},
	{"", "recreating-nodes"},
	{"starting", "recreating-nodes"},
	{"starting", "verifying"},
	{"recreating-nodes", "updating-clients"},
	{"recreating-nodes", "verifying"},
	{"updating-clients", "completing"},
	{"updating-clients", "verifying"},
	{"completing", "verifying"},
	// The three that go back.
	{"completing", "recreating-nodes"},
	{"completing", "updating-clients"},
	{"updating-clients", "recreating-nodes"},
}

// phasesForward judges promise 6, by what each write adds to the transitions
// of the write before. A document with as many as it keeps is not judged.
func (j *judge) phasesForward(e *Event) {
	w, ok := written(e)
	if !ok {
		return
	}
	r, _ := rotationIn(w)
	if r == nil || len(r.Transitions) >= mostTransitions {
		return
	}
	var old []record.Transition
	if a := j.ledger(e.Env).attempts[r.AttemptID]; a != nil {
		old = a.transitions
	}
	n := len(old)
	if len(r.Transitions) < n || n > 0 && !same(r.Transitions[n-1], old[n-1]) {
		j.accuse(e, r.Cluster, "transitions were lost: %d, the last %s, became %d", n, old[n-1].Phase,
			len(r.Transitions))
		return
	}
	from := record.Phase("")
	if n > 0 {
		from = old[n-1].Phase
	}
	for _, t := range r.Transitions[n:] {
		if !slices.Contains(edges, [2]record.Phase{from, t.Phase}) {
			j.accuse(e, r.Cluster, "phase %q became %q", from, t.Phase)
		}
		from = t.Phase
	}
	if r.Phase != from {
		j.accuse(e, r.Cluster, "the phase is %q, but the last transition was to %q", r.Phase, from)
	}
}

func same(a, b record.Transition) bool {
	return a.Phase == b.Phase && a.At.Equal(b.At) && a.Run == b.Run
}
