package trial

import (
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy"
)

// asOf is the cluster as it was shown then.
func (p *play) asOf(ref policy.Ref, then time.Time) sim.View {
	p.cache.Now(ref)
	if v, ok := p.views[ref].at(then); ok {
		return v
	}
	return sim.View{Gone: true}
}

// operations are those of a project as they were shown then.
func (p *play) operations(project string, then time.Time) map[policy.Ref][]policy.Operation {
	if ops, _ := p.ops[project].at(then); ops != nil {
		return ops
	}
	return map[policy.Ref][]policy.Operation{}
}

// history is what was read since when, oldest first: for reads that are stale.
type history[T any] []struct {
	since time.Time
	what  T
}

// add takes the place of what was read at the same time, and drops what nobody
// can ask for any more.
func (h history[T]) add(since time.Time, what T, oldest time.Time) history[T] {
	if n := len(h); n > 0 && h[n-1].since.Equal(since) {
		h = h[:n-1]
	}
	h = append(h, struct {
		since time.Time
		what  T
	}{since, what})
	for len(h) > 1 && !h[1].since.After(oldest) {
		h = h[1:]
	}
	return h
}

func (h history[T]) at(then time.Time) (what T, ok bool) {
	for i := len(h) - 1; i >= 0; i-- {
		if !h[i].since.After(then) {
			return h[i].what, true
		}
	}
	return what, false
}
