package policy

import (
	"maps"
	"slices"
	"time"
)

// After gives the fleet document as it must be stored together with the
// decision's rotation; changed is false when only the rotation is written.
func (f FleetDoc) After(d Decision, now time.Time) (after FleetDoc, changed bool) {
	f = f.clone()
	r, name := d.Rotation, d.Cluster.Ref.String()
	switch _, held := f.Slots[name]; {
	case d.Slot == SlotTake:
		f.Slots[name], changed = Slot{Attempt: r.AttemptID, Since: now, Emergency: d.Emergency, Urgent: d.Urgent}, true
	case d.Slot == SlotRelease && held:
		delete(f.Slots, name)
		changed = true
	}
	if r == nil {
		return f, changed
	}
	changed = f.takenUp(r) || changed
	changed = f.noteTries(d) || changed
	changed = f.noteFailure(d, now) || changed
	if d.Close == "" {
		return f, changed
	}
	if verified(d.Close) && r.Carry {
		f.Waves[r.Wave] = now
		changed = true
	}
	n := len(f.Requests)
	f.Requests = slices.DeleteFunc(f.Requests, func(q Request) bool { return q.Cluster == r.Cluster && d.Close != NotStarted })
	f.Approvals = slices.DeleteFunc(f.Approvals, func(a Approval) bool { return a.Attempt != "" && a.Attempt == r.AttemptID })
	return f, changed || n != len(f.Requests)
}

// takenUp drops the requests that the rotation now carries in itself.
func (f *FleetDoc) takenUp(r *Rotation) bool {
	n := len(f.Requests)
	f.Requests = slices.DeleteFunc(f.Requests, func(q Request) bool {
		return q.Cluster == r.Cluster && (q.Kind == RequestAdopt || q.Kind == RequestRetry)
	})
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
	case d.Close == NotStarted && !neverSent(r):
		if t.ClusterID != r.ClusterID || t.CA != r.Baseline.CA.Fingerprint {
			t = Try{ClusterID: r.ClusterID, CA: r.Baseline.CA.Fingerprint}
		}
		t.Count++
		t.LastError = d.Message
		if len(d.Findings) > 0 && d.Findings[0] != "" {
			t.LastError = d.Findings[0]
		}
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
	what := Reason(r.Failed)
	if what == "" && r.Stuck {
		what = IsStuck
	}
	if t := f.Tries[d.Cluster.Ref.String()]; d.Close == NotStarted && t.Count >= failuresBeforePeople {
		what = TriesExhausted
	}
	at := slices.IndexFunc(f.Failures, func(x Failure) bool { return x.Attempt == r.AttemptID })
	if d.Close == ClosedByPeople {
		what = "" // closing it acknowledged it
	}
	switch {
	case what != "" && at < 0 && r.Origin != Foreign:
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
	f.Blocked = nil
	for _, d := range ds {
		if d.Action == People && d.Phase == "" && len(f.Blocked) < MaxBlocked {
			if f.Blocked == nil {
				f.Blocked = map[string]Reason{}
			}
			f.Blocked[d.Cluster.Ref.String()] = d.Reason
		}
	}
	f.LastRun = note
	return f
}
