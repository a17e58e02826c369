package window

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseWeekly reads a calendar such as "Mon-Thu 09:00-15:00 Europe/Paris; Sat
// 10:00-12:00"; "always" and the empty text are always open. Every error says
// which part is wrong and what the form is.
func ParseWeekly(text string) (Weekly, error) {
	text = strings.TrimSpace(text)
	if text == "" || strings.EqualFold(text, "always") {
		return Weekly{}, nil
	}
	w := Weekly{text: text}
	for _, part := range strings.Split(text, ";") {
		rule, err := parseRule(part)
		if err != nil {
			return Weekly{}, fmt.Errorf("window %q: %w; write e.g. \"Sat,Sun 02:00-06:00 Europe/Paris\"", strings.TrimSpace(part), err)
		}
		w.rules = append(w.rules, rule)
	}
	return w, nil
}

func parseRule(part string) (weeklyRule, error) {
	fields := strings.Fields(part)
	if len(fields) < 2 || len(fields) > 3 {
		return weeklyRule{}, fmt.Errorf("want DAYS HH:MM-HH:MM [ZONE]")
	}
	rule := weeklyRule{zone: time.UTC}
	if len(fields) == 3 {
		zone, err := time.LoadLocation(fields[2])
		if err != nil {
			return rule, fmt.Errorf("unknown time zone %q", fields[2])
		}
		rule.zone = zone
	}
	for _, days := range strings.Split(fields[0], ",") {
		if err := rule.addDays(days); err != nil {
			return rule, err
		}
	}
	from, to, ok := strings.Cut(fields[1], "-")
	if !ok {
		return rule, fmt.Errorf("%q is not HH:MM-HH:MM", fields[1])
	}
	var err error
	if rule.start, err = timeOfDay(from); err != nil {
		return rule, err
	}
	if rule.end, err = timeOfDay(to); err != nil {
		return rule, err
	}
	return rule, nil
}

func (r *weeklyRule) addDays(days string) error {
	first, last, isRange := strings.Cut(strings.ToLower(days), "-")
	if !isRange {
		last = first
	}
	from, to := slices.Index(dayNames, first), slices.Index(dayNames, last)
	if from < 0 || to < 0 {
		return fmt.Errorf("%q is not a day: Mon, Tue, Wed, Thu, Fri, Sat or Sun", days)
	}
	for d := from; ; d = (d + 1) % 7 {
		r.days[d] = true
		if d == to {
			return nil
		}
	}
}

func timeOfDay(text string) (time.Duration, error) {
	if text == "24:00" {
		return 24 * time.Hour, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time of day HH:MM", text)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// Freezes are dates on which the company changes nothing, as in
// "2026-12-18/2027-01-04, 2027-04-02 Europe/Paris": days inclusive, UTC
// unless a zone follows. The zero value is no freeze.
type Freezes struct {
	text  string
	spans []Span
}

// String gives the text that the freezes were read from.
func (f Freezes) String() string { return f.text }

// MarshalText gives the text that the freezes were read from.
func (f Freezes) MarshalText() ([]byte, error) { return []byte(f.text), nil }

// Next makes Freezes a [Schedule] that is open outside the freezes.
func (f Freezes) Next(t time.Time) (Span, bool) { return Except(f.spans...).Next(t) }

// UnmarshalText reads freezes; see [Freezes] for the form.
func (f *Freezes) UnmarshalText(text []byte) error {
	*f = Freezes{text: strings.TrimSpace(string(text))}
	if f.text == "" || strings.EqualFold(f.text, "none") {
		f.text = ""
		return nil
	}
	for _, part := range strings.Split(f.text, ",") {
		span, err := parseFreeze(part)
		if err != nil {
			return fmt.Errorf("freeze %q: %w; write e.g. \"2026-12-18/2027-01-04\" or \"2026-12-24 Europe/Paris\"", strings.TrimSpace(part), err)
		}
		f.spans = append(f.spans, span)
	}
	return nil
}

func parseFreeze(part string) (Span, error) {
	fields := strings.Fields(part)
	if len(fields) == 0 || len(fields) > 2 {
		return Span{}, fmt.Errorf("want FIRST/LAST [ZONE]")
	}
	zone := time.UTC
	if len(fields) == 2 {
		var err error
		if zone, err = time.LoadLocation(fields[1]); err != nil {
			return Span{}, fmt.Errorf("unknown time zone %q", fields[1])
		}
	}
	first, last, ok := strings.Cut(fields[0], "/")
	if !ok {
		last = first
	}
	from, err := time.ParseInLocation(time.DateOnly, first, zone)
	if err != nil {
		return Span{}, fmt.Errorf("%q is not a date YYYY-MM-DD", first)
	}
	to, err := time.ParseInLocation(time.DateOnly, last, zone)
	if err != nil {
		return Span{}, fmt.Errorf("%q is not a date YYYY-MM-DD", last)
	}
	if to.Before(from) {
		return Span{}, fmt.Errorf("it ends before it begins")
	}
	y, m, d := to.Date()
	return Span{from.UTC(), time.Date(y, m, d+1, 0, 0, 0, 0, zone).UTC()}, nil
}
