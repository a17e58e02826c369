package show

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/reason"
)

// mostRows is how many rows a section shows before it counts the rest.
const mostRows = 25

// Plan shows what a run at that time would do, and why not: what is most
// pressing on top. The result comes from [pass.Look]. The error is the
// writer's.
func Plan(w io.Writer, res pass.Result, p *policy.Policy, o Options) error {
	g := newPage(o, res.At)
	s := sortOut(res.Decisions)
	g.planHead(res, p)
	g.atWork(res.Holder)
	doc := res.Fleet.Book.Fleet
	people := slices.Concat(g.failureRows(doc, res.Fleet.Book.Rotations, p), g.peopleRows(s.people, p.Env))
	doing, flying, waiting := g.doingRows(s.doing), g.flyingRows(s.flying), g.waitingRows(s.waiting)
	names := g.names(people, doing, flying, waiting)
	g.section(red, "NEEDS PEOPLE", names, people)
	g.breaker(doc, p)
	g.section(green, "WOULD DO NOW", names, doing)
	g.section(bold, "IN FLIGHT", names, flying)
	g.section(yellow, "WAITING", names, waiting)
	g.notDue(s.notDue)
	if n := len(s.notSelected); n > 0 {
		g.heading(bold, "NOT SELECTED")
		g.para(2, plain, plural(n, "cluster", "clusters")+", by ROTATOR_SELECTOR or ROTATOR_LOCATIONS: "+someNames(s.notSelected))
	}
	g.unread(res.Fleet.Unread, p.Env)
	if len(res.Decisions)+len(res.Fleet.Unread) == 0 {
		g.line("")
		g.para(0, yellow, "No cluster was seen. ROTATOR_PROJECTS says where to look: "+clean(strings.Join(p.Projects, ", "))+".")
	}
	g.capacity(policy.Capacity(p, res.Fleet, res.Decisions, res.At), p)
	g.nothingDue(s, p)
	return g.send(w)
}

// sorted is a plan by how pressing its decisions are.
type sorted struct {
	people, doing, flying, waiting, notDue, notSelected []policy.Decision
}

func sortOut(ds []policy.Decision) sorted {
	var s sorted
	for _, d := range ds {
		to := &s.waiting
		switch {
		case d.Reason == reason.NotSelected:
			to = &s.notSelected
		case d.Phase == "" && d.Reason == reason.BreakerOpen:
			// What opened the breaker needs people; this one waits for them.
		case d.Action == policy.People || failed(d) != "":
			to = &s.people
		case d.Action.Sends() || d.Action == policy.Update:
			to = &s.doing
		case d.Phase != "":
			to = &s.flying
		case d.Reason == reason.NotDue:
			to = &s.notDue
		}
		*to = append(*to, d)
	}
	for _, list := range []*[]policy.Decision{&s.people, &s.doing, &s.flying, &s.waiting} {
		slices.SortStableFunc(*list, pressing)
	}
	slices.SortStableFunc(s.notDue, func(a, b policy.Decision) int { return a.Due.At.Compare(b.Due.At) })
	return s
}

// failed is why the rotation waits for people although the run goes on.
func failed(d policy.Decision) reason.Code {
	switch r := d.Rotation; {
	case len(d.OftenWithdrawn()) > 0:
		return reason.CallWithdrawn
	case r == nil:
		return ""
	case r.Failed != "":
		return reason.Code(r.Failed)
	case r.Stuck:
		return reason.IsStuck
	}
	return ""
}

// pressing orders by urgency, emergency, deadline and name; what has no
// deadline comes last.
func pressing(a, b policy.Decision) int {
	rank := func(d policy.Decision) int {
		switch {
		case d.Urgent:
			return 0
		case d.Emergency:
			return 1
		case !d.Due.Deadline.IsZero():
			return 2
		}
		return 3
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Due.Deadline.Compare(b.Due.Deadline), a.Cluster.Ref.Compare(b.Cluster.Ref))
}

