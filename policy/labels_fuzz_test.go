package policy_test

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"gke-credential-rotator/job/simtest/corpus"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// FuzzLabels: no label that begins as a hold does is overlooked, unless its day
// is over; what is told of it is one short line; and only the one value that is
// told approves.
func FuzzLabels(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range [][2]string{
		{"rotator-hold", ""}, {"rotator-hold", "launch"}, {"rotator-hold-until", "2026-12-24"},
		{"rotator-hold-until", "2020-01-01"},
		{"rotator-hold-until", "tomorrow"}, {"rotator_hold_until", "2026-12-24"},
		{"rotator-hold-until", "2026-12-24\n"}, {"rotator-holdx", "\x1b[31m"},
		{"rotator-approve", "yes"}, {"rotator-approve", "complete-attempt-1"},
		{"rotator-approve", "start-cafe01-2026-11-30"}, {"rotator-hold", strings.Repeat("ü", 900)}, {"env", "prod"},
	} {
		c.Add(s[0], s[1])
	}
	c.AtLeast(13, 0)
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	cluster := fleet.Cluster{Bundle: fleet.Bundle{CAs: []fleet.CA{{Fingerprint: "cafe01",
		Expires: now.AddDate(0, 0, 100)}}}, Status: fleet.Running}
	p := &rules.Policy{RotateBeforeExpiry: 180 * 24 * time.Hour, Approval: rules.ApproveStart,
		OwnerLabels: rules.OwnerLabelsBoth, MaxFailed: 1, MaxActive: 1, Every: time.Hour,
		NodeTime: 10 * time.Minute}
	f.Fuzz(func(t *testing.T, key, value string) {
		defer corpus.Watch(key + value)()
		cluster.Labels = map[string]string{key: value}
		said := p.LabelHold(cluster, now).String()
		day, err := time.Parse(time.DateOnly, value)
		over := key == "rotator-hold-until" && err == nil && !now.Before(day.AddDate(0, 0, 1))
		if holds := strings.HasPrefix(key, "rotator-hold") && !over; holds && said == "" ||
			!strings.HasPrefix(key, "rotator") && said != "" {
			t.Errorf("%q=%q: told %q", key, value, said)
		}
		if said != "" && (!corpus.OneShortLine(said, "") || len(said) > record.MaxMessage) {
			t.Errorf("%q=%q is told in too many words: %q", key, value, said)
		}
		for _, d := range policy.Plan(p, policy.Fleet{Clusters: []fleet.Cluster{cluster}}, "run", now) {
			for _, v := range d.Gates {
				near := strings.HasPrefix(value, "start-cafe01-2026-1")
				if v.Gate == "approval" && v.Open && (key != "rotator-approve" || !near) {
					t.Errorf("%q=%q approves", key, value)
				}
				if strings.ContainsFunc(v.Message.String(), unicode.IsControl) {
					t.Errorf("%q=%q: gate %s says %q", key, value, v.Gate, v.Message)
				}
			}
		}
	})
}
