package html

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// storyView is a stretch of simulated time: what was played, or what is to come.
type storyView struct {
	ID, Title string
	Summary   string
	Notes     []string
	Count     int // clusters that had a part in it
	Curve     curve
	Axis      axis
	Lanes     []storyLane // few enough to be drawn one by one
	Months    []month
	Quiet     string // clusters of which there is nothing to tell
	// Left are clusters that will not be rotated in this time.
	Left, MoreLeft []item
	LeftBy         string
}

// point is how many are in flight from a moment on.
type point struct {
	at time.Time
	n  int
}

// curve is how many rotations were in flight over time.
type curve struct {
	Area, Line string // SVG paths in a box of 1000 by 100
	Peak       int
	PeakAt     moment
	Alt        string
}

type storyLane struct {
	who
	Bars []bar
	Alt  string
}

type month struct {
	Title string
	Open  bool
	Rows  []storyRow
}

type storyRow struct {
	who
	Started, Nodes, Done, Over moment
	Outcome, Waited            string
	month                      string // in which it begins
}

// The most clusters that are drawn one by one, and the rows above which the
// calendar is folded by month.
const (
	mostLanes = 40
	foldRows  = 60
)

func (m *maker) story(id, title string, s sim.Story) storyView {
	v := storyView{ID: id, Title: title, Axis: newAxis(s.From, s.To, time.Time{}, m.Clock)}
	list := slices.SortedFunc(slices.Values(s.Clusters), func(a, b sim.Chapter) int {
		return cmp.Or(view.CompareSet(view.Began(a), view.Began(b)), view.CompareSet(a.Due, b.Due),
			a.Cluster.Compare(b.Cluster))
	})
	lanes, drawn := view.Lanes(list, s.Changes), map[fleet.Ref]bool{}
	var rows []storyRow
	for _, l := range lanes {
		drawn[l.Cluster] = true
		if len(lanes) <= mostLanes {
			v.Lanes = append(v.Lanes, m.storyLane(l, v.Axis))
		}
	}
	for _, c := range list {
		if c.Outcome != sim.NotDue || drawn[c.Cluster] {
			rows = append(rows, m.storyRow(c))
		}
	}
	v.Count, v.Months = len(rows), months(rows)
	v.Quiet = words.Some(len(list)-v.Count, "cluster is not due in this time.",
		"clusters are not due in this time.")
	v.Curve = m.curve(s)
	v.Summary = m.summary(s, v.Curve)
	return v
}

func (m *maker) summary(s sim.Story, c curve) string {
	counts := view.Outcomes(s)
	parts := words.Said(
		words.Some(counts[sim.Verified], "cluster rotated and verified", "clusters rotated and verified"),
		words.Some(counts[sim.CompletedByGKE], "completed by GKE, not by us", "completed by GKE, not by us"),
		words.Some(counts[sim.InFlight], "in flight", "in flight"),
		words.Some(counts[sim.Waiting], "still waiting", "still waiting"),
		words.Some(counts[sim.NeedsAction], "needs action", "need action"),
		words.Some(counts[sim.Unreadable], "unreadable", "unreadable"),
		words.Some(counts[sim.NotDue], "not due", "not due"))
	if len(parts) == 0 {
		return "No cluster was seen."
	}
	text := fmt.Sprintf("From %s to %s, a run every %s: %s.", words.Day(s.From), words.Day(s.To),
		fleet.Days(s.Every), words.Listed(parts, "and"))
	return text + words.If(c.Peak > 0, fmt.Sprintf(" At most %d at one time, first %s; the limit is %d.", c.Peak,
		c.PeakAt.Text, m.Policy.MaxActive))
}

// month is the part of the calendar in which a rotation begins.
func (m *maker) month(at time.Time) string {
	if at.IsZero() {
		return "Not started"
	}
	return m.In(at).Format("January 2006")
}

