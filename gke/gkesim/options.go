package gkesim

import "time"

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
}

func (o Options) withDefaults() Options {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&o.StartTakes, 12*time.Minute)
	or(&o.CompleteTakes, 8*time.Minute)
	or(&o.NodeTakes, 8*time.Minute)
	or(&o.RetryComplete, 24*time.Hour)
	or(&o.InsightLag, 36*time.Hour)
	if o.InsightReads <= 0 {
		o.InsightReads = 100
	}
	return o
}
