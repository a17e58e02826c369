package trial

import (
	"reflect"
	"time"

	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

const (
	// seenBy is when what is true of a cluster has surely been read: clocks apart, stale
	// reads, a run that was paused.
	seenBy = 6 * time.Hour
	// waveOpens is how near to the expiry a closed wave may open by itself: 33 days, and a
	// week for each of the others that must go before.
	waveOpens = 33 * 24 * time.Hour
)

// learnRules notes since when waves and what makes a cluster due are as they are.
func (j *judge) learnRules(e *Event) {
	b := j.ledger(e.Env)
	if b.rules == nil || !sameRules(b.rules, e.Policy) {
		b.rulesSince = e.At
	}
	b.rules = e.Policy
}

func sameRules(a, b *rules.Policy) bool {
	return reflect.DeepEqual(a.Waves, b.Waves) && a.RotateBeforeExpiry == b.RotateBeforeExpiry &&
		a.MaxCAAge == b.MaxCAAge && a.RotateIssuedBefore.Equal(b.RotateIssuedBefore)
}

// wavesKept judges a part of promise 12: a start waits for every cluster of an earlier
// wave that became due no later than it did, or than the rules are what they are.
func (j *judge) wavesKept(e *Event) {
	if e.Kind != Sent || e.Request.Kind != record.CallStart {
		return
	}
	v, ok := j.look(e)
	if !ok || len(v.policy.Waves) == 0 || v.compromised() || v.emergency(v.to) || len(v.doc.OpenWaves) > 0 {
		return
	}
	if oldest(v.cluster).Expires.Before(e.At.Add(waveOpens +
		time.Duration(len(j.clusters))*7*24*time.Hour)) {
		return // its wave's last moment may have come
	}
	b, wave := j.ledger(e.Env), waveOf(v.policy, v.cluster.Labels)
	by := laterOf(v.dueSince(), b.rulesSince)
	for ref, other := range j.clusters {
		if other.fact == nil || other.meddled.After(e.At.Add(-seenBy)) || ref == v.cluster.Ref ||
			other.since.After(e.At.Add(-seenBy)) && j.closing.began[ref] != nil {
			continue
		}
		o := ofCluster(v.policy, other.fact.Cluster)
		if waveOf(v.policy, o.cluster.Labels) >= wave || !o.waitedFor(e.At) || !o.due(e.At.Add(-seenBy)) ||
			o.dueSince().After(by.Add(-time.Minute)) {
			continue
		}
		j.accuse(e, v.cluster.Ref, "a start was sent although %s of an earlier wave, due since %s, has its old CA",
			ref, stampOf(o.dueSince()))
		return
	}
}

// waitedFor: one that we can never rotate keeps nobody waiting.
func (v showing) waitedFor(t time.Time) bool {
	c := v.cluster
	return v.selected() && !c.Alpha && !c.CustomerCA && t.Before(oldest(c).Expires)
}

// dueSince is when the oldest CA became due by its dates.
func (v showing) dueSince() time.Time {
	p, ca := v.policy, oldest(v.cluster)
	at := ca.Expires.Add(-p.RotateBeforeExpiry)
	if p.MaxCAAge > 0 && ca.Issued.Add(p.MaxCAAge).Before(at) {
		at = ca.Issued.Add(p.MaxCAAge)
	}
	if ca.Issued.Before(p.RotateIssuedBefore) && p.RotateIssuedBefore.Before(at) {
		at = p.RotateIssuedBefore
	}
	return at
}
