package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/show"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/reason"
)

// state is where a cluster stands, for the page's order and colours.
type state string

// The states, most pressing first.
const (
	needsPeople state = "people"
	doing       state = "doing"
	inFlight    state = "flight"
	waiting     state = "waiting"
	rotated     state = "rotated"
	notDue      state = "idle"
	notSelected state = "out"
)

var states = []state{needsPeople, doing, inFlight, waiting, rotated, notDue, notSelected}

// stand is how one cluster stands after the command.
type stand struct {
	policy.Decision
	state   state
	skipped string // why a run did not carry it out
}

// standings are the decisions as the command left them: what a run did about a
// cluster counts more than what it had planned.
func (m *maker) standings() []stand {
	did := map[policy.Ref]pass.Done{}
	for _, done := range m.Result.Done {
		did[done.Ref] = done
	}
	var out []stand
	for _, d := range m.Result.Decisions {
		s := stand{Decision: d}
		if done, ok := did[d.Cluster.Ref]; ok {
			if s.skipped = done.Skipped; done.Skipped == "" {
				s.Decision = after(d, done.After)
			}
		}
		s.state = m.stateOf(s)
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b stand) int {
		return cmp.Or(slices.Index(states, a.state)-slices.Index(states, b.state), order(a, b))
	})
	return out
}

// order is that within a state: what was rotated last, what is due next.
func order(a, b stand) int {
	switch a.state {
	case notDue, rotated, notSelected:
		return cmp.Or(compareSet(a.Due.At, b.Due.At), a.Cluster.Ref.Compare(b.Cluster.Ref))
	case waiting:
		x, _, _ := show.MayOpen(a.Decision)
		y, _, _ := show.MayOpen(b.Decision)
		return cmp.Or(compareSet(x, y), show.Pressing(a.Decision, b.Decision))
	}
	return show.Pressing(a.Decision, b.Decision)
}

// compareSet orders times; one that is not known comes last.
func compareSet(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		if a.IsZero() {
			return 1
		}
		return -1
	}
	return a.Compare(b)
}

// after is what is left of a decision that was carried out. What was sent is
// under way now.
func after(planned, left policy.Decision) policy.Decision {
	if !planned.Action.Sends() || left.Rotation == nil {
		return left
	}
	left.Action, left.Gates, left.Message = policy.Wait, nil, nil
	left.Phase, left.Reason = left.Rotation.Phase, cmp.Or(left.Rotation.Reason, left.Reason)
	return left
}

func (m *maker) stateOf(s stand) state {
	d := s.Decision
	switch {
	case d.Reason == reason.NotSelected:
		return notSelected
	case d.Phase == "" && d.Reason == reason.BreakerOpen:
		return waiting // what opened the breaker needs people; this one waits for them
	case d.Close != "" && s.skipped == "" && m.carriesOut():
		return m.ended(d)
	case d.Action == policy.People || show.Failed(d) != "":
		return needsPeople
	case d.Action.Sends() || d.Action == policy.Update && !m.carriesOut():
		return doing
	case d.Phase != "":
		return inFlight
	case d.Reason == reason.NotDue:
		return m.ended(d)
	}
	return waiting
}

// carriesOut says whether what was decided was also done: in observe mode, only
// in the book.
func (m *maker) carriesOut() bool { return m.Command == "run" || m.Command == "simulate" }

// ended tells a cluster that was rotated from one that did not need it.
func (m *maker) ended(d policy.Decision) state {
	rec, ok := m.over[d.Cluster.Ref]
	newest := d.Cluster.Bundle.Newest().Fingerprint
	if ok && verified(rec.ClosedAs) && rec.Rotation.New.Fingerprint == newest || d.Close != "" && verified(d.Close) {
		return rotated
	}
	return notDue
}

func verified(as policy.ClosedAs) bool {
	return as == policy.Completed || as == policy.CompletedElsewhere || as == policy.CompletedWithFindings
}

func (m *maker) count(s state) int {
	n := 0
	for _, x := range m.stands {
		if x.state == s {
			n++
		}
	}
	return n
}

