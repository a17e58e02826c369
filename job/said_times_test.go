package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// goTimes are times and durations as Go prints them, and durations below zero: nothing
// that people read has them.
var goTimes = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} \w+|\b\d+h\d+m\d+(\.\d+)?s\b|\b(for|in|since|about) -\d+(d|h|m|s)\b|0001-01-01`)

// TestNoGoTimes: over all that tests hold as printed.
func TestNoGoTimes(t *testing.T) {
	read := 0
	err := filepath.WalkDir(repository, func(path string, e fs.DirEntry, err error) error {
		printed := strings.Contains(path, "/testdata/") && !strings.Contains(path, "/fuzz/") ||
			strings.HasSuffix(path, ".md")
		if err != nil || e.IsDir() || !printed || strings.Contains(path, "/gkesim/") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		read++
		for _, found := range goTimes.FindAllString(string(text), 3) {
			t.Errorf("%s holds %q", path, found)
		}
		return nil
	})
	if err != nil || read < 60 {
		t.Errorf("%d files read, %v", read, err)
	}
}

// TestLogTimes: a time in a line for people is one that they read.
func TestLogTimes(t *testing.T) {
	var out bytes.Buffer
	at := time.Date(2026, 12, 7, 9, 0, 0, 0, time.UTC)
	newLog(&out, false, "").Warn("too slow", "event", "capacity_short", "done_about", at)
	if text := out.String(); goTimes.MatchString(text) ||
		!strings.Contains(text, "done_about=2026-12-07T09:00:00Z") {
		t.Errorf("it says %q", text)
	}
}

// TestFatalLines: what ends a command says on Cloud Run which event it is, of which deployment and
// run: alerts and people filter on that.
func TestFatalLines(t *testing.T) {
	for _, args := range [][]string{{"run"}, {"nonsense"}, {"status", "--no-such-flag"}} {
		var out bytes.Buffer
		environ := []string{"CLOUD_RUN_JOB=rotator-prod", "CLOUD_RUN_EXECUTION=rotator-prod-x7k2p",
			"ROTATOR_ENV=prod", "ROTATOR_MODE=sideways"}
		if code := run(context.Background(), args, environ, &out, &out); code != 2 {
			t.Errorf("%q: exit status %d: %s", args, code, out.String())
		}
		fatal := 0
		for line := range strings.Lines(out.String()) {
			var got map[string]any
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatalf("%q: %v: %s", args, err, line)
			}
			if got["severity"] != "ERROR" {
				continue
			}
			fatal++
			want := []any{"command_failed", "prod", "rotator-prod-x7k2p"}
			if !slices.Equal([]any{got["event"], got["env"], got["run"]}, want) {
				t.Errorf("%q: %s", args, line)
			}
		}
		if fatal == 0 {
			t.Errorf("%q: no line says what is wrong: %s", args, out.String())
		}
	}
}
