// Package reason is the one table of reasons: the code, what it means to people,
// and how the rules treat what is alike among reasons. Whoever asks "is this one
// of those that ...?" asks a column; a new reason is one row.
package reason

import (
	"maps"
	"slices"
	"strings"
)

// Code is the code behind a decision or a verdict; stable, for people to search
// and for alerts to match.
type Code string

// Info is one row of the table.
type Info struct {
	Sentence string
	Next     Advice // what a person can do; "" when nothing is needed
	// WaitsOn is who ends it when no clock of ours does.
	WaitsOn WaitsOn
	// NeedsAction: only a person can end it, so the decision is theirs.
	NeedsAction bool
	// Explains: it explains that a rotation stays in its phase, so it is not
	// stuck.
	Explains When
	// Catches: it stops a rotation in flight while GKE goes on, so people hear at
	// once.
	Catches When
	// BesideUs: GKE is at work beside the rotation, or does not show all. That ends by
	// itself, and people hear when it does not.
	BesideUs bool
	// Unclear: it says only that nobody can know more now; what was announced
	// stands.
	Unclear bool
	// ToldElsewhere: people know it already, or are told once for all.
	ToldElsewhere bool
	// Slot is the kind of slot that is not free, in words; Queued: only for that
	// the cluster waits, and it gets one of the next.
	Slot   string
	Queued bool
	// Standing is what it says of where a cluster stands that the action does not.
	Standing Standing
	// Never: we can never rotate such a cluster, so nobody waits for it.
	Never bool
	// Hold: people or owners stop it, until they say otherwise.
	Hold bool
	// Head: the message's head says in a few words what is waited for.
	Head bool
	// Blame is the setting, or what else it is, that people can change; "" where
	// the message names it.
	Blame string
}

// Advice is what people can do. Between backquotes stands what is typed, in which
// CLUSTER and ENV are names to fill in.
type Advice string

// String is the advice for people who fill in the names.
func (a Advice) String() string { return strings.ReplaceAll(string(a), "`", "") }

// Standing is where a cluster stands when its action does not say it.
type Standing int

// Where it stands.
const (
	ByAction     Standing = iota // as the action says
	Outside                      // outside the policy
	TooEarly                     // not due
	BehindOthers                 // idle, until what others wait for is over
	ByOwners                     // held by its owners, on the cluster itself
)

// WaitsOn is who ends something when no clock of ours does.
type WaitsOn int

// Who ends it.
const (
	OnNobody WaitsOn = iota // time, or the step itself
	OnPeople
	OnGKE
	OnRuns
)

// String says on whom.
func (w WaitsOn) String() string {
	return [...]string{"", "people", "GKE", "the next runs"}[w]
}

// When says under which condition something holds of a reason.
type When int

// The conditions.
const (
	Never When = iota
	Always
	WhileGKEWaits // while GKE's own policy is closed: it works only while that is open
	IfAfterGKE    // if it ends later than GKE may complete by itself
)

// Info explains the reason; the zero one explains a reason that there is not.
func (r Code) Info() Info { return table[r] }

// All are all reasons, by their codes.
func All() []Code { return slices.Sorted(maps.Keys(table)) }
