package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/window"
)

type planJSON struct {
	Now      time.Time       `json:"now"`
	Policy   policyJSON      `json:"policy"`
	Clusters []clusterJSON   `json:"clusters"`
	Unread   []policy.Unread `json:"unread"`
	Lease    *pass.Holder    `json:"lease"` // the run at work; null: none
}

type clusterJSON struct {
	Cluster      string     `json:"cluster"`
	CAIssued     *time.Time `json:"caIssued"` // of the oldest certificate; null when unreadable
	CAExpires    *time.Time `json:"caExpires"`
	CACount      int        `json:"caCount"`
	Phase        string     `json:"phase"`
	Action       string     `json:"action"`
	Reason       string     `json:"reason"`
	Message      string     `json:"message"`
	Gates        []gateJSON `json:"gates"`
	WindowOpen   bool       `json:"windowOpen"`
	NextWindow   *spanJSON  `json:"nextWindow"`
	NextChangeAt *time.Time `json:"nextChangeAt"`
	Wave         string     `json:"wave"`
	Emergency    bool       `json:"emergency"`
	// Mismatches say where certificate, status, conditions and insight
	// contradict each other.
	Mismatches []string `json:"mismatches"`
}

type gateJSON struct {
	Gate    string     `json:"gate"`
	Open    bool       `json:"open"`
	Reason  string     `json:"reason"`
	Message string     `json:"message"`
	OpensAt *time.Time `json:"opensAt"`
}

type spanJSON struct {
	Start time.Time  `json:"start"`
	End   *time.Time `json:"end"` // null: without end
}

// PlanJSON writes the plan for programs: one object, times in UTC, clusters in
// the order of their names. The error is the writer's.
func PlanJSON(w io.Writer, res pass.Result, p *policy.Policy) error {
	out := planJSON{Now: res.At.UTC(), Policy: policyOf(p), Clusters: []clusterJSON{}, Unread: slices.Clone(res.Fleet.Unread), Lease: res.Holder}
	if out.Unread == nil {
		out.Unread = []policy.Unread{}
	}
	for _, d := range res.Decisions {
		out.Clusters = append(out.Clusters, clusterOf(d, res.Fleet.Book, res.At))
	}
	slices.SortStableFunc(out.Clusters, func(a, b clusterJSON) int { return cmpText(a.Cluster, b.Cluster) })
	return writeJSON(w, out)
}

func clusterOf(d policy.Decision, book policy.Book, now time.Time) clusterJSON {
	ca := d.Cluster.Bundle.Oldest()
	c := clusterJSON{
		Cluster: d.Cluster.Ref.String(), CAIssued: stamp(ca.Issued), CAExpires: stamp(ca.Expires), CACount: len(d.Cluster.Bundle.CAs),
		Phase: string(d.Phase), Action: string(d.Action), Reason: string(d.Reason), Message: joined(d.OftenWithdrawn().String(), d.Message.String()), Gates: []gateJSON{},
		WindowOpen: d.WindowOpen, NextWindow: spanOf(d.NextWindow, now), NextChangeAt: stamp(d.NextChange), Wave: d.Wave, Emergency: d.Emergency,
		Mismatches: filled(policy.Mismatches(d.Cluster, book, now)),
	}
	for _, v := range d.Gates {
		message := v.Message.String()
		if v.Lifted {
			message = joined(message, "not binding now")
		}
		c.Gates = append(c.Gates, gateJSON{v.Gate, v.Open, string(v.Reason), message, stamp(v.OpensAt)})
	}
	return c
}

// spanOf gives an open stretch; what was always open begins now.
func spanOf(s *window.Span, now time.Time) *spanJSON {
	if s == nil {
		return nil
	}
	out := &spanJSON{Start: s.Start.UTC()}
	if s.Start.IsZero() {
		out.Start = now.UTC()
	}
	if !endless(s.End) {
		out.End = stamp(s.End)
	}
	return out
}

func endless(t time.Time) bool { return !t.Before(window.Forever) }

// stamp gives a time in UTC; null for none.
func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func cmpText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// writeJSON writes one indented object. Characters that could move a terminal
// are escaped, also where JSON does not ask for it.
func writeJSON(w io.Writer, v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	if _, err := w.Write(words.HarmlessJSON(text.Bytes())); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}
