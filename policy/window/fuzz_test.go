package window_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/job/simtest/corpus"
	"gke-credential-rotator/policy/window"
)

// agree asks both the same questions, along a few years.
func agree(t *testing.T, what string, a, b window.Schedule) {
	t.Helper()
	for _, now := range []time.Time{{}, at("2020-02-28 23:59"), at("2026-03-29 01:30"), at("2026-11-21 14:05"),
		window.Forever.Add(-time.Hour), window.Forever.AddDate(1, 0, 0)} {
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

// FuzzParseWeekly: a calendar is written as it is read, answers the same, and
// what is refused is said with an example.
func FuzzParseWeekly(f *testing.F) {
	c := corpus.Of(f)
	for _, seed := range []string{"always", "Sat,Sun 02:00-06:00 Europe/Paris",
		"Mon-Thu 09:00-15:00; Fri-Mon 22:00-02:00 Asia/Kolkata",
		"daily 00:00-24:00", "Sun 02:15-02:45 Australia/Lord_Howe", "Fri 00:00-00:00 Pacific/Apia",
		"mon 24:00-01:00", ";", "Sat", "Sat 1-2 Local", "Sat-Foo 02:00-03:00",
		strings.Repeat("Sat 02:00-03:00;", 24) + "Sun 02:00-03:00", "daily 23:59-23:58 America/St_Johns",
		"Sat 02:00-06:00 ../../etc/passwd"} {
		c.Add(seed)
	}
	c.AtLeast(14, 0)
	f.Fuzz(func(t *testing.T, text string) {
		defer corpus.Watch(text)()
		w, err := window.ParseWeekly(text)
		if err != nil {
			if w.String() != "always" {
				t.Fatalf("%q: an error with a result", text)
			}
			inOneLine(t, text, err)
			return
		}
		again, err := window.ParseWeekly(w.String())
		if err != nil {
			t.Fatalf("%q is written as %q, which cannot be read: %v", text, w, err)
		}
		agree(t, text, w, again)
	})
}

// FuzzFreezes: freezes are written as they are read and answer the same; the
// first and last minute of each lie in no open stretch.
func FuzzFreezes(f *testing.F) {
	c := corpus.Of(f)
	for _, seed := range []string{"", "none", "2026-12-18/2027-01-04, 2027-04-02 Europe/Paris", "2026-02-30",
		"2027-01-04/2026-12-18",
		"0001-01-01/9999-12-31", "2011-12-30 Pacific/Apia", "2026-03-29/2026-03-29 Australia/Lord_Howe,", "/",
		"2026-12-18/", strings.Repeat("2026-12-18,", 300) + "2027-01-01"} {
		c.Add(seed)
	}
	c.AtLeast(11, 0)
	f.Fuzz(func(t *testing.T, text string) {
		defer corpus.Watch(text)()
		var freezes, again window.Freezes
		if err := freezes.UnmarshalText([]byte(text)); err != nil {
			if freezes.String() != "" {
				t.Fatalf("%q: an error with a result", text)
			}
			inOneLine(t, text, err)
			return
		}
		frozen(t, freezes)
		if err := again.UnmarshalText([]byte(freezes.String())); err != nil {
			t.Fatalf("%q is written as %q, which cannot be read: %v", text, freezes, err)
		}
		agree(t, text, freezes, again)
	})
}

// inOneLine: what is wrong is said in one line that is not much longer than what
// it repeats.
func inOneLine(t *testing.T, text string, err error) {
	t.Helper()
	if said := err.Error(); said == "" || strings.ContainsAny(said, "\n\r") || len(said) > 500+8*len(text) {
		t.Fatalf("%q: the error is not one short line: %q", text, said)
	}
}

// frozen reads dates naively: noon of a frozen day is closed, in every zone.
func frozen(t *testing.T, f window.Freezes) {
	t.Helper()
	for _, part := range strings.Split(f.String(), ",") {
		fields := append(strings.Fields(part), "UTC")
		first, last, two := strings.Cut(fields[0], "/")
		if !two {
			last = first
		}
		zone, err := time.LoadLocation(fields[min(1, len(fields)-1)])
		if err != nil {
			continue // utc, in small letters
		}
		for _, date := range []string{first, last} {
			noon, err := time.ParseInLocation("2006-01-02 15:04", date+" 12:00", zone)
			if err != nil || noon.Format(time.DateOnly) != date || !noon.Before(window.Forever) || noon.Year() < 2 {
				continue
			}
			if s, ok := f.Next(noon); ok && s.Contains(noon) {
				t.Fatalf("%q: %s is frozen, and yet open in %v", f, noon, s)
			}
		}
	}
}

// numbersTo lists 1 to n, separated by commas.
func numbersTo(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint(i+1))
	}
	return strings.Join(out, ",")
}

