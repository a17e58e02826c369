package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/simtest/corpus"
	"gke-credential-rotator/job/view/terminal"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/rules"
)

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
func checkProblems(t *testing.T, environ []string, problems []config.Problem) {
	t.Helper()
	for _, p := range problems {
		_, isVariable := config.Variables(environ)[p.Setting]
		if (!strings.HasPrefix(p.Setting, config.Prefix) && !isVariable) || p.What == "" ||
			strings.ContainsAny(p.String(), "\n\r") {
			t.Errorf("%q: a problem without a name, a reason or on several lines: %q", environ, p)
		}
	}
}

// checkPolicy: what is accepted lies within the bounds that the rules build on.
func checkPolicy(t *testing.T, environ []string, s config.Settings) {
	t.Helper()
	p := s.Policy()
	if p.Soak > config.MaxSoak || p.SoakCompromised > config.MaxSoak || p.MaxActive < 1 || p.MaxFailed < 1 ||
		p.Every < 5*time.Minute || p.EmergencyBeforeExpiry <= rules.DeadlineBefore ||
		p.RotateBeforeExpiry <= p.EmergencyBeforeExpiry || len(p.Projects) == 0 || p.Env == "" ||
		s.Deadline.V > p.Every || (p.Compromised != nil && p.RotateIssuedBefore.IsZero()) {
		t.Errorf("%q is accepted: %+v", environ, p)
	}
	settings := s.InForce()
	var out bytes.Buffer
	err := terminal.Policy(&out, p, settings, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC),
		terminal.Options{Width: 80})
	if text := out.String(); err != nil ||
		words.Harmless(strings.ReplaceAll(text, "\n", " ")) != strings.ReplaceAll(text, "\n", " ") {
		t.Errorf("%q: validate prints %q, error %v", environ, text, err)
	}
	if text := config.PolicyJSON(p); !json.Valid(text) {
		t.Errorf("%q: no JSON: %s", environ, text)
	}
}

// FuzzSettings: no text of any one setting panics, what is refused is named, and
// what is accepted is within bounds.
func FuzzSettings(f *testing.F) {
	c := corpus.Of(f)
	for _, b := range config.BadSettings {
		name, value, _ := strings.Cut(b.Set, "=")
		c.Add(name, value)
	}
	for _, field := range config.Rows() {
		c.Add(config.Prefix+field.Name, field.Default)
	}
	c.Add("ROTATOR_ENDPOINT", "https://user:secret@host/")
	c.Add("ROTATOR_WAVES", "\x1b[2J>\u202e")
	c.AtLeast(70, 0)
	f.Fuzz(func(t *testing.T, name, value string) {
		defer corpus.Watch(value)()
		if strings.ContainsAny(name+value, "\x00\n=") || !strings.HasPrefix(name, config.Prefix) {
			t.Skip("no process has such a variable")
		}
		environ := slices.DeleteFunc(slices.Clone(config.Enough),
			func(e string) bool { return strings.HasPrefix(e, name+"=") })
		environ = append(environ, name+"="+value)
		s, problems := config.Read(config.Variables(environ))
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
	all := slices.Clone(config.Enough)
	for _, field := range config.Rows() {
		if field.Default != "" {
			all = append(all, config.Prefix+field.Name+"="+field.Default)
		}
	}
	base := strings.Join(config.Enough, "\n")
	for _, s := range []string{"", base, strings.Join(all, "\n"), base + "\nROTATOR_SOKA=1",
		base + "\nROTATOR_MODE=act\nROTATOR_STATE=file:x",
		base + "\nROTATOR_COMPROMISED=all\nROTATOR_ROTATE_ISSUED_BEFORE=2026-01-01",
		base + "\nCLOUD_RUN_JOB=j\nROTATOR_STATE=firestore://shop-prod/(default)",
		base + "\nROTATOR_EVERY=5m\nROTATOR_DEADLINE=5m",
		base + "\nROTATOR_EMERGENCY_BEFORE_EXPIRY=179d23h59m\nROTATOR_MAX_CA_AGE=30d",
		base + "\nCLOUD_RUN_JOB=j\nROTATOR_STATE=firestore://shop-prod/(default)\nROTATOR_GKE_ENDPOINT=127.0.0.1:9\nFIRESTORE_EMULATOR_HOST=x\nGOOGLE_CLOUD_UNIVERSE_DOMAIN=x.example\nSSL_CERT_FILE=/proc/self/environ",
		base + "\nROTATOR_ENV=\nROTATOR_ENV=a", "ROTATOR_=x\nROTATOR_ENV",
		base + "\nROTATOR_WINDOW=Sat 00:00-24:00\nROTATOR_START_WINDOW=Sun 02:00-02:16\nROTATOR_COMPLETE_WINDOW=daily 00:00-00:00", base + "\nrotator_mode=act\nROTATOR_mode=act"} {
		c.Add(s)
	}
	c.AtLeast(14, 0)
	f.Fuzz(func(t *testing.T, lines string) {
		defer corpus.Watch(lines)()
		environ := environOf(lines)
		before := os.Environ()
		s, problems := config.Read(config.Variables(environ))
		again, problemsAgain := config.Read(config.Variables(environ))
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
		for name := range config.Variables(environ) {
			known := slices.ContainsFunc(config.Rows(),
				func(f config.Row) bool { return config.Prefix+f.Name == name })
			told := slices.ContainsFunc(problems, func(p config.Problem) bool { return p.Setting == name })
			if strings.HasPrefix(name, config.Prefix) && !known && !told {
				t.Errorf("%q: nothing is said about %s", environ, name)
			}
		}
		if len(problems) == 0 {
			checkPolicy(t, environ, s)
		}
	})
}
