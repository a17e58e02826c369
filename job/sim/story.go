package sim

import (
	"cmp"
	"slices"
	"time"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// Outcome is how a cluster stood at the end.
type Outcome string

// The outcomes.
const (
	Verified       Outcome = "verified"
	CompletedByGKE Outcome = "completed-by-gke" // and verified: not as people were to have it
	InFlight       Outcome = "in-flight"
	Waiting        Outcome = "waiting"
	NotDue         Outcome = "not-due"
	NeedsAction    Outcome = "needs-action"
	Unreadable     Outcome = "unreadable"
)

// Story is what became of a fleet.
type Story struct {
	From, To time.Time
	Every    time.Duration
	Seed     int64
	Runs     int
	Clusters []Chapter // ordered by cluster
	Changes  []Change  // ordered by time, then cluster
	// Mutations counts requests that change a cluster.
	Mutations int
	// Words are the faults that were asked for, and Faults how often one struck.
	Words  []string
	Faults int
	// MostInFlight is the most rotations at one time; MostSlots the most that counted against MAX_ACTIVE.
	MostInFlight, MostSlots int
}

// Change is one step of one rotation: a phase entered, or the attempt's end.
type Change struct {
	At      time.Time
	Cluster fleet.Ref
	Phase   record.Phase    // entered; "" at the end
	Closed  record.ClosedAs // the end; "" before
	Reason  reason.Code
	Message fact.Text
	// Gates are those behind a start.
	Gates []policy.Verdict
}

// Chapter is one cluster's part.
type Chapter struct {
	Cluster fleet.Ref
	Outcome Outcome
	Phase   record.Phase
	Reason  reason.Code
	Message fact.Text
	OldCA   fleet.CA // the oldest when first seen
	NewCA   fleet.CA // zero until there is one
	// Due is when a run first saw it due; zero: never.
	Due time.Time
	// Entered is when each phase was last entered.
	Entered map[record.Phase]time.Time
	// Closed is when the last attempt was verified or ended; zero: not yet.
	Closed time.Time
	// By is who completed it; Pools of it were recreated, and NewEndpoint says that its
	// endpoint changed.
	By          string
	Pools       int
	NewEndpoint bool
	Waited      []Wait // longest first
}

// Wait is how long a cluster waited for one gate while it was due.
type Wait struct {
	Gate    string
	Reason  reason.Code
	Message fact.Text // the first one
	Time    time.Duration
}

// recorder makes a story out of the results of runs.
type recorder struct {
	Story
	byCluster map[fleet.Ref]*Chapter
	// noted counts the transitions already noted, by attempt.
	noted map[string]int
	// open are the attempts that the store held when last seen.
	open map[fleet.Ref]record.Rotation
	// sparse: runs are left out, so somebody else counts the waiting.
	sparse bool
}

func newStory(s Setup) *recorder {
	return &recorder{
		Story: Story{From: s.From, To: s.From.Add(time.Duration(s.Days) * 24 * time.Hour), Every: s.Every,
			Seed: s.Seed},
		byCluster: map[fleet.Ref]*Chapter{}, noted: map[string]int{}, open: map[fleet.Ref]record.Rotation{},
	}
}

func (t *recorder) add(res pass.Result) {
	t.recall(res)
	planned := map[fleet.Ref]policy.Decision{}
	for _, d := range res.Decisions {
		planned[d.Cluster.Ref] = d
		c := t.of(d)
		c.Phase, c.Reason, c.Message = d.Phase, d.Reason, d.Message
		if d.Due.Is && c.Due.IsZero() {
			c.Due = res.At
		}
		t.waits(c, d, res.At)
	}
	for _, done := range res.Done {
		if c := t.byCluster[done.Ref]; c != nil && done.Skipped == "" {
			t.follow(c, done.After, planned[done.Ref], res.At)
		}
	}
	for _, d := range res.Decisions {
		c := t.byCluster[d.Cluster.Ref]
		c.Outcome = outcomeOf(d, c)
	}
}

// recall takes in what the store held when the run began, also what a run left whose answer was lost.
func (t *recorder) recall(res pass.Result) {
	contents := res.Fleet.Contents
	slots := 0
	for _, s := range contents.Fleet.Slots {
		if !s.Emergency && !s.Compromised {
			slots++
		}
	}
	t.MostSlots = max(t.MostSlots, slots)
	t.MostInFlight = max(t.MostInFlight, len(contents.Rotations))
	for ref, r := range t.open {
		c := t.byCluster[ref]
		if _, still := contents.Rotations[ref]; !still && c != nil && c.Closed.IsZero() && showsNew(res.Fleet,
			c) {
			t.end(c, r, record.Completed, reason.Verified, fact.Say(reason.Verified.Info().Sentence), res.At)
		}
	}
	t.open = contents.Rotations
	for ref, r := range contents.Rotations {
		if c := t.byCluster[ref]; c != nil {
			t.note(c, r, policy.Decision{}, nil)
		}
	}
}

// showsNew says whether GKE shows the cluster with its new CA alone.
func showsNew(f policy.Fleet, c *Chapter) bool {
	i, ok := slices.BinarySearchFunc(f.Clusters, c.Cluster,
		func(x fleet.Cluster, ref fleet.Ref) int { return x.Ref.Compare(ref) })
	return ok && c.NewCA.Fingerprint != "" && f.Clusters[i].Bundle.Oldest().Fingerprint == c.NewCA.Fingerprint
}

func (t *recorder) of(d policy.Decision) *Chapter {
	c := t.byCluster[d.Cluster.Ref]
	if c == nil {
		ref, old := d.Cluster.Ref, d.Cluster.Bundle.Oldest()
		c = &Chapter{Cluster: ref, OldCA: old, Entered: map[record.Phase]time.Time{}}
		t.byCluster[ref] = c
	}
	return c
}

func (t *recorder) follow(c *Chapter, after, planned policy.Decision, at time.Time) {
	r := after.Rotation
	if r == nil {
		return
	}
	last := after.Message
	if len(last) == 0 {
		last = planned.Message
	}
	t.note(c, *r, planned, last)
	c.Phase = r.Phase
	if after.Close != "" {
		t.end(c, *r, after.Close, after.Reason, after.Message, at)
	}
}

// note notes the transitions that are not noted yet: the first with what was
// planned, the last with what came of it.
func (t *recorder) note(c *Chapter, r record.Rotation, planned policy.Decision, last fact.Text) {
	if r.New.Fingerprint != "" {
		c.NewCA = r.New
	}
	from := min(t.noted[r.AttemptID], len(r.Transitions))
	for i, tr := range r.Transitions[from:] {
		message := planned.Message
		if from+i == len(r.Transitions)-1 {
			message = last
		}
		if len(message) == 0 {
			message = fact.Say(tr.Reason.Info().Sentence)
		}
		c.Entered[tr.Phase], c.Closed = tr.At, time.Time{}
		change := Change{At: tr.At, Cluster: c.Cluster, Phase: tr.Phase, Reason: tr.Reason, Message: message}
		if planned.Action == policy.Start && tr.Phase == record.Starting {
			change.Gates = planned.Gates
		}
		t.Changes = append(t.Changes, change)
	}
	t.noted[r.AttemptID] = len(r.Transitions)
}

func (t *recorder) end(c *Chapter, r record.Rotation, as record.ClosedAs, why reason.Code, message fact.Text,
	at time.Time) {
	c.Phase = ""
	if as.Verified() {
		c.Closed, c.By, c.NewEndpoint = at, r.CompletedBy, r.Endpoint != "" &&
			r.Endpoint != r.Baseline.Endpoint
		for _, w := range r.Pools {
			if w.Done() {
				c.Pools++
			}
		}
	}
	t.Changes = append(t.Changes, Change{At: at, Cluster: c.Cluster, Closed: as, Reason: why,
		Message: message})
}

// waits counts the time until the next run for the gate that keeps a due cluster from anything being sent.
func (t *recorder) waits(c *Chapter, d policy.Decision, at time.Time) {
	if t.sparse || !waiting(d) {
		return
	}
	w := Wait{Gate: gateOf(d), Reason: d.Reason, Message: d.Message, Time: max(min(t.Every, t.To.Sub(at)), 0)}
	c.Waited = withWait(c.Waited, w)
}

// waiting: it is due, and nothing is done about it now.
func waiting(d policy.Decision) bool {
	return d.Due.Is && (d.Action == policy.Wait || d.Action == policy.NeedsAction)
}

// gateOf is the gate that a decision waits for; its reason, when it is none.
func gateOf(d policy.Decision) string {
	for _, g := range d.Gates {
		if !g.Open && !g.Lifted && g.Reason == d.Reason {
			return g.Gate
		}
	}
	return string(d.Reason)
}

// withWait adds to what was waited for.
func withWait(list []Wait, w Wait) []Wait {
	i := slices.IndexFunc(list, func(x Wait) bool { return x.Gate == w.Gate && x.Reason == w.Reason })
	if i < 0 {
		return append(list, w)
	}
	list[i].Time += w.Time
	return list
}

func outcomeOf(d policy.Decision, c *Chapter) Outcome {
	switch {
	case c.Phase != "" && d.Action == policy.NeedsAction:
		return NeedsAction
	case c.Phase != "":
		return InFlight
	case !c.Closed.IsZero() && (!d.Due.Is || d.Phase != "") && c.By == record.ByGKE:
		return CompletedByGKE
	case !c.Closed.IsZero() && (!d.Due.Is || d.Phase != ""):
		return Verified
	case d.Reason == reason.CAUnreadable:
		return Unreadable
	case d.Action == policy.NeedsAction:
		return NeedsAction
	case d.Action == policy.None:
		return NotDue
	}
	return Waiting
}

func (t *recorder) finish(runs int, journal []gkesim.Entry) {
	t.Runs, t.Mutations = runs, len(journal)
	for _, c := range t.byCluster {
		slices.SortStableFunc(c.Waited, func(a, b Wait) int { return cmp.Compare(b.Time, a.Time) })
		t.Clusters = append(t.Clusters, *c)
	}
	slices.SortFunc(t.Clusters, func(a, b Chapter) int { return a.Cluster.Compare(b.Cluster) })
	slices.SortStableFunc(t.Changes, func(a, b Change) int {
		return cmp.Or(a.At.Compare(b.At), a.Cluster.Compare(b.Cluster))
	})
}
