package show

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/reason"
)

// Status shows the book: what waits for people, what is in flight, who said
// what, the last run, and the one at work, if there is one. It asks nothing of
// GKE. The error is the writer's.
func Status(w io.Writer, book policy.Book, holder *pass.Holder, now time.Time, p *policy.Policy, o Options) error {
	g := newPage(o, now)
	doc := book.Fleet
	g.parts(bold, "Status of "+clean(cmp.Or(doc.Env, p.Env))+" at "+now.In(g.o.Zone).Format("Mon 2006-01-02 15:04 ")+g.zone(),
		plural(len(book.Rotations), "rotation", "rotations")+" in flight", slotsText(doc, p), g.lastRun(doc.LastRun))
	if !book.Known {
		g.para(0, yellow, "There is no book yet: nothing was ever started, held or approved here.")
		return g.send(w)
	}
	g.atWork(holder)
	people, flying := g.bookRows(book, p)
	people = slices.Concat(g.failureRows(doc, book.Rotations, p), people, g.withdrawnRows(doc, p), g.blockedRows(doc, p))
	names := g.names(people, flying)
	g.section(red, "NEEDS PEOPLE", names, people)
	g.breaker(doc, p)
	g.section(bold, "IN FLIGHT", names, flying)
	if ref, ok := handedOver(book); ok {
		g.line("")
		g.para(2, plain, "What their clients must update: "+advice(ToHandOver, ref.String(), "")+", and so for each.")
	}
	g.said(doc)
	if len(people)+len(flying) == 0 {
		g.line("")
		g.para(0, plain, "Nothing is in flight and nothing waits for people. What comes next: rotator plan.")
	}
	return g.send(w)
}

// handedOver gives the first rotation for which clients have something to do.
func handedOver(book policy.Book) (policy.Ref, bool) {
	for _, ref := range slices.SortedFunc(maps.Keys(book.Rotations), policy.Ref.Compare) {
		if r := book.Rotations[ref]; !r.HandedOverAt.IsZero() && r.Phase != policy.Verifying {
			return ref, true
		}
	}
	return policy.Ref{}, false
}

// atWork names the run that keeps others out.
func (g *page) atWork(h *pass.Holder) {
	if h == nil {
		return
	}
	g.line("")
	if h.Overdue {
		g.para(2, red, clean(h.Run)+" has held the lease since "+g.at(h.Since)+", longer than a run may take, and until it ends no other does anything: see whether that execution still runs, and end it.")
		return
	}
	g.para(2, yellow, clean(h.Run)+" is at work since "+g.at(h.Since)+": what it does is not in here yet.")
}

func (g *page) lastRun(n policy.RunNote) string {
	if n.At.IsZero() {
		return "no run yet"
	}
	return "last run " + lasting(g.now.Sub(n.At)) + " ago (" + clean(n.Run) + ", " + clean(cmp.Or(n.Mode, "mode unknown")) + ")"
}

func slotsText(doc policy.FleetDoc, p *policy.Policy) string {
	ordinary, other := 0, 0
	for _, s := range doc.Slots {
		if s.Emergency || s.Urgent {
			other++
		} else {
			ordinary++
		}
	}
	text := fmt.Sprintf("%d of %d slots taken", ordinary, p.MaxActive)
	if other > 0 {
		text += fmt.Sprintf(", %d by emergency", other)
	}
	return text
}

// bookRows are the rotations on record, the oldest first.
func (g *page) bookRows(book policy.Book, p *policy.Policy) (people, flying []row) {
	list := slices.SortedFunc(maps.Values(book.Rotations), func(a, b policy.Rotation) int {
		return cmp.Or(a.StartedAt().Compare(b.StartedAt()), a.Cluster.Compare(b.Cluster))
	})
	for _, r := range list {
		out := row{
			name: clean(r.Cluster.String()), what: string(r.Phase), style: phaseStyle(r.Phase), code: string(r.Reason),
			text: joined("for "+lasting(g.now.Sub(r.Entered(r.Phase))), g.sentence(r.Reason, nil), g.leftToGKE(r)),
		}
		often := r.OftenWithdrawn()
		if !r.BlockedSince.IsZero() || r.Failed != "" || r.Stuck || len(often) > 0 {
			why := r.Reason
			if r.Failed != "" {
				why = reason.Code(r.Failed)
			} else if r.Stuck {
				why = reason.IsStuck
			} else if len(often) > 0 {
				why = reason.CallWithdrawn
			}
			out.code, out.next = string(why), next(why, r.Cluster.String(), p.Env)
			if why != r.Reason {
				out.text = joined(g.sentence(why, often), out.text)
			}
			people = append(people, out)
			continue
		}
		flying = append(flying, out)
	}
	return people, flying
}

// leftToGKE is how long until GKE completes the rotation by itself.
func (g *page) leftToGKE(r policy.Rotation) string {
	if r.Phase == policy.Verifying || r.StartedAt().IsZero() {
		return ""
	}
	at := r.StartedAt().Add(policy.AutoCompleteAfter)
	if !at.After(g.now) {
		return "GKE may complete it by itself since " + g.at(at)
	}
	return "GKE completes it by itself from " + g.at(at)
}

