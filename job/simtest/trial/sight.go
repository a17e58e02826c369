package trial

import (
	"context"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/grpc"

	"gke-credential-rotator/policy"
)

// wire is what lies between the adapter and GKE. It keeps the last cluster that
// went over it, and fails a request when told to.
type wire struct {
	raw  *containerpb.Cluster
	fail error // of the next request that changes a cluster
}

func (w *wire) around(ctx context.Context, req any, info *grpc.UnaryServerInfo, serve grpc.UnaryHandler) (any, error) {
	reads := strings.HasPrefix(info.FullMethod, "Get") || strings.HasPrefix(info.FullMethod, "List")
	if err := w.fail; err != nil && !reads {
		w.fail = nil
		return nil, err
	}
	out, err := serve(ctx, req)
	if info.FullMethod == "GetCluster" {
		w.raw, _ = out.(*containerpb.Cluster)
	}
	return out, err
}

// sights are the views of the clusters, now and for a while back. A view is
// taken, through the adapter that production uses, only when something has
// changed: most of a run's time would go into reading the same again.
type sights struct {
	p        *play
	clusters map[policy.Ref][]view // oldest first
	shelves  map[string][]policy.Ref
	ops      map[string][]operations // by project, oldest first
	forget   time.Duration           // after which GKE forgets operations; negative: never
}

// view is a cluster as it was shown from since on.
type view struct {
	since   time.Time
	gone    bool
	raw     *containerpb.Cluster
	cluster policy.Cluster
	// turns is when time alone changes the view: the CA's last week begins.
	turns time.Time
}

type operations struct {
	since time.Time
	of    map[policy.Ref][]policy.Operation
}

func newSights(p *play) *sights {
	return &sights{p: p, clusters: map[policy.Ref][]view{}, shelves: map[string][]policy.Ref{}, ops: map[string][]operations{}}
}

// refs lists the clusters that are there, in order.
func (s *sights) refs() []policy.Ref {
	var out []policy.Ref
	for _, shelf := range s.shelves {
		for _, ref := range shelf {
			if !s.last(ref).gone {
				out = append(out, ref)
			}
		}
	}
	slices.SortFunc(out, policy.Ref.Compare)
	return out
}

// add takes in a cluster that was just made.
func (s *sights) add(ref policy.Ref) {
	if _, known := s.clusters[ref]; !known {
		shelf := s.shelves[ref.Project]
		at, _ := slices.BinarySearchFunc(shelf, ref, func(a, b policy.Ref) int { return strings.Compare(a.Path(), b.Path()) })
		s.shelves[ref.Project] = slices.Insert(shelf, at, ref)
	}
	s.take(ref, s.p.now)
	s.takeOps(ref.Project)
}

// take takes a view of the cluster as it is now.
func (s *sights) take(ref policy.Ref, since time.Time) {
	v := view{since: since}
	c, err := s.p.cloud.Cluster(nobody, ref)
	if err != nil {
		v.gone = true
	} else {
		v.cluster, v.raw = c, s.p.wire.raw
		if ca := c.Bundle.Oldest(); ca.Fingerprint != "" {
			if week := ca.Expires.Add(-policy.DegradedBefore); week.After(s.p.now) {
				v.turns = week
			}
		}
	}
	s.clusters[ref] = keep(s.clusters[ref], v, s.p.now, func(v view) time.Time { return v.since })
}

func (s *sights) takeOps(project string) {
	of, err := s.p.cloud.Operations(nobody, project)
	if err != nil {
		of = nil
	}
	s.ops[project] = keep(s.ops[project], operations{s.p.now, of}, s.p.now, func(o operations) time.Time { return o.since })
}

// keep appends a view and drops those that no read can show any more.
func keep[T any](list []T, v T, now time.Time, since func(T) time.Time) []T {
	if n := len(list); n > 0 && since(list[n-1]).Equal(since(v)) {
		list = list[:n-1]
	}
	list = append(list, v)
	oldest := now.Add(-policy.Stale - time.Hour)
	for len(list) > 1 && !since(list[1]).After(oldest) {
		list = list[1:]
	}
	return list
}

// refresh takes new views of what has changed, and tells of new CAs.
func (s *sights) refresh() {
	names := s.p.world.Touched()
	projects := map[string]bool{}
	for _, name := range names {
		ref, err := policy.ParseRef(name)
		if err != nil {
			continue
		}
		var before view // as it was last told of
		if list := s.clusters[ref]; len(list) > 0 {
			before = list[len(list)-1]
		}
		s.take(ref, s.p.now)
		projects[ref.Project] = true
		now := s.last(ref)
		if !now.gone && !slices.Equal(before.cluster.Bundle.CAs, now.cluster.Bundle.CAs) {
			s.p.tell(&Event{Kind: Changed, Cluster: ref, Fact: s.fact(ref)})
		}
	}
	for project := range projects {
		s.takeOps(project)
	}
	if len(names) > 0 {
		s.p.stir()
	}
}

// last is the newest view, as the cluster is now.
func (s *sights) last(ref policy.Ref) view {
	list := s.clusters[ref]
	if len(list) == 0 {
		return view{gone: true}
	}
	v := list[len(list)-1]
	if !v.turns.IsZero() && !s.p.now.Before(v.turns) {
		s.take(ref, v.turns)
		list = s.clusters[ref]
		v = list[len(list)-1]
	}
	return v
}

// asOf is the view of then.
func (s *sights) asOf(ref policy.Ref, then time.Time) view {
	s.last(ref)
	list := s.clusters[ref]
	for i := len(list) - 1; i >= 0; i-- {
		if !list[i].since.After(then) {
			return list[i]
		}
	}
	return view{gone: true}
}

// operations are those of a project as of then, less what GKE has forgotten.
func (s *sights) operations(project string, then time.Time) map[policy.Ref][]policy.Operation {
	list := s.ops[project]
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].since.After(then) {
			continue
		}
		out := make(map[policy.Ref][]policy.Operation, len(list[i].of))
		for ref, ops := range list[i].of {
			forgotten := func(op policy.Operation) bool { return s.forget > 0 && op.Done && then.Sub(op.End) > s.forget }
			if slices.ContainsFunc(ops, forgotten) {
				ops = slices.DeleteFunc(slices.Clone(ops), forgotten)
			}
			if len(ops) > 0 {
				out[ref] = ops
			}
		}
		return out
	}
	return map[policy.Ref][]policy.Operation{}
}

// fact is what is true of the cluster now; nil: it is gone.
func (s *sights) fact(ref policy.Ref) *Fact {
	v := s.last(ref)
	if v.gone {
		return nil
	}
	return &Fact{Ref: ref, Raw: v.raw, Cluster: v.cluster}
}
