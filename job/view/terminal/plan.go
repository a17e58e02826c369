package terminal

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
)

// mostRows is how many rows a section shows before it counts the rest.
const mostRows = 25

// Plan shows what a run at that time would do, and why not: what is most
// pressing on top. The error is the writer's.
func Plan(w io.Writer, p view.Plan, o Options) error {
	g := newPage(o, p.Now)
	g.planHead(p)
	if p.Clock != "" {
		g.apart(2, red, p.Clock+". A run that acts sends nothing until they agree.")
	}
	g.atWork(p.Lease)
	needs, env := p.In(view.NeedsAction), p.Policy.Env
	people := onceEach(g.idleRows(view.Failed(p.Contents), env), g.peopleRows(needs, env))
	waits := p.Waits()
	if o.All {
		waits = slices.Collect(slices.Chunk(p.In(view.Waiting), 1))
	}
	doing, flying, waiting := g.doingRows(p.In(view.DoNow)), g.flyingRows(p.In(view.InFlight)),
		g.waitingRows(waits)
	names := g.names(people, doing, flying, waiting)
	g.section(red, "NEEDS ACTION", names, people)
	g.breaker(p.Contents.Fleet, p.Policy)
	g.section(green, "WOULD DO NOW", names, doing)
	g.section(bold, "IN FLIGHT", names, flying)
	g.section(yellow, "WAITING", names, waiting)
	idle := slices.Concat(p.In(view.Rotated), p.In(view.NotDue))
	g.notDue(idle)
	if out := p.In(view.NotSelected); len(out) > 0 {
		slices.SortFunc(out, func(a, b view.Cluster) int { return strings.Compare(a.Cluster, b.Cluster) })
		g.heading(bold, "NOT SELECTED")
		g.para(2, plain, words.Plural(len(out), "cluster", "clusters")+
			", by ROTATOR_SELECTOR or ROTATOR_LOCATIONS: "+
			fewOf(out, 3, func(c view.Cluster) string { return clean(c.Cluster) }))
	}
	g.unread(p.Unread, env)
	if len(p.Clusters)+len(p.Unread) == 0 {
		g.apart(0, yellow, "No cluster was seen. ROTATOR_PROJECTS says where to look: "+
			clean(strings.Join(p.Policy.Projects, ", "))+".")
	}
	if odd := p.Findings(); len(odd) > 0 {
		g.heading(yellow, "WORTH A SECOND LOOK")
		for _, line := range odd {
			g.bullet(plain, line)
		}
	}
	g.capacity(p.Capacity())
	if len(needs)+len(doing)+len(flying)+len(waiting) == 0 && len(idle) > 0 && p.Policy.MaxCAAge == 0 {
		g.apart(0, bold, "Nothing is due before "+words.Day(idle[0].Decision.Due.At)+
			"; set ROTATOR_MAX_CA_AGE, for instance 365d, to rotate by age.")
	}
	return g.send(w)
}

func (g *page) planHead(p view.Plan) {
	modes := map[string]string{"observe": "observe: nothing will be sent", "act": "act: a run sends this"}
	silent := words.If(p.Silent() > 0, fmt.Sprintf(" (%d did not answer in full)", p.Silent()))
	g.parts(bold, "Plan for "+g.headTime(g.Now), modes[g.o.Mode],
		words.Plural(len(p.Clusters), "cluster", "clusters")+", "+words.Plural(len(p.Policy.Projects),
			"project",
			"projects")+silent)
	if !p.Contents.Known {
		g.para(0, yellow,
			"No store was read: holds, approvals and waves are unknown, and so is whose a rotation is.")
	}
	if ahead := view.DateAhead(p.Policy.Policy, p.Now); ahead != "" {
		g.para(0, yellow, ahead)
	}
}

func (g *page) heading(s style, title string) { g.line("\n%s", g.paint(s, title)) }

func (g *page) apart(indent int, s style, text string) {
	g.line("")
	g.para(indent, s, text)
}

// shown is how many of so many rows a section shows.
func (g *page) shown(rows int) int {
	if g.o.All {
		return rows
	}
	return min(rows, mostRows)
}

// section writes the rows that are shown and counts the rest by their codes.
func (g *page) section(s style, title string, names int, rs []row) {
	if len(rs) == 0 {
		return
	}
	g.heading(s, title)
	shown := g.shown(len(rs))
	g.rows(g.fit(names, rs[:shown]), rs[:shown])
	rest := map[string]int{}
	for _, r := range rs[shown:] {
		rest[cmp.Or(r.code, r.what)]++
	}
	if n := len(rs) - shown; n > 0 {
		g.para(2, plain, fmt.Sprintf("and %d more (%s): --format json", n, countsOf(rest)))
	}
}

func countsOf(count map[string]int) string {
	text := func(name string) string { return fmt.Sprintf("%d %s", count[name], name) }
	return strings.Join(words.Each(mostFirst(count), text), ", ")
}

// mostFirst are the names of what was counted, the most frequent first.
func mostFirst(count map[string]int) []string {
	return slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(count[b]-count[a], strings.Compare(a, b))
	})
}

func (g *page) rowOf(c view.Cluster) row {
	return row{name: clean(c.Cluster), code: string(c.Reason), text: g.Sentence(c.Reason, c.Decision.Message)}
}

