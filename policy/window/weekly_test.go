package window_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy/window"
)

// TestCalendarsInZones: all times in UTC. In Paris clocks go from 02:00 to
// 03:00 at 2026-03-29 01:00 UTC and from 03:00 to 02:00 at 2026-10-25 01:00
// UTC; on Lord Howe Island from 02:00 to 02:30 at 2026-10-03 15:30 UTC and from
// 02:00 to 01:30 at 2026-04-04 15:00 UTC.
func TestCalendarsInZones(t *testing.T) {
	for _, row := range []struct{ teaches, calendar, now, next string }{
		{"nothing is always open", "", "2026-11-21", "long ago to forever"},
		{"and so is always", "Always", "2026-11-21", "long ago to forever"},
		{"UTC unless a zone follows", "Sat 02:00-06:00", "2026-11-21", "2026-11-21 02:00 to 2026-11-21 06:00"},
		{"winter in Paris", "Sat 02:00-06:00 Europe/Paris", "2026-11-21", "2026-11-21 01:00 to 2026-11-21 05:00"},
		{"summer in Paris", "Sat 02:00-06:00 Europe/Paris", "2026-07-18", "2026-07-18 00:00 to 2026-07-18 04:00"},
		{"half an hour in India", "Mon 09:00-15:00 Asia/Kolkata", "2026-11-21",
			"2026-11-23 03:30 to 2026-11-23 09:30"},
		{"the day is the zone's", "Mon 00:00-02:00 Pacific/Auckland", "2026-11-21",
			"2026-11-22 11:00 to 2026-11-22 13:00"},
		{"over midnight a window belongs to the day it begins on", "Sat 22:00-04:00", "2026-11-22 03:00",
			"2026-11-21 22:00 to 2026-11-22 04:00"},
		{"24:00 is midnight", "Sat 22:00-24:00; Sun 00:00-02:00", "2026-11-21",
			"2026-11-21 22:00 to 2026-11-22 02:00"},
		{"an end equal to the start is a day later", "Sat 06:00-06:00", "2026-11-21",
			"2026-11-21 06:00 to 2026-11-22 06:00"},
		{"ranges may pass the week's end", "Fri-Mon 00:00-24:00", "2026-11-21",
			"2026-11-20 00:00 to 2026-11-24 00:00"},
		{"daily", "daily 02:00-06:00", "2026-11-21 06:00", "2026-11-22 02:00 to 2026-11-22 06:00"},
		{"windows that together leave no gap never close", "daily 00:00-12:00; daily 12:00-00:00", "2026-11-21",
			"long ago to forever"},
		{"not even if there are many", hourly, "2026-11-21", "long ago to forever"},
		{"even in several zones", "daily 00:00-24:00 Europe/Paris", "2026-11-21", "long ago to forever"},
		{"windows in two zones join", "Sat 02:00-06:00; Sat 06:00-10:00 Europe/Paris", "2026-11-21",
			"2026-11-21 02:00 to 2026-11-21 09:00"},

		{"spring: a window over the skipped hour is an hour shorter", "Sun 01:00-05:00 Europe/Paris", "2026-03-28",
			"2026-03-29 00:00 to 2026-03-29 03:00"},
		{"spring: a skipped start means the moment of the change", "Sun 02:30-05:00 Europe/Paris", "2026-03-28",
			"2026-03-29 01:00 to 2026-03-29 03:00"},
		{"spring: so does a skipped end", "Sun 01:00-02:30 Europe/Paris", "2026-03-28",
			"2026-03-29 00:00 to 2026-03-29 01:00"},
		{"spring: a window that is skipped whole keeps its length", "Sun 02:15-02:45 Europe/Paris", "2026-03-28",
			"2026-03-29 01:00 to 2026-03-29 01:30"},
		{"spring: also where half an hour is skipped", "Sun 02:00-02:30 Australia/Lord_Howe", "2026-10-03",
			"2026-10-03 15:30 to 2026-10-03 16:00"},
		{"autumn: a window over the doubled hour is an hour longer", "Sun 01:00-05:00 Europe/Paris", "2026-10-24",
			"2026-10-24 23:00 to 2026-10-25 04:00"},
		{"autumn: a doubled start is its first showing", "Sun 02:30-05:00 Europe/Paris", "2026-10-24",
			"2026-10-25 00:30 to 2026-10-25 04:00"},
		{"autumn: so is a doubled end", "Sun 01:00-02:30 Europe/Paris", "2026-10-24",
			"2026-10-24 23:00 to 2026-10-25 00:30"},
		{"autumn: a window in the doubled hour opens once", "Sun 02:15-02:45 Europe/Paris", "2026-10-24",
			"2026-10-25 00:15 to 2026-10-25 00:45"},
		{"autumn: and not again an hour later", "Sun 02:15-02:45 Europe/Paris", "2026-10-25 00:45",
			"2026-11-01 01:15 to 2026-11-01 01:45"},
		{"autumn: the doubled half hour", "Sun 01:30-02:00 Australia/Lord_Howe", "2026-04-04",
			"2026-04-04 14:30 to 2026-04-04 15:30"},
		{"a country without a Friday has its window when the clock passes it", "Fri 10:00-11:00 Pacific/Apia",
			"2011-12-29 12:00", "2011-12-30 10:00 to 2011-12-30 11:00"},
	} {
		t.Run(row.teaches, func(t *testing.T) {
			if got := show(weekly(t, row.calendar).Next(at(row.now))); got != row.next {
				t.Errorf("%s at %s: %s, want %s", row.calendar, row.now, got, row.next)
			}
		})
	}
}

// hourly is 24 windows of an hour that leave no gap.
var hourly = func() string {
	var parts []string
	for h := range 24 {
		parts = append(parts, fmt.Sprintf("daily %02d:00-%02d:00 Europe/Paris", h, (h+1)%24))
	}
	return strings.Join(parts, "; ")
}()

