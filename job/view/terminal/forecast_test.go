package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/view/ics"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// testForecast is what three clusters come to: one in flight when it begins,
// one rotated, one for which there is no slot.
func testForecast() sim.Forecast {
	from := at("2026-11-23T00:00:00Z")
	hours := func(n int) time.Time { return from.Add(time.Duration(n) * time.Hour) }
	dev, catalog, search := ref("shop-dev/europe-west1-b/dev-1"), ref("shop-prod/us-central1/catalog"),
		ref("shop-prod/us-east4/search")
	f := sim.Forecast{
		Story: sim.Story{
			From: from, To: hours(20 * 24), Every: time.Hour, Seed: 1, Runs: 40, MostInFlight: 2, MostSlots: 2,
			Clusters: []sim.Chapter{
				{Cluster: dev, Outcome: sim.Verified, Reason: reason.NotDue, Message: said("not due before 2056-05-19")},
				{Cluster: catalog, Outcome: sim.InFlight, Phase: record.UpdatingClients, Reason: reason.SoakRuns,
					Message: said("SOAK=3d until Thu 2026-12-10 01:00")},
				{Cluster: search, Outcome: sim.Waiting, Reason: reason.WindowClosed,
					Message: said("window daily 02:00-06:00 UTC opens Sun 2026-12-13 02:00"),
					Waited: []sim.Wait{{Gate: "slot", Reason: reason.BudgetProject,
						Message: said("1 of MAX_ACTIVE_PER_PROJECT=1 taken by catalog"), Time: 400 * time.Hour}}},
			},
		},
		Skipped: 441, Peak: 2, PeakAt: hours(300), Late: 1, Overdue: 1,
		Turns: []sim.Turn{
			{Cluster: dev, Attempt: "a", No: 1, Wave: "env=dev", OldCA: ca("3", "2022-01-03", "2027-01-03"),
				Before: true, Emergency: true, Due: hours(-3000), Deadline: hours(240), Start: hours(-5),
				HandedOver: hours(-4), NodesDone: hours(-2), SoakEnds: hours(68), Completed: hours(81), OneCA: hours(82),
				Verified: hours(83), Closed: record.Completed, Reason: reason.Verified,
				Message: said("The rotation is complete and verified.")},
			{Cluster: catalog, Attempt: "b", No: 1, Wave: "rest", OldCA: ca("c", "2022-03-12", "2027-03-11"),
				Due: hours(-2000), Deadline: hours(200), Start: hours(300),
				HandedOver: hours(301), NodesDone: hours(400), SoakEnds: hours(424), Phase: record.UpdatingClients,
				Reason: reason.SoakRuns, Message: said("SOAK=3d until Thu 2026-12-10 01:00")},
		},
		Left: []sim.Left{
			{Cluster: catalog, Wave: "rest", Outcome: sim.InFlight, Phase: record.UpdatingClients, Due: hours(-2000),
				Deadline: hours(200), Reason: reason.SoakRuns, Message: said("SOAK=3d until Thu 2026-12-10 01:00")},
			{Cluster: search, Wave: "rest", Outcome: sim.Waiting, Due: hours(-1000), Deadline: hours(-10),
				Expires: hours(700), Late: true, Reason: reason.WindowClosed,
				Message: said("window daily 02:00-06:00 UTC opens Sun 2026-12-13 02:00"),
				Held: sim.Wait{Gate: "slot", Reason: reason.BudgetProject,
					Message: said("1 of MAX_ACTIVE_PER_PROJECT=1 taken by catalog"), Time: 400 * time.Hour}},
		},
		Unread: []fleet.Unread{{Project: "ml-prod", Reason: "list clusters: permission denied"}},
	}
	for i := range 20 {
		d := sim.Day{Date: hours(24 * i)}
		if i < 4 || i > 12 {
			d.InFlight = 1
		}
		f.Days = append(f.Days, d)
	}
	f.Days[12].InFlight, f.Days[12].Starts, f.Days[3].Completing = 2, 1, 1
	return f
}

// fleetForecast is the same for many clusters.
func fleetForecast(n int) sim.Forecast {
	one, f := testForecast(), testForecast()
	f.Turns, f.Left, f.Clusters = nil, nil, nil
	for i := range n {
		rename := func(r fleet.Ref) fleet.Ref { r.Name += fmt.Sprintf("-%04d", i); return r }
		for _, c := range one.Clusters {
			c.Cluster = rename(c.Cluster)
			f.Clusters = append(f.Clusters, c)
		}
		for _, t := range one.Turns {
			t.Cluster = rename(t.Cluster)
			f.Turns = append(f.Turns, t)
		}
		for _, l := range one.Left {
			l.Cluster = rename(l.Cluster)
			f.Left = append(f.Left, l)
		}
	}
	return f
}

