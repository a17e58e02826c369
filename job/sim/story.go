package sim

import (
	"slices"
	"time"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
)

// Outcome is how a cluster stood at the end.
type Outcome string

// The outcomes.
const (
	Verified    Outcome = "verified"
	InFlight    Outcome = "in-flight"
	Waiting     Outcome = "waiting"
	NotDue      Outcome = "not-due"
	NeedsPeople Outcome = "needs-people"
	Unreadable  Outcome = "unreadable"
)

// Story is what became of a fleet.
type Story struct {
	From, To time.Time
	Every    time.Duration
	Seed     int64
	Runs     int
	Clusters []Chapter
	// Mutations counts requests that change a cluster.
	Mutations int
	// MostInFlight is the most rotations at one time.
	MostInFlight int
}

// Chapter is one cluster's part.
type Chapter struct {
	Cluster policy.Ref
	Outcome Outcome
	Phase   policy.Phase
	Reason  policy.Reason
	Message string
	OldCA   policy.CA
	NewCA   policy.CA
	Entered map[policy.Phase]time.Time
	Closed  time.Time
	Waited  []Wait
}

// Wait is how long a cluster waited for one gate while it was due.
type Wait struct {
	Gate    string
	Reason  policy.Reason
	Message string
	Time    time.Duration
}

type teller struct {
	Story
	chapters map[policy.Ref]*Chapter
}

func newStory(s Setup) *teller {
	return &teller{
		Story:    Story{From: s.From, To: s.From.Add(time.Duration(s.Days) * 24 * time.Hour), Every: s.Every, Seed: s.Seed},
		chapters: map[policy.Ref]*Chapter{},
	}
}

// add takes in one run.
func (t *teller) add(res pass.Result) {
	inFlight := 0
	for _, d := range res.Decisions {
		c := t.chapter(d)
		if d.Phase != "" {
			inFlight++
		}
		c.Phase, c.Reason, c.Message = d.Phase, d.Reason, d.Message
		c.Outcome = outcomeOf(d, c)
		if d.Action == policy.Wait {
			t.waits(c, d)
		}
		t.follow(c, d)
	}
	for _, done := range res.Done {
		t.follow(t.chapters[done.Ref], done.After)
	}
	t.MostInFlight = max(t.MostInFlight, inFlight)
}

func (t *teller) chapter(d policy.Decision) *Chapter {
	c := t.chapters[d.Cluster.Ref]
	if c == nil {
		c = &Chapter{Cluster: d.Cluster.Ref, OldCA: d.Cluster.Bundle.Oldest(), Entered: map[policy.Phase]time.Time{}}
		t.chapters[d.Cluster.Ref] = c
	}
	return c
}

// follow notes the phases that the record has entered.
func (t *teller) follow(c *Chapter, d policy.Decision) {
	r := d.Rotation
	if r == nil {
		return
	}
	c.Phase = r.Phase
	for _, tr := range r.Transitions {
		c.Entered[tr.Phase] = tr.At
	}
	if r.New.Fingerprint != "" {
		c.NewCA = r.New
	}
	if d.Close == policy.Completed || d.Close == policy.CompletedElsewhere || d.Close == policy.CompletedWithFindings {
		c.Outcome, c.Phase, c.Closed = Verified, "", t.at(d)
	}
}

func (t *teller) at(d policy.Decision) time.Time { return d.Cluster.Seen }

func (t *teller) waits(c *Chapter, d policy.Decision) {
	gate := string(d.Reason)
	for _, g := range d.Gates {
		if !g.Open && !g.Lifted && g.Reason == d.Reason {
			gate = g.Gate
			break
		}
	}
	i := slices.IndexFunc(c.Waited, func(w Wait) bool { return w.Gate == gate && w.Reason == d.Reason })
	if i < 0 {
		c.Waited = append(c.Waited, Wait{Gate: gate, Reason: d.Reason, Message: d.Message})
		i = len(c.Waited) - 1
	}
	c.Waited[i].Time += t.Every
}

func outcomeOf(d policy.Decision, c *Chapter) Outcome {
	switch {
	case d.Phase != "":
		return InFlight
	case !c.Closed.IsZero() && !d.Due.Is:
		return Verified
	case d.Reason == policy.CAUnreadable:
		return Unreadable
	case d.Action == policy.People:
		return NeedsPeople
	case d.Action == policy.None:
		return NotDue
	}
	return Waiting
}

func (t *teller) finish(journal []gkesim.Entry) {
	t.Mutations = len(journal)
	for _, c := range t.chapters {
		slices.SortFunc(c.Waited, func(a, b Wait) int { return int(b.Time - a.Time) })
		t.Clusters = append(t.Clusters, *c)
	}
	slices.SortFunc(t.Clusters, func(a, b Chapter) int { return a.Cluster.Compare(b.Cluster) })
}
