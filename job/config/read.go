// Package config reads the ROTATOR_ settings: what each is, stands in one row of [Settings].
package config

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kelseyhightower/envconfig"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// Prefix begins the name of every setting.
const Prefix = own + "_"

const own = "ROTATOR" // for envconfig

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

// UnmarshalText keeps the text. It is parsed when all are there, for envconfig stops at the first error,
// and people want to know of all.
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

type row struct {
	Name    string // without prefix
	Default string // "" means required
	field   reflect.StructField
	value   value
}

// names are those by which envconfig reads the settings, in their order.
var names = sync.OnceValue(func() []string {
	var b strings.Builder
	_ = envconfig.Usagef(own, &Settings{}, &b, "{{range .}}{{usage_key .}} {{end}}") // fails for no struct
	return strings.Fields(b.String())
})

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

// Read reads the settings among the variables and finds everything that is wrong with them.
func Read(vars map[string]string) (Settings, []Problem) {
	var s Settings
	c := checker{s: &s, vars: vars, rows: map[string]row{}, bad: map[string]bool{}}
	if err := envconfig.Process(own, &s); err != nil { // no setting refuses its text
		c.found = append(c.found, Problem{Setting: Prefix + "*", What: err.Error()})
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

// shown is the setting's text as people may see it, or its default. A secret may be in a file, whose name
// is none; err is what is wrong with the text.
func (r row) shown(err error) string {
	text := cmp.Or(*r.value.written(), r.Default)
	isFile := strings.HasPrefix(text, "file:") && err == nil
	if r.tag("secret") != "" && text != r.Default && !isFile {
		return hidden
	}
	return text
}

// hidden stands where a secret would.
const hidden = "(not shown)"

func (r row) tag(key string) string { return r.field.Tag.Get(key) }

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

// rule is the setting's field in the policy; not a valid one where the setting is no rule.
func (r row) rule(p *rules.Policy) reflect.Value {
	return reflect.ValueOf(p).Elem().FieldByName(r.field.Name)
}

// Policy gives the rules that the settings ask for. Meaningful only if [Read] found no problem.
func (s Settings) Policy() *rules.Policy {
	p := &rules.Policy{InForce: &record.InForce{Tool: s.Tool, Settings: map[string]string{}}}
	sum := sha256.New()
	for _, r := range rowsOf(&s) {
		rule := r.rule(p)
		if rule.IsValid() {
			rule.Set(reflect.ValueOf(r.value.parsed()).Elem().Convert(rule.Type()))
		}
		if rule.IsValid() || r.tag("audit") != "" {
			value := userInfo.ReplaceAllString(r.shown(nil), "//***@")
			_, _ = io.WriteString(sum, r.Name+"="+value+"\n") // a hash takes everything
			p.InForce.Settings[r.Name] = clip(value)
		}
	}
	p.InForce.Digest = hex.EncodeToString(sum.Sum(nil))
	return p
}

// mostKept of a value is kept with each rotation: PROJECTS may name hundreds. The digest is over all of it.
const mostKept = 300

func clip(value string) string {
	if n := len(value) - mostKept; n > 0 {
		return strings.ToValidUTF8(value[:mostKept], "") + fmt.Sprintf("… (%d bytes more)", n)
	}
	return value
}

// PolicyJSON is the policy for programs: names in camel case, values in the form that the settings take.
func PolicyJSON(p *rules.Policy) json.RawMessage {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	before := "{"
	for _, r := range rowsOf(&Settings{}) {
		if rule := r.rule(p); rule.IsValid() {
			b.WriteString(before + strconv.Quote(camel(r.Name)) + ":")
			_ = out.Encode(inWords(rule.Interface(), r.tag("zero"))) // texts, lists, numbers: none is refused
			before = ","
		}
	}
	b.WriteByte('}')
	return b.Bytes()
}

// camel turns MAX_ACTIVE into maxActive.
func camel(name string) string {
	first, rest, more := strings.Cut(strings.ToLower(name), "_")
	if !more {
		return first
	}
	return first + strings.ToUpper(rest[:1]) + camel(rest[1:])
}

// inWords writes a value as its setting takes it: a number is one where it cannot be a word, a list is one.
func inWords(v any, zero string) any {
	switch v := v.(type) {
	case time.Duration:
		if v != 0 || zero == "" {
			return fleet.Days(v)
		}
	case time.Time:
		if !v.IsZero() {
			return v.UTC().Format(time.RFC3339)
		}
	case int:
		if zero == "" {
			return v
		} else if v != 0 {
			return strconv.Itoa(v)
		}
	case *fleet.Selector:
		if v != nil {
			return v.String()
		}
	case []string:
		return append([]string{}, v...)
	case []fleet.Wave:
		return inWords(fleet.Waves(v), zero)
	case encoding.TextMarshaler:
		text, _ := v.MarshalText() // those of the policy cannot fail
		return cmp.Or(string(text), zero)
	default:
		return v
	}
	return zero
}
