package words

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Plural counts things in words.
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// If is a part of a sentence that is said only where the condition holds.
func If(holds bool, part string) string {
	if holds {
		return part
	}
	return ""
}

// Each is what is made of each of the list; never nil.
func Each[T, U any](list []T, made func(T) U) []U {
	out := make([]U, len(list))
	for i, x := range list {
		out[i] = made(x)
	}
	return out
}

// Some is Plural, or nothing for none.
func Some(n int, one, many string) string { return If(n > 0, Plural(n, one, many)) }

// Said are the parts that say something; a slice that is spread into it is changed.
func Said(parts ...string) []string {
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" })
}

// Joined makes one sentence of several; those that are empty are left out.
func Joined(parts ...string) string {
	parts = Said(parts...)
	for i := range parts[:max(len(parts)-1, 0)] {
		parts[i] = strings.TrimSuffix(parts[i], ".")
	}
	return strings.Join(parts, "; ")
}

// Few lists the first names and counts the rest.
func Few(names []string, few int) string {
	text := strings.Join(names[:min(len(names), few)], ", ")
	if n := len(names) - few; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// Listed lists names as a sentence does, the last two with that word between.
func Listed(names []string, last string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " " + last + " " + names[n-1]
	}
	return strings.Join(names, "")
}

// Day is a date. Dates of certificates are UTC, like Google's console.
func Day(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format(time.DateOnly)
}

// Lasting is a length of time by its two largest units.
func Lasting(d time.Duration) string {
	d = d.Round(time.Minute)
	days, hours, minutes := d/(24*time.Hour), d%(24*time.Hour)/time.Hour, d%time.Hour/time.Minute
	switch {
	case d < 0:
		return "-" + Lasting(-d)
	case days >= 100, days > 0 && hours == 0:
		return fmt.Sprintf("%dd", days)
	case days > 0:
		return fmt.Sprintf("%dd %dh", days, hours)
	case hours > 0 && minutes > 0:
		return fmt.Sprintf("%dh %dmin", hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%dh", hours)
	}
	return fmt.Sprintf("%d min", minutes)
}

// Clock writes times for people: in their zone, and with the year only where it
// is far away.
type Clock struct {
	Now  time.Time
	Zone *time.Location // nil is UTC
}

// In is the time in the readers' zone.
func (c Clock) In(t time.Time) time.Time {
	if c.Zone == nil {
		return t.UTC()
	}
	return t.In(c.Zone)
}

// At is a time on one line; "" when there is none.
func (c Clock) At(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	const half = 183 * 24 * time.Hour
	form := "Mon 02 Jan 15:04"
	if c.Now.IsZero() || t.Sub(c.Now).Abs() > half {
		form = "2006-01-02 15:04"
	}
	return strings.ReplaceAll(c.In(t).Format(form), " ", Hard)
}

// Name is the zone's.
func (c Clock) Name() string { return c.In(c.Now).Location().String() }
