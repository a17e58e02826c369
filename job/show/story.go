package show

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// How much of a large fleet's story is shown before the rest is counted.
const (
	mostChanges  = 60
	mostChapters = 120
	mostIdle     = 20 // not due or not selected
)

// Story tells a simulation: its phase changes, what became of each cluster, a
// timeline and a summary. The error is the writer's.
func Story(w io.Writer, s sim.Story, p *policy.Policy, o Options) error {
	g := newPage(o, s.From)
	g.storyHead(s)
	if len(s.Clusters) > mostLanes {
		g.heapedChanges(s)
	} else {
		g.changes(s)
	}
	g.chapters(s)
	g.timeline(s)
	g.storyEnd(s, p)
	return g.send(w)
}

func (g *page) storyHead(s sim.Story) {
	g.parts(bold, "Simulated GKE", plural(len(s.Clusters), "cluster", "clusters")+" in "+plural(projectsOf(s), "project", "projects"),
		"a run every "+lasting(s.Every)+" from "+s.From.In(g.o.Zone).Format("Mon 2006-01-02 15:04 ")+g.zone(),
		plural(int(s.To.Sub(s.From)/(24*time.Hour)), "day", "days"), fmt.Sprintf("seed %d", s.Seed))
	g.para(0, dim, "MODE, PROJECTS, STATE and endpoints are the simulation's own, all else is yours. Nothing touches Google Cloud.")
	g.line("")
}

func projectsOf(s sim.Story) int {
	seen := map[string]bool{}
	for _, c := range s.Clusters {
		seen[c.Cluster.Project] = true
	}
	return len(seen)
}

// phaseStyle is the colour of a phase, in lines and in the timeline.
func phaseStyle(p record.Phase) style {
	switch p {
	case record.Starting:
		return cyan
	case record.RecreatingNodes, record.UpdatingClients:
		return yellow
	}
	return plain
}

// changes writes one line per phase change.
func (g *page) changes(s sim.Story) {
	names := shortNames(s)
	longest := 0
	for _, n := range names {
		longest = max(longest, cells(n))
	}
	longest = min(longest, g.width/3)
	at := 2 + len("Mon 02 Jan 15:04") + 2 + longest + 2 + changeWide + 2
	for _, c := range s.Changes[:min(len(s.Changes), mostChanges)] {
		word, look := changeWord(c)
		head := "  " + pad(g.at(c.At), len("Mon 02 Jan 15:04")) + "  " + pad(names[c.Cluster], longest) + "  "
		text := g.changeWords(c)
		if cells(head)+changeWide > g.width { // no room for the name beside
			g.line("  %s  %s", g.at(c.At), g.paint(look, word))
			g.para(6, plain, strings.TrimSuffix(names[c.Cluster]+": "+text, ": "))
			continue
		}
		if g.width-at < 44 || cells(names[c.Cluster]) > longest {
			g.line("%s", strings.TrimRight(head+g.paint(look, word), " "))
			g.para(6, plain, text)
			continue
		}
		for i, l := range wrap(text, g.width-at) {
			if i > 0 {
				head, word = strings.Repeat(" ", at-changeWide-2), ""
			}
			g.line("%s", head+g.paint(look, word)+strings.Repeat(" ", max(changeWide-cells(word), 0)+2)+l)
		}
	}
	if n := len(s.Changes) - mostChanges; n > 0 {
		g.line("  and %d more phase changes: --format json", n)
	}
	if len(s.Changes) > 0 {
		g.line("")
	}
}

// heapedChanges writes the phase changes of a large fleet: one line for all
// clusters that did the same at the same time.
func (g *page) heapedChanges(s sim.Story) {
	type key struct {
		at   int64
		word string
	}
	names := shortNames(s)
	var order []key
	heaps := map[key][]sim.Change{}
	for _, c := range s.Changes {
		word, _ := changeWord(c)
		k := key{c.At.Unix(), word}
		if heaps[k] == nil {
			order = append(order, k)
		}
		heaps[k] = append(heaps[k], c)
	}
	for i, k := range order {
		if i == mostChanges {
			g.line("  and %d more lines: --format json", len(order)-i)
			break
		}
		heap := heaps[k]
		word, look := changeWord(heap[0])
		var few []string
		for _, c := range heap[:min(len(heap), 3)] {
			few = append(few, names[c.Cluster])
		}
		text := fmt.Sprintf("%4d  %s", len(heap), strings.Join(few, ", "))
		if n := len(heap) - len(few); n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
		head := "  " + pad(g.at(heap[0].At), len("Mon 02 Jan 15:04")) + "  "
		if room := g.width - cells(head) - changeWide - 1; room >= 20 {
			g.line("%s%s%s%s", head, g.paint(look, word), strings.Repeat(" ", max(changeWide-cells(word), 0)+1), cutEnd(text, room))
			continue
		}
		g.line("%s%s", head, g.paint(look, word))
		g.para(6, plain, text)
	}
	if len(order) > 0 {
		g.line("")
	}
}

