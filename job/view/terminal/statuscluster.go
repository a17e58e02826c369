package terminal

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// StatusCluster tells the story of one cluster: each phase of the rotation in
// flight with its evidence, what is still ahead, what people said, and earlier
// attempts, newest first. The error is the writer's.
func StatusCluster(w io.Writer, s view.Story, o Options) error {
	g := newPage(o, s.Now)
	if s.InFlight != nil {
		g.rotation(s)
	} else {
		g.idleCluster(s)
	}
	if s.Decision != nil {
		g.saidByGKE(*s.Decision, s.Contents)
	}
	g.line("")
	g.peopleLines(s)
	g.before(s.History)
	return g.send(w)
}

func (g *page) idleCluster(s view.Story) {
	g.parts(bold, clean(s.Cluster), "no rotation in flight", "times are "+g.Name())
	g.line("")
	if s.Decision == nil {
		g.para(2, plain, "GKE was not asked; "+words.Unbroken(view.ToExplain, s.Cluster, "")+" asks it.")
		return
	}
	d := s.Decision.Decision
	g.para(2, plain, g.Sentence(d.Reason, d.Message))
	g.advice(2, next(d.Reason, d.ActOn().String(), s.Policy.Env))
	g.line("")
	g.facts(*s.Decision)
}

func (g *page) rotation(s view.Story) {
	r, f := s.InFlight.Rotation, s.InFlight
	whose := view.Whose(r)
	if whose == "" {
		whose = "started by this tool" + words.If(r.Origin == record.Reclaimed, " and accepted late")
		if len(r.Transitions) > 0 {
			whose += " (run " + clean(r.Transitions[0].Run) + ")"
		}
	}
	g.parts(bold, clean(f.Cluster), string(f.Phase)+" for "+words.Lasting(max(g.Now.Sub(f.Since.Time), 0)),
		fmt.Sprintf("attempt %d", f.Attempt), whose, "times are "+g.Name())
	if c := s.Decision; c != nil && (c.Message != "" || c.Reason != "") {
		g.para(2, plain, g.Sentence(c.Reason, c.Decision.Message))
		g.advice(2, next(c.Reason, f.Cluster, s.Policy.Env))
	}
	g.line("")
	rs := g.phaseRows(s)
	g.rows(g.fit(g.names(rs), rs), rs)
	g.room(f.GKECompletesAt.Time)
	g.line("")
	g.fact("old CA", caText(r.Baseline.CA))
	if r.New.Fingerprint != "" {
		g.fact("new CA", caText(r.New))
		g.advice(2, "what clients must update: "+words.Unbroken(view.ToHandOver, f.Cluster, ""))
	}
}

func caText(ca fleet.CA) string {
	return fmt.Sprintf("%s  %s to %s", short(ca.Fingerprint), words.Day(ca.Issued), words.Day(ca.Expires))
}

// phaseRows are the five phases: what was, what is, what can be soonest.
func (g *page) phaseRows(s view.Story) []row {
	r, ahead := s.InFlight.Rotation, map[record.Phase]string{
		record.UpdatingClients: "when every pool is recreated",
		record.Completing:      g.completionAhead(s),
		record.Verifying:       "when only the new CA is left",
	}
	left := map[record.Phase]time.Time{}
	for _, stay := range r.Stays(g.Now) {
		left[stay.Phase] = stay.Left
	}
	var rs []row
	for i, phase := range record.Phases {
		at := r.Entered(phase)
		out := row{name: string(phase)}
		switch passed := i < slices.Index(record.Phases, r.Phase); {
		case phase == r.Phase:
			out.what, out.style = g.At(at), bold
			out.text = words.Joined("now, for "+words.Lasting(max(g.Now.Sub(at), 0)), g.evidence(phase, s))
		case passed && !at.IsZero():
			out.what = g.At(at)
			out.text = words.Joined(words.Lasting(left[phase].Sub(at)), g.evidence(phase, s))
		case passed:
			out.text = "not seen by us"
		default:
			out.text = ahead[phase]
		}
		rs = append(rs, out)
	}
	return rs
}

func (g *page) evidence(phase record.Phase, s view.Story) string {
	r := s.InFlight.Rotation
	switch phase {
	case record.Starting:
		before, now := r.Baseline.Endpoint, ""
		if s.Decision != nil {
			now = s.Decision.Decision.Cluster.Endpoint
		}
		return words.Joined(clean(r.StartOp.Operation)+words.If(r.StartOp.Done(), " done"),
			words.If(before != "" && now != "" && now != before, "endpoint "+clean(before)+" -> "+clean(now)))
	case record.RecreatingNodes:
		return g.poolEvidence(r)
	case record.UpdatingClients:
		return "handed over " + g.At(r.HandedOverAt)
	case record.Completing:
		if r.Call != nil && r.Call.Kind == record.CallComplete {
			return words.Joined(string(r.Call.State), clean(r.Call.Operation), clean(r.Call.RawError))
		}
	case record.Verifying:
		if r.CompletedBy != "" {
			return "completed by " + clean(r.CompletedBy)
		}
	}
	return ""
}

