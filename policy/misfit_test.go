package policy_test

import (
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/policytest"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// What keeps a rotation from fitting is named, and what is innocent is not.
func TestMisfitNamesItsCause(t *testing.T) {
	const day = 24 * time.Hour
	weekly := func(c *fleet.Cluster, length time.Duration) {
		opens := policytest.Monday.Add(2*day + 3*time.Hour)
		c.Maintenance.Window, c.Maintenance.Text, _ = window.Recurring(
			window.Span{Start: opens, End: opens.Add(length)}, "FREQ=WEEKLY;BYDAY=WE")
	}
	for name, tt := range map[string]struct {
		change       func(*rules.Policy, *fleet.Cluster)
		names, spare []string
	}{
		"a blue-green soak": {func(_ *rules.Policy, c *fleet.Cluster) {
			c.Pools[0].BlueGreen, c.Pools[0].PoolSoak, c.Pools[0].Nodes = true, 8*day, 2
		}, []string{"blue-green soak"}, []string{"NODE_TIME", "surge"}},
		"an exclusion of a pool without an end": {func(_ *rules.Policy, c *fleet.Cluster) {
			c.Pools[0].Exclusion = &window.Exclusion{Name: "web", Scope: window.NoMinorOrNodeUpgrades,
				UntilEndOfSupport: true}
		}, []string{`exclusion of pool "web"`}, []string{"9999", "FREEZES", "window always, with"}},
		"too many pools at one time": {func(p *rules.Policy, c *fleet.Cluster) {
			weekly(c, 5*time.Hour)
			c.Pools = nil
			for _, n := range strings.Split("abcdefghijk", "") {
				c.Pools = append(c.Pools, fleet.Pool{Name: n, Version: "1", Nodes: 9, MaxSurge: 1,
					Status: fleet.Running})
			}
			p.NodeOverrun = 0
		}, []string{"POOLS_AT_ONCE="}, []string{"NODE_TIME", "SOAK"}},
		"runs too seldom": {func(p *rules.Policy, _ *fleet.Cluster) {
			p.Every = 24 * time.Hour
			p.CompleteWindow, _ = window.ParseWeekly("Mon-Fri 10:00-14:00 UTC")
		}, []string{"EVERY="}, []string{"FREEZES", "START_WINDOW"}},
	} {
		p, c := policytest.Plain(), policytest.Idle(policytest.Shop)
		tt.change(p, &c)
		d := policytest.PlanOne(t, p, policytest.FleetOf(c, nil), policytest.Monday)
		text := ""
		for _, v := range d.Gates {
			if v.Gate == "fit" && !v.Open {
				text = v.Message.String()
			}
		}
		if text == "" {
			t.Errorf("%s: it fits: %s, %s", name, d.Reason, d.Message)
			continue
		}
		for _, want := range tt.names {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q does not name %s", name, text, want)
			}
		}
		for _, innocent := range tt.spare {
			if strings.Contains(text, innocent) {
				t.Errorf("%s: %q names %s", name, text, innocent)
			}
		}
		if d.Reason != reason.DoesNotFit && d.Reason != reason.WindowClosed {
			t.Errorf("%s: %s", name, d.Reason)
		}
	}
}

// A monthly window is awaited, however long: time alone opens it, and nobody need act.
func TestMonthlyWindowIsAwaited(t *testing.T) {
	p, c := policytest.Plain(), policytest.Idle(policytest.Shop)
	opens := policytest.Monday.AddDate(0, -1, 0)
	c.Maintenance.Window, c.Maintenance.Text, _ = window.Recurring(
		window.Span{Start: opens, End: opens.Add(6 * time.Hour)}, "FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=30")
	c.Bundle.CAs[0].Expires = policytest.Monday.AddDate(0, 5, 20)
	d := policytest.PlanOne(t, p, policytest.FleetOf(c, nil), policytest.Monday)
	if d.Action != "wait" || strings.Contains(d.Message.String(), "no start is possible") {
		t.Errorf("%s: %s", d.Action, d.Message)
	}
}
