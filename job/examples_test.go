package main

import (
	"io"
	"os/exec"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

// cannotRun are examples that need more than a simulated GKE, by what they say.
var cannotRun = regexp.MustCompile(`^gcloud |--serve |file:/var/lib|Out-String`)

// circumstances are commands that refuse, rightly, where nobody waits for them.
var circumstances = regexp.MustCompile(`^rotator (approve|adopt|retry|release|rotate) `)

// examplesCommand is "examples TIME": it runs every example of every command's
// help as bash would, on a copy of store.db, at that time of the simulated GKE,
// and wants it to do what it says.
func examplesCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: examples TIME")
	}
	root := newApp(nil, io.Discard, io.Discard).command(nil)
	ran := 0
	for _, cmd := range append(root.Commands(), root) {
		if cmd.Example == "" && !cmd.Hidden && cmd.Name() != "help" {
			ts.Fatalf("%s has no example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			if line == "" || cannotRun.MatchString(line) {
				continue
			}
			ran++
			runExample(ts, cmd, line, args[0])
		}
	}
	ts.Logf("%d examples were run", ran)
	if ran < 25 {
		ts.Fatalf("only %d examples were run", ran)
	}
}

// runExample runs one line, but for what it is put into or piped to, which may be
// anywhere on this machine.
func runExample(ts *testscript.TestScript, cmd *cobra.Command, line, now string) {
	line, _, _ = strings.Cut(line, " > ")
	line, filter, _ := strings.Cut(line, " | ")
	line, _, _ = strings.Cut(line, "  ") // the root's examples say what they do
	if m := regexp.MustCompile(`\brotator ([a-z]+)`).FindStringSubmatch(line); m != nil {
		if named, _, err := cmd.Root().Find(m[1:]); err == nil {
			cmd = named // the root's examples are of others
		}
	}
	switch {
	case cmd.Name() == "simulate":
		// long ones teach a test nothing
		line = regexp.MustCompile(` --days \d+`).ReplaceAllString(line, "") + " --days 2"
	case cmd.Flags().Lookup("at") != nil && !strings.Contains(line, "--at "):
		line += " --at " + now
	}
	if _, err := exec.LookPath("jq"); err == nil && strings.HasPrefix(filter, "jq ") {
		line += " | " + filter
	}
	if err := ts.Exec("bash", "-o", "pipefail", "-c", "cp saved.db store.db\n"+line); err != nil {
		said := ts.ReadFile("stderr")
		if circumstances.MatchString(line) && !strings.Contains(said, "--help") &&
			!strings.Contains(said, " is missing") {
			return
		}
		ts.Fatalf("the example %q: %v\n%s", line, err, said)
	}
}
