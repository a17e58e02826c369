package maintenance_test

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/genproto/googleapis/type/timeofday"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/gke/maintenance"
	"gke-credential-rotator/policy/window"
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func policyOf(w *containerpb.MaintenanceWindow) *containerpb.MaintenancePolicy {
	return &containerpb.MaintenancePolicy{Window: w}
}

func daily(start string) *containerpb.MaintenanceWindow {
	return &containerpb.MaintenanceWindow{Policy: &containerpb.MaintenanceWindow_DailyMaintenanceWindow{DailyMaintenanceWindow: &containerpb.DailyMaintenanceWindow{StartTime: start}}}
}

func recurring(from, to, rule string) *containerpb.MaintenanceWindow {
	w := &containerpb.TimeWindow{}
	if from != "" {
		w.StartTime, w.EndTime = timestamppb.New(at(from)), timestamppb.New(at(to))
	}
	return &containerpb.MaintenanceWindow{Policy: &containerpb.MaintenanceWindow_RecurringWindow{RecurringWindow: &containerpb.RecurringTimeWindow{Window: w, Recurrence: rule}}}
}

func newKind(r *containerpb.RecurringMaintenanceWindow) *containerpb.MaintenanceWindow {
	return &containerpb.MaintenanceWindow{Policy: &containerpb.MaintenanceWindow_RecurringMaintenanceWindow{RecurringMaintenanceWindow: r}}
}

func ofTheFuture() *containerpb.MaintenanceWindow {
	w := &containerpb.MaintenanceWindow{}
	w.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 999, protowire.VarintType), 1))
	return w
}

// policyOfTheFuture keeps its calendar in a field that nobody knows yet.
func policyOfTheFuture() *containerpb.MaintenancePolicy {
	p := &containerpb.MaintenancePolicy{}
	p.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 999, protowire.VarintType), 1))
	return p
}

// TestKinds: each kind of window is open when it says, and what cannot be
// understood is closed.
func TestKinds(t *testing.T) {
	sat := "2026-11-21T" // a Saturday
	six := &timeofday.TimeOfDay{Hours: 6}
	for _, tt := range []struct {
		name         string
		in           *containerpb.MaintenancePolicy
		open, closed string // times of day on that Saturday
		problem      string
	}{
		{"none", nil, "03:00", "", ""},
		{"empty", &containerpb.MaintenancePolicy{}, "03:00", "", ""},
		{"empty window", policyOf(&containerpb.MaintenanceWindow{}), "03:00", "", ""},
		{"daily", policyOf(daily("02:00")), "05:59", "06:00", ""},
		{"daily over midnight", policyOf(daily("22:00")), "01:00", "02:00", ""},
		{"weekly", policyOf(recurring("2026-01-03T02:00:00Z", "2026-01-03T06:00:00Z", "FREQ=WEEKLY;BYDAY=SA")),
			"02:00", "06:00", ""},
		{"new kind", policyOf(newKind(&containerpb.RecurringMaintenanceWindow{WindowStartTime: six,
			WindowDuration: durationpb.New(4 * time.Hour), Recurrence: "FREQ=WEEKLY;BYDAY=SA"})), "06:00", "10:00",
			""},
		{"new kind with a delay",
			policyOf(newKind(&containerpb.RecurringMaintenanceWindow{DelayUntil: &date.Date{Year: 2027, Month: 1,
				Day: 1}, WindowStartTime: six, WindowDuration: durationpb.New(4 * time.Hour), Recurrence: "FREQ=DAILY"})),
			"", "07:00", ""},
		{"new kind, empty delay",
			policyOf(newKind(&containerpb.RecurringMaintenanceWindow{DelayUntil: &date.Date{}, WindowStartTime: six,
				WindowDuration: durationpb.New(4 * time.Hour), Recurrence: "FREQ=DAILY"})), "07:00", "05:00", ""},
		{"of the future", policyOf(ofTheFuture()), "", "03:00", "does not know"},
		{"policy of the future", policyOfTheFuture(), "", "03:00", "does not know"},
		{"daily without a time", policyOf(daily("")), "", "03:00", "cannot be understood"},
		{"daily at 25 o'clock", policyOf(daily("25:00")), "", "03:00", "25:00"},
		{"no rule", policyOf(recurring("2026-01-03T02:00:00Z", "2026-01-03T06:00:00Z", "")), "", "03:00",
			"cannot be understood"},
		{"no times", policyOf(recurring("", "", "FREQ=DAILY")), "", "03:00", "cannot be understood"},
		{"backwards", policyOf(recurring("2026-01-03T06:00:00Z", "2026-01-03T02:00:00Z", "FREQ=DAILY")), "",
			"03:00", "cannot be understood"},
		{"hourly", policyOf(recurring("2026-01-03T02:00:00Z", "2026-01-03T02:30:00Z", "FREQ=HOURLY")), "", "02:10",
			"HOURLY"},
		{"new kind without a length",
			policyOf(newKind(&containerpb.RecurringMaintenanceWindow{WindowStartTime: six, Recurrence: "FREQ=DAILY"})),
			"", "07:00", "cannot be understood"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := maintenance.Of(tt.in)
			if !strings.Contains(m.Problem, tt.problem) || (m.Problem == "") != (tt.problem == "") {
				t.Errorf("problem %q, want %q", m.Problem, tt.problem)
			}
			s := m.Open(window.Always())
			check := func(clock string, want bool) {
				if clock == "" {
					return
				}
				if open, _ := window.OpenAt(s, at(sat+clock+":00Z")); open != want {
					t.Errorf("at %s open is %v", clock, open)
				}
			}
			check(tt.open, true)
			check(tt.closed, false)
		})
	}
}