// FuzzRecurring: a rule is written as it is read, twice the same; it answers the
// same; no window begins before the first; and no rule takes long.
func FuzzRecurring(f *testing.F) {
	c := corpus.Of(f)
	for i, rule := range []string{"RRULE:FREQ=MONTHLY;BYSETPOS=1;BYDAY=SA,SU",
		"FREQ=YEARLY;BYDAY=-53SU;WKST=SU;INTERVAL=4;", "freq=daily;count=10000",
		"FREQ=MONTHLY;BYDAY=5MO,-5FR;UNTIL=20301231", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29,-29;BYDAY=SU",
		"FREQ=WEEKLY;UNTIL=20230101T000000Z", "FREQ=HOURLY", "FREQ=A\nB", "FREQ=DAILY;\x1b[2J=1", "freq=daıly",
		" FREQ=DAILY\r\n",
		"FREQ=YEARLY;BYSETPOS=-366;BYMONTH=1,2,3,4,5,6,7,8,9,10,11,12", "FREQ=DAILY;INTERVAL=99999999999999999999",
		"FREQ=;=", "FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2", "FREQ=DAILY;BYEASTER=400",
		"FREQ=YEARLY;COUNT=1000000;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS=" + numbersTo(366),
		"FREQ=MONTHLY;COUNT=1000000;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS=" + numbersTo(31)} {
		c.Add(rule, int64(i)*1e8, uint32(i*90+1))
	}
	c.Recorded("maintenance", func(_ string, text []byte) {
		var policy struct {
			Window struct {
				RecurringWindow struct {
					Recurrence string
					Window     struct{ StartTime, EndTime time.Time }
				}
			}
		}
		if err := json.Unmarshal(text, &policy); err != nil {
			f.Fatal(err)
		}
		if w := policy.Window.RecurringWindow; w.Recurrence != "" {
			c.AddRecorded(w.Recurrence, w.Window.StartTime.Unix(),
				uint32(w.Window.EndTime.Sub(w.Window.StartTime)/time.Minute))
		}
	})
	c.AtLeast(14, 15)
	f.Fuzz(func(t *testing.T, rule string, start int64, minutes uint32) {
		defer corpus.Watch(rule)()
		first := window.Span{Start: time.Unix(start%(1<<36), 0)}
		first.End = first.Start.Add(time.Duration(minutes) * time.Minute)
		s, text, err := window.Recurring(first, rule)
		if err != nil {
			if s != nil {
				t.Fatalf("%q: an error with a result", rule)
			}
			inOneLine(t, rule, err)
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
		if got, ok := s.Next(first.Start.Add(-time.Minute)); ok && got.Start.Before(first.Start) {
			t.Fatalf("%q: %v begins before the first window %s", rule, got, first.Start)
		}
	})
}

// TestCountingReadsEachYearOnce: the fuzzer's slowest rule. Counting its windows
// took 1.3 s when every window read its year again, in each run, for a rule that
// anybody who may edit a cluster can write.
func TestCountingReadsEachYearOnce(t *testing.T) {
	rule := "FREQ=YEARLY;COUNT=1000000;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS=" + numbersTo(366)
	first := window.Span{Start: at("2020-01-01 00:00"), End: at("2020-01-01 04:00")}
	years := testing.AllocsPerRun(1, func() {
		if _, _, err := window.Recurring(first, rule); err != nil {
			t.Error(err)
		}
	})
	if years > 20_000 {
		t.Errorf("%.0f allocations to count the windows of 550 years", years)
	}
}
