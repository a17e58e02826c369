package pass

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

var errDenied = errors.New("PermissionDenied: container.clusters.list")

// TestUnreadableInFlight: a project that cannot be read while a rotation is in
// flight there: nothing is concluded, the other projects go on, people hear.
func TestUnreadableInFlight(t *testing.T) {
	s := newStage(t, shop)
	s.process().must()
	elsewhere := fleet.Ref{Project: "yard", Location: "europe-west1", Name: "y"}
	s.add(elsewhere, "2027-03-12", nil)
	s.pass(time.Hour)
	p := s.process()
	p.beforeRead = func(call string) error {
		if call == "clusters shop" {
			return errDenied
		}
		return nil
	}
	res := p.must()
	if s.phase() != record.Starting || len(s.history()) != 0 {
		t.Errorf("phase %q, history %+v", s.phase(), s.history())
	}
	if n := len(s.sent("StartIPRotation")); n != 2 {
		t.Errorf("%d starts, want the other project's too", n)
	}
	m := p.line(EventProjectUnreadable)
	if m["project"] != "shop" || m["level"] != "WARN" ||
		!strings.Contains(m["msg"].(string), "container.clusters.list") {
		t.Errorf("told %v", m)
	}
	if len(res.Fleet.Unread) != 1 || res.Fleet.Unread[0].Project != "shop" {
		t.Errorf("unread %+v", res.Fleet.Unread)
	}
	s.pass(time.Hour)
	s.process().must()
	if s.phase() != record.RecreatingNodes {
		t.Errorf("phase %q", s.phase())
	}
}

// TestOperationsUnreadable: without operations a rotation waits; idle clusters
// of the project are still seen.
func TestOperationsUnreadable(t *testing.T) {
	s := newStage(t, shop)
	s.process().must()
	s.add(yard, "2054-03-12", nil)
	s.pass(time.Hour)
	p := s.process()
	p.beforeRead = func(call string) error {
		if call == "operations shop" {
			return errDenied
		}
		return nil
	}
	res := p.must()
	if s.phase() != record.Starting || len(res.Decisions) != 2 {
		t.Errorf("phase %q, decisions %+v", s.phase(), res.Decisions)
	}
	if d := res.Decisions[0]; d.Reason != reason.NotReadable {
		t.Errorf("reason %s", d.Reason)
	}
	if m := p.line(EventProjectUnreadable); m["project"] != "shop" ||
		!strings.Contains(m["msg"].(string), "operations") {
		t.Errorf("told %v", m)
	}
}

// TestNothingReadable: every project out of reach is the run's failure.
func TestNothingReadable(t *testing.T) {
	s := newStage(t, shop)
	p := s.process()
	p.beforeRead = func(string) error { return errDenied }
	if _, err := p.run(t.Context()); !errors.Is(err, errDenied) {
		t.Errorf("error %v", err)
	}
	p = s.process()
	p.dead = true
	if _, err := p.run(t.Context()); !errors.Is(err, errDead) {
		t.Errorf("the store out of reach: %v", err)
	}
	if res := s.process().must(); res.Busy != "" {
		t.Errorf("the failed run kept the lease: %s", res.Busy)
	}
}

// TestProjectRemoved: a project leaves the settings while a rotation is in
// flight there. It stays listed until the rotation ends; nothing else of it is
// touched.
func TestProjectRemoved(t *testing.T) {
	s := newStage(t, shop)
	s.process().must()
	s.policy.Projects = nil
	s.add(fleet.Ref{Project: "other", Location: "europe-west1", Name: "o"}, "2054-03-12", nil)
	s.add(yard, "2027-03-12", nil) // due, in the removed project
	s.policy.Projects = []string{"other"}
	s.pass(time.Hour)
	res := s.process().must()
	if slices.ContainsFunc(res.Decisions, func(d policy.Decision) bool { return d.Cluster.Ref == yard }) {
		t.Error("a cluster outside the settings is decided upon")
	}
	s.hourly(60, func() bool { return s.rotation() == nil })
	if h := s.history(); len(h) != 1 || h[0].ClosedAs != record.Completed {
		t.Errorf("history %+v", h)
	}
	s.wantSent("StartIPRotation", 1)
	p := s.process()
	p.must()
	if p.count("clusters shop") != 0 {
		t.Error("the project is still listed after its last rotation")
	}
}
