package show

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/window"
)

// StatusCluster tells the story of one cluster: each phase of the rotation in
// flight with its evidence, what is still ahead, what people said, and earlier
// attempts, newest first. d is a fresh decision about it, nil when GKE was not
// asked. The error is the writer's.
func StatusCluster(w io.Writer, book policy.Book, history []policy.Record, d *policy.Decision, ref policy.Ref, now time.Time, p *policy.Policy, o Options) error {
	g := newPage(o, now)
	r, flying := book.Rotations[ref]
	if flying {
		g.rotation(r, d, p)
	} else {
		g.idleCluster(ref, d, p)
	}
	if d != nil {
		g.saidByGKE(d.Cluster, book)
	}
	g.line("")
	g.peopleLines(book.Fleet, ref, r, d, p)
	g.before(history)
	return g.send(w)
}

func (g *page) idleCluster(ref policy.Ref, d *policy.Decision, p *policy.Policy) {
	g.parts(bold, clean(ref.String()), "no rotation in flight", "times are "+g.zone())
	g.line("")
	if d == nil {
		g.para(2, plain, "GKE was not asked; "+advice(ToExplain, ref.String(), "")+" asks it.")
		return
	}
	g.para(2, plain, g.sentence(d.Reason, d.Message))
	g.advice(2, next(d.Reason, ref.String(), p.Env))
	g.line("")
	g.facts(*d)
}

func (g *page) rotation(r policy.Rotation, d *policy.Decision, p *policy.Policy) {
	run := ""
	if len(r.Transitions) > 0 {
		run = " (run " + clean(r.Transitions[0].Run) + ")"
	}
	whose := "started by this tool" + run
	switch {
	case r.Origin == policy.Foreign && r.Carry:
		whose = "started by somebody else, carried by us"
	case r.Origin == policy.Foreign:
		whose = "started by somebody else, watched"
	case r.Origin == policy.Claimed:
		whose = "started by this tool and accepted late" + run
	}
	g.parts(bold, clean(r.Cluster.String()), string(r.Phase)+" for "+lasting(g.now.Sub(r.Entered(r.Phase))), fmt.Sprintf("attempt %d", r.AttemptNo), whose, "times are "+g.zone())
	if d != nil && (len(d.Message) > 0 || d.Reason != "") {
		g.para(2, plain, g.sentence(d.Reason, d.Message))
		g.advice(2, next(d.Reason, r.Cluster.String(), p.Env))
	}
	g.line("")
	rs := g.phaseRows(r, d, p)
	g.rows(g.fit(g.names(rs), rs), rs)
	g.room(r)
	g.line("")
	g.fact("old CA", fmt.Sprintf("%s  %s to %s", short(r.Baseline.CA.Fingerprint), day(r.Baseline.CA.Issued), day(r.Baseline.CA.Expires)))
	if r.New.Fingerprint != "" {
		g.fact("new CA", fmt.Sprintf("%s  %s to %s", short(r.New.Fingerprint), day(r.New.Issued), day(r.New.Expires)))
		g.advice(2, "what clients must update: "+advice(ToHandOver, r.Cluster.String(), ""))
	}
}

// fact writes a labelled line.
func (g *page) fact(label, text string) {
	for i, l := range wrap(text, g.width-11) {
		if i > 0 {
			label = ""
		}
		g.line("  %s %s", pad(label, 8), l)
	}
}

// phaseRows are the five phases: what was, what is, what can be soonest.
func (g *page) phaseRows(r policy.Rotation, d *policy.Decision, p *policy.Policy) []row {
	ahead := g.ahead(r, d, p)
	var rs []row
	for i, phase := range policy.Phases {
		at := r.Entered(phase)
		current, passed := phase == r.Phase, i < slices.Index(policy.Phases, r.Phase)
		out := row{name: string(phase)}
		switch {
		case current:
			out.what, out.style = g.at(at), bold
			out.text = joined("now, for "+lasting(g.now.Sub(at)), g.evidence(phase, r, d))
		case passed && !at.IsZero():
			out.what = g.at(at)
			out.text = joined(lasting(leftAt(r, phase, g.now).Sub(at)), g.evidence(phase, r, d))
		case passed:
			out.text = "not seen by us"
		default:
			out.text = ahead[phase]
		}
		rs = append(rs, out)
	}
	return rs
}

