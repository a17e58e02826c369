package record

import (
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
)

// HandOver is what people must know to update their clients: the facts of one
// rotation at one moment, from the hand-over to the completion. Texts and
// commands are made of it; it is stored with the notice that carries it, for by
// the time that is sent the cluster may have gone on.
type HandOver struct {
	Cluster   fleet.Ref `json:"cluster"`
	AttemptID string    `json:"attemptId"`
	AttemptNo int       `json:"attemptNo"`
	Origin    Origin    `json:"origin"`
	At        time.Time `json:"at"` // when these facts were read
	// Moment is why it is told now.
	Moment HandOverMoment `json:"moment"`
	Phase  Phase          `json:"phase"`

	OldEndpoint string   `json:"oldEndpoint,omitempty"`
	NewEndpoint string   `json:"newEndpoint,omitempty"`
	DNS         string   `json:"dns,omitempty"`         // the DNS endpoint: it outlives rotations
	DNSExternal bool     `json:"dnsExternal,omitempty"` // it takes traffic from outside Google Cloud
	OldCA       fleet.CA `json:"oldCA"`
	NewCA       fleet.CA `json:"newCA"`

	Zonal     bool `json:"zonal,omitempty"` // the API server is gone for a moment at completion
	Autopilot bool `json:"autopilot,omitempty"`
	// NoWindow: the cluster has no maintenance window of its own, so GKE works at any hour.
	NoWindow bool `json:"noWindow,omitempty"`
	// Pools are the node pools that must be recreated, by name: true when done.
	Pools map[string]bool `json:"pools,omitempty"`

	// SoakEnds is when completion may begin at the earliest by SOAK.
	SoakEnds time.Time `json:"soakEnds,omitzero"`
	// Completes is before when we do not complete, as far as gates can tell; zero: not
	// known, and Waits says what for. Likely is when we likely do, where that is later:
	// until the nodes are done it is an estimate.
	Completes time.Time `json:"completes,omitzero"`
	Likely    time.Time `json:"likely,omitzero"`
	Waits     fact.Text `json:"waits,omitempty"`
	// Approval says that a person must say yes before we complete.
	Approval bool `json:"approval,omitempty"`
	// GKECompletes is from when GKE may complete by itself; GKEProbably is when it
	// likely does, by its window and the nodes.
	GKECompletes time.Time `json:"gkeCompletes,omitzero"`
	GKEProbably  time.Time `json:"gkeProbably,omitzero"`
	// Watched: we do not complete it, somebody else does.
	Watched bool `json:"watched,omitempty"`
	// Completed is when the old credentials were first seen gone.
	Completed time.Time `json:"completed,omitzero"`
}

// HandOverMoment is why people are told now.
type HandOverMoment string

// The moments at which people are told.
const (
	AtStartDone  HandOverMoment = "start-done" // old and new are in place
	AtLoosened   HandOverMoment = "loosened"   // the policy was, since people were told
	AtNodesDone  HandOverMoment = "nodes-done" // every pool trusts the new CA
	AtCompletion HandOverMoment = "completion" // the old ends soon
	AtAnyTime    HandOverMoment = "as-asked"   // somebody asked for it
)
