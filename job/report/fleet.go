package report

import (
	"cmp"
	"slices"
	"time"

	"gke-credential-rotator/job/show"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
)

// group is the clusters in one state.
type group struct {
	State state
	Title string
	About string
	Count int
	Table table
	// Folds hold what would make the page long, by project.
	Folds []fold
}

// fold is a part of a table that is opened on demand.
type fold struct {
	Title, Note string
	Table       table
}

// table is some of the clusters in one state.
type table struct {
	Caption string
	Rows    []row
	Brief   bool // nothing waits there, so little is said of each
	Waves   bool
}

// row is one cluster.
type row struct {
	Name, Place string
	Expires     moment
	ExpiresNote string
	Due         moment
	DueNote     string
	Late        moment // from when a start is late
	Look        state  // of the word
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

// gate is one that is closed.
type gate struct {
	Name, Text string
	Opens      moment
	Waits      string
	Lifted     bool
	reason     string
}

// foldAt is how many clusters of one state stand open on the page.
const foldAt = 30

// groups are the fleet by urgency.
func (m *maker) groups() []group {
	var out []group
	for _, st := range states {
		g := group{State: st, Title: m.title(st), About: m.about(st)}
		t := &g.Table
		t.Caption, t.Brief, t.Waves = g.Title, st == notDue || st == notSelected, len(m.Policy.Waves) > 0
		var refs []policy.Ref
		for _, s := range m.stands {
			if s.state == st {
				t.Rows = append(t.Rows, m.row(s, t.Brief))
				refs = append(refs, s.Cluster.Ref)
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

// about says what a state means where its title does not.
func (m *maker) about(s state) string {
	switch s {
	case doing:
		if m.Mode == "observe" {
			return "In observe mode nothing is sent: this is what act would do."
		}
	case waiting:
		return "Due, and not started yet. The next to start comes first."
	case rotated:
		return "Rotated, with a new CA in force."
	case notDue:
		return "The next to be due comes first."
	case notSelected:
		return "Outside ROTATOR_SELECTOR or ROTATOR_LOCATIONS: GKE rotates them by its own rules."
	}
	return ""
}

// fold puts the rows away by project; the most pressing stay in sight.
func (g *group) fold(refs []policy.Ref) {
	keep := 0
	if g.State == needsPeople || g.State == doing || g.State == inFlight || g.State == waiting {
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
		f := fold{Title: words.Harmless(p), Note: show.Plural(len(rows), "cluster", "clusters"), Table: g.Table}
		f.Table.Rows, f.Table.Caption = rows, g.Title+" in "+f.Title
		if keep > 0 {
			f.Note = show.Plural(len(rows), "more cluster", "more clusters")
		}
		g.Folds = append(g.Folds, f)
	}
	g.Table.Rows = slices.Clip(g.Table.Rows[:keep])
}

// modern is how far away the expiry of a CA is that says little.
const modern = 3 * 365 * 24 * time.Hour

func (m *maker) row(s stand, brief bool) row {
	c, ca := s.Cluster, s.Cluster.Bundle.Oldest()
	r := row{Name: words.Harmless(c.Ref.Name), Place: place(c.Ref), Expires: day(ca.Expires)}
	if ca.Fingerprint == "" && s.Rotation != nil { // it was not read: the record knows
		ca = s.Rotation.Baseline.CA
		r.Expires = day(ca.Expires)
	}
	switch left := ca.Expires.Sub(m.now); {
	case ca.Expires.IsZero():
		r.ExpiresNote = cmp.Or(words.Harmless(c.Bundle.Problem), "unknown")
	case left < 0:
		r.ExpiresNote = "expired " + show.Lasting(-left) + " ago"
	case left < modern:
		r.ExpiresNote = "in " + roughly(left)
	default: // of those that live 30 years the age is what matters
		r.ExpiresNote = roughly(m.now.Sub(ca.Issued)) + " old"
	}
	r.Due = day(s.Due.At)
	if !s.Due.ByExpiry { // else it stands beside it
		r.DueNote = words.Harmless(s.Due.Why)
	}
	if brief {
		return r
	}
	r.Look, r.State, r.Reason, r.Wave = s.state, s.word(), string(s.Reason), words.Harmless(s.Wave)
	if s.Due.Is && !s.Due.Deadline.IsZero() && s.Phase == "" {
		r.Late = day(s.Due.Deadline)
	}
	switch {
	case s.Urgent:
		r.Urgency = "urgent"
	case s.Emergency:
		r.Urgency = "emergency"
	}
	if s.state == rotated {
		m.wasRotated(&r, s)
		return r
	}
	r.Text = m.words.Sentence(s.Reason, s.Message)
	if s.skipped != "" {
		r.Remarks = append(r.Remarks, "Not done: "+words.Harmless(s.skipped))
	}
	r.Remarks = append(r.Remarks, m.texts(policy.Mismatches(c, m.Result.Fleet.Book, m.now))...)
	m.until(&r, s)
	return r
}

// until says until when the cluster waits, and for what.
func (m *maker) until(r *row, s stand) {
	opens, known, _ := show.MayOpen(s.Decision)
	for _, v := range s.Gates {
		if v.Open {
			r.OpenGates++
			continue
		}
		g := gate{Name: words.Harmless(v.Gate), Text: m.words.Sentence(v.Reason, v.Message), Opens: m.at(v.OpensAt), Lifted: v.Lifted, reason: string(v.Reason)}
		if v.OpensAt.IsZero() {
			g.Waits = cmp.Or(v.Reason.Info().WaitsOn.String(), "something without a time")
		}
		r.Gates = append(r.Gates, g)
	}
	switch {
	case s.Action.Sends():
	case !opens.IsZero():
		r.Until = m.at(opens)
		r.Text = m.words.Sentence(s.Reason, s.Message.Without(opens))
		if !known {
			r.UntilNote = "and then " + show.WaitsFor(s.Decision)
		}
	case s.Action == policy.Wait && s.state != inFlight:
		r.UntilNote = show.WaitsFor(s.Decision)
	}
	if len(r.Gates) == 1 && !r.Gates[0].Lifted && r.Reason == r.Gates[0].reason {
		r.Gates = nil // it is said
	}
}

// word says in a word where the cluster stands.
func (s stand) word() string {
	switch {
	case s.state == rotated:
		return "verified"
	case s.Phase != "":
		return string(s.Phase)
	case s.state == doing:
		return string(s.Action)
	case s.Due.Is:
		return "due"
	}
	return "idle"
}

// wasRotated tells of the rotation instead of what does not wait any more.
func (m *maker) wasRotated(r *row, s stand) {
	rec, ok := m.over[s.Cluster.Ref]
	if !ok {
		r.Text = m.words.Sentence(s.Reason, s.Message)
		return
	}
	r.Reason = ""
	r.Text = "CA " + words.Harmless(rec.Rotation.Baseline.CA.Fingerprint.Short()) + " → " + words.Harmless(rec.Rotation.New.Fingerprint.Short()) + ", " + endedAs(rec.ClosedAs) + " " + m.words.At(rec.ClosedAt)
}

// roughly is a length of time as people say it.
func roughly(d time.Duration) string {
	const day, year = 24 * time.Hour, 8766 * time.Hour
	switch {
	case d >= 2*year:
		return show.Plural(int(d/year), "year", "years")
	case d >= 2*day:
		return show.Plural(int(d/day), "day", "days")
	}
	return show.Lasting(d)
}

// pace is whether the limits are enough for one wave.
type pace struct {
	Wave   string
	Due    int
	PerWk  string
	Done   moment
	Latest moment
	Short  bool
	Late   string
}

func (m *maker) pace() []pace {
	var out []pace
	for _, w := range policy.Capacity(m.Policy, m.Result.Fleet, m.Result.Decisions, m.now) {
		p := pace{Wave: cmp.Or(words.Harmless(w.Wave), "all clusters"), Due: w.Due, Done: day(w.DoneAbout), Latest: day(w.LatestSafe), Short: w.Short}
		if w.StartsAWeek > 0 {
			p.PerWk = rate(w.StartsAWeek)
		}
		if w.Short {
			p.Late = words.Harmless(w.Late.String())
		}
		out = append(out, p)
	}
	return out
}
