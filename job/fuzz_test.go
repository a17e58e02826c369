package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"gke-credential-rotator/job/simtest/corpus"
	"gke-credential-rotator/policy"
)

// movesTerminals says whether a terminal would obey something in the text, or
// show it otherwise than it is. Line ends are allowed.
func movesTerminals(text string) bool {
	return !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r))
	})
}

// environOf makes an environment of lines NAME=value, without what no process
// can have.
func environOf(lines string) []string {
	var out []string
	for _, l := range strings.Split(strings.ReplaceAll(lines, "\x00", ""), "\n") {
		if name, _, ok := strings.Cut(l, "="); ok && name != "" {
			out = append(out, l)
		}
	}
	return out
}

// checkProblems: each names its setting, says what is wrong, and is one line.
func checkProblems(t *testing.T, environ []string, problems []Problem) {
	t.Helper()
	for _, p := range problems {
		_, isVariable := variables(environ)[p.Setting]
		if (!strings.HasPrefix(p.Setting, prefix) && !isVariable) || p.What == "" || strings.ContainsAny(p.String(), "\n\r") {
			t.Errorf("%q: a problem without a name, a reason or on several lines: %q", environ, p)
		}
	}
}

// checkPolicy: what is accepted lies within the bounds that the rules build on.
func checkPolicy(t *testing.T, environ []string, s Settings) {
	t.Helper()
	p := s.Policy()
	if p.Soak > maxSoak || p.SoakUrgent > maxSoak || p.MaxActive < 1 || p.MaxFailed < 1 || p.Every < 5*time.Minute || p.EmergencyBeforeExpiry <= policy.DeadlineBefore ||
		p.RotateBeforeExpiry <= p.EmergencyBeforeExpiry || len(p.Projects) == 0 || p.Env == "" || time.Duration(s.Deadline.V) > p.Every || (p.Urgent != nil && p.RotateIssuedBefore.IsZero()) {
		t.Errorf("%q is accepted: %+v", environ, p)
	}
	var out bytes.Buffer
	a := newApp(append(slices.Clone(environ), "COLUMNS=80"), &out, &out)
	if err := a.exit(a.command([]string{"validate"}).ExecuteContext(t.Context())); err != 0 || movesTerminals(out.String()) {
		t.Errorf("%q: validate exits with %d and prints %q", environ, err, out.String())
	}
}

// FuzzSettings: no text of any one setting panics, what is refused is named, and
// what is accepted is within bounds.
func FuzzSettings(f *testing.F) {
	c := corpus.Of(f)
	for _, b := range badSettings {
		name, value, _ := strings.Cut(b.set, "=")
		c.Add(name, value)
	}
	for _, field := range fieldsOf(&Settings{}) {
		c.Add(prefix+field.Name, field.Default)
	}
	c.Add("ROTATOR_ENDPOINT", "https://user:secret@host/")
	c.Add("ROTATOR_WAVES", "\x1b[2J>\u202e")
	c.AtLeast(70, 0)
	f.Fuzz(func(t *testing.T, name, value string) {
		defer corpus.Watch(value)()
		if strings.ContainsAny(name+value, "\x00\n=") || !strings.HasPrefix(name, prefix) {
			t.Skip("no process has such a variable")
		}
		environ := slices.DeleteFunc(slices.Clone(enough), func(e string) bool { return strings.HasPrefix(e, name+"=") })
		environ = append(environ, name+"="+value)
		s, problems := readSettings(environ)
		checkProblems(t, environ, problems)
		if len(problems) == 0 {
			checkPolicy(t, environ, s)
		}
	})
}

