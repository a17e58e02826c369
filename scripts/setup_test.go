package scripts_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gke-credential-rotator/scripts/cloudfake"
)

var update = flag.Bool("update", false, "write the golden files anew")

// settled is a world whose dev environment has names of its own. The further
// settings are NAME=value.
func settled(t *testing.T, settings ...string) *world {
	t.Helper()
	w := newWorld(t)
	w.env = append(w.env, "SETUP_PAUSE=0")
	w.settings(t, "dev", append([]string{
		"PROJECT=" + platform, "BUILD_PROJECT=" + builds, "ROTATOR_PROJECTS=" + targetA + "," + targetB,
		"NOTIFY=email:oncall@orders.acme.com,email:platform@acme.com",
		"RUNBOOK=https://git.acme.com/rotator/deploy/RUNBOOK.md",
	}, settings...)...)
	return w
}

// small is a settled world in which setup has less to do: one target, one alert.
func small(t *testing.T, settings ...string) *world {
	t.Helper()
	w := settled(t, append([]string{"ROTATOR_PROJECTS=" + targetA}, settings...)...)
	alerts, err := filepath.Glob(filepath.Join(w.dir, "deploy/alerts/*.yaml"))
	if err != nil || len(alerts) < 2 {
		t.Fatal(alerts, err)
	}
	for _, file := range alerts {
		if filepath.Base(file) != "run-failed.yaml" {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	return w
}

// settings changes lines of an environment's file.
func (w *world) settings(t *testing.T, environment string, settings ...string) {
	t.Helper()
	path := filepath.Join(w.dir, "deploy/env", environment+".env")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range settings {
		name, _, _ := strings.Cut(setting, "=")
		line := regexp.MustCompile(`(?m)^` + name + `=.*$`)
		if !line.Match(text) {
			t.Fatalf("%s has no %s", path, name)
		}
		text = line.ReplaceAllLiteral(text, []byte(setting))
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// small worlds after one uninterrupted setup, made once for all tests that begin
// there or end there.
var made struct {
	sync.Once
	*cloudfake.Fake
}

func madeSmall(t *testing.T) *cloudfake.Fake {
	t.Helper()
	need(t, "gcloud") // not within Do: the first test would be skipped, and the others would fail
	made.Do(func() {
		w := small(t)
		w.ok(t, "scripts/setup", "dev")
		made.Fake = w.Copy()
	})
	if made.Fake == nil {
		t.Fatal("the setup that this test begins with has failed, see the test before")
	}
	return made.Copy()
}

// grown is a small world that setup has made.
func grown(t *testing.T) *world {
	t.Helper()
	f := madeSmall(t)
	w := small(t)
	w.move(t, f)
	return w
}

// unchanging fails where a request since the last Forget would change something.
func (w *world) unchanging(t *testing.T) {
	t.Helper()
	if m := w.Mutations(); len(m) > 0 {
		t.Errorf("requests that change something:\n%s", cloudfake.Text(m))
	}
}

// TestSetupTwice is scripts/setup dev for an empty cloud: what it asks for, and
// that a second run asks for nothing.
func TestSetupTwice(t *testing.T) {
	t.Parallel()
	w := settled(t, "SOURCE=projects/"+builds+"/locations/europe-west1/connections/git/repositories/rotator")
	w.ok(t, "scripts/setup", "dev")
	golden(t, "setup-dev.txt", readable(w.Mutations()))

	w.Forget()
	r := w.run(t, "scripts/setup", "dev")
	if r.status != 0 || !strings.Contains(r.stderr, "== nothing to do: ") {
		t.Errorf("second run: %+v", r)
	}
	w.unchanging(t)
	if len(w.Requests()) < 30 {
		t.Errorf("the second run looked at little: %d requests", len(w.Requests()))
	}
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	a, b := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			t.Fatalf("not as in %s from line %d on (go test ./scripts -run %s -update writes it anew):\n%s", path, i+1,
				t.Name(),
				strings.Join(b[min(i, len(b)):min(i+3, len(b))], "\n"))
		}
	}
}

var (
	accidental = regexp.MustCompile(`"etag":"[^"]*",?|"clean-up":"[0-9a-f]{16}",?`)
	numbers    = regexp.MustCompile(`\b(alertPolicies|notificationChannels)/\d+`)
	digest     = regexp.MustCompile(`\([0-9a-f]{16}\)`)
)

// readable are requests without what the cloud made up, and without the contents
// of alerts and of the dashboard, which have tests of their own.
func readable(requests []cloudfake.Request) string {
	var b strings.Builder
	for _, r := range requests {
		if labels, ok := r.Body["userLabels"].(map[string]any); ok && r.Body["conditions"] != nil {
			r.Body = map[string]any{"...": labels["alert"], "notificationChannels": r.Body["notificationChannels"]}
		}
		if r.Body["mosaicLayout"] != nil {
			r.Body = map[string]any{"...": r.Body["name"]}
		}
		b.WriteString(r.String() + "\n")
	}
	text := digest.ReplaceAllString(accidental.ReplaceAllString(b.String(), ""), "(DIGEST)")
	return numbers.ReplaceAllString(text, "$1/N")
}

// TestSetupInterrupted kills setup again and again, gcloud and all, right after
// one of its changes. The run that is left alone ends where one run would have.
func TestSetupInterrupted(t *testing.T) {
	t.Parallel()
	want := madeSmall(t)
	w := small(t)
	for _, n := range []int{4, 9, 8} { // within accounts, within bindings, before the alerts
		ctx, kill := context.WithCancel(t.Context())
		w.Forget()
		w.AfterMutation(n, kill)
		if r := w.start(ctx, t, "scripts/setup", "dev")(); r.status == 0 {
			t.Fatalf("killed after %d changes, and yet: %+v", n, r)
		}
		if got := len(w.Mutations()); got != n {
			t.Errorf("%d changes, killed after %d", got, n)
		}
		kill()
	}
	w.Forget()
	w.AfterMutation(9, func() {})
	w.ok(t, "scripts/setup", "dev")
	if got, want := w.State(), want.State(); got != want {
		t.Errorf("after interruptions there is\n%s\nwithout them there is\n%s", got, want)
	}
}

// TestCommandLine: what is printed is read by a shell as the same words. Cloud
// Build's own $(...) is no command.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	words := []string{"a b", "it's", `--condition=title=x,expression=a == "b"`,
		"--filter=_A=$(body.message.data.digest)", "$HOME", "*", "^main$", ""}
	w.write(t, "words", ". scripts/lib/common.sh; . scripts/lib/want.sh; command_line printf '<%s>' \"$@\"")
	line := w.ok(t, "bash", append([]string{"words"}, words...)...)
	if got, want := w.ok(t, "bash", "-c", line), "<"+strings.Join(words, "><")+">"; got != want {
		t.Errorf("%s\nis read as %s, want %s", line, got, want)
	}
	line = w.ok(t, "bash", "words", "--member=$(gcloud --version | head -n 1)")
	if got := w.ok(t, "bash", "-c", line); !strings.HasPrefix(got, "<--member=Google Cloud SDK ") {
		t.Errorf("%s\nis read as %s", line, got)
	}
}

// TestSetupDryRun: it changes nothing, and what it prints is a script that does
// what setup does.
func TestSetupDryRun(t *testing.T) {
	t.Parallel()
	want := madeSmall(t)
	w := small(t)
	printed := w.ok(t, "scripts/setup", "dev", "--dry-run")
	w.unchanging(t)
	w.write(t, "scripts/printed", "#!/usr/bin/env bash\nset -euo pipefail\n"+printed)
	if err := os.Chmod(filepath.Join(w.dir, "scripts/printed"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.ok(t, "scripts/printed")
	if got, want := w.State(), want.State(); got != want {
		t.Errorf("the printed commands make\n%s\nsetup makes\n%s\nprinted:\n%s", got, want, printed)
	}
}
