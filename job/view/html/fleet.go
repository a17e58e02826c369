package html

import (
	"cmp"
	"slices"
	"time"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
)

type group struct {
	State view.Stand
	Title string
	About string
	Count int
	Table table
	Folds []fold // what would make the page long, by project
}

// fold is a part of a table that is opened on demand.
type fold struct {
	Title, Note string
	Table       table
}

type table struct {
	Caption string
	Rows    []row
	Brief   bool // nothing waits there, so little is said of each
	Waves   bool
}

type row struct {
	who
	Expires     moment
	ExpiresNote string
	Due         moment
	DueNote     string
	Late        moment     // from when a start is late
	Look        view.Stand // of the word
	State       string
	Urgency     string
	Text        string // why it waits
	Until       moment // until when
	UntilNote   string
	Reason      string
	Wave        string
	Gates       []gate
	OpenGates   int
	Remarks     []string
}

type gate struct {
	Name, Text string
	Opens      moment
	Waits      string
	Lifted     bool
	reason     string
}

// foldAt is how many clusters of one state stand open on the page.
const foldAt = 30

func (m *maker) groups() []group {
	var out []group
	for _, st := range view.Stands {
		g := group{State: st}
		g.Title, g.About = m.heading(st)
		t := &g.Table
		t.Caption, t.Brief, t.Waves = g.Title, st == view.NotDue || st == view.NotSelected, len(m.Policy.Waves) > 0
		var refs []fleet.Ref
		for _, s := range m.stands {
			if s.Stand == st {
				t.Rows = append(t.Rows, m.row(s, t.Brief))
				refs = append(refs, s.Decision.Cluster.Ref)
			}
		}
		if g.Count = len(t.Rows); g.Count == 0 {
			continue
		}
		if g.Count > foldAt {
			g.fold(refs)
		}
		out = append(out, g)
	}
	return out
}

// fold puts the rows away by project; the most pressing stay in sight.
func (g *group) fold(refs []fleet.Ref) {
	keep := 0
	if slices.Index(view.Stands, g.State) <= slices.Index(view.Stands, view.Waiting) {
		keep = foldAt / 2
	}
	byProject := map[string][]row{}
	var projects []string
	for i, r := range g.Table.Rows[keep:] {
		p := refs[keep+i].Project
		if byProject[p] == nil {
			projects = append(projects, p)
		}
		byProject[p] = append(byProject[p], r)
	}
	for _, p := range projects {
		rows := byProject[p]
		more := words.If(keep > 0, "more ")
		f := fold{words.Harmless(p), words.Plural(len(rows), more+"cluster", more+"clusters"), g.Table}
		f.Table.Rows, f.Table.Caption = rows, g.Title+" in "+f.Title
		g.Folds = append(g.Folds, f)
	}
	g.Table.Rows = slices.Clip(g.Table.Rows[:keep])
}

// modern is how far away the expiry of a CA is that says little.
const modern = 3 * 365 * 24 * time.Hour

