package windowtest

import "time"

// Weekly is a window on days of the week, in minutes of the day as the zone's
// clock shows them. An end that is not after start is on the next day.
type Weekly struct {
	Days       [7]bool // from Sunday
	Start, End int
	Zone       *time.Location
}

// Strip watches the zone's clock, minute by minute: a day's window opens when
// the clock first shows its start or a later time, and closes when it first
// shows its end or a later time. When one jump passes both, the window stays
// open for as long as it would on another day.
func (w Weekly) Strip(from time.Time, minutes int) *Strip {
	s := NewStrip(from, minutes)
	length := w.End - w.Start
	if length <= 0 {
		length += 24 * 60
	}
	began := from.Add(-3 * 24 * time.Hour) // windows that began before the strip
	clock := watch(began, minutes+6*24*60, w.Zone)
	i := 0
	for day := date(began.In(w.Zone)); day.Before(clock[len(clock)-1]); day = day.AddDate(0, 0, 1) {
		opens := day.Add(time.Duration(w.Start) * time.Minute)
		closes := opens.Add(time.Duration(length) * time.Minute)
		for i < len(clock) && clock[i].Before(opens) {
			i++
		}
		end := i
		for end < len(clock) && clock[end].Before(closes) {
			end++
		}
		if end == i {
			end = i + length
		}
		if w.Days[day.Weekday()] && i > 0 { // at 0 its beginning was not seen
			s.Mark(began.Add(time.Duration(i)*time.Minute), end-i)
		}
	}
	return s
}

// watch notes the latest date and time that the zone's clock has shown by each
// minute, written as if it were UTC: a clock that is set back shows nothing new.
func watch(from time.Time, minutes int, zone *time.Location) []time.Time {
	shown := make([]time.Time, minutes)
	var latest time.Time
	for i := range shown {
		local := from.Add(time.Duration(i) * time.Minute).In(zone)
		y, m, d := local.Date()
		if face := time.Date(y, m, d, local.Hour(), local.Minute(), 0, 0, time.UTC); face.After(latest) {
			latest = face
		}
		shown[i] = latest
	}
	return shown
}

// date is the day on the calendar, written as if it were UTC.
func date(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}
