package report

import (
	"cmp"
	"slices"
	"time"

	"gke-credential-rotator/job/show"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// forecast is what is to come, rotation by rotation: in a long one a cluster has
// several.
func (m *maker) forecast(f sim.Forecast) storyView {
	v := m.story("forecast", "What is to come", sim.Story{From: f.From, To: f.To, Every: f.Every, Clusters: f.Clusters})
	v.Months, v.Lanes, v.Count = nil, nil, len(f.Turns)
	v.Curve = m.days(f)
	counts := map[sim.Outcome]int{}
	for _, c := range f.Clusters {
		counts[c.Outcome]++
	}
	v.Summary = m.summary(f.Story, counts, v.Curve)
	v.Notes = m.texts(m.Notes)
	ways := map[fleet.Ref]*storyLane{}
	var order []fleet.Ref
	for _, t := range f.Turns {
		m.turn(&v, t)
		if ways[t.Cluster] == nil {
			ways[t.Cluster] = &storyLane{Name: words.Harmless(t.Cluster.Name), Place: place(t.Cluster)}
			order = append(order, t.Cluster)
		}
		m.draw(ways[t.Cluster], t, v.Axis)
	}
	if len(order) <= mostLanes {
		for _, ref := range order {
			v.Lanes = append(v.Lanes, *ways[ref])
		}
	}
	if v.Count <= foldRows {
		v.join()
	}
	m.left(&v, f)
	return v
}

// turn puts a rotation into the calendar.
func (m *maker) turn(v *storyView, t sim.Turn) {
	r := storyRow{
		Name: words.Harmless(t.Cluster.Name), Place: place(t.Cluster),
		Started: m.at(t.Start), Nodes: m.at(t.NodesDone), Done: m.at(t.Completed), Over: m.at(t.Verified),
		Outcome: cmp.Or(endedAs(t.Closed), string(t.Phase)),
	}
	switch {
	case t.Late():
		r.Waited = "starts after its deadline, " + show.Day(t.Deadline)
	case t.Before:
		r.Waited = "in flight already"
	}
	v.put(m.month(t.Start), r)
}

// draw adds a rotation to its cluster's way.
func (m *maker) draw(l *storyLane, t sim.Turn, a axis) {
	steps := []struct {
		kind string
		at   time.Time
	}{
		{"due", t.Due}, {string(record.Starting), t.Start}, {string(record.RecreatingNodes), t.HandedOver},
		{string(record.UpdatingClients), t.NodesDone}, {string(record.Completing), t.Completed},
	}
	steps = slices.DeleteFunc(steps, func(s struct {
		kind string
		at   time.Time
	}) bool {
		return s.at.IsZero()
	})
	for i, s := range steps {
		end := cmp.Or(t.Verified, a.To)
		if i+1 < len(steps) {
			end = steps[i+1].at
		}
		if end.After(a.From) && end.After(s.at) {
			l.Bars = append(l.Bars, a.bar(s.kind, s.at, end))
		}
	}
	said := "starts " + m.words.At(t.Start)
	if !t.Completed.IsZero() {
		said += ", completes " + m.words.At(t.Completed)
	}
	if !t.Verified.IsZero() {
		l.Bars = append(l.Bars, bar{Kind: "verified", X: a.x(t.Verified)})
	}
	l.Alt = cmp.Or(l.Alt, l.Name+": ") + said + ". "
}

// days draws how many are in flight, day by day.
func (m *maker) days(f sim.Forecast) curve {
	var points []point
	for _, d := range f.Days {
		points = append(points, point{d.Date, d.InFlight})
	}
	c := draw(points, f.From, f.To)
	c.Peak, c.PeakAt = f.Peak, m.at(f.PeakAt)
	c.Alt = c.said()
	return c
}

// left is what will not be rotated, and what prevents it.
func (m *maker) left(v *storyView, f sim.Forecast) {
	var items []item
	list := slices.Clone(f.Left)
	slices.SortStableFunc(list, func(a, b sim.Left) int { // those of which nobody can tell come last
		return cmp.Or(compareSet(a.Due, b.Due), compareSet(a.Deadline, b.Deadline))
	})
	for _, l := range list {
		if l.Outcome == sim.InFlight {
			continue
		}
		it := item{Name: words.Harmless(l.Cluster.Name), Place: place(l.Cluster), Text: m.words.Left(l), Note: "Prevented by " + words.Harmless(show.Blame(l))}
		if l.Late {
			it.Note += ". Its deadline passes"
		}
		items = append(items, it)
	}
	v.Left, v.MoreLeft = inSight(items, mostItems)
	v.LeftBy = show.Day(f.To)
}
