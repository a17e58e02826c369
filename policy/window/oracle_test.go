package window_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gke-credential-rotator/policy/window"
	"gke-credential-rotator/policy/window/windowtest"
)

// The strip covers what a question in its middle can see of ordinary windows.
const (
	stripBack  = 8 * 24 * time.Hour
	stripAhead = 22 * 24 * time.Hour
	stripMins  = int((stripBack + stripAhead) / time.Minute)
)

// clockChanges are days on which the test zones change their clocks: forward
// and back, by an hour and by half an hour.
var clockChanges = []string{"2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05",
	"2026-10-04"}

var zones = []string{"UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"}

func drawZone(t *rapid.T) *time.Location {
	name := rapid.SampledFrom(zones).Draw(t, "zone")
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// drawNow is a moment near one of the days on which clocks change, or any.
func drawNow(t *rapid.T) time.Time {
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 730).Draw(t, "day"))
	if rapid.Bool().Draw(t, "clockChange") {
		day, _ = time.Parse(time.DateOnly, rapid.SampledFrom(clockChanges).Draw(t, "change"))
		day = day.AddDate(0, 0, rapid.IntRange(-2, 1).Draw(t, "near"))
	}
	return day.Add(time.Duration(rapid.IntRange(0, 24*60*60-1).Draw(t, "second")) * time.Second)
}

// drawMinute prefers the hours in which clocks change.
func drawMinute(t *rapid.T, label string) int {
	if rapid.Bool().Draw(t, label+"Early") {
		return rapid.IntRange(0, 4*60).Draw(t, label)
	}
	return rapid.IntRange(0, 24*60-1).Draw(t, label)
}

// drawWeekly gives a policy's calendar and its naive twin.
func drawWeekly(t *rapid.T, from time.Time) (window.Schedule, *windowtest.Strip) {
	var parts []string
	strip := windowtest.NewStrip(from, stripMins)
	for range rapid.IntRange(1, 3).Draw(t, "windows") {
		w := windowtest.Weekly{Start: drawMinute(t, "start"), End: drawMinute(t, "end"), Zone: drawZone(t)}
		var days []string
		for d := range w.Days {
			if w.Days[d] = rapid.Bool().Draw(t, "on"); w.Days[d] {
				days = append(days, time.Weekday(d).String()[:3])
			}
		}
		if len(days) == 0 {
			w.Days, days = [7]bool{true, true, true, true, true, true, true}, []string{"daily"}
		}
		parts = append(parts, fmt.Sprintf("%s %02d:%02d-%02d:%02d %s", strings.Join(days, ","), w.Start/60,
			w.Start%60, w.End/60, w.End%60, w.Zone))
		strip.Or(w.Strip(from, stripMins))
	}
	text := strings.Join(parts, "; ")
	s, err := window.ParseWeekly(text)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("calendar %s", text)
	return s, strip
}

// drawDaily gives GKE's daily window.
func drawDaily(t *rapid.T, from time.Time) (window.Schedule, *windowtest.Strip) {
	start := drawMinute(t, "start")
	s, text, err := window.Daily(fmt.Sprintf("%02d:%02d", start/60, start%60))
	if err != nil {
		t.Fatal(err)
	}
	t.Log(text)
	every := windowtest.Weekly{Days: [7]bool{true, true, true, true, true, true, true}, Start: start,
		End: (start + 240) % 1440, Zone: time.UTC}
	return s, every.Strip(from, stripMins)
}

var codes = []string{"MO", "TU", "WE", "TH", "FR", "SA", "SU"}

