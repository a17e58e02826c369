package window_test

import (
	"testing"
	"time"

	"gke-credential-rotator/policy/window"
)

var benchNow = time.Date(2026, 11, 21, 14, 5, 0, 0, time.UTC)

func recurring(tb testing.TB, start, end, rule string) window.Schedule {
	tb.Helper()
	s, _, err := window.Recurring(window.Span{Start: at(start), End: at(end)}, rule)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// at reads a time in UTC, "2026-11-21 14:05" with or without seconds.
func at(text string) time.Time {
	for _, layout := range []string{"2006-01-02 15:04", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	panic("not a time: " + text)
}

func weekly(tb testing.TB, text string) window.Weekly {
	tb.Helper()
	w, err := window.ParseWeekly(text)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// benchSchedules are what a run asks, from the plain to the nasty.
func benchSchedules(tb testing.TB) map[string]window.Schedule {
	return map[string]window.Schedule{
		"weekend since 1970": recurring(tb, "1970-01-03 02:00", "1970-01-03 06:00", "FREQ=WEEKLY;BYDAY=SA,SU"),
		"every day, all day": recurring(tb, "1970-01-01 00:00", "1970-01-02 00:00", "FREQ=DAILY"),
		"first weekend": recurring(tb, "2019-01-05 00:00", "2019-01-07 23:59",
			"FREQ=MONTHLY;BYSETPOS=1;BYDAY=SA"),
		"two years, monthly": recurring(tb, "2023-01-01 09:00", "2025-01-01 17:00",
			"FREQ=MONTHLY;INTERVAL=6;BYDAY=1TU"),
		"policy in Paris": weekly(tb, "Mon-Thu 09:00-15:00 Europe/Paris"),
		"window and freeze": window.All(recurring(tb, "2023-01-07 00:00", "2023-01-08 00:00",
			"FREQ=WEEKLY;BYDAY=SA,SU"),
			window.Except(window.Span{Start: at("2026-11-20"), End: at("2027-01-10")})),
	}
}

// BenchmarkNext asks hour after hour, as the job does.
func BenchmarkNext(b *testing.B) {
	for name, s := range benchSchedules(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.Next(benchNow.Add(time.Duration(i%720) * time.Hour))
			}
		})
	}
}

// BenchmarkFirstNext compiles and asks once: what each cluster costs each run.
func BenchmarkFirstNext(b *testing.B) {
	first := window.Span{Start: at("1970-01-01 22:00"), End: at("1970-01-02 02:00")}
	b.ReportAllocs()
	for b.Loop() {
		s, _, err := window.Recurring(first, "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU")
		if err != nil {
			b.Fatal(err)
		}
		s.Next(benchNow)
	}
}
