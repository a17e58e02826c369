package main

import (
	"testing"
	"time"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/notice"
	"gke-credential-rotator/policy/record"
)

// TestHandOverKeepsItsDate: the dates that people are told when nodes are done
// are those at which the pass then completes, for every cluster of the sample;
// told at the start they are off by hours at most, for then the nodes are an
// estimate. In an emergency, too, which awaits some calendars and not others.
func TestHandOverKeepsItsDate(t *testing.T) {
	t.Run("defaults", func(t *testing.T) { keepsItsDate(t, 6) })
	t.Run("freeze, both windows, night owls", func(t *testing.T) {
		keepsItsDate(t, 6, "ROTATOR_FREEZES=2026-11-26/2026-11-29", "ROTATOR_ZONAL_COMPLETE=both",
			"ROTATOR_SOAK=30h", "ROTATOR_NODE_GRACE=0", "ROTATOR_COMPLETE_WINDOW=daily 22:00-05:00 America/New_York")
	})
}

// keepsItsDate plays a month and wants at least so many completions.
func keepsItsDate(t *testing.T, least int, environ ...string) {
	t.Helper()
	s, problems := readSettings(config.Simulation(config.Variables(environ)))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	setup := sim.Setup{Policy: s.Policy(), World: gkesim.New(gkesim.Options{Seed: 1, Now: gkesim.SampleStart}),
		From: gkesim.SampleStart, Days: 30, Every: time.Hour, Seed: 1}
	if err := setup.World.AddSample(); err != nil {
		t.Fatal(err)
	}
	setup.Policy.Projects = setup.World.Projects()
	early, late := map[fleet.Ref]time.Time{}, map[fleet.Ref]time.Time{}
	story, err := sim.Play(t.Context(), setup, func(res pass.Result) {
		for _, d := range res.Decisions {
			for _, e := range d.Events {
				if e.Name != policy.EventHandedOver {
					continue
				}
				h, ok := notice.HandOverOf(setup.Policy, d, res.At, record.AtAnyTime)
				if !ok || h.Completes.IsZero() {
					t.Errorf("%s is handed over without a date: %v %s", d.Cluster.Ref, ok, h.Waits)
				}
				if d.Phase == record.RecreatingNodes {
					early[d.Cluster.Ref] = h.Completes
				} else {
					late[d.Cluster.Ref] = h.Completes
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, c := range story.Clusters {
		was := c.Entered[record.Completing]
		if was.IsZero() {
			continue
		}
		told++
		if at := late[c.Cluster]; !at.Equal(was) {
			t.Errorf("%s was to be completed %s, and was %s", c.Cluster, at, was)
		}
		if at := early[c.Cluster]; at.Sub(was).Abs() > 3*time.Hour {
			t.Errorf("%s was to be completed %s when it was started, and was %s", c.Cluster, at, was)
		}
		t.Logf("%s: told %s, then %s; was %s", c.Cluster, early[c.Cluster], late[c.Cluster], was)
	}
	if told < least {
		t.Errorf("only %d clusters were completed", told)
	}
}