// bar is the fleet in proportion.
func (m *maker) bar() []segment {
	var out []segment
	x := 0.0
	for _, s := range states {
		if n := m.count(s); n > 0 {
			w := percent(float64(n), float64(len(m.stands)))
			out = append(out, segment{s, m.title(s), n, x, w})
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

// title names a state as a heading does.
func (m *maker) title(s state) string {
	switch s {
	case needsPeople:
		return "Needs people"
	case doing:
		if m.carriesOut() && m.Mode != "observe" {
			return "Not carried out"
		}
		return "Would be done now"
	case inFlight:
		return "In flight"
	case waiting:
		return "Waiting"
	case rotated:
		return "Rotated"
	case notDue:
		return "Not due"
	}
	return "Not selected"
}

// sentence says how the fleet is, in one breath.
func (m *maker) sentence() string {
	if len(m.stands) == 0 {
		return cmp.Or(m.silent("No cluster was seen: %s did not answer."), "No cluster was seen.")
	}
	var parts []string
	add := func(n int, one, many string) {
		if n > 0 {
			parts = append(parts, show.Plural(n, one, many))
		}
	}
	people, flying := m.count(needsPeople), m.count(inFlight)
	add(people, "cluster needs people", "clusters need people")
	add(m.count(doing), "would move now", "would move now")
	if flying > 0 && people+m.count(doing) == 0 {
		add(flying, "rotation is in flight", "rotations are in flight")
	} else {
		add(flying, "is in flight", "are in flight")
	}
	if at, n := m.nextStart(); !at.IsZero() {
		parts = append(parts, "the next start is "+m.words.At(at))
	} else if n > 0 {
		add(n, "waits", "wait")
	}
	silent := m.silent("%s did not answer")
	if silent != "" {
		parts = append(parts, silent)
	}
	if len(parts) == 0 {
		return m.allWell()
	}
	text := list(parts)
	if people == 0 && silent == "" {
		return "Nothing needs people: " + text + "."
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// allWell is the sentence of a fleet in which nothing is to be done.
func (m *maker) allWell() string {
	text := "All " + show.Plural(len(m.stands), "cluster is", "clusters are") + " in order"
	if len(m.stands) == 1 {
		text = "The one cluster is in order"
	}
	var next time.Time
	for _, s := range m.stands {
		if s.state != notSelected && !s.Due.At.IsZero() && (next.IsZero() || s.Due.At.Before(next)) {
			next = s.Due.At
		}
	}
	if !next.IsZero() {
		text += "; the next is due " + show.Day(next)
	}
	return text + "."
}

// nextStart is the soonest start that calendars know of, and how many wait.
func (m *maker) nextStart() (at time.Time, n int) {
	for _, s := range m.stands {
		if s.state != waiting || s.Phase != "" {
			continue
		}
		n++
		if opens, known, _ := show.MayOpen(s.Decision); known && opens.After(m.now) && (at.IsZero() || opens.Before(at)) {
			at = opens
		}
	}
	return at, n
}

// silent tells of projects that did not answer.
func (m *maker) silent(form string) string {
	seen := map[string]bool{}
	for _, u := range m.Result.Fleet.Unread {
		seen[u.Project] = true
	}
	if len(seen) == 0 {
		return ""
	}
	return fmt.Sprintf(form, show.Plural(len(seen), "project", "projects"))
}

func list(parts []string) string {
	if n := len(parts); n > 1 {
		return strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
	return parts[0]
}

// lede is what the sentence leaves out and nobody may miss.
func (m *maker) lede(v view) []string {
	var out []string
	book := m.Result.Fleet.Book
	if n := len(book.Fleet.Failures); n > 0 && n >= m.Policy.MaxFailed {
		out = append(out, fmt.Sprintf("The breaker is open: %s nobody has acknowledged, so nothing new starts (MAX_FAILED=%d).",
			show.Plural(n, "failed or stuck rotation", "failed or stuck rotations"), m.Policy.MaxFailed))
	}
	for _, h := range book.Fleet.Holds {
		if h.Cluster.IsZero() && (h.Until.IsZero() || m.now.Before(h.Until)) {
			out = append(out, words.Harmless("The whole fleet is held, by "+cmp.Or(h.By, "somebody unnamed")+": "+h.Reason))
		}
	}
	if n := len(v.Clients); n > 0 {
		text := "The clients of " + show.Plural(n, "cluster", "clusters") + " must be updated"
		if by := cmp.Or(v.Clients[0].Ends.Text, v.Clients[0].GKE.Text); by != "" {
			text += ", the first before " + by
		}
		out = append(out, text+".")
	}
	for _, p := range v.Pace {
		if p.Short {
			out = append(out, "The limits are too slow for what is due: "+p.Late+" would start later than is safe.")
			break
		}
	}
	if !book.Known && len(m.stands) > 0 {
		out = append(out, "No book was read: holds, approvals and waves are unknown, and so is whose a rotation is.")
	}
	if m.Result.Busy != "" {
		out = append(out, "Another run was at work, so this one changed nothing.")
	}
	return out
}
