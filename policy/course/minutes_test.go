package course

import (
	"math/rand/v2"
	"testing"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// open asks for one minute. It shares nothing with the course but schedules.
func open(s window.Schedule, t time.Time) bool {
	next, ok := s.Next(t)
	return ok && !next.Start.After(t)
}

// minutes plays the node work minute by minute: what GKE does when it begins at
// once, or (begins false) only with what we may not touch.
type minutes struct {
	f      facts
	atOnce int
	grace  time.Duration
	begins bool
}

func (m minutes) done() time.Time {
	type job struct {
		left  time.Duration
		byGKE bool
		began bool
	}
	f := m.f
	jobs := make([]job, len(f.pools))
	startEnded, opened := f.now.Add(15*time.Minute), time.Duration(0)
	var theirs []bool // pools that GKE may begin
	for _, p := range f.pools {
		theirs = append(theirs, m.begins || !m.mayEver(p, m.graceOver()))
	}
	var handed time.Time
	for at := f.now; at.Before(f.until); at = at.Add(time.Minute) {
		run := at.Sub(f.run)%f.every == 0
		if run && handed.IsZero() && !at.Before(startEnded) {
			handed = at
		}
		busy, ours, all := 0, 0, true
		for i := range jobs {
			if jobs[i].began && jobs[i].left > 0 {
				busy++
				if !jobs[i].byGKE {
					ours++
				}
			}
			all = all && jobs[i].began && jobs[i].left <= 0
		}
		if all && !handed.IsZero() {
			return at
		}
		longest := func() int {
			best := -1
			for i := range f.pools {
				if jobs[i].began || !theirs[i] {
					continue
				}
				if a, _ := Takes(f.pools[i].Pool, true, f.node); best < 0 {
					best = i
				} else if b, _ := Takes(f.pools[best].Pool, true, f.node); a > b {
					best = i
				}
			}
			return best
		}
		if i := longest(); i >= 0 && busy == 0 && !at.Before(startEnded) && open(f.gke, at) {
			takes, _ := Takes(f.pools[i].Pool, true, f.node)
			jobs[i] = job{left: takes, byGKE: true, began: true}
			busy++
		}
		if run && !handed.IsZero() && opened >= m.grace {
			for busy < m.atOnce {
				best := -1
				for i, p := range f.pools {
					if !jobs[i].began && m.may(p, at) {
						if best < 0 || oursOf(f, p) > oursOf(f, f.pools[best]) {
							best = i
						}
					}
				}
				if best < 0 {
					break
				}
				takes, _ := Takes(f.pools[best].Pool, false, f.node)
				jobs[best] = job{left: takes, began: true}
				busy++
			}
		}
		for i := range jobs {
			if jobs[i].began && jobs[i].left > 0 && (!jobs[i].byGKE || open(f.gke, at)) {
				jobs[i].left -= time.Minute
			}
		}
		if open(f.window, at) {
			opened += time.Minute
		}
	}
	return time.Time{}
}

func oursOf(f facts, p Pool) time.Duration { d, _ := Takes(p.Pool, false, f.node); return d }

// may asks every minute of the call and of the work.
func (m minutes) may(p Pool, at time.Time) bool {
	takes, _ := Takes(p.Pool, false, m.f.node)
	for d := time.Duration(0); d < 17*time.Minute; d += time.Minute {
		if !open(m.f.window, at.Add(d)) || !open(m.f.hard, at.Add(d)) {
			return false
		}
	}
	past := time.Duration(0)
	inside := true
	for d := time.Duration(0); d < takes; d += time.Minute {
		inside = inside && open(m.f.window, at.Add(d))
		if !open(m.f.hard, at.Add(d)) {
			return false
		}
		if !inside {
			past += time.Minute
		}
	}
	return past <= m.f.overrun
}

// graceOver counts the window's open minutes.
func (m minutes) graceOver() time.Time {
	at := m.f.now
	for opened := time.Duration(0); opened < m.grace && at.Before(m.f.until); at = at.Add(time.Minute) {
		if open(m.f.window, at) {
			opened += time.Minute
		}
	}
	return at
}

// mayEver says whether the pool will ever be ours to begin.
func (m minutes) mayEver(p Pool, from time.Time) bool {
	for at := m.f.run; at.Before(m.f.until); at = at.Add(m.f.every) {
		if !at.Before(m.f.now.Add(15*time.Minute)) && !at.Before(from) && m.may(p, at) {
			return true
		}
	}
	return false
}

func TestMinuteByMinute(t *testing.T) {
	windows := []string{"Sat 02:00-06:00", "Sat,Sun 22:00-04:00", "Mon-Sun 01:00-05:00", "Wed 00:00-12:00",
		"always",
		"Tue 03:00-04:30; Thu 02:00-08:00"}
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 0))
		now := time.Date(2026, 12, 1, r.IntN(24), r.IntN(60), 0, 0, time.UTC)
		own := window.Schedule(weekly(t, windows[r.IntN(len(windows))]))
		f := facts{now: now, until: now.Add(rules.AutoCompleteAfter),
			run:   now.Add(-time.Duration(r.IntN(3)) * time.Hour),
			every: []time.Duration{time.Hour, 15 * time.Minute, 6 * time.Hour}[r.IntN(3)],
			gke:   own, window: own, hard: window.Always(),
			grace: time.Duration(r.IntN(3)) * time.Hour, node: time.Duration(2+r.IntN(12)) * time.Minute,
			overrun: time.Duration(r.IntN(4)) * time.Hour}
		f.run = f.now // the start is sent in a run
		if r.IntN(3) == 0 {
			from := now.Add(time.Duration(r.IntN(100)) * time.Hour)
			f.hard = window.Except(window.Span{Start: from,
				End: from.Add(time.Duration(r.IntN(40)) * time.Hour)})
			f.gke = own
		}
		for range 1 + r.IntN(6) {
			f.pools = append(f.pools, Pool{Pool: fleet.Pool{Name: string(rune('a' + len(f.pools))),
				Nodes: 1 + r.IntN(40),
				Zones: 1 + r.IntN(3), MaxSurge: 1 + r.IntN(4)}})
		}
		how := plan{atOnce: 1 + r.IntN(3), grace: f.grace}
		times := Times{StartEnded: now.Add(15 * time.Minute)}
		times.HandedOver = f.runAt(times.StartEnded)
		for _, begins := range []bool{true, false} {
			got, work := f.nodes(likely, how, times, begins)
			want := minutes{f, how.atOnce, how.grace, begins}.done()
			if !got.Equal(want) {
				t.Errorf("seed %d, GKE begins %v: nodes done %v, minute by minute %v\n%+v", seed, begins, got,
					want, work)
			}
		}
	}
}
