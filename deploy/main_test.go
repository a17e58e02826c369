package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gke-credential-rotator/scripts/fastgcloud"
)

// cleanups run when all tests of this package have ended: for what they share.
var cleanups struct {
	sync.Mutex
	list []func()
}

func atEnd(f func()) {
	cleanups.Lock()
	defer cleanups.Unlock()
	cleanups.list = append(cleanups.list, f)
}

func TestMain(m *testing.M) {
	stop := fastgcloud.Start()
	code := m.Run()
	stop()
	for _, f := range cleanups.list {
		f()
	}
	os.Exit(code)
}

// need skips a test where a program is missing. In CI that is a failure: there
// it must be installed.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program+" is not installed")
		}
	}
}

func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// present is the time by the clock on the wall: real programs are timed here.
func present() time.Time {
	return time.Now() //nolint:forbidigo // see above
}

// offline is an environment for gcloud: no login, no configuration of the
// person who runs the tests, no questions.
func offline(dir string) []string {
	return []string{
		"HOME=" + dir,
		"PATH=" + os.Getenv("PATH"),
		"CLOUDSDK_CONFIG=" + filepath.Join(dir, "gcloud"),
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true",
		"CLOUDSDK_CORE_DISABLE_PROMPTS=1",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true",
		"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true",
		"CLOUDSDK_SURVEY_DISABLE_PROMPTS=true",
	}
}

// uploaded is a copy of the files that gcloud would upload to Cloud Build, as
// gcloud itself reads .gcloudignore.
func uploaded(dir string) error { return uploadedFrom("..", dir) }

func uploadedFrom(root, dir string) error {
	home, err := os.MkdirTemp("", "rotator-gcloud-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(home) }()
	cmd := exec.Command("gcloud", "meta", "list-files-for-upload", root)
	cmd.Env = offline(home)
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	for file := range strings.Lines(string(out)) {
		file = strings.TrimSpace(file)
		if err := copyFile(filepath.Join(root, file), filepath.Join(dir, file)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, info.Mode().Perm())
}
