package sim

import (
	"cmp"
	"slices"
	"time"

	"gke-credential-rotator/policy/fleet"
)

// Comparison is the same fleet under two policies.
type Comparison struct {
	// File is where the other policy comes from.
	File string
	// Settings are those that differ.
	Settings      []SettingChange
	Before, After Forecast
}

// SettingChange is a setting that differs.
type SettingChange struct{ Name, Before, After string }

// Shift is a cluster for which the policies differ, by the first of its rotations that does.
type Shift struct {
	Cluster          fleet.Ref
	StartBefore      time.Time // zero: it does not start
	StartAfter       time.Time
	CompletedBefore  time.Time
	CompletedAfter   time.Time
	OutcomeBefore    Outcome
	OutcomeAfter     Outcome
	MissBefore, Miss bool // a deadline passes before a start
}

// Shifts lists what the other policy changes: the largest shift of a start
// first, what starts under only one of them before all.
func (c Comparison) Shifts() []Shift {
	before, after := c.Before.byCluster(), c.After.byCluster()
	missedBefore, missed := c.Before.missed(), c.After.missed()
	was := map[fleet.Ref]Outcome{}
	for _, x := range c.Before.Clusters {
		was[x.Cluster] = x.Outcome
	}
	var out []Shift
	for _, now := range c.After.Clusters {
		ref := now.Cluster
		s := Shift{
			Cluster: ref, OutcomeBefore: was[ref], OutcomeAfter: now.Outcome,
			MissBefore: missedBefore[ref], Miss: missed[ref],
		}
		differs := s.OutcomeBefore != s.OutcomeAfter || s.MissBefore != s.Miss
		for i := range max(len(before[ref]), len(after[ref])) {
			x, y := turnAt(before[ref], i), turnAt(after[ref], i)
			if !x.Start.Equal(y.Start) || !x.Completed.Equal(y.Completed) {
				s.StartBefore, s.CompletedBefore = x.Start, x.Completed
				s.StartAfter, s.CompletedAfter = y.Start, y.Completed
				differs = true
				break
			}
		}
		if differs {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b Shift) int {
		return cmp.Or(cmp.Compare(b.size(), a.size()), a.Cluster.Compare(b.Cluster))
	})
	return out
}

// turnAt is the zero turn where there are fewer.
func turnAt(turns []Turn, i int) (t Turn) {
	if i < len(turns) {
		t = turns[i]
	}
	return t
}

// size is how far the start moves; more than any move when there is one start.
func (s Shift) size() time.Duration {
	if s.StartBefore.IsZero() != s.StartAfter.IsZero() {
		return 1 << 62
	}
	return s.StartAfter.Sub(s.StartBefore).Abs()
}

func (f Forecast) byCluster() map[fleet.Ref][]Turn {
	out := map[fleet.Ref][]Turn{}
	for _, t := range f.Turns {
		out[t.Cluster] = append(out[t.Cluster], t)
	}
	return out
}

// missed are the clusters of which a deadline passes before the start.
func (f Forecast) missed() map[fleet.Ref]bool {
	out := map[fleet.Ref]bool{}
	for _, t := range f.Turns {
		out[t.Cluster] = out[t.Cluster] || t.Late() && !t.Deadline.Before(f.From)
	}
	for _, l := range f.Left {
		out[l.Cluster] = out[l.Cluster] || l.Late && !l.Deadline.Before(f.From)
	}
	return out
}

// Rotated counts rotations that are verified before the end, and gives when the last of them is.
func (f Forecast) Rotated() (n int, last time.Time) {
	for _, t := range f.Turns {
		if !t.Verified.IsZero() && t.Closed.Verified() {
			n++
			last = later(last, t.Verified)
		}
	}
	return n, last
}
