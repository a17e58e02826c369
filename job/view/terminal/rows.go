package terminal

import (
	"strings"

	"gke-credential-rotator/job/words"
)

// hard is a space at which no line is broken.
const hard = words.Hard

func unbroken(s string) string             { return strings.ReplaceAll(s, " ", hard) }
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
	if cells(r.name) > s.name { // it stands on a line of its own, whole
		g.line("  %s", r.name)
		r.name = ""
	}
	lead, textRoom := "  "+pad(r.name, s.name)+"  ", room
	if s.what > 0 {
		lead += g.paint(r.style, r.what) + strings.Repeat(" ", s.what-cells(r.what)+2)
	}
	if s.code > 0 {
		textRoom -= s.code + 2
	}
	for i, l := range wrap(r.text, textRoom) {
		if i == 0 && r.code != "" {
			l += strings.Repeat(" ", room-cells(l)-cells(r.code)) + g.paint(dim, r.code)
		}
		g.line("%s", strings.TrimRight(lead+l, " "))
		lead = strings.Repeat(" ", at)
	}
	g.below(at, r)
}

// stacked writes a row as a paragraph, for narrow terminals.
func (g *page) stacked(r row) {
	if gap := g.width - 2 - cells(r.name) - cells(r.code); gap >= 2 || r.code == "" {
		g.line("%s", strings.TrimRight("  "+r.name+strings.Repeat(" ", max(gap, 0))+g.paint(dim, r.code), " "))
	} else {
		g.line("  %s", r.name)
		g.line("%s%s", strings.Repeat(" ", max(g.width-cells(r.code), 4)), g.paint(dim, r.code))
	}
	what, text := unbroken(r.what), r.text
	if what != "" && text != "" {
		text = ": " + text
	}
	for i, l := range wrap(what+text, g.width-4) {
		if i == 0 && what != "" {
			l = g.paint(r.style, what) + strings.TrimPrefix(l, what)
		}
		if l != "" {
			g.line("    %s", l)
		}
	}
	g.below(4, r)
}

func (g *page) below(at int, r row) {
	if r.who != "" {
		g.para(4, plain, r.who)
	}
	g.advice(at, r.next)
}

func (g *page) advice(indent int, text string) {
	if text == "" {
		return
	}
	lead := "→ "
	for _, l := range wrap(text, g.width-indent-2) {
		g.line("%s%s", strings.Repeat(" ", indent), g.paint(cyan, lead+l))
		lead = "  "
	}
}
