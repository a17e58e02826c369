package view_test

import (
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/policy/policytest"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

func weekly(t *testing.T, text string) window.Weekly {
	t.Helper()
	w, err := window.ParseWeekly(text)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Settings that are probably not meant are told with the way out, and others are not.
func TestWarnings(t *testing.T) {
	quiet := func() *rules.Policy {
		p := policytest.Plain()
		p.Window, p.CompleteWindow = weekly(t, "Sat 02:00-06:00 UTC"), weekly(t,
			"Mon-Thu 09:00-15:00 Europe/Paris")
		p.Soak = 72 * time.Hour
		return p
	}
	if got := view.Warnings(quiet(), "act", policytest.Monday); len(got) > 0 {
		t.Errorf("of nothing: %q", got)
	}
	for name, tt := range map[string]struct {
		change func(*rules.Policy)
		wants  []string
	}{
		"at any hour": {func(p *rules.Policy) { p.Window = window.Weekly{} },
			[]string{"WINDOW=always with MODE=act"}},
		"in UTC": {func(p *rules.Policy) {
			p.CompleteWindow = weekly(t,
				"Tue 10:00-16:00 Asia/Tokyo; Wed 10:00-16:00")
		},
			[]string{"names no zone"}},
		"past": {func(p *rules.Policy) {
			_ = p.Freezes.UnmarshalText([]byte("2024-12-20/2025-01-05, 2025-12-19/2026-01-04"))
		}, []string{"ended 2026-01-05"}},
		"every 8 h": {func(p *rules.Policy) { p.Every = 8 * time.Hour },
			[]string{"EVERY=8h: runs may never fall into WINDOW=Sat",
				"set EVERY to 3h or less", "COMPLETE_WINDOW=Mon-Thu", "set EVERY to 5h or less",
				"a cluster's own window"}},
		"half an hour": {func(p *rules.Policy) { p.CompleteWindow = weekly(t, "Tue 09:00-09:30 UTC") },
			[]string{"set EVERY to 13m or less"}},
	} {
		p := quiet()
		tt.change(p)
		got := strings.Join(view.Warnings(p, "act", policytest.Monday), "\n")
		for _, want := range tt.wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, got)
			}
		}
	}
	coming := quiet()
	_ = coming.Freezes.UnmarshalText([]byte("2025-12-19/2026-01-04, 2026-12-19/2027-01-04"))
	if got := view.Warnings(coming, "act", policytest.Monday); len(got) > 0 {
		t.Errorf("a freeze is ahead: %q", got)
	}
}

// A key that no cluster has, and a wave that matches nothing, are told.
func TestFindings(t *testing.T) {
	p := policytest.Plain()
	c := policytest.Idle(policytest.Shop)
	c.Labels = map[string]string{"env": "prod", "tier": "front"}
	plan := func(selector, waves string) string {
		if err := p.Selector.UnmarshalText([]byte(selector)); err != nil {
			t.Fatal(err)
		}
		if err := p.Waves.UnmarshalText([]byte(waves)); err != nil {
			t.Fatal(err)
		}
		res := pass.Result{At: policytest.Monday, Fleet: policytest.FleetOf(c, nil)}
		return strings.Join(view.PlanOf(res, p).Findings(), "\n")
	}
	for _, tt := range []struct{ selector, waves, want string }{
		{"env=prod", "tier=front", ""},
		{"name!=pay-prod-3", "one",
			`no cluster that was read has the label "name", which selector names (name!=pay-prod-3)`},
		{"all", "env=prd > tier=front", `wave "env=prd" matches no cluster`},
		{"all", "stage=x > env=prod", `has the label "stage", which waves names`},
	} {
		got := plan(tt.selector, tt.waves)
		if (got == "") != (tt.want == "") || !strings.Contains(strings.ToLower(got), tt.want) {
			t.Errorf("%s, %s: %q, want %q", tt.selector, tt.waves, got, tt.want)
		}
		if strings.Count(got, "\n") > 0 {
			t.Errorf("%s, %s: more than one: %q", tt.selector, tt.waves, got)
		}
	}
}
