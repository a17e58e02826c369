package policy

import (
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/reason"
)

// withdrawnOften: so many calls in a row that were taken back before they were
// sent are no accident any more: people hear, once a day, and the cluster goes
// behind those whose calls go out.
const withdrawnOften = 2

// countWithdrawn counts calls that were all taken back before they were sent: by
// the read under the intent, mostly. A run that is told to stop takes back what
// it has begun; that says nothing about the cluster.
func (d *Decision) countWithdrawn(r *Rotation, outcomes map[string]Outcome, now time.Time) {
	why := ""
	for _, o := range outcomes {
		switch {
		case o.State != Withdrawn:
			r.Withdrawals, r.WithdrawnTold = 0, time.Time{}
			return
		case o.Stopped:
			return
		}
		why = max(why, o.Raw)
	}
	if r.Withdrawals++; r.Withdrawals < withdrawnOften {
		return
	}
	if d.Close != "" {
		d.Findings = []string{clip(withdrawnText(r.Withdrawals, why).String())}
	}
	if now.Sub(r.WithdrawnTold) < 24*time.Hour {
		return
	}
	r.WithdrawnTold = now
	d.Events = append(d.Events,
		Event{EventBlocked, reason.CallWithdrawn, withdrawnText(r.Withdrawals, why).Clip(MaxMessage)})
}

func withdrawnText(times int, why string) fact.Text {
	return fact.Sayf("its calls were taken back before they were sent, %d times in a row: %s", times, why)
}

// OftenWithdrawn says that the cluster's calls were taken back too often to be
// an accident; nil: they were not.
func (d Decision) OftenWithdrawn() fact.Text {
	switch r, t := d.Rotation, d.Tried; {
	case r != nil && r.Withdrawals >= withdrawnOften:
		return withdrawnText(r.Withdrawals, r.withdrawnWhy())
	case r == nil && t != nil && t.Withdrawals >= withdrawnOften:
		return withdrawnText(t.Withdrawals, t.LastError)
	}
	return nil
}

// OftenWithdrawn is [Decision.OftenWithdrawn] by what is stored.
func (r Rotation) OftenWithdrawn() fact.Text { return Decision{Rotation: &r}.OftenWithdrawn() }

// OftenWithdrawn is [Decision.OftenWithdrawn] by what is stored.
func (t Try) OftenWithdrawn() fact.Text { return Decision{Tried: &t}.OftenWithdrawn() }

func (r *Rotation) withdrawnWhy() string {
	why := ""
	for _, c := range r.Settled {
		if c.State == Withdrawn {
			why = c.RawError // the newest is the last
		}
	}
	return why
}

// tried gives what came of the cluster's last starts, on this CA; nil: nothing.
func (f *FleetDoc) tried(c Cluster) *Try {
	t, ok := f.Tries[c.Ref.String()]
	if !ok || t.ClusterID != c.ID || t.CA != c.Bundle.Oldest().Fingerprint {
		return nil
	}
	return &t
}

// follow lets an attempt count on from those before it that were taken back. If
// it is taken back, too, its record takes the place of theirs: nothing was sent.
func (t *Try) follow(r *Rotation) {
	if t != nil && t.Withdrawals > 0 {
		r.Follows, r.Withdrawals, r.WithdrawnTold = t.Attempt, t.Withdrawals, t.Told
	}
}

// noteWithdrawn remembers a start that was taken back, for the next one.
func (t *Try) noteWithdrawn(r *Rotation) {
	t.Withdrawals, t.Attempt, t.Told = r.Withdrawals, r.AttemptID, r.WithdrawnTold
	t.LastError = fact.Clip(r.withdrawnWhy(), maxPoolError)
	if n := len(r.Settled); n > 0 {
		t.Run = r.Settled[n-1].Run
	}
}
