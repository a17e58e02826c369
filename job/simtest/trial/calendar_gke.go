package trial

import (
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/policy/window/windowtest"
)

// farAhead is how long after a play the judge still knows calendars: an
// emergency may wait for a window until shortly before the CA's expiry.
const farAhead = 400 * 24 * time.Hour

// gkeCalendars reads the API's maintenance policies. until is the last time
// that anybody will ask about.
type gkeCalendars struct {
	until time.Time
	known map[*containerpb.MaintenancePolicy]gkeCalendar
}

// gkeCalendar is one cluster's maintenance policy.
type gkeCalendar struct {
	// window is nil when the cluster has none of its own.
	window calendar
	// exclusions is open where none of them keeps nodes from being recreated.
	exclusions calendar
	// strange: a kind of window that is not known: nothing may begin.
	strange bool
	// vague: a rule that the judge does not read, or that GKE would refuse.
	// Then it forbids nothing, and promises nothing.
	vague bool
}

// of reads a policy once.
func (g *gkeCalendars) of(p *containerpb.MaintenancePolicy) gkeCalendar {
	c, ok := g.known[p]
	if !ok {
		if len(g.known) > 200 { // reads show copies
			clear(g.known)
		}
		c = g.read(p)
		g.known[p] = c
	}
	return c
}

func (g *gkeCalendars) read(p *containerpb.MaintenancePolicy) gkeCalendar {
	w := p.GetWindow()
	c := gkeCalendar{exclusions: exclusionsOf(w.GetMaintenanceExclusions())}
	switch rule := w.GetPolicy().(type) {
	case nil:
		c.strange = len(w.ProtoReflect().GetUnknown())+len(p.ProtoReflect().GetUnknown()) > 0
	case *containerpb.MaintenanceWindow_DailyMaintenanceWindow:
		from := minuteOf(rule.DailyMaintenanceWindow.GetStartTime())
		c.window = onFace(daysOf("daily"), from, (from+4*60)%(24*60), time.UTC)
	case *containerpb.MaintenanceWindow_RecurringWindow:
		first := rule.RecurringWindow.GetWindow()
		from, to := first.GetStartTime().AsTime(), first.GetEndTime().AsTime()
		c.window, c.vague = g.recurring(from, to.Sub(from), rule.RecurringWindow.GetRecurrence())
	case *containerpb.MaintenanceWindow_RecurringMaintenanceWindow:
		c.window, c.vague = g.sinceDelay(rule.RecurringMaintenanceWindow)
	default:
		c.strange = true
	}
	return c
}

// recurring lists the windows of a rule. A rule that the naive walk does not
// know, or a first window without times, allows everything here: whether the
// product reads it rightly is for the fuzz tests of policy/window.
func (g *gkeCalendars) recurring(first time.Time, length time.Duration, text string) (c calendar,
	vague bool) {
	rule, ok := ruleOf(text)
	if !ok || length <= 0 || first.Year() < 1990 {
		return always, true
	}
	return starting(rule.Starts(first.UTC(), g.until), length), false
}

func (g *gkeCalendars) sinceDelay(w *containerpb.RecurringMaintenanceWindow) (c calendar, vague bool) {
	tod := w.GetWindowStartTime()
	at := time.Duration(tod.GetHours())*time.Hour + time.Duration(tod.GetMinutes())*time.Minute +
		time.Duration(tod.GetSeconds())*time.Second
	first := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	if d := w.GetDelayUntil(); d.GetYear() > 0 {
		first = time.Date(int(d.GetYear()), time.Month(d.GetMonth()), int(d.GetDay()), 0, 0, 0, 0, time.UTC)
	} else if rule, _ := ruleOf(w.GetRecurrence()); needsFirst(rule) {
		return always, true // nothing to count from: GKE refuses it
	}
	return g.recurring(first.Add(at), w.GetWindowDuration().AsDuration(), w.GetRecurrence())
}

// needsFirst says whether the rule means nothing without a first day.
func needsFirst(r windowtest.Rule) bool {
	return r.Interval != 1 || r.Count > 0 || r.Freq != "DAILY" && len(r.ByDay)+len(r.ByMonthDay) == 0
}

// exclusionsOf is open where no exclusion blocks node work: all but
// NO_MINOR_UPGRADES do. One whose end is not told, or only said to be the end
// of support, does not end.
func exclusionsOf(in map[string]*containerpb.TimeWindow) calendar {
	c := calendar(always)
	for _, w := range in {
		o := w.GetMaintenanceExclusionOptions()
		if o.GetScope() == containerpb.MaintenanceExclusionOptions_NO_MINOR_UPGRADES {
			continue
		}
		endless := w.GetEndTime() == nil ||
			o.GetEndTimeBehavior() != containerpb.MaintenanceExclusionOptions_END_TIME_BEHAVIOR_UNSPECIFIED
		c = both(c, outside(timeOf(w.GetStartTime()), timeOf(w.GetEndTime()), endless))
	}
	return c
}

// outside is closed from from until to, or for ever from then on.
func outside(from, to time.Time, endless bool) calendar {
	return func(t time.Time) bool { return t.Before(from) || !endless && !t.Before(to) }
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