// TestExclusions: what blocks, and until when.
func TestExclusions(t *testing.T) {
	const scopeOfTheFuture = 9
	begin, end := timestamppb.New(at("2026-11-20T00:00:00Z")), timestamppb.New(at("2026-11-22T00:00:00Z"))
	options := func(scope containerpb.MaintenanceExclusionOptions_Scope,
		until containerpb.MaintenanceExclusionOptions_EndTimeBehavior) *containerpb.TimeWindow_MaintenanceExclusionOptions {
		return &containerpb.TimeWindow_MaintenanceExclusionOptions{MaintenanceExclusionOptions: &containerpb.MaintenanceExclusionOptions{Scope: scope, EndTimeBehavior: until}}
	}
	for _, tt := range []struct {
		name       string
		in         *containerpb.TimeWindow
		now, after bool // blocks on 21 November; a year later
	}{
		{"no options: no upgrades", &containerpb.TimeWindow{StartTime: begin, EndTime: end}, true, false},
		{"no upgrades", &containerpb.TimeWindow{StartTime: begin, EndTime: end,
			Options: options(containerpb.MaintenanceExclusionOptions_NO_UPGRADES, 0)}, true, false},
		{"no minor upgrades", &containerpb.TimeWindow{StartTime: begin, EndTime: end,
			Options: options(containerpb.MaintenanceExclusionOptions_NO_MINOR_UPGRADES, 0)}, false, false},
		{"no minor or node upgrades", &containerpb.TimeWindow{StartTime: begin, EndTime: end,
			Options: options(containerpb.MaintenanceExclusionOptions_NO_MINOR_OR_NODE_UPGRADES, 0)}, true, false},
		{"scope of the future", &containerpb.TimeWindow{StartTime: begin, EndTime: end,
			Options: options(scopeOfTheFuture, 0)}, true, false},
		{"until end of support", &containerpb.TimeWindow{StartTime: begin, EndTime: end,
			Options: options(containerpb.MaintenanceExclusionOptions_NO_MINOR_OR_NODE_UPGRADES,
				containerpb.MaintenanceExclusionOptions_UNTIL_END_OF_SUPPORT)}, true, true},
		{"end of the future", &containerpb.TimeWindow{StartTime: begin, EndTime: end,
			Options: options(containerpb.MaintenanceExclusionOptions_NO_UPGRADES, 7)}, true, true},
		{"no end", &containerpb.TimeWindow{StartTime: begin}, true, true},
		{"no start", &containerpb.TimeWindow{EndTime: end}, true, false},
		{"over", &containerpb.TimeWindow{StartTime: timestamppb.New(at("2025-01-01T00:00:00Z")), EndTime: begin},
			false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := maintenance.Of(policyOf(&containerpb.MaintenanceWindow{MaintenanceExclusions: map[string]*containerpb.TimeWindow{"x": tt.in}}))
			for day, blocks := range map[string]bool{"2026-11-21T03:00:00Z": tt.now,
				"2027-11-21T03:00:00Z": tt.after} {
				if open, _ := window.OpenAt(m.Open(window.Always()), at(day)); open == blocks {
					t.Errorf("on %s open is %v", day, open)
				}
			}
		})
	}
}
