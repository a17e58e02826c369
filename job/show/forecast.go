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
	"gke-credential-rotator/policy/reason"
)

// ForecastOptions say what a forecast rests on, and how much of it is shown.
type ForecastOptions struct {
	Options
	// Fleet is the file that was played; "" is the real fleet.
	Fleet string
	// NoBook: there was none, so holds, approvals and waves began empty.
	NoBook bool
	// Approved: it was played as if people approved at once.
	Approved bool
	// All shows every rotation, however many there are.
	All bool
}

// How many rotations have a line of their own before weeks stand for them, and
// how many clusters that do not fit.
const (
	mostTurns = 60
	mostLeft  = 25
	mostWave  = 16 // columns, as a time
)

// Forecast shows the calendar of a fleet: what starts and completes when, how
// much is in flight, and what does not fit. The error is the writer's.
func Forecast(w io.Writer, f sim.Forecast, p *policy.Policy, o ForecastOptions) error {
	g := newPage(o.Options, f.From)
	g.forecastHead(f, p, o)
	g.calendar(f, o)
	g.inFlight(f, p)
	g.left(f, o)
	g.unreadForecast(f.Unread)
	g.forecastEnd(f, o)
	return g.send(w)
}

func (g *page) forecastHead(f sim.Forecast, p *policy.Policy, o ForecastOptions) {
	what := "Forecast of the fleet as it is"
	if o.Fleet != "" {
		what = "Forecast of " + clean(o.Fleet)
	}
	g.parts(bold, what, plural(len(f.Clusters), "cluster", "clusters")+" in "+plural(projectsOf(f.Story), "project", "projects"),
		plural(int(f.To.Sub(f.From)/(24*time.Hour)), "day", "days")+" from "+f.From.In(g.o.Zone).Format("Mon 2006-01-02 15:04 ")+g.zone(),
		"a run every "+lasting(f.Every))
	rests := []string{"As if MODE=act, GKE took its usual time, nobody did anything else, and no new cluster came. Nothing is sent to Google and nothing stored."}
	switch {
	case o.Approved:
		rests = append(rests, "As if people approved everything at once (--approve).")
	case p.Approval != policy.ApproveNone:
		rests = append(rests, fmt.Sprintf("APPROVAL=%s: as if nobody approved anything from now on; --approve plays it as if they did at once.", p.Approval))
	}
	if o.NoBook && o.Fleet == "" {
		rests = append(rests, "There is no book, so holds, approvals, waves and whose rotations are whose begin unknown.")
	}
	g.para(0, dim, strings.Join(rests, " "))
}

// calendar writes one line a rotation under its week, or one line a week.
func (g *page) calendar(f sim.Forecast, o ForecastOptions) {
	if len(f.Turns) == 0 {
		g.heading(bold, "CALENDAR")
		g.para(2, plain, "No rotation is in flight, and none starts by "+g.at(f.To)+".")
		return
	}
	if len(f.Turns) > mostTurns && !o.All {
		g.weeks(f)
		return
	}
	names := shortNames(f.Story)
	g.heading(bold, "CALENDAR")
	cols := g.turnColumns(f, names)
	at := 2
	for _, c := range cols {
		at += c.width + 2
	}
	const leastName = 16
	below := g.width-at < leastName // the name stands under its times
	head := "  " + turnLine(cols, func(c turnColumn) string { return c.title })
	if !below {
		head += "CLUSTER"
	}
	g.line("%s", g.paint(bold, strings.TrimRight(head, " ")))
	week := time.Time{}
	for _, t := range f.Turns {
		if now := weekOf(later(t.Start, f.From), g.o.Zone); !now.Equal(week) && len(f.Turns) > 10 {
			week = now
			g.line("%s", g.paint(dim, "  week of "+week.Format("Mon 02 Jan 2006")))
		}
		look := plain
		if t.Late() || t.Closed == "" {
			look = yellow
		}
		head, text := "  "+turnLine(cols, func(c turnColumn) string { return c.cell(t) }), joinedBy(" · ", names[t.Cluster], turnNote(t))
		if below {
			g.line("%s", strings.TrimRight(head, " "))
			g.para(4, look, text)
			continue
		}
		for _, l := range wrap(text, g.width-at) {
			g.line("%s", head+g.paint(look, l))
			head = strings.Repeat(" ", at)
		}
	}
}

func joinedBy(by string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), by)
}

// turnColumn is one column of the calendar. Those with the highest drop go
// first where the terminal is narrow.
type turnColumn struct {
	title string
	drop  int
	cell  func(sim.Turn) string
	width int
}

func turnLine(cols []turnColumn, text func(turnColumn) string) string {
	line := ""
	for _, c := range cols {
		line += pad(text(c), c.width) + "  "
	}
	return line
}

