package course

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Open is when the cluster's maintenance policy allows node work. Where nobody
// understands it, never; but in an emergency or a compromise the gate of that name
// is lifted, and WINDOW and the exclusions that could be read are what is left.
func (k *Course) Open() window.Schedule {
	m := k.Cluster.Maintenance
	if k.Emergency || k.Compromised {
		m.Problem = ""
	}
	return m.Open(k.Policy.Window)
}

// AutoComplete is when GKE may complete the rotation by itself.
func (k *Course) AutoComplete() time.Time { return rules.AutoComplete(*k.Rotation) }

// soaked is when the soak since the hand-over is over, and the part of it that must
// follow the last node work.
func soaked(soak time.Duration, handedOver, nodesDone time.Time) time.Time {
	return window.Later(handedOver.Add(soak), nodesDone.Add(min(soak, rules.NodeSoak)))
}

// SoakOver is when clients have had their time. It is never shortened
// silently: the text names the rule that gave it.
func (k *Course) SoakOver() (time.Time, fact.Text) {
	r := k.Rotation
	after := func(soak time.Duration) time.Time { return soaked(soak, r.HandedOverAt, r.NodesDoneAt()) }
	normal := after(k.Policy.Soak)
	switch {
	case k.Compromised:
		return after(k.Policy.SoakCompromised), fact.Set("SOAK_COMPROMISED", fleet.Days(k.Policy.SoakCompromised))
	case k.Emergency:
		reserve := k.Cluster.Bundle.Oldest().Expires.Add(-rules.EmergencyReserve)
		least := window.Later(r.HandedOverAt, r.NodesDoneAt()).Add(rules.EmergencySoak)
		if normal.After(reserve) {
			return window.Later(reserve, least), fact.Say("what is left of SOAK before the expiry")
		}
	}
	return normal, fact.Set("SOAK", fleet.Days(k.Policy.Soak))
}

// ZonalOnly says whether a zonal cluster's completion ignores COMPLETE_WINDOW.
func (k *Course) ZonalOnly() bool {
	return k.Cluster.Zonal && k.Policy.ZonalComplete == rules.ZonalWindow
}

// completeCalendar is when the calendars together allow a completion.
func (k *Course) completeCalendar() window.Schedule {
	of := []window.Schedule{k.Policy.Freezes}
	if !k.ZonalOnly() {
		of = append(of, k.Policy.CompleteWindow)
	}
	if k.Cluster.Zonal && k.Policy.ZonalComplete != rules.ZonalPeople {
		of = append(of, k.Open())
	}
	return window.All(of...)
}

// Unrecreated names the pools without proof of recreation. An Autopilot
// cluster may prove it by its control plane instead.
func (k *Course) Unrecreated() []string {
	var names []string
	for _, p := range k.Cluster.Pools {
		if k.PoolNeedsWork(p) {
			names = append(names, p.Name)
		}
	}
	if k.Cluster.Autopilot && (len(names) > 0 || len(k.Cluster.Pools) == 0) {
		if k.autopilotDone() {
			return nil
		}
		if len(names) == 0 {
			names = []string{"(Autopilot nodes)"}
		}
	}
	return names
}

// PoolNeedsWork says that the pool lacks proof of recreation. A pool that was absent in
// the first read that showed two CAs is new, has the new credentials and needs none.
func (k *Course) PoolNeedsWork(p fleet.Pool) bool {
	r := k.Rotation
	if !slices.Contains(r.PoolsSeen, p.Name) && r.Pools[p.Name].VoidBefore.IsZero() {
		return false
	}
	return !r.Pools[p.Name].Done()
}

// autopilotDone: one full window has passed since our control-plane
// re-upgrade; GKE's answer to the completion then judges.
func (k *Course) autopilotDone() bool {
	w := k.Rotation.Pools[""]
	if !w.Done() {
		return false
	}
	at := k.FullWindowAfter(w.EndedAt)
	return !at.IsZero() && !k.Now.Before(at)
}

// fullWindow is what counts as one full window where the window never closes:
// GKE's least contiguous availability.
const fullWindow = 4 * time.Hour

