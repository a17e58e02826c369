package window_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"gke-credential-rotator/policy/window"
)

func span(start, end string) window.Span { return window.Span{Start: at(start), End: at(end)} }

func TestRoomIsAskedToTheLastInstant(t *testing.T) {
	s := weekly(t, "Sat 02:00-06:00; Sat 08:00-08:10; Sun 02:00-06:00")
	const need = 17 * time.Minute
	for _, row := range []struct {
		teaches, now string
		open         bool
		changes      string
	}{
		{"before: when it opens", "2026-11-21 01:00", false, "2026-11-21 02:00:00"},
		{"inside: until the room runs out", "2026-11-21 02:00", true, "2026-11-21 05:43:00.000000001"},
		{"the last instant with room", "2026-11-21 05:43", true, "2026-11-21 05:43:00.000000001"},
		{"past it: the next with enough room, not the short one", "2026-11-21 05:44", false, "2026-11-22 02:00:00"},
		{"in one that is too short", "2026-11-21 08:00", false, "2026-11-22 02:00:00"},
	} {
		open, changes := window.RoomAt(s, at(row.now), need)
		if got := changes.Format("2006-01-02 15:04:05.999999999"); open != row.open || got != row.changes {
			t.Errorf("%s: %t until %s, want %t until %s", row.teaches, open, got, row.open, row.changes)
		}
	}
	if open, changes := window.RoomAt(s, at("2026-11-21"), 5*time.Hour); open || !changes.IsZero() {
		t.Errorf("no window has five hours: %t, %s", open, changes)
	}
	if open, changes := window.RoomAt(s, at("2026-11-21 05:59"), 0); !open ||
		!changes.Equal(at("2026-11-21 06:00")) {
		t.Errorf("no need is OpenAt: %t, %s", open, changes)
	}
	if open, _ := window.RoomAt(window.Always(), at("2026-11-21"), window.Horizon+1); open {
		t.Error("more room than can be seen was promised")
	}
}

// TestRoomIsNotPromisedBeyondWhatWasSeen: a stretch that begins just within
// Horizon and ends beyond it is told as Forever, yet its room is known.
func TestRoomIsNotPromisedBeyondWhatWasSeen(t *testing.T) {
	s := window.All(window.Always(), window.Except(span("0001-01-01", "2027-12-20"),
		span("2027-12-28", "2100-01-01")))
	now := at("2026-11-21") // Horizon ends on 2027-12-26
	if got := show(s.Next(now)); got != "2027-12-20 00:00 to forever" {
		t.Error(got)
	}
	if _, changes := window.RoomAt(s, now, 7*24*time.Hour); !changes.Equal(at("2027-12-20")) {
		t.Errorf("a week fits, but changes %s", changes)
	}
	if _, changes := window.RoomAt(s, now, 9*24*time.Hour); !changes.IsZero() {
		t.Errorf("nine days do not fit, but changes %s", changes)
	}
	if got, want := window.OpenTime(s, span("2026-11-21", "2099-01-01")), 8*24*time.Hour; got != want {
		t.Errorf("open %s, want %s", got, want)
	}
}

func TestOpenTimeAddsUp(t *testing.T) {
	day := 24 * time.Hour
	for _, row := range []struct {
		teaches string
		s       window.Schedule
		in      window.Span
		want    time.Duration
	}{
		{"parts of stretches", weekly(t, "Sat,Sun 02:00-06:00"), span("2026-11-21 04:00", "2026-11-22 03:00"),
			3 * time.Hour},
		{"the hour that a zone loses", weekly(t, "Sun 00:00-24:00 Europe/Paris"), span("2026-03-27", "2026-04-01"),
			23 * time.Hour},
		{"years", weekly(t, "Sat 02:00-06:00"), span("2020-01-01", "2030-01-01"), 522 * 4 * time.Hour},
		{"years, always", window.Always(), span("2020-01-01", "2030-01-01"), 3653 * day},
		{"years after nothing", window.Except(span("2000-01-01", "2029-12-01")), span("2020-01-01", "2030-01-01"),
			31 * day},
		{"an empty span", window.Always(), span("2026-01-02", "2026-01-01"), 0},
		{"never", window.Never(), window.Span{End: window.Forever}, 0},
		{"more than a Duration holds", window.Always(), window.Span{End: window.Forever}, math.MaxInt64},
	} {
		if got := window.OpenTime(row.s, row.in); got != row.want {
			t.Errorf("%s: %s, want %s", row.teaches, got, row.want)
		}
	}
}

