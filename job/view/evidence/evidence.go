// Package evidence turns records of the history into what auditors ask for: which
// credentials were replaced by which, when, by whose leave, and under what policy.
// It adds nothing to the record and leaves nothing out.
package evidence

import (
	"io"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// Entry is one finished attempt. Fields are only ever added.
type Entry struct {
	Cluster   fleet.Ref `json:"cluster"`
	ClusterID string    `json:"clusterId"`
	AttemptID string    `json:"attemptId"`
	Attempt   int       `json:"attempt"`
	// ours, foreign (somebody else started it) or reclaimed (ours, accepted late)
	Origin   record.Origin   `json:"origin"`
	Managed  bool            `json:"managed"` // by this tool, to its end
	ClosedAs record.ClosedAs `json:"closedAs"`
	ClosedAt time.Time       `json:"closedAt"`
	// CompletedBy is us, other or unknown; "" when the old CA was not seen to go.
	CompletedBy string   `json:"completedBy"`
	Findings    []string `json:"findings"`

	OldCA    fleet.CA  `json:"oldCA"`
	NewCA    *fleet.CA `json:"newCA"` // null: none came
	Endpoint Change    `json:"endpoint"`
	DNS      string    `json:"dnsEndpoint,omitempty"`

	DueAt        time.Time `json:"dueAt,omitzero"`
	StartedAt    time.Time `json:"startedAt,omitzero"` // by GKE's clock, where its operation is known
	HandedOverAt time.Time `json:"handedOverAt,omitzero"`
	NodesDoneAt  time.Time `json:"nodesDoneAt,omitzero"`
	Wave         string    `json:"wave,omitempty"`
	Emergency    bool      `json:"emergency"`
	Compromised  bool      `json:"compromised"`

	Phases     []Phase     `json:"phases"`
	Approvals  []Approval  `json:"approvals"`
	ClosedBy   *Said       `json:"closedBy,omitempty"`   // a person ended the record
	WaveOpened *Said       `json:"waveOpened,omitempty"` // a person opened its wave, which was shut
	Calls      []Call      `json:"calls"`
	Operations []Operation `json:"operations"`

	// Policy is what it was started under, and PolicyAtCompletion what it was
	// completed under, where that was another; null: not on record.
	Policy             *record.InForce `json:"policy"`
	PolicyAtCompletion *record.InForce `json:"policyAtCompletion,omitempty"`
}

// Change is what something was and became; "" is unknown.
type Change struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

// Phase is one stay in a phase.
type Phase struct {
	Phase   record.Phase `json:"phase"`
	Entered time.Time    `json:"enteredAt"`
	Left    time.Time    `json:"leftAt"`
	Run     string       `json:"run"` // the execution that entered it
	Reason  reason.Code  `json:"reason"`
}

// Said is who said what, as stated, and in which execution it was recorded.
type Said struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Run    string    `json:"run"`
}

// Approval is one that a call of ours relied on.
type Approval struct {
	To record.CallKind `json:"to"`
	Said
}

// Call is one mutating call of ours and what came of it.
type Call struct {
	Kind      record.CallKind  `json:"kind"`
	Pool      string           `json:"pool,omitempty"`
	Intended  time.Time        `json:"intendedAt"`
	Run       string           `json:"run"`
	State     record.CallState `json:"outcome"`
	Answered  time.Time        `json:"answeredAt,omitzero"`
	Operation string           `json:"operation,omitempty"`
	Refusal   record.Refusal   `json:"refusal,omitempty"`
	Error     string           `json:"error,omitempty"`
}

// Operation is one of GKE's that made a step, whoever asked for it.
type Operation struct {
	What      string    `json:"what"` // start, or recreate
	Pool      string    `json:"pool,omitempty"`
	Name      string    `json:"name"`
	Started   time.Time `json:"startedAt,omitzero"`
	Ended     time.Time `json:"endedAt,omitzero"`
	Failures  int       `json:"failures,omitempty"`
	LastError string    `json:"lastError,omitempty"`
}

// Of makes the entry of a record.
func Of(rec record.Record) Entry {
	r := rec.Rotation
	e := Entry{
		Cluster: r.Cluster, ClusterID: r.ClusterID, AttemptID: r.AttemptID, Attempt: r.AttemptNo,
		Origin: r.Origin, Managed: r.Managed, ClosedAs: rec.ClosedAs, ClosedAt: rec.ClosedAt.UTC(),
		CompletedBy: rec.CompletedBy, Findings: append([]string{}, rec.Findings...), OldCA: r.Baseline.CA,
		Endpoint: Change{r.Baseline.Endpoint, r.Endpoint}, DNS: r.Baseline.DNS, DueAt: r.DueAt,
		StartedAt: r.StartedAt(), HandedOverAt: r.HandedOverAt, NodesDoneAt: r.NodesDoneAt(), Wave: r.Wave,
		Emergency: r.Emergency, Compromised: r.Compromised, Phases: phases(rec),
		Approvals: words.Each(r.Approvals, approval), Calls: calls(r), Operations: operations(r),
		Policy: r.InForce, PolicyAtCompletion: r.CompletedUnder,
	}
	if r.New.Fingerprint != "" {
		e.NewCA = &r.New
	}
	if r.WaveOpened != nil {
		s := said(*r.WaveOpened)
		e.WaveOpened = &s
	}
	if by := r.ClosedBy; rec.ClosedAs == record.ClosedByPeople || by != nil {
		s := said(rec.Said)
		if by != nil {
			s = said(*by)
		}
		e.ClosedBy = &s
	}
	return e
}

func approval(a record.ApprovalUse) Approval { return Approval{a.Kind, said(a.Said)} }

func said(s record.Said) Said { return Said{s.By, s.Reason, s.At.UTC(), s.Run} }

func phases(rec record.Record) []Phase {
	return words.Each(rec.Rotation.Stays(rec.ClosedAt), func(s record.Stay) Phase {
		return Phase{s.Phase, s.At.UTC(), s.Left.UTC(), s.Run, s.Reason}
	})
}

// calls lists every call on record by the time of its intent.
func calls(r record.Rotation) []Call {
	all := slices.Clone(r.Settled)
	for _, pool := range slices.Sorted(maps.Keys(r.PoolCalls)) {
		all = append(all, r.PoolCalls[pool])
	}
	if r.Call != nil {
		all = append(all, *r.Call)
	}
	slices.SortStableFunc(all, func(a, b record.Call) int { return a.IntentAt.Compare(b.IntentAt) })
	return words.Each(all, func(c record.Call) Call {
		return Call{c.Kind, c.Pool, c.IntentAt.UTC(), c.Run, c.State, c.AnsweredAt, c.Operation, c.Refusal,
			c.RawError}
	})
}

func operations(r record.Rotation) []Operation {
	out := []Operation{}
	add := func(what, pool string, w record.Work) {
		if w.Operation != "" || w.Failures > 0 {
			out = append(out, Operation{what, pool, w.Operation, w.StartedAt, w.EndedAt, w.Failures, w.LastError})
		}
	}
	add("start", "", r.StartOp)
	for _, pool := range slices.Sorted(maps.Keys(r.Pools)) {
		add("recreate", pool, r.Pools[pool])
	}
	return out
}

// WriteJSON writes the entry as one line.
func WriteJSON(w io.Writer, e Entry) error { return words.WriteJSON(w, "the evidence", e, nil) }
