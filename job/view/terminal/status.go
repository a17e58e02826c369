package terminal

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// Status shows the store: what waits for people, what is in flight, who said
// what, the last run, and the one at work, if there is one. It asks nothing of
// GKE. The error is the writer's.
func Status(w io.Writer, s view.Status, o Options) error {
	g, doc := newPage(o, s.Now), s.Contents.Fleet
	g.parts(bold, "Status of "+clean(s.Env)+" at "+g.headTime(g.Now),
		words.Plural(len(s.InFlight), "rotation", "rotations")+" in flight", slotsText(s), g.lastRun(s.LastRun))
	if !s.Known {
		g.para(0, yellow, "There is no store yet: nothing was ever started, held or approved here.")
		return g.send(w)
	}
	g.atWork(s.Lease)
	env := s.Policy.Env
	people, flying := g.storedRows(s.Oldest(), env)
	people = onceEach(g.idleRows(view.Failed(s.Contents), env), people, g.idleRows(view.Blocked(doc), env))
	names := g.names(people, flying)
	g.section(red, "NEEDS ACTION", names, people)
	g.breaker(doc, s.Policy)
	g.section(bold, "IN FLIGHT", names, flying)
	if i := slices.IndexFunc(s.InFlight, view.Flight.HasClients); i >= 0 {
		g.apart(2, plain, "What their clients must update: "+words.Unbroken(view.ToHandOver, s.InFlight[i].Cluster,
			"")+", and so for each.")
	}
	g.said(doc)
	if len(people)+len(flying) == 0 {
		g.apart(0, plain, "Nothing is in flight and nothing waits for people. What comes next: rotator plan.")
	}
	return g.send(w)
}

// onceEach lists each cluster once: what else is said of it is added to its first row.
func onceEach(lists ...[]row) []row {
	var out []row
	for _, r := range slices.Concat(lists...) {
		i := slices.IndexFunc(out, func(x row) bool { return x.name == r.name })
		if i < 0 {
			out = append(out, r)
			continue
		}
		if !strings.Contains(out[i].text, strings.TrimSuffix(r.text, ".")) {
			out[i].text = words.Joined(out[i].text, r.text)
		}
		out[i].next = cmp.Or(out[i].next, r.next)
	}
	return out
}

func (g *page) atWork(h *pass.Holder) {
	if h == nil {
		return
	}
	if h.Overdue {
		g.apart(2, red, clean(h.Run)+" has held the lease since "+g.At(h.Since)+
			", longer than a run may take, and until it ends no other does anything: see whether that execution still runs, and end it.")
		return
	}
	g.apart(2, yellow, clean(h.Run)+" is at work since "+g.At(h.Since)+": what it does is not in here yet.")
}

func (g *page) lastRun(n *record.RunNote) string {
	if n == nil {
		return "no run yet"
	}
	return "last run " + words.Lasting(max(g.Now.Sub(n.At), 0)) + " ago (" + clean(n.Run) + ", " +
		clean(cmp.Or(n.Mode, "mode unknown")) + ")"
}

func slotsText(st view.Status) string {
	other := 0
	for _, s := range st.Slots {
		if s.Emergency || s.Compromised {
			other++
		}
	}
	text := fmt.Sprintf("%d of %d slots taken", len(st.Slots)-other, st.Policy.MaxActive)
	return text + words.If(other > 0, fmt.Sprintf(", %d by emergency", other))
}

func (g *page) storedRows(list []view.Flight, env string) (people, flying []row) {
	for _, f := range list {
		out := row{
			name: clean(f.Cluster), what: string(f.Phase), style: phaseStyle(f.Phase), code: string(f.Reason),
			text: words.Joined("for "+words.Lasting(max(g.Now.Sub(f.Since.Time), 0)), g.Sentence(f.Reason, nil),
				g.leftToGKE(f)),
		}
		if f.Needs == "" {
			flying = append(flying, out)
			continue
		}
		out.code, out.next = string(f.Needs), next(f.Needs, f.Cluster, env)
		if f.Needs != f.Reason {
			out.text = words.Joined(g.Sentence(f.Needs, f.Rotation.OftenWithdrawn()), out.text)
		}
		people = append(people, out)
	}
	return people, flying
}

