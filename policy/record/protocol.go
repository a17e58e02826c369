package record

import (
	"time"

	"gke-credential-rotator/policy/fact"
)

// How a call survives crashes and overlaps; see ARCHITECTURE.md under those words.
const (
	// SendWithin is the longest between an intent's commit and its call.
	SendWithin = 60 * time.Second
	// CallTimeout is the transport's own limit, 45 s in Google's client.
	CallTimeout = 45 * time.Second
	// Late is how long after we gave up GKE may still accept. Assumed.
	Late = 15 * time.Minute
	// Stale is how old a read may be. Assumed.
	Stale = 5 * time.Minute
	// Skew is how far apart two of our clocks may be. Assumed.
	Skew = 5 * time.Minute
	// SettleAfter is when absence begins to prove something: larger than the sum of
	// all of the above, which a test asserts.
	SettleAfter = 30 * time.Minute
	// Room is what a start, node or complete call needs of open window.
	Room = SendWithin + CallTimeout + Late
)

// backOff is how long the next try waits after a refusal: the first, second and every later one.
var backOff = [...]time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour}

// NextTry is when one may try again after so many failures.
func NextTry(failures int, now time.Time) time.Time {
	return now.Add(backOff[min(failures, len(backOff))-1])
}

// Sizes of what is stored. Texts are counted as JSON has them, so what is
// limited here is what a document takes: all that is in the fleet document at
// once fits into it, but for what the next run sees again, see [FleetDoc.Lean].
const (
	// MaxSlots is the most that the settings may allow in sum, and the most that
	// the fleet document holds. Adopted rotations beyond it go on without a slot.
	MaxSlots       = 1000
	MaxMessage     = 500 // bytes of any message or raw error
	MaxOperations  = 200 // operations remembered per cluster
	MaxTransitions = 200
	MaxSettled     = 50
	MaxLost        = 100 // clusters whose attempt was closed unread
	MaxOnGKE       = 100 // clusters that wait for work of GKE's own
	MaxBlocked     = 500 // due-and-blocked reasons in the fleet document
	MaxSaid        = 200 // holds, approvals and requests in the fleet document, each
	MaxStops       = 50  // holds on projects, and holds on all clusters, each; they come on top
	MaxMatched     = 200 // clusters that a hold by labels remembers, of all such holds
	MaxTries       = 200 // clusters whose starts came to nothing
	MaxFailures    = 200 // failed or stuck rotations that nobody has acknowledged
	MaxBy          = 100 // bytes of who said something
	MaxWhy         = 200 // bytes of why
	MaxWaveNotes   = 50
	MaxProjects    = 500 // projects of which it is remembered what they held
	MaxCounted     = 20  // failed operations remembered per pool
	MaxPoolError   = 200 // bytes of a pool's or a try's last error: there may be many
)

// FailuresBeforePeople is how many failures of one thing end our own tries.
const FailuresBeforePeople = 3

// Clip keeps a message within what a document allows.
func Clip(s string) string { return fact.Clip(s, MaxMessage) }
