package policy_test

import (
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/policytest"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

func standing(scope window.Scope, end time.Time) window.Exclusion {
	return window.Exclusion{Name: "keep-1.31", Scope: scope, UntilEndOfSupport: true,
		Span: window.Span{Start: policytest.Monday.AddDate(0, -3, 0), End: end}}
}

// An exclusion until the end of support is the cause, by its name, with what ends it, also
// while the window is closed; no text has a date that nobody knows.
func TestExclusionUntilEndOfSupport(t *testing.T) {
	told := policytest.Monday.AddDate(0, 0, 40)
	for name, tt := range map[string]struct {
		end    time.Time
		age    bool
		wants  []string
		shut   bool
		maxAge time.Duration
	}{
		"by expiry": {end: told, wants: []string{"at present 2027-01-02, GKE moves it",
			"otherwise lifted only from 2027-02-06",
			"--remove-maintenance-exclusion=keep-1.31;",
			"--add-maintenance-exclusion-end=2027-01-02T00:00:00Z",
			"--add-maintenance-exclusion-scope=no_minor_upgrades",
			"update shop --project=shop-prod --location=europe-west1"}},
		"by age": {end: told, maxAge: 100 * 24 * time.Hour,
			wants: []string{"never rotated for its age; lifted only from"}},
		"no end": {wants: []string{"until the version's end of support; otherwise"}},
		"closed": {end: told, shut: true, wants: []string{`exclusion "keep-1.31"`}},
	} {
		p, c := policytest.Plain(), policytest.Idle(policytest.Shop)
		p.MaxCAAge = tt.maxAge
		c.Maintenance.Exclusions = []window.Exclusion{standing(window.NoMinorOrNodeUpgrades, tt.end)}
		if tt.shut {
			opens := policytest.Monday.Add(5 * 24 * time.Hour)
			c.Maintenance.Window, c.Maintenance.Text, _ = window.Recurring(
				window.Span{Start: opens, End: opens.Add(4 * time.Hour)}, "FREQ=WEEKLY")
		}
		d := policytest.PlanOne(t, p, policytest.FleetOf(c, nil), policytest.Monday)
		if d.Action != policy.NeedsAction || d.Reason != reason.Excluded {
			t.Errorf("%s: %s, %s", name, d.Action, d.Reason)
		}
		for _, want := range tt.wants {
			if !strings.Contains(d.Message.String(), want) {
				t.Errorf("%s: %q does not say %q", name, d.Message, want)
			}
		}
		for _, v := range d.Gates {
			if text := v.Message.String(); strings.Contains(text, "9999") || strings.Contains(text, "0001-") {
				t.Errorf("%s: gate %s: %s", name, v.Gate, text)
			}
		}
	}
}

// EXCLUSIONS=gke-only: what stands against GKE's upgrades does not bind ours, on the
// cluster or a pool of it; everything else does.
func TestExclusionsForGKEOnly(t *testing.T) {
	ends := standing(window.NoMinorOrNodeUpgrades, policytest.Monday.AddDate(0, 0, 20))
	ends.UntilEndOfSupport = false
	for name, tt := range map[string]struct {
		of     window.Exclusion
		onPool bool
		starts bool
	}{
		"standing":            {standing(window.NoMinorOrNodeUpgrades, time.Time{}), false, true},
		"standing, on a pool": {standing(window.NoMinorOrNodeUpgrades, time.Time{}), true, true},
		"of all upgrades":     {standing(window.NoUpgrades, time.Time{}), false, false},
		"with an end":         {ends, false, false},
	} {
		for _, mode := range []rules.ExclusionsMode{rules.ExclusionsRespect, rules.ExclusionsGKEOnly} {
			p, c := policytest.Plain(), policytest.Idle(policytest.Shop)
			p.Exclusions = mode
			if tt.onPool {
				c.Pools[0].Exclusion = &tt.of
			} else {
				c.Maintenance.Exclusions = []window.Exclusion{tt.of}
			}
			d := policytest.PlanOne(t, p, policytest.FleetOf(c, nil), policytest.Monday)
			want := tt.starts && mode == rules.ExclusionsGKEOnly
			if (d.Action == policy.Start) != want {
				t.Errorf("%s, %s: %s, %s", name, mode, d.Action, d.Message)
			}
			if said := strings.Contains(d.Message.String(), "EXCLUSIONS=gke-only"); want && !said {
				t.Errorf("%s, %s: %q does not say why", name, mode, d.Message)
			}
			if want && !tt.onPool {
				k := policy.NewCase(p, c, nil, &record.FleetDoc{}, "", policytest.Monday)
				k.Pool = &fleet.Pool{Name: "web", Exclusion: &tt.of}
				for _, v := range k.Ask(policy.NodeGates,
					func(g policy.Gate) bool { return g.Name == "pool-exclusion" }) {
					if !v.Open {
						t.Errorf("%s: the pool waits: %s", name, v.Message)
					}
				}
			}
		}
	}
}

// A freeze without an end in sight says so, and no date that is none.
func TestFrozenForLong(t *testing.T) {
	p := policytest.Plain()
	if err := p.Freezes.UnmarshalText([]byte("2026-11-01/2029-01-01")); err != nil {
		t.Fatal(err)
	}
	v := policytest.Ask("freeze", policy.NewCase(p, policytest.Idle(policytest.Shop), nil,
		&record.FleetDoc{}, "", policytest.Monday))
	if got, want := v.Message.String(),
		"frozen for more than 400d by FREEZES=2026-11-01/2029-01-01"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
