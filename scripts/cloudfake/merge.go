package cloudfake

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"unicode"
)

// clone is a deep copy.
func clone(value any) any {
	switch v := value.(type) {
	case object:
		if v == nil {
			return v
		}
		out := object{}
		for key, inner := range v {
			out[key] = clone(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = clone(inner)
		}
		return out
	}
	return value
}

// merge is old with the fields of the mask taken from change. A field that change
// does not have is cleared.
func merge(old, change object, mask []string) object {
	out := maps.Clone(old)
	for _, path := range mask {
		if path = strings.TrimSpace(path); path == "" {
			continue
		}
		setPath(out, change, strings.Split(camel(path), "."))
	}
	return out
}

func setPath(out, change object, path []string) {
	value, ok := change[path[0]]
	if len(path) == 1 {
		if ok {
			out[path[0]] = value
		} else {
			delete(out, path[0])
		}
		return
	}
	inner, _ := out[path[0]].(object)
	inner = maps.Clone(inner)
	if inner == nil {
		inner = object{}
	}
	from, _ := value.(object)
	setPath(inner, from, path[1:])
	out[path[0]] = inner
}

// camel turns the snake_case of field masks and filters into JSON's names.
func camel(path string) string {
	var b strings.Builder
	up := false
	for _, r := range path {
		if r == '_' {
			up = true
			continue
		}
		if up {
			r = unicode.ToUpper(r)
		}
		up = false
		b.WriteRune(r)
	}
	return b.String()
}

var term = regexp.MustCompile(`^([A-Za-z_.-]+?)\.?("[^"]+"|'[^']+')?\s*(=|:|!=)\s*("[^"]*"|'[^']*'|[^\s,=<>"']+)$`)

// parseFilter understands terms joined by AND: field=value, field!=value and
// field:part, where field may be a path such as user_labels.environment. Other
// filters are refused, so that nobody takes an unread one for granted.
func parseFilter(filter string) (func(object) bool, error) {
	type test struct {
		path      []string
		op, value string
	}
	var tests []test
	for _, part := range regexp.MustCompile(`\s+AND\s+`).Split(strings.TrimSpace(filter), -1) {
		part = strings.TrimSpace(part)
		m := term.FindStringSubmatch(part)
		if m == nil || strings.ContainsAny(part, "()") {
			return nil, InvalidArgument("cloudfake does not read this filter: %s", filter)
		}
		head, rest, _ := strings.Cut(m[1], ".")
		path := []string{camel(head)}
		if m[2] != "" {
			rest = strings.Trim(strings.Trim(rest+"."+m[2], "."), `"'`)
		}
		if rest != "" {
			if head == "labels" || strings.HasSuffix(path[0], "Labels") {
				path = append(path, rest)
			} else {
				path = append(path, strings.Split(camel(rest), ".")...)
			}
		}
		tests = append(tests, test{path, m[3], strings.Trim(m[4], `"'`)})
	}
	return func(o object) bool {
		for _, t := range tests {
			value, ok := lookup(o, t.path)
			text := fmt.Sprint(value)
			if !ok && t.value == "false" { // a false that is not said
				text, ok = "false", true
			}
			switch t.op {
			case "=":
				ok = ok && text == t.value
			case "!=":
				ok = text != t.value
			case ":":
				ok = ok && (t.value == "*" || strings.Contains(text, t.value))
			}
			if !ok {
				return false
			}
		}
		return true
	}, nil
}

func lookup(o object, path []string) (any, bool) {
	value, ok := o[path[0]]
	if !ok || len(path) == 1 {
		return value, ok
	}
	inner, ok := value.(object)
	if !ok {
		return nil, false
	}
	return lookup(inner, path[1:])
}
