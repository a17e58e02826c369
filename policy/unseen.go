package policy

import (
	"cmp"
	"slices"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// unseen decides for a rotation whose cluster this run did not see: gone only
// when GKE was asked for it and says so, unknown otherwise.
func (k *Case) unseen(f Fleet) Decision {
	r, now := *k.Rotation, k.Now
	k.Wave, k.WaveName = k.Policy.Waves.Named(r.Wave), r.Wave // labels are unknown
	d := Decision{Cluster: k.Cluster, Phase: r.Phase, Wave: r.Wave, Action: Wait}
	fresh := r.Clone()
	d.Rotation = &fresh
	why := f.UnreadAt(r.Cluster)
	switch {
	case k.endedByPerson(&d, &fresh):
	case slices.Contains(f.Gone, r.Cluster):
		k.close(&d, &fresh, record.Gone, reason.ClusterGone)
	case !r.LastRead.IsZero() && now.Sub(r.LastRead) >= rules.UnreadableLost:
		k.close(&d, &fresh, record.Lost, reason.ClusterLost)
	default:
		k.stay(&d, reason.NotReadable,
			fact.Say(cmp.Or(why, "no list shows it, and GKE was not asked for it")))
		if !r.LastRead.IsZero() {
			d.NextChange = r.LastRead.Add(rules.UnreadableLost)
		}
	}
	d.NextChange = window.Soonest(d.NextChange, k.holdsEnd()) // then it keeps its wave closed
	return d
}
