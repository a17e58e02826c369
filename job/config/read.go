// Package config reads the ROTATOR_ settings: what each is, stands in one row of
// [Settings].
package config

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/kelseyhightower/envconfig"

	"gke-credential-rotator/job/words"
)

// Prefix begins the name of every setting.
const Prefix = "ROTATOR_"

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

// Value is the value of one setting, and the text that it was read from.
type Value[T any] struct {
	V    T
	text string
}

// UnmarshalText keeps the text. It is parsed when all are there, for envconfig
// stops at the first error, and people want to know of all.
func (v *Value[T]) UnmarshalText(text []byte) error {
	v.text = strings.TrimSpace(string(text))
	return nil
}

func (v *Value[T]) written() *string { return &v.text }
func (v *Value[T]) parsed() any      { return &v.V }

type value interface {
	written() *string // the text
	parsed() any      // a pointer to what it means
}

// row is one setting.
type row struct {
	Name    string // without prefix
	Default string // "" means required
	field   reflect.StructField
	value   value
}

// names are those by which envconfig reads the settings, in their order.
var names = sync.OnceValue(func() []string {
	var b strings.Builder
	_ = envconfig.Usagef(Prefix[:len(Prefix)-1], &Settings{}, &b, "{{range .}}{{usage_key .}} {{end}}") // it is a struct
	return strings.Fields(b.String())
})

// rowsOf lists the settings in their order.
func rowsOf(s *Settings) []row {
	v := reflect.ValueOf(s).Elem()
	out := make([]row, len(names()))
	for i, name := range names() {
		f := v.Type().Field(i)
		value, _ := v.Field(i).Addr().Interface().(value) // all are: a test reads each
		out[i] = row{strings.TrimPrefix(name, Prefix), f.Tag.Get("default"), f, value}
	}
	return out
}

// Read reads the settings of an environment (NAME=value, as os.Environ gives it)
// and finds everything that is wrong with them.
func Read(environ []string) (Settings, []Problem) {
	var s Settings
	c := checker{s: &s, vars: Variables(environ), rows: map[string]row{}, bad: map[string]bool{}}
	if err := envconfig.Process(Prefix[:len(Prefix)-1], &s); err != nil { // no setting refuses its text
		c.found = append(c.found, Problem{Setting: Prefix + "*", What: err.Error()})
	}
	if c.vars["CLOUD_RUN_JOB"] != "" {
		s.cloudRun = cmp.Or(c.vars["CLOUD_RUN_EXECUTION"], c.vars["CLOUD_RUN_JOB"])
	}
	c.unknown()
	c.found = append(c.found, strangers(c.vars)...)
	for _, r := range rowsOf(&s) {
		c.rows[r.Name] = r
		r.take(c.vars)
		c.read(r)
	}
	c.bounds()
	c.relations()
	c.places()
	return s, c.found
}

// shown is the setting's text as people may see it, or its default. A secret may
// be in a file, whose name is none; err is what is wrong with the text.
func (r row) shown(err error) string {
	text := cmp.Or(*r.value.written(), r.Default)
	isFile := strings.HasPrefix(text, "file:") && err == nil
	if r.is("secret") && text != r.Default && !isFile {
		return hidden
	}
	return text
}

// hidden stands where a secret would.
const hidden = "(not shown)"

func (r row) is(mark string) bool { return r.field.Tag.Get(mark) != "" }

// Setting is one setting and its value in force.
type Setting struct {
	Name    string // without ROTATOR_
	Value   string
	Default bool // the value is the default
}

// InForce lists every setting with the value that counts.
func (s Settings) InForce() []Setting {
	var out []Setting
	for _, r := range rowsOf(&s) {
		value := r.shown(nil)
		out = append(out, Setting{Name: r.Name, Value: value, Default: value == r.Default})
	}
	return out
}

// unknown finds ROTATOR_ names that are no settings.
func (c *checker) unknown() {
	for _, name := range slices.Sorted(maps.Keys(c.vars)) {
		if !strings.HasPrefix(name, Prefix) || slices.Contains(names(), name) {
			continue
		}
		hint := "See deploy/CONFIG.md for the settings there are"
		if n := words.Nearest(name, names()); n != "" {
			hint = "Did you mean " + n + "?"
		}
		c.found = append(c.found, Problem{Setting: name, What: "there is no such setting", Hint: hint})
	}
}

// read parses a setting and notes what is wrong with it.
func (c *checker) read(r row) {
	text, err := *r.value.written(), r.parse()
	p := Problem{Setting: Prefix + r.Name, Text: r.shown(err), Hint: "Write " + r.form()}
	switch {
	case text == "" && r.Default == "":
		p.What = "it is required"
	case text == "":
		p.Text, p.What = "", "it is set but empty"
		p.Hint = fmt.Sprintf("Remove it for its default %s, or write %s", r.Default, r.form())
	case err != nil:
		p.What = err.Error()
		if strings.Contains(p.What, "write e.g.") {
			p.Hint = "" // the parser knows better
		}
	default:
		return
	}
	c.bad[r.Name] = true
	c.found = append(c.found, p)
}
