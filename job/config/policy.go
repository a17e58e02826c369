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
	"reflect"
	"strconv"
	"strings"
	"time"

	"gke-credential-rotator/policy"
)

// rules lists the settings that are part of the policy, each with its field there.
func rules(s *Settings, p *policy.Policy) func(yield func(row, reflect.Value) bool) {
	return func(yield func(row, reflect.Value) bool) {
		for _, r := range rowsOf(s) {
			if f := reflect.ValueOf(p).Elem().FieldByName(r.field.Name); f.IsValid() && !yield(r, f) {
				return
			}
		}
	}
}

// Policy gives the rules that the settings ask for. Meaningful only if [Read]
// found no problem.
func (s Settings) Policy() *policy.Policy {
	p := &policy.Policy{InForce: &policy.InForce{Tool: s.Tool, Settings: map[string]string{}}}
	audited := map[string]bool{}
	for r, field := range rules(&s, p) {
		field.Set(reflect.ValueOf(r.value.parsed()).Elem().Convert(field.Type()))
		audited[r.Name] = true
	}
	sum := sha256.New()
	for _, r := range rowsOf(&s) {
		if audited[r.Name] || r.is("audit") {
			value := userInfo.ReplaceAllString(r.shown(nil), "//***@")
			_, _ = io.WriteString(sum, r.Name+"="+value+"\n") // a hash takes everything
			p.InForce.Settings[r.Name] = clip(value)
		}
	}
	p.InForce.Digest = hex.EncodeToString(sum.Sum(nil))
	return p
}

// mostKept is how much of a value is kept with each rotation: PROJECTS may name
// hundreds. The digest is over all of it.
const mostKept = 300

func clip(value string) string {
	if n := len(value) - mostKept; n > 0 {
		return strings.ToValidUTF8(value[:mostKept], "") + fmt.Sprintf("… (%d bytes more)", n)
	}
	return value
}

// PolicyJSON is the policy for programs: the names of the settings in camel case,
// the values in the form that the settings take.
func PolicyJSON(p *policy.Policy) json.RawMessage {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	before := "{"
	for r, field := range rules(&Settings{}, p) {
		b.WriteString(before + strconv.Quote(camel(r.Name)) + ":")
		value := field.Convert(reflect.TypeOf(r.value.parsed()).Elem()).Interface()
		_ = out.Encode(inWords(value, r.field.Tag.Get("zero"))) // texts, lists of them and numbers: none is refused
		before = ","
	}
	b.WriteByte('}')
	return b.Bytes()
}

// camel turns MAX_ACTIVE into maxActive.
func camel(name string) string {
	first, rest, _ := strings.Cut(strings.ToLower(name), "_")
	for _, word := range strings.Split(rest, "_") {
		first += strings.ToUpper(word[:min(1, len(word))]) + word[min(1, len(word)):]
	}
	return first
}

// inWords writes a value as its setting takes it: a number is one where it cannot be
// a word, a list is one.
func inWords(v any, zero string) any {
	switch v := v.(type) {
	case time.Duration:
		if v != 0 || zero == "" {
			return policy.Days(v)
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
	case *policy.Selector:
		if v != nil {
			return v.String()
		}
	case projectList:
		return append(projectList{}, v...)
	case locationList:
		return append(locationList{}, v...)
	case encoding.TextMarshaler:
		text, _ := v.MarshalText() // those of the policy cannot fail
		return cmp.Or(string(text), zero)
	default:
		return v
	}
	return zero
}
