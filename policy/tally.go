package policy

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
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
	{Name: "hand-overs", Ask: askHandOvers, Emergency: IfLate, Compromised: Lifted},
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
	untold      []string            // whose hand-over waits for its receivers
	since       time.Time           // since when the rules of waves are what they are
	waves       map[int][]pending
	queue       map[int][]time.Time // the deadlines of each wave's due clusters
	excused     map[int][]string    // not verified, and yet keeping no wave closed
	ahead       map[int]*ahead      // made when first asked for: all is noted by then
}

// pending is a cluster, or an unread project, that keeps later waves closed.
type pending struct {
	who   string
	due   time.Time
	lasts bool // people end it, and not time
}

func newTally(p *rules.Policy, doc *record.FleetDoc, now time.Time) *tally {
	t := &tally{
		policy: p, doc: doc, now: now,
		projects: map[string][]string{}, locations: map[string][]string{},
		waves: map[int][]pending{}, excused: map[int][]string{}, ahead: map[int]*ahead{},
		queue: map[int][]time.Time{}, since: now,
	}
	if doc.Rules.Digest == p.WaveRules() {
		t.since = doc.Rules.Since
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
	case c.holds != "":
		t.waves[c.wave] = append(t.waves[c.wave], pending{c.ref.String() + " (" + c.holds + ")", c.dueSince,
			c.lasts})
		t.queue[c.wave] = append(t.queue[c.wave], c.deadline)
	case c.excused != "":
		t.excused[c.wave] = append(t.excused[c.wave], c.ref.String()+" ("+c.excused+")")
	}
}

// noteUnread lets a project that cannot be read hold what it held when it was last
// read; one that was never read, or is long forgotten, may hold anything.
func (t *tally) noteUnread(places []fleet.Unread) {
	for _, u := range places {
		note, ok := t.doc.Projects[u.Project]
		switch {
		case u.Gone:
		case !ok || t.now.Sub(note.At) >= rules.ProjectForgotten:
			t.waves[0] = append(t.waves[0], pending{"project " + u.Project + " (unread)", time.Time{}, true})
		case !note.Due.IsZero():
			wave := note.Wave
			if t.doc.Rules.Digest != t.policy.WaveRules() {
				wave = 0 // the waves were others
			}
			t.waves[wave] = append(t.waves[wave],
				pending{"project " + u.Project + " (unread, and held due clusters)", note.Due, true})
		}
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
	lasting []bool      // whether people must end one of the first, first two, ... of them
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
	lasting := false
	for _, p := range all {
		lasting = lasting || p.lasts
		a.lasting = append(a.lasting, lasting)
		if name := p.who; len(names) < fact.Few || name < names[len(names)-1] {
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

// askWave: canaries first, whatever the age of their CAs. A cluster waits for all of
// earlier waves that became due no later than it did, or no later than the rules are what
// they are, until they are verified and WAVE_SOAK has passed.
func askWave(c *candidate, t *tally) Verdict {
	v := t.shut(c)
	if said := t.opened(c, v); said != nil {
		return isOpen(fact.Sayf("wave %q was opened by %s, though %v", t.waveName(c.wave), said.Line(), v.Message.Head()))
	}
	return v
}

// opened is by whom people opened the cluster's wave, where it would be shut.
func (t *tally) opened(c *candidate, v Verdict) *record.Said {
	if said, ok := t.doc.OpenWaves[t.waveName(c.wave)]; ok && !v.Open {
		return &said
	}
	return nil
}

// shut asks whether earlier waves keep the cluster's closed.
func (t *tally) shut(c *candidate) Verdict {
	before, due := t.before(c.wave), window.Later(c.dueSince, t.since)
	if n := before.dueBy(due); n > 0 {
		shut := fact.Sayf("earlier waves are not verified: %s", fact.SomeOf(before.first[n-1], n))
		v := t.untilLast(c, shut)
		v.Lasting = !v.Open && before.lasting[n-1]
		return v
	}
	var without []string
	for i := range c.wave {
		name := t.policy.Waves[i].Name
		notes := t.doc.Waves[name]
		if at := notes.LastOf(due).Add(t.policy.WaveSoak); t.now.Before(at) {
			return closedUntil(reason.WaveClosed, fact.Sayf("wave %q soaks", name).Tailf(" until %v", at), at)
		}
		if len(t.waves[i]) == 0 && notes.Last().IsZero() {
			without = append(without, fmt.Sprintf("%q", name))
		}
	}
	var text fact.Text
	if len(without) > 0 {
		text = fact.Sayf("no canary went before: wave %s has nothing due, and `rotate` makes a cluster due",
			strings.Join(without, ", "))
	}
	if before.excused != "" {
		text = fact.Join(text, fact.Sayf("not waited for: %s", before.excused))
	}
	return isOpen(text)
}

// untilLast opens a shut wave at its last moment, when a wait would let GKE start first:
// the expiry less 33 days, and the time that those need who expire earlier.
func (t *tally) untilLast(c *candidate, shut fact.Text) Verdict {
	earlier := 0
	for _, deadline := range t.queue[c.wave] {
		if deadline.Before(c.deadline) {
			earlier++
		}
	}
	last := t.policy.LastMoment(c.late.Add(rules.DeadlineBefore), earlier)
	switch {
	case c.late.IsZero() || last.Sub(t.now) > window.Horizon:
		return closedBy(reason.WaveClosed, shut)
	case t.now.Before(last):
		return closedUntil(reason.WaveClosed, shut.Tailf("; it opens by itself %v", last), last)
	}
	return isOpen(fact.Sayf("the wave's last moment, though %v", shut))
}

// waveName is the wave's name in the store.
func (t *tally) waveName(wave int) string {
	if wave < len(t.policy.Waves) {
		return t.policy.Waves[wave].Name
	}
	return fleet.LastWave
}

// askHandOvers: nothing begins that people would not hear of either.
func askHandOvers(_ *candidate, t *tally) Verdict {
	if n := len(t.untold); n > 0 {
		return closedBy(reason.HandOverWaits, fact.Sayf("hand-overs wait for their receivers: %s",
			fact.SomeOf(t.untold, n)))
	}
	return isOpen(nil)
}

func askBreaker(_ *candidate, t *tally) Verdict {
	if f, open := Breaker(*t.doc, t.policy); open {
		v := closedBy(reason.BreakerOpen, FailedText(*t.doc, t.policy))
		v.On = f.Cluster
		return v
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
// starting, and which there are, the last first.
func FailedText(f record.FleetDoc, p *rules.Policy) fact.Text {
	var names []string
	for _, x := range slices.Backward(f.Failures) {
		names = append(names, fmt.Sprintf("%s (%s)", x.Cluster, x.What))
	}
	what := "%d failed or stuck rotations reach %v: %s"
	if len(names) == 1 {
		what = "%d failed or stuck rotation reaches %v: %s"
	}
	return fact.Sayf(what, len(names), fact.Set("MAX_FAILED", p.MaxFailed), fact.Some(names))
}
