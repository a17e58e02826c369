package gkesim

import (
	"regexp"
	"slices"
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
	if len(p.tokens) > 0 {
		p.fail("unexpected " + p.tokens[0] + ".")
	}
	if p.bad != "" {
		return nil, status.Errorf(codes.InvalidArgument, "Invalid filter %q: %s", text, p.bad)
	}
	return f, nil
}

type filterParser struct {
	tokens []string
	known  []string
	bad    string
}

// filterToken is one token; a quoted one begins with its quote, so that it is no operator.
var filterToken = regexp.MustCompile(`"[^"]*"|!=|[()=:!]|[^ \t\r\n()=!":]+`)

func filterTokens(text string) []string {
	out := filterToken.FindAllString(text, -1)
	for i, token := range out {
		out[i] = strings.TrimSuffix(token, `"`)
	}
	return out
}

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
		return !slices.ContainsFunc(all, func(f filter) bool { return !f(fields) })
	}
}

func (p *filterParser) or() filter {
	any := []filter{p.term()}
	for p.bad == "" && p.take("OR") {
		any = append(any, p.term())
	}
	return func(fields map[string][]string) bool {
		return slices.ContainsFunc(any, func(f filter) bool { return f(fields) })
	}
}

func (p *filterParser) fail(why string) filter {
	if p.bad == "" {
		p.bad = why
	}
	return nil
}

func (p *filterParser) term() filter {
	if p.bad != "" {
		return nil
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
	known := slices.IndexFunc(p.known, func(k string) bool {
		return strings.EqualFold(strings.ReplaceAll(field, "_", ""), k)
	})
	switch {
	case known < 0:
		return p.fail("the field " + field + " cannot be asked for.")
	case op != "=" && op != "!=" && op != ":":
		return p.fail("unknown operator " + op + ".")
	}
	name := p.known[known]
	return func(fields map[string][]string) bool {
		found := slices.ContainsFunc(fields[name], func(v string) bool { return strings.EqualFold(v, value) })
		return found == (op != "!=")
	}
}
