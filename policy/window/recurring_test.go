package window_test

import (
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy/window"
)

// show writes a stretch as the tables below do.
func show(s window.Span, ok bool) string {
	edge := func(t time.Time) string {
		switch {
		case t.IsZero():
			return "long ago"
		case t.Equal(window.Forever):
			return "forever"
		}
		return t.Format("2006-01-02 15:04")
	}
	if !ok {
		return "never"
	}
	return edge(s.Start) + " to " + edge(s.End)
}

// TestRecurringWindows: what a rule means. now is a Saturday, 2026-11-21 14:05,
// unless the row says otherwise.
func TestRecurringWindows(t *testing.T) {
	for _, row := range []struct {
		teaches    string
		start, end string
		rule       string
		now        string
		text       string
		next       string
	}{
		{"the first window's date only says when it begins to recur", "2020-02-07 06:00", "2020-02-07 18:00",
			"FREQ=WEEKLY;BYDAY=SA", "",
			"Sat 06:00-18:00 UTC", "2026-11-21 06:00 to 2026-11-21 18:00"},
		{"no window before the first, and none on its day if the rule does not choose that", "2026-12-02 06:00",
			"2026-12-02 10:00", "FREQ=WEEKLY;BYDAY=SA,MO", "",
			"Mon,Sat 06:00-10:00 UTC", "2026-12-05 06:00 to 2026-12-05 10:00"},
		{"a week without BYDAY recurs on the first window's weekday", "2026-11-19 22:00", "2026-11-20 02:00",
			"FREQ=WEEKLY", "",
			"Thu 22:00-02:00 UTC", "2026-11-26 22:00 to 2026-11-27 02:00"},
		{"a window belongs to the day it begins on", "1970-01-01 22:00", "1970-01-02 02:00", "FREQ=WEEKLY;BYDAY=FR",
			"2026-11-21 01:00",
			"Fri 22:00-02:00 UTC", "2026-11-20 22:00 to 2026-11-21 02:00"},
		{"Google's weekend of almost three days", "2019-01-05 00:00", "2019-01-07 23:59", "FREQ=WEEKLY;BYDAY=SA",
			"2026-11-22 23:00",
			"Sat 00:00 for 71h59m UTC", "2026-11-21 00:00 to 2026-11-23 23:59"},
		{"windows that touch are one", "2023-01-01 00:00", "2023-01-02 00:00", "FREQ=WEEKLY;BYDAY=SA,SU", "",
			"Sat,Sun 00:00-24:00 UTC", "2026-11-21 00:00 to 2026-11-23 00:00"},
		{"windows that overlap are one", "2023-01-01 10:00", "2023-01-02 22:00", "FREQ=WEEKLY;BYDAY=FR,SA,SU", "",
			"Fri-Sun 10:00 for 36h UTC", "2026-11-20 10:00 to 2026-11-23 22:00"},
		{"every day, all day, never closes", "2020-08-24 00:00", "2020-08-25 00:00", "FREQ=DAILY", "",
			"daily 00:00-24:00 UTC", "long ago to forever"},
		{"it opened once, and that is told when it is near", "2026-10-01 00:00", "2026-10-02 00:00", "FREQ=DAILY",
			"",
			"daily 00:00-24:00 UTC", "2026-10-01 00:00 to forever"},
		{"seven days by name are daily", "2020-01-26 17:00", "2020-01-26 21:00",
			"FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU", "",
			"daily 17:00-21:00 UTC", "2026-11-21 17:00 to 2026-11-21 21:00"},
		{"days of a daily rule", "2020-01-26 17:00", "2020-01-26 21:00", "FREQ=DAILY;BYDAY=MO,TU,TH,FR", "",
			"Mon,Tue,Thu,Fri 17:00-21:00 UTC", "2026-11-23 17:00 to 2026-11-23 21:00"},
		{"two years every six months never closes: each window begins before the last ends", "2023-01-01 09:00",
			"2025-01-01 17:00", "FREQ=MONTHLY;INTERVAL=6;BYDAY=1TU", "",
			"first Tuesday of every 6th month from January 2023, 09:00 for 731d 8h UTC", "long ago to forever"},
		{"a window of seven years that began long ago still counts, after the last was begun", "2023-01-01 09:00",
			"2030-01-01 17:00", "FREQ=MONTHLY;BYMONTHDAY=1;COUNT=1", "",
			"day 1 of the month, 09:00 for 2557d 8h UTC, until 2023-01-01", "long ago to forever"},
		{"and ends when it ends", "2023-01-01 09:00", "2030-01-01 17:00", "FREQ=MONTHLY;BYMONTHDAY=1;COUNT=1",
			"2029-12-24 00:00",
			"day 1 of the month, 09:00 for 2557d 8h UTC, until 2023-01-01", "long ago to 2030-01-01 17:00"},
		{"every other week counts from the first window", "2026-11-07 02:00", "2026-11-07 06:00",
			"FREQ=WEEKLY;INTERVAL=2;BYDAY=SA", "",
			"Sat of every second week from 2026-11-02, 02:00-06:00 UTC", "2026-12-05 02:00 to 2026-12-05 06:00"},
		{"every other week, where weeks begin on Sunday: Sunday is another week's", "2026-11-07 02:00",
			"2026-11-07 06:00", "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SA,SU", "2026-11-08 00:00",
			"Sat,Sun of every second week from 2026-11-01, 02:00-06:00 UTC", "2026-11-15 02:00 to 2026-11-15 06:00"},
		{"every tenth day since 1970", "1970-01-01 02:00", "1970-01-01 06:00", "FREQ=DAILY;INTERVAL=10", "",
			"every 10 days from 1970-01-01, 02:00-06:00 UTC", "2026-11-23 02:00 to 2026-11-23 06:00"},
		{"the first day of the month's weekends", "2019-01-05 00:00", "2019-01-06 00:00",
			"FREQ=MONTHLY;BYSETPOS=1;BYDAY=SA,SU", "",
			"first Saturday or Sunday of the month, 00:00-24:00 UTC", "2026-12-05 00:00 to 2026-12-06 00:00"},
		{"the last working day", "2019-01-05 08:00", "2019-01-05 12:00",
			"FREQ=MONTHLY;BYSETPOS=-1;BYDAY=MO,TU,WE,TH,FR", "",
			"last of Mon-Fri of the month, 08:00-12:00 UTC", "2026-11-30 08:00 to 2026-11-30 12:00"},
		{"the last Sunday", "2019-01-05 08:00", "2019-01-05 12:00", "FREQ=MONTHLY;BYDAY=-1SU", "",
			"last Sunday of the month, 08:00-12:00 UTC", "2026-11-29 08:00 to 2026-11-29 12:00"},
		{"a month without the 31st has no window", "2026-10-31 08:00", "2026-10-31 12:00", "FREQ=MONTHLY", "",
			"day 31 of the month, 08:00-12:00 UTC", "2026-12-31 08:00 to 2026-12-31 12:00"},
		{"the month's last day", "2026-10-31 08:00", "2026-10-31 12:00", "FREQ=MONTHLY;BYMONTHDAY=-1", "",
			"last day of the month, 08:00-12:00 UTC", "2026-11-30 08:00 to 2026-11-30 12:00"},
		{"2000 had a 29th of February", "1999-10-31 08:00", "1999-10-31 12:00", "FREQ=MONTHLY;BYMONTHDAY=-1",
			"2000-02-15",
			"last day of the month, 08:00-12:00 UTC", "2000-02-29 08:00 to 2000-02-29 12:00"},
		{"2100 will not have one", "1999-10-31 08:00", "1999-10-31 12:00", "FREQ=MONTHLY;BYMONTHDAY=-1",
			"2100-02-15",
			"last day of the month, 08:00-12:00 UTC", "2100-02-28 08:00 to 2100-02-28 12:00"},
		{"Friday the 13th", "2019-01-01 08:00", "2019-01-01 12:00", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "",
			"FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR 08:00-12:00 UTC", "2027-08-13 08:00 to 2027-08-13 12:00"},
		{"a plain and a numbered weekday mean either", "2019-01-01 08:00", "2019-01-01 12:00",
			"FREQ=MONTHLY;BYDAY=MO,-1SU", "2026-11-28 00:00",
			"FREQ=MONTHLY;BYDAY=MO,-1SU 08:00-12:00 UTC", "2026-11-29 08:00 to 2026-11-29 12:00"},
		{"once a year", "2020-03-01 08:00", "2020-03-01 12:00", "FREQ=YEARLY", "",
			"day 1 of March, 08:00-12:00 UTC", "2027-03-01 08:00 to 2027-03-01 12:00"},
		{"a numbered weekday of a yearly rule with months is the month's", "2020-03-01 08:00", "2020-03-01 12:00",
			"FREQ=YEARLY;BYMONTH=6,12;BYDAY=2WE", "",
			"second Wednesday of June, December, 08:00-12:00 UTC", "2026-12-09 08:00 to 2026-12-09 12:00"},
		{"without months it is the year's", "2020-03-01 08:00", "2020-03-01 12:00", "FREQ=YEARLY;BYDAY=50WE", "",
			"FREQ=YEARLY;BYDAY=50WE 08:00-12:00 UTC", "2026-12-16 08:00 to 2026-12-16 12:00"},
		{"less than once in 400 days counts as closed", "2020-02-29 08:00", "2020-02-29 12:00", "FREQ=YEARLY", "",
			"day 29 of February, 08:00-12:00 UTC", "never"},
		{"until it comes near", "2020-02-29 08:00", "2020-02-29 12:00", "FREQ=YEARLY", "2027-03-01 00:00",
			"day 29 of February, 08:00-12:00 UTC", "2028-02-29 08:00 to 2028-02-29 12:00"},
		{"a rule that has ended", "2020-01-01 02:00", "2020-01-01 06:00", "FREQ=DAILY;UNTIL=20210101T000000Z", "",
			"daily 02:00-06:00 UTC, until 2021-01-01", "never"},
		{"UNTIL itself may still begin a window", "2020-01-01 02:00", "2020-01-01 06:00",
			"FREQ=DAILY;UNTIL=20261122T020000Z", "2026-11-21 23:00",
			"daily 02:00-06:00 UTC, until 2026-11-22", "2026-11-22 02:00 to 2026-11-22 06:00"},
		{"UNTIL as a date includes the day", "2020-01-01 02:00", "2020-01-01 06:00", "FREQ=DAILY;UNTIL=20261122",
			"2026-11-21 23:00",
			"daily 02:00-06:00 UTC, until 2026-11-22", "2026-11-22 02:00 to 2026-11-22 06:00"},
		{"a rule that ended before it began", "2023-02-01 09:00", "2023-02-01 17:00",
			"FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;UNTIL=20230101T000000Z", "",
			"Mon-Fri 09:00-17:00 UTC, ended 2023-01-01 before it began", "never"},
		{"COUNT is used up", "2026-11-01 02:00", "2026-11-01 06:00", "FREQ=DAILY;COUNT=20", "",
			"daily 02:00-06:00 UTC, until 2026-11-20", "never"},
		{"a COUNT of centuries is no limit", "2026-11-01 02:00", "2026-11-01 06:00",
			"FREQ=MONTHLY;BYMONTHDAY=31;COUNT=10000", "2525-01-01",
			"day 31 of the month, 02:00-06:00 UTC", "2525-01-31 02:00 to 2525-01-31 06:00"},
		{"days that never come", "2020-01-01 02:00", "2020-01-01 06:00", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "",
			"day 30 of February, 02:00-06:00 UTC, on days that never come", "never"},
		{"an offset is only another way to write UTC", "2026-11-20 02:00", "2026-11-20 06:00",
			"RRULE:freq=weekly;byday=fr;", "",
			"Fri 02:00-06:00 UTC", "2026-11-27 02:00 to 2026-11-27 06:00"},
		{"seconds count", "2026-11-20 19:16:39", "2026-11-20 23:16:39", "FREQ=DAILY", "",
			"daily 19:16:39-23:16:39 UTC", "2026-11-21 19:16 to 2026-11-21 23:16"},
	} {
		t.Run(row.teaches, func(t *testing.T) {
			start, end := at(row.start), at(row.end)
			if strings.Contains(row.teaches, "offset") {
				zone := time.FixedZone("", -5*60*60)
				start, end = start.In(zone), end.In(zone)
			}
			s, text, err := window.Recurring(window.Span{Start: start, End: end}, row.rule)
			if err != nil {
				t.Fatal(err)
			}
			if text != row.text {
				t.Errorf("text %q, want %q", text, row.text)
			}
			now := "2026-11-21 14:05"
			if row.now != "" {
				now = row.now
			}
			if got := show(s.Next(at(now))); got != row.next {
				t.Errorf("at %s: %s, want %s", now, got, row.next)
			}
		})
	}
}

