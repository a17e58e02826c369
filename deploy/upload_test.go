package deploy_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestUpload: what lies about in somebody's directory does not reach Cloud
// Build, and what git knows of the code does.
func TestUpload(t *testing.T) {
	need(t, "gcloud", "git")
	known, err := exec.Command("git", "ls-files", "--full-name", "../gke", "../job", "../policy", "../state", "../scripts", ".", "../go.mod", "../Dockerfile").Output()
	if err != nil {
		missing(t, "this is not a git repository: "+err.Error())
	}
	dir := t.TempDir()
	if err := uploaded(dir); err != nil {
		t.Fatal(err)
	}
	for file := range strings.Lines(string(known)) {
		file = strings.TrimSpace(file)
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Errorf("%s is not uploaded", file)
		}
	}

	root := t.TempDir()
	if err := copyFile("../.gcloudignore", filepath.Join(root, ".gcloudignore")); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{
		".git/config", ".ssh/id_ed25519", "key.json", ".env", "prod.env", "rotator", "rotator-book.db", "notes/todo.txt",
		"job/rotator-book.db", "job/job.test", "job/cpu.out", "gke/gkesim/testdata/node/node_modules/a/index.js",
		"policy/window/testdata/rapid/a/b.fail", "job/main.go",
	} {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := t.TempDir()
	if err := uploadedFrom(root, out); err != nil {
		t.Fatal(err)
	}
	if got, want := filesOf(t, out), []string{"/.gcloudignore", "/job/main.go"}; !slices.Equal(got, want) {
		t.Errorf("uploaded: %v, want %v", got, want)
	}
}

// filesOf lists all files below a directory, from / on.
func filesOf(t *testing.T, root string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, root))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
