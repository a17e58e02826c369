package policy

import (
	"slices"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// retell: where the policy has been loosened since people were told, so that the old
// credentials would end sooner than that, they are told anew, once, and get a soak from
// then. Until then the old promise holds.
func (k *Case) retell(d *Decision, r *record.Rotation) {
	if !r.Managed || r.Phase != record.RecreatingNodes && r.Phase != record.UpdatingClients ||
		!k.Cluster.Bundle.Has(r.Baseline.CA.Fingerprint) || len(k.Cluster.Bundle.CAs) != 2 {
		return
	}
	lifted, at := k.Loosened()
	gone := k.takenAway()
	if _, given := k.approved(record.CallComplete); !given && !k.Policy.Approval.Asks(record.CallComplete) &&
		r.Terms["APPROVAL"] != "" && r.Terms["APPROVAL"] != string(rules.ApproveNone) {
		if len(lifted) == 0 {
			at = window.Later(at, r.Promised)
		}
		lifted = append(lifted, "APPROVAL") // the yes that people were told of is no longer asked for
	}
	if len(lifted)+len(gone) == 0 {
		return
	}
	terms, was, what := k.Terms(), r.Promised, fact.Text(nil)
	if len(gone) > 0 {
		what = fact.Sayf("%s, which had not taken the hand-over, is told no more", fact.Some(gone))
	}
	for _, name := range lifted {
		what = fact.Join(what, fact.Sayf("%v, now %s", fact.Set(name, r.Terms[name]), terms[name]))
	}
	r.RetoldAt, r.Terms = k.Now, terms
	r.HandTo(k.Policy.Receivers)
	if at.IsZero() {
		at = window.Later(r.Promised, k.Promise())
	}
	r.Promised = at
	said := fact.Sayf("lifted since people were told: %v; the old credentials end not before %v", what, at)
	if !was.Equal(at) && !was.IsZero() {
		said = fact.Sayf("%v; told before: not before %v", said, was)
	}
	d.Tell(handedOver(reason.Loosened, said))
}

// takenAway names receivers that were told no longer before they took the hand-over, and
// for which the soak waits.
func (k *Case) takenAway() []string {
	r := k.Rotation
	if k.Policy.Receivers == nil || k.Compromised || !r.DeliveredAt(k.Now).IsZero() {
		return nil
	}
	return slices.DeleteFunc(r.Undelivered(), func(name string) bool {
		return slices.Contains(k.Policy.Receivers, name)
	})
}

// Delivered is the rotation once a receiver has taken its hand-over: with the last of
// them the soak begins, and what people were told moves with it.
func (k *Case) Delivered(receiver string) record.Rotation {
	r := k.Rotation.Clone()
	r.TakenBy(receiver, k.Now)
	if k.Rotation = &r; r.Managed && r.DeliveredAt(k.Now).Equal(k.Now) && len(k.Cluster.Bundle.CAs) == 2 {
		r.Promised = window.Later(r.Promised, k.Promise())
	}
	return r
}

// noteAway tells, each once, that the hand-over waits for a receiver, and that one was away
// for so long that the soak counts without it.
func (k *Case) noteAway(d *Decision, r *record.Rotation) {
	away := r.Undelivered()
	if len(away) == 0 || d.Close != "" || r.Phase == record.Verifying || !k.Now.After(r.ToldAt()) {
		return
	}
	code, what := string(reason.HandOverWaits), r.Waiting()
	if !r.DeliveredAt(k.Now).IsZero() {
		code = "receiver-away"
		what = fact.Sayf("%s was away for %s and is not awaited; others have the hand-over", fact.Some(away),
			fleet.Days(record.AwayLasts))
	}
	if !slices.Contains(k.caughtBefore, code) {
		d.Tell(Blocked(reason.HandOverWaits, what))
	}
	r.Caught = append(slices.Clone(r.Caught), code)
}
