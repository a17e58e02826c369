package trial

import (
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// at reads a time, 23 November 2026 is a Monday.
func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestCalendars(t *testing.T) {
	rule := func(from, to, text string) calendar {
		g := gkeCalendars{until: at("2028-01-01 00:00"), known: map[*containerpb.MaintenancePolicy]gkeCalendar{}}
		return g.of(recurringPolicy(at(from), at(to), text)).window
	}
	for _, tt := range []struct {
		name     string
		c        calendar
		open     []string
		closedBy []string
	}{
		{"weekly", weekly("Sat,Sun 02:00-06:00"), []string{"2026-11-28 02:00", "2026-11-29 05:59"},
			[]string{"2026-11-28 01:59", "2026-11-28 06:00", "2026-11-27 03:00"}},
		{"over midnight", weekly("Fri 22:00-02:00"), []string{"2026-11-27 22:00", "2026-11-28 01:59"},
			[]string{"2026-11-27 01:00", "2026-11-28 02:00"}},
		{"a range over the week's end", weekly("Sat-Mon 09:00-10:00"),
			[]string{"2026-11-23 09:30", "2026-11-29 09:30"}, []string{"2026-11-24 09:30"}},
		{"a zone", weekly("Mon-Fri 09:00-10:00 Asia/Tokyo; Tue 12:00-24:00"),
			[]string{"2026-11-23 00:30", "2026-11-24 23:59"}, []string{"2026-11-23 09:30"}},
		{"the clock is set: anything goes", weekly("Sun 02:00-03:00 Europe/Paris"),
			[]string{"2027-03-28 00:30", "2027-03-28 12:00"}, []string{"2027-03-22 12:00"}},
		{"freezes", freezes("2026-12-18/2027-01-04, 2026-11-24 Asia/Tokyo"),
			[]string{"2026-12-17 23:59", "2027-01-05 00:00", "2026-11-24 15:00"},
			[]string{"2026-12-18 00:00", "2027-01-04 23:59", "2026-11-23 15:00"}},
		{"no freezes", freezes("none"), []string{"2026-12-18 00:00"}, nil},
		{"every second week", rule("2026-11-23 02:00", "2026-11-23 06:00", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO"),
			[]string{"2026-11-23 02:00", "2026-12-07 05:59"}, []string{"2026-11-30 03:00", "2026-12-07 06:00"}},
		{"until", rule("2026-11-23 02:00", "2026-11-23 06:00", "FREQ=DAILY;UNTIL=20261125"),
			[]string{"2026-11-25 03:00"}, []string{"2026-11-26 03:00"}},
		{"the first Tuesday", rule("2026-01-06 09:00", "2026-01-06 17:00", "FREQ=MONTHLY;BYDAY=1TU"),
			[]string{"2026-12-01 09:00"}, []string{"2026-12-08 10:00", "2026-11-24 10:00"}},
		{"a strange rule: anything goes", rule("2026-01-06 09:00", "2026-01-06 17:00", "FREQ=HOURLY"),
			[]string{"2026-12-08 10:00"}, nil},
	} {
		for _, text := range tt.open {
			if !tt.c(at(text)) {
				t.Errorf("%s: closed at %s", tt.name, text)
			}
		}
		for _, text := range tt.closedBy {
			if tt.c(at(text)) {
				t.Errorf("%s: open at %s", tt.name, text)
			}
		}
	}
}

func TestRoom(t *testing.T) {
	c := weekly("Mon 02:00-06:00")
	for text, want := range map[string]bool{"2026-11-23 05:43": true, "2026-11-23 05:44": false,
		"2026-11-23 01:59": false, "2026-11-23 02:00": true} {
		if c.room(at(text), roomFor) != want {
			t.Errorf("room at %s is %v", text, !want)
		}
	}
	if !c.opens(at("2026-11-23 05:50"), at("2026-11-30 02:01"), roomFor) {
		t.Error("the next window is not seen")
	}
	if c.opens(at("2026-11-23 05:50"), at("2026-11-30 02:00"), roomFor) {
		t.Error("a window that opens at the limit is too late")
	}
}

func TestExclusions(t *testing.T) {
	from, to := timestamppb.New(at("2026-11-24 00:00")), timestamppb.New(at("2026-11-26 00:00"))
	scope := func(s containerpb.MaintenanceExclusionOptions_Scope,
		end containerpb.MaintenanceExclusionOptions_EndTimeBehavior) *containerpb.TimeWindow_MaintenanceExclusionOptions {
		return &containerpb.TimeWindow_MaintenanceExclusionOptions{MaintenanceExclusionOptions: &containerpb.MaintenanceExclusionOptions{Scope: s, EndTimeBehavior: end}}
	}
	for _, tt := range []struct {
		name          string
		w             *containerpb.TimeWindow
		during, after bool // open
	}{
		{"no upgrades", &containerpb.TimeWindow{StartTime: from, EndTime: to}, false, true},
		{"no minor upgrades", &containerpb.TimeWindow{StartTime: from, EndTime: to,
			Options: scope(containerpb.MaintenanceExclusionOptions_NO_MINOR_UPGRADES, 0)}, true, true},
		{"no end", &containerpb.TimeWindow{StartTime: from}, false, false},
		{"until the end of support", &containerpb.TimeWindow{StartTime: from, EndTime: to,
			Options: scope(containerpb.MaintenanceExclusionOptions_NO_MINOR_OR_NODE_UPGRADES,
				containerpb.MaintenanceExclusionOptions_UNTIL_END_OF_SUPPORT)}, false, false},
	} {
		c := exclusionsOf(map[string]*containerpb.TimeWindow{"x": tt.w})
		if !c(at("2026-11-23 23:59")) || c(at("2026-11-25 00:00")) != tt.during ||
			c(at("2026-11-26 00:00")) != tt.after {
			t.Errorf("%s: before %v, during %v, after %v", tt.name, c(at("2026-11-23 23:59")),
				c(at("2026-11-25 00:00")), c(at("2026-11-26 00:00")))
		}
	}
}

func TestMatches(t *testing.T) {
	labels := map[string]string{"env": "prod", "tier": "web"}
	for selector, want := range map[string]bool{
		"all": true, "": true, "env=prod": true, "env==prod": true, "env=dev": false, "env!=dev": true,
		"env!=prod": false, "team!=x": true,
		"env in (dev,prod)": true, "env notin (dev, prod)": false, "team notin (x)": true, "team in (x)": false,
		"tier": true, "!tier": false, "!team": true, "env=prod,!tier": false, "env in (prod),tier=web": true,
	} {
		if matches(selector, labels) != want {
			t.Errorf("%q matches: %v", selector, !want)
		}
	}
}

func recurringPolicy(from, to time.Time, rule string) *containerpb.MaintenancePolicy {
	return &containerpb.MaintenancePolicy{Window: &containerpb.MaintenanceWindow{Policy: &containerpb.MaintenanceWindow_RecurringWindow{
		RecurringWindow: &containerpb.RecurringTimeWindow{Window: &containerpb.TimeWindow{StartTime: timestamppb.New(from), EndTime: timestamppb.New(to)}, Recurrence: rule},
	}}}
}
