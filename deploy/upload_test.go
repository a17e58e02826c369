package deploy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestUpload: all of the code and what its tests read reaches Cloud Build, and
// what lies about in somebody's directory does not.
func TestUpload(t *testing.T) {
	need(t, "gcloud")
	dir := t.TempDir()
	if err := uploaded(dir); err != nil {
		t.Fatal(err)
	}
	left := regexp.MustCompile(`/node_modules/|/testdata/rapid/|\.(db|test|out)$`) // what tests leave behind
	for _, part := range []string{"/deploy", "/docs", "/gke", "/job", "/policy", "/scripts", "/state"} {
		for _, file := range filesOf(t, ".."+part) {
			if _, err := os.Stat(dir + part + file); err != nil && !left.MatchString(file) {
				t.Errorf("%s%s is not uploaded", part, file)
			}
		}
	}

	root := t.TempDir()
	if err := copyFile("../.gcloudignore", filepath.Join(root, ".gcloudignore")); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{
		".git/config", ".ssh/id_ed25519", "key.json", ".env", "prod.env", "rotator", "rotator-store.db",
		"notes/todo.txt",
		"job/rotator-store.db", "job/job.test", "job/cpu.out", "gke/gkesim/testdata/node/node_modules/a/index.js",
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
