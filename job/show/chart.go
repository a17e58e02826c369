package show

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// mostLanes is how many clusters have a line of their own in the timeline;
// larger fleets are shown as heaps.
const mostLanes = 30

// marks stand for phases in the timeline.
var marks = map[record.Phase]string{
	"": "·", record.Starting: "s", record.RecreatingNodes: "n", record.UpdatingClients: "u", record.Completing: "c", record.Verifying: "v", ended: "✓",
}

// ended marks the place in the timeline where a rotation is verified.
const ended record.Phase = "verified"

// lane is one cluster's way through the simulation.
type lane struct {
	name  string
	due   time.Time
	steps []sim.Change
	c     sim.Chapter
}

// at is where the cluster stood at the end of a stretch of time.
func (l lane) at(from, to time.Time) (phase record.Phase, shown bool) {
	shown = !l.due.IsZero() && l.due.Before(to)
	for _, s := range l.steps {
		if !s.At.Before(to) {
			break
		}
		switch {
		case s.Closed == "":
			phase, shown = s.Phase, true
		case isVerified(s.Closed):
			phase, shown = ended, !s.At.Before(from)
		default: // a start that came to nothing waits again; what is gone does not
			phase, shown = "", s.Closed == record.NotStarted
		}
	}
	return phase, shown
}

func isVerified(as record.ClosedAs) bool {
	return as == record.Completed || as == record.CompletedElsewhere || as == record.CompletedWithFindings
}

// scale divides the story's time into marks.
type scale struct {
	from time.Time
	mark time.Duration
	n    int
}

func (sc scale) start(i int) time.Time { return sc.from.Add(time.Duration(i) * sc.mark) }

var markLengths = []time.Duration{
	time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour, 96 * time.Hour, 168 * time.Hour,
}

// scaleFor finds the finest scale that fits into so many columns.
func scaleFor(from, to time.Time, room int) scale {
	room = max(room, 10)
	for _, m := range markLengths {
		if n := int((to.Sub(from) + m - 1) / m); n <= room {
			return scale{from, m, max(n, 1)}
		}
	}
	m := (to.Sub(from)/time.Duration(room) + 24*time.Hour).Truncate(24 * time.Hour)
	return scale{from, m, int(to.Sub(from)/m) + 1}
}

// timeline draws what happened when.
func (g *page) timeline(s sim.Story) {
	lanes := lanesOf(s)
	if len(lanes) == 0 {
		return
	}
	label := 9
	for _, l := range lanes {
		label = max(label, cells(l.name))
	}
	if len(lanes) > mostLanes {
		label = 16
	}
	label = min(label, g.width/3)
	sc := scaleFor(s.From, lastOf(s, lanes), g.width-label-2)
	g.line("")
	if len(lanes) > mostLanes {
		g.heaps(lanes, sc, label)
		return
	}
	var used []record.Phase
	var lines []string
	for _, l := range lanes {
		text := ""
		for i := range sc.n {
			phase, shown := l.at(sc.start(i), sc.start(i+1))
			if !shown {
				text += " "
				continue
			}
			if !slices.Contains(used, phase) {
				used = append(used, phase)
			}
			text += marks[phase]
		}
		lines = append(lines, pad(cut(l.name, label), label)+"  "+g.tint(strings.TrimRight(text, " ")))
	}
	g.axis(sc, label, legend(used))
	for _, l := range lines {
		g.line("%s", l)
	}
}

// tint colours runs of marks.
func (g *page) tint(text string) string {
	if !g.o.Color {
		return text
	}
	colours := map[rune]style{'·': dim, 's': cyan, 'n': yellow, 'u': yellow, 'c': plain, 'v': plain, '✓': green}
	out, part, of := "", "", rune(0)
	for _, r := range text + "\x00" {
		if r != of && part != "" {
			out += g.paint(colours[of], part)
			part = ""
		}
		part, of = part+string(r), r
	}
	return out
}

// lanesOf are the clusters that were due or rotating, in the table's order.
func lanesOf(s sim.Story) []lane {
	steps := map[fleet.Ref][]sim.Change{}
	for _, c := range s.Changes {
		steps[c.Cluster] = append(steps[c.Cluster], c)
	}
	names := shortNames(s)
	var out []lane
	for _, c := range ranked(s) {
		if (c.Due.IsZero() || c.Outcome == sim.NeedsPeople) && len(steps[c.Cluster]) == 0 {
			continue
		}
		out = append(out, lane{names[c.Cluster], c.Due, steps[c.Cluster], c})
	}
	return out
}