func (g *page) turnColumns(f sim.Forecast, names map[policy.Ref]string) []turnColumn {
	short := func(at func(sim.Turn) time.Time) func(sim.Turn) string {
		return func(t sim.Turn) string { return g.soon(at(t)) }
	}
	waves := 0
	cols := []turnColumn{
		{title: "START", cell: func(t sim.Turn) string { return g.started(t) }},
		{title: "WAVE", drop: 3, cell: func(t sim.Turn) string { return cutEnd(clean(t.Wave), mostWave) }},
		{title: "NODES DONE", drop: 2, cell: short(func(t sim.Turn) time.Time { return t.NodesDone })},
		{title: "CLIENTS BY", drop: 1, cell: short(func(t sim.Turn) time.Time { return t.SoakEnds })},
		{title: "COMPLETION", cell: short(func(t sim.Turn) time.Time { return t.Completed })},
		{title: "VERIFIED", drop: 4, cell: short(func(t sim.Turn) time.Time { return t.Verified })},
	}
	for _, t := range f.Turns {
		waves = max(waves, len(t.Wave))
	}
	if waves == 0 {
		cols = slices.DeleteFunc(cols, func(c turnColumn) bool { return c.title == "WAVE" })
	}
	for i := range cols {
		cols[i].width = len(cols[i].title)
		for _, t := range f.Turns {
			cols[i].width = max(cols[i].width, cells(cols[i].cell(t)))
		}
		cols[i].width = min(cols[i].width, mostWave)
	}
	room := 0 // for names and notes
	for _, t := range f.Turns {
		room = min(max(room, cells(joinedBy(" · ", names[t.Cluster], turnNote(t)))), g.width/3)
	}
	for {
		used, worst := room, 0
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

// soon is a time near another that stands beside it.
func (g *page) soon(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(g.o.Zone).Format("02 Jan 15:04")
}

func (g *page) started(t sim.Turn) string {
	if t.Start.IsZero() {
		return "unknown"
	}
	return t.Start.In(g.o.Zone).Format("Mon 02 Jan 15:04")
}

// turnNote is what is special about a rotation.
func turnNote(t sim.Turn) string {
	var notes []string
	if t.Before {
		notes = append(notes, "in flight")
	}
	if t.Watched {
		notes = append(notes, "watched: GKE completes it")
	}
	switch {
	case t.Closed == "":
		notes = append(notes, "then "+string(t.Phase))
	case t.Closed == policy.CompletedElsewhere && !t.Watched:
		notes = append(notes, "completed by GKE")
	case t.Closed != policy.Completed && !t.Watched:
		notes = append(notes, string(t.Closed))
	}
	switch {
	case t.Urgent:
		notes = append(notes, "urgent")
	case t.Emergency:
		notes = append(notes, "emergency")
	}
	if t.Late() {
		notes = append(notes, "LATE: deadline "+day(t.Deadline))
	}
	return strings.Join(notes, ", ")
}

func weekOf(t time.Time, zone *time.Location) time.Time {
	t = t.In(zone)
	back := (int(t.Weekday()) + 6) % 7
	return time.Date(t.Year(), t.Month(), t.Day()-back, 0, 0, 0, 0, zone)
}

// weeks writes one line a week.
func (g *page) weeks(f sim.Forecast) {
	type week struct {
		starts, ends, most int
		names              []string
	}
	names := shortNames(f.Story)
	at := map[time.Time]*week{}
	of := func(t time.Time) *week {
		key := weekOf(t, g.o.Zone)
		if at[key] == nil {
			at[key] = &week{}
		}
		return at[key]
	}
	for _, d := range f.Days {
		w := of(later(d.Date, f.From))
		w.most = max(w.most, d.InFlight)
	}
	for _, t := range f.Turns {
		if !t.Before {
			w := of(t.Start)
			w.starts++
			w.names = append(w.names, names[t.Cluster])
		}
		if !t.Completed.IsZero() {
			of(t.Completed).ends++
		}
	}
	g.heading(bold, "CALENDAR, WEEK BY WEEK")
	const numbers = 42
	head, room := "  WEEK OF      STARTS    ENDS  IN FLIGHT", g.width-numbers
	if room > numbers/2 {
		head += "  FIRST STARTS"
	}
	g.line("%s", g.paint(bold, head))
	for _, key := range slices.SortedFunc(keysOf(at), time.Time.Compare) {
		w := at[key]
		text := strings.Join(w.names[:min(len(w.names), 3)], ", ")
		if n := len(w.names) - 3; n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
		if room <= numbers/2 {
			text = ""
		}
		g.line("%s", strings.TrimRight(fmt.Sprintf("  %-11s  %6d  %6d  %9d  %s", key.Format("02 Jan 2006"), w.starts, w.ends, w.most, cutEnd(text, room)), " "))
	}
	g.para(2, dim, "every rotation: --all, or --format json")
}

// left says what does not fit and what prevents it: cluster by cluster, or
// counted when they are many.
func (g *page) left(f sim.Forecast, o ForecastOptions) {
	waiting := slices.DeleteFunc(slices.Clone(f.Left), func(l sim.Left) bool { return l.Outcome == sim.InFlight })
	if len(waiting) == 0 {
		return
	}
	var rs []row
	if len(waiting) > mostLeft && !o.All {
		rs = g.leftCounted(f, waiting)
	} else {
		for _, l := range waiting {
			r := row{name: clean(l.Cluster.String()), text: g.leftWords(l), code: Blame(l), style: yellow, next: next(l.Reason, l.Cluster.String(), "")}
			if l.Late {
				r.what, r.style = "LATE", red
			}
			rs = append(rs, r)
		}
	}
	g.heading(yellow, "WILL NOT BE ROTATED BY "+strings.ToUpper(g.at(f.To)))
	g.rows(g.fit(g.names(rs), rs), rs)
}

func (g *page) leftWords(l sim.Left) string {
	text := g.sentence(l.Reason, l.Message)
	if l.Held.Gate != "" && l.Held.Reason != l.Reason {
		text = g.sentence(l.Held.Reason, l.Held.Message) + "; at the end: " + text
	}
	if l.Held.Time > 0 {
		text = lasting(l.Held.Time) + " of waiting: " + text
	}
	if l.Due.IsZero() {
		return text
	}
	return joined("due since "+day(l.Due), text, "deadline "+day(l.Deadline))
}

// leftCounted is one row for all that the same setting holds up.
func (g *page) leftCounted(f sim.Forecast, waiting []sim.Left) []row {
	names := shortNames(f.Story)
	groups := map[string][]sim.Left{}
	for _, l := range waiting {
		groups[Blame(l)] = append(groups[Blame(l)], l)
	}
	var rs []row
	for key, list := range groups {
		late := 0
		var few []string
		for i, l := range list {
			if l.Late {
				late++
			}
			if i < 3 {
				few = append(few, names[l.Cluster])
			}
		}
		text := strings.Join(few, ", ")
		if n := len(list) - len(few); n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
		first := slices.MaxFunc(list, func(a, b sim.Left) int { return cmp.Compare(a.Held.Time, b.Held.Time) })
		if first.Held.Reason == reason.BreakerOpen {
			text = joined(g.say(first.Held.Message), text) // who opened it first
		}
		r := row{name: key, what: fmt.Sprintf("%d", len(list)), text: text, style: yellow}
		if late > 0 {
			r.text, r.style = joined(fmt.Sprintf("%d past their deadline", late), text), red
		}
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b row) int {
		return cmp.Or(cmp.Compare(len(groups[b.name]), len(groups[a.name])), strings.Compare(a.name, b.name))
	})
	return rs
}

func (g *page) unreadForecast(list []policy.Unread) {
	if len(list) == 0 {
		return
	}
	g.heading(red, "NOT READ, SO NOT IN THIS FORECAST")
	for _, u := range list {
		where := clean(u.Project)
		if u.Location != "" {
			where += "/" + clean(u.Location)
		}
		g.bullet(red, where+": "+u.Reason)
	}
}

func (g *page) forecastEnd(f sim.Forecast, o ForecastOptions) {
	n, last := f.Rotated()
	count := map[sim.Outcome]int{}
	for _, c := range f.Clusters {
		count[c.Outcome]++
	}
	part := func(n int, text string) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprintf("%d %s", n, text)
	}
	until := ""
	if n > 0 {
		until = ", the last " + g.at(last)
	}
	look := green
	if count[sim.Waiting]+count[sim.NeedsPeople]+f.Late > 0 {
		look = yellow
	}
	g.line("")
	g.parts(look, plural(n, "rotation", "rotations")+" verified"+until, part(count[sim.InFlight], "in flight at the end"), part(count[sim.Waiting], "waiting"),
		part(count[sim.NotDue], "not due"), part(count[sim.NeedsPeople], needs(count[sim.NeedsPeople])), part(count[sim.Unreadable], "unreadable"),
		part(f.Late, "past their deadline"), part(f.Overdue, "overdue before it began"))
	wall := ""
	if g.o.Wall > 0 {
		wall = fmt.Sprintf("%.1f s", g.o.Wall.Seconds())
	}
	g.parts(plain, plural(f.Runs, "run", "runs")+" played", fmt.Sprintf("%d left out, for nothing could come of them", f.Skipped), wall)
	if o.Fleet == "" {
		g.parts(plain, "Next: rotator forecast --format ics > rotations.ics", "rotator forecast --compare NEW.env")
	}
}
