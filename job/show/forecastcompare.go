package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy"
)

// mostShifts is how many clusters a comparison shows.
const mostShifts = 40

// ForecastCompare shows what another policy changes: per cluster, and for the
// fleet. The error is the writer's.
func ForecastCompare(w io.Writer, c sim.Comparison, p, other *policy.Policy, o ForecastOptions) error {
	g := newPage(o.Options, c.Before.From)
	g.forecastHead(c.Before, p, o)
	g.heading(bold, "SETTINGS")
	for _, s := range c.Settings {
		g.bullet(plain, fmt.Sprintf("ROTATOR_%s: %s → %s", s.Name, s.Before, s.After))
	}
	if len(c.Settings) == 0 {
		g.bullet(plain, clean(c.File)+" changes no setting of the policy.")
	}
	g.sums(c, p, other)
	g.shifts(c, o)
	return g.send(w)
}

// sums shows the fleet under both policies.
func (g *page) sums(c sim.Comparison, p, other *policy.Policy) {
	rotatedBefore, lastBefore := c.Before.Rotated()
	rotatedAfter, lastAfter := c.After.Rotated()
	count := func(f sim.Forecast, o sim.Outcome) int {
		n := 0
		for _, chapter := range f.Clusters {
			if chapter.Outcome == o {
				n++
			}
		}
		return n
	}
	lines := [][3]string{{"", "now", "with " + clean(c.File)}}
	add := func(what string, before, after any) {
		lines = append(lines, [3]string{what, fmt.Sprint(before), fmt.Sprint(after)})
	}
	add("rotations verified", rotatedBefore, rotatedAfter)
	add("the last of them", dashed(g.at(lastBefore)), dashed(g.at(lastAfter)))
	add("in flight at most", c.Before.Peak, c.After.Peak)
	add("slots at most", fmt.Sprintf("%d of %d", c.Before.MostSlots, p.MaxActive), fmt.Sprintf("%d of %d", c.After.MostSlots, other.MaxActive))
	add("in flight at the end", count(c.Before, sim.InFlight), count(c.After, sim.InFlight))
	add("still waiting", count(c.Before, sim.Waiting), count(c.After, sim.Waiting))
	add("need people", count(c.Before, sim.NeedsPeople), count(c.After, sim.NeedsPeople))
	add("past their deadline", c.Before.Late, c.After.Late)
	g.heading(bold, "THE FLEET")
	g.table(lines)
}

func dashed(s string) string {
	if s == "" {
		return "-"
	}
	return s
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
	heads := lines[0]
	if 2+wide[0]+2+wide[1]+2+wide[2] > g.width {
		for _, l := range lines[1:] {
			g.para(2, plain, l[0])
			for i, cell := range l[1:] {
				g.para(4, plain, heads[i+1]+": "+cell)
			}
		}
		return
	}
	for i, l := range lines {
		text := strings.TrimRight("  "+pad(l[0], wide[0])+"  "+pad(l[1], wide[1])+"  "+l[2], " ")
		if i == 0 {
			text = g.paint(bold, text)
		}
		g.line("%s", text)
	}
}

// shifts shows the clusters for which the policies differ.
func (g *page) shifts(c sim.Comparison, o ForecastOptions) {
	all := c.Shifts()
	g.heading(bold, "CLUSTERS")
	if len(all) == 0 {
		g.para(2, plain, "Every rotation starts and completes at the same time under both.")
		return
	}
	names := shortNames(c.After.Story)
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
	if same := len(c.After.Clusters) - len(all); same > 0 {
		g.para(2, plain, fmt.Sprintf("%s as before", plural(same, "cluster is", "clusters are")))
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
	by := "+" + lasting(after.Sub(before))
	if after.Before(before) {
		by = "-" + lasting(before.Sub(after))
	}
	return fmt.Sprintf("%s → %s (%s)", g.soon(before), g.soon(after), by)
}
