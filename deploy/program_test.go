package deploy_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"gke-credential-rotator/job/pass"
)

// rotator builds the program once.
var rotator = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rotator-deploy-test-")
	if err != nil {
		return "", err
	}
	atEnd(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "rotator")
	out, err := exec.Command("go", "build", "-o", path, "../job").CombinedOutput()
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return path, nil
})

// TestRealLog: the program itself, on Cloud Run, writes lines of the form that
// the scenes are judged by. It begins a run and finds no store.
func TestRealLog(t *testing.T) {
	path, err := rotator()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	// Credentials of nobody, where the client libraries look for a person's: on
	// Cloud Run only Google is spoken to, and the proxy is where nobody listens.
	home := t.TempDir()
	login := filepath.Join(home, ".config", "gcloud", "application_default_credentials.json")
	if err := os.MkdirAll(filepath.Dir(login), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(login,
		[]byte(`{"type":"authorized_user","client_id":"nobody","client_secret":"none","refresh_token":"none"}`),
		0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = []string{
		"CLOUD_RUN_JOB=" + sample["JOB"], "CLOUD_RUN_EXECUTION=rotator-test-x7k2p", "HOME=" + home,
		"HTTPS_PROXY=http://127.0.0.1:1",
		"ROTATOR_ENV=test", "ROTATOR_PROJECTS=shop-test", "ROTATOR_STATE=firestore://shop-test/rotator-test",
	}
	lines, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(lines).ReadString('\n')
	cancel()
	_ = cmd.Wait() // it was killed
	if err != nil {
		t.Fatalf("no line: %v", err)
	}
	got := entry(t, line)
	s := newStage(t)
	s.add(shop, 4000)
	s.runs(1)
	want := s.entries()[0]
	names := func(e map[string]any) []string {
		payload, _ := e["jsonPayload"].(map[string]any)
		return sortedKeys(payload)
	}
	if !slices.Equal(names(got), names(want)) ||
		got["jsonPayload"].(map[string]any)["event"] != pass.EventRunStarted {
		t.Errorf("the program's first line has %q, the scenes' %q:\n%s", names(got), names(want), line)
	}
}
