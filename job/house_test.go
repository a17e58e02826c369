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
	"gke": {[]string{"gke/maintenance", "policy/fleet", "policy/record", "policy/window"}, nil,
		"GKE knows nothing of the store"},
	"gke/gkesim": {[]string{"gke/maintenance", "policy/window"}, nil,
		"judge and judged must not share the lifecycle"},
	"gke/maintenance": {[]string{"policy/window"}, nil,
		"the one reading of GKE's calendar, for adapter and simulator"},
	"job": {[]string{"gke", "gke/gkesim", "job/config", "job/notify", "job/pass", "job/sim", "job/view",
		"job/view/evidence", "job/view/handover", "job/view/html", "job/view/ics", "job/view/terminal",
		"job/words", "policy", "policy/fact", "policy/fleet", "policy/notice", "policy/operator",
		"policy/reason", "policy/record", "policy/rules", "state"}, nil,
		"parses, wires, exits"},
	"job/config": {[]string{"job/words", "policy/fleet", "policy/record", "policy/rules",
		"policy/window"},
		[]string{"github.com/kelseyhightower/envconfig"},
		"settings into values: it reads texts, and does nothing"},
	"job/intercept": {[]string{"gke", "policy/fleet", "policy/record", "state"}, []string{},
		"stands before the ports of a run and knows nothing else"},
	"job/pass": {[]string{"gke", "policy", "policy/capacity", "policy/fact", "policy/fleet", "policy/insight",
		"policy/notice", "policy/outcome", "policy/reason", "policy/record", "policy/rules", "state"},
		[]string{"golang.org/x/sync"},
		"a run knows ports, no cloud"},
	"job/sim": {[]string{"gke", "gke/gkesim", "job/intercept", "job/pass", "policy", "policy/fact",
		"policy/fleet", "policy/reason", "policy/record", "policy/rules", "state"},
		[]string{"cloud.google.com/go/container", "google.golang.org/grpc", "google.golang.org/protobuf"},
		"the simulation drives production code"},
	"job/simtest/corpus": {nil, []string{},
		"the seeds of fuzz targets, for tests alone"},
	"job/simtest/fleets": {[]string{"gke", "gke/gkesim"}, nil,
		"clusters for tests alone"},
	"job/simtest/trial": {[]string{"gke", "gke/gkesim", "job/intercept", "job/pass", "job/sim",
		"policy/fleet", "policy/operator", "policy/record", "policy/rules", "policy/window/windowtest",
		"state"}, nil,
		"plays production code under all troubles; its judge takes policy's types and no rule of it"},
	"job/notify": {[]string{"job/config", "job/pass", "job/words", "policy/fleet", "policy/reason",
		"policy/record"}, nil,
		"brings notices to people's systems, decides nothing"},
	"job/view": {[]string{"job/config", "job/pass", "job/sim", "job/words", "policy", "policy/capacity",
		"policy/fact", "policy/fleet", "policy/insight", "policy/notice", "policy/reason",
		"policy/record", "policy/rules", "policy/window"}, []string{},
		"the one model of what is shown; it settles what renderers must not"},
	"job/view/evidence": {[]string{"job/words", "policy/fleet", "policy/reason", "policy/record"}, []string{},
		"records into lines for auditors, nothing added"},
	"job/view/handover": {[]string{"job/words", "policy/fleet", "policy/record"}, []string{},
		"facts into words and commands: whoever tells people may use it"},
	"job/view/html": {[]string{"job/pass", "job/sim", "job/view", "job/words", "policy", "policy/fleet",
		"policy/reason", "policy/record", "policy/rules"}, []string{},
		"a view as a page of HTML, no deciding"},
	"job/view/ics": {[]string{"job/sim", "job/view", "job/words", "policy/record"},
		[]string{"github.com/arran4/golang-ical"},
		"the calendar of a forecast"},
	"job/view/terminal": {[]string{"job/pass", "job/sim", "job/view", "job/view/handover", "job/words",
		"policy", "policy/fleet", "policy/reason", "policy/record", "policy/rules"}, []string{},
		"a view as text for a terminal, no deciding"},
	"job/words": {nil, []string{"github.com/mattn/go-runewidth"},
		"text made harmless and folded, a leaf for all that shows"},
	"policy": {[]string{"policy/course", "policy/fact", "policy/fleet", "policy/lifecycle", "policy/reason",
		"policy/record", "policy/rules", "policy/window"}, []string{},
		"the engine is pure: values in, values out"},
	"policy/capacity": {[]string{"policy", "policy/fact", "policy/fleet", "policy/reason", "policy/record",
		"policy/rules", "policy/window"}, []string{},
		"an estimate from the engine's own dates; no rule of its own"},
	"policy/course": {[]string{"policy/fact", "policy/fleet", "policy/record", "policy/rules", "policy/window"},
		[]string{},
		"one cluster's dates, below the gates that ask for them"},
	"policy/fact": {nil, []string{},
		"sentences with typed facts are a leaf"},
	"policy/fleet": {[]string{"policy/window"}, []string{},
		"the words of the domain: what a cluster is, not what to do with it"},
	"policy/insight": {[]string{"policy", "policy/fact", "policy/fleet", "policy/record", "policy/rules"},
		[]string{},
		"compares for people; nothing that decides reads it"},
	"policy/lifecycle": {[]string{"policy/fact", "policy/reason", "policy/record"}, []string{},
		"the moves of a rotation, and nothing of why one is made"},
	"policy/notice": {[]string{"policy", "policy/fact", "policy/fleet", "policy/reason", "policy/record",
		"policy/rules", "policy/window"}, []string{},
		"tells of what was decided; nothing that decides reads it"},
	"policy/operator": {[]string{"policy", "policy/fact", "policy/fleet", "policy/reason", "policy/record",
		"policy/rules"}, []string{},
		"people's words into the fleet document; the engine reads that"},
	"policy/outcome": {[]string{"policy", "policy/fact", "policy/fleet", "policy/lifecycle", "policy/reason",
		"policy/record", "policy/rules", "policy/window"},
		[]string{},
		"decisions and answers into the store's documents; it decides nothing anew"},
	"policy/policytest": {[]string{"policy", "policy/fleet", "policy/record", "policy/rules"}, []string{},
		"what the tests of the rules share, for tests alone"},
	"policy/reason": {nil, []string{},
		"the one table of reasons is a leaf"},
	"policy/record": {[]string{"policy/fact", "policy/fleet", "policy/reason"}, []string{},
		"what is stored and how large it may get; no rules"},
	"policy/rules": {[]string{"policy/fact", "policy/fleet", "policy/record", "policy/window"}, []string{},
		"what a deployment and a cluster's owners want, below all that decides"},
	"policy/window": {nil, []string{},
		"calendar arithmetic is a leaf"},
	"policy/window/windowtest": {[]string{"policy/window"}, []string{},
		"the oracle knows the types, not the arithmetic"},
	"scripts/cloudfake": {nil, nil,
		"Google Cloud for tests of the scripts, knows nothing of ours"},
	"scripts/fastgcloud": {nil, []string{},
		"starts the real gcloud for tests, a leaf"},
	"state": {[]string{"policy/fleet", "policy/record"}, nil,
		"stores know what is stored, neither the rules nor GKE"},
	"state/emulator": {nil, []string{},
		"starts a program of Google's for tests, knows nothing of ours"},
	"state/statetest": {[]string{"policy", "policy/fact", "policy/fleet", "policy/operator",
		"policy/outcome", "policy/reason", "policy/record", "policy/rules", "state"}, nil,
		"the suite knows the port"},
}

// pure packages must not even reach for these of the standard library.
var impure = []string{"os", "net", "net/http", "log", "log/slog", "context", "math/rand", "math/rand/v2",
	"io/fs", "os/exec"}

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
	for _, pkg := range []string{"policy", "policy/window", "gke", "gke/gkesim", "state", "job", "job/pass",
		"job/sim"} {
		if !seen[pkg] {
			t.Errorf("package %s is in the table and not in the tree", pkg)
		}
	}
}

// isHarness: the package is there for tests alone.
func isHarness(pkg string) bool {
	named := []string{"policy/policytest", "policy/window/windowtest", "state/statetest", "state/emulator",
		"scripts/cloudfake", "scripts/fastgcloud"}
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
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasPrefix(path, "../policy/") ||
			strings.HasSuffix(path, "_test.go") {
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
