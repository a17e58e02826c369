package window_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gke-credential-rotator/policy/window"
)

var firstSaturday = time.Date(2026, 1, 3, 2, 0, 0, 0, time.UTC)

// Windows are told as a person says them.
func TestWindowWords(t *testing.T) {
	for rule, want := range map[string]string{
		"FREQ=MONTHLY;BYDAY=1SA":              "first Saturday of the month, 02:00 for 36h UTC",
		"FREQ=MONTHLY;BYSETPOS=1;BYDAY=SA":    "first Saturday of the month, 02:00 for 36h UTC",
		"FREQ=MONTHLY;BYSETPOS=1;BYDAY=SA,SU": "first Saturday or Sunday of the month, 02:00 for 36h UTC",
		"FREQ=MONTHLY;INTERVAL=6;BYDAY=1TU":   "first Tuesday of every 6th month from January 2026, 02:00 for 36h UTC",
		"FREQ=MONTHLY;BYDAY=2SU,-1SA":         "second Sunday, last Saturday of the month, 02:00 for 36h UTC",
		"FREQ=MONTHLY;BYMONTHDAY=15":          "day 15 of the month, 02:00 for 36h UTC",
		"FREQ=MONTHLY":                        "day 3 of the month, 02:00 for 36h UTC",
		"FREQ=MONTHLY;BYMONTHDAY=-1":          "last day of the month, 02:00 for 36h UTC",
		"FREQ=MONTHLY;BYMONTH=1,7;BYDAY=1SA":  "first Saturday of January, July, 02:00 for 36h UTC",
		"FREQ=YEARLY":                         "day 3 of January, 02:00 for 36h UTC",
		"FREQ=WEEKLY;INTERVAL=2;BYDAY=SA":     "Sat of every second week from 2025-12-29, 02:00 for 36h UTC",
		"FREQ=DAILY;INTERVAL=3":               "every 3 days from 2026-01-03, 02:00 for 36h UTC",
		"FREQ=WEEKLY;BYDAY=SA,SU":             "Sat,Sun 02:00 for 36h UTC",
	} {
		_, got, err := window.Recurring(window.Span{Start: firstSaturday, End: firstSaturday.Add(36 * time.Hour)}, rule)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", rule, got, err, want)
		}
	}
}

// TestSameWordsSameDays: two rules that are told in the same words open at the same times.
func TestSameWordsSameDays(t *testing.T) {
	part := func(rt *rapid.T, name string, of ...string) string {
		if v := rapid.SampledFrom(append([]string{""}, of...)).Draw(rt, name); v != "" {
			return ";" + name + "=" + v
		}
		return ""
	}
	type told struct {
		rule  string
		opens []string
	}
	known := map[string]told{}
	rapid.Check(t, func(rt *rapid.T) {
		freq := rapid.SampledFrom([]string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}).Draw(rt, "FREQ")
		days := []string{"SA", "SU", "SA,SU", "TU"}
		if freq == "MONTHLY" || freq == "YEARLY" {
			days = append(days, "1SA", "-1SA", "2SU,-1SA", "1TU")
		}
		rule := "FREQ=" + freq + part(rt, "INTERVAL", "1", "2", "3") + part(rt, "WKST", "SU") +
			part(rt, "BYMONTH", "1", "1,7", "6")
		if freq != "WEEKLY" {
			rule += part(rt, "BYMONTHDAY", "1", "15", "-1", "1,2,3,4,5,6,7")
		}
		rule += part(rt, "BYDAY", days...)
		if strings.Contains(rule, "BYDAY") && freq != "DAILY" {
			rule += part(rt, "BYSETPOS", "1", "-1", "2", "1,2")
		}
		s, text, err := window.Recurring(window.Span{Start: firstSaturday, End: firstSaturday.Add(time.Hour)}, rule)
		if err != nil {
			return
		}
		var opens []string
		for at := firstSaturday.Add(-time.Hour); len(opens) < 40; {
			next, ok := s.Next(at)
			if !ok {
				break
			}
			opens, at = append(opens, fmt.Sprint(next.Start, next.End)), next.End
		}
		if before, ok := known[text]; !ok {
			known[text] = told{rule, opens}
		} else if n := min(len(before.opens), len(opens)); !slices.Equal(before.opens[:n], opens[:n]) {
			rt.Fatalf("%q is said of %s and of %s", text, before.rule, rule)
		}
	})
}
