package course

import (
	"time"

	"gke-credential-rotator/policy/window"
)

// fullWindow is what counts as one full window where the window never closes: GKE's
// least contiguous availability.
const fullWindow = 4 * time.Hour

// autopilotNodes follows an Autopilot cluster: its nodes are GKE's, and all that we can do
// is upgrade the control plane to the version it has, upon which GKE recreates them.
// Where the cluster lists its pools, their operations prove it; else one full window
// must pass.
func (f *facts) autopilotNodes(p pace, how plan, t Times, begins bool) (time.Time, []Work) {
	if len(f.pools) == 0 && p == early && f.upgraded.IsZero() {
		return latest(t.HandedOver, f.now), nil
	}
	var work []Work
	from, judged := t.StartEnded, time.Time{}
	if !begins || len(f.pools) == 0 || !f.upgraded.IsZero() {
		if from = f.upgraded; from.IsZero() {
			call := f.next(window.All(f.window, f.hard), latest(t.HandedOver, f.now, f.graceOver(how.grace)))
			if call.IsZero() || f.nodesByGKE {
				return time.Time{}, nil
			}
			from = call.Add(startTakes[p])
			work = append(work, Work{Begin: call, Likely: from, Late: call.Add(startTakes[late])})
		}
		judged = FullWindowAfter(f.window, from)
	}
	if len(f.pools) == 0 {
		if !judged.IsZero() {
			judged = latest(judged, f.lastDone)
		}
		return judged, work
	}
	w := f.crew(p, how, t)
	w.free, w.ours = latest(w.free, from), f.until // its pools are not ours to call
	w.theirs = func(Pool) bool { return true }
	w.work = append(w.work, work...)
	for w.step() {
	}
	return window.Soonest(w.done(t), judged), w.work
}

// FullWindowAfter is when a whole window has passed since t; zero when none opens.
func FullWindowAfter(s window.Schedule, t time.Time) time.Time {
	next, ok := s.Next(t)
	if ok && next.End.Sub(latest(next.Start, t)) < fullWindow && next.Start.Before(t) {
		next, ok = s.Next(next.End)
	}
	if !ok {
		return time.Time{}
	}
	end := latest(next.Start, t).Add(fullWindow)
	if next.End.Before(end) {
		end = next.End
	}
	return end
}
