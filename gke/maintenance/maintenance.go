// Package maintenance is the one reading of the API's maintenance policy as a
// calendar. The adapter and the simulated GKE share it: what a window means is
// a fact about GKE, not a decision of ours.
package maintenance

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/policy/window"
)

// Of reads a cluster's maintenance policy. What it cannot understand becomes a
// Problem, and the calendar is then closed: absent rules are not permission.
func Of(p *containerpb.MaintenancePolicy) window.Maintenance {
	w := p.GetWindow()
	m := window.Maintenance{Exclusions: exclusions(w.GetMaintenanceExclusions())}
	var err error
	switch rule := w.GetPolicy().(type) {
	case nil:
		// A window kind newer than this program arrives as an unknown field.
		if len(w.ProtoReflect().GetUnknown())+len(p.ProtoReflect().GetUnknown()) > 0 {
			m.Problem = "the maintenance window is of a kind that this version does not know"
		}
	case *containerpb.MaintenanceWindow_DailyMaintenanceWindow:
		m.Window, m.Text, err = window.Daily(rule.DailyMaintenanceWindow.GetStartTime())
	case *containerpb.MaintenanceWindow_RecurringWindow:
		first := span(rule.RecurringWindow.GetWindow())
		m.Window, m.Text, err = window.Recurring(first, rule.RecurringWindow.GetRecurrence())
	case *containerpb.MaintenanceWindow_RecurringMaintenanceWindow:
		m.Window, m.Text, err = recurring(rule.RecurringMaintenanceWindow)
	default:
		m.Problem = fmt.Sprintf("the maintenance window is of the unknown kind %T", rule)
	}
	if err != nil {
		m.Window, m.Problem = nil, "the maintenance window cannot be understood: "+err.Error()
	}
	return m
}

func recurring(r *containerpb.RecurringMaintenanceWindow) (window.Schedule, string, error) {
	var delayUntil time.Time
	if d := r.GetDelayUntil(); d.GetYear() != 0 || d.GetMonth() != 0 || d.GetDay() != 0 {
		delayUntil = time.Date(int(d.GetYear()), time.Month(d.GetMonth()), int(d.GetDay()), 0, 0, 0, 0, time.UTC)
		if y, m, day := delayUntil.Date(); y != int(d.GetYear()) || int32(m) != d.GetMonth() || day != int(d.GetDay()) { //nolint:gosec // a month fits
			return nil, "", fmt.Errorf("delay_until %04d-%02d-%02d is not a date", d.GetYear(), d.GetMonth(),
				d.GetDay())
		}
	}
	tod := r.GetWindowStartTime()
	start := time.Duration(tod.GetHours())*time.Hour + time.Duration(tod.GetMinutes())*time.Minute +
		time.Duration(tod.GetSeconds())*time.Second
	return window.RecurringSince(delayUntil, start, r.GetWindowDuration().AsDuration(), r.GetRecurrence())
}

func exclusions(in map[string]*containerpb.TimeWindow) []window.Exclusion {
	var out []window.Exclusion
	for _, name := range slices.Sorted(maps.Keys(in)) {
		w := in[name]
		o := w.GetMaintenanceExclusionOptions()
		out = append(out, window.Exclusion{
			Name: name, Span: span(w), Scope: window.Scope(o.GetScope().String()),
			// An end that we cannot tell is none that we may count on.
			UntilEndOfSupport: o.GetEndTimeBehavior() != containerpb.MaintenanceExclusionOptions_END_TIME_BEHAVIOR_UNSPECIFIED || w.GetEndTime() == nil,
		})
	}
	return out
}

func span(w *containerpb.TimeWindow) window.Span {
	return window.Span{Start: at(w.GetStartTime()), End: at(w.GetEndTime())}
}

func at(t interface {
	AsTime() time.Time
	IsValid() bool
}) time.Time {
	if !t.IsValid() {
		return time.Time{}
	}
	return t.AsTime()
}