// drawRule gives a recurrence rule that GKE might hold.
func drawRule(t *rapid.T, first time.Time) windowtest.Rule {
	r := windowtest.Rule{
		Freq: rapid.SampledFrom([]string{"DAILY", "WEEKLY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY"}).Draw(t,
			"freq"),
		Interval:  rapid.SampledFrom([]int{1, 1, 1, 2, 3, 6}).Draw(t, "interval"),
		WeekStart: rapid.SampledFrom([]string{"MO", "SU", "WE"}).Draw(t, "weekStart"),
	}
	if rapid.Bool().Draw(t, "byDay") {
		r.ByDay = rapid.SliceOfNDistinct(rapid.SampledFrom(codes), 1, 4, rapid.ID[string]).Draw(t, "days")
		if r.Freq == "MONTHLY" || r.Freq == "YEARLY" {
			for i := range r.ByDay {
				if n := rapid.IntRange(-5, 5).Draw(t, "nth"); n != 0 {
					r.ByDay[i] = fmt.Sprint(n) + r.ByDay[i]
				}
			}
		}
	}
	if r.Freq != "WEEKLY" && rapid.IntRange(0, 2).Draw(t, "byMonthDay") == 0 {
		day := rapid.OneOf(rapid.IntRange(1, 31), rapid.IntRange(-31, -1))
		r.ByMonthDay = rapid.SliceOfNDistinct(day, 1, 10, rapid.ID[int]).Draw(t, "monthDays")
	}
	if rapid.IntRange(0, 4).Draw(t, "byMonth") == 0 {
		r.ByMonth = rapid.SliceOfNDistinct(rapid.IntRange(1, 12), 1, 8, rapid.ID[int]).Draw(t, "months")
	}
	if len(r.ByDay)+len(r.ByMonthDay) > 0 && rapid.IntRange(0, 2).Draw(t, "bySetPos") == 0 {
		r.BySetPos = rapid.SliceOfNDistinct(rapid.SampledFrom([]int{1, 2, 3, -1, -2}), 1, 3, rapid.ID[int]).Draw(t,
			"positions")
	}
	switch rapid.IntRange(0, 5).Draw(t, "ends") {
	case 0:
		r.Until = first.AddDate(0, 0, rapid.IntRange(-10, 500).Draw(t, "until"))
	case 1:
		r.Count = rapid.IntRange(1, 60).Draw(t, "count")
	}
	return r
}

// drawRecurring gives GKE's recurring window, of minutes to weeks.
func drawRecurring(t *rapid.T, from time.Time) (window.Schedule, *windowtest.Strip) {
	first := from.Truncate(24*time.Hour).AddDate(0, 0, -rapid.IntRange(-30, 400).Draw(t, "age")).
		Add(time.Duration(rapid.IntRange(0, 24*60-1).Draw(t, "first")) * time.Minute)
	length := rapid.OneOf(rapid.IntRange(1, 12*60), rapid.IntRange(12*60, 50*60), rapid.Just(24*60),
		rapid.IntRange(1, 20*24*60)).Draw(t, "minutes")
	r := drawRule(t, first)
	t.Logf("%s from %s for %d minutes", r, first.Format(time.RFC3339), length)
	s, text, err := window.Recurring(window.Span{Start: first,
		End: first.Add(time.Duration(length) * time.Minute)}, r.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Log(text)
	return s, r.Strip(from, stripMins, first, length)
}

// cut takes exclusions and freezes away from both.
func cut(t *rapid.T, s window.Schedule, strip *windowtest.Strip) window.Schedule {
	of := []window.Schedule{s}
	var spans []window.Span
	for range rapid.IntRange(0, 3).Draw(t, "exclusions") {
		start := strip.From.Add(time.Duration(rapid.IntRange(0, stripMins).Draw(t, "from")) * time.Minute)
		e := window.Exclusion{
			Span: window.Span{Start: start,
				End: start.Add(time.Duration(rapid.IntRange(-10, 6*24*60).Draw(t, "for")) * time.Minute)},
			Scope: rapid.SampledFrom([]window.Scope{window.NoUpgrades, window.NoMinorUpgrades,
				window.NoMinorOrNodeUpgrades}).Draw(t, "scope"),
			UntilEndOfSupport: rapid.IntRange(0, 9).Draw(t, "endOfSupport") == 0,
		}
		if e.Scope != window.NoMinorUpgrades {
			spans = append(spans, e.Stretch())
			if e.UntilEndOfSupport {
				e.Span.End = strip.Until()
			}
			strip.Exclude(e.Span)
		}
	}
	if len(spans) > 0 {
		of = append(of, window.Except(spans...))
	}
	if rapid.Bool().Draw(t, "frozen") {
		zone := drawZone(t)
		first := strip.From.AddDate(0, 0, rapid.IntRange(4, 16).Draw(t, "freeze"))
		last := first.AddDate(0, 0, rapid.IntRange(0, 5).Draw(t, "days"))
		strip.Freeze(first.Format(time.DateOnly), last.Format(time.DateOnly), zone)
		var f window.Freezes
		if err := f.UnmarshalText(fmt.Appendf(nil, "%s/%s %s", first.Format(time.DateOnly),
			last.Format(time.DateOnly), zone)); err != nil {
			t.Fatal(err)
		}
		of = append(of, f)
	}
	return window.All(of...)
}

// TestEveryQuestionAgreesWithTheMinutes compares windows of every kind, with
// exclusions and freezes, with calendars that are found out minute by minute.
func TestEveryQuestionAgreesWithTheMinutes(t *testing.T) {
	for name, draw := range map[string]func(*rapid.T, time.Time) (window.Schedule, *windowtest.Strip){
		"weekly": drawWeekly, "recurring": drawRecurring,
		"two together": func(t *rapid.T, from time.Time) (window.Schedule, *windowtest.Strip) {
			kinds := rapid.SampledFrom([]func(*rapid.T, time.Time) (window.Schedule, *windowtest.Strip){drawWeekly,
				drawDaily, drawRecurring, drawRecurring})
			a, as := kinds.Draw(t, "kind")(t, from)
			b, bs := kinds.Draw(t, "kind")(t, from)
			return window.All(a, b), as.And(bs)
		},
	} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			now := drawNow(t)
			s, strip := draw(t, now.Truncate(time.Minute).Add(-stripBack))
			s = cut(t, s, strip)
			for range 5 { // several questions, back and forth: memory must not show
				at := now.Add(time.Duration(rapid.IntRange(0, 6*24*60*60).Draw(t, "later")) * time.Second)
				compareNext(t, s, strip, at)
				compareRoom(t, s, strip, at)
				compareOpenTime(t, s, strip, at)
			}
		}))
	}
}

