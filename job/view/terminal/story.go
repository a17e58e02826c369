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
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// How much of a large fleet's story is shown before the rest is counted.
const (
	mostPassages = 60
	mostChapters = 120
	mostIdle     = 20 // not due or not selected
)

// Story tells a simulation: what became of each cluster, a timeline and their sum;
// then what happened, day by day. The error is the writer's.
func Story(w io.Writer, v view.Played, o Options) error {
	g, s := newPage(o, v.From), v.Play
	g.elsewhere = view.CompletedElsewhere(s)
	g.storyHead(s)
	g.chapters(s)
	g.timeline(s)
	g.storySum(s, v.MaxActive)
	g.passages(s)
	g.storyEnd(s)
	return g.send(w)
}

func (g *page) storyHead(s sim.Story) {
	g.parts(bold, "Simulated GKE", sizeOf(s), "a run every "+words.Lasting(s.Every)+" from "+g.headTime(s.From),
		daysOf(s), fmt.Sprintf("seed %d", s.Seed))
	g.para(0, dim, "MODE, PROJECTS, STATE and endpoints are the simulation's own, all else is yours. Nothing touches Google Cloud.")
	g.line("")
}

func sizeOf(s sim.Story) string {
	projects := map[string]bool{}
	for _, c := range s.Clusters {
		projects[c.Cluster.Project] = true
	}
	return words.Plural(len(s.Clusters), "cluster", "clusters") + " in " +
		words.Plural(len(projects), "project", "projects")
}

func daysOf(s sim.Story) string {
	return words.Plural(int(s.To.Sub(s.From)/(24*time.Hour)), "day", "days")
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

// passages writes what happened, a line for all clusters that did the same.
func (g *page) passages(s sim.Story) {
	const date, usual = len("Mon 02 Jan 15:04") + 2,
		len("starting, 01:00 recreating-nodes, 02:00 updating-clients")
	list, names := view.Passages(s.Changes, g.Clock), view.ShortNames(s)
	who, longest, most := make([]string, len(list)), 0, max(g.width-date-2-usual, 16)
	for i, p := range list {
		for few := 3; few > 0 && (few == 3 || cells(who[i]) > most); few-- {
			who[i] = fewOf(p.Clusters, few, func(r fleet.Ref) string { return names[r] })
		}
		longest = min(max(longest, cells(who[i])), most)
	}
	at := date + longest + 2
	g.line("")
	for i, p := range list[:min(len(list), mostPassages)] {
		text, look := g.passage(p)
		head := g.At(p.Steps[0].At) + "  "
		if g.width-at < 32 || cells(who[i]) > longest { // no room beside
			g.hang(date, head, plain, who[i])
			g.para(6, look, text)
			continue
		}
		g.hang(at, head+pad(who[i], longest)+"  ", look, text)
	}
	if n := len(list) - mostPassages; n > 0 {
		g.line("and %d more lines: --format json", n)
	}
	if len(list) > 0 {
		g.line("")
	}
}

// passage says what clusters did on a day, each step but the first with its time,
// and gives the colour of the last.
func (g *page) passage(p view.Passage) (string, style) {
	text, look, word := "", plain, ""
	for i, c := range p.Steps {
		word, look = changeWord(c)
		passed := view.NotAwaited(c.Gates)
		word += words.If(len(passed) > 0, " (not awaited: "+strings.Join(passed, ", ")+")")
		word += words.If(look == red, " ("+g.Sentence(c.Reason, c.Message)+")")
		text += words.If(i > 0, ", "+g.In(c.At).Format("15:04")+hard) + word
	}
	return text, look
}

// fewOf names the first few and counts the rest.
func fewOf[T any](list []T, few int, name func(T) string) string {
	return words.Few(words.Each(list, name), few)
}

// elsewhere is who else completes a rotation, beside us and GKE.
const elsewhere = " by others"

func changeWord(c sim.Change) (string, style) {
	switch {
	case c.Phase != "":
		return string(c.Phase), phaseStyle(c.Phase)
	case c.Closed == record.Completed:
		return "verified", green
	case c.Closed == record.CompletedElsewhere:
		return "completed, not by us", yellow
	}
	return string(c.Closed), red
}

// ranked orders chapters as they happened: by start, then the others, those
// that need action last, next to the summary.
func ranked(s sim.Story) []sim.Chapter {
	rank := func(c sim.Chapter) int {
		switch {
		case c.Outcome == sim.NeedsAction || c.Outcome == sim.Unreadable:
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

func (g *page) storySum(s sim.Story, maxActive int) {
	count := view.Outcomes(s)
	due := count[sim.Verified] + count[sim.CompletedByGKE] + count[sim.InFlight] + count[sim.Waiting]
	pools, endpoints := 0, 0
	for _, c := range s.Clusters {
		pools += c.Pools
		if c.NewEndpoint {
			endpoints++
		}
	}
	look := green
	if count[sim.Verified] < due {
		look = yellow
	}
	g.line("")
	g.parts(look,
		fmt.Sprintf("%d of %d due and eligible clusters rotated and verified by us",
			count[sim.Verified]-len(g.elsewhere), due),
		counted(count[sim.CompletedByGKE], "completed by GKE"), counted(len(g.elsewhere), "completed"+elsewhere),
		words.Some(pools, "node pool recreated", "node pools recreated"),
		words.Some(endpoints, "endpoint changed", "endpoints changed"), counted(count[sim.InFlight], "in flight"),
		counted(count[sim.Waiting], "waiting"), counted(count[sim.NotDue], "not due"),
		words.Some(count[sim.NeedsAction], "needs action", "need action"),
		counted(count[sim.Unreadable], "unreadable"),
		fmt.Sprintf("at most %d in flight, %d of %d slots", s.MostInFlight, s.MostSlots, maxActive))
}

func (g *page) storyEnd(s sim.Story) {
	faults := words.Plural(s.Faults, "fault", "faults") + " (" + strings.Join(s.Words, ", ") + ")"
	g.parts(plain, words.Plural(s.Runs, "run", "runs"),
		words.Plural(s.Mutations, "request that changes a cluster", "requests that change a cluster"),
		words.If(len(s.Words) > 0, faults), g.wall())
	g.parts(plain, "Next: rotator simulate --fleet YOUR.json", "rotator plan")
}

// counted is a number of clusters and what they do; "" for none.
func counted(n int, text string) string { return words.Some(n, text, text) }

// wall is how long it took; "" when nobody measured.
func (g *page) wall() string {
	return words.If(g.o.Wall > 0, fmt.Sprintf("%.1f s", g.o.Wall.Seconds()))
}
