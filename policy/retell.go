package policy

import (
	"gke-credential-rotator/policy/fact"
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
	if _, given := k.approved(record.CallComplete); !given && !k.Policy.Approval.Asks(record.CallComplete) &&
		r.Terms["APPROVAL"] != "" && r.Terms["APPROVAL"] != string(rules.ApproveNone) {
		if len(lifted) == 0 {
			at = window.Later(at, r.Promised)
		}
		lifted = append(lifted, "APPROVAL") // the yes that people were told of is no longer asked for
	}
	if len(lifted) == 0 {
		return
	}
	terms, was, what := k.Terms(), r.Promised, fact.Text(nil)
	for _, name := range lifted {
		what = fact.Join(what, fact.Sayf("%v, now %s", fact.Set(name, r.Terms[name]), terms[name]))
	}
	r.RetoldAt, r.Promised, r.Terms = k.Now, at, terms
	said := fact.Sayf("lifted since people were told: %v; the old credentials end not before %v", what, at)
	if !was.Equal(at) && !was.IsZero() {
		said = fact.Sayf("%v; told before: not before %v", said, was)
	}
	d.Tell(handedOver(reason.Loosened, said))
}