// lastOf is where the timeline ends: with the last event, unless somebody
// still waits.
func lastOf(s sim.Story, lanes []lane) time.Time {
	last := s.From
	for _, l := range lanes {
		if l.c.Outcome != sim.Verified {
			return s.To
		}
		for _, st := range l.steps {
			if st.At.After(last) {
				last = st.At
			}
		}
	}
	return last.Add(time.Hour)
}

func legend(used []record.Phase) string {
	words := []struct {
		phase record.Phase
		text  string
	}{
		{"", "· due and waiting"}, {record.Starting, "s starting"}, {record.RecreatingNodes, "n nodes"},
		{record.UpdatingClients, "u updating clients"}, {record.Completing, "c completing"}, {record.Verifying, "v verifying"}, {ended, "✓ verified"},
	}
	var out []string
	for _, w := range words {
		if slices.Contains(used, w.phase) {
			out = append(out, strings.ReplaceAll(w.text, " ", hard))
		}
	}
	return strings.Join(out, " "+hard)
}

// axis writes the legend and the dates above the marks.
func (g *page) axis(sc scale, label int, legend string) {
	g.para(0, plain, "One"+hard+"mark"+hard+"is"+hard+markText(sc.mark)+": "+hard+legend)
	dates := make([]rune, 0, sc.n)
	month := time.Month(0)
	for i := range sc.n {
		t := sc.start(i).In(g.o.Zone)
		before := sc.start(i - 1).In(g.o.Zone)
		if t.Format(time.DateOnly) == before.Format(time.DateOnly) && i > 0 || len(dates) > i {
			if len(dates) <= i {
				dates = append(dates, ' ')
			}
			continue
		}
		text := t.Format("2 ")
		if t.Month() != month {
			text = t.Format("Jan 2 ")
		}
		if i+len(text)-1 > sc.n && i > 0 {
			dates = append(dates, ' ')
			continue
		}
		month = t.Month()
		dates = append(dates, []rune(text)...)
	}
	g.line("%s  %s", strings.Repeat(" ", label), g.paint(dim, strings.TrimRight(string(dates), " ")))
}

func markText(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return strings.ReplaceAll(plural(int(d/(24*time.Hour)), "day", "days"), " ", hard)
	}
	return strings.ReplaceAll(lasting(d), " ", hard)
}

// cut keeps a label inside its column.
func cut(s string, width int) string {
	if cells(s) <= width {
		return s
	}
	runes := []rune(s)
	return "…" + string(runes[len(runes)-width+1:])
}

// cutEnd keeps a text inside its line.
func cutEnd(s string, width int) string {
	runes := []rune(s)
	if len(runes) <= max(width, 1) {
		return s
	}
	return string(runes[:max(width, 1)-1]) + "…"
}

// heaps draws a large fleet: how many clusters stood where, mark by mark.
func (g *page) heaps(lanes []lane, sc scale, label int) {
	rows := []struct {
		text   string
		phases []record.Phase
		style  style
	}{
		{"due, waiting", []record.Phase{""}, plain},
		{"starting, nodes", []record.Phase{record.Starting, record.RecreatingNodes}, yellow},
		{"updating clients", []record.Phase{record.UpdatingClients}, yellow},
		{"completing", []record.Phase{record.Completing, record.Verifying}, plain},
		{"verified so far", []record.Phase{ended}, green},
	}
	counts := make([][]int, len(rows))
	for k := range rows {
		counts[k] = make([]int, sc.n)
	}
	for i := range sc.n {
		for _, l := range lanes {
			phase, shown := l.at(sc.from, sc.start(i+1)) // from the beginning: what is verified stays
			for k, r := range rows {
				if shown && slices.Contains(r.phases, phase) {
					counts[k][i]++
				}
			}
		}
	}
	g.axis(sc, label, fmt.Sprintf("full height is all %d clusters that were due; at the right the most at one time", len(lanes)))
	for k, r := range rows {
		most := slices.Max(counts[k])
		if most == 0 {
			continue
		}
		text := ""
		for _, n := range counts[k] {
			text += bar(n, len(lanes))
		}
		room := g.width - label - 2 - sc.n
		number := fmt.Sprintf(" %d", most)
		if len(number) > room {
			text, number = strings.TrimRight(text, " "), ""
		}
		g.line("%s  %s%s", pad(cut(r.text, label), label), g.paint(r.style, text), number)
	}
}

// bar is a column of height n of all; one cluster of many is still seen.
func bar(n, all int) string {
	const heights = "▁▂▃▄▅▆▇█"
	if n == 0 {
		return " "
	}
	return string([]rune(heights)[min(n*8/all, 7)])
}
