package policy

import (
	"slices"
	"sort"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// FleetGate is a gate that looks at other clusters. It is asked last, in the order
// in which starts are dealt out, and of its own cluster it knows the candidate alone.
type FleetGate struct {
	Name string
	Ask  func(*candidate, *tally) Verdict
	// Emergency and Compromised say how the gate gives way.
	Emergency, Compromised Yield
}

// FleetGates must be open after [StartGates] before a rotation starts.
var FleetGates = []FleetGate{
	{Name: GateBreaker, Ask: askBreaker, Emergency: Reported, Compromised: Reported},
	{Name: "wave", Ask: askWave, Emergency: IfLate, Compromised: Lifted},
	{Name: GateSlot, Ask: askSlot, Emergency: ByItself, Compromised: ByItself}, // caps of their own
}

// tally is what the fleet gates look at: the store, who holds slots and which
// clusters keep a wave closed. The second step counts it up as it gives slots away.
type tally struct {
	policy      *rules.Policy
	doc         *record.FleetDoc
	now         time.Time
	active      int // ordinary slots
	emergency   int
	compromised int
	projects    map[string][]string // who holds the ordinary ones in each
	locations   map[string][]string // of all projects: a region's capacity
	waves       map[int][]pending
	excused     map[int][]string // not verified, and yet keeping no wave closed
	ahead       map[int]*ahead   // made when first asked for: all is noted by then
}

// pending is a cluster that keeps later waves closed.
type pending struct {
	ref fleet.Ref
	due time.Time
}

func newTally(p *rules.Policy, doc *record.FleetDoc, now time.Time) *tally {
	t := &tally{
		policy: p, doc: doc, now: now,
		projects: map[string][]string{}, locations: map[string][]string{},
		waves: map[int][]pending{}, excused: map[int][]string{}, ahead: map[int]*ahead{},
	}
	for name, slot := range doc.Slots {
		if ref, err := fleet.ParseRef(name); err == nil {
			t.take(ref, slot.Emergency, slot.Compromised)
		}
	}
	for _, holders := range []map[string][]string{t.projects, t.locations} {
		for _, names := range holders {
			slices.Sort(names)
		}
	}
	return t
}

// noteWave notes whether the cluster keeps later waves closed.
func (t *tally) noteWave(c *candidate) {
	switch {
	case c.holds:
		t.waves[c.wave] = append(t.waves[c.wave], pending{c.ref, c.dueSince})
	case c.excused != "":
		t.excused[c.wave] = append(t.excused[c.wave], c.ref.String()+" ("+c.excused+")")
	}
}

func (t *tally) take(ref fleet.Ref, emergency, compromised bool) {
	switch {
	case compromised:
		t.compromised++
	case emergency:
		t.emergency++
	default:
		t.active++
		t.projects[ref.Project] = append(t.projects[ref.Project], ref.Name)
		t.locations[ref.Location] = append(t.locations[ref.Location], ref.String())
	}
}

func askSlot(c *candidate, t *tally) Verdict {
	p := t.policy
	full := func(why reason.Code, n, limit int, name string, by ...string) Verdict {
		taken := fact.Sayf("%d of %v taken", n, fact.Set(name, limit))
		if len(by) > 0 {
			taken = fact.Sayf("%v by %v", taken, clusters(by))
		}
		return closedBy(why, taken)
	}
	inProject, inLocation := t.projects[c.ref.Project], t.locations[c.ref.Location]
	switch {
	case t.active+t.emergency+t.compromised >= record.MaxSlots:
		return closedBy(reason.BudgetFleet,
			fact.Sayf("all %d slots that the store has room for are taken", record.MaxSlots))
	case c.compromised && t.compromised >= p.CompromisedMaxActive:
		return full(reason.BudgetEmergency, t.compromised, p.CompromisedMaxActive, "COMPROMISED_MAX_ACTIVE")
	case c.compromised:
		return isOpen(fact.Sayf("slot %d of %d for compromised clusters", t.compromised+1, p.CompromisedMaxActive))
	case c.emergency && t.emergency >= p.EmergencyMaxActive:
		return full(reason.BudgetEmergency, t.emergency, p.EmergencyMaxActive, "EMERGENCY_MAX_ACTIVE")
	case c.emergency:
		return isOpen(fact.Sayf("emergency slot %d of %d", t.emergency+1, p.EmergencyMaxActive))
	case t.active >= p.MaxActive:
		return full(reason.BudgetFleet, t.active, p.MaxActive, "MAX_ACTIVE")
	case p.MaxActivePerProject > 0 && len(inProject) >= p.MaxActivePerProject:
		return full(reason.BudgetProject, len(inProject), p.MaxActivePerProject, "MAX_ACTIVE_PER_PROJECT",
			inProject...)
	case p.MaxActivePerLocation > 0 && len(inLocation) >= p.MaxActivePerLocation:
		return full(reason.BudgetLocation, len(inLocation), p.MaxActivePerLocation, "MAX_ACTIVE_PER_LOCATION",
			inLocation...)
	}
	return isOpen(fact.Sayf("slot %d of %d", t.active+1, p.MaxActive))
}

// clusters lists who is in the way.
func clusters(names []string) (list fact.Text) {
	for i, name := range names {
		if i > 0 {
			list = append(list, fact.Say(", ")...)
		}
		list = append(list, fact.Cluster(name)...)
	}
	return list
}

// FreeSlots asks the store alone, without any other start, whether a start of an
// ordinary cluster finds the breaker closed and a slot free: what is full is full
// for every run until the store changes. Emergency and compromised ones have their own.
func FreeSlots(p *rules.Policy, doc record.FleetDoc) func(fleet.Ref) Verdict {
	t := newTally(p, &doc, time.Time{})
	if v := askBreaker(nil, t); !v.Open {
		v.Gate = GateBreaker
		return func(fleet.Ref) Verdict { return v }
	}
	known := map[fleet.Ref]Verdict{} // clusters of one project and location share it
	return func(ref fleet.Ref) Verdict {
		ref.Name = ""
		v, ok := known[ref]
		if !ok {
			v = askSlot(&candidate{ref: ref}, t)
			v.Gate = GateSlot
			known[ref] = v
		}
		return v
	}
}

// ahead is what lies before one wave. Each of its clusters asks, so it is
// counted once, not once a cluster.
type ahead struct {
	due     []time.Time // of those that keep the wave closed, in order
	first   [][]string  // the names to tell of the first, first two, ... of them
	excused string      // who is not waited for
}

// before gives what lies before the wave.
func (t *tally) before(wave int) *ahead {
	if a := t.ahead[wave]; a != nil {
		return a
	}
	var all []pending
	var excused []string
	for i := range wave {
		all = append(all, t.waves[i]...)
		excused = append(excused, t.excused[i]...)
	}
	slices.SortFunc(all, func(a, b pending) int { return a.due.Compare(b.due) })
	slices.Sort(excused)
	a := &ahead{excused: fact.Some(excused)}
	var names []string
	for _, p := range all {
		if name := p.ref.String(); len(names) < fact.Few || name < names[len(names)-1] {
			names = append(slices.Clone(names), name)
			slices.Sort(names)
			names = names[:min(len(names), fact.Few)]
		}
		a.due, a.first = append(a.due, p.due), append(a.first, names)
	}
	t.ahead[wave] = a
	return a
}

// dueBy counts those that keep the wave closed for a cluster that became due then:
// who became due later does not hold it up.
func (a *ahead) dueBy(at time.Time) int {
	return sort.Search(len(a.due), func(i int) bool { return a.due[i].After(at) })
}

func askWave(c *candidate, t *tally) Verdict {
	before := t.before(c.wave)
	if n := before.dueBy(c.dueSince); n > 0 {
		return closedBy(reason.WaveClosed,
			fact.Sayf("earlier waves are not verified: %s", fact.SomeOf(before.first[n-1], n)))
	}
	for i := range c.wave {
		name := t.policy.Waves[i].Name
		if at := t.doc.Waves[name].LastOf(c.dueSince).Add(t.policy.WaveSoak); t.now.Before(at) {
			return closedUntil(reason.WaveClosed, fact.Sayf("wave %q soaks", name).Tailf(" until %v", at), at)
		}
	}
	if before.excused != "" {
		return isOpen(fact.Sayf("not waited for: %s", before.excused))
	}
	return isOpen(nil)
}

func askBreaker(_ *candidate, t *tally) Verdict {
	if f, open := Breaker(*t.doc, t.policy); open {
		return closedBy(reason.BreakerOpen,
			fact.Sayf("%v, the last %s", FailedText(*t.doc, t.policy), f.Cluster))
	}
	return isOpen(nil)
}

// Breaker gives the last of the failed or stuck rotations that together keep
// new ones from starting.
func Breaker(f record.FleetDoc, p *rules.Policy) (last record.Failure, open bool) {
	if n := len(f.Failures); n > 0 && n >= p.MaxFailed {
		return f.Failures[n-1], true
	}
	return record.Failure{}, false
}

// FailedText says how many failed or stuck rotations it takes to keep new ones from
// starting, and how many there are.
func FailedText(f record.FleetDoc, p *rules.Policy) fact.Text {
	return fact.Sayf("%d failed or stuck rotations reach %v", len(f.Failures),
		fact.Set("MAX_FAILED", p.MaxFailed))
}
