package policy

import (
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/reason"
)

// Breaker gives the last of the failed or stuck rotations that together keep
// new ones from starting.
func (f FleetDoc) Breaker(p *Policy) (last Failure, open bool) {
	if n := len(f.Failures); n > 0 && n >= p.MaxFailed {
		return f.Failures[n-1], true
	}
	return Failure{}, false
}

// failed says how many failed or stuck rotations it takes to keep new ones from
// starting, and how many there are.
func (f FleetDoc) failed(p *Policy) fact.Text {
	return fact.Sayf("%d failed or stuck rotations reach %v", len(f.Failures),
		fact.Set("MAX_FAILED", p.MaxFailed))
}

// After gives the fleet document as it must be stored together with the
// decision's rotation; changed is false when only the rotation is written.
func (f FleetDoc) After(d Decision, now time.Time) (after FleetDoc, changed bool) {
	f = f.clone()
	r, name := d.Rotation, d.Cluster.Ref.String()
	switch _, held := f.Slots[name]; {
	case d.Slot == SlotTake && !held && len(f.Slots) >= MaxSlots:
		// An adopted one: starts are dealt no slot that is not there.
	case d.Slot == SlotTake:
		f.Slots[name], changed = Slot{Attempt: r.AttemptID, Since: now, Emergency: d.Emergency, Urgent: d.Urgent}, true
	case d.Slot == SlotRelease && held:
		delete(f.Slots, name)
		changed = true
	}
	if r == nil {
		return f, changed
	}
	changed = f.takenUp(d) || changed
	changed = f.noteTries(d) || changed
	changed = f.noteFailure(d, now) || changed
	if d.Close == "" {
		return f, changed
	}
	if verified(d.Close) && r.Carry {
		f.noteWave(r.Wave, WaveNote{Due: r.DueAt, At: now})
		changed = true
	}
	n := len(f.Requests) + len(f.Approvals)
	f.Requests = slices.DeleteFunc(f.Requests, func(q Request) bool {
		return q.Cluster == r.Cluster && (q.Kind != RequestRotate || d.Close != NotStarted)
	})
	f.Approvals = slices.DeleteFunc(f.Approvals, func(a Approval) bool { return a.Attempt != "" && a.Attempt == r.AttemptID })
	return f, changed || n != len(f.Requests)+len(f.Approvals)
}

// noteWave adds what a wave verified. Of waves that the settings named once the
// one that has rested longest is forgotten.
func (f *FleetDoc) noteWave(wave string, note WaveNote) {
	f.Waves[wave] = f.Waves[wave].with(note)
	for len(f.Waves) > maxWaves {
		oldest := wave
		for name, notes := range f.Waves {
			if notes.Last().Before(f.Waves[oldest].Last()) || (notes.Last().Equal(f.Waves[oldest].Last()) && name < oldest && name != wave) {
				oldest = name
			}
		}
		delete(f.Waves, oldest)
	}
}

// Lean is the document without what the next run sees again: for when it has
// become too large.
func (f FleetDoc) Lean() FleetDoc {
	f.Blocked, f.Insights, f.Mismatches = nil, nil, nil
	return f
}

// takenUp drops the requests that this write carries out.
func (f *FleetDoc) takenUp(d Decision) bool {
	n := len(f.Requests)
	f.Requests = slices.DeleteFunc(f.Requests, func(q Request) bool { return slices.Contains(d.Taken, q) })
	return len(f.Requests) != n
}

func verified(as ClosedAs) bool {
	return as == Completed || as == CompletedElsewhere || as == CompletedWithFindings
}

// noteTries counts starts that came to nothing and forgets them once one took.
func (f *FleetDoc) noteTries(d Decision) bool {
	r, name := d.Rotation, d.Cluster.Ref.String()
	t, had := f.Tries[name]
	switch {
	case d.Close == NotStarted:
		if t.ClusterID != r.ClusterID || t.CA != r.Baseline.CA.Fingerprint {
			t = Try{ClusterID: r.ClusterID, CA: r.Baseline.CA.Fingerprint}
		}
		if len(f.Tries) >= MaxTries && !had {
			return false // a fleet in which so many starts fail has other troubles
		}
		if neverSent(r) {
			if r.Withdrawals > 0 {
				t.noteWithdrawn(r)
				f.Tries[name] = t
			}
			return r.Withdrawals > 0
		}
		t.Count++
		t.Withdrawals, t.Attempt, t.Run, t.Told = 0, "", "", time.Time{}
		t.LastError = d.Message.String()
		if len(d.Findings) > 0 && d.Findings[0] != "" {
			t.LastError = d.Findings[0]
		}
		t.LastError = fact.Clip(t.LastError, maxPoolError)
		t.NotBefore = d.Cluster.Seen.Add(backoff[min(t.Count, len(backoff))-1])
		f.Tries[name] = t
		return true
	case had && r.Phase != Starting:
		delete(f.Tries, name)
		return true
	}
	return false
}

