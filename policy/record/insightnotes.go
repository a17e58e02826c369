package record

import (
	"time"

	"gke-credential-rotator/policy/fleet"
)

// What may be read of Recommender's insights. The free tier is 100 reads a day
// in a whole organisation, and the organisation has other readers.
const (
	MaxInsightReads = 50 // in any 24 hours, over the fleet
	// InsightEvery is how long a location is not asked again, whatever came of
	// the last time; also how long a used-up quota is left alone.
	InsightEvery = 24 * time.Hour

	MaxInsightNotes = 300                 // locations remembered
	MaxMismatches   = 50                  // clusters remembered
	InsightForget   = 10 * 24 * time.Hour // a location that nobody wants any more
)

// InsightPlace is what one read covers: Recommender knows no wildcard.
type InsightPlace struct{ Project, Location string }

// PlaceOf is where the cluster lies.
func PlaceOf(ref fleet.Ref) InsightPlace { return InsightPlace{ref.Project, ref.Location} }

// String gives the place's key in the fleet document, PROJECT/LOCATION.
func (l InsightPlace) String() string { return l.Project + "/" + l.Location }

// InsightNote is the last read of a place.
type InsightNote struct {
	At time.Time `json:"at"`
	// Answered: the answer came, and was whole.
	Answered bool `json:"answered,omitempty"`
}

// Contradiction is how an insight contradicts a certificate.
type Contradiction string

// The contradictions.
const (
	InsightMissing Contradiction = "missing" // the CA expires soon and no insight says so
	InsightLingers Contradiction = "lingers" // an insight says so of a CA that does not
)

// Mismatch is a contradiction that a read showed, about that very CA.
type Mismatch struct {
	What Contradiction     `json:"what"`
	CA   fleet.Fingerprint `json:"ca"`
}

// InsightRead is when Recommender last answered about the cluster's place;
// zero: it has not, or there are more mismatches than are remembered.
func (b Contents) InsightRead(c fleet.Cluster) time.Time {
	note := b.Fleet.InsightNote(c)
	if !note.Answered || len(b.Fleet.Mismatches) >= MaxMismatches {
		return time.Time{}
	}
	return note.At
}

// InsightNote is the last read of the cluster's place.
func (f FleetDoc) InsightNote(c fleet.Cluster) InsightNote {
	return f.Insights[PlaceOf(c.Ref).String()]
}

// InsightActive is the state of an insight that nobody has accepted or
// dismissed.
const InsightActive = "ACTIVE"

// Insight is what Recommender says about the CA of one cluster: that it
// expires. It is shown beside the certificate and decides nothing.
type Insight struct {
	Cluster fleet.Ref
	State   string // ACTIVE, ACCEPTED or DISMISSED, or what the API adds
}

// InsightAnswer is what came of one read.
type InsightAnswer struct {
	Place InsightPlace
	Found []Insight
	// Complete is false when there was more than one answer holds: then an
	// absent insight proves nothing.
	Complete bool
}
