package outcome

import (
	"maps"
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

// After gives the fleet document as it must be stored together with the
// decision's rotation; changed is false when only the rotation is written.
func After(f record.FleetDoc, d policy.Decision, now time.Time) (after record.FleetDoc, changed bool) {
	f = f.Clone()
	r, name := d.Rotation, d.Cluster.Ref.String()
	switch _, held := f.Slots[name]; {
	case d.Slot == policy.SlotTake && !held && len(f.Slots) >= record.MaxSlots:
		// An adopted one: starts are dealt no slot that is not there.
	case d.Slot == policy.SlotTake:
		f.Slots[name], changed = record.Slot{Attempt: r.AttemptID, Since: now, Emergency: d.Emergency,
			Compromised: d.Compromised}, true
	case d.Slot == policy.SlotRelease && held:
		delete(f.Slots, name)
		changed = true
	}
	if r == nil {
		return f, changed
	}
	changed = dropTaken(&f, d) || changed
	changed = noteTries(&f, d) || changed
	changed = noteFailure(&f, d, now) || changed
	changed = noteLost(&f, d, now) || changed
	if d.Close == "" {
		return f, changed
	}
	if d.Close.Verified() && r.Managed {
		f.NoteWave(r.Wave, record.WaveNote{Due: r.DueAt, At: now})
		changed = true
	}
	n := len(f.Requests) + len(f.Approvals)
	f.Requests = slices.DeleteFunc(f.Requests, func(q record.Request) bool {
		return q.Cluster == r.Cluster && (q.Kind != record.RequestRotate || d.Close != record.NotStarted)
	})
	f.Approvals = slices.DeleteFunc(f.Approvals, func(a record.Approval) bool {
		return a.Attempt != "" && a.Attempt == r.AttemptID
	})
	return f, changed || n != len(f.Requests)+len(f.Approvals)
}

// noteLost remembers a cluster whose attempt was closed unread, until it is taken up again.
func noteLost(f *record.FleetDoc, d policy.Decision, now time.Time) bool {
	name := d.Cluster.Ref.String()
	_, was := f.Lost[name]
	switch {
	case d.Close == record.Lost && len(f.Lost) < record.MaxLost:
		f.Lost = record.CloneMap(f.Lost)
		f.Lost[name] = now
		return true
	case d.Close == "" && was:
		delete(f.Lost, name)
		return true
	}
	return false
}

// dropTaken drops the requests that this write carries out.
func dropTaken(f *record.FleetDoc, d policy.Decision) bool {
	n := len(f.Requests)
	f.Requests = slices.DeleteFunc(f.Requests,
		func(q record.Request) bool { return slices.Contains(d.Taken, q) })
	return len(f.Requests) != n
}

// noteTries counts starts that came to nothing and forgets them once one took.
func noteTries(f *record.FleetDoc, d policy.Decision) bool {
	r, name := d.Rotation, d.Cluster.Ref.String()
	t, had := f.Tries[name]
	switch {
	case d.Close == record.NotStarted:
		if t.ClusterID != r.ClusterID || t.CA != r.Baseline.CA.Fingerprint {
			t = record.Try{ClusterID: r.ClusterID, CA: r.Baseline.CA.Fingerprint}
		}
		if len(f.Tries) >= record.MaxTries && !had {
			return false // a fleet in which so many starts fail has other troubles
		}
		if neverSent(r) {
			if r.Withdrawals > 0 {
				t.NoteWithdrawn(r)
				f.Tries[name] = t
			}
			return r.Withdrawals > 0
		}
		t.Count++
		t.Withdrawals, t.Attempt, t.Run, t.Delivered = 0, "", "", time.Time{}
		t.LastError = d.Message.String()
		if len(d.Findings) > 0 && d.Findings[0] != "" {
			t.LastError = d.Findings[0]
		}
		t.LastError = fact.Clip(t.LastError, record.MaxPoolError)
		t.NotBefore = record.NextTry(t.Count, d.Cluster.Seen)
		f.Tries[name] = t
		return true
	case had && r.Phase != record.Starting:
		delete(f.Tries, name)
		return true
	}
	return false
}

func neverSent(r *record.Rotation) bool {
	sent := func(c record.Call) bool { return c.Kind == record.CallStart && c.Sent() }
	return !slices.ContainsFunc(r.Settled, sent)
}

// noteFailure counts failed and stuck rotations of ours, once each, until
// somebody acknowledges them.
func noteFailure(f *record.FleetDoc, d policy.Decision, now time.Time) bool {
	r := d.Rotation
	what := reason.Code(r.Failed)
	if what == "" && r.Stuck {
		what = reason.IsStuck
	}
	if t := f.Tries[d.Cluster.Ref.String()]; d.Reason == reason.StartFailed &&
		t.Count >= record.FailuresBeforePeople {
		what = reason.TriesExhausted // GKE began and failed; what it refused has harmed nobody
	}
	at := slices.IndexFunc(f.Failures, func(x record.Failure) bool { return x.Attempt == r.AttemptID })
	switch d.Close {
	case record.ClosedByPeople, record.Completed, record.CompletedElsewhere:
		what = "" // closing it acknowledged it, and so does a good end
	case record.Gone, record.Recreated, record.Lost:
		if at >= 0 {
			what = reason.EndedUnverified // it is in no phase any more
		}
	}
	switch {
	case what != "" && at >= 0 && f.Failures[at].What != what:
		f.Failures[at].What = what
		return true
	// more open no breaker wider
	case what != "" && at < 0 && r.Origin != record.Foreign && r.ClosedBy == nil && len(f.Failures) < record.MaxFailures:
		f.Failures = append(f.Failures, record.Failure{Cluster: r.Cluster, Attempt: r.AttemptID, What: what,
			At: now})
		return true
	case what == "" && at >= 0:
		f.Failures = slices.Delete(f.Failures, at, at+1)
		return true
	}
	return false
}

// Tidy drops what has run out and notes what is due and blocked.
func Tidy(f record.FleetDoc, p *rules.Policy, seen policy.Fleet, ds []policy.Decision,
	note record.RunNote) record.FleetDoc {
	f = f.Clone()
	f.Holds = slices.DeleteFunc(f.Holds, func(h record.Hold) bool { return !h.Binds(note.At) })
	f.Approvals = slices.DeleteFunc(f.Approvals, func(a record.Approval) bool { return a.Over(note.At) })
	dropMoot(&f, ds)
	noteWaves(&f, p, seen, ds, note.At)
	noteOnGKE(&f, seen, ds)
	f.ShutWaves = shutSince(f.ShutWaves, ds, note.At)
	f.Blocked = nil
	for _, d := range ds {
		if (d.Action == policy.NeedsAction || d.Reason == reason.HeldByLabel) && d.Phase == "" &&
			len(f.Blocked) < record.MaxBlocked {
			if f.Blocked == nil {
				f.Blocked = map[string]reason.Code{}
			}
			f.Blocked[d.Cluster.Ref.String()] = d.Reason
		}
	}
	f.LastRun = note
	return f
}

// shutSince is since when each wave that people must open is shut.
func shutSince(was map[string]time.Time, ds []policy.Decision, now time.Time) map[string]time.Time {
	since := map[string]time.Time{}
	for _, d := range ds {
		if _, shut := d.ShutOut(); shut && d.Due.Is && d.Phase == "" {
			since[d.Wave] = now
			if at, ok := was[d.Wave]; ok {
				since[d.Wave] = at
			}
		}
	}
	return since
}

// noteOnGKE remembers since when clusters wait for work of GKE's own. What could not be
// read is kept: nobody knows better.
func noteOnGKE(f *record.FleetDoc, seen policy.Fleet, ds []policy.Decision) {
	notes := map[string]record.GKEWork{}
	note := func(name string, w record.GKEWork) {
		if len(notes) < record.MaxOnGKE {
			notes[name] = w
		}
	}
	for name, w := range f.OnGKE {
		if ref, err := fleet.ParseRef(name); err == nil && seen.UnreadAt(ref) != "" {
			note(name, w)
		}
	}
	for _, d := range ds {
		if d.OnGKE != nil {
			note(d.Cluster.Ref.String(), *d.OnGKE)
		}
	}
	f.OnGKE = notes
}

// dropMoot drops requests and tries of what is no more: another attempt,
// another cluster, another CA. What was not seen is kept.
func dropMoot(f *record.FleetDoc, ds []policy.Decision) {
	seen := map[string]policy.Decision{}
	for _, d := range ds {
		if d.Cluster.ID != "" && d.Cluster.Bundle.Problem == "" && len(d.Cluster.Bundle.CAs) > 0 {
			seen[d.Cluster.Ref.String()] = d
		}
	}
	bindUnread(f, seen)
	f.Requests = slices.DeleteFunc(f.Requests, func(q record.Request) bool {
		d, ok := seen[q.Cluster.String()]
		switch {
		case !ok:
			return false
		case q.Kind == record.RequestAdopt && d.Rotation == nil && len(d.Cluster.Bundle.CAs) == 1:
			return true // nothing is there to adopt
		case q.Attempt != "":
			return d.Rotation == nil || d.Rotation.AttemptID != q.Attempt
		}
		return q.ClusterID != "" && q.ClusterID != d.Cluster.ID || q.CA != "" &&
			q.CA != d.Cluster.Bundle.Oldest().Fingerprint
	})
	for name, t := range f.Tries {
		if d, ok := seen[name]; ok &&
			(t.ClusterID != d.Cluster.ID || t.CA != d.Cluster.Bundle.Oldest().Fingerprint) {
			delete(f.Tries, name)
		}
	}
}

// bindUnread binds what people said of a cluster that nobody could read then to what it
// is now.
func bindUnread(f *record.FleetDoc, seen map[string]policy.Decision) {
	for i := range f.Requests {
		q := &f.Requests[i]
		if d, ok := seen[q.Cluster.String()]; ok && q.Attempt == "" && q.CA == "" {
			q.ClusterID, q.CA = d.Cluster.ID, d.Cluster.Bundle.Oldest().Fingerprint
		}
	}
	for i := range f.Approvals {
		a := &f.Approvals[i]
		if d, ok := seen[a.Cluster.String()]; ok && a.Kind == record.CallStart && a.CA == "" {
			a.ClusterID, a.CA = d.Cluster.ID, d.Cluster.Bundle.Oldest().Fingerprint
		}
	}
}

// noteWaves remembers since when the rules of waves are what they are, what each project
// holds that keeps later waves shut, and which waves people have opened.
func noteWaves(f *record.FleetDoc, p *rules.Policy, seen policy.Fleet, ds []policy.Decision, now time.Time) {
	same := f.Rules.Digest == p.WaveRules()
	if !same {
		f.Rules = record.RulesNote{Digest: p.WaveRules(), Since: now, IssuedBefore: p.RotateIssuedBefore,
			Taken: p.IssuedBefore(f.Rules, now)}
	}
	notes := map[string]record.ProjectNote{}
	for _, project := range p.Projects {
		notes[project] = record.ProjectNote{At: now}
	}
	open := map[string]bool{}
	for _, d := range ds {
		open[d.Wave] = open[d.Wave] || !d.Pending.IsZero()
		note, ok := notes[d.Cluster.Ref.Project]
		if !ok || d.Pending.IsZero() {
			continue
		}
		wave := p.Waves.Named(d.Wave)
		if note.Due.IsZero() {
			note.Due, note.Wave = d.Pending, wave
		}
		note.Due, note.Wave = window.Earlier(note.Due, d.Pending), min(note.Wave, wave)
		notes[d.Cluster.Ref.Project] = note
	}
	for _, u := range seen.Unread {
		delete(notes, u.Project)
		if old, ok := f.Projects[u.Project]; ok && now.Sub(old.At) < rules.ProjectForgotten {
			if !same {
				old.Wave = 0 // the waves were others
			}
			notes[u.Project] = old
		}
	}
	if len(p.Waves) == 0 || len(notes) > record.MaxProjects {
		notes = nil
	}
	f.Projects = notes
	for _, u := range seen.Unread {
		if !u.Gone {
			return // what could not be read may be of the wave
		}
	}
	maps.DeleteFunc(f.OpenWaves, func(wave string, _ record.Said) bool { return !open[wave] })
}
