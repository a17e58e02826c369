package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// repository is where this package's tests are begun from.
var repository, _ = filepath.Abs("..")

// shellWords splits a line as bash does.
func shellWords(t interface{ Fatalf(string, ...any) }, line string) []string {
	out, err := exec.Command("bash", "-c", `printf '%s\0' `+line).Output()
	if err != nil {
		t.Fatalf("bash does not take %q: %v", line, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// accepted says whether the program has a command that takes these words.
func accepted(args []string) error {
	cmd, rest, err := newApp(nil, io.Discard, io.Discard).command(nil).Find(args)
	if err != nil {
		return err
	}
	if !cmd.HasParent() {
		return fmt.Errorf("%q is no command", args)
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// TestAdviceIsTyped: whatever is advised, for any reason and in any notice, can be
// typed, and a name is one word of it, whoever gave it.
func TestAdviceIsTyped(t *testing.T) {
	const evil = "p/l/a b'; rm -rf ~ \x1b[2J$(x)"
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	advices := map[reason.Advice]bool{}
	for _, code := range reason.All() {
		advices[code.Info().Next] = true
	}
	for _, k := range record.NoticeKinds {
		advices[k.Next] = true
	}
	reference, err := os.ReadFile(filepath.Join("..", "deploy", "CONFIG.md"))
	if err != nil {
		t.Fatal(err)
	}
	for advice := range advices {
		for _, part := range words.Advice(advice, evil, "prod") {
			if !part.Command {
				if strings.Contains(part.Text, "--") || strings.Contains(part.Text, "scripts/") {
					t.Errorf("%q: the words %q hold a command", advice, part.Text)
				}
				continue
			}
			typed := shellWords(t, part.Text)
			switch {
			case typed[0] == "rotator":
				if err := accepted(typed[1:]); err != nil {
					t.Errorf("%q is not accepted: %v", part.Text, err)
				}
				if strings.Contains(part.Text, "p/l/") && !slices.Contains(typed, evil) {
					t.Errorf("%q: the cluster is not one word: %q", part.Text, typed)
				}
			case strings.HasPrefix(typed[0], "scripts/"):
				if _, err := os.Stat(filepath.Join("..", typed[0])); err != nil || typed[1] != "prod" {
					t.Errorf("%q: %v", part.Text, err)
				}
			case strings.HasPrefix(typed[0], config.Prefix):
				if !bytes.Contains(reference, []byte("`"+typed[0]+"`")) {
					t.Errorf("there is no setting %s", typed[0])
				}
			case strings.HasPrefix(part.Text, "gcloud container operations list --"):
				if want := []string{"--project=p", "--location=l"}; !slices.Equal(typed[4:], want) {
					t.Errorf("%q: typed are %q", part.Text, typed)
				}
			case part.Text != "gcloud container clusters describe" &&
				part.Text != "gcloud container operations describe":
				t.Errorf("nobody knows %q", part.Text)
			}
		}
	}
}

// typedCommand is "typed TIME CLUSTER ...": it reads every screen about the fleet
// and these clusters at that time, and types every command that stands there, each
// on a copy of the store.
func typedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: typed TIME CLUSTER ...")
	}
	g, _ := ts.Value("gke").(*servedGKE)
	first := g.typed == nil
	if first {
		g.typed = map[string]bool{}
	}
	// of clusters, that went on
	maps.DeleteFunc(g.typed, func(command string, _ bool) bool { return strings.Contains(command, "/") })
	before := len(g.typed)
	y := &typist{ts: ts, now: args[0], cluster: args[1], typed: g.typed}
	page := ts.MkAbs("page.html")
	y.read("plan --report " + page)
	y.read("plan --format json")
	y.read("status --report " + page)
	y.read("status --format json")
	if first {
		y.read("forecast --days 5")
		y.read("validate")
		y.read("simulate --days 1")
	}
	for _, c := range args[1:] {
		y.read("plan --explain " + c)
		y.read("status " + c)
		y.read("status " + c + " --format json")
		y.read("handover " + c)
		y.read("handover --format json " + c)
		y.read("approve " + c + " --by ann --reason why")
		y.read("rotate " + c + " --by ann --reason why")
	}
	ts.Logf("typed were:\n%s", strings.Join(slices.Sorted(maps.Keys(y.typed)), "\n"))
	if n := len(y.typed) - before; n < 6 {
		ts.Fatalf("only %d commands were typed", n)
	}
}

type typist struct {
	ts           *testscript.TestScript
	now, cluster string
	typed        map[string]bool
}

// run types one command on a copy of the store and gives what it says.
func (y *typist) run(line string) (int, string) {
	args := shellWords(y.ts, line)
	cmd, _, err := newApp(nil, io.Discard, io.Discard).command(nil).Find(args)
	y.ts.Check(err)
	if cmd.Flags().Lookup("days") != nil && !strings.Contains(line, "--days") {
		args = append(args, "--days", "2") // long ones teach a test nothing
	}
	if cmd.Flags().Lookup("at") != nil {
		args = append(args, "--at", y.now)
	}
	text, err := os.ReadFile(y.ts.MkAbs("store.db"))
	y.ts.Check(err)
	contents := y.ts.MkAbs("typed.db")
	y.ts.Check(os.WriteFile(contents, text, 0o600))
	environ := []string{"COLUMNS=160", "NO_COLOR=1", "ROTATOR_STATE=file:" + contents}
	for _, name := range []string{"ENV", "PROJECTS", "MODE", "GKE_ENDPOINT", "APPROVAL", "OWNER_LABELS", "SOAK",
		"MAX_FAILED", "WAVES"} {
		if v := y.ts.Getenv("ROTATOR_" + name); v != "" {
			environ = append(environ, "ROTATOR_"+name+"="+v)
		}
	}
	var out bytes.Buffer
	code := run(context.Background(), args, environ, &out, &out)
	return code, out.String()
}

// read runs a screen and types what it prints.
func (y *typist) read(screen string) {
	_, text := y.run(screen)
	switch {
	case strings.Contains(screen, "json"):
		var v any
		if json.Unmarshal([]byte(text), &v) == nil {
			text = strings.Join(stringsIn(v), "\n")
		}
	case strings.Contains(screen, "--report"):
		page, err := os.ReadFile(y.ts.MkAbs("page.html"))
		y.ts.Check(err)
		text += "\n" + html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(string(page), "\n"))
	}
	for _, command := range commandsOf(text) {
		if !y.typed[command] {
			y.typed[command] = true
			y.try(screen, command)
		}
	}
}

func stringsIn(v any) (out []string) {
	switch v := v.(type) {
	case string:
		out = append(out, v)
	case []any:
		for _, x := range v {
			out = append(out, stringsIn(x)...)
		}
	case map[string]any:
		for _, x := range v {
			out = append(out, stringsIn(x)...)
		}
	}
	return out
}

// A command goes on while its words are flags, names of clusters, what people fill
// in, or what is quoted. What follows is a sentence again.
var (
	commandLine = regexp.MustCompile(`(?:^|[^\w/"-])((?:rotator [a-z]+|scripts/[a-z-]+)(?: (?:--all\b|--[a-z]+ (?:'[^']*'|[^\s,;]+)|'[^']*'|[^\s/,;]+/[^\s/,;]+/[^\s,;]+|[A-Z]{2,}\b|(?:all|json|ics|test)\b))*)`)
	proseBefore = regexp.MustCompile(`\b(?:the|a) $`)
)

func commandsOf(text string) []string {
	var found []string
	for _, m := range commandLine.FindAllStringSubmatchIndex(text, -1) {
		if !proseBefore.MatchString(text[max(m[2]-4, 0):m[2]]) {
			found = append(found, strings.TrimRight(text[m[2]:m[3]], ".:)"))
		}
	}
	return found
}

// mentioned are commands that a sentence names without their arguments.
var mentioned = regexp.MustCompile(`^rotator (?:[a-z]+|hold CLUSTER)$`)

// try types one command, with what people fill in filled in.
func (y *typist) try(screen, command string) {
	line := regexp.MustCompile(`\b(?:NAME|YOU)\b`).ReplaceAllString(command, "ann")
	line = regexp.MustCompile(`\bWHY\b`).ReplaceAllString(line, "why")
	line = regexp.MustCompile(`\bCLUSTER\b`).ReplaceAllString(line, y.cluster)
	line = strings.NewReplacer("YOUR.json", y.ts.MkAbs("fleet.json"), "NEW.env",
		y.ts.MkAbs("new.env")).Replace(line)
	if script, args, ok := strings.Cut(line, " "); ok && strings.HasPrefix(script, "scripts/") {
		if _, err := os.Stat(filepath.Join(repository, script)); err != nil || args != y.ts.Getenv("ROTATOR_ENV") {
			y.ts.Fatalf("%s prints %q: %v", screen, command, err)
		}
		return
	}
	rest := strings.TrimPrefix(line, "rotator ")
	if err := accepted(shellWords(y.ts, rest)); err != nil {
		if _, _, found := newApp(nil, io.Discard,
			io.Discard).command(nil).Find(strings.Fields(rest)); found == nil && mentioned.MatchString(command) {
			return
		}
		y.ts.Fatalf("%s prints %q, which is not accepted: %v", screen, command, err)
	}
	code, said := y.run(rest)
	if strings.Contains(said, "PermissionDenied") {
		return
	}
	if code != 0 && (!circumstances.MatchString(line) || strings.Contains(line, "release --") ||
		strings.Contains(said, "--help") ||
		strings.Contains(said, " is missing")) && !mentioned.MatchString(command) {
		y.ts.Fatalf("%s prints %q: exit status %d\n%s", screen, command, code, said)
	}
	if code != 0 { // that, too, may say what to type
		for _, next := range commandsOf(said) {
			if !y.typed[next] {
				y.typed[next] = true
				y.try(line, next)
			}
		}
	}
}
