package view

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/capacity"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/insight"
	"gke-credential-rotator/policy/notice"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Plan is what a run would do, and why not; after a run, how it left the fleet.
type Plan struct {
	Now      time.Time      `json:"now"`
	Policy   Policy         `json:"policy"`
	Clusters []Cluster      `json:"clusters"` // in the order of their names
	Unread   []fleet.Unread `json:"unread"`
	Lease    *pass.Holder   `json:"lease"` // the run at work; null: none
	Clock    string         `json:"clock"` // how far the clock is from GKE's, where it is too far

	Contents record.Contents `json:"-"`

	result pass.Result
}

// Cluster is how one cluster stands, and why.
type Cluster struct {
	Cluster      string      `json:"cluster"`
	CAIssued     Time        `json:"caIssued"` // of the oldest certificate; null when unreadable
	CAExpires    Time        `json:"caExpires"`
	CACount      int         `json:"caCount"`
	Phase        string      `json:"phase"`
	Action       string      `json:"action"`
	Reason       reason.Code `json:"reason"`
	Message      string      `json:"message"`
	Gates        []Gate      `json:"gates"`
	WindowOpen   bool        `json:"windowOpen"`
	NextWindow   *Span       `json:"nextWindow"`
	NextChangeAt Time        `json:"nextChangeAt"`
	Wave         string      `json:"wave"`
	Emergency    bool        `json:"emergency"`
	// Mismatches say where certificate, status, conditions and insight
	// contradict each other.
	Mismatches []string `json:"mismatches"`

	Decision policy.Decision `json:"-"`
	Stand    Stand           `json:"-"`
	// Trouble is why it waits for people although runs go on.
	Trouble reason.Code `json:"-"`
	// Skipped is why a run did not carry out what it had decided.
	Skipped string `json:"-"`
	// HandOver is what the clients of its rotation must know; zero: nothing yet, or
	// the rotation has ended.
	HandOver record.HandOver `json:"-"`
	// Finished is its last rotation that has ended, as far as records were given.
	Finished *record.Record `json:"-"`
}

// Gate is what one gate says.
type Gate struct {
	Gate    string      `json:"gate"`
	Open    bool        `json:"open"`
	Reason  reason.Code `json:"reason"`
	Message string      `json:"message"`
	OpensAt Time        `json:"opensAt"`
}

// Span is a stretch of time.
type Span struct {
	Start time.Time `json:"start"`
	End   Time      `json:"end"` // null: without end
}

// PlanOf is the plan of a look.
func PlanOf(res pass.Result, p *rules.Policy) Plan { return PlanAfter(res, p, nil, false) }