// leftToGKE is how long until GKE completes the rotation by itself.
func (g *page) leftToGKE(f view.Flight) string {
	switch at := f.GKECompletesAt.Time; {
	case at.IsZero():
		return ""
	case !at.After(g.Now):
		return "GKE may complete it by itself since " + g.At(at)
	default:
		return "GKE may complete it by itself from " + g.At(at)
	}
}

// idleRows are clusters that wait for people and have no rotation in flight.
func (g *page) idleRows(list []view.Idle, env string) []row {
	var rs []row
	for _, c := range list {
		r := row{name: clean(c.Cluster), code: string(c.Why), text: g.Sentence(c.Why, c.Detail),
			next: next(c.Why, c.Cluster, env)}
		r.text += words.If(!c.Since.IsZero(), " Since "+g.At(c.Since)+".")
		rs = append(rs, r)
	}
	return rs
}

func (g *page) breaker(doc record.FleetDoc, p view.Policy) {
	if n := view.BreakerOpen(doc, p.MaxFailed); n > 0 {
		g.apart(2, red, fmt.Sprintf("The breaker is open: MAX_FAILED=%d is reached by %s, so nothing new starts until each is acknowledged (rotator%sretry or rotator%sclose).",
			p.MaxFailed, words.Plural(n, "failed or stuck rotation", "failed or stuck rotations"), hard, hard))
	}
}

// said is what people have said, and what the waves have done.
func (g *page) said(doc record.FleetDoc) {
	var rs []row
	for _, h := range doc.Holds {
		if !view.Standing(h.Until, g.Now) {
			continue
		}
		rs = append(rs, row{
			name: clean(h.String()), what: "hold " + clean(h.ID), style: yellow,
			text: words.Joined(cmp.Or(g.until(h.Until), "until released"), byWhom(h.Said)),
			next: words.Unbroken(view.ToRelease(h.ID), "", ""),
		})
	}
	for _, a := range doc.Approvals {
		if view.Standing(a.Until, g.Now) {
			rs = append(rs, row{name: clean(a.Cluster.String()), what: "approved",
				text: words.Joined("to "+string(a.Kind), g.until(a.Until), byWhom(a.Said))})
		}
	}
	for _, q := range doc.Requests {
		rs = append(rs, row{name: clean(q.Cluster.String()), what: string(q.Kind),
			text: words.Joined("asked for "+words.Lasting(max(g.Now.Sub(q.At), 0))+" ago", byWhom(q.Said))})
	}
	g.section(bold, "SAID BY PEOPLE (as stated)", g.names(rs), rs)
	rs = nil
	for _, cluster := range slices.Sorted(maps.Keys(doc.Blocked)) {
		if doc.Blocked[cluster].Info().Standing == reason.ByOwners {
			rs = append(rs, row{name: clean(cluster), style: yellow,
				text: "its label: " + words.Unbroken("`rotator status CLUSTER`", cluster, "")})
		}
	}
	g.section(bold, "HELD BY A LABEL ON THE CLUSTER (as the last run saw it)", g.names(rs), rs)
	rs = nil
	for _, wave := range slices.Sorted(maps.Keys(doc.Waves)) {
		rs = append(rs, row{name: cmp.Or(clean(wave), "(one wave)"), text: "last verified " +
			g.At(doc.Waves[wave].Last())})
	}
	for _, wave := range slices.Sorted(maps.Keys(doc.OpenWaves)) {
		rs = append(rs, row{name: clean(wave), what: "open", style: yellow,
			text: "until what is due of it is rotated; " + byWhom(doc.OpenWaves[wave])})
	}
	g.section(bold, "WAVES", g.names(rs), rs)
}

// until says until when; "" without end.
func (g *page) until(t time.Time) string { return words.If(!t.IsZero(), "until "+g.At(t)) }

func byWhom(s record.Said) string {
	return "by " + clean(cmp.Or(s.By, "somebody unnamed")) + words.If(s.Reason != "", ": "+clean(s.Reason))
}