// leftAt is when the phase was last left.
func leftAt(r policy.Rotation, phase policy.Phase, now time.Time) time.Time {
	left := now
	for i, tr := range r.Transitions {
		if tr.Phase == phase && i+1 < len(r.Transitions) {
			left = r.Transitions[i+1].At
		}
	}
	return left
}

// evidence is what the record holds about a phase.
func (g *page) evidence(phase policy.Phase, r policy.Rotation, d *policy.Decision) string {
	switch phase {
	case policy.Starting:
		text := clean(r.StartOp.Operation)
		if r.StartOp.Done() {
			text += " done"
		}
		if d != nil && r.Baseline.Endpoint != "" && d.Cluster.Endpoint != "" && d.Cluster.Endpoint != r.Baseline.Endpoint {
			text = joined(text, "endpoint "+clean(r.Baseline.Endpoint)+" -> "+clean(d.Cluster.Endpoint))
		}
		return text
	case policy.RecreatingNodes:
		return g.poolEvidence(r)
	case policy.UpdatingClients:
		return "handed over " + g.at(r.HandedOverAt)
	case policy.Completing:
		if r.Call != nil && r.Call.Kind == policy.CallComplete {
			return joined(string(r.Call.State), clean(r.Call.Operation), clean(r.Call.RawError))
		}
	case policy.Verifying:
		if r.CompletedBy != "" {
			return "completed by " + clean(r.CompletedBy)
		}
	}
	return ""
}

