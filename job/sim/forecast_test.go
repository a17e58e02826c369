package sim

import (
	"context"
	"encoding"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/simtest/fleets"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
)

const day = 24 * time.Hour

var (
	crowdClusters = flag.Int("crowd", 0,
		"TestForecastOfCrowd: how many clusters to play in full beside their forecast")
	crowdDays = flag.Int("crowd-days", 365, "TestForecastOfCrowd: how many days")
	forecasts = flag.Int64("forecasts", mostForecasts, "TestForecastIsTheSimulation: how many seeds")
)

// crowdStart is a Monday.
var crowdStart = time.Date(2026, 11, 23, 0, 17, 0, 0, time.UTC)

// careful is a policy for a crowd that has to wait for much of it.
func careful(tb testing.TB) *rules.Policy {
	tb.Helper()
	p := &rules.Policy{
		Env: "sim", RotateBeforeExpiry: 180 * day, MaxCAAge: 365 * day, EmergencyBeforeExpiry: 45 * day,
		EmergencyMaxActive: 10,
		SoakCompromised:    4 * time.Hour, CompromisedMaxActive: 20, ZonalComplete: rules.ZonalPeople,
		Soak: 72 * time.Hour, Approval: rules.ApproveNone,
		Nodes: rules.NodesAuto, NodeGrace: time.Hour, NodeTime: 10 * time.Minute, NodeOverrun: 2 * time.Hour,
		Fit: rules.FitBind, Adopt: rules.AdoptWatch,
		MaxActive: 30, MaxActivePerProject: 2,
		WaveSoak: 72 * time.Hour, MaxFailed: 100, StuckAfter: 24 * time.Hour, Every: time.Hour,
	}
	settle(tb, &p.CompleteWindow, "Mon-Thu 09:00-15:00")
	return p
}

func settle(tb testing.TB, into encoding.TextUnmarshaler, text string) {
	tb.Helper()
	if err := into.UnmarshalText([]byte(text)); err != nil {
		tb.Fatal(err)
	}
}

// drawn is a policy from a seed, of all kinds.
func drawn(t *testing.T, seed int64) *rules.Policy {
	dice := rand.New(rand.NewPCG(uint64(seed), 7))
	p := careful(t)
	p.MaxActive, p.MaxActivePerProject = pick(dice, 1, 3, 5, 10, 100), pick(dice, 0, 1, 2)
	p.MaxActivePerLocation, p.EmergencyMaxActive = pick(dice, 0, 0, 2), pick(dice, 1, 10)
	p.MaxCAAge, p.Soak = pick(dice, 0, 90*day, 365*day), pick(dice, 0, day, 72*time.Hour)
	p.WaveSoak, p.MaxFailed, p.PoolsAtOnce = pick(dice, 0, 3*day), pick(dice, 1, 100), pick(dice, 0, 0, 1, 2)
	p.Nodes, p.Adopt = pick(dice, rules.NodesAuto, rules.NodesAuto, rules.NodesGKE),
		pick(dice, rules.AdoptWatch, rules.AdoptManage)
	p.Approval = pick(dice, rules.ApproveNone, rules.ApproveNone, rules.ApproveNone, rules.ApproveComplete,
		rules.ApproveStart)
	p.ZonalComplete = pick(dice, rules.ZonalPeople, rules.ZonalWindow, rules.ZonalBoth)
	p.Every = pick(dice, time.Hour, time.Hour, 2*time.Hour)
	settle(t, &p.Waves, pick(dice, "one", "one", "env=dev > env=staging > env=prod", "env=dev"))
	settle(t, &p.StartWindow, pick(dice, "always", "always", "Mon-Fri 00:00-24:00 Europe/Paris"))
	settle(t, &p.Window, pick(dice, "always", "Sat,Sun 02:00-06:00 Europe/Paris"))
	settle(t, &p.CompleteWindow, pick(dice, "Mon-Thu 09:00-15:00", "always",
		"Wed 10:00-12:00 America/New_York"))
	settle(t, &p.Freezes, pick(dice, "none", "2026-12-18/2027-01-04 Europe/Paris"))
	if dice.IntN(6) == 0 {
		p.RotateIssuedBefore = crowdStart.Add(-100 * day)
		compromised, err := fleet.ParseSelector("env=prod")
		if err != nil {
			t.Fatal(err)
		}
		p.Compromised = &compromised
	}
	return p
}

func pick[T any](dice *rand.Rand, of ...T) T { return of[dice.IntN(len(of))] }

