package terminal

import (
	"fmt"
	"io"
	"strings"
	"time"

	"gke-credential-rotator/job/view/handover"
)

const mostHandOver = 110

// HandOver writes a hand-over. Commands stand alone on their lines and are never
// folded, so that they can be pasted. The error is the writer's.
func HandOver(w io.Writer, p handover.Pack, o Options) error {
	g := newPage(o, p.Facts.At)
	g.width = min(g.width, mostHandOver)
	when := func(t time.Time) string {
		return strings.ReplaceAll(g.In(t).Format("Mon 02 Jan 2006 15:04 ")+g.Name(), " ", hard)
	}
	g.para(0, plain, bare("HAND-OVER "+p.Title))
	g.para(0, plain, "as of "+when(p.Facts.At))
	g.line("")
	for _, f := range p.Lines(when) {
		g.hang(10, pad(f.Label, 9)+" ", plain, bare(f.Text))
	}
	g.list("NOW", p.Now)
	g.list("WHAT YOU WILL NOTICE", p.Impact)
	g.steps("CLIENTS TO UPDATE", p.Clients)
	g.list("WHAT HAPPENS TO FORGOTTEN ONES", p.Forgotten)
	g.steps("TO DELAY OR APPROVE", p.Levers)
	return g.send(w)
}

// bare is a text without the marks of values.
func bare(text string) string { return strings.ReplaceAll(text, "`", "") }

func (g *page) list(title string, items []string) {
	if len(items) == 0 {
		return
	}
	g.heading(plain, title)
	for _, item := range items {
		g.hang(4, "  - ", plain, bare(item))
	}
}

func (g *page) steps(title string, steps []handover.Step) {
	for i, st := range steps {
		if i == 0 {
			g.heading(plain, title)
		} else {
			g.line("")
		}
		g.hang(4, fmt.Sprintf("%2d. ", i+1), plain, bare(st.Title))
		g.para(4, plain, bare(st.Why))
		for _, c := range st.Commands {
			g.hang(6, "    # ", plain, bare(c.Does))
			// Leading blanks mean nothing to bash where these commands have lines.
			g.line("    %s", strings.ReplaceAll(c.Run, "\n", "\n    "))
		}
	}
}
