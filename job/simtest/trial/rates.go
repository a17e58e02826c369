package trial

import (
	"time"

	"google.golang.org/grpc/codes"

	"gke-credential-rotator/gke/gkesim"
)

// rates are how often a play's faults strike: at one boundary, read, write,
// request or start of a run.
type rates struct {
	kill, pause, hold, stop, overlap  float64
	stale, unread, missing            float64
	storedAway, writeLost, answerLost float64
	network                           float64
	alone, together, plan             float64
	// outside and people are about how often somebody does something.
	outside, people time.Duration
	skipDays        bool // the schedule is paused for days
	growing         bool // a dev fleet keeps growing
	oneWeek         bool // all CAs expire in one week
	moods           bool // settings change
	second          bool // a second deployment
}

// drawRates: every play has troubles of its own.
func (p *play) drawRates() rates {
	share := func(most float64) float64 { return p.dice.Float64() * most }
	r := rates{
		kill: share(0.12), pause: share(0.12), hold: share(0.05), stop: share(0.04), overlap: share(0.10),
		stale: share(0.25), unread: share(0.01), missing: share(0.01),
		storedAway: share(0.01), writeLost: share(0.03), answerLost: share(0.05),
		network: share(0.6), alone: share(0.5), together: share(0.15), plan: share(0.05),
		outside: p.between(12*time.Hour, 10*day), people: p.between(6*time.Hour, 5*day),
		skipDays: p.likely(0.4), growing: p.likely(0.2), oneWeek: p.likely(0.12), moods: p.likely(0.5),
		second: p.likely(0.25),
	}
	if !p.Faults {
		r.growing, r.moods, r.second = false, false, false
	}
	return r
}

// drawOptions: GKE behaves as nobody could confirm, this way or that.
func (p *play) drawOptions() gkesim.Options {
	yes := func() bool { return p.likely(0.5) }
	o := gkesim.Options{
		Seed: int64(p.Seed), Now: p.now, //nolint:gosec // any mapping will do
		StartTakes:    p.between(3*time.Minute, 40*time.Minute),
		CompleteTakes: p.between(2*time.Minute, 30*time.Minute),
		NodeTakes:     p.between(2*time.Minute, 12*time.Minute), GKEWaits: pick(p, time.Hour, day, 3*day, 8*day,
			8*day),
		RetryComplete: p.between(2*time.Hour, 36*time.Hour), ForgetOperations: pick(p, -1, 6*time.Hour, 2*day,
			14*day),
		LinksByID: yes(), NewFirst: yes(), EndpointLate: yes(), PrivateEndpointSwitches: yes(),
		DegradedAlone:    yes(),
		EmptyPoolsExempt: yes(), ManualPauses: yes(),
		RefuseStart:    pick(p, codes.AlreadyExists, codes.Aborted),
		RefuseComplete: pick(p, codes.FailedPrecondition, codes.InvalidArgument),
	}
	if !p.Faults {
		return o
	}
	if o.ManualPauses {
		p.fault("play: manual node work pauses at the window's end")
	}
	if o.ForgetOperations > 0 && o.ForgetOperations <= 2*day {
		p.fault("play: GKE forgets operations within two days")
	}
	if p.rates.oneWeek {
		p.fault("play: all CAs expire in one week")
	}
	return o
}