// crowdSetup is a crowd in a world of its own.
func crowdSetup(tb testing.TB, p *rules.Policy, clusters, days int, seed int64) Setup {
	tb.Helper()
	w := gkesim.New(gkesim.Options{Seed: seed, Now: crowdStart})
	if err := w.AddFleet(fleets.Mixed(clusters, seed, crowdStart)); err != nil {
		tb.Fatal(err)
	}
	own := *p
	own.Projects = w.Projects()
	return Setup{Policy: &own, World: w, From: crowdStart, Days: days, Every: own.Every, Seed: seed}
}

// milestones are all phase changes of a story, one line each.
func milestones(s Story) []string {
	var out []string
	for _, c := range s.Changes {
		out = append(out, fmt.Sprintf("%s %s %s%s", c.At.UTC().Format(time.DateTime), c.Cluster, c.Phase,
			c.Closed))
	}
	slices.Sort(out)
	return out
}

// same compares a forecast with the story of all runs over all clusters.
func same(t *testing.T, f Forecast, s Story) {
	t.Helper()
	some, all := milestones(f.Story), milestones(s)
	if !slices.Equal(some, all) {
		for i := range max(len(some), len(all)) {
			if i >= len(some) || i >= len(all) || some[i] != all[i] {
				t.Errorf("%d and %d phase changes, the first that differs:\n%v\n%v", len(some), len(all),
					some[i:min(i+2, len(some))], all[i:min(i+2, len(all))])
				break
			}
		}
	}
	if f.MostInFlight != s.MostInFlight || f.MostSlots != s.MostSlots || f.Mutations != s.Mutations {
		t.Errorf("at most %d in flight, %d slots, %d requests; in full %d, %d, %d", f.MostInFlight,
			f.MostSlots,
			f.Mutations, s.MostInFlight, s.MostSlots, s.Mutations)
	}
	for i, c := range s.Clusters {
		if g := f.Clusters[i]; g.Cluster != c.Cluster || g.Outcome != c.Outcome || g.Reason != c.Reason ||
			g.Due != c.Due || g.Closed != c.Closed {
			t.Errorf("%s ends %s (%s), due %s; in full %s (%s), due %s", g.Cluster, g.Outcome, g.Reason,
				g.Due,
				c.Outcome, c.Reason, c.Due)
		}
	}
}

// TestForecastIsTheSimulation: what is left out changes nothing. Fleets and
// policies of all kinds end alike, phase change by phase change.
func TestForecastIsTheSimulation(t *testing.T) {
	happened, skipped := 0, 0
	for i := range *forecasts {
		seed := 10 + i // fleets in which much happens come first
		p := drawn(t, seed)
		clusters, days := 14, 40
		f, err := Foresee(context.Background(), crowdSetup(t, p, clusters, days, seed), nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Play(context.Background(), crowdSetup(t, p, clusters, days, seed), nil)
		if err != nil {
			t.Fatal(err)
		}
		same(t, f, s)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		happened, skipped = happened+len(f.Changes), skipped+f.Skipped
	}
	t.Logf("%d phase changes, %d runs left out", happened, skipped)
	if happened < 40*int(min(*forecasts, 3)) || skipped < 500*int(min(*forecasts, 3)) {
		t.Errorf("only %d phase changes and %d runs left out: it shows little", happened, skipped)
	}
}

// TestForecastOfCrowd plays a large fleet both ways, when asked to.
func TestForecastOfCrowd(t *testing.T) {
	if *crowdClusters == 0 {
		t.Skip("plays minutes; go test ./job/sim -run TestForecastOfCrowd -crowd 1000 -timeout 1h -v")
	}
	p := careful(t)
	clock := time.Now //nolint:forbidigo // it measures
	begun := clock()
	f, err := Foresee(context.Background(), crowdSetup(t, p, *crowdClusters, *crowdDays, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("forecast: %s, %d runs, %d left out, %d rotations, peak %d at %s, %d left, %d late",
		clock().Sub(begun), f.Runs, f.Skipped, len(f.Turns), f.Peak, f.PeakAt, len(f.Left), f.Late)
	begun = clock()
	s, err := Play(context.Background(), crowdSetup(t, p, *crowdClusters, *crowdDays, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("simulate: %s, %d runs, %d phase changes, at most %d in flight", clock().Sub(begun), s.Runs,
		len(s.Changes), s.MostInFlight)
	same(t, f, s)
}

// BenchmarkForecast measures the forecast of 1,000 clusters over 365 days.
func BenchmarkForecast(b *testing.B) {
	p := careful(b)
	for b.Loop() {
		s := crowdSetup(b, p, 1000, 365, 1)
		if _, err := Foresee(context.Background(), s, nil); err != nil {
			b.Fatal(err)
		}
	}
}
