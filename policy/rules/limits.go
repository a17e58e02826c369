package rules

import (
	"time"

	"gke-credential-rotator/policy/fleet"
)

// GKE's own numbers, with their sources.
const (
	// AutoCompleteAfter: from seven days after its start GKE tries to complete
	// any rotation, whoever started it, and repeats until nodes are done.
	// (docs.cloud.google.com/kubernetes-engine, "Rotate your cluster credentials")
	AutoCompleteAfter = 7 * 24 * time.Hour
	// LastResortBefore: GKE starts a rotation itself within 30 days of expiry,
	// ignoring windows for the start. (same page)
	LastResortBefore = 30 * 24 * time.Hour
	// InsightBefore: the Recommender's insight appears at most 180 days before
	// expiry and goes within InsightLag of completion. (same page)
	InsightBefore = 180 * 24 * time.Hour
	// InsightLag is how long an insight may outlive its cause. (same page)
	InsightLag = 36 * time.Hour
	// DailyWindow is how long GKE's daily maintenance window is. (the API's
	// DailyMaintenanceWindow)
	DailyWindow = 4 * time.Hour
	// DegradedBefore: the status becomes DEGRADED seven days before expiry.
	// (same page)
	DegradedBefore = 7 * 24 * time.Hour
	// IssuedBack: a new CA's notBefore lies an hour before GKE made it. (in 46 of the 51
	// recorded clusters that show both dates, to within two seconds; the other five
	// share one made-up date)
	IssuedBack = fleet.IssuedBack
)

// Our own distances, built on GKE's.
const (
	// DeadlineBefore is when a rotation should have started: a day before
	// GKE's last resort.
	DeadlineBefore = LastResortBefore + 24*time.Hour
	// AgeDeadlineAfter is how long after MAX_CA_AGE a rotation is late.
	AgeDeadlineAfter = 90 * 24 * time.Hour
	// EmergencyReserve is what an emergency leaves between our completion and
	// the expiry.
	EmergencyReserve = 3 * 24 * time.Hour
	// EmergencySoak is the least soak an emergency gives.
	EmergencySoak = 4 * time.Hour
	// SoakAnew is the least soak after people were told anew, of what was loosened.
	SoakAnew = 24 * time.Hour
	// DateAhead is how far ahead ROTATE_ISSUED_BEFORE may lie: a date is a day
	// somewhere. It is taken as now.
	DateAhead = 24 * time.Hour
	// NodeSoak is the most of SOAK that must follow the last node work.
	NodeSoak = 24 * time.Hour
	// UnreadableLost closes a rotation whose cluster nobody could read.
	UnreadableLost = 14 * 24 * time.Hour
	// ProjectForgotten: what a project held is remembered for so long when it cannot be
	// read.
	ProjectForgotten = 14 * 24 * time.Hour
	// LastMomentBefore is how long before the expiry a wave no longer waits for an
	// earlier one.
	LastMomentBefore = LastResortBefore + 3*24*time.Hour
	// BlockedFreesSlot: a rotation blocked for longer holds no slot.
	BlockedFreesSlot = 8 * 24 * time.Hour
	// BlockedAfter: due and not startable within this needs action.
	BlockedAfter = 30 * 24 * time.Hour
	// StartApprovalLasts is how long an approval to start is good for.
	StartApprovalLasts = 14 * 24 * time.Hour
	// WaveBlockedAfter is how long a wave may be shut by what people must end before that is told.
	WaveBlockedAfter = 3 * 24 * time.Hour
)