// FuzzEnvironment: an environment is read the same twice, whatever the process's
// own; each ROTATOR_ name that is none is told; what is accepted is within bounds.
func FuzzEnvironment(f *testing.F) {
	c := corpus.Of(f)
	all := slices.Clone(enough)
	for _, field := range fieldsOf(&Settings{}) {
		if field.Default != "" {
			all = append(all, prefix+field.Name+"="+field.Default)
		}
	}
	base := strings.Join(enough, "\n")
	for _, s := range []string{"", base, strings.Join(all, "\n"), base + "\nROTATOR_SOKA=1", base + "\nROTATOR_MODE=act\nROTATOR_STATE=file:x", base + "\nROTATOR_URGENT=all\nROTATOR_ROTATE_ISSUED_BEFORE=2026-01-01",
		base + "\nCLOUD_RUN_JOB=j\nROTATOR_STATE=firestore://shop-prod/(default)", base + "\nROTATOR_EVERY=5m\nROTATOR_DEADLINE=5m", base + "\nROTATOR_EMERGENCY_BEFORE_EXPIRY=179d23h59m\nROTATOR_MAX_CA_AGE=30d",
		base + "\nCLOUD_RUN_JOB=j\nROTATOR_STATE=firestore://shop-prod/(default)\nROTATOR_GKE_ENDPOINT=127.0.0.1:9\nFIRESTORE_EMULATOR_HOST=x\nGOOGLE_CLOUD_UNIVERSE_DOMAIN=x.example\nSSL_CERT_FILE=/proc/self/environ",
		base + "\nROTATOR_ENV=\nROTATOR_ENV=a", "ROTATOR_=x\nROTATOR_ENV", base + "\nROTATOR_WINDOW=Sat 00:00-24:00\nROTATOR_START_WINDOW=Sun 02:00-02:16\nROTATOR_COMPLETE_WINDOW=daily 00:00-00:00", base + "\nrotator_mode=act\nROTATOR_mode=act"} {
		c.Add(s)
	}
	c.AtLeast(14, 0)
	f.Fuzz(func(t *testing.T, lines string) {
		defer corpus.Watch(lines)()
		environ := environOf(lines)
		before := os.Environ()
		s, problems := readSettings(environ)
		again, problemsAgain := readSettings(environ)
		if !slices.Equal(os.Environ(), before) {
			slices.Sort(before)
			after := os.Environ()
			if slices.Sort(after); !slices.Equal(after, before) {
				t.Errorf("%q: the process's environment changed", environ)
			}
		}
		if !slices.Equal(problems, problemsAgain) || fmt.Sprint(*s.Policy()) != fmt.Sprint(*again.Policy()) {
			t.Errorf("%q: %v, read again %v", environ, problems, problemsAgain)
		}
		checkProblems(t, environ, problems)
		for name := range variables(environ) {
			known := slices.ContainsFunc(fieldsOf(&s), func(f setting) bool { return prefix+f.Name == name })
			told := slices.ContainsFunc(problems, func(p Problem) bool { return p.Setting == name })
			if strings.HasPrefix(name, prefix) && !known && !told {
				t.Errorf("%q: nothing is said about %s", environ, name)
			}
		}
		if len(problems) == 0 {
			checkPolicy(t, environ, s)
		}
	})
}

// FuzzLog: whatever stands in a line of the log, in text it is one line that
// moves no terminal, and on Cloud Run one JSON object that says the same.
func FuzzLog(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{"plain", "", "two\nlines", "\x1b[31mred", "\u009b2J", "\u202ereversed", "\xff", `quote " and = sign`, "\u2028", "nul\x00", "\U000e0041"} {
		c.Add(s, s, s)
	}
	c.AtLeast(11, 0)
	f.Fuzz(func(t *testing.T, message, cluster, value string) {
		defer corpus.Watch(message)()
		for _, cloud := range []bool{false, true} {
			var out bytes.Buffer
			log := newLog(&out, cloud, "execution").With("env", value, "run", value)
			log.Error(message, "event", "action_failed", "cluster", cluster, "project", cluster, "location", value, "reason", value, "error", value)
			text := out.String()
			if !strings.HasSuffix(text, "\n") || strings.Count(text, "\n") != 1 || movesTerminals(text) {
				t.Errorf("%q, %q, %q: %q", message, cluster, value, text)
			}
			if !cloud {
				continue
			}
			var line struct{ Message, Cluster, Error string }
			if err := json.Unmarshal([]byte(text), &line); err != nil || line.Message != strings.ToValidUTF8(message, "\ufffd") && utf8.ValidString(message) || utf8.ValidString(cluster) && line.Cluster != cluster {
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
	for _, s := range []string{"", "[]", `{"name":"a","location":"l"}`, `[{"name":"\u001b[2J\u202e","location":"l"},{"name":"\u202ea","location":"europe-west1","status":"RUNNING","resourceLabels":{"env":"\u009b31m"},"masterAuth":{"clusterCaCertificate":"LS0t"}}]`,
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
			code := run(t.Context(), []string{"simulate", "--fleet", file, "--days", "1", "--every", "12h", "--from", "2026-11-21", "--project", "p", "--format", form}, nil, &out, &errs)
			if (code != 0 && code != 2) || movesTerminals(out.String()) || movesTerminals(errs.String()) || (code == 2 && errs.Len() == 0) {
				t.Errorf("%s: exit %d\n%q\n%q", text, code, out.String(), errs.String())
			}
			if code == 0 && form == "json" && !json.Valid(out.Bytes()) {
				t.Errorf("%s: no JSON: %s", text, out.String())
			}
		}
	})
}