func compareNext(t *rapid.T, s window.Schedule, strip *windowtest.Strip, at time.Time) {
	got, ok := s.Next(at)
	want, found := strip.Next(at)
	if !found {
		if ok && got.Start.Before(strip.Until()) {
			t.Fatalf("Next(%s) = %v, the strip shows none before %s", at, got, strip.Until())
		}
		return
	}
	if !ok {
		t.Fatalf("Next(%s) = none, the strip shows %v", at, want)
	}
	if want.StartSeen && !got.Start.Equal(want.Start) || !want.StartSeen && got.Start.After(want.Start) {
		t.Fatalf("Next(%s).Start = %s, the strip shows %s (seen: %t)", at, got.Start, want.Start, want.StartSeen)
	}
	if want.EndSeen && !got.End.Equal(want.End) || !want.EndSeen && got.End.Before(want.End) {
		t.Fatalf("Next(%s).End = %s, the strip shows %s (seen: %t)", at, got.End, want.End, want.EndSeen)
	}
	open, changes := window.OpenAt(s, at)
	if open != strip.OpenAt(at) {
		t.Fatalf("OpenAt(%s) = %t", at, open)
	}
	if !changes.IsZero() && changes.Before(strip.Until()) &&
		(!changes.After(at) || strip.OpenAt(changes) == open || strip.OpenAt(changes.Add(-1)) != open) {
		t.Fatalf("OpenAt(%s) changes %s, which the strip does not show", at, changes)
	}
}

func compareRoom(t *rapid.T, s window.Schedule, strip *windowtest.Strip, at time.Time) {
	need := time.Duration(rapid.IntRange(1, 3*60*60).Draw(t, "need")) * time.Second
	open, changes := window.RoomAt(s, at, need)
	if want := strip.RoomAt(at, need); open != want {
		t.Fatalf("RoomAt(%s, %s) = %t, the strip shows %t", at, need, open, want)
	}
	// Until it changes the answer is the same, and then it is another.
	last := strip.Until().Add(-need)
	for _, probe := range []time.Duration{0, time.Hour, 26 * time.Hour, 5 * 24 * time.Hour, math.MaxInt64} {
		m := at.Add(probe)
		if end := changes.Add(-time.Nanosecond); !changes.IsZero() && m.After(end) {
			m = end
		}
		if m.Before(last) && strip.RoomAt(m, need) != open {
			t.Fatalf("RoomAt(%s, %s) = %t until %s, but at %s the strip shows another", at, need, open, changes, m)
		}
	}
	if !changes.IsZero() && changes.Before(last) && strip.RoomAt(changes, need) == open {
		t.Fatalf("RoomAt(%s, %s) = %t changes %s, where the strip shows the same", at, need, open, changes)
	}
}

func compareOpenTime(t *rapid.T, s window.Schedule, strip *windowtest.Strip, at time.Time) {
	in := window.Span{Start: at.Truncate(time.Minute)}
	in.End = in.Start.Add(time.Duration(rapid.IntRange(0, 10*24*60).Draw(t, "span")) * time.Minute)
	if got, want := window.OpenTime(s, in), strip.OpenTime(in); got != want {
		t.Fatalf("OpenTime(%v) = %s, the strip shows %s", in, got, want)
	}
}
