package show

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/reason"
)

// column is one column of the story's table. Those with the highest drop go
// first where the terminal is narrow; 0 stays.
type column struct {
	title string
	drop  int
	cell  func(*page, sim.Chapter) string
	width int
}

var columns = []column{
	{"OLD CA", 2, func(_ *page, c sim.Chapter) string { return caCell(c.OldCA) }, 0},
	{"NEW CA", 5, func(_ *page, c sim.Chapter) string { return caCell(c.NewCA) }, 0},
	{"STARTED", 1, func(g *page, c sim.Chapter) string { return g.hour(began(c)) }, 0},
	{"NODES DONE", 4, func(g *page, c sim.Chapter) string { return g.hour(nodesDone(c)) }, 0},
	{"COMPLETED", 3, func(g *page, c sim.Chapter) string { return g.hour(c.Entered[policy.Completing]) }, 0},
	{"VERIFIED", 0, func(g *page, c sim.Chapter) string { return g.hour(c.Closed) }, 0},
}

func caCell(ca policy.CA) string {
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
	return t.In(g.o.Zone).Format(form)
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
	cols := g.columns(list, names, min(last, 34))
	g.tableHead(cols, names)
	for _, c := range list {
		g.chapter(c, cols, names)
	}
	if len(left) > 0 {
		g.para(0, plain, fmt.Sprintf("and %d more (%s): --format json", sum(left), countsOf(left)))
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

func (g *page) tableHead(cols []column, names int) {
	head := pad("CLUSTER", names)
	for _, col := range cols {
		head += "  " + pad(col.title, col.width)
	}
	g.line("%s", g.paint(bold, head+"  WAITED MOST FOR"))
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

func sum(count map[string]int) int {
	n := 0
	for _, c := range count {
		n += c
	}
	return n
}

// columns are those that fit beside the names and last columns of text.
func (g *page) columns(list []sim.Chapter, names, last int) []column {
	cols := make([]column, len(columns))
	copy(cols, columns)
	for i := range cols {
		cols[i].width = len(cols[i].title)
		for _, c := range list {
			cols[i].width = max(cols[i].width, cells(cols[i].cell(g, c)))
		}
	}
	for {
		used, worst := names+2+last, 0
		for i, c := range cols {
			used += c.width + 2
			if c.drop > cols[worst].drop {
				worst = i
			}
		}
		if used <= g.width || cols[worst].drop == 0 {
			return cols
		}
		cols = append(cols[:worst], cols[worst+1:]...)
	}
}

func (g *page) chapter(c sim.Chapter, cols []column, names int) {
	full := clean(c.Cluster.String())
	line := pad(full, names)
	if text := g.waited(c); cells(full) > names && began(c).IsZero() && cells(full)+2+cells(text) <= g.width {
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
		if began(c).IsZero() && col.title != "OLD CA" {
			continue // nothing happened: the reason comes at once
		}
		dates += pad(col.cell(g, c), col.width) + "  "
		at += col.width + 2
	}
	look := outcomeStyle(c.Outcome)
	text := g.waited(c)
	if g.brief && (c.Outcome == sim.Waiting || c.Outcome == sim.InFlight) {
		room := g.width - at
		if room < 24 {
			room = g.width - 6 // it goes below
		}
		text = cutEnd(text, room)
	}
	if g.width-at < 24 { // no room beside: below
		if dates = strings.TrimRight(line+"  "+dates, " "); dates != "" {
			g.line("%s", dates)
		}
		g.para(6, look, text)
		return
	}
	for i, l := range wrap(text, g.width-at) {
		if i > 0 {
			line, dates = "", strings.Repeat(" ", at-2)
		}
		g.line("%s", strings.TrimRight(line+"  "+dates+g.paint(look, l), " "))
	}
}

func outcomeStyle(o sim.Outcome) style {
	switch o {
	case sim.NeedsPeople, sim.Unreadable:
		return red
	case sim.Waiting, sim.InFlight:
		return yellow
	}
	return plain
}

// waited is what the cluster waited for longest, or why nothing happened.
func (g *page) waited(c sim.Chapter) string {
	why := g.sentence(c.Reason, c.Message)
	switch c.Outcome {
	case sim.NeedsPeople:
		return "NEEDS PEOPLE: " + why
	case sim.Unreadable:
		return "UNREADABLE: " + why
	case sim.NotDue:
		return why
	case sim.Waiting:
		return "WAITING: " + why
	case sim.InFlight:
		return "IN FLIGHT: " + joined(string(c.Phase), why)
	}
	if len(c.Waited) == 0 {
		return ""
	}
	w := c.Waited[0]
	return lasting(w.Time) + " " + g.gateWords(w)
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
	case reason.WindowClosed, reason.CompleteWindowShut, reason.StartWindowClosed,
		reason.Excluded, reason.WaveShut, reason.Held, reason.HeldByLabel:
		return cmp.Or(g.say(w.Message.Head()), what)
	}
	return what
}
