package gkesim

import (
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// longestFilter is Recommender's own limit.
const longestFilter = 500

// filter says whether something with these fields is wanted.
type filter func(fields map[string][]string) bool

// parseFilter reads the part of AIP-160 that Recommender documents: field = value,
// field != value, field : value, AND, OR, NOT and parentheses. OR binds more
// tightly than AND. known are the fields that may be asked for.
func parseFilter(text string, known ...string) (filter, error) {
	if len(text) > longestFilter {
		return nil, status.Errorf(codes.InvalidArgument, "The filter has %d characters; at most %d are allowed.",
			len(text), longestFilter)
	}
	if strings.Count(text, `"`)%2 != 0 {
		return nil, status.Errorf(codes.InvalidArgument, "Invalid filter %q: a quote is not closed.", text)
	}
	p := &filterParser{tokens: filterTokens(text), known: known}
	if len(p.tokens) == 0 {
		return func(map[string][]string) bool { return true }, nil
	}
	f := p.and()
	if p.bad != "" || len(p.tokens) > 0 {
		return nil, status.Errorf(codes.InvalidArgument, "Invalid filter %q: %s", text, p.problem())
	}
	return f, nil
}

type filterParser struct {
	tokens []string
	known  []string
	bad    string
}

func (p *filterParser) problem() string {
	if p.bad != "" {
		return p.bad
	}
	return "unexpected " + p.tokens[0] + "."
}

func filterTokens(text string) []string {
	var out []string
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case white(c):
			i++
		case c == '(' || c == ')' || c == '=' || (c == ':' && !strings.HasPrefix(text[i:], "://")):
			out = append(out, text[i:i+1])
			i++
		case strings.HasPrefix(text[i:], "!="):
			out = append(out, "!=")
			i += 2
		case c == '"':
			end := strings.IndexByte(text[i+1:], '"')
			if end < 0 {
				end = len(text) - i - 1
			}
			out = append(out, text[i:i+1+end])
			i = min(i+end+2, len(text))
		default:
			j := i
			for j < len(text) && !white(text[j]) && !strings.ContainsRune("()=!\":", rune(text[j])) {
				j++
			}
			j = max(j, i+1)
			out = append(out, text[i:j])
			i = j
		}
	}
	return out
}

// white is white space: single bytes, for the others are parts of letters.
func white(c byte) bool { return strings.IndexByte(" \t\r\n", c) >= 0 }

func (p *filterParser) take(want string) bool {
	if len(p.tokens) > 0 && p.tokens[0] == want {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

// and reads a list of terms that must all hold; AND between them may be left
// out.
func (p *filterParser) and() filter {
	all := []filter{p.or()}
	for p.bad == "" && len(p.tokens) > 0 && p.tokens[0] != ")" {
		p.take("AND")
		all = append(all, p.or())
	}
	return func(fields map[string][]string) bool {
		for _, f := range all {
			if !f(fields) {
				return false
			}
		}
		return true
	}
}

func (p *filterParser) or() filter {
	any := []filter{p.term()}
	for p.bad == "" && p.take("OR") {
		any = append(any, p.term())
	}
	return func(fields map[string][]string) bool {
		for _, f := range any {
			if f(fields) {
				return true
			}
		}
		return false
	}
}

func (p *filterParser) fail(why string) filter {
	if p.bad == "" {
		p.bad = why
	}
	return func(map[string][]string) bool { return false }
}

func (p *filterParser) term() filter {
	if p.bad != "" {
		return p.fail("")
	}
	if p.take("NOT") {
		f := p.term()
		return func(fields map[string][]string) bool { return !f(fields) }
	}
	if p.take("(") {
		f := p.and()
		if !p.take(")") {
			return p.fail("a parenthesis is not closed.")
		}
		return f
	}
	if len(p.tokens) < 3 {
		return p.fail("a comparison is not complete.")
	}
	field, op, value := p.tokens[0], p.tokens[1], strings.TrimPrefix(p.tokens[2], `"`)
	p.tokens = p.tokens[3:]
	name := ""
	for _, k := range p.known {
		if strings.EqualFold(strings.ReplaceAll(field, "_", ""), k) {
			name = k
		}
	}
	switch {
	case name == "":
		return p.fail("the field " + field + " cannot be asked for.")
	case op != "=" && op != "!=" && op != ":":
		return p.fail("unknown operator " + op + ".")
	}
	return func(fields map[string][]string) bool {
		found := false
		for _, v := range fields[name] {
			found = found || strings.EqualFold(v, value)
		}
		return found == (op != "!=")
	}
}