// TestRefusedWindows: each error names the part and the way out.
func TestRefusedWindows(t *testing.T) {
	for _, row := range []struct{ start, end, rule, want string }{
		{"2026-01-01 06:00", "2026-01-01 02:00", "FREQ=DAILY",
			"ends (2026-01-01T02:00:00Z) before it starts (2026-01-01T06:00:00Z)"},
		{"2026-01-01 06:00", "2026-01-01 06:00", "FREQ=DAILY", "before it starts"},
		{"0001-01-01", "2026-01-01 06:00", "FREQ=DAILY", "no start or no end"},
		{"", "", "", "it is empty; write e.g. FREQ=WEEKLY;BYDAY=SA,SU"},
		{"", "", "FREQ=HOURLY", "FREQ=HOURLY: GKE accepts no windows within the day; write FREQ=DAILY"},
		{"", "", "FREQ=MINUTELY;INTERVAL=5", "FREQ=MINUTELY"},
		{"", "", "FREQ=SECONDLY", "FREQ=SECONDLY"},
		{"", "", "FREQ=FORTNIGHTLY", "FREQ=FORTNIGHTLY is unknown; write DAILY, WEEKLY, MONTHLY or YEARLY"},
		{"", "", "BYDAY=SA", "FREQ is missing"},
		{"", "", "every Saturday", `"EVERY SATURDAY" is not NAME=VALUE`},
		{"", "", "FREQ=DAILY;;BYDAY=SA", `"" is not NAME=VALUE`},
		{"", "", "FREQ=DAILY;FREQ=WEEKLY", "FREQ is there twice"},
		{"", "", "FREQ=DAILY;INTERVAL=0", "INTERVAL=0 is not a number from 1 to 1000"},
		{"", "", "FREQ=DAILY;INTERVAL=99999999999999999999", "INTERVAL="},
		{"", "", "FREQ=DAILY;COUNT=-1", "COUNT=-1 is not a number from 1 to 1000000"},
		{"", "", "FREQ=DAILY;COUNT=3;UNTIL=20270101", "COUNT and UNTIL exclude each other"},
		{"", "", "FREQ=DAILY;UNTIL=tomorrow", "UNTIL=TOMORROW is not a time; write e.g."},
		{"", "", "FREQ=WEEKLY;BYDAY=SAT", `BYDAY=SAT: "SAT" is not a weekday; write MO`},
		{"", "", "FREQ=WEEKLY;BYDAY=SA,", `"" is not a weekday`},
		{"", "", "FREQ=WEEKLY;BYDAY=1SA", "BYDAY=1SA: only months and years have an nth weekday"},
		{"", "", "FREQ=MONTHLY;BYDAY=6SA", "BYDAY=6SA: a month has at most 5"},
		{"", "", "FREQ=YEARLY;BYDAY=54SA", `"54SA" is not a weekday`},
		{"", "", "FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY has no meaning with FREQ=WEEKLY"},
		{"", "", "FREQ=MONTHLY;BYMONTHDAY=0", `"0" is not a number from 1 to 31, or -1 to -31 from the end`},
		{"", "", "FREQ=MONTHLY;BYMONTH=-1", `"-1" is not a number from 1 to 12`},
		{"", "", "FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS picks from the days of BYDAY"},
		{"", "", "FREQ=WEEKLY;WKST=XX", "WKST=XX is not a weekday"},
		{"", "", "FREQ=DAILY;BYHOUR=2,14", "BYHOUR=2,14: the window's start says the time of day"},
		{"", "", "FREQ=YEARLY;BYWEEKNO=20", "BYWEEKNO=20 is not a part that GKE documents"},
		{"", "", "FREQ=DAILY;BYEASTER=0", "BYEASTER is no part of a recurrence rule; known are FREQ"},
	} {
		first := window.Span{Start: at("2026-01-01 02:00"), End: at("2026-01-01 06:00")}
		if row.start != "" {
			first = window.Span{Start: at(row.start), End: at(row.end)}
		}
		s, _, err := window.Recurring(first, row.rule)
		if err == nil || !strings.Contains(err.Error(), row.want) || s != nil {
			t.Errorf("%q: error %v, want one with %q", row.rule, err, row.want)
		}
	}
}