// months parts the calendar where it is long.
func months(rows []storyRow) []month {
	var out []month
	for _, r := range rows {
		if len(rows) <= foldRows {
			r.month = "Calendar"
		}
		if n := len(out); n == 0 || out[n-1].Title != r.month {
			out = append(out, month{Title: r.month, Open: len(rows) <= foldRows})
		}
		last := &out[len(out)-1]
		last.Rows = append(last.Rows, r)
	}
	return out
}

func (m *maker) storyRow(c sim.Chapter) storyRow {
	r := storyRow{
		who: whoIs(c.Cluster), month: m.month(view.Began(c)),
		Outcome: strings.ReplaceAll(string(c.Outcome), "-", " "),
		Started: m.at(c.Entered[record.Starting]), Nodes: m.at(c.Entered[record.UpdatingClients]),
		Done: m.at(c.Entered[record.Completing]), Over: m.at(c.Closed),
	}
	switch {
	case c.Outcome == sim.NeedsAction || c.Outcome == sim.Unreadable:
		r.Waited = m.Sentence(c.Reason, c.Message)
	case len(c.Waited) > 0:
		r.Waited = "waited " + words.Lasting(c.Waited[0].Time) + " for " +
			strings.ReplaceAll(words.Harmless(c.Waited[0].Gate), "-", " ")
	}
	return r
}

// storyLane draws one cluster's way: due and waiting, then phase by phase.
func (m *maker) storyLane(way view.Lane, a axis) storyLane {
	l := storyLane{who: whoIs(way.Cluster), Bars: a.steps(way.Steps)}
	var said []string
	for _, s := range way.Steps {
		if s.Says != "" {
			said = append(said, strings.ReplaceAll(s.Says, "-", " ")+" "+m.At(s.At))
		}
	}
	if len(said) == 0 {
		said = []string{"due since " + m.At(way.Due) + ", waits"}
	}
	l.Alt = l.Name + ": " + strings.Join(said, ", ")
	return l
}

// steps draws each step until the next, the last of them until the end.
func (a axis) steps(steps []view.Step) []bar {
	var bars []bar
	for i, s := range steps {
		to := a.To
		if i+1 < len(steps) {
			to = steps[i+1].At
		}
		switch {
		case s.Kind == view.StepVerified:
			bars = append(bars, bar{Kind: s.Kind, X: a.x(s.At)})
		case s.Kind != "" && to.After(s.At) && to.After(a.From):
			bars = append(bars, a.bar(s.Kind, s.At, to))
		}
	}
	return bars
}

// curve counts what is in flight after every change.
func (m *maker) curve(s sim.Story) curve {
	open, peak := map[fleet.Ref]bool{}, point{}
	var points []point
	for _, ch := range s.Changes {
		if ch.Closed != "" {
			delete(open, ch.Cluster)
		} else {
			open[ch.Cluster] = true
		}
		if n := len(points); n > 0 && points[n-1].at.Equal(ch.At) {
			points[n-1].n = len(open)
		} else {
			points = append(points, point{ch.At, len(open)})
		}
	}
	for _, p := range points {
		if p.n > peak.n {
			peak = p
		}
	}
	return m.draw(points, s.From, s.To, peak)
}

// draw makes the curve's paths, in a box of 1000 by 100.
func (m *maker) draw(points []point, from, to time.Time, peak point) curve {
	most, span := max(peak.n, 1), float64(to.Sub(from))
	x := func(t time.Time) string {
		return strconv.FormatFloat(min(max(float64(t.Sub(from))/span*1000, 0), 1000), 'f', 1, 64)
	}
	y := func(n int) string { return strconv.FormatFloat(100-float64(n)/float64(most)*96, 'f', 1, 64) }
	line, last := "M0 "+y(0), 0
	for _, p := range points {
		if p.n != last {
			line += "H" + x(p.at) + "V" + y(p.n)
			last = p.n
		}
	}
	line += "H1000"
	c := curve{Line: line, Area: line + "V100H0Z", Peak: peak.n, PeakAt: m.at(peak.at)}
	c.Alt = fmt.Sprintf("Rotations in flight over time: at most %d, first %s", c.Peak, c.PeakAt.Text)
	return c
}

