package html

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/record"
)

// standings are the clusters by where they stand: what was rotated last, what is
// due next, of those that wait the next to start.
func standings(p view.Plan) []view.Cluster {
	var out []view.Cluster
	for _, s := range view.Stands {
		part := p.In(s)
		if s == view.Waiting {
			slices.SortStableFunc(part, func(a, b view.Cluster) int { return view.CompareSet(a.Opens(), b.Opens()) })
		}
		out = append(out, part...)
	}
	return out
}

// carriesOut says whether what was decided was also done: in observe mode, only
// in the store.
func (m *maker) carriesOut() bool { return m.Command == "run" || m.Command == "simulate" }

func (m *maker) count(s view.Stand) int {
	n := 0
	for _, x := range m.stands {
		if x.Stand == s {
			n++
		}
	}
	return n
}

func (m *maker) bar() []segment {
	var out []segment
	x := 0.0
	for _, s := range view.Stands {
		if n := m.count(s); n > 0 {
			w := percent(float64(n), float64(len(m.stands)))
			title, _ := m.heading(s)
			out = append(out, segment{s, title, n, x, w})
			x += w
		}
	}
	return out
}

func percent(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(int(part/whole*10000)) / 100
}

// states are the headings, and what they mean where they do not say it.
var states = map[view.Stand]struct{ title, about string }{
	view.NeedsAction: {"Needs people", ""},
	view.DoNow:       {"Would be done now", ""},
	view.InFlight:    {"In flight", ""},
	view.Waiting:     {"Waiting", "Due, and not started yet. The next to start comes first."},
	view.Rotated:     {"Rotated", "Rotated, with a new CA in force."},
	view.NotDue:      {"Not due", "The next to be due comes first."},
	view.NotSelected: {"Not selected", "Outside ROTATOR_SELECTOR or ROTATOR_LOCATIONS: GKE rotates them by its own rules."},
}

// heading is a state's title, and what it means.
func (m *maker) heading(s view.Stand) (title, about string) {
	switch h := states[s]; {
	case s == view.DoNow && m.Mode == "observe":
		return h.title, "In observe mode nothing is sent: this is what act would do."
	case s == view.DoNow && m.carriesOut():
		return "Not carried out", h.about
	default:
		return h.title, h.about
	}
}

// sentence says how the fleet is, in one breath.
func (m *maker) sentence() string {
	if len(m.stands) == 0 {
		return cmp.Or(m.silent("No cluster was seen: %s did not answer."), "No cluster was seen.")
	}
	people, moving, flying := m.count(view.NeedsAction), m.count(view.DoNow), m.count(view.InFlight)
	inFlight := words.Some(flying, "is in flight", "are in flight")
	if people+moving == 0 {
		inFlight = words.Some(flying, "rotation is in flight", "rotations are in flight")
	}
	at, n := m.nextStart()
	start := words.Some(n, "waits", "wait")
	if !at.IsZero() {
		start = "the next start is " + m.At(at)
	}
	silent := m.silent("%s did not answer")
	parts := words.Said(words.Some(people, "cluster needs action", "clusters need action"),
		words.Some(moving, "would move now", "would move now"), inFlight, start, silent)
	if len(parts) == 0 {
		return m.allWell()
	}
	text := words.Listed(parts, "and")
	if people == 0 && silent == "" {
		return "Nothing needs action: " + text + "."
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// allWell is the sentence of a fleet in which nothing is to be done.
func (m *maker) allWell() string {
	text := "All " + words.Plural(len(m.stands), "cluster is", "clusters are") + " in order"
	if len(m.stands) == 1 {
		text = "The one cluster is in order"
	}
	var next time.Time
	for _, s := range m.stands {
		if s.Stand != view.NotSelected {
			next = soonest(s.Decision.Due.At, next)
		}
	}
	text += words.If(!next.IsZero(), "; the next is due "+words.Day(next))
	return text + "."
}

// nextStart is the soonest start that calendars know of, and how many wait.
func (m *maker) nextStart() (at time.Time, n int) {
	for _, s := range m.stands {
		if s.Stand != view.Waiting || s.Phase != "" {
			continue
		}
		n++
		if opens := s.Opens(); s.OpensByTime() && opens.After(m.Now) && view.CompareSet(opens, at) < 0 {
			at = opens
		}
	}
	return at, n
}

func (m *maker) silent(form string) string {
	n := m.plan.Silent()
	return words.If(n > 0, fmt.Sprintf(form, words.Plural(n, "project", "projects")))
}

// lede is what the sentence leaves out and nobody may miss.
func (m *maker) lede(v content) []string {
	var out []string
	contents := m.Result.Fleet.Contents
	if n := view.BreakerOpen(contents.Fleet, m.Policy.MaxFailed); n > 0 {
		out = append(out, fmt.Sprintf("The breaker is open: %s nobody has acknowledged, so nothing new starts (MAX_FAILED=%d).",
			words.Plural(n, "failed or stuck rotation", "failed or stuck rotations"), m.Policy.MaxFailed))
	}
	for _, h := range contents.Fleet.Holds {
		if h.Stop() && h.Binds(m.Now) {
			by := record.Who(h.Said) + words.If(!h.Until.IsZero(),
				", until "+m.At(h.Until)) + " (hold " + h.ID + ")"
			what := strings.ToUpper(h.String()[:1]) + h.String()[1:]
			out = append(out, words.Harmless(what+" is held by "+by+words.If(h.Reason != "", ": "+h.Reason)))
		}
	}
	if n := len(v.Clients); n > 0 {
		text := "The clients of " + words.Plural(n, "cluster", "clusters") + " must be updated"
		if by := cmp.Or(v.Clients[0].Ends.Text, v.Clients[0].GKE.Text); by != "" {
			text += ", the first before " + by
		}
		out = append(out, text+".")
	}
	if i := slices.IndexFunc(v.Pace, func(p pace) bool { return p.Late != "" }); i >= 0 {
		out = append(out, "The limits are too slow for what is due: "+v.Pace[i].Late+
			" would start later than is safe.")
	}
	return words.Said(append(out,
		words.If(!contents.Known && len(m.stands) > 0,
			"No store was read: holds, approvals and waves are unknown, and so is whose a rotation is."),
		words.If(m.Result.Busy != "", "Another run was at work, so this one changed nothing."))...)
}
