package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestCloudLog pins the names that Cloud Logging lifts out of a line, and that
// deploy/ filters on.
func TestCloudLog(t *testing.T) {
	var out bytes.Buffer
	log := newLog(&out, true, "rotator-x7k2p").With("env", "prod", "mode", "act")
	log.Warn("CA expires", "event", "ca_expiring", "cluster", "p/l/c", "days_to_expiry", 12)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("not one object in one line: %v\n%s", err, out.String())
	}
	for key, want := range map[string]any{
		"severity": "WARNING", "message": "CA expires", "event": "ca_expiring", "env": "prod", "mode": "act",
		"cluster": "p/l/c", "days_to_expiry": 12.0,
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	labels, _ := line["logging.googleapis.com/labels"].(map[string]any)
	if labels["event"] != "ca_expiring" || labels["env"] != "prod" || labels["cluster"] != "p/l/c" ||
		len(labels) != 4 {
		t.Errorf("labels %v", labels)
	}
	operation, _ := line["logging.googleapis.com/operation"].(map[string]any)
	if operation["id"] != "rotator-x7k2p" {
		t.Errorf("operation %v", operation)
	}
	if _, is := line["time"].(string); !is || line["level"] != nil || line["msg"] != nil {
		t.Errorf("time, level or msg: %v", line)
	}
}

func TestTextLog(t *testing.T) {
	var out bytes.Buffer
	log := newLog(&out, false, "").With("env", "prod", "run", "r-1")
	log.Error("it\nfailed", "event", "action_failed", "cluster", "p/l/c", "project", "p", "reason",
		"start-failed", "days_to_expiry", 12, "holder", "a b")
	log.Info("denied", "event", "project_unreadable", "project", "p", "location", "")
	_, first, _ := strings.Cut(out.String(), " ")
	want := "ERROR action_failed      p/l/c: it failed [start-failed] days_to_expiry=12 holder=\"a b\"\n"
	if !strings.HasPrefix(first, want) {
		t.Errorf("got  %q\nwant %q", first, want)
	}
	if !strings.Contains(first, "INFO  project_unreadable p: denied\n") {
		t.Errorf("got %q", first)
	}
}
