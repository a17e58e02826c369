package html

import (
	"cmp"
	"slices"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

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
