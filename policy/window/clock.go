package window

import "time"

// elapsed is GKE's clock: so long after midnight UTC, for so long.
type elapsed struct{ start, length time.Duration }

func (c elapsed) window(day int64) Span {
	start := midnight(day).Add(c.start)
	return Span{start, start.Add(c.length)}
}

func (c elapsed) longest() time.Duration { return c.length }

// wallClock is a policy's clock: from one time of day to another as the clock
// on the wall shows them. An end that isn't after start is on the next day.
type wallClock struct {
	start, end time.Duration
	zone       *time.Location
}

func (c wallClock) window(day int64) Span {
	length := c.end - c.start
	if length <= 0 {
		length += 24 * time.Hour
	}
	got := Span{c.instant(day, c.start), c.instant(day, c.start+length)}
	if !got.Start.Before(got.End) {
		// The clock's change swallows the window whole: keep its length.
		got.End = got.Start.Add(length)
	}
	return got
}

// longest allows for the longest that clocks have ever been set back: a day,
// where a country moved across the date line.
func (c wallClock) longest() time.Duration { return 48 * time.Hour }

// instant is when the zone's clock first shows, or skips, the time of day.
func (c wallClock) instant(day int64, tod time.Duration) time.Time {
	want := midnight(day).Add(tod)
	y, m, d := want.Date()
	hour, minute, _ := want.Clock()
	got := time.Date(y, m, d, hour, minute, 0, 0, c.zone)
	since, until := got.ZoneBounds()
	_, offset := got.Zone()
	switch shown := got.Add(time.Duration(offset) * time.Second).UTC(); {
	case shown.After(want): // skipped, and got is read with the offset before
		return since.UTC()
	case shown.Before(want): // skipped, and got is read with the offset after
		return until.UTC()
	}
	if since.IsZero() || got.Sub(since) > 24*time.Hour {
		return got.UTC()
	}
	// Was the same time shown before the last change too?
	_, before := since.Add(-time.Nanosecond).Zone()
	if first := got.Add(time.Duration(offset-before) * time.Second); first.Before(since) && first.Before(got) {
		return first.UTC()
	}
	return got.UTC()
}
