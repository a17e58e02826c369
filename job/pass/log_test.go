package pass

import (
	"maps"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// TestEventNames pins the names that deploy/ filters on, and how loud each is.
func TestEventNames(t *testing.T) {
	want := map[string]string{
		"run_started": "INFO", "run_finished": "INFO", "cluster_evaluated": "INFO", "phase_changed": "INFO",
		"handed_over":     "INFO",
		"approval_needed": "WARN", "rotation_stuck": "ERROR", "ca_expiring": "WARN", "blocked": "ERROR",
		"foreign_rotation":     "WARN",
		"completed_externally": "ERROR", "action_failed": "ERROR", "breaker_open": "ERROR",
		"capacity_short":     "WARN",
		"project_unreadable": "WARN", "lease_busy": "INFO", "call_withdrawn": "WARN",
		"notifications_wait": "WARN", "notifications_dropped": "ERROR",
		"clock_apart": "ERROR", "clock_unknown": "INFO",
	}
	got := map[string]string{}
	for _, name := range []string{
		EventRunStarted, EventRunFinished, EventClusterEvaluated, policy.EventPhaseChanged, policy.EventHandedOver,
		policy.EventApprovalNeeded, policy.EventRotationStuck, policy.EventCAExpiring, policy.EventBlocked,
		policy.EventForeignRotation,
		policy.EventCompletedExternally, policy.EventActionFailed, EventBreakerOpen, EventCapacityShort,
		EventProjectUnreadable, EventLeaseBusy, EventCallWithdrawn,
		EventNotificationsWait, EventNotificationsDropped, EventClockApart, EventClockUnknown,
	} {
		got[name] = severity[name].String()
	}
	if !maps.Equal(got, want) {
		t.Errorf("events\n%v\nwant\n%v", got, want)
	}
	for name := range severity {
		if want[name] == "" {
			t.Errorf("event %s has a severity and no place in the vocabulary", name)
		}
	}
}

// TestAttributes pins what a line about a cluster says.
func TestAttributes(t *testing.T) {
	s := newStage(t, shop)
	s.process().must()
	s.pass(90 * time.Minute)
	p := s.process()
	p.must()
	m := p.line(EventClusterEvaluated)
	want := map[string]any{
		"event": "cluster_evaluated", "env": "test", "mode": "act", "run": "run-2", "cluster": shop.String(),
		"project": "shop", "location": "europe-west1",
		"phase": "recreating-nodes", "reason": "both-cas", "days_to_expiry": 107.0,
	}
	for k, v := range want {
		if m[k] != v {
			t.Errorf("%s is %v, want %v", k, m[k], v)
		}
	}
	s.pass(90 * time.Minute)
	p = s.process()
	p.must()
	if m := p.line(EventClusterEvaluated); m["phase_age_hours"] == nil {
		t.Errorf("no phase_age_hours: %v", m)
	}
}

// TestRunFinished counts what was done, and idle clusters by reason.
func TestRunFinished(t *testing.T) {
	s := newStage(t, shop)
	s.add(yard, "2054-03-12", nil)
	s.add(fleet.Ref{Project: "shop", Location: "europe-west1", Name: "old"}, "2026-11-01", nil)
	p := s.process()
	p.must()
	if got := p.events(); got[0] != EventRunStarted || got[len(got)-1] != EventRunFinished {
		t.Errorf("events %q", got)
	}
	m := p.line(EventRunFinished)
	idle := m["idle"].(map[string]any)
	if m["started"] != 1.0 || m["need_action"] != 1.0 || idle["not-due"] != 1.0 || idle["ca-expired"] != 1.0 {
		t.Errorf("%v", m)
	}
	evaluated := 0
	for _, name := range p.events() {
		if name == EventClusterEvaluated {
			evaluated++
		}
	}
	if evaluated != 2 {
		t.Errorf("%d clusters evaluated, want the due one and the one that needs action", evaluated)
	}
	if s.doc().LastRun.Summary == "" {
		t.Error("the store has no summary of the run")
	}
}

// TestBlockedOnce: an idle cluster that needs action is told when that is new
// or its reason changes, not every hour.
func TestBlockedOnce(t *testing.T) {
	s := newStage(t)
	s.add(shop, "2026-11-01", nil)
	told := func() []string {
		p := s.process()
		p.must()
		var reasons []string
		for _, m := range p.lines() {
			if m["event"] == policy.EventBlocked {
				reasons = append(reasons, m["reason"].(string))
			}
		}
		s.pass(time.Hour)
		return reasons
	}
	if got := told(); !slices.Equal(got, []string{"ca-expired"}) {
		t.Errorf("first: %q", got)
	}
	if got := told(); len(got) != 0 {
		t.Errorf("again: %q", got)
	}
	if err := s.gke.Change(shop.Path(),
		func(c *containerpb.Cluster) { c.MasterAuth.ClusterCaCertificate = "!" }); err != nil {
		t.Fatal(err)
	}
	if got := told(); !slices.Equal(got, []string{"ca-unreadable"}) {
		t.Errorf("changed: %q", got)
	}
}

// TestExpiringDaily: ca_expiring comes once a day.
func TestExpiringDaily(t *testing.T) {
	s := newStage(t)
	s.add(shop, "2027-01-02", nil) // an emergency
	s.edit(func(d *record.FleetDoc) {
		d.Holds = []record.Hold{{Said: record.Said{By: "ann", At: s.now}}}
	})
	n := 0
	for range 48 {
		p := s.process()
		p.must()
		for _, name := range p.events() {
			if name == policy.EventCAExpiring {
				n++
			}
		}
		s.pass(time.Hour)
	}
	if n != 2 {
		t.Errorf("told %d times in two days", n)
	}
}

// TestExpiringStart: a start that is an emergency tells so once.
func TestExpiringStart(t *testing.T) {
	s := newStage(t)
	s.add(shop, "2027-01-02", nil)
	p := s.process()
	p.must()
	s.wantSent("StartIPRotation", 1)
	n := 0
	for _, name := range p.events() {
		if name == policy.EventCAExpiring {
			n++
		}
	}
	if n != 1 {
		t.Errorf("told %d times", n)
	}
}

// TestBreakerOpen: told when it opens, and once a day while it is open.
func TestBreakerOpen(t *testing.T) {
	s := newStage(t, shop)
	s.process().must() // a start, of which nothing is known yet
	s.pass(time.Hour)
	s.edit(func(d *record.FleetDoc) {
		d.Failures = []record.Failure{{Cluster: yard, Attempt: "x", What: reason.IsStuck, At: s.now}}
		d.LastRun.At = time.Time{}
	})
	told := 0
	for range 48 {
		p := s.process()
		p.must()
		for _, name := range p.events() {
			if name == EventBreakerOpen {
				told++
				if l := p.line(EventBreakerOpen); l["cluster"] != yard.String() {
					t.Errorf("told %v", l)
				}
			}
		}
		s.pass(time.Hour)
	}
	if told != 3 { // of the first run, and of each new day
		t.Errorf("told %d times in two days", told)
	}
}

// TestCapacityShort: told once a day when the limits are too slow.
func TestCapacityShort(t *testing.T) {
	s := newStage(t)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		s.add(fleet.Ref{Project: "shop", Location: "europe-west1", Name: name}, "2027-01-20", nil)
	}
	s.policy.MaxActive, s.policy.EmergencyBeforeExpiry, s.policy.Soak = 1, 32*24*time.Hour, 5*24*time.Hour
	p := s.process()
	p.must()
	if m := p.line(EventCapacityShort); m["due"] != 8.0 || m["cluster"] == "" {
		t.Errorf("told %v", m)
	}
	s.pass(time.Hour)
	p = s.process()
	p.must()
	if slices.Contains(p.events(), EventCapacityShort) {
		t.Error("told again on the same day")
	}
}

// TestEventsBelongToWhatIsStored: a phase that was not stored was not entered.
func TestEventsBelongToWhatIsStored(t *testing.T) {
	s := newStage(t, shop)
	s.process().must()
	s.pass(time.Hour)
	p := s.process()
	p.beforeWrite = func(c state.Change) error {
		if c.Rotation != nil {
			return state.ErrConflict
		}
		return nil
	}
	res := p.must()
	for _, name := range p.events() {
		if name == policy.EventPhaseChanged || name == policy.EventHandedOver {
			t.Errorf("told %s", name)
		}
	}
	if len(res.Done) != 1 || res.Done[0].Skipped == "" {
		t.Errorf("done %+v", res.Done)
	}
	s.wantSent("UpdateNodePool", 0)
	p = s.process()
	p.must()
	p.line(policy.EventHandedOver)
}
