package gkesim

import (
	"cmp"
	"time"

	"google.golang.org/grpc/codes"
)

// Options say how this GKE behaves where Google does not document it.
type Options struct {
	Seed int64
	// Now is the simulated time at which the world begins.
	Now time.Time
	// StartTakes and CompleteTakes are how long those operations run.
	StartTakes, CompleteTakes time.Duration
	// NodeTakes is how long one group of surge nodes takes to recreate.
	NodeTakes time.Duration
	// GKEWaits is how long after a rotation's start GKE leaves the node pools
	// alone; then it recreates them whenever its policy is open. Longer than a
	// week means that somebody else must.
	GKEWaits time.Duration
	// RetryComplete is how often GKE repeats its own completion from day 7 on.
	RetryComplete time.Duration
	// InsightLag is how long an insight stays after the rotation's completion;
	// Google says up to 36 hours.
	InsightLag time.Duration
	// InsightReads is how often Recommender may be read a day; without paid
	// support Google allows 100 to an organisation.
	InsightReads int
	// InsightsAnywhere makes Recommender take "-" as a location. Whether
	// Google's does, nobody could confirm.
	InsightsAnywhere bool
	// ForgetOperations is how long GKE lists operations that have ended;
	// negative: for ever. Google does not say.
	ForgetOperations time.Duration
	// LinksByID makes operations name projects by id; recorded ones do mostly
	// by number.
	LinksByID bool
	// NewFirst puts the new CA first into the bundle of a rotation.
	NewFirst bool
	// RefuseStart is the code of "has an IP rotation in progress":
	// AlreadyExists or Aborted, which are both HTTP 409.
	RefuseStart codes.Code
	// RefuseComplete is the code of "does not have an IP rotation in progress"
	// and "requires recreation": FailedPrecondition or InvalidArgument, which
	// are both HTTP 400.
	RefuseComplete codes.Code
	// EndpointLate switches the endpoint to the new address when the rotation
	// is completed, not when it has been started.
	EndpointLate bool
	// PrivateEndpointSwitches gives private endpoints a new address too.
	PrivateEndpointSwitches bool
	// DegradedAlone leaves the condition CA_EXPIRING out of what a cluster
	// shows in its CA's last week.
	DegradedAlone bool
	// EmptyPoolsExempt lets pools without nodes need no recreation.
	EmptyPoolsExempt bool
	// BlueGreenByGKE lets GKE recreate blue-green pools in their own way for a
	// rotation, as an older page says; the present one lists rotations under surge.
	BlueGreenByGKE bool
	// ManualPauses pauses manual node work, too, when the window in which it
	// began closes.
	ManualPauses bool
	// Retired are versions that GKE no longer offers.
	Retired []string
}

func (o Options) withDefaults() Options {
	o.StartTakes = cmp.Or(max(o.StartTakes, 0), 12*time.Minute)
	o.CompleteTakes = cmp.Or(max(o.CompleteTakes, 0), 8*time.Minute)
	o.NodeTakes = cmp.Or(max(o.NodeTakes, 0), 8*time.Minute)
	o.RetryComplete = cmp.Or(max(o.RetryComplete, 0), 24*time.Hour)
	o.InsightLag = cmp.Or(max(o.InsightLag, 0), 36*time.Hour)
	o.InsightReads = cmp.Or(max(o.InsightReads, 0), 100)
	o.ForgetOperations = cmp.Or(o.ForgetOperations, 14*24*time.Hour)
	o.RefuseStart = cmp.Or(o.RefuseStart, codes.AlreadyExists)
	o.RefuseComplete = cmp.Or(o.RefuseComplete, codes.FailedPrecondition)
	return o
}
