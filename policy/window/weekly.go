package window

import "time"

// Weekly is a policy's own calendar: windows on days of the week in a time
// zone, as in "Sat,Sun 02:00-06:00 Europe/Paris; Wed 22:00-02:00". A window
// belongs to the day it begins on and may cross midnight. The zero value, like
// the text "always", is always open.
type Weekly struct {
	text  string
	rules []weeklyRule
}

type weeklyRule struct {
	days       [7]bool
	start, end time.Duration // wall-clock time of day; end <= start means the next day
	zone       *time.Location
}

// String gives the text that the calendar was read from.
func (w Weekly) String() string {
	if w.text == "" {
		return "always"
	}
	return w.text
}

// UnmarshalText reads a calendar; see [Weekly] for the form.
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
	if len(w.rules) == 0 {
		return Span{time.Time{}, Forever}, true
	}
	var spans []Span
	for _, r := range w.rules {
		spans = append(spans, r.spans(t.Add(-8*24*time.Hour), t.Add(9*24*time.Hour))...)
	}
	return firstAfter(merge(spans), t)
}

// spans lists the rule's windows that begin between from and until.
func (r weeklyRule) spans(from, until time.Time) []Span {
	var out []Span
	local := from.In(r.zone)
	for day := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, r.zone); day.Before(until); {
		y, m, d := day.Date()
		if r.days[day.Weekday()] {
			end := r.end
			if r.end <= r.start {
				end += 24 * time.Hour
			}
			out = append(out, Span{wall(y, m, d, r.start, r.zone), wall(y, m, d, end, r.zone)})
		}
		day = time.Date(y, m, d+1, 0, 0, 0, 0, r.zone)
	}
	return out
}

func wall(y int, m time.Month, d int, tod time.Duration, zone *time.Location) time.Time {
	return time.Date(y, m, d, 0, int(tod/time.Minute), 0, 0, zone).UTC()
}