func (g *page) poolEvidence(r record.Rotation) string {
	names := slices.Sorted(slices.Values(slices.Concat(r.PoolsSeen, slices.Collect(maps.Keys(r.Pools)))))
	var said []string
	for _, name := range slices.Compact(names) {
		w, text := r.Pools[name], cmp.Or(clean(name), "control plane")
		switch {
		case w.Done():
			text += " done " + g.At(w.EndedAt)
		case w.LeftToGKE != "":
			text += " left to GKE: " + clean(w.LeftToGKE)
		case w.Operation != "" && w.LastError == "":
			text += " under way since " + g.At(w.StartedAt) + " (" + clean(w.Operation) + ")"
		case w.LastError != "":
			text += fmt.Sprintf(" failed %s: %s", words.Plural(w.Failures, "time", "times"), clean(w.LastError))
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

func (g *page) completionAhead(s view.Story) string {
	a := s.CompletionAhead()
	last, names := g.At(a.From), strings.Join(a.Gates, ", ")
	switch {
	case !a.Known:
		return "when the soak is over and a window is open"
	case a.Asked && names == "":
		return "with the next run: every gate is open"
	case a.Asked && last == "":
		return "waits for " + names
	case a.Asked:
		return "not before " + last + " (" + names + ")"
	case last == "":
		return a.Calendar + " does not open outside freezes"
	}
	return "not before " + last + " (SOAK=" + fleet.Days(s.Policy.Soak) + ", then " + a.Calendar + ")"
}

// room is how much time GKE leaves.
func (g *page) room(at time.Time) {
	if at.IsZero() {
		return
	}
	left, look := words.Lasting(at.Sub(g.Now))+" of room.", plain
	if !at.After(g.Now) {
		left, look = "that is now: it waits only for nodes and its window.", yellow
	}
	g.para(2, look, "GKE may complete it by itself from "+g.At(at)+": "+left)
}

func (g *page) peopleLines(s view.Story) {
	approved, hold := "", ""
	var release []string
	for _, a := range s.Approved {
		if view.Standing(a.Until, g.Now) {
			approved = words.Joined(approved, "to "+string(a.Kind)+" "+byWhom(a.Said))
		}
	}
	if s.InFlight != nil {
		for _, a := range s.InFlight.Rotation.Approvals {
			approved = words.Joined(approved, "used to "+string(a.Kind)+" "+byWhom(a.Said))
		}
	}
	need := "APPROVAL=" + string(s.Policy.Approval) +
		words.If(s.Policy.Approval == rules.ApproveNone, ", not needed")
	for _, h := range s.Holds {
		if view.Standing(h.Until.Time, g.Now) {
			hold = words.Joined(hold, byWhom(record.Said{By: h.By, Reason: h.Reason})+
				words.If(!h.Until.IsZero(),
					", "+g.until(h.Until.Time))+" (hold "+clean(h.ID)+" on "+clean(h.Target)+")")
			release = append(release, words.Unbroken(view.ToRelease(h.ID), "", ""))
		}
	}
	if s.Decision != nil {
		d := s.Decision.Decision
		for _, v := range d.Gates {
			if v.Gate == policy.GateApproval && v.Open && len(v.Message) > 0 && approved == "" { // not in the store
				approved = "by label " + rules.LabelApprove + " on the cluster"
			}
		}
		hold = words.Joined(hold, g.Say(s.Policy.LabelHold(d.Cluster, g.Now)))
	}
	g.fact("people", "approved: "+cmp.Or(approved, "nobody yet")+" ("+need+") · hold: "+cmp.Or(hold, "none"))
	for _, command := range release {
		g.advice(2, command)
	}
	for _, q := range s.Requests {
		g.fact("", string(q.Kind)+" asked for "+g.At(q.At)+" "+byWhom(q.Said))
	}
}

func (g *page) before(history []record.Record) {
	const few = 10
	label := "before"
	for _, rec := range history[:min(len(history), few)] {
		r := rec.Rotation
		text := fmt.Sprintf("attempt %d %s %s", r.AttemptNo, rec.ClosedAs, g.At(rec.ClosedAt))
		text += words.If(!r.StartedAt().IsZero(), " after "+words.Lasting(rec.ClosedAt.Sub(r.StartedAt())))
		text += words.If(r.New.Fingerprint != "",
			": "+short(r.Baseline.CA.Fingerprint)+" -> "+short(r.New.Fingerprint))
		text += words.If(rec.CompletedBy != "", ", completed by "+clean(rec.CompletedBy))
		for _, f := range rec.Findings {
			text += words.If(f != "", "; "+clean(f))
		}
		g.fact(label, text)
		label = ""
	}
	if n := len(history) - few; n > 0 {
		g.fact("", fmt.Sprintf("and %d more: --format json", n))
	}
	if len(history) == 0 {
		g.fact(label, "no earlier attempt on record")
	}
}