// changeWide is the width of the longest phase.
const changeWide = 16

// changeWord names a change and gives its colour.
func changeWord(c sim.Change) (string, style) {
	switch {
	case c.Phase != "":
		return string(c.Phase), phaseStyle(c.Phase)
	case c.Closed == record.Completed || c.Closed == record.CompletedElsewhere:
		return "verified", green
	}
	return string(c.Closed), red
}

// changeWords says what a phase change rests on; of a start also what let it
// go.
func (g *page) changeWords(c sim.Change) string {
	text := g.sentence(c.Reason, c.Message)
	if c.Phase != record.Starting || c.Gates == nil {
		return text
	}
	return joined(text, g.openUntil(c.Gates))
}

// shortNames are the clusters' names, with as much of project and location as
// tells them apart.
func shortNames(s sim.Story) map[fleet.Ref]string {
	count := map[string]int{}
	for _, c := range s.Clusters {
		count[c.Cluster.Name]++
		count[c.Cluster.Project+"/"+c.Cluster.Name]++
	}
	names := map[fleet.Ref]string{}
	for _, c := range s.Clusters {
		ref := c.Cluster
		switch {
		case count[ref.Name] == 1:
			names[ref] = clean(ref.Name)
		case count[ref.Project+"/"+ref.Name] == 1:
			names[ref] = clean(ref.Project + "/" + ref.Name)
		default:
			names[ref] = clean(ref.String())
		}
	}
	return names
}

// ranked orders chapters as they happened: by start, then the others, those
// that need people last, next to the summary.
func ranked(s sim.Story) []sim.Chapter {
	rank := func(c sim.Chapter) int {
		switch {
		case c.Outcome == sim.NeedsPeople || c.Outcome == sim.Unreadable:
			return 3
		case c.Outcome == sim.NotDue:
			return 2
		case c.Entered[record.Starting].IsZero() && c.Entered[record.RecreatingNodes].IsZero():
			return 1
		}
		return 0
	}
	list := slices.Clone(s.Clusters)
	slices.SortStableFunc(list, func(a, b sim.Chapter) int {
		return cmp.Or(rank(a)-rank(b), began(a).Compare(began(b)), a.Cluster.Compare(b.Cluster))
	})
	return list
}

// began is when the rotation was first seen, zero when there was none.
func began(c sim.Chapter) time.Time {
	if t := c.Entered[record.Starting]; !t.IsZero() {
		return t
	}
	return c.Entered[record.RecreatingNodes]
}

// nodesDone is when the rotation left its nodes behind.
func nodesDone(c sim.Chapter) time.Time { return c.Entered[record.UpdatingClients] }

func (g *page) storyEnd(s sim.Story, p *policy.Policy) {
	count := map[sim.Outcome]int{}
	for _, c := range s.Clusters {
		count[c.Outcome]++
	}
	due := count[sim.Verified] + count[sim.InFlight] + count[sim.Waiting]
	part := func(o sim.Outcome, text string) string {
		if count[o] == 0 {
			return ""
		}
		return fmt.Sprintf("%d %s", count[o], text)
	}
	look := green
	if count[sim.Verified] < due {
		look = yellow
	}
	g.line("")
	g.parts(look, fmt.Sprintf("%d of %d due and eligible clusters rotated and verified", count[sim.Verified], due),
		part(sim.InFlight, "in flight"), part(sim.Waiting, "waiting"), part(sim.NotDue, "not due"),
		part(sim.NeedsPeople, needs(count[sim.NeedsPeople])), part(sim.Unreadable, "unreadable"),
		fmt.Sprintf("at most %d in flight, %d of %d slots", s.MostInFlight, s.MostSlots, p.MaxActive))
	wall := ""
	if g.o.Wall > 0 {
		wall = fmt.Sprintf("%.1f s", g.o.Wall.Seconds())
	}
	faults := ""
	if len(s.Words) > 0 {
		faults = fmt.Sprintf("%s (%s)", plural(s.Faults, "fault", "faults"), strings.Join(s.Words, ", "))
	}
	g.parts(plain, plural(s.Runs, "run", "runs"), plural(s.Mutations, "request that changes a cluster", "requests that change a cluster"), faults, wall)
	g.parts(plain, "Next: rotator simulate --fleet YOUR.json", "rotator plan")
}

func needs(n int) string {
	if n == 1 {
		return "needs people"
	}
	return "need people"
}
