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

// storyLane is one cluster's way.
type storyLane struct {
	who
	Bars []bar
	Alt  string
}

// month is a part of the calendar.
type month struct {
	Title string
	Open  bool
	Rows  []storyRow
}

// storyRow is one cluster in the calendar.
type storyRow struct {
	who
	Started, Nodes, Done, Over moment
	Outcome                    string
	Waited                     string
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
	for _, l := range lanes {
		drawn[l.Cluster] = true
		if len(lanes) <= mostLanes {
			v.Lanes = append(v.Lanes, m.storyLane(l, v.Axis))
		}
	}
	for _, c := range list {
		if c.Outcome != sim.NotDue || drawn[c.Cluster] {
			v.Count++
			m.calendar(&v, c)
		}
	}
	if v.Count <= foldRows {
		v.join()
	}
	if quiet := len(list) - v.Count; quiet > 0 {
		v.Quiet = words.Plural(quiet, "cluster is", "clusters are") + " not due in this time."
	}
	v.Curve = m.curve(s)
	v.Summary = m.summary(s, v.Curve)
	return v
}

// summary is the story in a sentence or two.
func (m *maker) summary(s sim.Story, c curve) string {
	counts := view.Outcomes(s)
	var parts []string
	for _, o := range []struct {
		outcome   sim.Outcome
		one, many string
	}{
		{sim.Verified, "cluster rotated and verified", "clusters rotated and verified"},
		{sim.InFlight, "in flight", "in flight"}, {sim.Waiting, "still waiting", "still waiting"},
		{sim.NeedsAction, "needs action", "need action"}, {sim.Unreadable, "unreadable", "unreadable"},
		{sim.NotDue, "not due", "not due"},
	} {
		if n := counts[o.outcome]; n > 0 {
			parts = append(parts, words.Plural(n, o.one, o.many))
		}
	}
	if len(parts) == 0 {
		return "No cluster was seen."
	}
	text := fmt.Sprintf("From %s to %s, a run every %s: %s.", words.Day(s.From), words.Day(s.To),
		fleet.Days(s.Every), words.Listed(parts, "and"))
	if c.Peak > 0 {
		text += fmt.Sprintf(" At most %d at one time, first %s; the limit is %d.", c.Peak, c.PeakAt.Text,
			m.Policy.MaxActive)
	}
	return text
}

// month is the part of the calendar in which a rotation begins.
func (m *maker) month(at time.Time) string {
	if at.IsZero() {
		return "Not started"
	}
	return m.In(at).Format("January 2006")
}

// put adds a row to its month.
func (v *storyView) put(title string, r storyRow) {
	if n := len(v.Months); n == 0 || v.Months[n-1].Title != title {
		v.Months = append(v.Months, month{Title: title})
	}
	last := &v.Months[len(v.Months)-1]
	last.Rows = append(last.Rows, r)
}

// calendar puts the cluster into its month; what has not started comes last.
func (m *maker) calendar(v *storyView, c sim.Chapter) {
	r := storyRow{
		who: whoIs(c.Cluster), Outcome: strings.ReplaceAll(string(c.Outcome), "-", " "),
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
	v.put(m.month(view.Began(c)), r)
}

// join makes one table of a short calendar.
func (v *storyView) join() {
	if len(v.Months) == 0 {
		return
	}
	all := month{Title: "Calendar", Open: true}
	for _, mo := range v.Months {
		all.Rows = append(all.Rows, mo.Rows...)
	}
	v.Months = []month{all}
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
	most := 1
	for _, p := range points {
		most = max(most, p.n)
	}
	span := float64(to.Sub(from))
	x := func(t time.Time) string {
		return strconv.FormatFloat(min(max(float64(t.Sub(from))/span*1000, 0), 1000), 'f', 1, 64)
	}
	y := func(n int) string { return strconv.FormatFloat(100-float64(n)/float64(most)*96, 'f', 1, 64) }
	var b strings.Builder
	b.WriteString("M0 " + y(0))
	last := 0
	for _, p := range points {
		if p.n != last {
			b.WriteString("H" + x(p.at) + "V" + y(p.n))
			last = p.n
		}
	}
	b.WriteString("H1000")
	c := curve{Line: b.String(), Area: b.String() + "V100H0Z", Peak: peak.n, PeakAt: m.at(peak.at)}
	c.Alt = fmt.Sprintf("Rotations in flight over time: at most %d, first %s", c.Peak, c.PeakAt.Text)
	return c
}
