package capacity_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/capacity"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/policytest"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

const day = 24 * time.Hour

// a fleet of due clusters, one for each number of days until its CA expires, spread over
// so many projects.
func fleetOf(projects int, days ...int) policy.Fleet {
	f := policytest.FleetOf(fleet.Cluster{}, nil)
	f.Clusters = nil
	for i, left := range days {
		c := policytest.Idle(fleet.Ref{Project: fmt.Sprintf("p-%d", i%projects), Location: "europe-west1",
			Name: fmt.Sprintf("c-%02d", i)})
		c.Bundle.CAs = []fleet.CA{{Fingerprint: fleet.Fingerprint(c.Ref.Name),
			Issued:  policytest.Monday.AddDate(-4, 0, 0),
			Expires: policytest.Monday.Add(time.Duration(left) * day)}}
		f.Clusters = append(f.Clusters, c)
	}
	return f
}

func of(p *rules.Policy, f policy.Fleet) []capacity.Wave {
	return capacity.Of(p, f, policy.Plan(p, f, "run", policytest.Monday), policytest.Monday)
}

// What starts at its first opening is never too slow, whatever deadline is long past.
func TestOverdueIsNoLimit(t *testing.T) {
	p := policytest.Plain()
	p.MaxCAAge = 365 * day
	f := fleetOf(1, 9000, 8000, 67)
	w := of(p, f)[0]
	if w.Short() || w.Overdue != 3 {
		t.Errorf("by age, all at once: %+v", w)
	}
	if want := policytest.Monday.Add((67 - 31) * day); !w.LatestSafe.Equal(want) {
		t.Errorf("the expiry's date is hidden: %s, want %s", w.LatestSafe, want)
	}
	f = fleetOf(1, 5, 300)
	p.MaxCAAge = 0
	if w = of(p, f)[0]; w.Short() || w.Overdue != 1 {
		t.Errorf("in its last days, and starting now: %+v", w)
	}
	// A window that opens too late is no limit either.
	p.EmergencyBeforeExpiry = 32 * day
	f = fleetOf(1, 33)
	opens := policytest.Monday.Add(3 * day)
	f.Clusters[0].Maintenance.Window, _, _ = window.Recurring(window.Span{Start: opens,
		End: opens.Add(4 * time.Hour)},
		"FREQ=WEEKLY;BYDAY=TH")
	d := policytest.PlanOne(t, p, f, policytest.Monday)
	if ws := of(p, f); d.Action != policy.NeedsAction || len(ws) != 0 {
		t.Errorf("the window decides: %s %v, %+v", d.Action, d.Message, ws)
	}
}

func TestBreakerShuts(t *testing.T) {
	p, f := policytest.Plain(), fleetOf(1, 100)
	if of(p, f)[0].Shut {
		t.Error("shut without a failure")
	}
	f.Contents.Fleet.Failures = []record.Failure{{Cluster: policytest.Shop, What: "stuck"}}
	if ws := of(p, f); len(ws) != 1 || !ws[0].Shut {
		t.Errorf("%+v", ws)
	}
}

// The limit that binds is named, and no other.
func TestOneLimitBinds(t *testing.T) {
	many := make([]int, 24)
	for name, tt := range map[string]struct {
		set  func(*rules.Policy)
		days int
		want string
	}{
		"the fleet's": {func(p *rules.Policy) { p.MaxActive, p.MaxActivePerProject = 2, 9 }, 36,
			"raise MAX_ACTIVE=2"},
		"a project's": {func(p *rules.Policy) { p.MaxActive, p.MaxActivePerProject = 50, 1 }, 36,
			"raise MAX_ACTIVE_PER_PROJECT=1"},
		"a location's": {func(p *rules.Policy) { p.MaxActive, p.MaxActivePerLocation = 50, 1 }, 36,
			"raise MAX_ACTIVE_PER_LOCATION=1"},
		"both": {func(p *rules.Policy) { p.MaxActive, p.MaxActivePerLocation = 1, 1 }, 36,
			"raise MAX_ACTIVE=1 and MAX_ACTIVE_PER_LOCATION=1"},
		"emergencies'": {func(p *rules.Policy) { p.EmergencyMaxActive, p.MaxActive = 3, 50 }, 20,
			"raise EMERGENCY_MAX_ACTIVE=3"},
		"none binds":    {func(p *rules.Policy) { p.MaxActive, p.EmergencyMaxActive = 50, 50 }, 20, ""},
		"none is short": {func(p *rules.Policy) { p.MaxActive = 20 }, 170, ""},
	} {
		p := policytest.Plain()
		p.EmergencyBeforeExpiry = 32 * day
		tt.set(p)
		for i := range many {
			many[i] = tt.days
		}
		w := of(p, fleetOf(2, many...))[0]
		if w.Raise.String() != tt.want || w.Short() != (tt.want != "") {
			t.Errorf("%s: late %s at %s, raise %q, want %q", name, w.Late, w.LateAt, w.Raise, tt.want)
		}
	}
}

// TestRaiseWhatIsNamed: raised, what is named changes the date; what is not named does
// not by itself.
func TestRaiseWhatIsNamed(t *testing.T) {
	lifts := map[string]func(*rules.Policy){
		"MAX_ACTIVE":              func(p *rules.Policy) { p.MaxActive = 400 },
		"MAX_ACTIVE_PER_PROJECT":  func(p *rules.Policy) { p.MaxActivePerProject = 400 },
		"MAX_ACTIVE_PER_LOCATION": func(p *rules.Policy) { p.MaxActivePerLocation = 400 },
		"EMERGENCY_MAX_ACTIVE":    func(p *rules.Policy) { p.EmergencyMaxActive = 400 },
	}
	rapid.Check(t, func(rt *rapid.T) {
		p := policytest.Plain()
		p.EmergencyBeforeExpiry = 32 * day
		p.MaxActive = rapid.IntRange(1, 4).Draw(rt, "active")
		p.MaxActivePerProject = rapid.IntRange(0, 2).Draw(rt, "per project")
		p.MaxActivePerLocation = rapid.IntRange(0, 3).Draw(rt, "per location")
		p.EmergencyMaxActive = rapid.IntRange(1, 3).Draw(rt, "emergencies")
		f := fleetOf(rapid.IntRange(1, 3).Draw(rt, "projects"),
			rapid.SliceOfN(rapid.IntRange(8, 70), 1, 12).Draw(rt, "days")...)
		w := of(p, f)[0]
		if !w.Short() {
			return
		}
		startsBefore := func(q *rules.Policy) bool {
			again := of(q, f)[0]
			return again.Late != w.Late || again.LateAt.Before(w.LateAt)
		}
		named, together := w.Raise.Settings(), *p
		alone := !strings.Contains(w.Raise.String(), " and ")
		if len(named) == 0 {
			rt.Fatalf("%s is late at %s, and nothing is named", w.Late, w.LateAt)
		}
		for _, name := range named {
			lifts[name](&together)
			q := *p
			if lifts[name](&q); alone && !startsBefore(&q) {
				rt.Fatalf("%s raised, and %s starts at %s all the same", name, w.Late, w.LateAt)
			}
		}
		if !startsBefore(&together) {
			rt.Fatalf("%v raised, and nothing changes", named)
		}
	})
}
