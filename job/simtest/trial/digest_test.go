package trial

import (
	"fmt"
	"hash/fnv"
)

// digest makes a play's digest out of what may not change when code is only
// moved: the requests of ours that GKE accepted, and every move of a phase that
// the store holds. Reasons and texts are left out.
func digest(o *Options) (sum func() string) {
	h := fnv.New64a()
	moves := map[string]int{} // already counted, by attempt
	o.Watch = func(e *Event, _ []Violation) {
		if e.Kind == Delivered && e.Outcome.State == "accepted" {
			fmt.Fprintln(h, e.At.UnixNano(), e.Env, e.Request.Kind, e.Cluster, e.Request.Pool, e.Request.Copy)
		}
		if e.Write == nil || !e.Write.Applied {
			return
		}
		r, end := e.Write.Asked.Rotation, e.Write.Asked.Close
		if end != nil {
			r = &end.Rotation
			fmt.Fprintln(h, e.At.UnixNano(), e.Env, r.Cluster, r.AttemptID, end.ClosedAs)
		}
		if r == nil {
			return
		}
		key := e.Env + r.AttemptID
		for _, move := range r.Transitions[min(moves[key], len(r.Transitions)):] {
			fmt.Fprintln(h, e.At.UnixNano(), e.Env, r.Cluster, r.AttemptID, move.Phase, move.At.UnixNano())
		}
		moves[key] = len(r.Transitions)
	}
	return func() string { return fmt.Sprintf("%016x", h.Sum64()) }
}
