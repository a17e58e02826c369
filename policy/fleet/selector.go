package fleet

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Selector chooses clusters by their GKE resource labels, in the syntax of
// Kubernetes label selectors: env=prod, tier!=db, env in (dev,test), !legacy,
// team. The zero value selects all.
type Selector struct {
	text  string
	terms []term
}

type term struct {
	key    string
	values []string // one of these; nil: any
	not    bool     // the label must not be so
}

// String gives the text that the selector was read from; "all" for all.
func (s Selector) String() string {
	if s.text == "" {
		return "all"
	}
	return s.text
}

// MarshalText gives the text that the selector was read from.
func (s Selector) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a selector; "all" and the empty text select all.
func (s *Selector) UnmarshalText(text []byte) error {
	parsed, err := ParseSelector(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// All reports whether it selects every cluster.
func (s Selector) All() bool { return s.terms == nil }

// Keys are the keys of the labels that it asks for.
func (s Selector) Keys() (keys []string) {
	for _, t := range s.terms {
		keys = append(keys, t.key)
	}
	return keys
}

// Matches says whether the labels satisfy every term.
func (s Selector) Matches(labels map[string]string) bool {
	for _, t := range s.terms {
		v, has := labels[t.key]
		if has = has && (t.values == nil || slices.Contains(t.values, v)); has == t.not {
			return false
		}
	}
	return true
}

// ParseSelector reads a selector. Errors name the part that is wrong.
func ParseSelector(text string) (Selector, error) {
	text = strings.TrimSpace(text)
	if text == "" || text == "all" {
		return Selector{}, nil
	}
	s := Selector{text: text}
	for _, part := range splitTerms(text) {
		t, err := parseTerm(strings.TrimSpace(part))
		if err != nil {
			return Selector{}, fmt.Errorf("selector %q: %w; write e.g. \"env=prod,tier in (web,api),!legacy\"", text,
				err)
		}
		s.terms = append(s.terms, t)
	}
	return s, nil
}

// splitTerms splits at commas outside parentheses.
func splitTerms(text string) []string {
	var parts []string
	depth, from := 0, 0
	for i, r := range text {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			parts = append(parts, text[from:i])
			from = i + 1
		}
	}
	return append(parts, text[from:])
}

func parseTerm(part string) (term, error) {
	if key, ok := strings.CutPrefix(part, "!"); ok {
		return checked(term{key: strings.TrimSpace(key), not: true})
	}
	for _, op := range []string{"!=", "==", "="} {
		if key, value, ok := strings.Cut(part, op); ok {
			return checked(term{strings.TrimSpace(key), []string{strings.TrimSpace(value)}, op == "!="})
		}
	}
	if m := setTerm.FindStringSubmatch(part); m != nil {
		values := strings.Split(m[3], ",")
		for i := range values {
			values[i] = strings.TrimSpace(values[i])
		}
		if len(values) == 1 && values[0] == "" {
			return term{}, fmt.Errorf("%q names no value", part)
		}
		return checked(term{m[1], values, m[2] == "notin"})
	}
	if fields := strings.Fields(part); len(fields) > 1 && (fields[1] == "in" || fields[1] == "notin") {
		return term{}, fmt.Errorf("%q needs values in parentheses", part)
	}
	return checked(term{key: part})
}

// setTerm is a key, in or notin, and what stands in the parentheses.
var setTerm = regexp.MustCompile(`^([^\s()]+)\s+(in|notin)\s*\(([^()]*)\)$`)

// What Kubernetes and GKE let a label be: what they do not would never match,
// and in silence.
var (
	labelKey   = regexp.MustCompile(`^[\p{L}\p{N}]([\p{L}\p{M}\p{N}_./-]*[\p{L}\p{M}\p{N}_-])?$`)
	labelValue = regexp.MustCompile(`^([\p{L}\p{N}_-]([\p{L}\p{M}\p{N}_.-]*[\p{L}\p{M}\p{N}_-])?)?$`)
)

func checked(t term) (term, error) {
	if t.key == "" {
		return term{}, fmt.Errorf("a label key is missing")
	}
	if !labelKey.MatchString(t.key) {
		return term{}, fmt.Errorf("%q is no label key", t.key)
	}
	for _, v := range t.values {
		if !labelValue.MatchString(v) {
			return term{}, fmt.Errorf("%q is no label value", v)
		}
	}
	return t, nil
}
