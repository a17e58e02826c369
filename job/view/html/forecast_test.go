package html

import (
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/sim"
)

// TestForecast: every rotation that is to come is in the calendar, each time it
// comes, and what will not fit stands before it with what prevents it.
func TestForecast(t *testing.T) {
	w := gkesim.New(gkesim.Options{Seed: 1, Now: gkesim.SampleStart})
	if err := w.AddSample(); err != nil {
		t.Fatal(err)
	}
	p := Page{Command: "forecast", Policy: testPolicy(), Notes: []string{"As if nobody did anything."}}
	p.Policy.Env, p.Policy.Projects = "prod", w.Projects()
	p.Policy.MaxCAAge = 100 * 24 * time.Hour
	f, err := sim.Foresee(t.Context(), sim.Setup{Policy: p.Policy, World: w, From: gkesim.SampleStart, Days: 150,
		Every: time.Hour, Seed: 1}, func(res pass.Result) {
		if p.Result.At.IsZero() {
			p.Result = res
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Forecast = &f
	v := newContent(p)
	s := v.Stories[0]
	rows := map[string]int{}
	for _, m := range s.Months {
		for _, r := range m.Rows {
			rows[r.Place+"/"+r.Name+" "+r.Started.ISO+" "+r.Over.ISO]++
		}
	}
	twice := 0
	for _, turn := range f.Turns {
		if turn.No > 1 {
			twice++
		}
		key := turn.Cluster.String() + " " + iso(turn.Start) + " " + iso(turn.Verified)
		if rows[key] != 1 {
			t.Errorf("%s is %d times in the calendar", key, rows[key])
		}
	}
	if len(rows) != len(f.Turns) || twice == 0 {
		t.Errorf("%d rows for %d rotations, %d of them the second of a cluster", len(rows), len(f.Turns), twice)
	}
	if s.Curve.Peak != f.Peak || f.Peak == 0 || len(s.Lanes) == 0 {
		t.Errorf("a peak of %d, not %d; %d lanes", s.Curve.Peak, f.Peak, len(s.Lanes))
	}
	text := written(t, p)
	for _, want := range []string{"a forecast, nothing was sent", "As if nobody did anything.",
		"Will not be rotated by 2027-04-22", "CA expired 2026-11-08", "legacy"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
