package deploy_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A small reader of the Logging query language: the part that our filters use,
// with the meanings that Google's reference gives. What it does not know is an
// error, so that no filter is understood otherwise here than there. != is left
// out on purpose: for an entry without the field it differs from NOT ... =.

// expr is a filter that was read.
type expr interface {
	match(entry map[string]any) bool
}

type (
	both   []expr
	either []expr
	not    struct{ of expr }
	// comparison is FIELD OP (VALUE OR ...).
	comparison struct {
		field, op string
		values    []value
	}
	value struct {
		text  string
		other any // a number or a boolean, which are written without quotes
		re    *regexp.Regexp
	}
)

func (b both) match(entry map[string]any) bool {
	for _, e := range b {
		if !e.match(entry) {
			return false
		}
	}
	return true
}

func (b either) match(entry map[string]any) bool {
	for _, e := range b {
		if e.match(entry) {
			return true
		}
	}
	return false
}

func (n not) match(entry map[string]any) bool { return !n.of.match(entry) }

// match is false where the entry has no such field; NOT of it is then true.
func (c comparison) match(entry map[string]any) bool {
	got, ok := at(entry, c.field)
	if !ok {
		return false
	}
	for _, v := range c.values {
		if c.one(got, v) {
			return true
		}
	}
	return false
}

// one compares as Logging does: text without regard to case, but for regular
// expressions.
func (c comparison) one(got any, v value) bool {
	switch want := v.other.(type) {
	case float64:
		n, ok := got.(float64)
		return ok && c.op == "=" && n == want || ok && c.op == "<" && n < want
	case bool:
		return got == want
	}
	text, ok := got.(string)
	switch {
	case !ok:
		return false
	case c.op == "=~":
		return v.re.MatchString(text)
	case c.op == ":":
		return strings.Contains(strings.ToLower(text), strings.ToLower(v.text))
	}
	return strings.EqualFold(text, v.text)
}

// at finds a field by its path.
func at(entry map[string]any, path string) (any, bool) {
	var here any = entry
	for name := range strings.SplitSeq(path, ".") {
		m, ok := here.(map[string]any)
		if !ok {
			return nil, false
		}
		if here, ok = m[name]; !ok {
			return nil, false
		}
	}
	return here, true
}

// comparisons lists all of a filter.
func comparisons(e expr) []comparison {
	var out []comparison
	switch e := e.(type) {
	case both:
		for _, x := range e {
			out = append(out, comparisons(x)...)
		}
	case either:
		for _, x := range e {
			out = append(out, comparisons(x)...)
		}
	case not:
		out = comparisons(e.of)
	case comparison:
		out = []comparison{e}
	}
	return out
}

var tokens = regexp.MustCompile(`^(?:\s+|"(?:[^"\\]|\\.)*"|=~|[=<:()]|[A-Za-z_][A-Za-z0-9_.]*|-?[0-9]+(?:\.[0-9]+)?)`)

func lex(filter string) ([]string, error) {
	var out []string
	for filter != "" {
		token := tokens.FindString(filter)
		if token == "" {
			return nil, fmt.Errorf("cannot read on at %q", filter)
		}
		if strings.TrimSpace(token) != "" {
			out = append(out, token)
		}
		filter = filter[len(token):]
	}
	return out, nil
}

type filterReader struct {
	tokens []string
}

func readFilter(filter string) (expr, error) {
	tokens, err := lex(filter)
	if err != nil {
		return nil, err
	}
	r := &filterReader{tokens}
	e, err := r.expression()
	if err == nil && len(r.tokens) > 0 {
		err = fmt.Errorf("AND or OR expected before %q", strings.Join(r.tokens, " "))
	}
	return e, err
}

func (r *filterReader) next() string {
	if len(r.tokens) == 0 {
		return ""
	}
	token := r.tokens[0]
	r.tokens = r.tokens[1:]
	return token
}

func (r *filterReader) peek(token string) bool { return len(r.tokens) > 0 && r.tokens[0] == token }

// expression reads terms that are joined by AND alone or by OR alone. OR binds
// tighter than AND in this language, which nobody expects: we want parentheses.
func (r *filterReader) expression() (expr, error) {
	first, err := r.term()
	if err != nil {
		return nil, err
	}
	terms := []expr{first}
	word := ""
	for r.peek("AND") || r.peek("OR") {
		token := r.next()
		if word != "" && word != token {
			return nil, fmt.Errorf("AND and OR beside each other: use parentheses")
		}
		word = token
		e, err := r.term()
		if err != nil {
			return nil, err
		}
		terms = append(terms, e)
	}
	switch word {
	case "AND":
		return both(terms), nil
	case "OR":
		return either(terms), nil
	}
	return first, nil
}

func (r *filterReader) term() (expr, error) {
	switch token := r.next(); {
	case token == "NOT":
		e, err := r.term()
		return not{e}, err
	case token == "(":
		e, err := r.expression()
		if err == nil && r.next() != ")" {
			err = fmt.Errorf("a ) is missing")
		}
		return e, err
	case token != "" && (token[0] == '_' || token[0]|0x20 >= 'a' && token[0]|0x20 <= 'z') && token != "AND" &&
		token != "OR":
		return r.comparison(token)
	default:
		return nil, fmt.Errorf("a field expected, not %q", token)
	}
}

func (r *filterReader) comparison(field string) (expr, error) {
	c := comparison{field: field, op: r.next()}
	if !slices.Contains([]string{"=", "<", ":", "=~"}, c.op) {
		return nil, fmt.Errorf("%s: unknown comparison %q", field, c.op)
	}
	list := r.peek("(")
	if list {
		r.next()
	}
	for {
		v, err := readValue(c, r.next())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		c.values = append(c.values, v)
		if !list {
			return c, nil
		}
		switch token := r.next(); token {
		case ")":
			return c, nil
		case "OR":
		default:
			return nil, fmt.Errorf("%s: OR or ) expected, not %q", field, token)
		}
	}
}

func readValue(c comparison, token string) (value, error) {
	op := c.op
	switch {
	case token == "true" && op == "=":
		return value{other: true}, nil
	case token == "false" && op == "=" && strings.HasPrefix(c.field, "operation."):
		// Of LogEntry's own fields, and of no others.
		return value{}, fmt.Errorf("where it is missing Logging compares with its default: write NOT %s=true",
			c.field)
	case token == "false" && op == "=":
		return value{other: false}, nil
	case !strings.HasPrefix(token, `"`):
		n, err := strconv.ParseFloat(token, 64)
		if err != nil || (op != "=" && op != "<") {
			return value{}, fmt.Errorf("a quoted text, a number, true or false expected, not %q", token)
		}
		return value{other: n}, nil
	}
	if op == "<" {
		return value{}, fmt.Errorf("< wants a number, not %s", token)
	}
	v := value{text: token[1 : len(token)-1]}
	if strings.Contains(v.text, `\`) {
		return v, fmt.Errorf("a backslash in %s: write [.] for a dot", token)
	}
	var err error
	if op == "=~" {
		v.re, err = regexp.Compile(v.text)
	}
	return v, err
}
