package main

import (
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/simtest/fleets"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/rules"
)

// crowd is a large fleet, and how a run over it is made.
type crowd struct {
	fleets.Crowd
	parallel int
	settings []string
}

// policyFor is the policy of an in-process run over the crowd.
func (c crowd) policyFor(tb testing.TB) *rules.Policy {
	tb.Helper()
	s, problems := settingsOf(append([]string{
		"ROTATOR_ENV=crowd", "ROTATOR_PROJECTS=" + strings.Join(c.Names(), ","),
		"ROTATOR_FREEZES=2026-11-01/2026-12-31",
	}, c.settings...))
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
	return s.Policy()
}

// crowds are the fleets of the benchmark, 10,000 clusters each: idle but for a
// few, all CAs expiring in one season, and the same with an order to keep.
var crowds = map[string]crowd{
	"few-due": {fleets.Crowd{Projects: 200, Clusters: 50, Due: 3}, 16, nil},
	"all-due": {fleets.Crowd{Projects: 200, Clusters: 50, Due: 100}, 16, nil},
	"waves": {fleets.Crowd{Projects: 200, Clusters: 50, Due: 100}, 16,
		[]string{"ROTATOR_WAVES=env=dev > env=staging"}},
}

// BenchmarkPlan measures the decisions alone, over what one look showed.
func BenchmarkPlan(b *testing.B) {
	for name, c := range crowds {
		b.Run(name, func(b *testing.B) {
			p := c.policyFor(b)
			world := pass.World{
				Read: c.Dial(b, c.Serve(b).Address), NewID: randomID,
				Now: func() time.Time { return fleets.Monday }, Mono: func() time.Duration { return 0 },
			}
			res, err := pass.Look(b.Context(), world, pass.Options{Policy: p, Parallel: c.parallel})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				policy.Plan(p, res.Fleet, "run", fleets.Monday)
			}
		})
	}
}
