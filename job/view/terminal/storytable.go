package terminal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// column is one column of a table. Those with the highest drop go first where
// the terminal is narrow; 0 stays.
type column struct {
	title string
	drop  int
	cells []string // one a row
	width int
}

// columns are those that fit beside so much else, each no wider than most; 0:
// as wide as it is.
func (g *page) columns(cols []column, beside, most int) []column {
	for i, c := range cols {
		w := len(c.title)
		for _, cell := range c.cells {
			w = max(w, cells(cell))
		}
		if cols[i].width = w; most > 0 {
			cols[i].width = min(w, most)
		}
	}
	for {
		used, worst := beside, 0
		for i, c := range cols {
			used += c.width + 2
			if c.drop > cols[worst].drop {
				worst = i
			}
		}
		if used <= g.width || cols[worst].drop == 0 {
			return cols
		}
		cols = slices.Delete(cols, worst, worst+1)
	}
}

// storyColumns are the columns of the story's table.
func (g *page) storyColumns(list []sim.Chapter) []column {
	cols := []column{{title: "OLD CA", drop: 2}, {title: "NEW CA", drop: 5}, {title: "STARTED", drop: 1},
		{title: "NODES DONE", drop: 4}, {title: "COMPLETED", drop: 3}, {title: "VERIFIED"}}
	for _, c := range list {
		for i, cell := range []string{
			caCell(c.OldCA), caCell(c.NewCA), g.hour(view.Began(c)), g.hour(c.Entered[record.UpdatingClients]),
			g.hour(c.Entered[record.Completing]), g.hour(c.Closed),
		} {
			cols[i].cells = append(cols[i].cells, cell)
		}
	}
	return cols
}

func caCell(ca fleet.CA) string {
	if ca.Fingerprint == "" {
		return ""
	}
	return short(ca.Fingerprint) + " to " + ca.Expires.UTC().Format("2006-01")
}

// hour shows a time of a simulation, whose runs are hours apart.
func (g *page) hour(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	form := "02 Jan "
	if g.days { // the weekday says more than the month
		form = "Mon 02 "
	}
	if g.hours {
		form += "15h"
	} else {
		form += "15:04"
	}
	return g.In(t).Format(form)
}

// chapters writes the table: one line a cluster, and the rest counted.
func (g *page) chapters(s sim.Story) {
	list, left := choose(ranked(s))
	if len(list) == 0 {
		return
	}
	g.brief = len(s.Clusters) > mostLanes
	g.hours, g.days = onTheHour(list), s.To.Sub(s.From) < 28*24*time.Hour
	names, last := 7, 0
	limit := g.width * 2 / 5
	for _, c := range list {
		if n := cells(clean(c.Cluster.String())); n <= limit {
			names = max(names, n)
		}
		last = max(last, cells(g.waited(c)))
	}
	cols := g.columns(g.storyColumns(list), names+2+min(last, 34), 0)
	head := pad("CLUSTER", names)
	for _, col := range cols {
		head += "  " + pad(col.title, col.width)
	}
	g.line("%s", g.paint(bold, head+"  WAITED MOST FOR"))
	for i, c := range list {
		g.chapter(c, i, cols, names)
	}
	if n := len(s.Clusters) - len(list); n > 0 {
		g.para(0, plain, fmt.Sprintf("and %d more (%s): --format json", n, countsOf(left)))
	}
}

// onTheHour says whether all times of the table are full hours.
func onTheHour(list []sim.Chapter) bool {
	for _, c := range list {
		for _, t := range c.Entered {
			if t.Minute() != 0 {
				return false
			}
		}
	}
	return true
}

// choose takes the chapters to show and counts the others by outcome.
func choose(list []sim.Chapter) ([]sim.Chapter, map[string]int) {
	var shown []sim.Chapter
	left := map[string]int{}
	idle, others := 0, 0
	for _, c := range list {
		n, most := &others, mostChapters
		if c.Outcome == sim.NotDue {
			n, most = &idle, mostIdle
		}
		if *n++; *n > most {
			left[string(c.Outcome)]++
			continue
		}
		shown = append(shown, c)
	}
	return shown, left
}

func (g *page) chapter(c sim.Chapter, row int, cols []column, names int) {
	full, idle := clean(c.Cluster.String()), view.Began(c).IsZero()
	line := pad(full, names)
	if text := g.waited(c); cells(full) > names && idle && cells(full)+2+cells(text) <= g.width {
		g.line("%s  %s", full, g.paint(outcomeStyle(c.Outcome), text))
		return
	}
	if cells(full) > names {
		g.line("%s", full)
		line = strings.Repeat(" ", names)
	}
	at := names + 2
	dates := ""
	for _, col := range cols {
		if idle && col.title != "OLD CA" {
			continue // nothing happened: the reason comes at once
		}
		dates += pad(col.cells[row], col.width) + "  "
		at += col.width + 2
	}
	look := outcomeStyle(c.Outcome)
	text := g.waited(c)
	if g.brief && (c.Outcome == sim.Waiting || c.Outcome == sim.InFlight) {
		room := g.width - at
		if room < 24 {
			room = g.width - 6 // it goes below
		}
		text = words.Cut(text, room)
	}
	if g.width-at < 24 { // no room beside: below
		if dates = strings.TrimRight(line+"  "+dates, " "); dates != "" {
			g.line("%s", dates)
		}
		g.para(6, look, text)
		return
	}
	g.hang(at, line+"  "+dates, look, text)
}

func outcomeStyle(o sim.Outcome) style {
	switch o {
	case sim.NeedsAction, sim.Unreadable:
		return red
	case sim.Waiting, sim.InFlight:
		return yellow
	}
	return plain
}

// waited is what the cluster waited for longest, or why nothing happened.
func (g *page) waited(c sim.Chapter) string {
	why := g.Sentence(c.Reason, c.Message)
	switch c.Outcome {
	case sim.NeedsAction:
		return "NEEDS ACTION: " + why
	case sim.Unreadable:
		return "UNREADABLE: " + why
	case sim.NotDue:
		return why
	case sim.Waiting:
		return "WAITING: " + why
	case sim.InFlight:
		return "IN FLIGHT: " + words.Joined(string(c.Phase), why)
	}
	by, waited := "", ""
	if g.elsewhere[c.Cluster] {
		by = "COMPLETED" + elsewhere
	}
	if len(c.Waited) > 0 {
		waited = words.Lasting(c.Waited[0].Time) + " " + g.gateWords(c.Waited[0])
	}
	return words.Joined(by, waited)
}

// gateWords says in a few words what was waited for.
func (g *page) gateWords(w sim.Wait) string {
	what := cmp.Or(w.Gate, string(w.Reason))
	if slot := w.Reason.Info().Slot; slot != "" {
		if by := w.Message.Clusters(); len(by) > 0 {
			return slot + " (" + clean(strings.Join(by, ", ")) + ")"
		}
		return slot
	}
	switch w.Reason {
	case reason.WindowClosed, reason.CompleteWindowClosed, reason.StartWindowClosed,
		reason.Excluded, reason.WaveClosed, reason.Held, reason.HeldByLabel:
		return cmp.Or(g.Say(w.Message.Head()), what)
	}
	return what
}