func TestRefusedCalendars(t *testing.T) {
	for text, want := range map[string]string{
		"Sat":                          `window "Sat": want DAYS HH:MM-HH:MM [ZONE]; write e.g. "Sat,Sun 02:00-06:00 Europe/Paris"`,
		"Sat 02:00-06:00;":             `window "": want DAYS`,
		"Sat 02:00-06:00 Europe Paris": "want DAYS HH:MM-HH:MM [ZONE]",
		"Caturday 02:00-06:00":         `"caturday" is not a day: Mon, Tue`,
		"Sat- 02:00-06:00":             `"sat-" is not a day`,
		"Sat 02:00":                    `"02:00" is not HH:MM-HH:MM`,
		"Sat 2am-6am":                  `"2am" is not a time of day HH:MM`,
		"Sat 02:00-25:00":              `"25:00" is not a time of day`,
		"Sat 24:00-02:00":              `"24:00" is not a time of day`,
		"Sat 02:00-06:00 Pariss":       `unknown time zone "Pariss", want UTC or an IANA name`,
		"Sat 02:00-06:00 Local":        `unknown time zone "Local"`,
		"never":                        "want DAYS",
		strings.Repeat("Sat 02:00-06:00;", 24) + "Sun 02:00-06:00": "has 25 windows, more than 24; join some",
	} {
		if w, err := window.ParseWeekly(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", text, w, err, want)
		}
	}
}

func TestCalendarsAreWrittenAsTheyWereRead(t *testing.T) {
	var w window.Weekly
	if got, _ := w.MarshalText(); string(got) != "always" {
		t.Errorf("the zero calendar is written %q", got)
	}
	if err := w.UnmarshalText([]byte("  Sat 02:00-06:00  ")); err != nil || w.String() != "Sat 02:00-06:00" {
		t.Errorf("%q, %v", w, err)
	}
	if err := w.UnmarshalText([]byte("Sat")); err == nil || w.String() != "Sat 02:00-06:00" {
		t.Errorf("a bad text changed the calendar to %q (%v)", w, err)
	}
}

func TestFreezesAreWholeDaysInTheirZone(t *testing.T) {
	for _, row := range []struct{ teaches, freezes, now, next string }{
		{"none", "none", "2026-11-21", "long ago to forever"},
		{"days inclusive", "2026-12-18/2027-01-04", "2026-12-18", "2027-01-05 00:00 to forever"},
		{"open until the first day begins", "2026-12-18/2027-01-04", "2026-12-17 23:59",
			"long ago to 2026-12-18 00:00"},
		{"one day", "2026-12-24", "2026-12-24 12:00", "2026-12-25 00:00 to forever"},
		{"a zone for each; neighbours in different zones may leave a gap", "2026-12-24 Europe/Paris, 2026-12-25",
			"2026-12-23 23:00", "2026-12-24 23:00 to 2026-12-25 00:00"},
		{"neighbours in one zone do not", "2026-12-24 Europe/Paris, 2026-12-25 Europe/Paris", "2026-12-23 23:00",
			"2026-12-25 23:00 to forever"},
		{"between two", "2026-12-24, 2026-12-28 Asia/Kolkata", "2026-12-24",
			"2026-12-25 00:00 to 2026-12-27 18:30"},
		{"a day of 23 hours", "2026-03-29 Europe/Paris", "2026-03-29", "2026-03-29 22:00 to forever"},
		{"a day of 25 hours", "2026-10-25 Europe/Paris", "2026-10-25", "2026-10-25 23:00 to forever"},
		{"a day that begins at one o'clock", "2018-11-04 America/Sao_Paulo", "2018-11-04 03:00",
			"2018-11-05 02:00 to forever"},
		{"overlapping", "2026-12-20/2026-12-26, 2026-12-24/2027-01-01", "2026-12-21",
			"2027-01-02 00:00 to forever"},
		{"longer than the horizon", "2026-01-01/2028-12-31", "2026-11-21", "never"},
	} {
		t.Run(row.teaches, func(t *testing.T) {
			var f window.Freezes
			if err := f.UnmarshalText([]byte(row.freezes)); err != nil {
				t.Fatal(err)
			}
			if got := show(f.Next(at(row.now))); got != row.next {
				t.Errorf("%s, want %s", got, row.next)
			}
		})
	}
}

func TestRefusedFreezes(t *testing.T) {
	for text, want := range map[string]string{
		"Christmas":                    `freeze "Christmas": "Christmas" is not a date YYYY-MM-DD; write e.g. "2026-12-18/2027-01-04"`,
		"2026-12-24,":                  `freeze "": want FIRST/LAST [ZONE]`,
		"2027-01-04/2026-12-18":        "it ends before it begins",
		"2026-02-29":                   `"2026-02-29" is not a date`,
		"2026-12-24/":                  `"" is not a date`,
		"2026-12-24 Mars/Phobos":       `unknown time zone "Mars/Phobos"`,
		"2026-12-24 to 2026-12-26 UTC": "want FIRST/LAST [ZONE]",
	} {
		var f window.Freezes
		if err := f.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if !open(f, "2026-12-24") {
			t.Errorf("%q: refused and yet frozen", text)
		}
	}
}

func open(s window.Schedule, when string) bool {
	is, _ := window.OpenAt(s, at(when))
	return is
}

func TestAnswersAreInUTC(t *testing.T) {
	got, _ := weekly(t, "Sat 02:00-06:00 Europe/Paris").Next(at("2026-11-21").In(time.FixedZone("x", 3600)))
	if got.Start.Location() != time.UTC || got.End.Location() != time.UTC {
		t.Errorf("%v", got)
	}
}