// failureRows are failures that nobody has acknowledged, of attempts that are
// closed: those in flight have rows of their own.
func (g *page) failureRows(doc policy.FleetDoc, flying map[policy.Ref]policy.Rotation, p *policy.Policy) []row {
	var rs []row
	for _, f := range doc.Failures {
		if r, ok := flying[f.Cluster]; ok && r.AttemptID == f.Attempt {
			continue
		}
		rs = append(rs, row{
			name: clean(f.Cluster.String()), code: string(f.What), text: g.sentence(f.What, nil) + " Since " + g.at(f.At) + ".",
			next: next(f.What, f.Cluster.String(), p.Env),
		})
	}
	return rs
}

// withdrawnRows are idle clusters whose starts are taken back again and again.
func (g *page) withdrawnRows(doc policy.FleetDoc, p *policy.Policy) []row {
	var rs []row
	for _, name := range slices.Sorted(maps.Keys(doc.Tries)) {
		if often := doc.Tries[name].OftenWithdrawn(); len(often) > 0 {
			rs = append(rs, row{name: clean(name), code: string(reason.CallWithdrawn), text: g.sentence(reason.CallWithdrawn, often), next: next(reason.CallWithdrawn, name, p.Env)})
		}
	}
	return rs
}

// blockedRows are idle clusters that a run found due and blocked.
func (g *page) blockedRows(doc policy.FleetDoc, p *policy.Policy) []row {
	var rs []row
	for _, name := range slices.Sorted(maps.Keys(doc.Blocked)) {
		why := doc.Blocked[name]
		if why == reason.BreakerOpen || why == reason.HeldByLabel {
			continue // said once, by what opened it; beside what people said
		}
		rs = append(rs, row{name: clean(name), code: string(why), text: g.sentence(why, nil), next: next(why, name, p.Env)})
	}
	return rs
}

func (g *page) breaker(doc policy.FleetDoc, p *policy.Policy) {
	if n := len(doc.Failures); n > 0 && n >= p.MaxFailed {
		g.line("")
		g.para(2, red, fmt.Sprintf("The breaker is open: MAX_FAILED=%d is reached by %s, so nothing new starts until each is acknowledged (rotator%sretry or rotator%sclose).",
			p.MaxFailed, plural(n, "failed or stuck rotation", "failed or stuck rotations"), hard, hard))
	}
}

// said is what people have said, and what the waves have done.
func (g *page) said(doc policy.FleetDoc) {
	var rs []row
	for _, h := range doc.Holds {
		if !h.Until.IsZero() && !g.now.Before(h.Until) {
			continue
		}
		on, release := "all clusters", "all"
		if !h.Cluster.IsZero() {
			on, release = clean(h.Cluster.String()), h.Cluster.String()
		}
		until := "until released"
		if !h.Until.IsZero() {
			until = "until " + g.at(h.Until)
		}
		rs = append(rs, row{name: on, what: "hold", style: yellow, text: joined(until, byWhom(h.Said)), next: advice("`rotator release CLUSTER --by NAME --reason WHY`", release, "")})
	}
	for _, a := range doc.Approvals {
		until := ""
		if !a.Until.IsZero() {
			if !g.now.Before(a.Until) {
				continue
			}
			until = "until " + g.at(a.Until)
		}
		rs = append(rs, row{name: clean(a.Cluster.String()), what: "approved", text: joined("to "+string(a.Kind), until, byWhom(a.Said))})
	}
	for _, q := range doc.Requests {
		rs = append(rs, row{name: clean(q.Cluster.String()), what: string(q.Kind), text: joined("asked for "+lasting(g.now.Sub(q.At))+" ago", byWhom(q.Said))})
	}
	g.section(bold, "SAID BY PEOPLE (as stated)", g.names(rs), rs)
	rs = nil
	for _, cluster := range slices.Sorted(maps.Keys(doc.Blocked)) {
		if doc.Blocked[cluster] == reason.HeldByLabel {
			rs = append(rs, row{name: clean(cluster), style: yellow, text: "its label: " + advice("`rotator status CLUSTER`", cluster, "")})
		}
	}
	g.section(bold, "HELD BY A LABEL ON THE CLUSTER (as the last run saw it)", g.names(rs), rs)
	rs = nil
	for _, wave := range slices.Sorted(maps.Keys(doc.Waves)) {
		rs = append(rs, row{name: cmp.Or(clean(wave), "(one wave)"), text: "last verified " + g.at(doc.Waves[wave].Last())})
	}
	g.section(bold, "WAVES", g.names(rs), rs)
}

func byWhom(s policy.Said) string {
	text := "by " + clean(cmp.Or(s.By, "somebody unnamed"))
	if s.Reason != "" {
		text += ": " + clean(s.Reason)
	}
	return text
}
