package terminal

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// Explain shows every gate of one cluster, what the decision rests on and what
// people can do. cluster is a name as [view.Find] understands it; the error says
// which names are near.
func Explain(w io.Writer, p view.Plan, cluster string, o Options) error {
	ref, err := view.Find(p.Refs(), cluster)
	if err != nil {
		return err
	}
	g := newPage(o, p.Now)
	for _, c := range p.Clusters {
		if c.Decision.Cluster.Ref == ref {
			g.explain(c, p.Contents)
		}
	}
	if !p.Contents.Known {
		g.apart(0, yellow, "No store was read: holds, approvals and waves are unknown.")
	}
	return g.send(w)
}

func (g *page) explain(c view.Cluster, contents record.Contents) {
	d := c.Decision
	g.parts(bold, clean(c.Cluster), cmp.Or(string(d.Phase), "idle"), "action "+string(d.Action),
		string(d.Reason))
	g.parts(plain, "At "+g.headTime(g.Now))
	g.apart(2, plain, g.Sentence(d.Reason, d.Message))
	if s := d.Reason.Info().Sentence; len(d.Message) > 0 && s != "" &&
		strings.TrimSuffix(d.Message.Head().String(), ".") != strings.TrimSuffix(s, ".") {
		g.para(2, plain, s)
	}
	g.advice(2, next(d.Reason, d.ActOn().String(), contents.Fleet.Env))
	if d.Reason == reason.WaveClosed {
		g.advice(2, words.Unbroken(view.ToOpen(d.Wave), "", "")+" opens it")
	}
	g.line("")
	g.facts(c)
	g.saidByGKE(c, contents)
	if len(d.Gates) > 0 {
		g.heading(bold, "GATES")
		g.gates(d.Gates)
	}
	g.apart(0, plain, g.promise(d))
}

func (g *page) facts(v view.Cluster) {
	d, c := v.Decision, v.Decision.Cluster
	for i, ca := range c.Bundle.CAs {
		label := "CA"
		if i > 0 {
			label = "new CA"
		}
		g.fact(label, caText(ca)+"  "+expiry(ca.Expires, g.Now))
	}
	g.known("CA", clean(c.Bundle.Problem))
	switch due := d.Due; {
	case due.Is:
		g.fact("due", "since "+words.Day(due.At)+": "+clean(due.Why)+"; late from "+words.Day(due.Deadline))
	case !due.At.IsZero():
		g.fact("due", "not before "+words.Day(due.At)+": "+clean(due.Why))
	}
	g.fact("window", g.windowNow(v))
	for _, e := range c.Maintenance.Exclusions {
		to := "to " + words.Day(e.Span.End)
		if e.EndsWithSupport() {
			to = "until the version's end of support"
			to += words.If(!e.Span.End.IsZero(), " (at present "+words.Day(e.Span.End)+", GKE moves it)")
		}
		g.fact("excluded", fmt.Sprintf("%q, %s, %s", clean(e.Name), e.Scope,
			words.If(!e.Span.Start.IsZero(), words.Day(e.Span.Start)+" ")+to))
	}
	g.known("wave", clean(d.Wave))
	g.known("state", words.If(d.Emergency, "emergency: too near to expiry to wait"))
	g.known("state", words.If(d.Compromised, "compromised, by ROTATOR_COMPROMISED"))
}

// saidByGKE is what GKE says beside the certificate, and where that contradicts
// it. It decides nothing.
func (g *page) saidByGKE(v view.Cluster, contents record.Contents) {
	c := v.Decision.Cluster
	said := clean(strings.Join(append([]string{string(c.Status)}, c.Conditions...), ", "))
	g.known("GKE", words.If(c.Status == fleet.Degraded || len(c.Conditions) > 0, said))
	for _, m := range v.Mismatches {
		g.fact("mismatch", clean(m))
	}
	at := contents.InsightRead(c)
	g.known("insight", words.If(!at.IsZero() && len(v.Mismatches) == 0, "read "+g.At(at)+": no mismatch"))
}

func expiry(t, now time.Time) string {
	if t.Before(now) {
		return "expired " + words.Lasting(now.Sub(t)) + " ago"
	}
	return "expires in " + words.Lasting(t.Sub(now))
}

// windowNow says when the cluster's maintenance policy allows node work.
func (g *page) windowNow(c view.Cluster) string {
	m, n := c.Decision.Cluster.Maintenance, c.NextWindow
	text := cmp.Or(clean(m.Text), "none of its own: ROTATOR_WINDOW binds us, and GKE recreates nodes at any hour")
	switch {
	case m.Problem != "":
		return clean(m.Problem)
	case n == nil && m.Endless():
		return text + "; shut by an exclusion whose end nobody knows"
	case n == nil:
		return text + "; does not open within 400 days"
	case c.WindowOpen && n.End.IsZero():
		return text + "; open, without end"
	case c.WindowOpen:
		return text + "; open until " + g.At(n.End.Time)
	}
	return text + "; opens " + g.At(n.Start)
}

// mostGates is how many gates are shown before open ones are only counted: a
// cluster with a hundred pools asks a thousand.
const mostGates = 60

func (g *page) gates(gates []policy.Verdict) {
	var rs []row
	for _, v := range gates {
		if len(gates) > mostGates && v.Open {
			continue
		}
		r := row{name: clean(v.Gate), what: "open", style: green, text: g.Say(v.Message)}
		switch {
		case v.Lifted:
			r.what, r.style = "lifted", yellow
			r.text = words.Joined(g.Sentence(v.Reason, v.Message), "not binding now")
		case !v.Open:
			r.what, r.style = "closed", red
			r.text = g.Sentence(v.Reason, v.Message)
			r.code = string(v.Reason)
			switch at := g.At(v.OpensAt); {
			case at == "":
				on := cmp.Or(v.Reason.Info().WaitsOn.String(), "something without a time")
				r.text = words.Joined(r.text, "waits on "+on)
			case len(v.Message.Without(v.OpensAt)) == len(v.Message):
				r.text = words.Joined(r.text, "may open "+at)
			}
		}
		if g.width < narrow && r.code != "" { // no room for a column
			r.text, r.code = r.text+" ["+r.code+"]", ""
		}
		rs = append(rs, r)
	}
	if counted := len(gates) - len(rs); counted > 0 {
		g.para(2, plain, words.Plural(counted, "gate is", "gates are")+" open; those that are not:")
	}
	shown := min(len(rs), mostGates)
	g.rows(g.fit(g.names(rs[:shown]), rs[:shown]), rs[:shown])
	if n := len(rs) - shown; n > 0 {
		g.para(2, plain, fmt.Sprintf("and %d more: --format json", n))
	}
}

// promise is until when the decision stands.
func (g *page) promise(d policy.Decision) string {
	switch on := d.Reason.Info().WaitsOn.String(); {
	case !d.NextChange.IsZero():
		return "With unchanged inputs this decision stands until " + g.At(d.NextChange) + "."
	case on != "":
		return "No passing of time changes this decision; it waits on " + on + "."
	}
	return "No passing of time changes this decision: somebody must act, or GKE."
}