func (m *maker) row(v view.Cluster, brief bool) row {
	s, c, ca := v.Decision, v.Decision.Cluster, v.Decision.Cluster.Bundle.Oldest()
	if ca.Fingerprint == "" && s.Rotation != nil { // it was not read: the record knows
		ca = s.Rotation.Baseline.CA
	}
	r := row{who: whoIs(c.Ref), Expires: day(ca.Expires)}
	switch left := ca.Expires.Sub(m.Now); {
	case ca.Expires.IsZero():
		r.ExpiresNote = cmp.Or(words.Harmless(c.Bundle.Problem), "unknown")
	case left < 0:
		r.ExpiresNote = "expired " + words.Lasting(-left) + " ago"
	case left < modern:
		r.ExpiresNote = "in " + roughly(left)
	default: // of those that live 30 years the age is what matters
		r.ExpiresNote = roughly(m.Now.Sub(ca.Issued)) + " old"
	}
	r.Due = day(s.Due.At)
	if !s.Due.ByExpiry { // else it stands beside it
		r.DueNote = words.Harmless(s.Due.Why)
	}
	if brief {
		return r
	}
	r.Look, r.State, r.Reason, r.Wave = v.Stand, word(v), string(s.Reason), words.Harmless(s.Wave)
	if s.Due.Is && s.Phase == "" {
		r.Late = day(s.Due.Deadline)
	}
	r.Urgency = cmp.Or(words.If(s.Compromised, "compromised"), words.If(s.Emergency, "emergency"))
	if v.Stand == view.Rotated {
		m.wasRotated(&r, v)
		return r
	}
	r.Text = m.Sentence(s.Reason, s.Message)
	if v.Skipped != "" {
		r.Remarks = append(r.Remarks, "Not done: "+words.Harmless(v.Skipped))
	}
	r.Remarks = append(r.Remarks, words.Each(v.Mismatches, words.Harmless)...)
	m.until(&r, v)
	return r
}

func (m *maker) until(r *row, c view.Cluster) {
	s := c.Decision
	for _, v := range s.Gates {
		if v.Open {
			r.OpenGates++
			continue
		}
		g := gate{Name: words.Harmless(v.Gate), Text: m.Sentence(v.Reason, v.Message), Opens: m.at(v.OpensAt),
			Lifted: v.Lifted, reason: string(v.Reason)}
		if v.OpensAt.IsZero() {
			g.Waits = cmp.Or(v.Reason.Info().WaitsOn.String(), "something without a time")
		}
		r.Gates = append(r.Gates, g)
	}
	switch {
	case s.Action.Sends():
	case !c.Opens().IsZero():
		r.Until = m.at(c.Opens())
		r.Text = m.Sentence(s.Reason, s.Message.Without(c.Opens()))
		if !c.OpensByTime() {
			r.UntilNote = "and then " + c.WaitsFor()
		}
	case s.Action == policy.Wait && c.Stand != view.InFlight:
		r.UntilNote = c.WaitsFor()
	}
	if len(r.Gates) == 1 && !r.Gates[0].Lifted && r.Reason == r.Gates[0].reason {
		r.Gates = nil // it is said
	}
}

// word says in a word where the cluster stands.
func word(c view.Cluster) string {
	switch s := c.Decision; {
	case c.Stand == view.Rotated:
		return "verified"
	case s.Phase != "":
		return string(s.Phase)
	case c.Stand == view.DoNow:
		return string(s.Action)
	case s.Due.Is:
		return "due"
	}
	return "idle"
}

// wasRotated tells of the rotation instead of what does not wait any more.
func (m *maker) wasRotated(r *row, c view.Cluster) {
	rec := c.Finished
	if rec == nil {
		r.Text = m.Sentence(c.Reason, c.Decision.Message)
		return
	}
	r.Reason = ""
	r.Text = "CA " + words.Harmless(rec.Rotation.Baseline.CA.Fingerprint.Short()) + " → " +
		words.Harmless(rec.Rotation.New.Fingerprint.Short()) + ", " + endedAs(rec.ClosedAs) + " " +
		m.At(rec.ClosedAt)
}

// roughly is a length of time as people say it.
func roughly(d time.Duration) string {
	const day, year = 24 * time.Hour, 8766 * time.Hour
	switch {
	case d >= 2*year:
		return words.Plural(int(d/year), "year", "years")
	case d >= 2*day:
		return words.Plural(int(d/day), "day", "days")
	}
	return words.Lasting(d)
}

// pace is whether the limits are enough for one wave.
type pace struct {
	view.Capacity
	Done, Latest moment
}

func (m *maker) pace() []pace {
	var out []pace
	for _, w := range m.plan.Capacity() {
		w.Wave, w.Late = words.Harmless(w.Wave), words.Harmless(w.Late)
		out = append(out, pace{w, day(w.Done), day(w.Latest)})
	}
	return out
}
