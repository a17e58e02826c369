package terminal

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// ForecastOptions say how a forecast is shown.
type ForecastOptions struct {
	Options
	All bool // every rotation, however many there are
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
func Forecast(w io.Writer, f view.Forecast, o ForecastOptions) error {
	g := newPage(o.Options, f.From)
	g.forecastHead(f)
	g.calendar(f.Play, o)
	g.inFlight(f)
	g.left(f.Play, o)
	g.unreadForecast(f.Unread)
	g.forecastEnd(f)
	return g.send(w)
}

func (g *page) forecastHead(f view.Forecast) {
	g.parts(bold, "Forecast of "+cmp.Or(clean(f.Fleet), "the fleet as it is"), sizeOf(f.Play.Story),
		daysOf(f.Play.Story)+" from "+g.headTime(f.From), "a run every "+words.Lasting(f.Play.Every))
	rests := []string{"As if MODE=act, GKE took its usual time, nobody did anything else, and no new cluster came. Nothing is sent to Google and nothing stored."}
	switch {
	case f.Approved:
		rests = append(rests, "As if people approved everything at once (--approve).")
	case f.Policy.Approval != rules.ApproveNone:
		rests = append(rests, fmt.Sprintf("APPROVAL=%s: as if nobody approved anything from now on; --approve plays it as if they did at once.", f.Policy.Approval))
	}
	rests = append(rests, words.If(!f.Contents && f.Fleet == "",
		"There is no store, so holds, approvals, waves and whose rotations are whose begin unknown."))
	g.para(0, dim, strings.Join(rests, " "))
}

// calendar writes one line a rotation under its week, or one line a week.
func (g *page) calendar(f sim.Forecast, o ForecastOptions) {
	if len(f.Turns) == 0 {
		g.heading(bold, "CALENDAR")
		g.para(2, plain, "No rotation is in flight, and none starts by "+g.At(f.To)+".")
		return
	}
	if len(f.Turns) > mostTurns && !o.All {
		g.weeks(f)
		return
	}
	names := view.ShortNames(f.Story)
	g.heading(bold, "CALENDAR")
	cols := g.turnColumns(f, names)
	head := "  " + cellsOf(cols, func(c column) string { return c.title })
	const leastName = 16
	at := cells(head)
	below := g.width-at < leastName // the name stands under its times
	head += words.If(!below, "CLUSTER")
	g.line("%s", g.paint(bold, strings.TrimRight(head, " ")))
	week := time.Time{}
	for i, t := range f.Turns {
		if now := g.weekOf(view.Latest(t.Start, f.From)); !now.Equal(week) && len(f.Turns) > 10 {
			week = now
			g.line("%s", g.paint(dim, "  week of "+week.Format("Mon 02 Jan 2006")))
		}
		look := plain
		if t.Late() || t.Closed == "" {
			look = yellow
		}
		head, text := "  "+cellsOf(cols, func(c column) string { return c.cells[i] }), turnText(names[t.Cluster], t)
		if below {
			g.line("%s", strings.TrimRight(head, " "))
			g.para(4, look, text)
		} else {
			g.hang(at, head, look, text)
		}
	}
}

func cellsOf(cols []column, text func(column) string) string {
	line := ""
	for _, c := range cols {
		line += pad(text(c), c.width) + "  "
	}
	return line
}

func (g *page) turnColumns(f sim.Forecast, names map[fleet.Ref]string) []column {
	cols := []column{{title: "START"}, {title: "WAVE", drop: 3}, {title: "NODES DONE", drop: 2},
		{title: "CLIENTS BY", drop: 1}, {title: "COMPLETION"}, {title: "VERIFIED", drop: 4}}
	room := 0 // for names and notes
	for _, t := range f.Turns {
		started := "unknown"
		if !t.Start.IsZero() {
			started = g.In(t.Start).Format("Mon 02 Jan 15:04")
		}
		for i, cell := range []string{started, words.Cut(clean(t.Wave), mostWave), g.soon(t.NodesDone),
			g.soon(t.SoakEnds), g.soon(t.Completed), g.soon(t.Verified)} {
			cols[i].cells = append(cols[i].cells, cell)
		}
		room = min(max(room, cells(turnText(names[t.Cluster], t))), g.width/3)
	}
	if strings.Join(cols[1].cells, "") == "" {
		cols = slices.Delete(cols, 1, 2)
	}
	return g.columns(cols, room, mostWave)
}

// soon is a time near another that stands beside it.
func (g *page) soon(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return g.In(t).Format("02 Jan 15:04")
}

// turnText is a rotation's cluster, and what is special about it.
func turnText(name string, t sim.Turn) string {
	then := ""
	switch {
	case t.Closed == "":
		then = "then " + string(t.Phase)
	case t.Closed == record.CompletedElsewhere && !t.Watched:
		then = "completed by GKE"
	case t.Closed != record.Completed && !t.Watched:
		then = string(t.Closed)
	}
	notes := words.Said(
		words.If(t.Before, "in flight"), words.If(t.Watched, "watched: GKE completes it"), then,
		cmp.Or(words.If(t.Compromised, "compromised"), words.If(t.Emergency, "emergency")),
		words.If(t.Late(), "LATE: deadline "+words.Day(t.Deadline)))
	return name + words.If(len(notes) > 0, " · "+strings.Join(notes, ", "))
}

// weekOf is the Monday of a time's week.
func (g *page) weekOf(t time.Time) time.Time {
	t = g.In(t)
	back := (int(t.Weekday()) + 6) % 7
	return time.Date(t.Year(), t.Month(), t.Day()-back, 0, 0, 0, 0, t.Location())
}

func (g *page) weeks(f sim.Forecast) {
	type week struct {
		starts, ends, most int
		names              []string
	}
	names := view.ShortNames(f.Story)
	at := map[time.Time]*week{}
	of := func(t time.Time) *week {
		key := g.weekOf(t)
		if at[key] == nil {
			at[key] = &week{}
		}
		return at[key]
	}
	for _, d := range f.Days {
		w := of(view.Latest(d.Date, f.From))
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
	room := g.width - numbers
	head := "  WEEK OF      STARTS    ENDS  IN FLIGHT" + words.If(room > numbers/2, "  FIRST STARTS")
	g.line("%s", g.paint(bold, head))
	for _, key := range slices.SortedFunc(maps.Keys(at), time.Time.Compare) {
		w := at[key]
		text := words.If(room > numbers/2, words.Few(w.names, 3))
		g.line("%s", strings.TrimRight(fmt.Sprintf("  %-11s  %6d  %6d  %9d  %s", key.Format("02 Jan 2006"),
			w.starts, w.ends, w.most, words.Cut(text, room)), " "))
	}
	g.para(2, dim, "every rotation: --all, or --format json")
}

// left says what does not fit and what prevents it: cluster by cluster, or
// counted when they are many.
func (g *page) left(f sim.Forecast, o ForecastOptions) {
	waiting := view.NotRotated(f)
	if len(waiting) == 0 {
		return
	}
	var rs []row
	for _, l := range waiting {
		r := row{name: clean(l.Cluster.String()), text: g.Left(l), code: view.Blame(l), style: yellow,
			next: next(l.Reason, l.On.String(), "")}
		if l.Late {
			r.what, r.style = "LATE", red
		}
		rs = append(rs, r)
	}
	if len(waiting) > mostLeft && !o.All {
		rs = g.leftCounted(f, waiting)
	}
	g.heading(yellow, "WILL NOT BE ROTATED BY "+strings.ToUpper(g.At(f.To)))
	g.rows(g.fit(g.names(rs), rs), rs)
}

// leftCounted is one row for all that the same setting holds up.
func (g *page) leftCounted(f sim.Forecast, waiting []sim.Left) []row {
	names := view.ShortNames(f.Story)
	groups := map[string][]sim.Left{}
	for _, l := range waiting {
		groups[view.Blame(l)] = append(groups[view.Blame(l)], l)
	}
	var rs []row
	for key, list := range groups {
		text := fewOf(list, 3, func(l sim.Left) string { return names[l.Cluster] })
		first := slices.MaxFunc(list, func(a, b sim.Left) int { return cmp.Compare(a.Held.Time, b.Held.Time) })
		if first.Held.Reason == reason.BreakerOpen {
			text = words.Joined(g.Say(first.Held.Message), text) // who opened it first
		}
		r := row{name: key, what: strconv.Itoa(len(list)), text: text, style: yellow}
		late := len(slices.DeleteFunc(slices.Clone(list), func(l sim.Left) bool { return !l.Late }))
		if late > 0 {
			r.text, r.style = words.Joined(fmt.Sprintf("%d past their deadline", late), text), red
		}
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b row) int {
		return cmp.Or(cmp.Compare(len(groups[b.name]), len(groups[a.name])), strings.Compare(a.name, b.name))
	})
	return rs
}

func (g *page) unreadForecast(list []fleet.Unread) {
	if len(list) == 0 {
		return
	}
	g.heading(red, "NOT READ, SO NOT IN THIS FORECAST")
	for _, u := range list {
		where := clean(u.Project) + words.If(u.Location != "", "/"+clean(u.Location))
		g.bullet(red, where+": "+u.Reason)
	}
}

func (g *page) forecastEnd(f view.Forecast) {
	n, last := f.Play.Rotated()
	count := view.Outcomes(f.Play.Story)
	look := green
	if count[sim.Waiting]+count[sim.NeedsAction]+f.Late > 0 {
		look = yellow
	}
	g.line("")
	g.parts(look, words.Plural(n, "rotation", "rotations")+" verified"+words.If(n > 0, ", the last "+g.At(last)),
		counted(count[sim.InFlight], "in flight at the end"), counted(count[sim.Waiting], "waiting"),
		counted(count[sim.NotDue], "not due"), words.Some(count[sim.NeedsAction], "needs action", "need action"),
		counted(count[sim.Unreadable], "unreadable"), counted(f.Late, "past their deadline"),
		counted(f.Overdue, "overdue before it began"))
	g.parts(plain, words.Plural(f.Runs, "run", "runs")+" played",
		fmt.Sprintf("%d left out, for nothing could come of them", f.LeftOut), g.wall())
	if f.Fleet == "" {
		g.parts(plain, "Next: rotator forecast --format ics > rotations.ics", "rotator forecast --compare NEW.env")
	}
}
