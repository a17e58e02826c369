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
	return words.If(ca.Fingerprint != "", short(ca.Fingerprint)+" to "+ca.Expires.UTC().Format("2006-01"))
}

// hour shows a time of a simulation, whose runs are hours apart.
func (g *page) hour(t time.Time) string { return words.If(!t.IsZero(), g.In(t).Format(g.form)) }

func (g *page) chapters(s sim.Story) {
	list, left := choose(ranked(s))
	if len(list) == 0 {
		return
	}
	g.brief = len(s.Clusters) > mostLanes
	day, hour := "02 Jan ", "15:04"
	if s.To.Sub(s.From) < 28*24*time.Hour { // no day of the month comes twice: the weekday says more
		day = "Mon 02 "
	}
	if !slices.ContainsFunc(list, offTheHour) {
		hour = "15h"
	}
	g.form = day + hour
	names, last := 7, 0
	limit := g.width * 2 / 5
	for _, c := range list {
		if n := cells(clean(c.Cluster.String())); n <= limit {
			names = max(names, n)
		}
		last = max(last, cells(g.waited(c)))
	}
	cols := g.columns(g.storyColumns(list), names+2+min(last, 34), 0)
	head := pad("CLUSTER", names) + "  " + cellsOf(cols, func(c column) string { return c.title })
	g.line("%s", g.paint(bold, head+"WAITED MOST FOR"))
	for i, c := range list {
		g.chapter(c, i, cols, names)
	}
	if n := len(s.Clusters) - len(list); n > 0 {
		g.para(0, plain, fmt.Sprintf("and %d more (%s): --format json", n, countsOf(left)))
	}
}

func offTheHour(c sim.Chapter) bool {
	for _, t := range c.Entered {
		if t.Minute() != 0 {
			return true
		}
	}
	return false
}

// choose takes the chapters to show and counts the others by outcome.
func choose(list []sim.Chapter) ([]sim.Chapter, map[string]int) {
	var shown []sim.Chapter
	left := map[string]int{}
	room := map[bool]int{true: mostIdle, false: mostChapters}
	for _, c := range list {
		if idle := c.Outcome == sim.NotDue; room[idle] > 0 {
			room[idle]--
			shown = append(shown, c)
		} else {
			left[string(c.Outcome)]++
		}
	}
	return shown, left
}

func (g *page) chapter(c sim.Chapter, row int, cols []column, names int) {
	full, idle := clean(c.Cluster.String()), view.Began(c).IsZero()
	text, look := g.waited(c), outcomeStyle(c.Outcome)
	if cells(full) > names {
		if idle && cells(full)+2+cells(text) <= g.width {
			g.line("%s  %s", full, g.paint(look, text))
			return
		}
		g.line("%s", full)
		full = ""
	}
	if idle { // nothing happened: the reason comes at once
		cols = slices.DeleteFunc(slices.Clone(cols), func(c column) bool { return c.title != "OLD CA" })
	}
	line := pad(full, names) + "  " + cellsOf(cols, func(c column) string { return c.cells[row] })
	at := cells(line)
	if g.brief && (c.Outcome == sim.Waiting || c.Outcome == sim.InFlight) {
		room := g.width - at
		if room < 24 {
			room = g.width - 6 // it goes below
		}
		text = words.Cut(text, room)
	}
	if g.width-at < 24 { // no room beside: below
		if line = strings.TrimRight(line, " "); line != "" {
			g.line("%s", line)
		}
		g.para(6, look, text)
		return
	}
	g.hang(at, line, look, text)
}

func outcomeStyle(o sim.Outcome) style {
	switch o {
	case sim.NeedsAction, sim.Unreadable:
		return red
	case sim.Waiting, sim.InFlight, sim.CompletedByGKE:
		return yellow
	}
	return plain
}

// waited is what the cluster waited for longest, or why nothing happened.
func (g *page) waited(c sim.Chapter) string {
	why := g.Sentence(c.Reason, c.Message)
	switch c.Outcome {
	case sim.NotDue:
		return why
	case sim.InFlight:
		return "IN FLIGHT: " + words.Joined(string(c.Phase), why)
	case sim.NeedsAction, sim.Unreadable, sim.Waiting:
		return strings.ToUpper(strings.ReplaceAll(string(c.Outcome), "-", " ")) + ": " + why
	}
	waited := ""
	if len(c.Waited) > 0 {
		waited = words.Lasting(c.Waited[0].Time) + " " + g.gateWords(c.Waited[0])
	}
	return words.Joined(words.If(g.elsewhere[c.Cluster], "COMPLETED"+elsewhere),
		words.If(c.Outcome == sim.CompletedByGKE, "COMPLETED BY GKE"), waited)
}

func (g *page) gateWords(w sim.Wait) string {
	text, info := "", w.Reason.Info()
	if by := w.Message.Clusters(); info.Slot != "" && len(by) > 0 {
		return info.Slot + " (" + clean(strings.Join(by, ", ")) + ")"
	}
	if info.Head {
		text = g.Say(w.Message.Head())
	}
	return cmp.Or(info.Slot, text, w.Gate, string(w.Reason))
}
