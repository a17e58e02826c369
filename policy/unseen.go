package policy

import (
	"cmp"
	"slices"
	"time"

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
		if d.Close != "" {
			d.Tell(Blocked(reason.ClusterLost,
				fact.Sayf("nobody could read it since %v: its rotation goes on unseen, and GKE may complete it from %v",
					r.LastRead, k.AutoComplete())))
		}
	default:
		k.stay(&d, reason.NotReadable,
			fact.Say(cmp.Or(why, "no list shows it, and GKE was not asked for it")))
		k.endsUnseen(&d, &fresh)
		if !r.LastRead.IsZero() {
			d.NextChange = r.LastRead.Add(rules.UnreadableLost)
		}
	}
	d.NextChange = window.Soonest(d.NextChange, k.holdsEnd()) // then it keeps its wave closed
	return d
}

// endsUnseen tells once, a day before GKE may complete it, that nobody sees what becomes of
// the rotation.
func (k *Case) endsUnseen(d *Decision, r *record.Rotation) {
	const before = 24 * time.Hour
	gke, caught := k.AutoComplete(), string(reason.NotReadable)
	switch told := slices.Contains(r.Caught, caught); {
	case told || r.Phase == record.Starting || r.Phase == record.Verifying:
	case k.Now.Before(gke.Add(-before)):
		d.NextChange = window.Soonest(d.NextChange, gke.Add(-before))
	default:
		r.Caught, d.Write = append(slices.Clone(r.Caught), caught), true
		d.Tell(Blocked(reason.NotReadable, d.Message.Tailf("; GKE may complete its rotation from %v, unseen", gke)))
	}
}
