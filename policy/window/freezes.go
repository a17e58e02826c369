package window

import (
	"fmt"
	"strings"
	"time"
)

// Freezes are dates on which the company changes nothing, as in
// "2026-12-18/2027-01-04, 2027-04-02 Europe/Paris": days inclusive, UTC
// unless a zone follows. A freeze begins with its first day's first moment in
// that zone and ends with its last day's last. The zero value, like the text
// "none", is no freeze.
//
// As a [Schedule], Freezes is open outside the freezes.
type Freezes struct {
	text string
	open except
}

// String gives the text that the freezes were read from, "" for none.
func (f Freezes) String() string { return f.text }

// IsNone says whether there is no freeze.
func (f Freezes) IsNone() bool { return len(f.open) == 0 }

// Over says when the last of the freezes ended, if none is under way or ahead at t.
func (f Freezes) Over(t time.Time) (since time.Time, over bool) {
	if f.IsNone() {
		return time.Time{}, false
	}
	since = f.open[len(f.open)-1].End
	return since, !since.After(t)
}

// MarshalText gives the text that the freezes were read from.
func (f Freezes) MarshalText() ([]byte, error) { return []byte(f.text), nil }

// Next makes Freezes a [Schedule] that is open outside the freezes.
func (f Freezes) Next(t time.Time) (Span, bool) { return f.open.Next(t) }

// UnmarshalText reads freezes; see [Freezes] for the form. Every error says
// which one is wrong and what the form is.
func (f *Freezes) UnmarshalText(text []byte) error {
	*f = Freezes{}
	all := strings.TrimSpace(string(text))
	if all == "" || strings.EqualFold(all, "none") {
		return nil
	}
	var spans []Span
	for _, part := range strings.Split(all, ",") {
		span, err := parseFreeze(part)
		if err != nil {
			return fmt.Errorf("freeze %q: %w; write e.g. \"2026-12-18/2027-01-04\" or \"2026-12-24 Europe/Paris\"",
				strings.TrimSpace(part), err)
		}
		spans = append(spans, span)
	}
	f.text, f.open = all, merge(spans)
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
		if zone, err = parseZone(fields[1]); err != nil {
			return Span{}, err
		}
	}
	first, last, ok := strings.Cut(fields[0], "/")
	if !ok {
		last = first
	}
	from, err := parseDate(first)
	if err != nil {
		return Span{}, err
	}
	to, err := parseDate(last)
	if err != nil {
		return Span{}, err
	}
	if to < from {
		return Span{}, fmt.Errorf("it ends before it begins")
	}
	midnights := wallClock{zone: zone}
	return Span{midnights.instant(from, 0), midnights.instant(to+1, 0)}, nil
}

func parseDate(text string) (day int64, err error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a date YYYY-MM-DD", text)
	}
	return dayOf(t), nil
}

// EndOf is when a day is over, in UTC unless a zone follows: "2026-12-24", "2026-12-24
// Europe/Paris". One kind of date is read everywhere: the day is included.
func EndOf(day string) (end time.Time, ok bool) {
	date, _, _ := strings.Cut(strings.TrimSpace(day), " ")
	span, err := parseFreeze(day)
	return span.End, err == nil && !strings.Contains(date, "/")
}
