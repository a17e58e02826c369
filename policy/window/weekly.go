package window

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Weekly is a policy's own calendar: windows on days of the week in a time
// zone, as in "Sat,Sun 02:00-06:00 Europe/Paris; Wed 22:00-02:00". A window
// belongs to the day it begins on and may cross midnight; without a zone it is
// in UTC. What skipped and doubled wall-clock times mean, the package's comment
// says. The zero value, like the text "always", is always open.
type Weekly struct {
	text     string
	schedule Schedule // nil: always
}

// mostWindows is how many windows a calendar may have.
const mostWindows = 24

// ParseWeekly reads a calendar: "always" (or nothing), or windows separated by
// semicolons, each DAYS HH:MM-HH:MM [ZONE]. DAYS are like "Mon-Thu", "Sat,Sun"
// or "daily"; an end that is not after the start is on the next day, and 24:00
// is midnight; ZONE is an IANA name. Every error says which part is wrong and
// what the form is.
func ParseWeekly(text string) (Weekly, error) {
	text = strings.TrimSpace(text)
	if text == "" || strings.EqualFold(text, "always") {
		return Weekly{}, nil
	}
	parts := strings.Split(text, ";")
	if len(parts) > mostWindows {
		return Weekly{}, fmt.Errorf("the calendar has %d windows, more than %d; join some, as in \"Mon-Fri 09:00-17:00\"", len(parts), mostWindows)
	}
	var of several
	for _, part := range parts {
		w, err := parseWindow(part)
		if err != nil {
			return Weekly{}, fmt.Errorf("window %q: %w; write e.g. \"Sat,Sun 02:00-06:00 Europe/Paris\"",
				strings.TrimSpace(part), err)
		}
		of = append(of, w)
	}
	return Weekly{text, &merged{source: of}}, nil
}

// String gives the text that the calendar was read from.
func (w Weekly) String() string {
	return cmp.Or(w.text, "always")
}

// NamesZones says whether each window names its zone; one that does not is in UTC.
func (w Weekly) NamesZones() bool {
	for part := range strings.SplitSeq(w.text, ";") {
		if len(strings.Fields(part)) == 2 {
			return false
		}
	}
	return true
}

// IsAlways says whether it is open at every time.
func (w Weekly) IsAlways() bool { return w.schedule == nil }

// UnmarshalText reads a calendar as [ParseWeekly] does.
func (w *Weekly) UnmarshalText(text []byte) error {
	parsed, err := ParseWeekly(string(text))
	if err != nil {
		return err
	}
	*w = parsed
	return nil
}

// MarshalText gives the text that the calendar was read from.
func (w Weekly) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// Next makes Weekly a [Schedule].
func (w Weekly) Next(t time.Time) (Span, bool) {
	if w.schedule == nil {
		return Always().Next(t)
	}
	return w.schedule.Next(t)
}

// parseWindow reads DAYS HH:MM-HH:MM [ZONE].
func parseWindow(part string) (*windows, error) {
	fields := strings.Fields(part)
	if len(fields) < 2 || len(fields) > 3 {
		return nil, fmt.Errorf("want DAYS HH:MM-HH:MM [ZONE]")
	}
	days, err := parseDays(fields[0])
	if err != nil {
		return nil, err
	}
	clock := wallClock{zone: time.UTC}
	if clock.start, clock.end, err = parseTimes(fields[1]); err != nil {
		return nil, err
	}
	if len(fields) == 3 {
		if clock.zone, err = parseZone(fields[2]); err != nil {
			return nil, err
		}
	}
	return &windows{rule: rule{freq: weekly, interval: 1, weekdays: days}, clock: clock}, nil
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// parseDays reads "Mon-Thu,Sat" or "daily". A range may pass the week's end.
func parseDays(text string) ([]weekday, error) {
	var days []weekday
	for _, part := range strings.Split(strings.ToLower(text), ",") {
		if part == "daily" {
			part = "mon-sun"
		}
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, to := slices.Index(dayNames, first), slices.Index(dayNames, last)
		if from < 0 || to < 0 {
			return nil, fmt.Errorf("%q is not a day: Mon, Tue, Wed, Thu, Fri, Sat, Sun or daily", part)
		}
		for d := from; ; d = (d + 1) % 7 {
			if day := (weekday{day: time.Weekday(d)}); !slices.Contains(days, day) {
				days = append(days, day)
			}
			if d == to {
				break
			}
		}
	}
	return days, nil
}

func parseTimes(text string) (start, end time.Duration, err error) {
	from, to, ok := strings.Cut(text, "-")
	if !ok {
		return 0, 0, fmt.Errorf("%q is not HH:MM-HH:MM", text)
	}
	if start, err = timeOfDay(from); err != nil {
		return 0, 0, err
	}
	if to == "24:00" {
		return start, 24 * time.Hour, nil
	}
	end, err = timeOfDay(to)
	return start, end, err
}

func timeOfDay(text string) (time.Duration, error) {
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time of day HH:MM", text)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// parseZone finds an IANA zone. The machine's own, "Local", is none: the same
// setting must mean the same everywhere.
func parseZone(name string) (*time.Location, error) {
	if strings.EqualFold(name, "UTC") {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || strings.EqualFold(name, "Local") {
		return nil, fmt.Errorf("unknown time zone %q, want UTC or an IANA name such as Europe/Paris", name)
	}
	return zone, nil
}
