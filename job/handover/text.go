package handover

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"gke-credential-rotator/job/words"
)

// Options say how text is made; the zero value suits a pipe.
type Options struct {
	Width int            // columns; below 1: 100
	Zone  *time.Location // of all times; nil: UTC
}

// The least and most columns of a line that is no command.
const (
	pipeWidth = 100
	least     = 40
	most      = 110
)

// page is a text in the making.
type page struct {
	bytes.Buffer
	width int
}

// WriteText writes the pack for a terminal. Commands stand alone on their lines
// and are never folded, so that they can be pasted.
func WriteText(w io.Writer, p Pack, o Options) error {
	if o.Width <= 0 {
		o.Width = pipeWidth
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	g := &page{width: min(max(o.Width, least), most)}
	when := func(t time.Time) string {
		return strings.ReplaceAll(t.In(o.Zone).Format("Mon 02 Jan 2006 15:04 ")+o.Zone.String(), " ", words.Hard)
	}
	g.para(0, "HAND-OVER "+p.Title)
	g.para(0, "as of "+when(p.Facts.At))
	g.line("")
	for _, f := range facts(p.Facts, when) {
		g.hang(words.Pad(f.label, 9)+" ", f.text)
	}
	g.list("NOW", p.Now)
	g.list("WHAT YOU WILL NOTICE", p.Impact)
	g.steps("CLIENTS TO UPDATE", p.Clients)
	g.list("WHAT HAPPENS TO FORGOTTEN ONES", p.Forgotten)
	g.steps("TO DELAY OR APPROVE", p.Levers)
	if _, err := w.Write(bytes.ReplaceAll(g.Bytes(), []byte(words.Hard), []byte(" "))); err != nil {
		return fmt.Errorf("write the hand-over: %w", err)
	}
	return nil
}

// bare is a text without the marks of values.
func bare(text string) string { return strings.ReplaceAll(text, "`", "") }

func (g *page) line(text string) { fmt.Fprintln(&g.Buffer, text) }

func (g *page) para(indent int, text string) { g.hang(strings.Repeat(" ", indent), text) }

// hang writes text behind a lead, its further lines below the first.
func (g *page) hang(lead, text string) {
	n := words.Cells(lead)
	for _, l := range words.Wrap(bare(text), g.width-n) {
		g.line(strings.TrimRight(lead+l, " "))
		lead = strings.Repeat(" ", n)
	}
}

func (g *page) list(title string, items []string) {
	if len(items) == 0 {
		return
	}
	g.line("")
	g.line(title)
	for _, item := range items {
		g.hang("  - ", item)
	}
}

func (g *page) steps(title string, steps []Step) {
	if len(steps) == 0 {
		return
	}
	g.line("")
	g.line(title)
	for i, st := range steps {
		if i > 0 {
			g.line("")
		}
		g.hang(fmt.Sprintf("%2d. ", i+1), st.Title)
		g.para(4, st.Why)
		for _, c := range st.Commands {
			g.hang("    # ", c.Does)
			g.line(indented(c.Run, "    "))
		}
	}
}

// indented shifts all lines of a command. Leading blanks mean nothing to bash
// where these commands have lines.
func indented(run, by string) string { return by + strings.ReplaceAll(run, "\n", "\n"+by) }
