package course

import (
	"cmp"
	"slices"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Ahead is how the rotation on record goes on from now: by what was measured, where
// something was.
func (k *Course) Ahead() Forecast {
	f := k.flight(k.Compromised).all(k.expires())
	// What an emergency does not wait for is not waited for here.
	late := k.expires().Add(-rules.DeadlineBefore)
	if done := f.Likely.NodesDone; k.Emergency && !k.Compromised && (done.IsZero() || done.After(late)) {
		return k.flight(true).all(k.expires())
	}
	return f
}

// plan is how we go about the nodes that are left.
func (k *Course) plan() plan {
	_, how := k.flight(k.Compromised).plot(k.expires())
	return how
}

// flight is the facts of the rotation on record.
func (k *Course) flight(free bool) *facts {
	r := k.Rotation
	f := k.facts(k.Now.Truncate(Grid), free)
	f.started, f.handedOver, f.startEnded = r.StartedAt(), r.HandedOverAt, r.StartOp.EndedAt
	if f.startEnded.IsZero() {
		f.startEnded = r.HandedOverAt
	}
	if !r.Managed && (!k.Emergency || r.ClosedBy != nil) {
		f.nodesByGKE = true // nobody else is going to do it
	}
	f.lastDone, f.upgraded = r.NodesDoneAt(), r.Pools[""].EndedAt
	for _, p := range k.Cluster.Pools {
		if k.PoolNeedsWork(p) {
			f.pools = append(f.pools, k.inWork(p, free))
		}
	}
	return f
}

// inWork is a pool with what is under way on it.
func (k *Course) inWork(p fleet.Pool, free bool) Pool {
	r := k.Rotation
	w, call := r.Pools[p.Name], r.PoolCalls[p.Name]
	out := Pool{Pool: p, LeftToGKE: w.LeftToGKE != "", NotBefore: w.NotBefore}
	if free {
		out.Exclusion = nil
	}
	for _, op := range k.Cluster.Operations {
		if !op.Done && op.Pool == p.Name {
			out.Running = &Running{Since: op.Start, ByGKE: op.Name != call.Operation, Done: op.NodesDone,
				Total: op.Nodes}
			return out
		}
	}
	return out // also where a call is on its way: as many are needed as before it
}

// Promise is before when we do not complete, as it is told at a hand-over: the soak over,
// and the calendars open. Zero: we do not complete within 30 days.
func (k *Course) Promise() time.Time { return k.NotBefore(k.Ahead().Likely) }

// NotBefore is the bound of a completion at those times. It names no run, for runs do not
// come by the minute.
func (k *Course) NotBefore(t Times) time.Time {
	if t.Completed.IsZero() {
		return time.Time{}
	}
	at := t.SoakOver
	if open, edge := window.RoomAt(k.completeCalendar(), at, record.Room); !open && !k.Compromised {
		at = edge
	}
	if at.IsZero() || at.After(t.Completed) {
		at = t.Completed // an emergency does not wait for all of them
	}
	return at.Truncate(Grid)
}

// PoolsAtOnce is how many pools may be under way: as set, or the fewest with
// which the rest still fits before GKE's seven days.
func (k *Course) PoolsAtOnce() int {
	if k.Policy.PoolsAtOnce > 0 {
		return k.Policy.PoolsAtOnce
	}
	return k.plan().atOnce
}

// GraceOver is when GKE has had its time to begin by itself, and we may recreate
// pools: at once, where the rest would not fit otherwise.
func (k *Course) GraceOver() time.Time {
	if k.Policy.NodeGrace == 0 || k.plan().grace == 0 {
		return k.Rotation.StartedAt()
	}
	return k.flight(false).graceOver(k.Policy.NodeGrace)
}

// Begun is how our work on the pool goes if it begins now: where it would run on for too
// long, stop is when it had to be done. When that may next be otherwise is changes. Where
// nothing may begin now, other gates say so.
func (k *Course) Begun(p fleet.Pool) (work Work, stop, changes time.Time) {
	f := k.facts(k.Now, k.Compromised)
	usual, longest := Takes(p, false, f.node)
	work = Work{Pool: p.Name, Begin: k.Now, Likely: k.Now.Add(usual), Late: k.Now.Add(longest),
		Closes: closes(f.window, k.Now)}
	room, changes := f.room(k.Now)
	switch {
	case room > 0 && usual > room:
		stop = k.Now.Add(room)
	case room > 0 && room < window.Horizon: // as long as the room is enough
		changes = window.Soonest(changes, k.Now.Add(room-usual+1))
	}
	return work, stop, changes
}

// LongestFirst orders pools as they are begun: what takes us longest goes first.
func (k *Course) LongestFirst(a, b string) int {
	takes := func(name string) (d time.Duration) {
		for _, p := range k.Cluster.Pools {
			if p.Name == name {
				d, _ = Takes(p, false, k.Policy.NodeTime)
			}
		}
		return d
	}
	return cmp.Compare(takes(b), takes(a))
}

// Longest is how long recreating the pool takes at the latest, whoever does it.
func (k *Course) Longest(p fleet.Pool) time.Duration {
	_, byUs := Takes(p, false, k.Policy.NodeTime)
	_, byGKE := Takes(p, true, k.Policy.NodeTime)
	return max(byUs, byGKE)
}

// CompletesFrom is the first run from t on at which the calendars allow the completion,
// or an emergency no longer waits for them; zero: none within 30 days.
func (k *Course) CompletesFrom(t time.Time) time.Time {
	f := k.flight(false)
	f.until = t.Add(rules.BlockedAfter)
	return f.completes(t)
}

// AutoComplete is from when GKE may complete the rotation by itself, whatever was
// agreed: the one date that people are told.
func (k *Course) AutoComplete() time.Time { return rules.AutoComplete(*k.Rotation) }

// Probably is when GKE likely completes by itself, no earlier than AutoComplete: its
// nodes done, its policy open, or the expiry so near that GKE need not keep to it. It
// never stands in place of the other date.
func (k *Course) Probably() time.Time {
	at := latest(k.AutoComplete(), k.Rotation.NodesDoneAt())
	next, ok := k.Cluster.Maintenance.Open(window.Always()).Next(at)
	if !ok || !next.Start.After(at) {
		return at
	}
	if expires := k.expires(); !expires.IsZero() {
		return latest(at, window.Earlier(next.Start, expires.Add(-rules.LastResortBefore)))
	}
	return next.Start
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

// PoolNeedsWork says whether the pool needs proof of recreation: one of the first read
// that showed two CAs does; one
// that was absent there is new and has the new credentials.
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
	at := FullWindowAfter(k.Open(), w.EndedAt)
	return !at.IsZero() && !k.Now.Before(at)
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
