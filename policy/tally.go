package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Tally is what the fleet gates look at: who holds slots and which clusters
// keep a wave shut. Plan counts it up while it deals out the starts.
type Tally struct {
	active     int // ordinary slots
	emergency  int
	urgent     int
	byProject  map[string]int
	byLocation map[string]int // project-independent: a region's capacity
	holders    map[string][]string
	waves      map[int][]pending
	excused    map[int][]string // not verified, and yet keeping no wave shut
}

// pending is a cluster that keeps later waves shut.
type pending struct {
	ref Ref
	due time.Time
}

func newTally(doc *FleetDoc) *Tally {
	t := &Tally{byProject: map[string]int{}, byLocation: map[string]int{}, holders: map[string][]string{}, waves: map[int][]pending{}, excused: map[int][]string{}}
	for name, slot := range doc.Slots {
		if ref, err := ParseRef(name); err == nil {
			t.take(ref, slot.Emergency, slot.Urgent)
		}
	}
	for _, names := range t.holders {
		slices.Sort(names)
	}
	return t
}

// noteWave notes whether the cluster keeps later waves shut.
func (t *Tally) noteWave(k *Case, d Decision) {
	holds, excused := k.holdsWave(d)
	switch {
	case holds:
		t.waves[k.Wave] = append(t.waves[k.Wave], pending{k.Cluster.Ref, k.dueSince()})
	case excused != "":
		t.excused[k.Wave] = append(t.excused[k.Wave], k.Cluster.Ref.String()+" ("+excused+")")
	}
}

func (t *Tally) take(ref Ref, emergency, urgent bool) {
	switch {
	case urgent:
		t.urgent++
	case emergency:
		t.emergency++
	default:
		t.active++
		t.byProject[ref.Project]++
		t.byLocation[ref.Location]++
		t.holders[ref.Project] = append(t.holders[ref.Project], ref.Name)
		t.holders[ref.Location] = append(t.holders[ref.Location], ref.String())
	}
}

func askSlot(k *Case) Verdict {
	p, t, ref := k.Policy, k.Tally, k.Cluster.Ref
	full := func(reason Reason, n, limit int, name string) Verdict {
		return shut(reason, fmt.Sprintf("%d of %s=%d taken", n, name, limit), time.Time{})
	}
	switch {
	case k.Urgent:
		if t.urgent >= p.UrgentMaxActive {
			return full(BudgetEmergency, t.urgent, p.UrgentMaxActive, "URGENT_MAX_ACTIVE")
		}
		return isOpen(fmt.Sprintf("urgent slot %d of %d", t.urgent+1, p.UrgentMaxActive), time.Time{})
	case k.Emergency:
		if t.emergency >= p.EmergencyMaxActive {
			return full(BudgetEmergency, t.emergency, p.EmergencyMaxActive, "EMERGENCY_MAX_ACTIVE")
		}
		return isOpen(fmt.Sprintf("emergency slot %d of %d", t.emergency+1, p.EmergencyMaxActive), time.Time{})
	case t.active >= p.MaxActive:
		return full(BudgetFleet, t.active, p.MaxActive, "MAX_ACTIVE")
	case p.MaxActivePerProject > 0 && t.byProject[ref.Project] >= p.MaxActivePerProject:
		v := full(BudgetProject, t.byProject[ref.Project], p.MaxActivePerProject, "MAX_ACTIVE_PER_PROJECT")
		v.Message += " by " + strings.Join(t.holders[ref.Project], ", ")
		return v
	case p.MaxActivePerLocation > 0 && t.byLocation[ref.Location] >= p.MaxActivePerLocation:
		v := full(BudgetLocation, t.byLocation[ref.Location], p.MaxActivePerLocation, "MAX_ACTIVE_PER_LOCATION")
		v.Message += " by " + strings.Join(t.holders[ref.Location], ", ")
		return v
	}
	return isOpen(fmt.Sprintf("slot %d of %d", t.active+1, p.MaxActive), time.Time{})
}

func askWave(k *Case) Verdict {
	var names, excused []string
	for i := range k.Wave {
		for _, e := range k.Tally.waves[i] {
			if !e.due.After(k.Due.At) {
				names = append(names, e.ref.String())
			}
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		return shut(WaveShut, fmt.Sprintf("earlier waves are not verified: %s", some(names)), time.Time{})
	}
	for i := range k.Wave {
		name := k.Policy.Waves[i].Name
		if at := k.Doc.Waves[name].last(k.Due.At).Add(k.Policy.WaveSoak); k.Now.Before(at) {
			return shut(WaveShut, fmt.Sprintf("wave %q soaks until %s", name, when(at)), at)
		}
		excused = append(excused, k.Tally.excused[i]...)
	}
	if len(excused) > 0 {
		slices.Sort(excused)
		return isOpen("not waited for: "+some(excused), time.Time{})
	}
	return isOpen("", time.Time{})
}

// some names the first few and counts the rest.
func some(names []string) string {
	const n = 3
	if len(names) <= n {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:n], ", "), len(names)-n)
}
