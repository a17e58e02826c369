package policy

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/course"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

// countStuck adds the time since the last run to what nothing explains. It
// counts at most two runs' distance, so a paused schedule counts nothing.
func (k *Case) countStuck(d *Decision, r *record.Rotation) {
	if d.Close != "" || !r.Managed {
		return
	}
	if k.explained(*d) {
		r.CountedAt = time.Time{}
		return
	}
	if !r.CountedAt.IsZero() {
		r.Unexplained += min(k.Now.Sub(r.CountedAt), 2*k.Policy.Every)
	}
	r.CountedAt = k.Now
	if r.Unexplained > k.Policy.StuckAfter && !r.Stuck {
		r.Stuck = true
		d.Tell(rotationStuck(r, d.Message))
	}
}

// explained says whether a gate or an operation explains that nothing moves.
// An operation explains itself while its count of nodes done rises, and without one
// for up to twice the time that it takes at the latest.
func (k *Case) explained(d Decision) bool {
	if d.Action != Wait && d.Action != NeedsAction {
		return true
	}
	switch d.Reason.Info().Explains {
	case reason.Always:
		return true
	case reason.WhileGKEWaits:
		if next, ok := k.Open().Next(k.Now); !ok || next.Start.After(k.Now) {
			return true
		}
	}
	for _, op := range k.Cluster.Operations {
		if op.Done {
			continue
		}
		since, longest := op.Start, course.StartTakesLate
		if p := k.pool(op.Pool); p != nil && op.Pool != "" {
			longest = max(longest, k.Longest(*p))
		}
		if w := k.Rotation.Pools[op.Pool]; w.Operation == op.Name {
			since = window.Later(since, w.RoseAt)
		}
		if k.Now.Sub(since) < 2*longest {
			return true
		}
	}
	return false
}

// besideUs: what GKE does beside the rotation ends by itself, and is nobody's fault. Where it
// takes longer than it may, and STUCK_AFTER, people hear.
func (k *Case) besideUs(d *Decision) {
	if d.Action != Wait || !d.Reason.Info().BesideUs {
		return
	}
	work, text, longest := k.gkeWork()
	if work.What == "" {
		return
	}
	name := k.Cluster.Ref.String()
	if was, ok := k.Doc.OnGKE[name]; ok && (was.What == work.What || !k.Cluster.OperationsRead ||
		was.What == string(k.Cluster.Status)) {
		work.Since = was.Since // also where the operation behind the status was not read before
	}
	d.OnGKE = &work
	if end := work.Since.Add(longest + k.Policy.StuckAfter); k.Now.Before(end) {
		k.waits = end
		if k.Rotation == nil {
			d.Message = text
		}
		return
	}
	long := fact.Sayf("%v; seen since %v", text, work.Since)
	d.set(NeedsAction, reason.GKEWorksLong, long)
	if r := k.Rotation; r != nil && r.Reason != reason.GKEWorksLong {
		d.Tell(Blocked(d.Reason, long)) // an idle cluster's is told with all of its kind
	}
}

// gkeWork is what GKE does now on the cluster, and how long that takes at the latest.
func (k *Case) gkeWork() (w record.GKEWork, text fact.Text, longest time.Duration) {
	c := k.Cluster
	w, longest = record.GKEWork{What: string(c.Status), Since: k.Now}, course.StartTakesLate
	text = fact.Sayf("status %s", c.State())
	for _, op := range c.Operations {
		if op.Done || c.RunsOn("") != "" && op.Pool != "" {
			continue
		}
		w.What = op.Name
		text = fact.Join(text, fact.Sayf("%s %s runs since %v", op.Type, op.Name, op.Start))
		if p := k.pool(op.Pool); p != nil && op.Pool != "" {
			longest = max(longest, k.Longest(*p))
		}
		return w, text, longest
	}
	switch {
	case c.Partial:
		w.What, text = string(reason.ListedPartly), sentence(reason.ListedPartly)
	case c.Status == fleet.Running && len(k.busyPools()) > 0:
		w.What, text = "pools", fact.Sayf("pools at work: %s", fact.Some(k.busyPools()))
	case c.Status == fleet.Running:
		w.What = ""
	}
	return w, text, longest
}

func (k *Case) busyPools() (names []string) {
	for _, p := range k.Cluster.Pools {
		if p.Status != fleet.Running && harm[p.Status] == 0 {
			names = append(names, p.Name+" "+string(p.Status))
		}
	}
	return names
}

// noteCaught tells at once, and once, that a hold, a freeze, a soak, the completion
// window or a calendar that nobody understands has caught the rotation: GKE waits
// for none of them.
func (k *Case) noteCaught(d *Decision, r *record.Rotation) {
	gates := d.Gates
	if !r.Managed || (r.Phase != record.RecreatingNodes && r.Phase != record.UpdatingClients) {
		gates = nil
	}
	var caught []string
	gke := k.AutoComplete()
	for _, v := range gates {
		catching := v.Reason.Info().Catches
		catches := catching == reason.Always || catching == reason.IfAfterGKE && !v.OpensAt.Before(gke)
		if v.Open || v.Lifted || !catches || slices.Contains(caught, string(v.Reason)) {
			continue
		}
		caught = append(caught, string(v.Reason))
		note := v.Message.Tailf("; GKE may complete by itself from %v, and only a NO_UPGRADES exclusion on the cluster delays that", gke)
		if v.Reason == d.Reason {
			d.Message = note
		}
		if !slices.Contains(r.Caught, string(v.Reason)) {
			d.Tell(Blocked(v.Reason, note))
		}
	}
	r.Caught = caught
}
