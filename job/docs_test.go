package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"gke-credential-rotator/policy/lifecycle"
	"gke-credential-rotator/policy/record"
)

// keep checks that the part of the document between <!-- mark --> and
// <!-- /mark --> is what the code says, or writes it with -update.
func keep(t *testing.T, file, mark, want string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), "<!-- "+mark)
	_, rest, ok2 := strings.Cut(rest, "-->\n")
	got, after, ok3 := strings.Cut(rest, "<!-- /"+mark+" -->")
	if !ok || !ok2 || !ok3 {
		t.Fatalf("%s has no part %q", file, mark)
	}
	if got == want {
		return
	}
	if !*update {
		t.Errorf("%s: the part %q is out of date; go test ./job -update writes it:\n%s", file, mark,
			firstDifference(got, want))
		return
	}
	opening := string(text)[len(before) : len(text)-len(rest)]
	if err := os.WriteFile(file, []byte(before+opening+want+"<!-- /"+mark+" -->"+after), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestArchitecturePrintsTheEdges(t *testing.T) {
	name := func(p record.Phase, none string) string {
		if p == "" {
			return none
		}
		return string(p)
	}
	var b strings.Builder
	b.WriteString("\n| from | to | when |\n| --- | --- | --- |\n")
	for _, e := range lifecycle.Edges {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name(e.From, "(idle)"), name(e.To, "(history)"), e.When)
	}
	b.WriteString("\n")
	keep(t, "../ARCHITECTURE.md", "edges", b.String())
}

// TestReadmeShowsTheSimulation: README shows what became of each cluster; what the
// command prints beside it fits a screen.
func TestReadmeShowsTheSimulation(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"simulate"}, []string{"COLUMNS=100"}, &out, &errs); code != 0 {
		t.Fatalf("simulate: exit %d: %s", code, errs.String())
	}
	if n := bytes.Count(out.Bytes(), []byte("\n")); n > 50 {
		t.Errorf("simulate prints %d lines:\n%s", n, out.String())
	}
	parts := strings.Split(out.String(), "\n\n") // head, table, timeline, sum, story, end
	if len(parts) != 6 {
		t.Fatalf("simulate prints %d parts:\n%s", len(parts), out.String())
	}
	keep(t, "../README.md", "simulate", "```\n"+strings.Join(parts[1:4], "\n\n")+"\n```\n")
}
