// Package fastgcloud_test compares it with the gcloud that it stands for.
package fastgcloud_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gke-credential-rotator/scripts/cloudfake"
	"gke-credential-rotator/scripts/fastgcloud"
)

func TestMain(m *testing.M) {
	stop := fastgcloud.Start()
	status := m.Run()
	stop()
	os.Exit(status)
}

// TestFork: a gcloud that is forked prints, ends and asks Google as one that
// was started does.
func TestFork(t *testing.T) {
	fast, err := exec.LookPath("gcloud")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("gcloud is not installed")
		}
		t.Skip("gcloud is not installed")
	}
	_, rest, _ := strings.Cut(os.Getenv("PATH"), string(os.PathListSeparator))
	t.Setenv("PATH", rest)
	started, err := exec.LookPath("gcloud")
	if err != nil || started == fast {
		t.Fatalf("%s is the fast one, %s the other: %v", fast, started, err)
	}
	dir := t.TempDir()
	policy := `{"bindings": [{"role": "roles/viewer", "members": ["user:ä@b.c"]}]}`
	for name, text := range map[string]string{"token": "not-a-secret", "policy.json": policy} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	play := func(program string) string {
		f := cloudfake.New()
		f.AddProject("p", 111, "folder/22", "organization/33")
		f.AllEnabled = true
		if err := f.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		var all bytes.Buffer
		for _, line := range []string{
			"pubsub topics create ü --project=p --quiet",                                 // a name that is none
			"projects set-iam-policy p policy.json --quiet",                              // a file, by where it is
			"run jobs replace - --project=p --region=europe-west1",                       // the standard input
			"projects get-iam-policy p --format=json",                                    // what is there
			"iam service-accounts describe nobody@p.iam.gserviceaccount.com --project=p", // what is not
			"projects describe p --no-such-flag",                                         // what is no command
		} {
			cmd := exec.CommandContext(t.Context(), program, strings.Fields(line)...)
			cmd.Dir, cmd.Stdin = dir, strings.NewReader("kind: Job\n")
			cmd.Env = append(f.Env(filepath.Join(dir, "config"), filepath.Join(dir, "token")), "PATH="+rest,
				"HOME="+dir)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); cmd.ProcessState == nil {
				t.Fatal(err)
			}
			all.WriteString("$ gcloud " + line + "\n" + stdout.String() + stderr.String() + cmd.ProcessState.String() +
				"\n")
		}
		return all.String() + cloudfake.Text(f.Requests())
	}
	want := play(started)
	t.Log(want)
	if got := play(fast); got != want {
		t.Errorf("forked:\n%s\nstarted:\n%s", got, want)
	}
}
