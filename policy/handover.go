package policy

import (
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

// HandOverOf gives what people must know about the rotation that d is about:
// from the moment that old and new CA are in place until the attempt is closed.
// It is pure, and promises no more than calendars can: Completes is the first
// run at which nothing that is known now would be in the way.
func HandOverOf(p *Policy, d Decision, now time.Time, moment record.HandOverMoment) (record.HandOver, bool) {
	if d.Rotation == nil || d.Rotation.New.Fingerprint == "" || d.Rotation.HandedOverAt.IsZero() {
		return record.HandOver{}, false
	}
	r := d.Rotation.Clone()
	seen := d.Cluster.Status != "" // else it could not be read: the record alone speaks
	c := d.Cluster
	if !seen {
		c.Bundle, c.Zonal = fleet.Bundle{CAs: []fleet.CA{r.Baseline.CA, r.New}},
			strings.Count(r.Cluster.Location, "-") == 2
	}
	k := newCase(p, c, &r, &record.FleetDoc{}, "", now)
	k.Emergency, k.Compromised = d.Emergency, d.Compromised
	h := record.HandOver{
		Cluster: r.Cluster, AttemptID: r.AttemptID, AttemptNo: r.AttemptNo, Origin: r.Origin, At: now,
		Moment: moment, Phase: r.Phase,
		OldEndpoint: r.Baseline.Endpoint, NewEndpoint: c.Endpoint, DNS: r.Baseline.DNS, OldCA: r.Baseline.CA,
		NewCA: r.New,
		Zonal: c.Zonal, Autopilot: c.Autopilot, Pools: k.poolsTold(seen), Watched: !r.Managed,
	}
	if c.DNS != "" {
		h.DNS = c.DNS
	}
	if c.Endpoint == "" {
		h.NewEndpoint = r.Endpoint
	}
	if r.Phase == record.Verifying || d.Close != "" {
		h.Completed = r.Entered(record.Verifying)
		return h, true
	}
	if !seen {
		h.Waits = fact.Sayf("the cluster could not be read: %v", d.Message)
	}
	k.dates(&h, d)
	h.Waits = h.Waits.Clip(record.MaxMessage) // it may be stored
	return h, true
}

// CompletionAhead is the first run from the end of the soak on at which the
// calendars allow the completion of a rotation that was handed over, as if its
// nodes were done; zero: none within BlockedAfter. Of a cluster that was not read
// c is zero: the record alone speaks, and its own window is not awaited. Own says
// that it completes in that window, and not in COMPLETE_WINDOW.
func CompletionAhead(p *Policy, c fleet.Cluster, r record.Rotation, now time.Time) (at time.Time, own bool) {
	if c.Status == "" {
		free := *p
		free.Window = window.Weekly{}
		p, c.Zonal, c.Bundle = &free, strings.Count(r.Cluster.Location, "-") == 2,
			fleet.Bundle{CAs: []fleet.CA{r.Baseline.CA, r.New}}
	}
	r = r.Clone()
	k := newCase(p, c, &r, &record.FleetDoc{}, "", now)
	soak, _ := k.soakOver()
	return k.completesFrom(later(soak, now)), c.Zonal && p.ZonalComplete == ZonalWindow
}

// poolsTold are the pools that the rotation needs recreated, and whether they
// are. Those that are gone need nothing; Autopilot's are not the user's.
func (k *Case) poolsTold(seen bool) map[string]bool {
	if k.Cluster.Autopilot {
		return nil
	}
	told := map[string]bool{}
	for _, p := range k.Cluster.Pools {
		if slices.Contains(k.Rotation.PoolsSeen, p.Name) || k.poolNeedsWork(p) {
			told[p.Name] = !k.poolNeedsWork(p)
		}
	}
	if !seen {
		for _, name := range k.Rotation.PoolsSeen {
			told[name] = k.Rotation.Pools[name].Done()
		}
	}
	return told
}

// dates fills in when the old credentials end, by us and by GKE. Nodes that are
// not done yet count as done when the calendars let them be.
func (k *Case) dates(h *record.HandOver, d Decision) {
	r := k.Rotation
	if r.Phase == record.Completing {
		h.Completes, h.GKECompletes = r.Entered(record.Completing), k.gkeCompletes()
		return
	}
	slow := k.playNodes()
	h.SoakEnds, _ = k.soakOver()
	h.GKECompletes = k.gkeCompletes()
	if h.Watched || len(h.Waits) > 0 {
		return
	}
	h.Approval = k.Policy.Approval.Asks(record.CallComplete) && d.Approved == nil
	from := later(h.SoakEnds, k.Now)
	if n := len(r.Transitions); n > 0 && r.Transitions[n-1].At.Equal(k.Now) {
		from = later(from, k.Now.Add(k.Policy.Every)) // one phase a run
	}
	for _, v := range d.Gates {
		switch {
		case v.Gate == GateApproval:
			h.Approval = !v.Open
		case v.Open || v.Lifted || !slices.Contains(delaying, v.Gate):
		case v.OpensAt.IsZero():
			slow = fact.Join(v.Message, slow)
		default:
			from = later(from, v.OpensAt)
		}
	}
	if len(slow) > 0 {
		h.Waits = slow
		return
	}
	if h.Completes = k.completesFrom(from); h.Completes.IsZero() {
		h.Waits = fact.Sayf("%v%v: no completion window opens within %s of %v",
			fact.Set("COMPLETE_WINDOW", k.Policy.CompleteWindow),
			k.freezeNote(from, from.Add(BlockedAfter)), fleet.Days(BlockedAfter), from)
	}
}

// playNodes writes into its own copy of the record when the pools that are left
// would be done, and says what keeps one from that.
func (k *Case) playNodes() fact.Text {
	var left []fleet.Pool
	for _, name := range k.unrecreated() {
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
	late := k.Cluster.Bundle.Oldest().Expires.Add(-DeadlineBefore)
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
func (k *Case) playOn(left []fleet.Pool, free bool) (time.Time, fact.Text) {
	own, played := *k.Policy, *k
	played.Policy, played.Cluster.Pools = &own, slices.Clone(left)
	if !k.Rotation.Managed && !k.Emergency {
		own.Nodes = NodesGKE // nobody else is going to do it
	}
	if free {
		own.Window, own.Freezes, own.NodeGrace = window.Weekly{}, window.Freezes{}, 0
		played.Cluster.Maintenance = window.Maintenance{}
		for i := range played.Cluster.Pools {
			played.Cluster.Pools[i].Exclusion = nil
		}
	}
	begin := later(k.Now, played.graceOver(k.graceFrom(), k.Now))
	return played.nodesDone(k.Now, begin, played.poolsAtOnce(), k.Now.Add(BlockedAfter), played.Cluster.Pools)
}

// delaying are the gates that put a completion off beside soak and calendars.
var delaying = []string{GateHold, GateTries, GateSettled, GateMaintenance}

// completesFrom is the first run from t on at which the calendars allow a
// completion, or no longer bind it, on the grid of the runs so far; zero if not
// within BlockedAfter.
func (k *Case) completesFrom(t time.Time) time.Time {
	grid := k.Now
	if ts := k.Rotation.Transitions; len(ts) > 0 {
		grid = ts[len(ts)-1].At
	}
	then := *k
	alarm := k.Cluster.Bundle.Oldest().Expires.Add(-k.Policy.EmergencyBeforeExpiry)
	for at := k.runAt(grid, t); at.Before(t.Add(BlockedAfter)); {
		then.Now, then.Emergency = at, k.Emergency || !at.Before(alarm)
		asked := then.ask(CompleteGates, func(g Gate) bool { return g.Calendar })
		if _, isClosed := firstClosed(asked); !isClosed {
			return at
		}
		next := soonest(alarmAfter(alarm, at), then.nextOf(asked))
		if !next.After(at) {
			break
		}
		at = k.runAt(grid, next)
	}
	return time.Time{}
}

// alarmAfter is the alarm if it is still to come.
func alarmAfter(alarm, at time.Time) time.Time {
	if alarm.After(at) {
		return alarm
	}
	return time.Time{}
}

// nextOf is when the verdicts may first change.
func (k *Case) nextOf(vs []Verdict) time.Time {
	var next time.Time
	for _, v := range vs {
		if v.Changes.After(k.Now) {
			next = soonest(next, v.Changes)
		}
	}
	return next
}