func TestCombinations(t *testing.T) {
	sat, sun := weekly(t, "Sat 00:00-24:00"), weekly(t, "Sun 00:00-12:00")
	for _, row := range []struct {
		teaches string
		s       window.Schedule
		now     string
		want    string
	}{
		{"all of none is always", window.All(), "2026-11-21", "long ago to forever"},
		{"all of two that never meet is never", window.All(sat, sun), "2026-11-21", "never"},
		{"all keeps what is common", window.All(sat, weekly(t, "Sat 20:00-04:00")), "2026-11-21",
			"2026-11-21 20:00 to 2026-11-22 00:00"},
		{"all is told from when all were open",
			window.All(sat, window.Except(span("2026-11-21", "2026-11-21 06:00"))), "2026-11-21 07:00",
			"2026-11-21 06:00 to 2026-11-22 00:00"},
		{"all skips nothing, be it short", window.All(weekly(t, "Sat 01:20-01:40; Sat 02:00-02:10"),
			window.Except(span("2026-11-21", "2026-11-21 01:50"))), "2026-11-21 01:30",
			"2026-11-21 02:00 to 2026-11-21 02:10"},
		{"with never, never", window.All(window.Always(), window.Never()), "2026-11-21", "never"},
		{"except: overlapping, touching, empty and turned spans", window.Except(span("2026-11-22", "2026-11-24"),
			span("2026-11-20", "2026-11-22"), span("2026-11-23", "2026-11-25"), span("2026-12-02", "2026-12-01")),
			"2026-11-21", "2026-11-25 00:00 to forever"},
		{"except to the end of time", window.Except(window.Span{Start: at("2026-11-20"), End: window.Forever}),
			"2026-11-21", "never"},
	} {
		t.Run(row.teaches, func(t *testing.T) {
			if got := show(row.s.Next(at(row.now))); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
}

// stuck is a broken schedule: its stretch has ended before the time asked.
type stuck struct{}

func (stuck) Next(t time.Time) (window.Span, bool) {
	return window.Span{Start: t.Add(-2), End: t.Add(-1)}, true
}

// crumbs opens every other nanosecond.
type crumbs struct{}

func (crumbs) Next(t time.Time) (window.Span, bool) {
	return window.Span{Start: t.Add(1), End: t.Add(2)}, true
}

// TestEveryQuestionEnds: walks are bounded, whatever the schedules are, and
// what was not looked at counts as closed.
func TestEveryQuestionEnds(t *testing.T) {
	for name, s := range map[string]window.Schedule{"stuck": stuck{}, "crumbs": crumbs{},
		"both":     window.All(stuck{}, crumbs{}),
		"by turns": window.All(weekly(t, "Mon,Wed,Fri,Sun 00:00-24:00"), weekly(t, "Tue,Thu,Sat 00:00-24:00"))} {
		if open, changes := window.RoomAt(s, at("2026-11-23"), time.Hour); open || !changes.IsZero() &&
			name != "by turns" {
			t.Errorf("%s has room (%t) or will (%s)", name, open, changes)
		}
		if got := window.OpenTime(s, span("2026-01-01", "2040-01-01")); got > time.Second {
			t.Errorf("%s: open for %s", name, got)
		}
	}
	for _, extreme := range []time.Time{{}, time.Unix(-1<<62, 0), time.Unix(1<<61, 0), window.Forever} {
		for name, s := range benchSchedules(t) {
			s.Next(extreme)
			window.RoomAt(s, extreme, time.Hour)
			if got, ok := s.Next(window.Forever); ok {
				t.Errorf("%s: the calendar ends, and then comes %v", name, got)
			}
		}
	}
}

// TestMemoryIsOnlySpeed: a schedule that has answered other questions answers
// as a fresh one does, and questions may come from many goroutines at once.
func TestMemoryIsOnlySpeed(t *testing.T) {
	used := benchSchedules(t)
	times := []time.Time{at("2026-11-21 14:05")}
	for n := range 60 {
		times = append(times, times[0].Add(time.Duration(n*n*n%4001-1000)*7*time.Hour))
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			fresh := benchSchedules(t)
			for _, now := range times {
				for name, s := range used {
					got, ok := s.Next(now)
					want, wanted := fresh[name].Next(now)
					if got != want || ok != wanted {
						t.Errorf("%s at %s: %s, a fresh one says %s", name, now, show(got, ok), show(want, wanted))
					}
				}
				fresh = benchSchedules(t)
			}
		})
	}
	all.Wait()
}

// TestQuestionsLeaveNoGarbage: hour after hour, a question allocates nothing,
// save now and then what is remembered.
func TestQuestionsLeaveNoGarbage(t *testing.T) {
	for name, s := range benchSchedules(t) {
		hour := 0
		if got := testing.AllocsPerRun(720, func() {
			s.Next(benchNow.Add(time.Duration(hour) * time.Hour))
			hour++
		}); got >= 1 {
			t.Errorf("%s: %.0f allocations a question", name, got)
		}
	}
}

func TestMaintenanceIsClosedWhenInDoubt(t *testing.T) {
	daily, text, _ := window.Daily("02:00")
	holidays := span("2026-12-18", "2027-01-05")
	policy := weekly(t, "Sat 02:00-06:00")
	exclusion := func(scope window.Scope) []window.Exclusion {
		return []window.Exclusion{{Name: "holidays", Span: holidays, Scope: scope}}
	}
	for _, row := range []struct {
		teaches string
		m       window.Maintenance
		now     string
		want    string
	}{
		{"its own window comes first", window.Maintenance{Window: daily, Text: text}, "2026-11-23 05:00",
			"2026-11-23 02:00 to 2026-11-23 06:00"},
		{"without one, the policy's", window.Maintenance{}, "2026-11-23 05:00",
			"2026-11-28 02:00 to 2026-11-28 06:00"},
		{"NO_UPGRADES blocks", window.Maintenance{Window: daily, Exclusions: exclusion(window.NoUpgrades)},
			"2026-12-18 02:00", "2027-01-05 02:00 to 2027-01-05 06:00"},
		{"NO_MINOR_OR_NODE_UPGRADES blocks: recreation is a node upgrade",
			window.Maintenance{Window: daily, Exclusions: exclusion(window.NoMinorOrNodeUpgrades)}, "2026-12-18 02:00",
			"2027-01-05 02:00 to 2027-01-05 06:00"},
		{"NO_MINOR_UPGRADES does not",
			window.Maintenance{Window: daily, Exclusions: exclusion(window.NoMinorUpgrades)}, "2026-12-18 02:00",
			"2026-12-18 02:00 to 2026-12-18 06:00"},
		{"a scope that is newer than this program blocks",
			window.Maintenance{Window: daily, Exclusions: exclusion("NO_COFFEE")}, "2026-12-18 02:00",
			"2027-01-05 02:00 to 2027-01-05 06:00"},
		{"until the end of support has no end, whatever is told",
			window.Maintenance{Exclusions: []window.Exclusion{{Span: holidays, UntilEndOfSupport: true}}},
			"2026-12-18 02:00", "never"},
		{"nor has an exclusion of which no end is told",
			window.Maintenance{Exclusions: []window.Exclusion{{Span: window.Span{Start: holidays.Start}}}},
			"2026-12-18 02:00", "never"},
		{"a policy that is not understood is closed",
			window.Maintenance{Window: daily, Problem: "a kind that is not known"}, "2026-12-18 02:00", "never"},
	} {
		t.Run(row.teaches, func(t *testing.T) {
			if got := show(row.m.Open(policy).Next(at(row.now))); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
}
