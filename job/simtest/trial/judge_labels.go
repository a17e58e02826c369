package trial

import (
	"fmt"
	"strings"
	"time"

	"gke-credential-rotator/policy/rules"
)

// labelHolds says whether a label of the owners' holds the cluster at t, as the
// documents tell owners: rotator-hold until it is gone, rotator-hold-until
// through a day in UTC, and whatever cannot be understood.
func labelHolds(p *rules.Policy, labels map[string]string, t time.Time) bool {
	if p.OwnerLabels == "off" {
		return false
	}
	if _, there := labels["rotator-hold"]; there {
		return true
	}
	until, there := labels["rotator-hold-until"]
	if !there {
		return false
	}
	last, err := time.Parse("2006-01-02", until)
	return err != nil || t.Before(last.Add(24*time.Hour))
}

// labelApproves: a label says yes to the completion of this attempt and entry,
// as the judge counts entries; without an attempt, to the start that replaces
// this CA, until the end of a day at most fourteen days ahead.
func (v showing) labelApproves(t time.Time, a *attempt) bool {
	value := v.cluster.Labels["rotator-approve"]
	if v.policy.OwnerLabels != "both" || value == "" {
		return false
	}
	if a != nil {
		return value == fmt.Sprintf("complete-%.16s-%d", a.id, a.entries)
	}
	last, err := time.Parse("2006-01-02",
		strings.TrimPrefix(value, fmt.Sprintf("start-%.16s-", oldest(v.cluster).Fingerprint)))
	return err == nil && t.Before(last.Add(24*time.Hour)) && !t.Before(last.Add(-14*24*time.Hour))
}
