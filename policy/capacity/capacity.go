// Package capacity says whether the policy's limits are enough for what is due.
package capacity

import (
	"slices"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Wave is whether the policy's limits are enough for what is due.
type Wave struct {
	Wave string
	Due  int // due and not verified, those in flight included
	// StartsAWeek is how many start in a week under every cap; 0 when fewer
	// than two start.
	StartsAWeek float64
	// DoneAbout is when the last of them is verified, if all goes well.
	DoneAbout time.Time
	// LatestSafe is the earliest date at which one of them would be late.
	LatestSafe time.Time
	// Short: at least one would start later than is safe; Late names the first.
	Short bool
	Late  fleet.Ref
}

// capacitySample bounds how many clusters of a wave are forecast one by one;
// the others take the mean.
const capacitySample = 200

// Of plays the starts of what is due through slots, windows and waves,
// roughly: it answers whether the limits are enough, not which hour.
func Of(p *rules.Policy, f policy.Fleet, ds []policy.Decision, now time.Time) []Wave {
	waves := map[int][]*policy.Case{}
	for _, d := range ds {
		if !d.Due.Is || d.Cluster.Bundle.Problem != "" ||
			(d.Phase == "" && d.Action != policy.Start && d.Action != policy.Wait) || d.Phase == record.Verifying {
			continue
		}
		k := policy.NewCase(p, d.Cluster, nil, &f.Contents.Fleet, "", now)
		if r, ok := f.Contents.Rotations[d.Cluster.Ref]; ok {
			k.Rotation = &r
		}
		waves[k.Wave] = append(waves[k.Wave], k)
	}
	var out []Wave
	open := now // when the wave may begin
	for i := range len(p.Waves) + 1 {
		if len(waves[i]) == 0 {
			continue
		}
		w := waveCapacity(p, waves[i][0].WaveName, waves[i], open)
		open = window.Later(open, w.DoneAbout.Add(p.WaveSoak))
		out = append(out, w)
	}
	return out
}

// waveCapacity deals the wave's starts out to slots.
func waveCapacity(p *rules.Policy, name string, cases []*policy.Case, from time.Time) Wave {
	slices.SortFunc(cases, policy.MoreUrgent)
	w := Wave{Wave: name, Due: len(cases)}
	s := slots{p, map[string][]time.Time{}}
	var mean, sum time.Duration
	var first, last time.Time
	starts := 0
	for i, k := range cases {
		if w.LatestSafe.IsZero() || k.Due.Deadline.Before(w.LatestSafe) {
			w.LatestSafe = k.Due.Deadline
		}
		at := from
		if k.Rotation == nil {
			if !k.Emergency && !k.Compromised { // those wait for neither window nor slot
				at, _ = k.NextOpening(window.Later(from, s.free(k.Cluster.Ref)))
			}
			if at.IsZero() {
				continue
			}
			if at.After(k.Due.Deadline) && !w.Short {
				w.Short, w.Late = true, k.Cluster.Ref
			}
			starts++
			if first.IsZero() {
				first = at
			}
			last = window.Later(last, at)
		}
		takes := mean
		if i < capacitySample {
			f := k.Forecast(at)
			takes = rules.AutoCompleteAfter
			if f.Fits() {
				takes = f.Likely.Completed.Sub(at)
			}
			sum += takes
			mean = sum / time.Duration(i+1)
		}
		if !k.Emergency && !k.Compromised {
			s.take(k.Cluster.Ref, at.Add(takes))
		}
		w.DoneAbout = window.Later(w.DoneAbout, at.Add(takes))
	}
	if span := last.Sub(first); span > 0 {
		w.StartsAWeek = float64(starts-1) / (span.Hours() / (7 * 24))
	}
	return w
}

// slots remembers until when each place is taken, under each cap.
type slots struct {
	policy *rules.Policy
	taken  map[string][]time.Time
}

// caps are the limits that count for the cluster, by what they limit; 0 is none.
func (s slots) caps(ref fleet.Ref) map[string]int {
	return map[string]int{
		"fleet":                    max(s.policy.MaxActive, 1),
		"project " + ref.Project:   s.policy.MaxActivePerProject,
		"location " + ref.Location: s.policy.MaxActivePerLocation,
	}
}

// free is when a place for the cluster is free under every cap.
func (s slots) free(ref fleet.Ref) (at time.Time) {
	for of, limit := range s.caps(ref) {
		if taken := s.taken[of]; limit > 0 && len(taken) == limit {
			at = window.Later(at, slices.MinFunc(taken, time.Time.Compare))
		}
	}
	return at
}

func (s slots) take(ref fleet.Ref, until time.Time) {
	for of, limit := range s.caps(ref) {
		switch taken := s.taken[of]; {
		case limit <= 0:
		case len(taken) < limit:
			s.taken[of] = append(taken, until)
		default:
			taken[slices.Index(taken, slices.MinFunc(taken, time.Time.Compare))] = until
		}
	}
}
