package trial

import (
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// told is one notice about a rotation, as people read it: the old credentials end at ours
// at the earliest by our doing, and may end at gke by GKE's. A zero time was not told.
type told struct {
	at, ours, gke time.Time
}

// learnTold takes in the dates of notices that were stored with a write.
func (j *judge) learnTold(e *Event, w *Write) {
	b := j.ledger(e.Env)
	for _, n := range w.Asked.Notices {
		h := n.HandOver
		if h == nil || !h.Completed.IsZero() || h.Phase == record.Completing {
			continue
		}
		if a := b.attempts[h.AttemptID]; a != nil {
			a.told = append(a.told, told{at: e.At, ours: h.Completes, gke: h.GKECompletes})
		}
	}
}

// datesTrue judges the second half of promise 10: no date told for the end of the old
// credentials lies after the end that was played, but where somebody else ended it, and
// such is another deployment.
func (j *judge) datesTrue(e *Event) {
	gone := j.goneCA(e)
	if gone == "" {
		return
	}
	by := j.ender(e.Cluster)
	for env, s := range j.closing.settings {
		if by != byGKE && by != env {
			continue
		}
		for _, a := range j.ledger(env).attempts {
			if a.cluster != e.Cluster || a.baseline != gone || a.closed != "" {
				continue
			}
			for i, t := range a.told {
				if by == env && toldAnew(a.told[i+1:], e.At, j.noticeDue(s.Policy, e.Cluster)) {
					continue
				}
				date := t.ours
				if by == byGKE {
					date = t.gke
				}
				if e.At.Before(date.Add(-toldSlack)) && !j.pressed(s.Policy, e.Cluster) {
					j.accuse(e, e.Cluster, "the old CA was ended by %s, and on %s people were told: not before %s",
						by, stampOf(t.at), stampOf(date))
				}
			}
		}
	}
}

// noticeDue is how long before they end people must know that they end sooner than told.
func (j *judge) noticeDue(p *rules.Policy, ref fleet.Ref) time.Duration {
	v := ofCluster(p, j.truth(ref).fact.Cluster)
	if v.emergency(j.now) {
		return leastSoak
	}
	return afterNodes - toldSlack
}

// toldAnew says whether people were told again, early enough, of a date that was kept:
// the settings were loosened.
func toldAnew(later []told, ended time.Time, notice time.Duration) bool {
	return slices.ContainsFunc(later, func(t told) bool {
		return !t.ours.IsZero() && !ended.Before(t.ours.Add(-toldSlack)) && ended.Sub(t.at) >= notice
	})
}

// toldSlack: clocks are apart, and a date is told in steps of five minutes.
const toldSlack = 2 * skewBy

// goneCA is the old CA that is gone with this event, or "".
func (j *judge) goneCA(e *Event) fleet.Fingerprint {
	if e.Kind != Changed || e.Fact == nil {
		return ""
	}
	was := j.truth(e.Cluster).fact
	if was == nil || was.Cluster.ID != e.Fact.Cluster.ID || len(was.Cluster.Bundle.CAs) != 2 ||
		has(e.Fact.Cluster, oldest(was.Cluster).Fingerprint) {
		return ""
	}
	return oldest(was.Cluster).Fingerprint
}

// byGKE is who ended a rotation that nobody completed.
const byGKE = "GKE"

// ender is who ended the old CA of the cluster, as far as the journal tells: the deployment
// whose completion GKE accepted, somebody else, or GKE itself.
func (j *judge) ender(ref fleet.Ref) string {
	t := j.truth(ref)
	if t.completedElse.After(t.two) {
		return "somebody else"
	}
	for env, b := range j.ledgers {
		if c := b.finals[ref]; c != nil && c.accepted.After(t.two) {
			return env
		}
	}
	return byGKE
}

// pressed says whether so little is left before the expiry, or a compromise so urgent,
// that dates give way.
func (j *judge) pressed(p *rules.Policy, ref fleet.Ref) bool {
	v := ofCluster(p, j.truth(ref).fact.Cluster)
	return v.compromised() || oldest(v.cluster).Expires.Before(j.now.Add(7*24*time.Hour))
}

// notEndedByGKE judges the first half of promise 10 where its conditions hold: calm since
// before the start, nothing slower than anybody reckons with, nobody but us and GKE at the cluster, no
// hold, and no approval that a person might give late.
func (j *judge) notEndedByGKE(e *Event) {
	if j.goneCA(e) == "" || j.closing.calm.IsZero() || j.ender(e.Cluster) != byGKE {
		return
	}
	t := j.truth(e.Cluster)
	if t.by == nil || t.by.sentAt.Before(j.closing.calm) || !t.meddled.IsZero() {
		return
	}
	s := j.closing.settings[t.by.env]
	if s == nil {
		return
	}
	b, v := j.ledger(t.by.env), ofCluster(s.Policy, t.fact.Cluster)
	if s.At.After(t.by.sentAt) || s.Mode != "act" || b.heldSince[e.Cluster].After(t.by.sentAt) ||
		j.setup.Slow || j.setup.NodeTakes > s.Policy.NodeTime || s.Policy.Fit == rules.FitReport ||
		s.Policy.Approval == rules.ApproveComplete || s.Policy.Approval == rules.ApproveBoth ||
		j.pressed(s.Policy, e.Cluster) || v.emergency(t.by.sentAt) {
		return
	}
	j.accuse(e, e.Cluster, "the rotation that we began %s was ended by GKE", stampOf(t.by.sentAt))
}

// promiseKept judges promise 11: a completion of ours is not sent before the date of the
// newest hand-over. That an older, later date was taken back in time is promise 10's.
func (j *judge) promiseKept(e *Event) {
	if e.Kind != Sent || e.Request.Kind != record.CallComplete {
		return
	}
	v, ok := j.look(e)
	if !ok || v.rotation == nil || v.compromised() || v.emergency(v.to) {
		return // emergencies and compromises have their own dates
	}
	a := j.ledger(e.Env).attempts[v.rotation.AttemptID]
	if a == nil || len(a.told) == 0 {
		return
	}
	last := a.told[len(a.told)-1]
	if e.At.Before(last.ours.Add(-toldSlack)) {
		j.accuse(e, v.cluster.Ref, "a complete was sent although on %s people were told: not before %s",
			stampOf(last.at), stampOf(last.ours))
	}
}

// somebodyCompletes is how the play says that an outsider did.
func somebodyCompletes(text string) bool { return strings.Contains(text, "completes the rotation") }