func (g *page) planHead(res pass.Result, p *policy.Policy) {
	mode := ""
	switch g.o.Mode {
	case "observe":
		mode = "observe: nothing will be sent"
	case "act":
		mode = "act: a run sends this"
	}
	silent := ""
	if n := len(silentProjects(res.Fleet.Unread)); n > 0 {
		silent = fmt.Sprintf(" (%d did not answer in full)", n)
	}
	g.parts(bold, "Plan for "+g.now.In(g.o.Zone).Format("Mon 2006-01-02 15:04 ")+g.zone(), mode,
		plural(len(res.Decisions), "cluster", "clusters")+", "+plural(len(p.Projects), "project", "projects")+silent)
	if !res.Fleet.Book.Known {
		g.para(0, yellow, "No book was read: holds, approvals and waves are unknown, and so is whose a rotation is.")
	}
}

func silentProjects(unread []policy.Unread) []string {
	var names []string
	for _, u := range unread {
		if !slices.Contains(names, u.Project) {
			names = append(names, u.Project)
		}
	}
	return names
}

func (g *page) heading(s style, title string) {
	g.line("\n%s", g.paint(s, title))
}

// section writes at most mostRows rows and counts the rest by their codes.
func (g *page) section(s style, title string, names int, rs []row) {
	if len(rs) == 0 {
		return
	}
	g.heading(s, title)
	shown := min(len(rs), mostRows)
	g.rows(g.fit(names, rs[:shown]), rs[:shown])
	if rest := rs[shown:]; len(rest) > 0 {
		g.para(2, plain, fmt.Sprintf("and %d more (%s): --format json", len(rest), tally(rest)))
	}
}

// tally counts rows by code, the most frequent first.
func tally(rs []row) string {
	count := map[string]int{}
	for _, r := range rs {
		count[cmp.Or(r.code, r.what)]++
	}
	return countsOf(count)
}

func countsOf(count map[string]int) string {
	var names []string
	for name := range count {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(count[b]-count[a], strings.Compare(a, b)) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", count[name], name)
	}
	return strings.Join(names, ", ")
}

func name(d policy.Decision) string { return clean(d.Cluster.Ref.String()) }

func (g *page) peopleRows(ds []policy.Decision, env string) []row {
	var rs []row
	for _, d := range ds {
		r := row{name: name(d), code: string(d.Reason), text: g.sentence(d.Reason, d.Message), next: next(d.Reason, d.Cluster.Ref.String(), env)}
		if why := failed(d); why != "" && why != d.Reason {
			r.text = joined(g.sentence(why, d.OftenWithdrawn()), r.text)
			r.code, r.next = string(why), next(why, d.Cluster.Ref.String(), env)
		}
		if r.next == "" {
			if s := d.Reason.Info().Sentence; len(d.Message) > 0 {
				r.text = joined(r.text, s)
			}
			r.next = advice(ToExplain, d.Cluster.Ref.String(), "")
		}
		rs = append(rs, r)
	}
	// The same general advice is given once, below the last of its rows.
	for i := range rs {
		if i+1 < len(rs) && rs[i].next == rs[i+1].next && i+1 < mostRows {
			rs[i].next = ""
		}
	}
	return rs
}

func (g *page) doingRows(ds []policy.Decision) []row {
	var rs []row
	for _, d := range ds {
		r := row{name: name(d), what: string(d.Action), text: g.sentence(d.Reason, d.Message), style: green}
		switch d.Action {
		case policy.Start:
			r.text = joined(r.text, g.openUntil(d.Gates))
		case policy.Recreate:
			r.text = joined(r.text, "pools "+poolNames(d.Pools))
		case policy.Update:
			r.what, r.style = "note", plain
			if d.Close != "" {
				r.what = "close"
			}
			if d.Rotation != nil && d.Close == "" && d.Phase != "" {
				r.text = string(d.Phase) + ": " + r.text
			}
		}
		rs = append(rs, r)
	}
	return rs
}

func poolNames(pools []string) string {
	var names []string
	for _, p := range pools {
		names = append(names, cmp.Or(clean(p), "the control plane (Autopilot)"))
	}
	return strings.Join(names, ", ")
}

// openUntil says which window lets a start go, where it is not always open.
// Slot and emergency stand in the message already.
func (g *page) openUntil(gates []policy.Verdict) string {
	for _, v := range gates {
		if v.Gate == "window" && v.Open && !v.Changes.IsZero() {
			return g.say(v.Message) + " open until " + g.at(v.Changes)
		}
	}
	return ""
}

