package maintenance_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/encoding/protojson"

	"gke-credential-rotator/gke/maintenance"
	"gke-credential-rotator/policy/window"
)

var now = time.Date(2026, 11, 21, 14, 5, 0, 0, time.UTC) // a Saturday

// next says in a few words what the calendar allows from now on.
func next(m window.Maintenance, fallback window.Schedule) string {
	s, ok := m.Open(fallback).Next(now)
	switch {
	case !ok:
		return "never"
	case s.End.Equal(window.Forever):
		return "always"
	}
	return s.Start.Format("Mon 01-02 15:04") + " to " + s.End.Format("Mon 01-02 15:04")
}

// TestRecordedPolicies reads every recorded maintenance policy: what it says in
// words, and when it is open from Saturday 2026-11-21 14:05 on.
func TestRecordedPolicies(t *testing.T) {
	want := map[string][2]string{
		"api-gcpdiag-gke1-gke6-europe-west4-a-2": {"Mon-Fri 09:00-17:00 UTC",
			"Mon 11-23 09:00 to Mon 11-23 17:00"},
		"api-gcpdiag-gke5-gke-expired-europe-west4-a-1": {"Mon-Fri 09:00-17:00 UTC, ended 2023-01-01 before it began", "never"},
		"api-gcpdiag-gke5-gke-short-europe-west4-a-1": {"Mon-Fri 09:00-10:00 UTC",
			"Mon 11-23 09:00 to Mon 11-23 10:00"},
		"api-kcc-maintenancepolicy-1": {"daily 03:00-07:00 UTC",
			"Sun 11-22 03:00 to Sun 11-22 07:00"},
		"api-kcc-maintenancepolicy-2": {"daily 04:00-08:00 UTC",
			"Sun 11-22 04:00 to Sun 11-22 08:00"},
		"api-tfgke-autopilotprivatefirewalls-1": {"daily 05:00-09:00 UTC",
			"Sun 11-22 05:00 to Sun 11-22 09:00"},
		"hcl-terraform-docs-samples-05": {"daily 19:16:39-23:16:39 UTC",
			"Sat 11-21 19:16 to Sat 11-21 23:16"},
		"hcl-terraform-docs-samples-06": {"daily 19:16:39-23:16:39 UTC",
			"Sat 11-21 19:16 to Sat 11-21 23:16"},
		"hcl-terraform-provider-goo-01": {"daily 03:00-07:00 UTC",
			"Sun 11-22 03:00 to Sun 11-22 07:00"},
		"hcl-terraform-provider-goo-02": {"daily 02:00-06:00 UTC",
			"Sun 11-22 02:00 to Sun 11-22 06:00"},
		"hcl-terraform-provider-goo-04": {"daily 00:00-24:00 UTC", "always"},
		"hcl-test-infra-07": {"Sat,Sun 08:00 for 24h UTC",
			"Sat 11-21 08:00 to Mon 11-23 08:00"},
		"idx-all-days-17-21": {"daily 17:00-21:00 UTC",
			"Sat 11-21 17:00 to Sat 11-21 21:00"},
		"idx-all-days-24h-recorded": {"daily 23:00 for 24h UTC", "always"},
		"idx-daily-24h":             {"daily 00:00-24:00 UTC", "always"},
		"idx-epoch-crossing-midnight": {"daily 22:00-02:00 UTC",
			"Sat 11-21 22:00 to Sun 11-22 02:00"},
		"idx-four-days-argentina": {"Tue,Thu,Sat,Sun 06:00-10:00 UTC",
			"Sun 11-22 06:00 to Sun 11-22 10:00"},
		"idx-friday-start-saturday-rule": {"Sat 06:00-18:00 UTC",
			"Sat 11-21 06:00 to Sat 11-21 18:00"},
		"idx-monthly-1st-tue-every-6-months": {"first Tuesday of every 6th month from January 2023, 09:00 for 731d 8h UTC",
			"always"},
		"idx-monthly-bymonthday-1-a": {"day 1 of the month, 09:00 for 2557d 8h UTC",
			"always"},
		"idx-sunday-brt": {"Sun 09:00-13:00 UTC",
			"Sun 11-22 09:00 to Sun 11-22 13:00"},
		"idx-three-exclusions": {"", "always"},
		"idx-thursday-12h": {"Thu 00:00-12:00 UTC",
			"Thu 11-26 00:00 to Thu 11-26 12:00"},
		"idx-weekdays-jst-office-hours": {"Mon-Fri 00:00-06:00 UTC",
			"Mon 11-23 00:00 to Mon 11-23 06:00"},
		"idx-weekend-24h": {"Sat,Sun 00:00-24:00 UTC",
			"Sat 11-21 00:00 to Mon 11-23 00:00"},
		"idx-weekend-meli": {"Sat,Sun 06:00-12:00 UTC",
			"Sun 11-22 06:00 to Sun 11-22 12:00"},
	}
	files, err := filepath.Glob("../../../shared/fixtures/maintenance/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the recorded policies are not beside this project (../shared/fixtures/maintenance)")
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var pb containerpb.MaintenancePolicy
		if err := protojson.Unmarshal(text, &pb); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := maintenance.Of(&pb)
		if m.Problem != "" {
			t.Errorf("%s: %s", name, m.Problem)
		}
		if got := [2]string{m.Text, next(m, window.Always())}; got != want[name] {
			t.Errorf("%s: %q, want %q", name, got, want[name])
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s: no such recording any more", name)
	}
}

// TestRecordedExclusions: which of the recorded exclusions keep nodes from
// being recreated, and when.
func TestRecordedExclusions(t *testing.T) {
	text, err := os.ReadFile("../../../shared/fixtures/maintenance/idx-three-exclusions.json")
	if os.IsNotExist(err) {
		t.Skip("the recorded policies are not beside this project (../shared/fixtures/maintenance)")
	}
	if err != nil {
		t.Fatal(err)
	}
	var pb containerpb.MaintenancePolicy
	if err := protojson.Unmarshal(text, &pb); err != nil {
		t.Fatal(err)
	}
	m := maintenance.Of(&pb)
	blocks := map[string]bool{"(name not shown)": true, "Public holiday": false, "Application Release v2": true}
	for _, e := range m.Exclusions {
		if e.Blocks() != blocks[e.Name] {
			t.Errorf("%s (%s) blocks: %t", e.Name, e.Scope, e.Blocks())
		}
		delete(blocks, e.Name)
	}
	if len(blocks) > 0 {
		t.Errorf("not read: %v", blocks)
	}
	open, changes := window.OpenAt(m.Open(window.Always()), time.Date(2024, 6, 25, 0, 0, 0, 0, time.UTC))
	if open || changes.Format(time.DateOnly) != "2024-07-03" {
		t.Errorf("in the release: open %t until %s", open, changes)
	}
}