// TestWindowsSinceADate: GKE's newer form.
func TestWindowsSinceADate(t *testing.T) {
	for _, row := range []struct {
		teaches, delayUntil string
		start, length       time.Duration
		rule, now, want     string // next stretch, or error
	}{
		{"without a delay it has always been open", "", 2 * time.Hour, 4 * time.Hour, "FREQ=WEEKLY;BYDAY=SA",
			"2001-01-01", "2001-01-06 02:00 to 2001-01-06 06:00"},
		{"windows before the date never occur", "2027-01-10", 2 * time.Hour, 4 * time.Hour, "FREQ=WEEKLY;BYDAY=SA",
			"2026-11-21", "2027-01-16 02:00 to 2027-01-16 06:00"},
		{"one may begin on the date", "2027-01-09", 2 * time.Hour, 4 * time.Hour, "FREQ=WEEKLY;BYDAY=SA",
			"2026-11-21", "2027-01-09 02:00 to 2027-01-09 06:00"},
		{"INTERVAL counts from the date's week", "2026-11-16", 2 * time.Hour, 4 * time.Hour,
			"FREQ=WEEKLY;INTERVAL=2;BYDAY=SA", "2026-11-22", "2026-12-05 02:00 to 2026-12-05 06:00"},
		{"INTERVAL without the date is uncertain", "", 2 * time.Hour, 4 * time.Hour,
			"FREQ=WEEKLY;INTERVAL=2;BYDAY=SA", "2026-11-22", "needs delay_until"},
		{"so is a week without a day", "", 2 * time.Hour, 4 * time.Hour, "FREQ=WEEKLY", "2026-11-22",
			"needs delay_until"},
		{"a day of the month needs no date", "", 2 * time.Hour, 4 * time.Hour, "FREQ=MONTHLY;BYMONTHDAY=1",
			"2026-11-22", "2026-12-01 02:00 to 2026-12-01 06:00"},
		{"no duration", "", 2 * time.Hour, 0, "FREQ=DAILY", "2026-11-22", "duration 0s is not positive"},
		{"a start beyond the day", "", 24 * time.Hour, time.Hour, "FREQ=DAILY", "2026-11-22",
			"start time 24h0m0s is not within a day"},
	} {
		t.Run(row.teaches, func(t *testing.T) {
			var delay time.Time
			if row.delayUntil != "" {
				delay = at(row.delayUntil)
			}
			s, _, err := window.RecurringSince(delay, row.start, row.length, row.rule)
			if err != nil {
				if !strings.Contains(err.Error(), row.want) {
					t.Errorf("error %v, want %q", err, row.want)
				}
				return
			}
			if got := show(s.Next(at(row.now))); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
}

func TestDailyWindowIsFourHoursAndMayCrossMidnight(t *testing.T) {
	for _, row := range []struct{ start, now, text, next string }{
		{"03:00", "2026-11-21 02:59", "daily 03:00-07:00 UTC", "2026-11-21 03:00 to 2026-11-21 07:00"},
		{"22:00", "2026-11-21 01:59", "daily 22:00-02:00 UTC", "2026-11-20 22:00 to 2026-11-21 02:00"},
		{"22:00", "2026-11-21 02:00", "daily 22:00-02:00 UTC", "2026-11-21 22:00 to 2026-11-22 02:00"},
		{"20:00", "2026-11-21 02:00", "daily 20:00-24:00 UTC", "2026-11-21 20:00 to 2026-11-22 00:00"},
	} {
		s, text, err := window.Daily(row.start)
		if err != nil || text != row.text {
			t.Errorf("%s: %q, %v", row.start, text, err)
			continue
		}
		if got := show(s.Next(at(row.now))); got != row.next {
			t.Errorf("%s at %s: %s, want %s", row.start, row.now, got, row.next)
		}
	}
	for _, bad := range []string{"", "24:00", "3pm", "25:00", "03:60", "03:00:00"} {
		if _, _, err := window.Daily(bad); err == nil ||
			!strings.Contains(err.Error(), `"`+bad+`" is not a time of day HH:MM`) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