func (g *page) peopleRows(cs []view.Cluster, env string) []row {
	var rs []row
	for _, c := range cs {
		d, r := c.Decision, g.rowOf(c)
		r.next = next(d.Reason, d.ActOn().String(), env)
		if why := c.Trouble; why != "" && why != d.Reason {
			r.text = words.Joined(g.Sentence(why, d.OftenWithdrawn()), r.text)
			r.code, r.next = string(why), next(why, c.Cluster, env)
		}
		if r.next == "" {
			if s := d.Reason.Info().Sentence; len(d.Message) > 0 {
				r.text = words.Joined(r.text, s)
			}
			r.next = words.Unbroken(view.ToExplain, d.Cluster.Ref.String(), "")
		}
		rs = append(rs, r)
	}
	// The same general advice is given once, below the last of its rows.
	for i := range rs {
		if i+1 < len(rs) && rs[i].next == rs[i+1].next && i+1 < g.shown(len(rs)) {
			rs[i].next = ""
		}
	}
	return rs
}

func (g *page) doingRows(cs []view.Cluster) []row {
	var rs []row
	for _, c := range cs {
		d, r := c.Decision, g.rowOf(c)
		r.what, r.code, r.style = string(d.Action), "", green
		switch d.Action {
		case policy.Start:
			r.text = words.Joined(r.text, g.openUntil(d.Gates))
		case policy.Recreate:
			r.text = words.Joined(r.text, "pools "+poolNames(d.Pools))
		case policy.Update:
			r.what, r.style = cmp.Or(words.If(d.Close != "", "close"), "note"), plain
			r.text = words.If(d.Rotation != nil && d.Close == "" && d.Phase != "",
				string(d.Phase)+": ") + r.text
		}
		rs = append(rs, r)
	}
	return rs
}

func poolNames(pools []string) string {
	name := func(pool string) string { return cmp.Or(clean(pool), "the control plane (Autopilot)") }
	return strings.Join(words.Each(pools, name), ", ")
}

// openUntil says which window lets a start go, where it is not always open.
// Slot and emergency stand in the message already.
func (g *page) openUntil(gates []policy.Verdict) string {
	for _, v := range gates {
		if v.Gate == policy.GateWindow && v.Open && !v.Changes.IsZero() {
			return g.Say(v.Message) + " open until " + g.At(v.Changes)
		}
	}
	return ""
}

func (g *page) flyingRows(cs []view.Cluster) []row {
	return words.Each(cs, func(c view.Cluster) row {
		r := g.rowOf(c)
		r.what = c.Phase
		return r
	})
}

// waitingRows has a row for what waits for the same thing.
func (g *page) waitingRows(waits [][]view.Cluster) []row {
	var rs []row
	for _, cs := range waits {
		c := cs[0]
		r, of, opens := g.rowOf(c), c.Cluster, c.Opens()
		r.text = g.Sentence(c.Reason, c.Decision.Message.Without(opens)) // it stands in front already
		r.what = cmp.Or(g.At(opens), c.WaitsFor())
		r.what += words.If(!opens.IsZero() && !c.OpensByTime(), "+") // and then another gate
		others := words.Plural(c.OtherGates(), "more gate", "more gates")
		r.text += words.If(c.OtherGates() > 0, " (+"+unbroken(others)+": --explain)")
		if len(cs) > 1 {
			r.name, r.who, of = fmt.Sprintf("%d clusters", len(cs)), together(cs), ""
		}
		if c.Reason.Info().Hold {
			r.next = next(c.Reason, of, "")
		}
		rs = append(rs, r)
	}
	return rs
}

// together counts the clusters of a row by project.
func together(cs []view.Cluster) string {
	const projects = 8
	count := map[string]int{}
	for _, c := range cs {
		count[c.Decision.Cluster.Ref.Project]++
	}
	names := words.Each(mostFirst(count),
		func(name string) string { return unbroken(fmt.Sprintf("%s: %d", clean(name), count[name])) })
	text, more := strings.Join(names[:min(len(names), projects)], " · "), len(names)-projects
	return text + words.If(more > 0, fmt.Sprintf(" and %d more projects", more)) + hard + hard + " " +
		unbroken("(names: rotator plan --all)")
}

func (g *page) notDue(cs []view.Cluster) {
	if len(cs) == 0 {
		return
	}
	g.heading(bold, "NOT DUE")
	text := "1 cluster:"
	if len(cs) > 1 {
		text = fmt.Sprintf("%d clusters; the next is", len(cs))
	}
	g.para(2, plain, text+" "+clean(cs[0].Cluster)+" on "+words.Day(cs[0].Decision.Due.At))
}

func (g *page) unread(unread []fleet.Unread, env string) {
	if len(unread) == 0 {
		return
	}
	g.heading(red, "NOT SEEN")
	for i, u := range unread {
		if i == g.shown(len(unread)) {
			g.para(2, plain, fmt.Sprintf("and %d more: --format json", len(unread)-i))
			break
		}
		where, why := view.Unseen(u)
		g.para(2, plain, where+": "+why)
	}
	g.para(2, plain, "Clusters there are unknown, not gone.")
	g.advice(2, next(reason.NotReadable, "", env))
}

func (g *page) capacity(waves []view.Capacity) {
	var rs []row
	for _, w := range waves {
		r := row{name: clean(w.Wave), what: fmt.Sprintf("%d due", w.Due), style: green}
		pace := words.If(w.AWeek != "", w.AWeek+" starts a week under every cap")
		done := words.If(!w.Done.IsZero(), "done about "+words.Day(w.Done))
		r.text = words.Joined(cmp.Or(pace, "one start at most"), cmp.Or(done, "no end in sight"),
			words.If(!w.Latest.IsZero(), "latest safe date "+words.Day(w.Latest)), w.Note)
		if w.Late != "" {
			r.style, r.code, r.next = red, "capacity-short", w.Raise
			r.text = words.Joined("TOO SLOW: "+clean(w.Late)+" would start later than is safe", r.text)
		}
		rs = append(rs, r)
	}
	g.section(bold, "CAPACITY", g.names(rs), rs)
}