func (g *page) flyingRows(ds []policy.Decision) []row {
	var rs []row
	for _, d := range ds {
		rs = append(rs, row{name: name(d), what: string(d.Phase), text: g.sentence(d.Reason, d.Message), code: string(d.Reason)})
	}
	return rs
}

func (g *page) waitingRows(ds []policy.Decision) []row {
	var rs []row
	for _, d := range ds {
		opens, known, others := mayOpen(d)
		when := g.at(opens)
		text := g.sentence(d.Reason, d.Message.Without(opens)) // it stands in front already
		if !known && when != "" {
			when += "+" // and then another gate
		}
		if others > 0 {
			text += fmt.Sprintf(" (+%s: --explain)", strings.ReplaceAll(plural(others, "more gate", "more gates"), " ", hard))
		}
		r := row{name: name(d), what: cmp.Or(when, waitsFor(d)), text: text, code: string(d.Reason)}
		if d.Reason == reason.Held || d.Reason == reason.HeldByLabel {
			r.next = next(d.Reason, d.Cluster.Ref.String(), "")
		}
		rs = append(rs, r)
	}
	return rs
}

// waitsFor is on whom a decision waits when no time is known.
func waitsFor(d policy.Decision) string {
	if on := d.Reason.Info().WaitsOn.String(); on != "" {
		return "on " + on
	}
	for _, v := range d.Gates {
		if on := v.Reason.Info().WaitsOn.String(); !v.Open && !v.Lifted && v.OpensAt.IsZero() && on != "" {
			return "on " + on
		}
	}
	return "open end"
}

// mayOpen is when the last of the closed gates may open, whether all of them
// know, and how many are closed beside the one that is named.
func mayOpen(d policy.Decision) (at time.Time, known bool, others int) {
	known = true
	for _, v := range d.Gates {
		if v.Open || v.Lifted {
			continue
		}
		if v.Reason != d.Reason {
			others++
		}
		known = known && !v.OpensAt.IsZero()
		if v.OpensAt.After(at) {
			at = v.OpensAt
		}
	}
	return at, known, others
}

func (g *page) notDue(ds []policy.Decision) {
	if len(ds) == 0 {
		return
	}
	g.heading(bold, "NOT DUE")
	first := ds[0]
	if len(ds) == 1 {
		g.para(2, plain, "1 cluster: "+name(first)+" on "+day(first.Due.At))
		return
	}
	g.para(2, plain, fmt.Sprintf("%d clusters; the next is %s on %s", len(ds), name(first), day(first.Due.At)))
}

func (g *page) unread(unread []policy.Unread, env string) {
	if len(unread) == 0 {
		return
	}
	g.heading(red, "NOT SEEN")
	for i, u := range unread {
		if i == mostRows {
			g.para(2, plain, fmt.Sprintf("and %d more: --format json", len(unread)-i))
			break
		}
		where := "project " + clean(u.Project)
		if u.Location != "" {
			where += ", " + clean(u.Location)
		}
		g.para(2, plain, where+": "+strings.TrimSuffix(clean(u.Reason), ".")+".")
	}
	g.para(2, plain, "Clusters there are unknown, not gone.")
	g.advice(2, next(reason.NotReadable, "", env))
}

// nothingDue tells a fleet of modern clusters the one rule that recurs.
func (g *page) nothingDue(s sorted, p *policy.Policy) {
	if len(s.people)+len(s.doing)+len(s.flying)+len(s.waiting) > 0 || p.MaxCAAge > 0 || len(s.notDue) == 0 {
		return
	}
	g.line("")
	g.para(0, bold, "Nothing is due before "+day(s.notDue[0].Due.At)+"; set ROTATOR_MAX_CA_AGE, for instance 365d, to rotate by age.")
}

// someNames lists the first names and counts the rest.
func someNames(ds []policy.Decision) string {
	const few = 3
	var names []string
	for _, d := range ds[:min(len(ds), few)] {
		names = append(names, name(d))
	}
	text := strings.Join(names, ", ")
	if n := len(ds) - few; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

func joined(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	for i := range parts[:max(len(parts)-1, 0)] {
		parts[i] = strings.TrimSuffix(parts[i], ".")
	}
	return strings.Join(parts, "; ")
}
