package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "gke-credential-rotator/"

// house says which package of ours may import which, and why no other. The
// third-party column lists module prefixes; nil means any.
var house = map[string]struct {
	ours   []string
	others []string
	why    string
}{
	"policy/window":            {nil, []string{}, "calendar arithmetic is a leaf"},
	"policy/reason":            {nil, []string{}, "the one table of reasons is a leaf"},
	"policy/window/windowtest": {[]string{"policy/window"}, []string{}, "the oracle knows the types, not the arithmetic"},
	"policy":                   {[]string{"policy/window", "policy/reason"}, []string{}, "the rules are pure: values in, values out"},
	"gke/maintenance":          {[]string{"policy/window"}, nil, "the one reading of GKE's calendar, for adapter and simulator"},
	"gke":                      {[]string{"policy", "policy/window", "gke/maintenance"}, nil, "GKE knows nothing of the book"},
	"gke/gkesim":               {[]string{"policy/window", "gke/maintenance"}, nil, "judge and judged must not share the lifecycle"},
	"state":                    {[]string{"policy"}, nil, "the book knows nothing of GKE"},
	"state/emulator":           {nil, []string{}, "starts a program of Google's for tests, knows nothing of ours"},
	"state/statetest":          {[]string{"policy", "policy/window", "state", "policy/reason"}, nil, "the suite knows the port"},
	"job/pass":                 {[]string{"gke", "state", "policy", "policy/window", "policy/reason"}, []string{"golang.org/x/sync"}, "a run knows ports, no cloud"},
	"job/intercept":            {[]string{"gke", "state", "policy"}, []string{}, "stands before the ports of a run and knows nothing else"},
	"job/sim":                  {[]string{"gke", "gke/gkesim", "job/intercept", "job/pass", "state", "policy", "policy/window", "policy/reason"}, []string{"cloud.google.com/go/container", "google.golang.org/grpc", "google.golang.org/protobuf"}, "the simulation drives production code"},
	"job/simtest/trial":        {[]string{"gke", "gke/gkesim", "job/intercept", "job/pass", "job/sim", "state", "policy", "policy/window/windowtest"}, nil, "plays production code under all troubles; its judge takes policy's types and no rule of it"},
	"job/words":                {nil, []string{}, "text made harmless and folded, a leaf for all that shows"},
	"job/handover":             {[]string{"job/words", "policy"}, []string{}, "facts into words and commands: whoever tells people may use it"},
	"job/evidence":             {[]string{"job/words", "policy", "policy/reason"}, []string{}, "records into lines for auditors, nothing added"},
	"job/show":                 {[]string{"job/sim", "job/pass", "job/words", "policy", "policy/window", "policy/reason"}, nil, "pictures of values, no doing"},
	"job/simtest/fleets":       {[]string{"gke", "gke/gkesim"}, nil, "clusters for tests alone"},
	"job/report":               {[]string{"job/words", "job/show", "job/sim", "job/pass", "policy", "policy/reason"}, []string{}, "a page of values, no doing; it speaks with show's words"},
	"job/tell":                 {[]string{"job/words", "job/pass", "policy", "policy/reason"}, nil, "brings notices to people's systems, decides nothing"},
	"job/simtest/corpus":       {nil, []string{}, "the seeds of fuzz targets, for tests alone"},
	"scripts/cloudfake":        {nil, nil, "Google Cloud for tests of the scripts, knows nothing of ours"},
	"job":                      {[]string{"job/words", "job/evidence", "job/handover", "job/report", "job/show", "job/tell", "job/sim", "job/pass", "gke", "gke/gkesim", "state", "policy", "policy/window", "policy/reason"}, nil, "parses, wires, exits"},
}

// pure packages must not even reach for these of the standard library.
var impure = []string{"os", "net", "net/http", "log", "log/slog", "context", "math/rand", "math/rand/v2", "io/fs", "os/exec"}

func TestArrows(t *testing.T) {
	fset := token.NewFileSet()
	seen := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(strings.TrimPrefix(path, "../")))
		rule, ok := house[pkg]
		if !ok {
			t.Errorf("package %s has no place in the house: add it to the table with its reason", pkg)
			return nil
		}
		seen[pkg] = true
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, path, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imp, _ := strconv.Unquote(spec.Path.Value)
			checkImport(t, path, pkg, imp, rule.ours, rule.others, rule.why)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range []string{"policy", "policy/window", "gke", "gke/gkesim", "state", "job", "job/pass", "job/sim"} {
		if !seen[pkg] {
			t.Errorf("package %s is in the table and not in the tree", pkg)
		}
	}
}

// isHarness: the package is there for tests alone.
func isHarness(pkg string) bool {
	named := []string{"policy/window/windowtest", "state/statetest", "state/emulator", "scripts/cloudfake"}
	return strings.HasPrefix(pkg, "job/simtest/") || slices.Contains(named, pkg)
}

// TestProductNeedsNoHarness: by the table, which TestArrows holds the code to, no
// package of the product imports one that is there for tests.
func TestProductNeedsNoHarness(t *testing.T) {
	for pkg, rule := range house {
		if at := slices.IndexFunc(rule.ours, isHarness); at >= 0 && !isHarness(pkg) {
			t.Errorf("%s is part of the product and may import %s, which is there for tests", pkg, rule.ours[at])
		}
	}
}

func checkImport(t *testing.T, path, pkg, imp string, ours, others []string, why string) {
	t.Helper()
	if inner, ok := strings.CutPrefix(imp, module); ok {
		if !slices.Contains(ours, inner) {
			t.Errorf("%s: %s must not import %s: %s", path, pkg, inner, why)
		}
		return
	}
	if !strings.Contains(strings.Split(imp, "/")[0], ".") {
		if strings.HasPrefix(pkg, "policy") && slices.Contains(impure, imp) {
			t.Errorf("%s: %s must not import %q: %s", path, pkg, imp, why)
		}
		return
	}
	if others != nil && !slices.ContainsFunc(others, func(o string) bool { return strings.HasPrefix(imp, o) }) {
		t.Errorf("%s: %s must not import %s: %s", path, pkg, imp, why)
	}
}

// TestOnlyPolicyMovesPhases: no code outside policy assigns a phase.
func TestOnlyPolicyMovesPhases(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasPrefix(path, "../policy/") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for i, line := range strings.Split(string(text), "\n") {
			if strings.Contains(line, "otation.Phase = ") || strings.Contains(line, "r.Phase = ") {
				t.Errorf("%s:%d: a phase is assigned outside policy: %s", path, i+1, strings.TrimSpace(line))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
