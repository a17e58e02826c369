package course

import (
	"fmt"
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Remedy is one change of a setting or of the cluster, and how far it must go.
type Remedy struct {
	Text fact.Text
	// Apply makes the change in a course of its own; see [Course.With].
	Apply func(*Course)
}

// lever is what may be changed: its remedies from the least to the most.
type lever []Remedy

// With is the course after the changes; the one they are made from stays.
func (k *Course) With(changes ...Remedy) *Course {
	out, policy := *k, *k.Policy
	out.Policy = &policy
	out.Cluster.Pools = slices.Clone(k.Cluster.Pools)
	out.Cluster.Maintenance.Exclusions = slices.Clone(k.Cluster.Maintenance.Exclusions)
	for _, c := range changes {
		c.Apply(&out)
	}
	return &out
}

// Fits says whether a start at the next opening does.
func (k *Course) Fits() bool {
	start, _ := k.NextOpening(k.Now)
	return !start.IsZero() && k.fits(start)
}

// Remedies are what makes a start fit that does not: the one change that alone does,
// and only so far as it must go; else the fewest that together do; none, where the
// settings' limits leave nothing. NODE_TIME is a measure and no lever, and neither
// COMPROMISED nor an emergency is a remedy.
func (k *Course) Remedies() []Remedy {
	levers := k.levers()
	for _, l := range levers {
		if k.With(l[len(l)-1]).Fits() {
			return []Remedy{k.least(l)}
		}
	}
	all := make([]Remedy, len(levers)) // each as far as it goes
	for i, l := range levers {
		all[i] = l[len(l)-1]
	}
	if !k.With(all...).Fits() {
		return nil
	}
	for i := len(all) - 1; i >= 0; i-- { // the last are the dearest
		if fewer := slices.Delete(slices.Clone(all), i, i+1); k.With(fewer...).Fits() {
			all, levers = fewer, slices.Delete(levers, i, i+1)
		}
	}
	for i, l := range levers {
		rest := slices.Delete(slices.Clone(all), i, i+1)
		all[i] = k.With(rest...).least(l)
	}
	return all
}

// least is the smallest change of the lever that fits; its greatest does.
func (k *Course) least(l lever) Remedy {
	for _, r := range l {
		if k.With(r).Fits() {
			return r
		}
	}
	return l[len(l)-1]
}

// levers are all that may be changed, the cheapest first: settings, then the cluster.
func (k *Course) levers() []lever {
	var out []lever
	for _, l := range []lever{k.allowGKE(), k.atOnceLever(), k.overrunLever(), k.completeLever(), k.zonalLever(),
		k.everyLever(), k.soakLever(), k.startWindowLever(), k.windowLever(), k.surgeLever(), k.blueGreenLever(),
		k.exclusionLever(), k.freezeLever()} {
		if len(l) > 0 {
			out = append(out, l)
		}
	}
	return out
}

func (k *Course) allowGKE() lever {
	if k.Policy.Nodes != rules.NodesGKE {
		return nil
	}
	return lever{{fact.Set("NODES", rules.NodesAuto), func(k *Course) { k.Policy.Nodes = rules.NodesAuto }}}
}

// MostPoolsAtOnce is the most that POOLS_AT_ONCE may be.
const MostPoolsAtOnce = 20

func (k *Course) atOnceLever() (l lever) {
	from := max(k.Policy.PoolsAtOnce, 1)
	if k.Policy.PoolsAtOnce == 0 {
		from = mostAtOnce
	}
	for n := from + 1; n <= min(MostPoolsAtOnce, len(k.Cluster.Pools)); n++ {
		l = append(l, Remedy{fact.Set("POOLS_AT_ONCE", n), func(k *Course) { k.Policy.PoolsAtOnce = n }})
	}
	return l
}

// MostOverrun is the most that NODE_OVERRUN may be.
const MostOverrun = 24 * time.Hour

func (k *Course) overrunLever() (l lever) {
	for d := k.Policy.NodeOverrun.Truncate(time.Hour) + time.Hour; d <= MostOverrun; d += time.Hour {
		l = append(l, Remedy{fact.Set("NODE_OVERRUN", fleet.Days(d)), func(k *Course) { k.Policy.NodeOverrun = d }})
	}
	return l
}

// completeLever opens COMPLETE_WINDOW on a day more, at the hours of people at work.
func (k *Course) completeLever() (l lever) {
	if k.Policy.CompleteWindow.IsAlways() || k.ZonalOnly() {
		return nil
	}
	text := k.Policy.CompleteWindow.String()
	for _, days := range []string{"Fri", "Mon-Fri", "Sun", "Sat", "Mon-Sun"} {
		w, err := window.ParseWeekly(fmt.Sprintf("%s; %s 09:00-15:00", text, days))
		if err == nil {
			l = append(l, Remedy{fact.Set("COMPLETE_WINDOW", w), func(k *Course) { k.Policy.CompleteWindow = w }})
		}
	}
	return l
}

func (k *Course) zonalLever() lever {
	if !k.Cluster.Zonal || k.Policy.ZonalComplete == rules.ZonalPeople {
		return nil
	}
	return lever{{fact.Set("ZONAL_COMPLETE", rules.ZonalPeople),
		func(k *Course) { k.Policy.ZonalComplete = rules.ZonalPeople }}}
}

func (k *Course) everyLever() (l lever) {
	for _, d := range []time.Duration{12 * time.Hour, 6 * time.Hour, 2 * time.Hour, time.Hour, 30 * time.Minute,
		15 * time.Minute} {
		if d < k.Policy.Every {
			l = append(l, Remedy{fact.Set("EVERY", fleet.Days(d)), func(k *Course) { k.Policy.Every = d }})
		}
	}
	return l
}

func (k *Course) soakLever() (l lever) {
	const step = 12 * time.Hour
	for d := (k.Policy.Soak - 1).Truncate(step); d >= 0 && d < k.Policy.Soak; d -= step {
		l = append(l, Remedy{fact.Set("SOAK", fleet.Days(d)), func(k *Course) { k.Policy.Soak = d }})
	}
	return l
}

func (k *Course) startWindowLever() lever {
	if k.Policy.StartWindow.IsAlways() {
		return nil
	}
	return lever{{fact.Set("START_WINDOW", window.Weekly{}), func(k *Course) { k.Policy.StartWindow = window.Weekly{} }}}
}

// windowLever makes the window longer: the cluster's own, or WINDOW.
func (k *Course) windowLever() (l lever) {
	own := k.Cluster.Maintenance.Window
	if own == nil && k.Policy.Window.IsAlways() {
		return nil
	}
	for d := time.Hour; d <= 24*time.Hour; d += time.Hour {
		text := fact.Sayf("a window (%v) that is %s longer", k.WindowText(), fleet.Days(d))
		if own == nil {
			text = fact.Sayf("%v that is %s longer", fact.Set("WINDOW", k.Policy.Window), fleet.Days(d))
		}
		l = append(l, Remedy{text, func(k *Course) {
			k.Cluster.Maintenance.Window = window.Longer(k.Cluster.Maintenance.Windows(k.Policy.Window), d)
		}})
	}
	return l
}

// surgeLever lets more nodes of every pool be recreated together.
func (k *Course) surgeLever() (l lever) {
	for n := 2; n <= mostSurge; n++ {
		var names []string
		for _, p := range k.Cluster.Pools {
			if p.ShortLived == 0 && p.MaxSurge+p.MaxUnavailable < n && p.Nodes > 1 {
				names = append(names, fmt.Sprintf("%q", p.Name))
			}
		}
		if len(names) == 0 {
			continue
		}
		l = append(l, Remedy{fact.Sayf("maxSurge %d for %s", n, fact.Some(names)), func(k *Course) {
			for i, p := range k.Cluster.Pools {
				if p.MaxSurge+p.MaxUnavailable < n {
					k.Cluster.Pools[i].MaxSurge = n - p.MaxUnavailable
				}
			}
		}})
	}
	return l
}

// blueGreenLever shortens what blue-green pools wait on purpose.
func (k *Course) blueGreenLever() (l lever) {
	for _, d := range []time.Duration{4 * 24 * time.Hour, 2 * 24 * time.Hour, 24 * time.Hour, 12 * time.Hour,
		6 * time.Hour, time.Hour, 0} {
		var names []string
		for _, p := range k.Cluster.Pools {
			if p.BlueGreen && p.PoolSoak > d {
				names = append(names, fmt.Sprintf("%q", p.Name))
			}
		}
		if len(names) == 0 {
			continue
		}
		l = append(l, Remedy{fact.Sayf("a blue-green soak of %s for %s", fleet.Days(d), fact.Some(names)),
			func(k *Course) {
				for i, p := range k.Cluster.Pools {
					if p.BlueGreen {
						k.Cluster.Pools[i].PoolSoak = min(p.PoolSoak, d)
					}
				}
			}})
	}
	return l
}

// exclusionLever takes away what blocks node work on the cluster or a pool of its own.
func (k *Course) exclusionLever() lever {
	var names []string
	for _, e := range k.Cluster.Maintenance.Exclusions {
		if e.Blocks() {
			names = append(names, fmt.Sprintf("exclusion %q", e.Name))
		}
	}
	for _, p := range k.Cluster.Pools {
		if p.Exclusion != nil && p.Exclusion.Blocks() {
			names = append(names, fmt.Sprintf("the exclusion of pool %q", p.Name))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return lever{{fact.Sayf("without %s", fact.Some(names)), func(k *Course) {
		k.Cluster.Maintenance.Exclusions = nil
		for i := range k.Cluster.Pools {
			k.Cluster.Pools[i].Exclusion = nil
		}
	}}}
}

func (k *Course) freezeLever() lever {
	if k.Policy.Freezes.IsNone() {
		return nil
	}
	return lever{{fact.Sayf("without %v", fact.Set("FREEZES", k.Policy.Freezes)),
		func(k *Course) { k.Policy.Freezes = window.Freezes{} }}}
}
