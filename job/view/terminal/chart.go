package terminal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/record"
)

// mostLanes is how many clusters have a line of their own in the timeline;
// larger fleets are shown as heaps.
const mostLanes = 30

type mark struct {
	kind, mark, text string
	style            style
}

// marks stand for what a cluster does, in the timeline.
var marks = []mark{
	{view.StepDue, "·", "due and waiting", dim}, {string(record.Starting), "s", "starting", cyan},
	{string(record.RecreatingNodes), "n", "nodes", yellow},
	{string(record.UpdatingClients), "u", "updating clients", yellow},
	{string(record.Completing), "c", "completing", plain}, {string(record.Verifying), "v", "verifying", plain},
	{view.StepVerified, "✓", "verified", green},
}

// kindAt is what the cluster did at the end of a stretch of time; "" for nothing.
func kindAt(l view.Lane, from, to time.Time) string {
	kind := ""
	for _, s := range l.Steps {
		if s.At.Before(to) {
			kind = s.Kind
			if kind == view.StepVerified && s.At.Before(from) {
				kind = ""
			}
		}
	}
	return kind
}

// scale divides the story's time into marks.
type scale struct {
	from time.Time
	mark time.Duration
	n    int
}

func (sc scale) start(i int) time.Time { return sc.from.Add(time.Duration(i) * sc.mark) }

var markLengths = []time.Duration{
	time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
	48 * time.Hour, 96 * time.Hour, 168 * time.Hour,
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

func (g *page) timeline(s sim.Story) {
	names, label, lanes := view.ShortNames(s), 9, view.Lanes(ranked(s), s.Changes)
	if len(lanes) == 0 {
		return
	}
	for _, l := range lanes {
		label = max(label, cells(names[l.Cluster]))
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
	used := map[string]bool{}
	var lines []string
	for _, l := range lanes {
		kinds := make([]string, sc.n)
		for i := range kinds {
			kinds[i] = kindAt(l, sc.start(i), sc.start(i+1))
			used[kinds[i]] = true
		}
		lines = append(lines, pad(words.CutLeft(names[l.Cluster], label), label)+"  "+g.drawn(kinds))
	}
	g.axis(sc, label, legend(used))
	for _, l := range lines {
		g.line("%s", l)
	}
}

// drawn is a row of marks, each run of them in its colour.
func (g *page) drawn(kinds []string) string {
	out := ""
	for len(kinds) > 0 {
		m, n := mark{mark: " "}, 1
		if i := slices.IndexFunc(marks, func(m mark) bool { return m.kind == kinds[0] }); i >= 0 {
			m = marks[i]
		}
		for n < len(kinds) && kinds[n] == kinds[0] {
			n++
		}
		out += g.paint(m.style, strings.Repeat(m.mark, n))
		kinds = kinds[n:]
	}
	return strings.TrimRight(out, " ")
}

// lastOf is where the timeline ends: with the last event, unless somebody
// still waits.
func lastOf(s sim.Story, lanes []view.Lane) time.Time {
	last := s.From
	for _, l := range lanes {
		if l.Outcome != sim.Verified {
			return s.To
		}
		last = view.Latest(last, l.Steps[len(l.Steps)-1].At)
	}
	return last.Add(time.Hour)
}

func legend(used map[string]bool) string {
	var out []string
	for _, m := range marks {
		if used[m.kind] {
			out = append(out, unbroken(m.mark+" "+m.text))
		}
	}
	return strings.Join(out, " "+hard)
}

// axis writes the legend and the dates above the marks.
func (g *page) axis(sc scale, label int, legend string) {
	mark := words.Lasting(sc.mark)
	if sc.mark%(24*time.Hour) == 0 {
		mark = words.Plural(int(sc.mark/(24*time.Hour)), "day", "days")
	}
	g.para(0, plain, unbroken("One mark is "+mark+":")+" "+hard+legend)
	dates, month := "", time.Month(0)
	for i := range sc.n {
		if len(dates) > i {
			continue
		}
		t, form := g.In(sc.start(i)), "2 "
		if t.Month() != month {
			form = "Jan 2 "
		}
		text := t.Format(form)
		sameDay := i > 0 && t.Format(time.DateOnly) == g.In(sc.start(i-1)).Format(time.DateOnly)
		if sameDay || i+len(text)-1 > sc.n && i > 0 {
			text = " "
		} else {
			month = t.Month()
		}
		dates += text
	}
	g.line("%s  %s", strings.Repeat(" ", label), g.paint(dim, strings.TrimRight(dates, " ")))
}

// heaps draws a large fleet: how many clusters stood where, mark by mark.
func (g *page) heaps(lanes []view.Lane, sc scale, label int) {
	g.axis(sc, label, fmt.Sprintf("full height is all %d clusters that were due; at the right the most at one time", len(lanes)))
	for _, r := range []struct {
		text  string
		style style
		kinds []string
	}{
		{"due, waiting", plain, []string{view.StepDue}},
		{"starting, nodes", yellow, []string{string(record.Starting), string(record.RecreatingNodes)}},
		{"updating clients", yellow, []string{string(record.UpdatingClients)}},
		{"completing", plain, []string{string(record.Completing), string(record.Verifying)}},
		{"verified so far", green, []string{view.StepVerified}},
	} {
		counts := make([]int, sc.n)
		for i := range sc.n {
			for _, l := range lanes {
				// From the beginning: what is verified stays.
				if slices.Contains(r.kinds, kindAt(l, sc.from, sc.start(i+1))) {
					counts[i]++
				}
			}
		}
		most := slices.Max(counts)
		if most == 0 {
			continue
		}
		text, number := spark(counts, len(lanes)), fmt.Sprintf(" %d", most)
		if len(number) > g.width-label-2-sc.n {
			text, number = strings.TrimRight(text, " "), ""
		}
		g.line("%s  %s%s", pad(words.CutLeft(r.text, label), label), g.paint(r.style, text), number)
	}
}

// spark draws numbers as columns, a full one for all; one of many is still seen.
func spark(numbers []int, all int) string {
	bars, text := []rune(" ▁▂▃▄▅▆▇█"), ""
	for _, n := range numbers {
		text += string(bars[(n*8+all-1)/all])
	}
	return text
}

// inFlight draws how many rotations are in flight, in as many marks as fit.
func (g *page) inFlight(f view.Forecast) {
	if f.Peak.InFlight == 0 {
		return
	}
	each := max((len(f.Days)+g.width-5)/(g.width-4), 1)
	var most []int
	for part := range slices.Chunk(f.Days, each) {
		most = append(most, slices.MaxFunc(part,
			func(a, b view.Day) int { return a.InFlight - b.InFlight }).InFlight)
	}
	mark := "a mark a day"
	if each > 1 {
		mark = fmt.Sprintf("a mark is %d days", each)
	}
	g.heading(bold, "IN FLIGHT")
	g.line("  %s", g.paint(cyan, strings.TrimRight(spark(most, f.Peak.InFlight), " ")))
	days := f.Play.Days
	first, last := days[0].Date.Format("02 Jan 2006"), days[len(days)-1].Date.Format("02 Jan 2006")
	g.line("%s", g.paint(dim, strings.TrimRight("  "+first+strings.Repeat(" ", max(len(most)-2*len(first), 3))+
		last, " ")))
	g.para(2, plain, fmt.Sprintf("at most %d, first on %s; %d of MAX_ACTIVE=%d slots at most; %s",
		f.Peak.InFlight, g.At(f.Peak.At.Time), f.Peak.Slots, f.Peak.Of, mark))
}
