package terminal

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
)

const mostShifts = 40

// ForecastCompare shows what another policy changes: per cluster, and for the
// fleet. The error is the writer's.
func ForecastCompare(w io.Writer, f view.Forecast, o ForecastOptions) error {
	g, c := newPage(o.Options, f.From), f.Compare
	g.forecastHead(f)
	g.heading(bold, "SETTINGS")
	for _, s := range c.Settings {
		g.bullet(plain, fmt.Sprintf("ROTATOR_%s: %s → %s", s.Name, s.Before, s.After))
	}
	if len(c.Settings) == 0 {
		g.bullet(plain, clean(c.File)+" changes no setting of the policy.")
	}
	g.sums(f, c)
	g.shifts(c, o)
	return g.send(w)
}

func (g *page) sums(f view.Forecast, c *view.Comparison) {
	before, after := view.Outcomes(c.Play.Before.Story), view.Outcomes(c.Play.After.Story)
	lines := [][3]string{{"", "now", "with " + clean(c.File)}}
	add := func(what string, before, after any) {
		lines = append(lines, [3]string{what, fmt.Sprint(before), fmt.Sprint(after)})
	}
	add("rotations verified", c.Before.Rotated, c.After.Rotated)
	add("the last of them", cmp.Or(g.At(c.Before.Last.Time), "-"), cmp.Or(g.At(c.After.Last.Time), "-"))
	add("in flight at most", c.Before.InFlight, c.After.InFlight)
	add("slots at most", fmt.Sprintf("%d of %d", c.Before.Slots, f.Policy.MaxActive),
		fmt.Sprintf("%d of %d", c.After.Slots, c.Policy.MaxActive))
	add("in flight at the end", before[sim.InFlight], after[sim.InFlight])
	add("still waiting", before[sim.Waiting], after[sim.Waiting])
	add("need action", before[sim.NeedsAction], after[sim.NeedsAction])
	add("past their deadline", c.Before.Late, c.After.Late)
	g.heading(bold, "THE FLEET")
	g.table(lines)
}

// table writes lines in columns under heads, or as paragraphs where that is too
// wide.
func (g *page) table(lines [][3]string) {
	var wide [3]int
	for _, l := range lines {
		for i, cell := range l {
			wide[i] = max(wide[i], cells(cell))
		}
	}
	if 2+wide[0]+2+wide[1]+2+wide[2] > g.width {
		for _, l := range lines[1:] {
			g.para(2, plain, l[0])
			g.para(4, plain, lines[0][1]+": "+l[1])
			g.para(4, plain, lines[0][2]+": "+l[2])
		}
		return
	}
	look := bold
	for _, l := range lines {
		text := strings.TrimRight("  "+pad(l[0], wide[0])+"  "+pad(l[1], wide[1])+"  "+l[2], " ")
		g.line("%s", g.paint(look, text))
		look = plain
	}
}

func (g *page) shifts(c *view.Comparison, o ForecastOptions) {
	all := c.Play.Shifts()
	g.heading(bold, "CLUSTERS")
	if len(all) == 0 {
		g.para(2, plain, "Every rotation starts and completes at the same time under both.")
		return
	}
	names := view.ShortNames(c.Play.After.Story)
	shown := all
	if !o.All {
		shown = all[:min(len(all), mostShifts)]
	}
	lines := [][3]string{{"", "start", "completion"}}
	for _, s := range shown {
		start := g.shift(s.StartBefore, s.StartAfter)
		if s.Miss != s.MissBefore {
			start += map[bool]string{true: ", LATE", false: ", late no more"}[s.Miss]
		}
		lines = append(lines, [3]string{names[s.Cluster], start, g.shift(s.CompletedBefore, s.CompletedAfter)})
	}
	g.table(lines)
	if n := len(all) - len(shown); n > 0 {
		g.para(2, plain, fmt.Sprintf("and %d more: --all, or --format json", n))
	}
	if same := len(c.Play.After.Clusters) - len(all); same > 0 {
		g.para(2, plain, fmt.Sprintf("%s as before", words.Plural(same, "cluster is", "clusters are")))
	}
}

// shift shows a time under both policies, and how far apart they are.
func (g *page) shift(before, after time.Time) string {
	switch {
	case before.IsZero() && after.IsZero():
		return "-"
	case before.IsZero():
		return "never → " + g.soon(after)
	case after.IsZero():
		return g.soon(before) + " → never"
	case before.Equal(after):
		return g.soon(after)
	}
	by := words.Lasting(after.Sub(before))
	if after.After(before) {
		by = "+" + by
	}
	return fmt.Sprintf("%s → %s (%s)", g.soon(before), g.soon(after), by)
}