func (g *page) poolEvidence(r policy.Rotation) string {
	names := slices.Clone(r.PoolsSeen)
	for name := range r.Pools {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var said []string
	for _, name := range names {
		w := r.Pools[name]
		text := cmp.Or(clean(name), "control plane")
		switch {
		case w.Done():
			text += " done " + g.at(w.EndedAt)
		case w.LeftToGKE != "":
			text += " left to GKE: " + clean(w.LeftToGKE)
		case w.Operation != "" && w.LastError == "":
			text += " under way since " + g.at(w.StartedAt) + " (" + clean(w.Operation) + ")"
		case w.LastError != "":
			text += fmt.Sprintf(" failed %s: %s", plural(w.Failures, "time", "times"), clean(w.LastError))
		default:
			text += " waits"
		}
		said = append(said, text)
	}
	const few = 12
	if n := len(said) - few; n > 0 {
		said = append(said[:few], fmt.Sprintf("%d more", n))
	}
	return strings.Join(said, " · ")
}

// ahead says when the phases that are still to come can begin at the soonest,
// by what is known now.
func (g *page) ahead(r policy.Rotation, d *policy.Decision, p *policy.Policy) map[policy.Phase]string {
	return map[policy.Phase]string{
		policy.UpdatingClients: "when every pool is recreated",
		policy.Completing:      g.completionAhead(r, d, p),
		policy.Verifying:       "when only the new CA is left",
	}
}

// completionAhead says when the completion can come at the soonest: by the
// gates where they were asked, else by soak and calendars, which an emergency
// shortens.
func (g *page) completionAhead(r policy.Rotation, d *policy.Decision, p *policy.Policy) string {
	if d != nil && r.Phase == policy.UpdatingClients && len(d.Gates) > 0 {
		return g.completionGates(d.Gates)
	}
	emergency := r.Emergency || r.Urgent || (d != nil && (d.Emergency || d.Urgent))
	if r.HandedOverAt.IsZero() || emergency {
		return "when the soak is over and a window is open"
	}
	soak := r.HandedOverAt.Add(p.Soak)
	if done := r.NodesDoneAt(); !done.IsZero() {
		if after := done.Add(min(p.Soak, policy.NodeSoak)); after.After(soak) {
			soak = after
		}
	}
	if soak.Before(g.now) {
		soak = g.now
	}
	calendar, text := window.All(p.CompleteWindow, p.Freezes), "COMPLETE_WINDOW="+p.CompleteWindow.String()
	if p.ZonalComplete == policy.ZonalWindow && (d == nil || d.Cluster.Zonal) {
		calendar, text = p.Freezes, "the cluster's own window where it is zonal"
	}
	open, at := window.RoomAt(calendar, soak, policy.Room)
	if open {
		at = soak
	}
	if at.IsZero() {
		return text + " does not open outside freezes"
	}
	return "not before " + g.at(at) + " (SOAK=" + policy.Days(p.Soak) + ", then " + text + ")"
}

// completionGates says which gates the completion waits for.
func (g *page) completionGates(gates []policy.Verdict) string {
	var last time.Time
	var names []string
	for _, v := range gates {
		if v.Open || v.Lifted {
			continue
		}
		names = append(names, v.Gate)
		if v.OpensAt.After(last) {
			last = v.OpensAt
		}
	}
	switch {
	case len(names) == 0:
		return "with the next run: every gate is open"
	case last.IsZero():
		return "waits for " + strings.Join(names, ", ")
	}
	return "not before " + g.at(last) + " (" + strings.Join(names, ", ") + ")"
}

// room is how much time GKE leaves.
func (g *page) room(r policy.Rotation) {
	if r.Phase == policy.Verifying || r.StartedAt().IsZero() {
		return
	}
	at := r.StartedAt().Add(policy.AutoCompleteAfter)
	left, look := lasting(at.Sub(g.now))+" of room.", plain
	if !at.After(g.now) {
		left, look = "that is now: it waits only for nodes and its window.", yellow
	}
	g.para(2, look, "GKE completes it by itself from "+g.at(at)+": "+left)
}

// peopleLines are approvals, holds and requests about the cluster.
func (g *page) peopleLines(doc policy.FleetDoc, ref policy.Ref, r policy.Rotation, d *policy.Decision, p *policy.Policy) {
	approved := ""
	for _, a := range doc.Approvals {
		if a.Cluster == ref && (a.Until.IsZero() || g.now.Before(a.Until)) {
			approved = joined(approved, "to "+string(a.Kind)+" "+byWhom(a.Said))
		}
	}
	for _, a := range r.Approvals {
		approved = joined(approved, "used to "+string(a.Kind)+" "+byWhom(a.Said))
	}
	need := "APPROVAL=" + string(p.Approval)
	if p.Approval == policy.ApproveNone {
		need += ", not needed"
	}
	hold := ""
	for _, h := range doc.Holds {
		if (h.Cluster.IsZero() || h.Cluster == ref) && (h.Until.IsZero() || g.now.Before(h.Until)) {
			hold = byWhom(h.Said)
			if !h.Until.IsZero() {
				hold += ", until " + g.at(h.Until)
			}
		}
	}
	if d != nil {
		for _, v := range d.Gates {
			if v.Gate == "approval" && v.Open && len(v.Message) > 0 && approved == "" { // the book knows nothing of it
				approved = "by label " + policy.LabelApprove + " on the cluster"
			}
		}
		hold = joined(hold, g.say(p.LabelHold(d.Cluster, g.now)))
	}
	g.fact("people", "approved: "+cmp.Or(approved, "nobody yet")+" ("+need+") · hold: "+cmp.Or(hold, "none"))
	for _, q := range doc.Requests {
		if q.Cluster == ref {
			g.fact("", string(q.Kind)+" asked for "+g.at(q.At)+" "+byWhom(q.Said))
		}
	}
}

// before are the earlier attempts.
func (g *page) before(history []policy.Record) {
	const few = 10
	label := "before"
	for i, rec := range history {
		if i == few {
			g.fact("", fmt.Sprintf("and %d more: --format json", len(history)-few))
			break
		}
		r := rec.Rotation
		text := fmt.Sprintf("attempt %d %s %s", r.AttemptNo, rec.ClosedAs, g.at(rec.ClosedAt))
		if !r.StartedAt().IsZero() {
			text += " after " + lasting(rec.ClosedAt.Sub(r.StartedAt()))
		}
		if r.New.Fingerprint != "" {
			text += fmt.Sprintf(": %s -> %s", short(r.Baseline.CA.Fingerprint), short(r.New.Fingerprint))
		}
		if rec.CompletedBy != "" {
			text += ", completed by " + clean(rec.CompletedBy)
		}
		for _, f := range rec.Findings {
			if f != "" {
				text += "; " + clean(f)
			}
		}
		g.fact(label, text)
		label = ""
	}
	if len(history) == 0 {
		g.fact(label, "no earlier attempt on record")
	}
}
