package trial

import (
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// How near to a CA's expiry things change, from protocol.md and design.md.
const (
	lastResortAt  = 30 * 24 * time.Hour // GKE starts by itself
	waitUntil     = 31 * 24 * time.Hour // an emergency waits for calendars that open before
	emergencyRest = 3 * 24 * time.Hour  // between an emergency's completion and the expiry
	leastSoak     = 4 * time.Hour
	afterNodes    = 24 * time.Hour
)

// showing is what a process could see of one cluster when it decided to send.
type showing struct {
	policy   *rules.Policy
	cluster  fleet.Cluster // the read under the intent
	gke      gkeCalendar
	ops      []fleet.Operation
	doc      *record.FleetDoc // read under the intent
	rotation *record.Rotation // in the store when it was sent
	from, to time.Time        // the decision was made between, on the sender's clock
}

// look gathers the view of a request that is being sent; ok is false when
// something is missing, which other functions tell.
func (j *judge) look(e *Event) (v showing, ok bool) {
	p := j.pass(e)
	ref := e.Request.Cluster
	_, ops, read, fleet := p.under(ref)
	if ops == nil || read == nil || p.run.Policy == nil || len(read.Look.Clusters) != 1 {
		return showing{}, false
	}
	v = showing{
		policy: p.run.Policy, cluster: read.Look.Clusters[0],
		gke: j.calendars.of(read.Look.Raw[ref].GetMaintenancePolicy()),
		ops: ops.Look.Operations[ref], from: read.Clock, to: e.Clock, rotation: j.ledger(e.Env).active[ref],
		doc: &record.FleetDoc{},
	}
	switch {
	case fleet == nil:
	case fleet.Fleet != nil:
		v.doc = fleet.Fleet
	case fleet.Contents != nil:
		v.doc = &fleet.Contents.Fleet
	}
	return v, true
}

// ofCluster is the view of a cluster under a policy, whatever the store holds.
func ofCluster(p *rules.Policy, c fleet.Cluster) showing {
	return showing{policy: p, cluster: c, doc: &record.FleetDoc{}}
}

// never gives why the call was not allowed at any moment at which it may have
// been decided, or "". A process that was paused before it sent may have
// decided at any time since its read.
func (v showing) never(ask func(t time.Time) string) string {
	why := ""
	step := max(time.Minute, v.to.Sub(v.from)/60)
	for t := v.from; t.Before(v.to); t = t.Add(step) {
		if why = ask(t); why == "" {
			return ""
		}
	}
	return ask(v.to)
}

// due: by its expiry, its age, a date of issue, or because somebody asked.
func (v showing) due(t time.Time) bool {
	p, ca := v.policy, oldest(v.cluster)
	if ca.Fingerprint == "" {
		return false
	}
	asked := slices.ContainsFunc(v.doc.Requests, func(q record.Request) bool {
		return q.Kind == record.RequestRotate && q.Cluster == v.cluster.Ref &&
			(q.CA == "" || q.CA == ca.Fingerprint)
	})
	return asked || !t.Before(ca.Expires.Add(-p.RotateBeforeExpiry)) ||
		p.MaxCAAge > 0 && !t.Before(ca.Issued.Add(p.MaxCAAge)) ||
		ca.Issued.Add(time.Hour).Before(p.RotateIssuedBefore) && !t.Before(p.RotateIssuedBefore)
}

func (v showing) emergency(t time.Time) bool {
	return v.due(t) && !t.Before(oldest(v.cluster).Expires.Add(-v.policy.EmergencyBeforeExpiry))
}

func (v showing) compromised() bool {
	p := v.policy
	return p.Compromised != nil && oldest(v.cluster).Issued.Add(time.Hour).Before(p.RotateIssuedBefore) &&
		matches(p.Compromised.String(), v.cluster.Labels)
}

// selected: its project, location and labels are those of the settings.
func (v showing) selected() bool {
	p, ref := v.policy, v.cluster.Ref
	place := len(p.Locations) == 0 || slices.ContainsFunc(p.Locations, func(l string) bool {
		return ref.Location == l || strings.HasPrefix(ref.Location, l+"-")
	})
	return place && slices.Contains(p.Projects, ref.Project) && matches(p.Selector.String(), v.cluster.Labels)
}

// matches reads a label selector of Kubernetes, as the settings have it.
func matches(selector string, labels map[string]string) bool {
	if selector == "" || selector == "all" {
		return true
	}
	depth, from := 0, 0
	for i, r := range selector + "," {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				if !matchesTerm(strings.TrimSpace(selector[from:i]), labels) {
					return false
				}
				from = i + 1
			}
		}
	}
	return true
}