// testComparison: with one slot more the last cluster is rotated, too.
func testComparison() (sim.Comparison, *rules.Policy) {
	p := testPolicy()
	p.MaxActivePerProject = 3
	after := testForecast()
	search, from := ref("shop-prod/us-east4/search"), after.From
	after.Clusters[2].Outcome, after.Left, after.Late, after.Overdue, after.Peak = sim.Verified, after.Left[:1],
		0, 0, 3
	after.Turns[1].Start = from.Add(100 * time.Hour)
	after.Turns = append(after.Turns, sim.Turn{
		Cluster: search, Attempt: "c", OldCA: ca("e", "2022-03-12", "2027-03-11"), Start: from.Add(26 * time.Hour),
		Completed: from.Add(105 * time.Hour), Verified: from.Add(107 * time.Hour), Closed: record.Completed,
	})
	return sim.Comparison{File: "next.env",
		Settings: []sim.SettingChange{{Name: "MAX_ACTIVE_PER_PROJECT", Before: "2", After: "3"}},
		Before:   testForecast(), After: after}, p
}

func forecastPictures() []picture {
	p := testPolicy()
	p.Approval = rules.ApproveComplete
	c, q := testComparison()
	return []picture{
		{"forecast", func(w *bytes.Buffer, o Options) error {
			return Forecast(w, view.ForecastOf(testForecast(), p, view.Basis{NoStore: true}),
				ForecastOptions{Options: o})
		}},
		{"forecast-fleet", func(w *bytes.Buffer, o Options) error {
			return Forecast(w, view.ForecastOf(fleetForecast(40), p, view.Basis{Fleet: "fleet.json", Approved: true}),
				ForecastOptions{Options: o})
		}},
		{"forecast-compare", func(w *bytes.Buffer, o Options) error {
			return ForecastCompare(w, view.ForecastOf(c.Before, p, view.Basis{}).Against(c, q),
				ForecastOptions{Options: o})
		}},
	}
}

func TestForecastJSON(t *testing.T) {
	c, q := testComparison()
	for name, draw := range map[string]func(*bytes.Buffer) error{
		"forecast": func(b *bytes.Buffer) error {
			return view.WriteJSON(b, view.ForecastOf(testForecast(), testPolicy(), view.Basis{}))
		},
		"forecast-compare": func(b *bytes.Buffer) error {
			return view.WriteJSON(b, view.ForecastOf(c.Before, testPolicy(), view.Basis{}).Against(c, q))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := draw(&b); err != nil {
				t.Fatal(err)
			}
			if !json.Valid(b.Bytes()) {
				t.Error("not JSON")
			}
			golden(t, name+".json", b.Bytes())
		})
	}
}

// TestBlame: the name of the setting is found, where one is to blame.
func TestBlame(t *testing.T) {
	for _, tt := range []struct {
		reason  reason.Code
		message string
		want    string
	}{
		{reason.BudgetFleet, "10 of MAX_ACTIVE=10 taken", "MAX_ACTIVE"},
		{reason.BudgetProject, "2 of MAX_ACTIVE_PER_PROJECT=2 taken by a, b", "MAX_ACTIVE_PER_PROJECT"},
		{reason.BreakerOpen, "1 failed or stuck rotations reach MAX_FAILED=1, the last p/l/c", "MAX_FAILED"},
		{reason.WindowClosed, "window WINDOW=Sat 02:00-06:00 opens Sat", "WINDOW"},
		{reason.WindowClosed, "window daily 02:00-06:00 UTC opens", "its own maintenance window"},
		{reason.StartWindowClosed, "START_WINDOW=Mon 00:00-01:00 opens", "START_WINDOW"},
		{reason.DoesNotFit, "after SOAK=5d, over Mon, no completion window (COMPLETE_WINDOW=Fri 10:00-11:00, FREEZES=2026-12-18/2027-01-04) opens before Tue", "SOAK, COMPLETE_WINDOW, FREEZES"},
		{reason.Frozen, "frozen until Mon", "FREEZES"},
		{reason.WaveClosed, "earlier waves are not verified: c", "WAVES, WAVE_SOAK"},
		{reason.ApprovalNeeded, "APPROVAL=both: nobody has approved this start", "APPROVAL"},
		{reason.Excluded, `exclusion "x" blocks node work`, "its own maintenance exclusion"},
		{reason.AlphaCluster, "alpha cluster", "alpha-cluster"},
	} {
		if got := view.Blame(sim.Left{Reason: reason.IsDue, Held: sim.Wait{Gate: "g", Reason: tt.reason,
			Message: said(tt.message)}}); got != tt.want {
			t.Errorf("%s: %q is blamed on %q, want %q", tt.reason, tt.message, got, tt.want)
		}
	}
}

