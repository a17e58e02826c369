package trial

import (
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/policy"
)

// hold is a person who holds a cluster for a while.
func (d *deployment) hold(ref policy.Ref) {
	until := time.Time{}
	if d.p.likely(0.7) {
		until = d.p.now.Add(d.p.between(10*time.Minute, 4*day))
	}
	d.say("hold", ref, func(b policy.Book, said policy.Said) (policy.FleetDoc, string, error) {
		return b.Fleet.Hold(ref, until, said)
	})
}

// people do something now and then, whatever it is good for.
func (d *deployment) people() {
	p := d.p
	if p.calm {
		return
	}
	p.in(p.between(p.rates.people/2, 2*p.rates.people), d.people)
	refs := p.refs()
	if len(refs) == 0 {
		return
	}
	ref := pick(p, refs...)
	if b, err := d.book.Book(nobody); err == nil && len(b.Rotations) > 0 && p.likely(0.6) {
		flights := slices.SortedFunc(maps.Keys(b.Rotations), policy.Ref.Compare)
		ref = pick(p, flights...)
	}
	deed := pick(p, "hold", "hold", "hold all", "release", "release", "retry", "retry", "adopt", "rotate", "rotate", "close")
	if d.deed(deed, ref) {
		p.fault("person: " + deed)
	}
}

func (d *deployment) deed(deed string, ref policy.Ref) bool {
	p := d.p
	cluster := p.cache.Now(ref).Cluster
	cluster.Seen = p.now
	return d.say(deed, ref, func(b policy.Book, said policy.Said) (policy.FleetDoc, string, error) {
		var r *policy.Rotation
		if stored, ok := b.Rotations[ref]; ok {
			r = &stored
		}
		switch deed {
		case "hold":
			return b.Fleet.Hold(ref, p.now.Add(p.between(time.Hour, 4*day)), said)
		case "hold all":
			return b.Fleet.Hold(policy.Ref{}, p.now.Add(p.between(time.Hour, day)), said)
		case "release":
			return b.Fleet.Release(ref, said)
		case "retry":
			return b.Fleet.Retry(ref, r, said)
		case "adopt":
			return b.Fleet.Adopt(d.policy, cluster, r, said)
		case "rotate":
			return b.Fleet.Rotate(d.policy, cluster, r, said)
		}
		return b.Fleet.Close(ref, r, said)
	})
}

// answer is the people who are asked: they approve, and in the calm part they
// release every hold and retry whatever failed.
func (p *play) answer() {
	p.in(time.Hour, p.answer)
	for _, d := range p.deployments {
		if p.calm || p.likely(0.15) {
			d.answer()
		}
	}
}

func (d *deployment) answer() {
	b, err := d.book.Book(nobody)
	if err != nil {
		return
	}
	for _, ref := range slices.SortedFunc(maps.Keys(b.Rotations), policy.Ref.Compare) {
		r := b.Rotations[ref]
		if r.Phase == policy.UpdatingClients && d.policy.Approval.Asks(policy.CallComplete) && !approved(b.Fleet, r) && !d.p.owners.approve(d) {
			d.approve(ref, &r)
		}
		if d.p.calm && d.hopeless(ref) {
			if !slices.ContainsFunc(b.Fleet.Holds, func(h policy.Hold) bool { return h.Cluster == ref }) {
				d.say("hold", ref, func(b policy.Book, said policy.Said) (policy.FleetDoc, string, error) {
					return b.Fleet.Hold(ref, time.Time{}, said)
				})
			}
			continue
		}
		if d.p.calm && (r.Failed != "" || r.Stuck || leftToGKE(r)) {
			d.deed("retry", ref)
		}
	}
	if d.policy.Approval.Asks(policy.CallStart) && d.p.now.Hour()%4 == 0 && !d.p.owners.approve(d) {
		d.approveStarts(b)
	}
	if !d.p.calm {
		return
	}
	for _, h := range b.Fleet.Holds {
		if _, flies := b.Rotations[h.Cluster]; !flies || !d.hopeless(h.Cluster) {
			d.deed("release", h.Cluster)
		}
	}
	for _, f := range b.Fleet.Failures {
		d.deed("retry", f.Cluster)
	}
	for _, name := range slices.Sorted(maps.Keys(b.Fleet.Tries)) {
		if ref, err := policy.ParseRef(name); err == nil && b.Fleet.Tries[name].Count >= 3 {
			d.deed("retry", ref)
		}
	}
}

// hopeless: no rotation of the cluster can end, for nobody can recreate its
// nodes: it is an alpha cluster, or its old CA has expired. People take it out
// of the way of the others by a hold.
func (d *deployment) hopeless(ref policy.Ref) bool {
	c := d.p.cache.Now(ref).Cluster
	return c.Alpha || !d.p.now.Before(c.Bundle.Oldest().Expires)
}

func leftToGKE(r policy.Rotation) bool {
	for _, w := range r.Pools {
		if w.LeftToGKE != "" {
			return true
		}
	}
	return false
}

func approved(doc policy.FleetDoc, r policy.Rotation) bool {
	return slices.ContainsFunc(doc.Approvals, func(a policy.Approval) bool {
		return a.Kind == policy.CallComplete && a.Attempt == r.AttemptID && a.Entry == r.Entries
	})
}

func (d *deployment) approve(ref policy.Ref, r *policy.Rotation) {
	c := d.p.cache.Now(ref)
	if c.Gone {
		return
	}
	d.say("approve", ref, func(b policy.Book, said policy.Said) (policy.FleetDoc, string, error) {
		return b.Fleet.Approve(d.policy, c.Cluster, r, time.Time{}, said)
	})
}

// approveStarts says yes to every start that waits for it.
func (d *deployment) approveStarts(b policy.Book) {
	for _, ref := range d.p.refs() {
		c := d.p.cache.Now(ref).Cluster
		_, flies := b.Rotations[ref]
		already := slices.ContainsFunc(b.Fleet.Approvals, func(a policy.Approval) bool {
			return a.Kind == policy.CallStart && a.Cluster == ref && a.ClusterID == c.ID && a.CA == c.Bundle.Oldest().Fingerprint && d.p.now.Before(a.Until.Add(-time.Hour))
		})
		if !flies && !already && slices.Contains(d.policy.Projects, ref.Project) && len(c.Bundle.CAs) == 1 {
			d.approve(ref, nil)
		}
	}
}
