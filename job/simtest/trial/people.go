package trial

import (
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/operator"
	"gke-credential-rotator/policy/record"
)

// hold is a person who holds a cluster for a while.
func (d *deployment) hold(ref fleet.Ref) {
	until := time.Time{}
	if d.p.likely(0.7) {
		until = d.p.now.Add(d.p.between(10*time.Minute, 4*day))
	}
	d.say("hold", ref, func(b record.Contents, said record.Said) (record.FleetDoc, string, error) {
		return operator.Hold(b.Fleet, record.TheCluster(ref), until, said)
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
	if b, err := d.contents.Contents(nobody); err == nil && len(b.Rotations) > 0 && p.likely(0.6) {
		flights := slices.SortedFunc(maps.Keys(b.Rotations), fleet.Ref.Compare)
		ref = pick(p, flights...)
	}
	deed := pick(p, "hold", "hold", "hold all", "hold project", "release", "release", "retry", "retry",
		"adopt", "rotate",
		"rotate", "close")
	if d.deed(deed, ref) {
		p.fault("person: " + deed)
	}
}

func (d *deployment) deed(deed string, ref fleet.Ref) bool {
	p := d.p
	cluster := p.cache.Now(ref).Cluster
	cluster.Seen = p.now
	return d.say(deed, ref, func(b record.Contents, said record.Said) (record.FleetDoc, string, error) {
		var r *record.Rotation
		if stored, ok := b.Rotations[ref]; ok {
			r = &stored
		}
		switch deed {
		case "hold":
			return operator.Hold(b.Fleet, record.TheCluster(ref), p.now.Add(p.between(time.Hour, 4*day)),
				said)
		case "hold all":
			return operator.Hold(b.Fleet, record.Target{}, p.now.Add(p.between(time.Hour, day)), said)
		case "release":
			on := record.TheCluster(ref)
			return operator.Release(b.Fleet, &on, "", cluster, said)
		case "hold project":
			on := record.Target{Project: ref.Project}
			return operator.Hold(b.Fleet, on, p.now.Add(p.between(time.Hour, day)), said)
		case "retry":
			return operator.Retry(b.Fleet, ref, r, said)
		case "adopt":
			return operator.Adopt(b.Fleet, d.policy, cluster, r, said)
		case "rotate":
			return operator.Rotate(b.Fleet, d.policy, cluster, r, said)
		}
		return operator.Close(b.Fleet, d.policy, ref, r, said)
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
	b, err := d.contents.Contents(nobody)
	if err != nil {
		return
	}
	for _, ref := range slices.SortedFunc(maps.Keys(b.Rotations), fleet.Ref.Compare) {
		r := b.Rotations[ref]
		if r.Phase == record.UpdatingClients && d.policy.Approval.Asks(record.CallComplete) &&
			!approved(b.Fleet, r) && !d.p.owners.approve(d) {
			d.approve(ref, &r)
		}
		if d.p.calm && d.hopeless(ref) {
			if !slices.ContainsFunc(b.Fleet.Holds, func(h record.Hold) bool { return h.Cluster == ref }) {
				d.say("hold", ref, func(b record.Contents, said record.Said) (record.FleetDoc, string, error) {
					return operator.Hold(b.Fleet, record.TheCluster(ref), time.Time{}, said)
				})
			}
			continue
		}
		if d.p.calm && (r.Failed != "" || r.Stuck || leftToGKE(r)) {
			d.deed("retry", ref)
		}
	}
	if d.policy.Approval.Asks(record.CallStart) && d.p.now.Hour()%4 == 0 && !d.p.owners.approve(d) {
		d.approveStarts(b)
	}
	if !d.p.calm {
		return
	}
	for _, h := range b.Fleet.Holds {
		if _, flies := b.Rotations[h.Cluster]; !flies || !d.hopeless(h.Cluster) {
			d.say("release", h.Cluster, func(b record.Contents, said record.Said) (record.FleetDoc, string,
				error) {
				return operator.Release(b.Fleet, nil, h.ID, fleet.Cluster{}, said)
			})
		}
	}
	for _, f := range b.Fleet.Failures {
		d.deed("retry", f.Cluster)
	}
	for _, name := range slices.Sorted(maps.Keys(b.Fleet.Tries)) {
		if ref, err := fleet.ParseRef(name); err == nil && b.Fleet.Tries[name].Count >= 3 {
			d.deed("retry", ref)
		}
	}
}

// hopeless: no rotation of the cluster can end, for nobody can recreate its
// nodes: it is an alpha cluster, or its old CA has expired. People take it out
// of the way of the others by a hold.
func (d *deployment) hopeless(ref fleet.Ref) bool {
	c := d.p.cache.Now(ref).Cluster
	return c.Alpha || !d.p.now.Before(c.Bundle.Oldest().Expires)
}

func leftToGKE(r record.Rotation) bool {
	for _, w := range r.Pools {
		if w.LeftToGKE != "" {
			return true
		}
	}
	return false
}

func approved(doc record.FleetDoc, r record.Rotation) bool {
	return slices.ContainsFunc(doc.Approvals, func(a record.Approval) bool {
		return a.Kind == record.CallComplete && a.Attempt == r.AttemptID && a.Entry == r.Entries
	})
}

func (d *deployment) approve(ref fleet.Ref, r *record.Rotation) {
	c := d.p.cache.Now(ref)
	if c.Gone {
		return
	}
	d.say("approve", ref, func(b record.Contents, said record.Said) (record.FleetDoc, string, error) {
		return operator.Approve(b.Fleet, d.policy, c.Cluster, r, time.Time{}, said)
	})
}

// approveStarts says yes to every start that waits for it.
func (d *deployment) approveStarts(b record.Contents) {
	for _, ref := range d.p.refs() {
		c := d.p.cache.Now(ref).Cluster
		_, flies := b.Rotations[ref]
		already := slices.ContainsFunc(b.Fleet.Approvals, func(a record.Approval) bool {
			return a.Kind == record.CallStart && a.Cluster == ref && a.ClusterID == c.ID &&
				a.CA == c.Bundle.Oldest().Fingerprint && d.p.now.Before(a.Until.Add(-time.Hour))
		})
		if !flies && !already && slices.Contains(d.policy.Projects, ref.Project) && len(c.Bundle.CAs) == 1 {
			d.approve(ref, nil)
		}
	}
}
