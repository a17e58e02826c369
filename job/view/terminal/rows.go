package terminal

import (
	"fmt"
	"strings"

	"gke-credential-rotator/job/words"
)

// hard is a space at which no line is broken.
const hard = words.Hard

func clean(s string) string                { return words.Harmless(s) }
func cells(s string) int                   { return words.Cells(s) }
func pad(s string, width int) string       { return words.Pad(s, width) }
func wrap(text string, width int) []string { return words.Wrap(text, width) }

// row is one line of a section: a name, what happens, one sentence, and the
// code behind it at the right edge. What people can do follows below.
type row struct {
	name, what, text, code string
	who                    string // the clusters of a row for several
	next                   string
	style                  style // of what
}

// shape is how wide the columns of a page's rows are.
type shape struct {
	name, what, code int
	stacked          bool
}

// names is the width of the names of all sections, so that they align.
func (g *page) names(sections ...[]row) int {
	limit := g.width * 2 / 5
	longest := min(limit, 16)
	for _, rs := range sections {
		for _, r := range rs[:g.shown(len(rs))] {
			if n := cells(r.name); n <= limit {
				longest = max(longest, n)
			}
		}
	}
	return longest
}

// fit finds the columns for rows that stand under each other.
func (g *page) fit(names int, rs []row) shape {
	s := shape{name: names}
	longest := 0
	for _, r := range rs {
		longest = max(longest, cells(r.name))
		s.what, s.code = max(s.what, cells(r.what)), max(s.code, cells(r.code))
	}
	const short = 20
	s.stacked = (g.width < narrow && longest > short) || g.width-s.text()-s.code-2 < 24
	return s
}

// text is the column at which sentences begin.
func (s shape) text() int {
	at := 2 + s.name + 2
	if s.what > 0 {
		at += s.what + 2
	}
	return at
}

// rows writes rows in the shape.
func (g *page) rows(s shape, rs []row) {
	for _, r := range rs {
		if s.stacked {
			g.stacked(r)
		} else {
			g.wide(s, r)
		}
	}
}

func (g *page) wide(s shape, r row) {
	at, room := s.text(), g.width-s.text()
	name := r.name
	if cells(name) > s.name { // it stands on a line of its own, whole
		g.line("  %s", name)
		name = ""
	}
	what := ""
	if s.what > 0 {
		what = g.paint(r.style, r.what) + strings.Repeat(" ", s.what-cells(r.what)+2)
	}
	textRoom := room
	if s.code > 0 {
		textRoom -= s.code + 2
	}
	for i, l := range wrap(r.text, textRoom) {
		switch {
		case i == 0 && r.code != "":
			gap := room - cells(l) - cells(r.code)
			g.line("  %s  %s%s%s%s", pad(name, s.name), what, l, strings.Repeat(" ", gap), g.paint(dim, r.code))
		case i == 0:
			g.line("%s", strings.TrimRight(fmt.Sprintf("  %s  %s%s", pad(name, s.name), what, l), " "))
		default:
			g.line("%s%s", strings.Repeat(" ", at), l)
		}
	}
	g.clusters(r.who)
	g.advice(at, r.next)
}

// stacked writes a row as a paragraph, for narrow terminals.
func (g *page) stacked(r row) {
	if gap := g.width - 2 - cells(r.name) - cells(r.code); gap >= 2 || r.code == "" {
		g.line("%s", strings.TrimRight("  "+r.name+strings.Repeat(" ", max(gap, 0))+g.paint(dim, r.code), " "))
	} else {
		g.line("  %s", r.name)
		g.line("%s%s", strings.Repeat(" ", max(g.width-cells(r.code), 4)), g.paint(dim, r.code))
	}
	what, text := strings.ReplaceAll(r.what, " ", hard), r.text
	switch {
	case what != "" && text != "":
		text = what + ": " + text
	case what != "":
		text = what
	}
	for i, l := range wrap(text, g.width-4) {
		if i == 0 && what != "" {
			l = g.paint(r.style, what) + strings.TrimPrefix(l, what)
		}
		if l != "" {
			g.line("    %s", l)
		}
	}
	g.clusters(r.who)
	g.advice(4, r.next)
}

// clusters writes who the row is about.
func (g *page) clusters(who string) {
	if who != "" {
		g.para(4, plain, who)
	}
}

// advice writes what people can do.
func (g *page) advice(indent int, text string) {
	if text == "" {
		return
	}
	for i, l := range wrap(text, g.width-indent-2) {
		lead := "→ "
		if i > 0 {
			lead = "  "
		}
		g.line("%s%s", strings.Repeat(" ", indent), g.paint(cyan, lead+l))
	}
}