func neverSent(r *Rotation) bool {
	for _, c := range r.Settled {
		if c.Kind == CallStart && c.Sent() {
			return false
		}
	}
	return true
}

// noteFailure counts failed and stuck rotations of ours, once each, until
// somebody acknowledges them.
func (f *FleetDoc) noteFailure(d Decision, now time.Time) bool {
	r := d.Rotation
	what := reason.Code(r.Failed)
	if what == "" && r.Stuck {
		what = reason.IsStuck
	}
	if t := f.Tries[d.Cluster.Ref.String()]; d.Close == NotStarted && t.Count >= failuresBeforePeople {
		what = reason.TriesExhausted
	}
	at := slices.IndexFunc(f.Failures, func(x Failure) bool { return x.Attempt == r.AttemptID })
	if d.Close == ClosedByPeople {
		what = "" // closing it acknowledged it
	}
	switch {
	case what != "" && at < 0 && r.Origin != Foreign && len(f.Failures) < MaxFailures: // more open no breaker wider
		f.Failures = append(f.Failures, Failure{Cluster: r.Cluster, Attempt: r.AttemptID, What: what, At: now})
		return true
	case what == "" && at >= 0 && (d.Close == "" || d.Close == ClosedByPeople):
		f.Failures = slices.Delete(f.Failures, at, at+1)
		return true
	}
	return false
}

// clone copies what After changes.
func (f FleetDoc) clone() FleetDoc {
	f.Slots = cloneMap(f.Slots)
	f.Waves = cloneMap(f.Waves)
	f.Tries = cloneMap(f.Tries)
	f.Failures = slices.Clone(f.Failures)
	f.Requests = slices.Clone(f.Requests)
	f.Approvals = slices.Clone(f.Approvals)
	f.Holds = slices.Clone(f.Holds)
	return f
}

func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

// Tidy drops what has run out and notes what is due and blocked.
func (f FleetDoc) Tidy(ds []Decision, note RunNote) FleetDoc {
	f = f.clone()
	now := note.At
	f.Holds = slices.DeleteFunc(f.Holds, func(h Hold) bool { return !h.Until.IsZero() && !now.Before(h.Until) })
	f.Approvals = slices.DeleteFunc(f.Approvals, func(a Approval) bool { return !a.Until.IsZero() && !now.Before(a.Until) })
	f.dropMoot(ds)
	f.Blocked = nil
	for _, d := range ds {
		if (d.Action == People || d.Reason == reason.HeldByLabel) && d.Phase == "" && len(f.Blocked) < MaxBlocked {
			if f.Blocked == nil {
				f.Blocked = map[string]reason.Code{}
			}
			f.Blocked[d.Cluster.Ref.String()] = d.Reason
		}
	}
	f.LastRun = note
	return f
}

// dropMoot drops requests and tries of what is no more: another attempt,
// another cluster, another CA. What was not seen is kept.
func (f *FleetDoc) dropMoot(ds []Decision) {
	seen := map[string]Decision{}
	for _, d := range ds {
		if d.Cluster.ID != "" && d.Cluster.Bundle.Problem == "" && len(d.Cluster.Bundle.CAs) > 0 {
			seen[d.Cluster.Ref.String()] = d
		}
	}
	f.Requests = slices.DeleteFunc(f.Requests, func(q Request) bool {
		d, ok := seen[q.Cluster.String()]
		switch {
		case !ok:
			return false
		case q.Attempt != "":
			return d.Rotation == nil || d.Rotation.AttemptID != q.Attempt
		}
		return q.ClusterID != "" && q.ClusterID != d.Cluster.ID || q.CA != "" && q.CA != d.Cluster.Bundle.Oldest().Fingerprint
	})
	for name, t := range f.Tries {
		if d, ok := seen[name]; ok && (t.ClusterID != d.Cluster.ID || t.CA != d.Cluster.Bundle.Oldest().Fingerprint) {
			delete(f.Tries, name)
		}
	}
}
