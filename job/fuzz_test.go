package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"gke-credential-rotator/job/simtest/corpus"
)

// movesTerminals says whether a terminal would obey something in the text, or
// show it otherwise than it is. Line ends are allowed.
func movesTerminals(text string) bool {
	return !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) ||
			unicode.Is(unicode.Zp, r))
	})
}

// FuzzLog: whatever stands in a line of the log, in text it is one line that
// moves no terminal, and on Cloud Run one JSON object that says the same.
func FuzzLog(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{"plain", "", "two\nlines", "\x1b[31mred", "\u009b2J", "\u202ereversed", "\xff",
		`quote " and = sign`, "\u2028", "nul\x00", "\U000e0041"} {
		c.Add(s, s, s)
	}
	c.AtLeast(11, 0)
	f.Fuzz(func(t *testing.T, message, cluster, value string) {
		defer corpus.Watch(message)()
		for _, cloud := range []bool{false, true} {
			var out bytes.Buffer
			log := newLog(&out, cloud, "execution").With("env", value, "run", value)
			log.Error(message, "event", "action_failed", "cluster", cluster, "project", cluster, "location", value,
				"reason", value, "error", value)
			text := out.String()
			if !strings.HasSuffix(text, "\n") || strings.Count(text, "\n") != 1 || movesTerminals(text) {
				t.Errorf("%q, %q, %q: %q", message, cluster, value, text)
			}
			if !cloud {
				continue
			}
			var line struct{ Message, Cluster, Error string }
			if err := json.Unmarshal([]byte(text), &line); err != nil || line.Message != strings.ToValidUTF8(message,
				"\ufffd") && utf8.ValidString(message) || utf8.ValidString(cluster) && line.Cluster != cluster {
				t.Errorf("%q: %s reads as %+v, error %v", message, text, line, err)
			}
		}
	})
}

// FuzzSimulate: whatever file is named as a fleet, simulate plays it or refuses
// it with status 2; it prints nothing that moves a terminal, and as JSON one
// object.
func FuzzSimulate(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{"", "[]", `{"name":"a","location":"l"}`,
		`[{"name":"\u001b[2J\u202e","location":"l"},{"name":"\u202ea","location":"europe-west1","status":"RUNNING","resourceLabels":{"env":"\u009b31m"},"masterAuth":{"clusterCaCertificate":"LS0t"}}]`,
		`{"name":"a","location":"l","maintenancePolicy":{"window":{"recurringWindow":{"recurrence":"FREQ=\u001bX"}}}}`, `{"name":"a","location":"l","nodePools":[{"name":"\u2066","initialNodeCount":-1}]}`, "\x1b]0;x\x07"} {
		c.Add([]byte(s))
	}
	c.Recorded("clusters", func(file string, text []byte) {
		if len(file)%5 == 0 { // a part of them: each takes some milliseconds
			c.AddRecorded(text)
		}
	})
	c.AtLeast(7, 10)
	f.Fuzz(func(t *testing.T, text []byte) {
		defer corpus.Watch(text)()
		if len(text) > 16<<10 {
			t.Skip("long files take long, and teach nothing")
		}
		file := filepath.Join(t.TempDir(), "fleet.json")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{"table", "json"} {
			var out, errs bytes.Buffer
			code := run(t.Context(), []string{"simulate", "--fleet", file, "--days", "1", "--every", "12h", "--from",
				"2026-11-21", "--project", "p", "--format", form}, nil, &out, &errs)
			if (code != 0 && code != 2) || movesTerminals(out.String()) || movesTerminals(errs.String()) ||
				(code == 2 && errs.Len() == 0) {
				t.Errorf("%s: exit %d\n%q\n%q", text, code, out.String(), errs.String())
			}
			if code == 0 && form == "json" && !json.Valid(out.Bytes()) {
				t.Errorf("%s: no JSON: %s", text, out.String())
			}
		}
	})
}
