package view

import (
	"cmp"
	"slices"
	"time"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// Stand is where a cluster stands.
type Stand string

// Where a cluster stands.
const (
	NeedsAction Stand = "people"  // only people can go on
	DoNow       Stand = "doing"   // this run would do something
	InFlight    Stand = "flight"  // a rotation that waits
	Waiting     Stand = "waiting" // due, and not started yet
	Rotated     Stand = "rotated" // not due, for it has a new CA
	NotDue      Stand = "idle"
	NotSelected Stand = "out"
)

// Stands are all of them, the most pressing first.
var Stands = []Stand{NeedsAction, DoNow, InFlight, Waiting, Rotated, NotDue, NotSelected}

// stand classifies. Done: what was decided has been carried out, as after a run.
func (c *Cluster) stand(done bool) Stand {
	d := c.Decision
	about := d.Reason.Info().Standing
	switch {
	case about == reason.Outside:
		return NotSelected
	case d.Phase == "" && about == reason.BehindOthers:
		return Waiting
	case d.Close != "" && done && c.Skipped == "":
		return c.ended()
	case d.Action == policy.NeedsAction || c.Trouble != "":
		return NeedsAction
	case d.Action.Sends() || d.Action == policy.Update && !done:
		return DoNow
	case d.Phase != "":
		return InFlight
	case about == reason.TooEarly:
		return c.ended()
	}
	return Waiting
}

// ended tells a cluster that was rotated from one that did not need it.
func (c *Cluster) ended() Stand {
	r, newest := c.Finished, c.Decision.Cluster.Bundle.Newest().Fingerprint
	was := r != nil && r.ClosedAs.Verified() && r.Rotation.New.Fingerprint == newest
	if was || c.Decision.Close.Verified() {
		return Rotated
	}
	return NotDue
}

// trouble is why a rotation, or an idle cluster whose starts are taken back,
// waits for people although runs go on; "" when it does not.
func trouble(r *record.Rotation, oftenWithdrawn fact.Text) reason.Code {
	switch {
	case len(oftenWithdrawn) > 0:
		return reason.CallWithdrawn
	case r != nil && r.Failed != "":
		return reason.Code(r.Failed)
	case r != nil && r.Stuck:
		return reason.IsStuck
	case r != nil && len(r.Undelivered()) > 0 && r.Phase != record.Verifying:
		return reason.HandOverWaits
	}
	return ""
}

// pressing orders by urgency, emergency, deadline and name; what has no
// deadline comes last.
func pressing(a, b Cluster) int {
	rank := func(d policy.Decision) int {
		switch {
		case d.Compromised:
			return 0
		case d.Emergency:
			return 1
		case !d.Due.Deadline.IsZero():
			return 2
		}
		return 3
	}
	x, y := a.Decision, b.Decision
	return cmp.Or(rank(x)-rank(y), x.Due.Deadline.Compare(y.Due.Deadline), x.Cluster.Ref.Compare(y.Cluster.Ref))
}

// In are the clusters that stand there: the most pressing first, of those that
// are not due the next to be.
func (p Plan) In(s Stand) []Cluster {
	out := only(p.Clusters, func(c Cluster) bool { return c.Stand == s })
	order := pressing
	if s == NotDue || s == Rotated || s == NotSelected {
		order = func(a, b Cluster) int {
			x, y := a.Decision, b.Decision
			return cmp.Or(CompareSet(x.Due.At, y.Due.At), x.Cluster.Ref.Compare(y.Cluster.Ref))
		}
	}
	slices.SortStableFunc(out, order)
	return out
}

// Opens is when the last of the gates that bind may open; zero: nobody knows.
func (c Cluster) Opens() time.Time {
	at := time.Time{}
	for _, v := range Closed(c.Decision.Gates) {
		at = Latest(at, v.OpensAt)
	}
	return at
}

// OpensByTime says that of every gate that binds it is known when it may open.
func (c Cluster) OpensByTime() bool {
	unknown := func(v policy.Verdict) bool { return v.OpensAt.IsZero() }
	return !slices.ContainsFunc(Closed(c.Decision.Gates), unknown)
}

// OtherGates counts the gates that bind beside the one that is named.
func (c Cluster) OtherGates() int {
	other := func(v policy.Verdict) bool { return v.Reason != c.Decision.Reason }
	return len(only(Closed(c.Decision.Gates), other))
}

// WaitsFor is on whom it waits when no time is known.
func (c Cluster) WaitsFor() string {
	on := c.Decision.Reason.Info().WaitsOn
	for _, v := range Closed(c.Decision.Gates) {
		if v.OpensAt.IsZero() {
			on = cmp.Or(on, v.Reason.Info().WaitsOn)
		}
	}
	if on == reason.OnNobody {
		return "open end"
	}
	return "on " + on.String()
}

// GKECompletes is from when GKE completes the rotation in flight by itself; zero
// when nobody can tell yet.
func (c Cluster) GKECompletes() time.Time {
	d, known := c.Decision, c.HandOver.GKECompletes
	if known.IsZero() && d.Rotation != nil && d.Phase != record.Starting {
		return GKECompletes(*d.Rotation)
	}
	return known
}

func gateNames(gates []policy.Verdict) []string {
	return words.Each(gates, func(v policy.Verdict) string { return v.Gate })
}

// Closed are the gates that bind.
func Closed(gates []policy.Verdict) []policy.Verdict {
	return only(gates, func(v policy.Verdict) bool { return !v.Open && !v.Lifted })
}
