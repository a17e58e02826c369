package trial

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// Spoken is what a run said of a cluster, whoever reads it: its decision and its events.
type Spoken struct {
	Reason, Message string
	Events          []string
}

// silence is how often calls for a cluster were taken back, and when that was told.
type silence struct {
	withdrawn map[string]bool // calls that were taken back, one after another
	since     time.Time       // when there were two of them
	told      time.Time       // when an event was last seen
}

// withdrawnTold is how long two withdrawn calls may stay untold: a day, and a run.
const withdrawnTold = 25 * time.Hour

// notSilent judges a part of promise 12: of every due cluster that a run has listed it
// says something, and calls that are taken back again and again are told once a day.
func (j *judge) notSilent(e *Event) {
	if e.Kind != RunEnd || e.Said == nil {
		return
	}
	p, b := j.pass(e), j.ledger(e.Env)
	for ref, look := range p.listed {
		v := ofCluster(p.run.Policy, look)
		if said := e.Said[ref]; v.selected() && v.due(p.begun.Add(-skewBy)) &&
			(said.Reason == "" || said.Message == "") {
			j.accuse(e, ref, "it is due, and the run says nothing of it: %+v", said)
		}
	}
	for ref, said := range e.Said {
		if s := b.silent[ref]; s != nil && slices.Contains(said.Events, "blocked") {
			s.told = e.At
		}
	}
	for ref, s := range b.silent {
		if len(s.withdrawn) > 1 && e.At.Sub(laterOf(s.since, s.told)) > withdrawnTold+p.run.Policy.Every &&
			p.listed[ref].Ref == ref {
			j.accuse(e, ref, "%d calls were taken back one after another since %s, and nobody is told",
				len(s.withdrawn), stampOf(s.since))
		}
	}
}

// learnWithdrawn counts the starts that were taken back by the process that had stored
// their intent, and forgets them when one is sent.
func (j *judge) learnWithdrawn(e *Event, w *Write) {
	r, closed := rotationIn(w)
	if r == nil || closed == "" || e.Pass == 0 || j.closing.calm.IsZero() {
		return // before it is calm, processes are killed in between, which is another count
	}
	intent := j.pass(e).intents[r.Cluster]
	if intent == nil || intent.Write.Asked.Rotation.AttemptID != r.AttemptID ||
		intent.Write.Asked.Rotation.Call == nil {
		return
	}
	c := j.calls[intent.Write.Asked.Rotation.Call.ID]
	if c == nil || c.kind != record.CallStart || !c.sentAt.IsZero() {
		return
	}
	b := j.ledger(e.Env)
	s := b.silent[r.Cluster]
	if s == nil {
		s = &silence{withdrawn: map[string]bool{}}
		b.silent[r.Cluster] = s
	}
	if s.withdrawn[c.id] = true; len(s.withdrawn) == 2 {
		s.since = e.At
	}
}

// learnListed keeps what a pass was shown of the clusters of a project.
func (p *runner) learnListed(l *Look) {
	if p.listed == nil {
		p.listed = map[fleet.Ref]fleet.Cluster{}
	}
	for _, c := range l.Clusters {
		p.listed[c.Ref] = c
	}
}
