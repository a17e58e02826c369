package config

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// Settings come from the environment of the process, where envconfig reads them.
// A simulation, and the other policy of a comparison, are under settings that the
// process does not have. Those are an environment, too, in the form of
// [os.Environ]: [Simulation] and [Over] make it, [Read] takes it, and nobody
// changes the process's own.

// take gives the row its text of that environment, where it differs from the one
// that envconfig knows.
func (r row) take(vars map[string]string) {
	text, given := vars[Prefix+r.Name]
	text = strings.TrimSpace(text)
	if !given || text == "" && slices.Contains(saysNothing, r.Default) {
		text = r.Default
	}
	*r.value.written() = text
}

// saysNothing are the defaults that an empty value may stand for.
var saysNothing = []string{"all", "none", "off", "one", "always", "google"}

// Variables are the variables of an environment.
func Variables(environ []string) map[string]string {
	out := map[string]string{}
	for _, e := range environ {
		if k, v, ok := strings.Cut(e, "="); ok {
			out[k] = v
		}
	}
	return out
}

func environOf(vars map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		out = append(out, k+"="+vars[k])
	}
	return out
}

// Simulation is the environment of a simulation: some settings are its own, the
// others are the operator's, and nothing else is taken over.
func Simulation(environ []string) []string {
	vars := Variables(environ)
	maps.DeleteFunc(vars, func(name, _ string) bool { return !strings.HasPrefix(name, Prefix) })
	for _, r := range rowsOf(&Settings{}) {
		if own := r.field.Tag.Get("sim"); own != "" {
			vars[Prefix+r.Name] = own
		}
	}
	return environOf(vars)
}

// Over puts a file's settings over those of the environment, but for those that
// say which fleet it is.
func Over(environ, lines []string) []string {
	vars, others := Variables(environ), Variables(lines)
	for _, r := range rowsOf(&Settings{}) {
		if r.is("fleet") {
			delete(others, Prefix+r.Name)
		}
	}
	maps.Copy(vars, others)
	return environOf(vars)
}

// ReadFile reads NAME=value lines as deploy/env has them: to the end of the line,
// without quotes. Names without ROTATOR_ say where the job runs and are passed
// over. flag is how the file was named.
func ReadFile(flag, path string) (lines []string, problems []Problem) {
	text, err := os.ReadFile(path) //nolint:gosec // the file that the operator names
	if err != nil {
		return nil, []Problem{{Setting: flag, What: err.Error()}}
	}
	seen := map[string]bool{}
	scan := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; scan.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(scan.Text(), "\ufeff"))
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		at := fmt.Sprintf("%s line %d", path, n)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case !ok:
			problems = append(problems, Problem{Setting: at, What: fmt.Sprintf("%.100q is not NAME=value", line)})
		case !strings.HasPrefix(name, Prefix):
		case seen[name]:
			problems = append(problems, Problem{Setting: at, What: name + " is there twice"})
		default:
			seen[name] = true
			lines = append(lines, name+"="+strings.TrimSpace(value))
		}
	}
	if err := scan.Err(); err != nil {
		problems = append(problems, Problem{Setting: flag + " " + path, What: err.Error()})
	}
	if len(lines) == 0 && len(problems) == 0 {
		const hint = "Write lines as ROTATOR_MAX_ACTIVE=20"
		problems = append(problems, Problem{flag + " " + path, "", "it holds no ROTATOR_ setting", hint})
	}
	return lines, problems
}
