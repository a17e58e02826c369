package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// commandsIn lists the commands of a document: the lines of its blocks, joined
// where a backslash ends them, and what stands between backquotes, if they begin
// with a script, rotator or gcloud.
func commandsIn(text string) []string {
	var found []string
	blocks := regexp.MustCompile("(?ms)^```\n(.*?)^```$")
	for _, m := range blocks.FindAllStringSubmatch(text, -1) {
		found = append(found, strings.Split(strings.ReplaceAll(m[1], "\\\n", " "), "\n")...)
	}
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(blocks.ReplaceAllString(text, ""),
		-1) {
		found = append(found, strings.ReplaceAll(m[1], "\n", " "))
	}
	known := regexp.MustCompile(`^(scripts/[a-z-]+|rotator|gcloud) \S`)
	found = slices.DeleteFunc(found, func(c string) bool {
		return !known.MatchString(c) || c == "rotator X" ||
			c == "scripts/run-now prod X"
	})
	slices.Sort(found)
	return slices.Compact(found)
}

// words splits a command as the shell does, as far as ours use it.
func words(command string) ([]string, error) {
	var out []string
	rest := strings.TrimSpace(command)
	word := regexp.MustCompile(`^(?:'[^']*'|"[^"$\x60\\]*"|[^\s'"$\x60\\|&;<>()*]+)+`)
	for rest != "" {
		w := word.FindString(rest)
		if w == "" {
			return nil, fmt.Errorf("the shell would make something else of %q", rest)
		}
		out = append(out, regexp.MustCompile(`'([^']*)'|"([^"]*)"`).ReplaceAllString(w, "$1$2"))
		rest = rest[len(w):]
		if trimmed := strings.TrimLeft(rest, " "); trimmed == rest && rest != "" {
			return nil, fmt.Errorf("the shell would make something else of %q", rest)
		} else {
			rest = trimmed
		}
	}
	return out, nil
}

// TestRunbookCommands: every command in the runbook is one that there is, with
// flags and arguments that it takes.
func TestRunbookCommands(t *testing.T) {
	var google []string
	for _, command := range commandsIn(runbook(t)) {
		args, err := words(command)
		switch {
		case err != nil:
			t.Errorf("%s: %v", command, err)
		case args[0] == "gcloud":
			google = append(google, command)
			if args[1] == "logging" {
				checkLogFilter(t, command, args[3])
			}
		case args[0] == "rotator":
			checkRotator(t, command, args[1:])
		case !slices.Contains([]string{"dev", "staging", "prod"}, args[1]):
			t.Errorf("%s: the documents' own environments are dev, staging and prod, not %q", command, args[1])
		case args[0] == "scripts/run-now":
			checkRotator(t, command, args[2:])
		default:
			checkScript(t, command, args)
		}
	}
	checkGcloud(t, google)
}

// checkRotator asks the program itself: an unknown flag is an error before
// --help is reached, and the line of usage says how many arguments it takes.
func checkRotator(t *testing.T, command string, args []string) {
	t.Helper()
	path, err := rotator()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), path, append(slices.Clone(args), "--help")...).CombinedOutput()
	usage := regexp.MustCompile(`(?m)^  rotator ` + regexp.QuoteMeta(args[0]) +
		`( .*)?$`).FindString(string(out))
	if err != nil || usage == "" {
		t.Errorf("%s: %v\n%s", command, err, out)
		return
	}
	least, most, given := strings.Count(usage, " CLUSTER"), strings.Count(usage, "CLUSTER"), 0
	for i := 1; i < len(args); i++ {
		if strings.HasPrefix(args[i], "--") {
			i++ // every flag of ours has a value
			continue
		}
		given++
	}
	if given < least || given > most {
		t.Errorf("%s: it takes %s", command, strings.TrimSpace(usage))
	}
}

// checkScript: the script is there, and knows the word that follows the
// environment.
func checkScript(t *testing.T, command string, args []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", args[0]))
	if err != nil {
		t.Errorf("%s: %v", command, err)
		return
	}
	for _, word := range args[2:] {
		if word == strings.ToLower(word) && !strings.Contains(string(text), word) {
			t.Errorf("%s: %s knows no %q", command, args[0], word)
		}
	}
}

// checkLogFilter: a filter for people must be one that finds something, too.
func checkLogFilter(t *testing.T, command, filter string) {
	t.Helper()
	e, err := readFilter(filter)
	if err != nil {
		t.Errorf("%s: %v", command, err)
		return
	}
	for _, c := range comparisons(e) {
		for _, v := range c.values {
			if c.field == "jsonPayload.event" && !slices.Contains(eventsInSource(t), v.text) {
				t.Errorf("%s: the program has no event %q", command, v.text)
			}
		}
	}
}

// checkGcloud lets gcloud judge its commands by their names, flags and arguments.
// It calls nobody.
func checkGcloud(t *testing.T, commands []string) {
	t.Helper()
	need(t, "gcloud")
	file := filepath.Join(t.TempDir(), "commands.md")
	// it must look like one
	text := strings.ReplaceAll(strings.Join(commands, "\n"), "--project=PROJECT", "--project=acme-shop")
	if err := os.WriteFile(file, []byte("```\n"+text+"\n```\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "gcloud", "meta", "lint-gcloud-commands", "--commands-text-file="+
		file)
	cmd.Env = append(os.Environ(), "CLOUDSDK_CONFIG="+t.TempDir(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1",
		"CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true")
	out, err := cmd.Output()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	var verdicts []struct {
		Command string `json:"command_string"`
		Success bool   `json:"success"`
		Message string `json:"error_message"`
	}
	if err := json.Unmarshal(out, &verdicts); err != nil {
		t.Fatalf("gcloud: %v\n%s", err, out)
	}
	if len(verdicts) != len(commands) || len(commands) == 0 {
		t.Errorf("gcloud judged %d of %d commands", len(verdicts), len(commands))
	}
	for _, v := range verdicts {
		if !v.Success {
			t.Errorf("%s: %s", v.Command, v.Message)
		}
	}
}

// TestCommandReader: what is found in a document, and how it is split.
func TestCommandReader(t *testing.T) {
	text := "Say `scripts/doctor prod`, or `status`.\n```\ngcloud a b \\\n  --c='d e' --f=\"(g)\"\nls\n```\n`rotator plan\n--at X`"
	got := commandsIn(text)
	if want := []string{"gcloud a b    --c='d e' --f=\"(g)\"", "rotator plan --at X",
		"scripts/doctor prod"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	args, err := words(got[0])
	if want := []string{"gcloud", "a", "b", "--c=d e", "--f=(g)"}; err != nil || !slices.Equal(args, want) {
		t.Errorf("split into %q, %v; want %q", args, err, want)
	}
	for _, bad := range []string{"a $b", "a | b", "a (b)", `a "b`, "a 'b", `a "$(b)"`} {
		if args, err := words(bad); err == nil {
			t.Errorf("%s was split into %q", bad, args)
		}
	}
}
