// Package scripts_test runs the scripts against cloudfake through the real gcloud.
package scripts_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gke-credential-rotator/scripts/cloudfake"
	"gke-credential-rotator/scripts/fastgcloud"
)

func TestMain(m *testing.M) {
	stop := fastgcloud.Start()
	status := m.Run()
	stop()
	os.Exit(status)
}

// The projects that every world has from the start.
const (
	platform = "acme-platform"
	builds   = "acme-build"
	targetA  = "acme-orders"
	targetB  = "acme-ledger"
)

// world is a copy of the scripts and their files that a test may edit, and the cloud
// that they talk to.
type world struct {
	*cloudfake.Fake
	dir string // the copy of the repository's root
	env []string
}

// newWorld starts one. It skips the test where gcloud is missing, and fails it in CI.
func newWorld(t *testing.T) *world {
	t.Helper()
	need(t, "gcloud")
	w := &world{Fake: cloudfake.New(), dir: t.TempDir()}
	for project, number := range map[string]int64{platform: 100000000001, builds: 100000000002,
		targetA: 100000000003, targetB: 100000000004} {
		w.AddProject(project, number, "folder/200000000001", "organization/300000000001")
	}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	for _, part := range []string{"scripts", "deploy"} {
		if err := os.CopyFS(filepath.Join(w.dir, part), os.DirFS(filepath.Join("..", part))); err != nil {
			t.Fatal(err)
		}
	}
	// deploy/env is for everybody to edit: what is in it must not decide a test.
	environments := filepath.Join(w.dir, "deploy/env")
	if err := errors.Join(os.RemoveAll(environments),
		os.CopyFS(environments, os.DirFS("testdata/env"))); err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("not-a-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		// What the machine is set to must not decide a test.
		if !strings.HasPrefix(name, "CLOUDSDK_") && !strings.HasPrefix(name, "GOOGLE_") &&
			!strings.HasPrefix(name, "ROTATOR_") && !strings.HasSuffix(strings.ToLower(name), "_proxy") {
			w.env = append(w.env, kv)
		}
	}
	w.env = append(w.env, w.Env(t.TempDir(), token)...)
	return w
}

// need skips the test where a program is missing, and fails it in CI.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

// result is how a program ended.
type result struct {
	stdout, stderr string
	status         int
}

// run runs a program, a script by its path such as scripts/setup, in the copy of
// the repository.
func (w *world) run(t *testing.T, program string, args ...string) result {
	t.Helper()
	return w.start(t.Context(), t, program, args...)()
}

// start starts a program; what it returns waits for the end. The end of ctx kills
// the program and everything it started, as does the end of the tests' own time: how
// long a script takes depends on what else the machine has to do.
func (w *world) start(ctx context.Context, t *testing.T, program string, args ...string) func() result {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	if end, limited := t.Deadline(); limited {
		ctx, cancel = context.WithDeadline(ctx, end.Add(-30*time.Second)) // to say which script it was
	}
	if strings.Contains(program, "/") {
		program = filepath.Join(w.dir, program)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = w.dir, w.env, &stdout, &stderr, 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	w.Sync()
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	return func() result {
		t.Helper()
		defer cancel()
		err := cmd.Wait()
		w.Sync()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
			t.Fatal(err)
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Fatalf("%s %s took too long\n%s", program, strings.Join(args, " "), stderr.String())
		}
		return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	}
}

// ok runs a program that must succeed and returns what it printed.
func (w *world) ok(t *testing.T, program string, args ...string) string {
	t.Helper()
	r := w.run(t, program, args...)
	if r.status != 0 {
		t.Fatalf("%s %s: status %d\n%s\n%s", program, strings.Join(args, " "), r.status, r.stdout, r.stderr)
	}
	return r.stdout
}

// edit replaces text in a file of the copy. It must be there.
func (w *world) edit(t *testing.T, path, before, after string) {
	t.Helper()
	path = filepath.Join(w.dir, path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(before)) {
		t.Fatalf("%s does not have %q", path, before)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(before), []byte(after), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

// write writes a file of the copy.
func (w *world) write(t *testing.T, path, text string) string {
	t.Helper()
	path = filepath.Join(w.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHarness: what the tests of the scripts stand on. A script that is killed
// after its first mutation has made exactly one.
func TestHarness(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Enable(platform, "pubsub.googleapis.com")
	w.write(t, "scripts/topics",
		"#!/bin/sh\nfor t in one two; do gcloud pubsub topics create $t --project=NAME || exit 3; done\n")
	if err := os.Chmod(filepath.Join(w.dir, "scripts/topics"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.edit(t, "scripts/topics", "NAME", platform)
	ctx, kill := context.WithCancel(t.Context())
	w.AfterMutation(1, kill)
	if r := w.start(ctx, t, "scripts/topics")(); r.status == 0 {
		t.Errorf("killed, and yet: %+v", r)
	}
	want := "PUT pubsub projects/" + platform + "/topics/one {\"name\":\"projects/" + platform +
		"/topics/one\"}\n"
	if got := cloudfake.Text(w.Mutations()); got != want {
		t.Errorf("mutations\n%swant\n%s", got, want)
	}
	if r := w.run(t, "scripts/topics"); r.status != 3 || !strings.Contains(r.stderr, "already exists") {
		t.Errorf("a second create: %+v", r)
	}
	if got := w.ok(t, "gcloud", "pubsub", "topics", "list", "--project="+platform,
		"--format=value(name)"); !strings.HasSuffix(strings.TrimSpace(got), "/one") {
		t.Errorf("topics: %q", got)
	}
}

// move puts another cloud in the place of a world's own.
func (w *world) move(t *testing.T, f *cloudfake.Fake) {
	t.Helper()
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	before, after := strconv.Itoa(w.Port()), strconv.Itoa(f.Port())
	for i, kv := range w.env {
		if name, _, _ := strings.Cut(kv, "="); strings.HasSuffix(strings.ToLower(name), "_proxy") ||
			name == "CLOUDSDK_PROXY_PORT" {
			w.env[i] = strings.Replace(kv, before, after, 1)
		}
	}
	w.Fake = f
}
