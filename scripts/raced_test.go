package scripts_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestRaced: scripts/test names every package that may do several things at once,
// for the race detector or as one that it need not look at.
func TestRaced(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("test")
	if err != nil {
		t.Fatal(err)
	}
	named := strings.FieldsFunc(string(script), func(r rune) bool { return strings.ContainsRune(" \n(),.", r) })
	several := map[string]bool{}
	for _, pattern := range []string{"../*/*.go", "../*/*/*.go", "../*/*/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") && severalAtOnce(t, file) {
				several[strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), "..")] = true
			}
		}
	}
	if !several["/job/pass"] {
		t.Errorf("found %v and not ./job/pass", several)
	}
	for dir := range several {
		if !slices.Contains(named, dir) && !strings.HasPrefix(dir, "/state") { // state/... is all of it
			t.Errorf("scripts/test does not name .%s, which does several things at once", dir)
		}
	}
}

// severalAtOnce: does a file start goroutines, or guard something against them?
func severalAtOnce(t *testing.T, path string) (found bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		found = found || name == "sync" || strings.HasSuffix(name, "/errgroup") || name == "sync/atomic"
	}
	ast.Inspect(file, func(n ast.Node) bool {
		_, starts := n.(*ast.GoStmt)
		found = found || starts
		return !found
	})
	return found
}
