// Package terminal writes views as text for people: what a run would do and why,
// how a rotation stands, what a simulation told, a hand-over. It reads no clock,
// asks nobody and decides nothing.
package terminal

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
)

// Options say how a picture is made. The zero value suits a pipe: 100 columns,
// no colour, UTC.
type Options struct {
	Width int            // the columns of the terminal; below 1 means that there is none
	Color bool           // allows colour, which only repeats what words say
	Zone  *time.Location // what times are shown in; nil is UTC
	Live  bool           // a line may be redrawn: the writer is a terminal
	Mode  string         // observe or act; "" is left out
	All   bool           // each of a plan's clusters in a row of its own, none of them cut
	Wall  time.Duration  // how long a simulation took; 0 is left out
}

const (
	pipeWidth = 100 // where there is no terminal
	leastWide = 40
	mostWide  = 160 // beyond, sentences and their codes drift apart
	narrow    = 80  // below, rows become paragraphs
)

type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// page is a picture in the making: one write at its end.
type page struct {
	bytes.Buffer
	view.Words
	o         Options
	width     int
	form      string             // how times are written in a story's table
	brief     bool               // the fleet is large, so each cluster gets one line
	elsewhere map[fleet.Ref]bool // the clusters whose rotations others completed
}

func newPage(o Options, now time.Time) *page {
	g := &page{Words: view.Words{Clock: words.Clock{Now: now, Zone: o.Zone}}, o: o, width: pipeWidth}
	if o.Width > 0 {
		g.width = min(max(o.Width, leastWide), mostWide)
	}
	return g
}

func (g *page) send(w io.Writer) error {
	if _, err := w.Write(bytes.ReplaceAll(g.Bytes(), []byte(hard), []byte(" "))); err != nil {
		return fmt.Errorf("write the picture: %w", err)
	}
	return nil
}

func (g *page) paint(s style, text string) string {
	if !g.o.Color || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

func (g *page) line(format string, args ...any) { fmt.Fprintf(g, format+"\n", args...) }

// hang writes text behind a lead that takes so many columns, its further lines
// below the first.
func (g *page) hang(at int, lead string, s style, text string) {
	for _, l := range wrap(text, g.width-at) {
		g.line("%s", strings.TrimRight(lead+g.paint(s, l), " "))
		lead = strings.Repeat(" ", at)
	}
}

func (g *page) para(indent int, s style, text string) {
	g.hang(indent, strings.Repeat(" ", indent), s, text)
}

func (g *page) bullet(s style, text string) { g.hang(4, "  - ", s, clean(text)) }

// fact writes a labelled line.
func (g *page) fact(label, text string) { g.hang(11, "  "+pad(label, 8)+" ", plain, text) }

// known writes it where there is something to say.
func (g *page) known(label, text string) {
	if text != "" {
		g.fact(label, text)
	}
}

// parts writes what belongs together on one line, or on more when it must.
func (g *page) parts(s style, parts ...string) {
	kept := words.Said(parts...)
	for i, p := range kept {
		if cells(p) <= g.width-2 { // else it breaks, or it would stand out
			kept[i] = unbroken(p)
		}
	}
	for _, l := range wrap(strings.Join(kept, hard+"· "), g.width) {
		g.line("%s", g.paint(s, strings.TrimSuffix(l, " ·")))
	}
}

// headTime is the page's own time, with all that a reader may want of it.
func (g *page) headTime(t time.Time) string {
	return g.In(t).Format("Mon 2006-01-02 15:04 ") + g.Name()
}

// next is what people can do about a reason, with names filled in. What is typed
// stays in one piece, so that it can be pasted.
func next(r reason.Code, ref, env string) string { return words.Unbroken(r.Info().Next, ref, env) }

func short(f fleet.Fingerprint) string {
	if f == "" {
		return "?"
	}
	return f.Short()
}