// forecast is what is to come, rotation by rotation: in a long one a cluster has
// several.
func (m *maker) forecast(f sim.Forecast) storyView {
	v := m.story("forecast", "What is to come", sim.Story{From: f.From, To: f.To, Every: f.Every,
		Clusters: f.Clusters})
	v.Lanes, v.Count = nil, len(f.Turns)
	v.Curve = m.days(f)
	v.Summary = m.summary(f.Story, v.Curve)
	v.Notes = words.Each(m.Notes, words.Harmless)
	ways := map[fleet.Ref]*storyLane{}
	var order []fleet.Ref
	var rows []storyRow
	for _, t := range f.Turns {
		rows = append(rows, m.turn(t))
		if ways[t.Cluster] == nil {
			ways[t.Cluster] = &storyLane{who: whoIs(t.Cluster)}
			order = append(order, t.Cluster)
		}
		m.addTurn(ways[t.Cluster], t, v.Axis)
	}
	if len(order) <= mostLanes {
		for _, ref := range order {
			v.Lanes = append(v.Lanes, *ways[ref])
		}
	}
	v.Months = months(rows)
	m.left(&v, f)
	return v
}

func (m *maker) turn(t sim.Turn) storyRow {
	r := storyRow{
		who: whoIs(t.Cluster), month: m.month(t.Start), Started: m.at(t.Start), Nodes: m.at(t.NodesDone),
		Done: m.at(t.Completed), Over: m.at(t.Verified), Outcome: cmp.Or(endedAs(t.Closed), string(t.Phase)),
	}
	switch {
	case t.Late():
		r.Waited = "starts after its deadline, " + words.Day(t.Deadline)
	case t.Before:
		r.Waited = "in flight already"
	}
	return r
}

func (m *maker) addTurn(l *storyLane, t sim.Turn, a axis) {
	steps := []view.Step{
		{At: t.Due, Kind: view.StepDue}, {At: t.Start, Kind: string(record.Starting)},
		{At: t.HandedOver, Kind: string(record.RecreatingNodes)},
		{At: t.NodesDone, Kind: string(record.UpdatingClients)},
		{At: t.Completed, Kind: string(record.Completing)}, {At: t.Verified, Kind: view.StepVerified},
	}
	steps = slices.DeleteFunc(steps, func(s view.Step) bool { return s.At.IsZero() })
	l.Bars = append(l.Bars, a.steps(steps)...)
	said := "starts " + m.At(t.Start) + words.If(!t.Completed.IsZero(), ", completes "+m.At(t.Completed))
	l.Alt = cmp.Or(l.Alt, l.Name+": ") + said + ". "
}

func (m *maker) days(f sim.Forecast) curve {
	points := words.Each(f.Days, func(d sim.Day) point { return point{d.Date, d.InFlight} })
	return m.draw(points, f.From, f.To, point{f.PeakAt, f.Peak})
}

func (m *maker) left(v *storyView, f sim.Forecast) {
	var items []item
	list := view.NotRotated(f)
	slices.SortStableFunc(list, func(a, b sim.Left) int { // those of which nobody can tell come last
		return cmp.Or(view.CompareSet(a.Due, b.Due), view.CompareSet(a.Deadline, b.Deadline))
	})
	for _, l := range list {
		it := item{who: whoIs(l.Cluster), Text: m.Left(l), Note: "Prevented by " + words.Harmless(view.Blame(l))}
		it.Note += words.If(l.Late, ". Its deadline passes")
		items = append(items, it)
	}
	v.Left, v.MoreLeft = inSight(items, mostItems)
	v.LeftBy = words.Day(f.To)
}