// PlanAfter is how a run left the fleet: what it did about a cluster counts more
// than what it had planned. Finished are rotations that have ended. Done: what
// was decided was also carried out; in observe mode, in the store alone.
func PlanAfter(res pass.Result, p *rules.Policy, finished []record.Record, done bool) Plan {
	out := Plan{
		Now: res.At.UTC(), Policy: Policy{p}, Clusters: []Cluster{}, Unread: listed(res.Fleet.Unread),
		Lease: res.Holder, Clock: res.Clock, Contents: res.Fleet.Contents, result: res,
	}
	over := map[fleet.Ref]*record.Record{}
	for i, rec := range finished {
		if old := over[rec.Rotation.Cluster]; old == nil || old.ClosedAt.Before(rec.ClosedAt) {
			over[rec.Rotation.Cluster] = &finished[i]
		}
	}
	did := map[fleet.Ref]pass.Done{}
	for _, d := range res.Done {
		did[d.Ref] = d
	}
	for _, d := range res.Decisions {
		was, ok := did[d.Cluster.Ref]
		if ok && was.Skipped == "" {
			d = after(d, was.After)
		}
		c := clusterOf(d, res.Fleet.Contents, res.At)
		c.Skipped, c.Finished = was.Skipped, over[d.Cluster.Ref]
		c.Stand = c.stand(done)
		if d.Close == "" {
			c.HandOver, _ = notice.HandOverOf(p, d, res.At, record.AtAnyTime)
		}
		out.Clusters = append(out.Clusters, c)
	}
	slices.SortStableFunc(out.Clusters, func(a, b Cluster) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return out
}

// Waits are the clusters that wait for their start, the most pressing first; together
// where several wait for the same: for one reason, told in the same words, until one
// time, and none of them more compromised than the others.
func (p Plan) Waits() [][]Cluster {
	const several = 3 // fewer need no more room by themselves
	type same struct {
		reason                 reason.Code
		message                string
		opens                  time.Time
		on                     string
		others                 int
		compromised, emergency bool
	}
	key := func(c Cluster) same {
		d := c.Decision
		k := same{d.Reason, d.Message.String(), c.Opens().UTC(), "", c.OtherGates(), d.Compromised, d.Emergency}
		if !c.OpensByTime() {
			k.on = c.WaitsFor()
		}
		return k
	}
	waiting := p.In(Waiting)
	count, place := map[same]int{}, map[same]int{}
	for _, c := range waiting {
		count[key(c)]++
	}
	var out [][]Cluster
	for _, c := range waiting {
		k := key(c)
		if i, ok := place[k]; ok && count[k] >= several {
			out[i] = append(out[i], c)
			continue
		}
		place[k] = len(out)
		out = append(out, []Cluster{c})
	}
	return out
}

// Unseen is where a place is that could not be read, and why.
func Unseen(u fleet.Unread) (where, why string) {
	where = "project " + words.Harmless(u.Project)
	where += words.If(u.Location != "", ", "+words.Harmless(u.Location))
	return where, strings.TrimSuffix(words.Harmless(u.Reason), ".") + "."
}

// Silent counts the projects that did not answer in full.
func (p Plan) Silent() int {
	seen := map[string]bool{}
	for _, u := range p.Unread {
		seen[u.Project] = true
	}
	return len(seen)
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

func clusterOf(d policy.Decision, contents record.Contents, now time.Time) Cluster {
	ca, often := d.Cluster.Bundle.Oldest(), d.OftenWithdrawn()
	c := Cluster{
		Cluster: d.Cluster.Ref.String(), CAIssued: Time{ca.Issued}, CAExpires: Time{ca.Expires},
		CACount: len(d.Cluster.Bundle.CAs), Phase: string(d.Phase), Action: string(d.Action), Reason: d.Reason,
		Message: words.Joined(often.String(), d.Message.String()), Gates: []Gate{}, WindowOpen: d.WindowOpen,
		NextWindow: spanOf(d.NextWindow, now), NextChangeAt: Time{d.NextChange}, Wave: d.Wave,
		Emergency: d.Emergency, Mismatches: listed(insight.Mismatches(d.Cluster, contents, now)), Decision: d,
		Trouble: trouble(d.Rotation, often),
	}
	c.Stand = c.stand(false)
	for _, v := range d.Gates {
		message := v.Message.String()
		if v.Lifted {
			message = words.Joined(message, "not binding now")
		}
		c.Gates = append(c.Gates, Gate{v.Gate, v.Open, v.Reason, message, Time{v.OpensAt}})
	}
	return c
}

// spanOf gives an open stretch; what was always open begins now.
func spanOf(s *window.Span, now time.Time) *Span {
	if s == nil {
		return nil
	}
	out := &Span{Start: s.Start.UTC()}
	if s.Start.IsZero() {
		out.Start = now.UTC()
	}
	if s.End.Before(window.Forever) {
		out.End.Time = s.End
	}
	return out
}

// Capacity is whether the limits are enough for what is due of one wave.
type Capacity struct {
	Wave   string
	Due    int
	AWeek  string    // starts a week under every cap; "" for one at most
	Done   time.Time // zero: no end in sight
	Latest time.Time // the next latest safe date; zero: none is to come
	// Late would start later than is safe, "" for none, and Raise says which limits
	// change that.
	Late, Raise string
	// Note is what else to know: who is overdue, and that the breaker is open.
	Note string
}

// Capacity is that of each wave in which something is due.
func (p Plan) Capacity() []Capacity {
	var out []Capacity
	for _, w := range capacity.Of(p.Policy.Policy, p.result.Fleet, p.result.Decisions, p.result.At) {
		c := Capacity{Wave: cmp.Or(w.Wave, "all clusters"), Due: w.Due, Done: w.DoneAbout, Latest: w.LatestSafe}
		if w.StartsAWeek > 0 {
			digits := 1
			if w.StartsAWeek >= 10 {
				digits = 0
			}
			c.AWeek = strconv.FormatFloat(w.StartsAWeek, 'f', digits, 64)
		}
		c.Note = words.Joined(words.If(w.Shut, "the breaker is open: all counts from its end"),
			words.If(w.Overdue > 0, strconv.Itoa(w.Overdue)+" overdue already"))
		if w.Short() {
			c.Late = w.Late.String()
			c.Raise = "It starts " + fact.Day(w.LateAt) + ": " + w.Raise.String() + "."
		}
		out = append(out, c)
	}
	return out
}
