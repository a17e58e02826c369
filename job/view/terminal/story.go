package terminal

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
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
func Story(w io.Writer, v view.Played, o Options) error {
	g, s := newPage(o, v.From), v.Play
	g.storyHead(s)
	if len(s.Clusters) > mostLanes {
		g.heapedChanges(s)
	} else {
		g.changes(s)
	}
	g.chapters(s)
	g.timeline(s)
	g.storyEnd(s, v.MaxActive)
	return g.send(w)
}

func (g *page) storyHead(s sim.Story) {
	g.parts(bold, "Simulated GKE", words.Plural(len(s.Clusters), "cluster", "clusters")+" in "+words.Plural(projectsOf(s), "project", "projects"),
		"a run every "+words.Lasting(s.Every)+" from "+g.headTime(s.From),
		words.Plural(int(s.To.Sub(s.From)/(24*time.Hour)), "day", "days"), fmt.Sprintf("seed %d", s.Seed))
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
	names := view.ShortNames(s)
	longest := 0
	for _, n := range names {
		longest = max(longest, cells(n))
	}
	longest = min(longest, g.width/3)
	at := 2 + len("Mon 02 Jan 15:04") + 2 + longest + 2 + changeWide + 2
	for _, c := range s.Changes[:min(len(s.Changes), mostChanges)] {
		word, look := changeWord(c)
		head := "  " + pad(g.At(c.At), len("Mon 02 Jan 15:04")) + "  " + pad(names[c.Cluster], longest) + "  "
		text := g.changeWords(c)
		if cells(head)+changeWide > g.width { // no room for the name beside
			g.line("  %s  %s", g.At(c.At), g.paint(look, word))
			g.para(6, plain, strings.TrimSuffix(names[c.Cluster]+": "+text, ": "))
			continue
		}
		if g.width-at < 44 || cells(names[c.Cluster]) > longest {
			g.line("%s", strings.TrimRight(head+g.paint(look, word), " "))
			g.para(6, plain, text)
			continue
		}
		g.hang(at, head+g.paint(look, word)+strings.Repeat(" ", max(changeWide-cells(word), 0)+2), plain, text)
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
	names := view.ShortNames(s)
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
		text := fmt.Sprintf("%4d  %s", len(heap), fewOf(heap, func(c sim.Change) string { return names[c.Cluster] }))
		head := "  " + pad(g.At(heap[0].At), len("Mon 02 Jan 15:04")) + "  "
		if room := g.width - cells(head) - changeWide - 1; room >= 20 {
			g.line("%s%s%s%s", head, g.paint(look, word), strings.Repeat(" ", max(changeWide-cells(word), 0)+1), words.Cut(text, room))
			continue
		}
		g.line("%s%s", head, g.paint(look, word))
		g.para(6, plain, text)
	}
	if len(order) > 0 {
		g.line("")
	}
}

// fewOf names the first three and counts the rest.
func fewOf[T any](list []T, name func(T) string) string {
	names := make([]string, len(list))
	for i, x := range list {
		names[i] = name(x)
	}
	return words.Few(names, 3)
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
	text := g.Sentence(c.Reason, c.Message)
	if c.Phase != record.Starting || c.Gates == nil {
		return text
	}
	return words.Joined(text, g.openUntil(c.Gates))
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
		case view.Began(c).IsZero():
			return 1
		}
		return 0
	}
	list := slices.Clone(s.Clusters)
	slices.SortStableFunc(list, func(a, b sim.Chapter) int {
		return cmp.Or(rank(a)-rank(b), view.Began(a).Compare(view.Began(b)), a.Cluster.Compare(b.Cluster))
	})
	return list
}

func (g *page) storyEnd(s sim.Story, maxActive int) {
	count := view.Outcomes(s)
	due := count[sim.Verified] + count[sim.InFlight] + count[sim.Waiting]
	look := green
	if count[sim.Verified] < due {
		look = yellow
	}
	g.line("")
	g.parts(look, fmt.Sprintf("%d of %d due and eligible clusters rotated and verified", count[sim.Verified], due),
		counted(count[sim.InFlight], "in flight", "in flight"), counted(count[sim.Waiting], "waiting", "waiting"), counted(count[sim.NotDue], "not due", "not due"),
		counted(count[sim.NeedsPeople], "needs people", "need people"), counted(count[sim.Unreadable], "unreadable", "unreadable"),
		fmt.Sprintf("at most %d in flight, %d of %d slots", s.MostInFlight, s.MostSlots, maxActive))
	faults := ""
	if len(s.Words) > 0 {
		faults = fmt.Sprintf("%s (%s)", words.Plural(s.Faults, "fault", "faults"), strings.Join(s.Words, ", "))
	}
	g.parts(plain, words.Plural(s.Runs, "run", "runs"), words.Plural(s.Mutations, "request that changes a cluster", "requests that change a cluster"), faults, g.wall())
	g.parts(plain, "Next: rotator simulate --fleet YOUR.json", "rotator plan")
}

// counted is a number of clusters and what they do; "" for none.
func counted(n int, one, many string) string {
	if n == 0 {
		return ""
	}
	return words.Plural(n, one, many)
}

// wall is how long it took; "" when nobody measured.
func (g *page) wall() string {
	if g.o.Wall == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f s", g.o.Wall.Seconds())
}
