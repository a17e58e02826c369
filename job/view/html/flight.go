package html

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/record"
)

// lane is one rotation in flight on the timeline.
type lane struct {
	who
	State view.Stand
	Phase string
	Whose string
	Text  string
	Bars  []bar
	GKE   *mark // when GKE may complete by itself
	Facts []fact
	Alt   string // the picture in words
	Axis  axis
	sort  time.Time
}

type bar struct {
	Kind string // the phase, or "ahead"
	X, W float64
}

type mark struct {
	X      float64
	Text   string
	Anchor string // of the text, in SVG's words
}

// axis is what all lanes of a picture share.
type axis struct {
	From, To time.Time
	Ticks    []mark
	Now      *mark
}

// x is where a time lies, in per cent.
func (a axis) x(t time.Time) float64 {
	return min(max(percent(float64(t.Sub(a.From)), float64(a.To.Sub(a.From))), 0), 100)
}

func (a axis) bar(kind string, from, to time.Time) bar {
	x := a.x(from)
	return bar{kind, x, max(float64(int((a.x(to)-x)*100))/100, 0.4)}
}

// The most dates under a picture: more would run into each other on a phone.
const mostTicks = 6

// newAxis divides the time into days, as many as there is room for.
func newAxis(from, to, now time.Time, clock words.Clock) axis {
	a := axis{From: from, To: to}
	days := int(to.Sub(from)/(24*time.Hour)) + 1
	step := (days + mostTicks - 1) / mostTicks
	form := "Mon 2"
	if days > 14 {
		form = "2 Jan"
	}
	if days > 300 {
		form = "Jan 2006"
	}
	first := clock.In(from)
	for t := time.Date(first.Year(), first.Month(), first.Day(), 0, 0, 0, 0,
		first.Location()); t.Before(to); t = t.AddDate(0, 0, step) {
		if t.Before(from) {
			continue
		}
		k := mark{X: a.x(t), Text: t.Format(form), Anchor: "middle"}
		switch {
		case k.X < 4:
			k.Anchor = "start"
		case k.X > 94:
			k.Anchor = "end"
		}
		a.Ticks = append(a.Ticks, k)
	}
	if !now.Before(from) && !now.After(to) {
		a.Now = &mark{X: a.x(now)}
	}
	return a
}

// The longest that a rotation reaches back on the timeline: an older one begins
// at the edge.
const mostBack = 14 * 24 * time.Hour

// lanes are the rotations in flight, the soonest end first.
func (m *maker) lanes() []lane {
	var flying []view.Cluster
	from, to := m.Now, m.Now.Add(24*time.Hour)
	for _, s := range m.stands {
		d := s.Decision
		if d.Phase == "" || d.Rotation == nil || d.Close != "" {
			continue
		}
		flying = append(flying, s)
		from = soonest(d.Rotation.StartedAt(), from)
		to = view.Latest(to, view.GKECompletes(*d.Rotation), s.HandOver.Completes)
	}
	if len(flying) == 0 {
		return nil
	}
	from = view.Latest(from, m.Now.Add(-mostBack))
	a := newAxis(from.Truncate(time.Hour), to.Add(12*time.Hour), m.Now, m.Clock)
	out := words.Each(flying, func(c view.Cluster) lane { return m.lane(c, a) })
	slices.SortStableFunc(out, func(x, y lane) int { return view.CompareSet(x.sort, y.sort) })
	return out
}

func (m *maker) lane(c view.Cluster, a axis) lane {
	s, r := c.Decision, c.Decision.Rotation
	l := lane{
		who: whoIs(r.Cluster), Axis: a, State: c.Stand, Phase: string(s.Phase), Whose: whose(*r),
		Text: m.Sentence(s.Reason, s.Message),
	}
	for _, stay := range r.Stays(m.Now) {
		if stay.Left.After(a.From) {
			l.Bars = append(l.Bars, a.bar(string(stay.Phase), stay.At, stay.Left))
		}
	}
	l.Facts = append(l.Facts, fact{Label: "Started", At: m.at(r.StartedAt())},
		fact{Label: phaseLabels[s.Phase], At: m.at(r.Entered(s.Phase))})
	if s.Phase != record.Verifying {
		m.ahead(&l, c, a)
	}
	ca := r.Baseline.CA
	l.Facts = append(l.Facts, fact{Label: "Old CA expires", At: day(ca.Expires)},
		fact{Label: "GKE’s last resort, 30 days before", At: day(view.LastResort(ca))})
	l.Facts = slices.DeleteFunc(l.Facts, func(f fact) bool { return f.At.Text == "" && f.Text == "" })
	said := words.Each(l.Facts, func(f fact) string { return f.Label + " " + cmp.Or(f.At.Text, f.Text) })
	l.Alt = l.Name + ": " + strings.Join(said, ", ")
	return l
}

var phaseLabels = map[record.Phase]string{
	record.RecreatingNodes: "Recreating nodes since", record.UpdatingClients: "Nodes done",
	record.Completing: "Completing since", record.Verifying: "New CA alone since",
}

// ahead is what is to come: our completion, and GKE's own.
func (m *maker) ahead(l *lane, c view.Cluster, a axis) {
	h, gke := c.HandOver, c.GKECompletes()
	if h.Completes.After(m.Now) {
		l.Bars = append(l.Bars, a.bar("ahead", m.Now, h.Completes))
		l.Facts = append(l.Facts, fact{Label: "We complete, not before", At: m.at(h.Completes)})
	}
	l.Facts = append(l.Facts, fact{Label: "Completion waits", Text: m.Say(h.Waits)},
		fact{Label: "Approval", Text: words.If(h.Approval, "a person must approve the completion")})
	l.sort = soonest(h.Completes, gke)
	if gke.IsZero() {
		return
	}
	l.GKE = &mark{X: a.x(gke)}
	text := "that is now"
	if room := gke.Sub(m.Now); room > 0 {
		text = words.Lasting(room) + " of room"
	}
	l.Facts = append(l.Facts, fact{"GKE may complete by itself from", text, m.at(gke)})
}

// whose says who started a rotation; "" when we did.
func whose(r record.Rotation) string {
	if r.Origin == record.Reclaimed {
		return "started by us, accepted late"
	}
	return view.Whose(r)
}
