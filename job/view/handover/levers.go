package handover

import (
	"slices"
	"time"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/record"
)

func levers(h record.HandOver) []Step {
	if over(h) || h.Phase == record.Completing {
		return nil
	}
	s, cluster := shell{h}, words.Quote(h.Cluster.String())
	var out []Step
	switch {
	case h.Watched:
		out = append(out, Step{"adopt", "Have this tool manage it",
			"Somebody else started this rotation, and this tool only looks: they complete it, or GKE does. Adopted, it keeps to soak, windows and approvals from now on.",
			[]Command{{"adopt it", "rotator adopt " + cluster + " --by YOU --reason WHY"}}})
	case h.Approval:
		out = append(out, Step{"approve", "When clients are updated: approve",
			"This deployment completes nothing that nobody has approved. The yes holds for this attempt, until a node pool must be recreated again.",
			[]Command{{"approve the completion", "rotator approve " + cluster +
				" --by YOU --reason 'clients are updated'"}}})
	}
	ours, until := daysAfter(h.At, h.Completes), daysAfter(h.At, h.Completes, h.GKECompletes)
	if !h.Watched {
		out = append(out, Step{"hold", "Not ready: hold",
			"It stops every call of ours for this cluster, node work as well, until the date or `rotator release`. It does not stop GKE, which completes by itself.",
			[]Command{{"hold it", "rotator hold " + cluster + " --until " + ours.Format(time.DateOnly) +
				" --by YOU --reason WHY"}}})
	}
	return append(out, Step{"delay-gke", "Not ready, and GKE's own date is near: a maintenance exclusion",
		"Only an exclusion with scope no_upgrades delays GKE. It stops node recreation, too, and within 30 days of the CA's expiry GKE may pass over it. A cluster takes few of them: remove it when clients are ready.",
		[]Command{
			{"delay GKE until " + until.Format(time.DateOnly), "gcloud container clusters update " + s.name() + " " +
				s.where() + " \\\n  --add-maintenance-exclusion-name=rotation-clients --add-maintenance-exclusion-scope=no_upgrades \\\n  --add-maintenance-exclusion-start=" +
				h.At.UTC().Format(time.RFC3339) + " --add-maintenance-exclusion-end=" + until.Format(time.RFC3339)},
			{"end that", "gcloud container clusters update " + s.name() + " " + s.where() +
				" \\\n  --remove-maintenance-exclusion=rotation-clients"},
		}})
}

// daysAfter is a date some days after the last of the times: enough for people to
// talk.
func daysAfter(times ...time.Time) time.Time {
	last := slices.MaxFunc(times, time.Time.Compare)
	return last.UTC().Truncate(24*time.Hour).AddDate(0, 0, 3)
}