func matchesTerm(term string, labels map[string]string) bool {
	if head, list, ok := strings.Cut(term, "("); ok {
		f := strings.Fields(head)
		values := strings.Split(strings.TrimSuffix(strings.TrimSpace(list), ")"), ",")
		for i := range values {
			values[i] = strings.TrimSpace(values[i])
		}
		got, has := labels[f[0]]
		in := has && slices.Contains(values, got)
		return in == (f[1] == "in")
	}
	if key, value, ok := strings.Cut(term, "!="); ok {
		got, has := labels[strings.TrimSpace(key)]
		return !has || got != strings.TrimSpace(value)
	}
	if key, value, ok := strings.Cut(strings.Replace(term, "==", "=", 1), "="); ok {
		got, has := labels[strings.TrimSpace(key)]
		return has && got == strings.TrimSpace(value)
	}
	key, not := strings.CutPrefix(term, "!")
	_, has := labels[strings.TrimSpace(key)]
	return has != not
}

// awaits says whether a closed calendar must be waited for: not when it is
// compromised, and in an emergency only if it opens before the last moment.
func (v showing) awaits(c calendar, t, last time.Time) bool {
	if c.room(t, roomFor) || v.compromised() {
		return false
	}
	return !v.emergency(t) || c.opens(t, last, roomFor)
}

// closed names the calendar of the cluster or the company that binds a start or
// a node call at t, or "".
func (v showing) closedBy(t time.Time, pool *fleet.Pool) string {
	last := oldest(v.cluster).Expires.Add(-waitUntil)
	if v.gke.strange && !v.emergency(t) && !v.compromised() {
		return "its maintenance policy is of an unknown kind"
	}
	window := v.gke.window
	if window == nil {
		window = weekly(v.policy.Window.String())
	}
	ask := []struct {
		name string
		open calendar
	}{{"its window", window}, {"its exclusions", v.gke.exclusions},
		{"freezes", freezes(v.policy.Freezes.String())}}
	if pool == nil {
		ask = append(ask, struct {
			name string
			open calendar
		}{"START_WINDOW", weekly(v.policy.StartWindow.String())})
	} else if x := pool.Exclusion; x != nil && string(x.Scope) != "NO_MINOR_UPGRADES" {
		ask = append(ask, struct {
			name string
			open calendar
		}{"the pool's exclusion", outside(x.Span.Start, x.Span.End, x.UntilEndOfSupport ||
			x.Span.End.IsZero())})
	}
	for _, a := range ask {
		if v.awaits(a.open, t, last) {
			return a.name + " had no room"
		}
	}
	return ""
}

// held says whether a hold of the document binds the cluster at t.
func held(doc *record.FleetDoc, ref fleet.Ref, t time.Time) bool {
	return slices.ContainsFunc(doc.Holds, func(h record.Hold) bool {
		here := h.Cluster == ref || h.Project == ref.Project || h.Cluster == fleet.Ref{} && h.Project == ""
		return here && (h.Until.IsZero() || t.Before(h.Until))
	})
}

// busy names an operation that runs on the cluster.
func (v showing) busy() string {
	if i := slices.IndexFunc(v.ops, running); i >= 0 {
		return v.ops[i].Name
	}
	return ""
}

func running(op fleet.Operation) bool { return !op.Done }
