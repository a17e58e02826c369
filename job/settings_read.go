package main

import (
	"cmp"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/kelseyhightower/envconfig"

	"gke-credential-rotator/job/words"
)

const prefix = "ROTATOR_"

// Problem is one thing that is wrong with the settings.
type Problem struct {
	Setting string // with its prefix; or another variable
	Text    string // as it was given; "" when it was not
	What    string
	Hint    string // what to write instead
}

// String is the problem in one line.
func (p Problem) String() string {
	s := p.Setting
	if p.Text != "" {
		s += "=" + p.Text
	}
	s += ": " + p.What
	if p.Hint != "" {
		s += ". " + p.Hint
	}
	return userInfo.ReplaceAllString(strings.Join(strings.Fields(s), " "), "//***@")
}

// userInfo is the user's name and password in an address.
var userInfo = regexp.MustCompile(`//[^/\s]*@`)

// readSettings reads the settings from an environment (NAME=value, as
// os.Environ gives it) and finds everything that is wrong with them.
func readSettings(environ []string) (Settings, []Problem) {
	var s Settings
	vars := variables(environ)
	for _, f := range fieldsOf(&s) {
		// An empty value says what these defaults say.
		if strings.TrimSpace(vars[prefix+f.Name]) == "" && slices.Contains(saysNothing, f.Default) {
			delete(vars, prefix+f.Name)
		}
	}
	giveBack := lend(vars)
	err := envconfig.Process(strings.TrimSuffix(prefix, "_"), &s)
	giveBack()
	if vars["CLOUD_RUN_JOB"] != "" {
		s.cloudRun = cmp.Or(vars["CLOUD_RUN_EXECUTION"], vars["CLOUD_RUN_JOB"])
	}
	var problems []Problem
	if err != nil {
		// No field reports an error of its own, so this is envconfig's.
		problems = append(problems, Problem{Setting: prefix + "*", What: err.Error()})
	}
	problems = append(problems, unknown(vars)...)
	problems = append(problems, strangers(vars)...)
	bad := map[string]bool{}
	for _, f := range fieldsOf(&s) {
		if p, ok := f.problem(vars); ok {
			problems = append(problems, p)
			bad[f.Name] = true
		}
	}
	return s, append(problems, s.check(bad)...)
}

// setting is one field of Settings.
type setting struct {
	Field   string // the Go field's name
	Name    string // the setting's name, without prefix
	Default string // "" means required
	Form    string
	value   interface{ source() (string, error) }
}

// fieldsOf lists the settings in their order.
func fieldsOf(s *Settings) []setting {
	v := reflect.ValueOf(s).Elem()
	var out []setting
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		value, ok := v.Field(i).Addr().Interface().(interface{ source() (string, error) })
		if !ok {
			continue
		}
		out = append(out, setting{f.Name, wordsOf(f.Name), f.Tag.Get("default"), f.Tag.Get("form"), value})
	}
	return out
}

// wordsOf splits a field's name as envconfig's split_words does.
func wordsOf(field string) string {
	var b strings.Builder
	runes := []rune(field)
	upper := func(i int) bool { return i >= 0 && i < len(runes) && runes[i] >= 'A' && runes[i] <= 'Z' }
	for i, r := range runes {
		if i > 0 && upper(i) && (!upper(i-1) || (i+1 < len(runes) && !upper(i+1))) {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// saysNothing are the defaults that an empty value may stand for.
var saysNothing = []string{"all", "none", "off", "one", "always", "google"}

func (f setting) problem(vars map[string]string) (Problem, bool) {
	given, isSet := vars[prefix+f.Name]
	text, err := f.value.source()
	p := Problem{Setting: prefix + f.Name, Text: text, Hint: "Write " + f.Form}
	switch {
	case f.Default == "" && strings.TrimSpace(given) == "":
		p.What = "it is required"
	case isSet && strings.TrimSpace(given) == "":
		p.What, p.Hint = "it is set but empty", "Remove it for its default "+f.Default+", or write "+f.Form
	case err != nil:
		p.What = err.Error()
		if strings.Contains(p.What, "write e.g.") {
			p.Hint = "" // the parser knows better
		}
	default:
		return p, false
	}
	return p, true
}

// unknown lists ROTATOR_ names that are no settings.
func unknown(vars map[string]string) []Problem {
	var names []string
	for _, f := range fieldsOf(&Settings{}) {
		names = append(names, prefix+f.Name)
	}
	var out []Problem
	for v := range vars {
		if strings.HasPrefix(v, prefix) && !slices.Contains(names, v) {
			hint := "See deploy/CONFIG.md for the settings there are"
			if n := nearest(v, names); n != "" {
				hint = "Did you mean " + n + "?"
			}
			out = append(out, Problem{Setting: v, What: "there is no such setting", Hint: hint})
		}
	}
	slices.SortFunc(out, func(a, b Problem) int { return cmp.Compare(a.Setting, b.Setting) })
	return out
}

func variables(environ []string) map[string]string {
	out := map[string]string{}
	for _, e := range environ {
		if k, v, ok := strings.Cut(e, "="); ok {
			out[k] = v
		}
	}
	return out
}

var lending sync.Mutex

// lend puts the settings among the variables, and no others, into the process's
// environment, which is the only place where envconfig looks. giveBack restores
// what was there.
func lend(lent map[string]string) (giveBack func()) {
	lending.Lock()
	before := variables(os.Environ())
	swap := func(from, to map[string]string) {
		for k := range from {
			if strings.HasPrefix(k, prefix) {
				_ = os.Unsetenv(k) // the names were in an environment already
			}
		}
		for k, v := range to {
			if strings.HasPrefix(k, prefix) {
				_ = os.Setenv(k, v)
			}
		}
	}
	swap(before, lent)
	return func() {
		swap(lent, before)
		lending.Unlock()
	}
}

// nearest gives the word that is at most a third away, or "".
func nearest[T ~string](to string, known []T) string {
	best, found := len(to)/3+1, ""
	for _, w := range known {
		if d := words.Distance(to, string(w)); d < best {
			best, found = d, string(w)
		}
	}
	return found
}

func didYouMean[T ~string](to string, known []T) string {
	if n := nearest(strings.ToLower(to), known); n != "" {
		return fmt.Sprintf(" (did you mean %s?)", n)
	}
	return ""
}
