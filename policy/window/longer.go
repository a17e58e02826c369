package window

import "time"

// Longer is the schedule with so much more at the end of each of its stretches.
func Longer(s Schedule, by time.Duration) Schedule { return longer{s, by} }

type longer struct {
	Schedule
	by time.Duration
}

func (l longer) Next(t time.Time) (Span, bool) {
	s, ok := l.Schedule.Next(t.Add(-l.by))
	if !ok {
		return s, false
	}
	if s.Start.After(t) { // it may have been open before, past the horizon of that question
		if again, ok := l.Schedule.Next(t); ok && again.Start.Before(s.Start) {
			s = again
		}
	}
	for steps := 0; steps < maxSteps && s.End.Before(Forever); steps++ {
		next, ok := l.Schedule.Next(s.End)
		if !ok || next.Start.After(s.End.Add(l.by)) {
			s.End = Earlier(s.End.Add(l.by), Forever)
			break
		}
		s.End = next.End
		if s.End.After(t.Add(Horizon)) {
			s.End = Forever
		}
	}
	return clip(s, t)
}
