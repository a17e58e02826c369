// Package capacity says whether the policy's limits are enough for what is due.
package capacity

import (
	"slices"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
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
	// LatestSafe is the first date to come at which a start would be late for the
	// expiry of its CA; zero: none is to come.
	LatestSafe time.Time
	// Overdue is how many are past their deadline already, be it for the age or the
	// expiry of their CA.
	Overdue int
	// Late is the first that limits, and nothing else, let start only at LateAt: after
	// the last safe date, or still later where that is past. The zero Ref: none.
	Late   fleet.Ref
	LateAt time.Time
	// Raise names the limits that change that date.
	Raise fact.Text
	// Shut: the breaker is open, so nothing starts until somebody acknowledges; all
	// dates count from then.
	Shut bool
}

// Short says that the limits are too slow.
func (w Wave) Short() bool { return w.Late != fleet.Ref{} }

// capacitySample bounds how many clusters of a wave are forecast one by one;
// the others take the mean.
const capacitySample = 200

// Of plays the starts of what is due through slots, windows and waves,
// roughly: it answers whether the limits are enough, not which hour.
func Of(p *rules.Policy, f policy.Fleet, ds []policy.Decision, now time.Time) []Wave {
	due := fleetDue{now: now, waves: make([][]*policy.Case, len(p.Waves)+1)}
	for _, d := range ds {
		idle := d.Phase == ""
		if !d.Due.Is || d.Cluster.Bundle.Problem != "" || d.Phase == record.Verifying ||
			idle && d.Action != policy.Start && d.Action != policy.Wait && d.Reason != reason.BreakerOpen {
			continue
		}
		k := policy.NewCase(p, d.Cluster, nil, &f.Contents.Fleet, "", now)
		if r, ok := f.Contents.Rotations[d.Cluster.Ref]; ok {
			k.Rotation = &r
		}
		due.waves[k.Wave] = append(due.waves[k.Wave], k)
	}
	for _, cases := range due.waves {
		slices.SortFunc(cases, policy.MoreUrgent)
	}
	waves, _ := due.play(p)
	_, shut := policy.Breaker(f.Contents.Fleet, p)
	for i := range waves {
		w := &waves[i]
		if w.Shut = shut; w.Short() {
			w.Raise = due.raise(p, w.Late, w.LateAt)
		}
		if w.Raise == nil { // nothing that may be set changes it
			w.Late, w.LateAt = fleet.Ref{}, time.Time{}
		}
	}
	return waves
}

// fleetDue is what is due, wave by wave.
type fleetDue struct {
	now   time.Time
	waves [][]*policy.Case
}

// play deals the starts of all waves out, and says when each cluster starts.
func (f fleetDue) play(p *rules.Policy) (out []Wave, starts map[fleet.Ref]time.Time) {
	starts = map[fleet.Ref]time.Time{}
	open := f.now // when the wave may begin
	for _, cases := range f.waves {
		if len(cases) == 0 {
			continue
		}
		w := f.wave(p, cases, open, starts)
		open = window.Later(open, w.DoneAbout.Add(p.WaveSoak))
		out = append(out, w)
	}
	return out, starts
}

// wave deals the wave's starts out to slots.
func (f fleetDue) wave(p *rules.Policy, cases []*policy.Case, open time.Time,
	starts map[fleet.Ref]time.Time) Wave {
	w := Wave{Wave: cases[0].WaveName, Due: len(cases)}
	s := slots{p, map[string][]time.Time{}}
	var mean, sum time.Duration
	var first, last time.Time
	began := 0
	for i, k := range cases {
		at, safe := f.now, safeUntil(k)
		if safe.After(f.now) && (w.LatestSafe.IsZero() || safe.Before(w.LatestSafe)) {
			w.LatestSafe = safe
		}
		if k.Rotation == nil {
			if k.Due.Deadline.Before(f.now) {
				w.Overdue++
			}
			from := window.Later(waveOpens(p, k, open, i), f.now)
			if at = opening(k, window.Later(from, s.free(k))); at.IsZero() {
				continue
			}
			starts[k.Cluster.Ref] = at
			began++
			if at.After(safe) && !w.Short() && at.After(opening(k, f.now)) {
				w.Late, w.LateAt = k.Cluster.Ref, at
			}
			if first.IsZero() {
				first = at
			}
			last = window.Later(last, at)
		}
		takes := mean
		if i < capacitySample {
			takes = taking(k, at)
			sum += takes
			mean = sum / time.Duration(i+1)
		}
		s.take(k, at.Add(takes))
		w.DoneAbout = window.Later(w.DoneAbout, at.Add(takes))
	}
	if span := last.Sub(first); span > 0 {
		w.StartsAWeek = float64(began-1) / (span.Hours() / (7 * 24))
	}
	return w
}

// safeUntil is the last date at which a start is safe: only an expiry makes it unsafe.
func safeUntil(k *policy.Case) time.Time {
	return k.Cluster.Bundle.Oldest().Expires.Add(-rules.DeadlineBefore)
}

// opening is when calendars let the cluster start; in an emergency and a compromise they
// are not awaited.
func opening(k *policy.Case, from time.Time) time.Time {
	if k.Compromised {
		return from
	}
	at, _ := k.NextOpening(from)
	if k.Emergency && (at.IsZero() || at.After(safeUntil(k))) {
		return from
	}
	return at
}

// waveOpens is when the cluster need no longer wait for earlier waves: at their end, or
// at its last moment, with so many before it in the queue.
func waveOpens(p *rules.Policy, k *policy.Case, open time.Time, before int) time.Time {
	if k.Compromised {
		return time.Time{}
	}
	return window.Earlier(open, p.LastMoment(k.Cluster.Bundle.Oldest().Expires, before))
}

// taking is how long the rotation holds its slot from at on.
func taking(k *policy.Case, at time.Time) time.Duration {
	f := k.Forecast(at)
	if k.Rotation != nil {
		f = k.Ahead()
	}
	if f.Fits() {
		return f.Likely.Completed.Sub(at)
	}
	return max(f.GKE.Sub(at), 0)
}

// slots remembers until when each place is taken, under each cap.
type slots struct {
	policy *rules.Policy
	taken  map[string][]time.Time
}

// caps are the limits that count for the cluster, by what they limit; 0 is none.
func (s slots) caps(k *policy.Case) map[string]int {
	p, ref := s.policy, k.Cluster.Ref
	switch {
	case k.Compromised:
		return map[string]int{"compromised": max(p.CompromisedMaxActive, 1)}
	case k.Emergency:
		return map[string]int{"emergency": max(p.EmergencyMaxActive, 1)}
	}
	return map[string]int{
		"fleet":                    max(p.MaxActive, 1),
		"project " + ref.Project:   p.MaxActivePerProject,
		"location " + ref.Location: p.MaxActivePerLocation,
	}
}

// free is when a place for the cluster is free under every cap.
func (s slots) free(k *policy.Case) (at time.Time) {
	for of, limit := range s.caps(k) {
		if taken := s.taken[of]; limit > 0 && len(taken) == limit {
			at = window.Later(at, slices.MinFunc(taken, time.Time.Compare))
		}
	}
	return at
}

func (s slots) take(k *policy.Case, until time.Time) {
	for of, limit := range s.caps(k) {
		switch taken := s.taken[of]; {
		case limit <= 0:
		case len(taken) < limit:
			s.taken[of] = append(taken, until)
		default:
			taken[slices.Index(taken, slices.MinFunc(taken, time.Time.Compare))] = until
		}
	}
}