// hostileForecast has names that would break a calendar's lines.
func hostileForecast() sim.Forecast {
	f := testForecast()
	evil := fleet.Ref{Project: "p;q,r:s", Location: "ü\u202eevil",
		Name: "x\r\nEND:VCALENDAR\r\nBEGIN:VEVENT\nSUMMARY:\"pwned\" \\n" + strings.Repeat("ж", 80)}
	f.Turns[1].Cluster, f.Clusters[1].Cluster, f.Turns[1].Wave = evil, evil, "tier in (a,b);c\r\nX:1"
	return f
}

// events counts what a calendar holds.
func events(f sim.Forecast) int {
	n := 0
	for _, t := range f.Turns {
		for _, on := range []bool{!t.Start.IsZero(), !t.HandedOver.IsZero(), !t.HandedOver.IsZero() &&
			!t.Completed.IsZero(), !t.Completed.IsZero()} {
			if on {
				n++
			}
		}
	}
	return n
}

func TestForecastICS(t *testing.T) {
	var b bytes.Buffer
	if err := ics.Write(&b, view.ForecastOf(testForecast(), testPolicy(), view.Basis{})); err != nil {
		t.Fatal(err)
	}
	golden(t, "forecast.ics", b.Bytes())
	// A later forecast of the same rotations moves their events.
	moved := testForecast()
	moved.Turns[1].Start = moved.Turns[1].Start.Add(24 * time.Hour)
	moved.Turns[1].Attempt, moved.From = "other", moved.From.Add(time.Hour)
	var again bytes.Buffer
	if err := ics.Write(&again, view.ForecastOf(moved, testPolicy(), view.Basis{})); err != nil {
		t.Fatal(err)
	}
	if a, b := uids(b.String()), uids(again.String()); !slices.Equal(a, b) ||
		len(a) != len(slices.Compact(slices.Sorted(slices.Values(a)))) {
		t.Errorf("ids %v, and later %v", a, b)
	}
}

func uids(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "UID:") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// readsCalendars lists the events of a calendar, one JSON line each.
const readsCalendars = `
import icalendar, json, sys
calendar = icalendar.Calendar.from_ical(sys.stdin.buffer.read())
assert calendar["VERSION"] == "2.0" and calendar["PRODID"]
for e in calendar.walk("VEVENT"):
    assert e["DTSTART"].dt < e["DTEND"].dt and e["DTSTAMP"].dt.tzinfo is not None
    assert not e.errors, e.errors
    print(json.dumps([e["UID"], e["SUMMARY"], e["DESCRIPTION"], e["DTSTART"].dt.isoformat()]))
`

// TestIndependentParser: another program reads the calendar, and finds in it
// each event and no other, whatever the names are.
func TestIndependentParser(t *testing.T) {
	python := pythonWithCalendars(t)
	for name, f := range map[string]sim.Forecast{"plain": testForecast(), "fleet": fleetForecast(50),
		"hostile": hostileForecast()} {
		var b, errs bytes.Buffer
		if err := ics.Write(&b, view.ForecastOf(f, testPolicy(), view.Basis{})); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if !strings.HasSuffix(line, "\r\n") || len(line) > 77 {
				t.Errorf("%s: the line %q is not one of a calendar", name, line)
			}
		}
		cmd := exec.CommandContext(t.Context(), python, "-c", readsCalendars)
		cmd.Stdin, cmd.Stderr = &b, &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, errs.String())
		}
		read := strings.Split(strings.TrimSpace(string(out)), "\n")
		if len(read) != events(f) {
			t.Errorf("%s: it reads %d events, and %d were written:\n%s", name, len(read), events(f), out)
		}
		for _, line := range read {
			var e [4]string
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(e[1], ": ") || strings.ContainsAny(e[1], "\r\n") ||
				!strings.Contains(e[2], "\nCluster ") {
				t.Errorf("%s: event %q", name, e)
			}
		}
	}
}

// pythonWithCalendars is a Python with Debian's python3-icalendar.
func pythonWithCalendars(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import icalendar").Run() == nil {
			return python
		}
	}
	const missing = "no python3-icalendar: nobody else reads the calendar"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// TestEveryReasonIsBlamed: there is always a name for what holds a cluster up.
func TestEveryReasonIsBlamed(t *testing.T) {
	for _, reason := range reason.All() {
		if view.Blame(sim.Left{Reason: reason}) == "" {
			t.Errorf("nothing is to blame for %s", reason)
		}
	}
}