// FullWindowAfter is when a whole window has passed since t; zero when none
// opens.
func (k *Course) FullWindowAfter(t time.Time) time.Time {
	s, ok := k.Open().Next(t)
	if ok && s.End.Sub(window.Later(s.Start, t)) < fullWindow && s.Start.Before(t) {
		s, ok = k.Open().Next(s.End)
	}
	if !ok {
		return time.Time{}
	}
	end := window.Later(s.Start, t).Add(fullWindow)
	if s.End.Before(end) {
		end = s.End
	}
	return end
}

// GraceFrom is when GKE could have begun: the end of the start operation.
func (k *Course) GraceFrom() time.Time {
	if t := k.Rotation.StartOp.EndedAt; !t.IsZero() {
		return t
	}
	return k.Rotation.Entered(record.RecreatingNodes)
}

// PoolsAtOnce is how many pools may be under way: as set, or the fewest with
// which the rest still fits before GKE's seven days.
func (k *Course) PoolsAtOnce() int {
	if k.Policy.PoolsAtOnce > 0 {
		return k.Policy.PoolsAtOnce
	}
	var rest []fleet.Pool
	for _, p := range k.Cluster.Pools {
		if k.PoolNeedsWork(p) {
			rest = append(rest, p)
		}
	}
	r, limit := k.Rotation, k.AutoComplete()
	for n := 1; n < mostPoolsAtOnce; n++ {
		done, _ := k.nodesDone(r.StartedAt(), k.Now.Truncate(Grid), n, limit, rest)
		if done.IsZero() {
			continue
		}
		soak := soaked(k.Policy.Soak, r.HandedOverAt, done)
		if at := k.completionAt(r.StartedAt(), soak); !at.IsZero() && at.Before(limit) {
			return n
		}
	}
	return mostPoolsAtOnce
}

// GKECompletes is when GKE may complete by itself: seven days after the start,
// its policy open, nodes done.
func (k *Course) GKECompletes() time.Time {
	at := window.Later(k.AutoComplete(), k.Rotation.NodesDoneAt())
	if next, ok := k.Open().Next(at); ok && next.Start.After(at) {
		return next.Start
	}
	return at
}

// Progress counts the pools that need no more work.
func (k *Course) Progress() (done, all int) {
	for _, p := range k.Cluster.Pools {
		all++
		if !k.PoolNeedsWork(p) {
			done++
		}
	}
	return done, all
}

// PlayNodes writes into its own copy of the record when the pools that are left
// would be done, and says what keeps one from that.
func (k *Course) PlayNodes() fact.Text {
	var left []fleet.Pool
	for _, name := range k.Unrecreated() {
		for _, p := range k.Cluster.Pools {
			if p.Name == name {
				left = append(left, p)
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	done, slowest := k.playOn(left, false)
	// What an emergency or a compromise does not wait for is not waited for here.
	late := k.Cluster.Bundle.Oldest().Expires.Add(-rules.DeadlineBefore)
	if k.Compromised || k.Emergency && (done.IsZero() || done.After(late)) {
		done, slowest = k.playOn(left, true)
	}
	if done.IsZero() {
		return slowest
	}
	if k.Rotation.Pools == nil {
		k.Rotation.Pools = map[string]record.Work{}
	}
	for _, p := range left {
		w := k.Rotation.Pools[p.Name]
		w.EndedAt, w.FirstSeen = done, done
		k.Rotation.Pools[p.Name] = w
	}
	return nil
}

// playOn is when the pools would be done from now on; free: at any time of day.
func (k *Course) playOn(left []fleet.Pool, free bool) (time.Time, fact.Text) {
	own, played := *k.Policy, *k
	played.Policy, played.Cluster.Pools = &own, slices.Clone(left)
	if !k.Rotation.Managed && !k.Emergency {
		own.Nodes = rules.NodesGKE // nobody else is going to do it
	}
	if free {
		own.Window, own.Freezes, own.NodeGrace = window.Weekly{}, window.Freezes{}, 0
		played.Cluster.Maintenance = window.Maintenance{}
		for i := range played.Cluster.Pools {
			played.Cluster.Pools[i].Exclusion = nil
		}
	}
	begin := window.Later(k.Now, played.graceOver(k.GraceFrom(), k.Now))
	return played.nodesDone(k.Now, begin, played.PoolsAtOnce(), k.Now.Add(rules.BlockedAfter),
		played.Cluster.Pools)
}
