package window_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy/window"
)

// recordedRules are the recurrence rules of the recorded maintenance policies,
// read in place; without the recordings, none.
func recordedRules(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("../../../shared/fixtures/maintenance/*.json")
	if err != nil {
		tb.Fatal(err)
	}
	var rules []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		var policy struct {
			Window struct{ RecurringWindow struct{ Recurrence string } }
		}
		if err := json.Unmarshal(text, &policy); err != nil {
			tb.Fatal(err)
		}
		if rule := policy.Window.RecurringWindow.Recurrence; rule != "" {
			rules = append(rules, rule)
		}
	}
	return rules
}

// agree asks both the same questions, along a few years.
func agree(t *testing.T, what string, a, b window.Schedule) {
	t.Helper()
	for _, now := range []time.Time{{}, at("2020-02-28 23:59"), at("2026-03-29 01:30"), at("2026-11-21 14:05"), window.Forever.Add(-time.Hour), window.Forever.AddDate(1, 0, 0)} {
		x, okX := a.Next(now)
		y, okY := b.Next(now)
		if x != y || okX != okY {
			t.Fatalf("%s: at %s one says %v (%t), the other %v (%t)", what, now, x, okX, y, okY)
		}
		if okX && (!x.End.After(now) || !x.Start.Before(x.End) || !x.Start.Before(now.Add(window.Horizon))) {
			t.Fatalf("%s: Next(%s) = %v is no stretch that ends after it", what, now, x)
		}
		window.RoomAt(a, now, time.Hour)
	}
	window.OpenTime(a, window.Span{Start: at("2026-01-01"), End: at("2029-01-01")})
}

func FuzzParseWeekly(f *testing.F) {
	for _, seed := range []string{"always", "Sat,Sun 02:00-06:00 Europe/Paris", "Mon-Thu 09:00-15:00; Fri-Mon 22:00-02:00 Asia/Kolkata",
		"daily 00:00-24:00", "Sun 02:15-02:45 Australia/Lord_Howe", "Fri 00:00-00:00 Pacific/Apia", "mon 24:00-01:00", ";", "Sat", "Sat 1-2 Local", "Sat-Foo 02:00-03:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := window.ParseWeekly(text)
		if err != nil {
			if err.Error() == "" || w.String() != "always" {
				t.Fatalf("%q: an error without words or with a result", text)
			}
			return
		}
		again, err := window.ParseWeekly(w.String())
		if err != nil {
			t.Fatalf("%q is written as %q, which cannot be read: %v", text, w, err)
		}
		agree(t, text, w, again)
	})
}

func FuzzFreezes(f *testing.F) {
	for _, seed := range []string{"", "none", "2026-12-18/2027-01-04, 2027-04-02 Europe/Paris", "2026-02-30", "2027-01-04/2026-12-18",
		"0001-01-01/9999-12-31", "2011-12-30 Pacific/Apia", "2026-03-29/2026-03-29 Australia/Lord_Howe,", "/", "2026-12-18/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var freezes, again window.Freezes
		if err := freezes.UnmarshalText([]byte(text)); err != nil {
			if err.Error() == "" || freezes.String() != "" {
				t.Fatalf("%q: an error without words or with a result", text)
			}
			return
		}
		if err := again.UnmarshalText([]byte(freezes.String())); err != nil {
			t.Fatalf("%q is written as %q, which cannot be read: %v", text, freezes, err)
		}
		agree(t, text, freezes, again)
	})
}

func FuzzRecurring(f *testing.F) {
	for i, rule := range append(recordedRules(f), "RRULE:FREQ=MONTHLY;BYSETPOS=1;BYDAY=SA,SU", "FREQ=YEARLY;BYDAY=-53SU;WKST=SU;INTERVAL=4;", "freq=daily;count=10000",
		"FREQ=MONTHLY;BYDAY=5MO,-5FR;UNTIL=20301231", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29,-29;BYDAY=SU", "FREQ=WEEKLY;UNTIL=20230101T000000Z", "FREQ=HOURLY",
		"FREQ=YEARLY;BYSETPOS=-366;BYMONTH=1,2,3,4,5,6,7,8,9,10,11,12", "FREQ=DAILY;INTERVAL=99999999999999999999", "FREQ=;=", "FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2", "FREQ=DAILY;BYEASTER=400") {
		f.Add(rule, int64(i)*1e8, uint32(i*90+1))
	}
	f.Fuzz(func(t *testing.T, rule string, start int64, minutes uint32) {
		first := window.Span{Start: time.Unix(start%(1<<36), 0)}
		first.End = first.Start.Add(time.Duration(minutes) * time.Minute)
		s, text, err := window.Recurring(first, rule)
		if err != nil {
			if err.Error() == "" || s != nil {
				t.Fatalf("%q: an error without words or with a result", rule)
			}
			return
		}
		if !strings.Contains(text, "UTC") {
			t.Fatalf("%q: the text %q does not say the zone", rule, text)
		}
		written, err := window.Canonical(rule)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := window.Canonical(written); err != nil || twice != written {
			t.Fatalf("%q is written as %q and then as %q (%v)", rule, written, twice, err)
		}
		again, _, err := window.Recurring(first, written)
		if err != nil {
			t.Fatalf("%q is written as %q, which cannot be read: %v", rule, written, err)
		}
		agree(t, rule, s, again)
	})
}
