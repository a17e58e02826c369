package notice

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// HandOverOf gives what people must know about the rotation that d is about:
// from the moment that old and new CA are in place until the attempt is closed.
// It is pure, and promises no more than calendars can: Completes is the first
// run at which nothing that is known now would be in the way.
func HandOverOf(p *rules.Policy, d policy.Decision, now time.Time,
	moment record.HandOverMoment) (record.HandOver, bool) {
	if d.Rotation == nil || d.Rotation.New.Fingerprint == "" || d.Rotation.HandedOverAt.IsZero() {
		return record.HandOver{}, false
	}
	r, c := d.Rotation.Clone(), d.Cluster
	seen := c.Status != ""
	if !seen {
		c = onRecord(c, r)
	}
	k := policy.NewCase(p, c, &r, &record.FleetDoc{}, "", now)
	k.Emergency, k.Compromised = d.Emergency, d.Compromised
	if n := len(r.Transitions); n > 0 {
		k.LastRun = r.Transitions[n-1].At
	}
	h := record.HandOver{
		Cluster: r.Cluster, AttemptID: r.AttemptID, AttemptNo: r.AttemptNo, Origin: r.Origin, At: now,
		Moment: moment, Phase: r.Phase,
		OldEndpoint: r.Baseline.Endpoint, NewEndpoint: cmp.Or(c.Endpoint, r.Endpoint),
		DNS: cmp.Or(c.DNS, r.Baseline.DNS), DNSExternal: c.DNSExternal, OldCA: r.Baseline.CA, NewCA: r.New,
		Zonal: c.Zonal, Autopilot: c.Autopilot, Pools: poolsTold(k, seen), Watched: !r.Managed,
		NoWindow: seen && c.Maintenance.Window == nil && c.Maintenance.Problem == "",
	}
	if r.Phase == record.Verifying || d.Close != "" {
		h.Completed = r.Entered(record.Verifying)
		return h, true
	}
	if !seen {
		h.Waits = fact.Sayf("the cluster could not be read: %v", d.Message)
	}
	dates(k, &h, d)
	h.Waits = h.Waits.Clip(record.MaxMessage) // it may be stored
	return h, true
}

// onRecord is what the record alone tells of a cluster that could not be read.
func onRecord(c fleet.Cluster, r record.Rotation) fleet.Cluster {
	c.Bundle = fleet.Bundle{CAs: []fleet.CA{r.Baseline.CA, r.New}}
	c.Zonal = strings.Count(r.Cluster.Location, "-") == 2
	return c
}

// CompletionAhead is when a rotation that was handed over is likely completed, as far
// as calendars tell; zero: not within rules.BlockedAfter. Of a cluster that was not read
// c is zero: the record alone speaks, and its own window is not awaited. Own says that it
// completes in that window, and not in COMPLETE_WINDOW.
func CompletionAhead(p *rules.Policy, c fleet.Cluster, r record.Rotation, now time.Time) (at time.Time,
	own bool) {
	if c.Status == "" {
		free := *p
		free.Window = window.Weekly{}
		p, c = &free, onRecord(c, r)
	}
	r = r.Clone()
	k := policy.NewCase(p, c, &r, &record.FleetDoc{}, "", now)
	soak, _ := k.SoakOver()
	return k.CompletesFrom(window.Later(soak, now)), k.ZonalOnly()
}

// poolsTold are the pools that the rotation needs recreated, and whether they
// are. Those that are gone need nothing; Autopilot's are not the user's.
func poolsTold(k *policy.Case, seen bool) map[string]bool {
	if k.Cluster.Autopilot {
		return nil
	}
	told := map[string]bool{}
	for _, p := range k.Cluster.Pools {
		if slices.Contains(k.Rotation.PoolsSeen, p.Name) || k.PoolNeedsWork(p) {
			told[p.Name] = !k.PoolNeedsWork(p)
		}
	}
	if !seen {
		for _, name := range k.Rotation.PoolsSeen {
			told[name] = k.Rotation.Pools[name].Done()
		}
	}
	return told
}

// dates fills in when the old credentials end, by us and by GKE.
func dates(k *policy.Case, h *record.HandOver, d policy.Decision) {
	r := k.Rotation
	h.GKECompletes, h.GKEProbably = k.AutoComplete(), k.Probably()
	if r.Phase == record.Completing {
		h.Completes = r.Entered(record.Completing)
		return
	}
	ahead := k.Ahead()
	h.SoakEnds = ahead.Likely.SoakOver
	h.GKEProbably = window.Later(h.GKEProbably, ahead.Likely.NodesDone)
	if h.SoakEnds.IsZero() {
		h.SoakEnds, _ = k.SoakOver()
	}
	if h.Watched || len(h.Waits) > 0 {
		return
	}
	h.Approval = k.Policy.Approval.Asks(record.CallComplete) && d.Approved == nil
	from, slow := k.Now, fact.Text(nil)
	for _, v := range d.Gates {
		switch {
		case v.Gate == policy.GateApproval:
			h.Approval = !v.Open
		case v.Open || v.Lifted || !slices.Contains(delaying, v.Gate):
		case v.OpensAt.IsZero():
			slow = fact.Join(v.Message, slow)
		default:
			from = window.Later(from, v.OpensAt)
		}
	}
	if ahead.Likely.Completed.IsZero() {
		slow = fact.Join(slow, k.Misfit(ahead))
	}
	if len(slow) > 0 {
		h.Waits = slow
		return
	}
	h.Completes = window.Later(k.NotBefore(ahead.Early), r.Promised)
	likely := window.Later(k.CompletesFrom(window.Later(ahead.Likely.Completed, from)), r.Promised)
	if likely.Sub(h.Completes) > k.Policy.Every {
		h.Likely = likely
	}
}

// delaying are the gates that put a completion off beside soak and calendars.
var delaying = []string{policy.GateHold, policy.GateTries, policy.GateSettled, policy.GateMaintenance}
