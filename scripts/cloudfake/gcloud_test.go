package cloudfake_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"gke-credential-rotator/scripts/cloudfake"
	"gke-credential-rotator/scripts/fastgcloud"
)

func TestMain(m *testing.M) {
	stop := fastgcloud.Start()
	status := m.Run()
	stop()
	os.Exit(status)
}

type key struct{}

// TestGcloud drives the fake with the real gcloud: every script of testdata has a
// cloud of its own with the projects p and b, in which every API is on.
func TestGcloud(t *testing.T) {
	if _, err := exec.LookPath("gcloud"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("gcloud is not installed")
		}
		t.Skip("gcloud is not installed")
	}
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sent":   sent,
			"state":  state,
			"seed":   seed,
			"refuse": refuse,
		},
	})
}

func setup(env *testscript.Env) error {
	f := cloudfake.New()
	f.AddProject("p", 111, "folder/22", "organization/33")
	f.AddProject("b", 112, "folder/22", "organization/33")
	f.AllEnabled = filepath.Base(env.WorkDir) != "script-services"
	f.ExecutionResult = func(_ string, args []string) error {
		switch strings.Join(args, " ") {
		case "fail":
			return errors.New("the container exited with an error")
		case "sleep":
			return cloudfake.ErrRunning
		}
		return nil
	}
	if err := f.Start(); err != nil {
		return err
	}
	env.Defer(func() { _ = f.Close() })
	env.Values[key{}] = f
	token := filepath.Join(env.WorkDir, "token")
	if err := os.WriteFile(token, []byte("not-a-secret"), 0o600); err != nil {
		return err
	}
	for _, kv := range f.Env(filepath.Join(env.WorkDir, "gcloud"), token) {
		name, value, _ := strings.Cut(kv, "=")
		env.Setenv(name, value)
	}
	return nil
}

func fake(ts *testscript.TestScript) *cloudfake.Fake { return ts.Value(key{}).(*cloudfake.Fake) }

// sent REGEXP: a request was recorded whose text matches. ! sent: none was.
func sent(ts *testscript.TestScript, neg bool, args []string) {
	all := cloudfake.Text(fake(ts).Requests())
	if found := regexp.MustCompile("(?m)" + args[0]).MatchString(all); found == neg {
		ts.Fatalf("sent %s: %v in\n%s", args[0], found, all)
	}
}

// state REGEXP: a line of Names matches. ! state: none does.
func state(ts *testscript.TestScript, neg bool, args []string) {
	all := strings.Join(fake(ts).Names(), "\n")
	if found := regexp.MustCompile("(?m)" + args[0]).MatchString(all); found == neg {
		ts.Fatalf("state %s: %v in\n%s", args[0], found, all)
	}
}

// seed document|entry|image puts one of them into the cloud.
func seed(ts *testscript.TestScript, _ bool, args []string) {
	switch args[0] {
	case "document":
		fake(ts).SetDocument("p", "rotator-dev", args[1],
			map[string]any{"phase": map[string]any{"stringValue": args[2]}})
	case "entry":
		fake(ts).AddEntry(map[string]any{"logName": "projects/p/logs/run", "timestamp": "2026-11-23T00:00:00Z",
			"textPayload": args[1]})
	case "image":
		ts.Setenv("DIGEST", fake(ts).AddImage(args[1]))
	default:
		ts.Fatalf("seed %s?", args[0])
	}
}

// refuse PATTERN permission|quota makes one request fail.
func refuse(ts *testscript.TestScript, _ bool, args []string) {
	err := cloudfake.PermissionDenied("some.thing.get", "projects/p")
	if args[1] == "quota" {
		err = cloudfake.QuotaExceeded("some/requests", "projects/p")
	}
	fake(ts).Refuse(cloudfake.Fault{Path: regexp.MustCompile(args[0]), Times: 1, Error: err})
}
