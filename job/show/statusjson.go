package show

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

type statusJSON struct {
	Now       time.Time              `json:"now"`
	Env       string                 `json:"env"`
	Known     bool                   `json:"bookKnown"`
	LastRun   *record.RunNote        `json:"lastRun"`
	Lease     *pass.Holder           `json:"lease"` // the run at work; null: none
	Slots     map[string]record.Slot `json:"slots"`
	InFlight  []flightJSON           `json:"inFlight"`
	Holds     []holdJSON             `json:"holds"`
	Approvals []record.Approval      `json:"approvals"`
	Requests  []record.Request       `json:"requests"`
	Failures  []record.Failure       `json:"failures"`
	Blocked   map[string]string      `json:"blocked"`
	Waves     map[string]time.Time   `json:"waves"`
}

type flightJSON struct {
	Cluster        string               `json:"cluster"`
	Phase          string               `json:"phase"`
	Since          *time.Time           `json:"since"`
	AttemptID      string               `json:"attemptId"`
	Attempt        int                  `json:"attempt"`
	Origin         string               `json:"origin"`
	Carry          bool                 `json:"carry"`
	Reason         string               `json:"reason"`
	Failed         string               `json:"failed"`
	Stuck          bool                 `json:"stuck"`
	Emergency      bool                 `json:"emergency"`
	Wave           string               `json:"wave"`
	OldCA          *caJSON              `json:"oldCA"`
	NewCA          *caJSON              `json:"newCA"`
	HandedOverAt   *time.Time           `json:"handedOverAt"`
	GKECompletesAt *time.Time           `json:"gkeCompletesAt"`
	Entered        map[string]time.Time `json:"entered"`
}

type holdJSON struct {
	Cluster string     `json:"cluster"` // "all" for the fleet
	By      string     `json:"by"`
	Reason  string     `json:"reason"`
	At      time.Time  `json:"at"`
	Until   *time.Time `json:"until"`
}

type storyOfJSON struct {
	Now      time.Time         `json:"now"`
	Cluster  string            `json:"cluster"`
	Decision *clusterJSON      `json:"decision"` // null when GKE was not asked
	InFlight *flightJSON       `json:"inFlight"`
	Rotation *record.Rotation  `json:"rotation"` // the record as it is stored
	Holds    []holdJSON        `json:"holds"`
	Approved []record.Approval `json:"approvals"`
	Requests []record.Request  `json:"requests"`
	History  []record.Record   `json:"history"` // newest first
}

// StatusJSON writes the book for programs: one object, times in UTC, clusters
// in the order of their names. The error is the writer's.
func StatusJSON(w io.Writer, book record.Book, holder *pass.Holder, now time.Time, p *policy.Policy) error {
	doc := book.Fleet
	out := statusJSON{
		Now: now.UTC(), Env: cmp.Or(doc.Env, p.Env), Known: book.Known, Lease: holder, Slots: map[string]record.Slot{}, InFlight: []flightJSON{},
		Holds: holdsOf(doc, fleet.Ref{}), Approvals: []record.Approval{}, Requests: []record.Request{}, Failures: []record.Failure{},
		Blocked: map[string]string{}, Waves: map[string]time.Time{},
	}
	if !doc.LastRun.At.IsZero() {
		out.LastRun = &doc.LastRun
	}
	maps.Copy(out.Slots, doc.Slots)
	out.Approvals = append(out.Approvals, doc.Approvals...)
	out.Requests = append(out.Requests, doc.Requests...)
	out.Failures = append(out.Failures, doc.Failures...)
	for name, why := range doc.Blocked {
		out.Blocked[name] = string(why)
	}
	for wave, notes := range doc.Waves {
		out.Waves[wave] = notes.Last()
	}
	for _, r := range book.Rotations {
		out.InFlight = append(out.InFlight, flightOf(r))
	}
	slices.SortFunc(out.InFlight, func(a, b flightJSON) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return writeJSON(w, out)
}

// StatusClusterJSON writes one cluster's story for programs; d is nil when GKE
// was not asked. The error is the writer's.
func StatusClusterJSON(w io.Writer, book record.Book, history []record.Record, d *policy.Decision, ref fleet.Ref, now time.Time) error {
	out := storyOfJSON{
		Now: now.UTC(), Cluster: ref.String(), Holds: holdsOf(book.Fleet, ref),
		Approved: []record.Approval{}, Requests: []record.Request{}, History: []record.Record{},
	}
	if d != nil {
		c := clusterOf(*d, book, now)
		out.Decision = &c
	}
	if r, ok := book.Rotations[ref]; ok {
		f := flightOf(r)
		out.InFlight, out.Rotation = &f, &r
	}
	for _, a := range book.Fleet.Approvals {
		if a.Cluster == ref {
			out.Approved = append(out.Approved, a)
		}
	}
	for _, q := range book.Fleet.Requests {
		if q.Cluster == ref {
			out.Requests = append(out.Requests, q)
		}
	}
	out.History = append(out.History, history...)
	return writeJSON(w, out)
}

func flightOf(r record.Rotation) flightJSON {
	f := flightJSON{
		Cluster: r.Cluster.String(), Phase: string(r.Phase), Since: stamp(r.Entered(r.Phase)), AttemptID: r.AttemptID, Attempt: r.AttemptNo,
		Origin: string(r.Origin), Carry: r.Carry, Reason: string(r.Reason), Failed: r.Failed, Stuck: r.Stuck, Emergency: r.Emergency, Wave: r.Wave,
		OldCA: caOf(r.Baseline.CA), NewCA: caOf(r.New), HandedOverAt: stamp(r.HandedOverAt), Entered: map[string]time.Time{},
	}
	if at := r.StartedAt(); !at.IsZero() && r.Phase != record.Verifying {
		f.GKECompletesAt = stamp(at.Add(policy.AutoCompleteAfter))
	}
	for _, tr := range r.Transitions {
		f.Entered[string(tr.Phase)] = tr.At.UTC()
	}
	return f
}

// holdsOf gives the holds that bind the cluster; all of them for none.
func holdsOf(doc record.FleetDoc, ref fleet.Ref) []holdJSON {
	out := []holdJSON{}
	for _, h := range doc.Holds {
		name := "all"
		if !h.Cluster.IsZero() {
			name = h.Cluster.String()
		}
		if ref.IsZero() || h.Cluster.IsZero() || h.Cluster == ref {
			out = append(out, holdJSON{name, h.By, h.Reason, h.At.UTC(), stamp(h.Until)})
		}
	}
	return out
}
