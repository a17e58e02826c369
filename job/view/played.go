package view

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// Played is a simulation: what became of each cluster.
type Played struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Every    string    `json:"every"`
	Seed     int64     `json:"seed"`
	Runs     int       `json:"runs"`
	Clusters []Chapter `json:"clusters"` // in the order of their names

	Play      sim.Story `json:"-"`
	MaxActive int       `json:"-"`
}

// Chapter is one cluster's part.
type Chapter struct {
	Cluster string               `json:"cluster"`
	Outcome sim.Outcome          `json:"outcome"`
	Phase   record.Phase         `json:"phase"`
	Reason  reason.Code          `json:"reason"`
	Message string               `json:"message"`
	OldCA   *fleet.CA            `json:"oldCA"`
	NewCA   *fleet.CA            `json:"newCA"`
	Entered map[string]time.Time `json:"entered"`
	Waited  []Wait               `json:"waited"` // longest first
}

// Wait is how long it waited for one gate.
type Wait struct {
	Gate   string      `json:"gate"`
	Reason reason.Code `json:"reason"`
	Hours  float64     `json:"hours"`
}

// PlayedOf is the view of a simulation's story.
func PlayedOf(s sim.Story, p *rules.Policy) Played {
	out := Played{
		From: s.From.UTC(), To: s.To.UTC(), Every: fleet.Days(s.Every), Seed: s.Seed, Runs: s.Runs,
		Clusters: []Chapter{}, Play: s, MaxActive: p.MaxActive,
	}
	for _, c := range s.Clusters {
		j := Chapter{
			Cluster: c.Cluster.String(), Outcome: c.Outcome, Phase: c.Phase, Reason: c.Reason,
			Message: c.Message.String(), OldCA: caOf(c.OldCA), NewCA: caOf(c.NewCA),
			Entered: map[string]time.Time{}, Waited: words.Each(c.Waited, waitOf),
		}
		for phase, t := range c.Entered {
			j.Entered[string(phase)] = t.UTC()
		}
		out.Clusters = append(out.Clusters, j)
	}
	return out
}

func waitOf(w sim.Wait) Wait { return Wait{w.Gate, w.Reason, w.Time.Hours()} }

// Outcomes counts clusters by what became of them.
func Outcomes(s sim.Story) map[sim.Outcome]int {
	count := map[sim.Outcome]int{}
	for _, c := range s.Clusters {
		count[c.Outcome]++
	}
	return count
}

// CompletedElsewhere are the clusters whose last rotation neither we nor GKE completed.
func CompletedElsewhere(s sim.Story) map[fleet.Ref]bool {
	out := map[fleet.Ref]bool{}
	for _, c := range s.Clusters {
		if c.By == record.ByOther {
			out[c.Cluster] = true
		}
	}
	return out
}

// Began is when the rotation was first seen under way; zero when there was none.
func Began(c sim.Chapter) time.Time {
	for _, p := range record.Phases {
		if at := c.Entered[p]; !at.IsZero() {
			return at
		}
	}
	return time.Time{}
}

// ShortNames are the clusters' names, harmless, with as much of project and
// location as tells them apart.
func ShortNames(s sim.Story) map[fleet.Ref]string {
	count := map[string]int{}
	for _, c := range s.Clusters {
		count[c.Cluster.Name]++
		count[c.Cluster.Project+"/"+c.Cluster.Name]++
	}
	names := map[fleet.Ref]string{}
	for _, c := range s.Clusters {
		name := c.Cluster.String()
		if in := c.Cluster.Project + "/" + c.Cluster.Name; count[in] == 1 {
			name = in
		}
		if count[c.Cluster.Name] == 1 {
			name = c.Cluster.Name
		}
		names[c.Cluster] = words.Harmless(name)
	}
	return names
}

// Passage is what clusters did that did the same on one day, at the same times.
type Passage struct {
	Clusters []fleet.Ref
	Steps    []sim.Change // of the first of them
}

// Passages puts together what is alike, in the order of time. The clock says
// where a day ends.
func Passages(changes []sim.Change, clock words.Clock) []Passage {
	type day struct {
		cluster fleet.Ref
		date    string
	}
	var days []day
	steps := map[day][]sim.Change{}
	for _, c := range changes {
		d := day{c.Cluster, clock.In(c.At).Format(time.DateOnly)}
		if steps[d] == nil {
			days = append(days, d)
		}
		steps[d] = append(steps[d], c)
	}
	var out []Passage
	known := map[string]int{}
	for _, d := range days {
		alike := ""
		for _, c := range steps[d] {
			alike += fmt.Sprint(c.At.Unix(), c.Phase, c.Closed, NotAwaited(c.Gates), ";")
			alike += words.If(c.Closed != "" && !c.Closed.Verified(), c.Message.String())
		}
		i, ok := known[alike]
		if !ok {
			i, known[alike] = len(out), len(out)
			out = append(out, Passage{Steps: steps[d]})
		}
		out[i].Clusters = append(out[i].Clusters, d.cluster)
	}
	slices.SortStableFunc(out, func(a, b Passage) int { return a.Steps[0].At.Compare(b.Steps[0].At) })
	return out
}

// NotAwaited are the gates that are closed and do not bind.
func NotAwaited(gates []policy.Verdict) []string {
	return gateNames(only(gates, func(v policy.Verdict) bool { return !v.Open && v.Lifted }))
}

// Lane is one cluster's way through a simulation, for a picture.
type Lane struct {
	sim.Chapter
	Steps []Step // from when it is due, then in the order of time
}

// Step is from when on a cluster is where it then is.
type Step struct {
	At time.Time
	// Kind is a phase, "due" (and waiting), "verified", or "" where there is
	// nothing to draw.
	Kind string
	// Says names the change for readers; "" when nothing has changed yet.
	Says string
}

// The kinds of step that are no phase.
const (
	StepDue      = "due"
	StepVerified = "verified"
)

// Lanes are the clusters that were due or rotating, in the order of the list.
func Lanes(list []sim.Chapter, changes []sim.Change) []Lane {
	steps := map[fleet.Ref][]Step{}
	for _, c := range changes {
		steps[c.Cluster] = append(steps[c.Cluster], stepOf(c))
	}
	var out []Lane
	for _, c := range list {
		own := steps[c.Cluster]
		if len(own) == 0 && (c.Due.IsZero() || c.Outcome == sim.NeedsAction) {
			continue
		}
		if !c.Due.IsZero() {
			own = slices.Concat([]Step{{At: c.Due, Kind: StepDue}}, own)
		}
		out = append(out, Lane{c, own})
	}
	return out
}

func stepOf(c sim.Change) Step {
	s := Step{At: c.At, Kind: string(c.Phase), Says: cmp.Or(string(c.Phase), string(c.Closed))}
	switch {
	case c.Closed.Verified():
		s.Kind = StepVerified
	case c.Closed == record.NotStarted:
		s.Kind = StepDue // it waits again; what is gone does not
	}
	return s
}
