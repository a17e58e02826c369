package record

import (
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
)

// WithdrawnOften is how many calls in a row that were taken back before they were
// sent are no accident any more: people hear, once a day, and the cluster goes
// behind those whose calls go out.
const WithdrawnOften = 2

// WithdrawnText says so in words.
func WithdrawnText(times int, why string) fact.Text {
	return fact.Sayf("its calls were taken back before they were sent, %d times in a row: %s", times, why)
}

// OftenWithdrawn says that its calls were taken back too often to be an accident;
// nil: they were not.
func (r Rotation) OftenWithdrawn() fact.Text {
	if r.Withdrawals < WithdrawnOften {
		return nil
	}
	return WithdrawnText(r.Withdrawals, r.WithdrawnWhy())
}

// OftenWithdrawn is [Rotation.OftenWithdrawn] of starts.
func (t Try) OftenWithdrawn() fact.Text {
	if t.Withdrawals < WithdrawnOften {
		return nil
	}
	return WithdrawnText(t.Withdrawals, t.LastError)
}

// WithdrawnWhy is the cause of the newest of them.
func (r *Rotation) WithdrawnWhy() string {
	why := ""
	for _, c := range r.Settled {
		if c.State == Withdrawn {
			why = c.RawError // the newest is the last
		}
	}
	return why
}

// Tried gives what came of the cluster's last starts, on this CA; nil: nothing.
func (f *FleetDoc) Tried(c fleet.Cluster) *Try {
	t, ok := f.Tries[c.Ref.String()]
	if !ok || t.ClusterID != c.ID || t.CA != c.Bundle.Oldest().Fingerprint {
		return nil
	}
	return &t
}

// Follow lets an attempt count on from those before it that were taken back. If
// it is taken back, too, its record takes the place of theirs: nothing was sent.
func (t *Try) Follow(r *Rotation) {
	if t != nil && t.Withdrawals > 0 {
		r.Follows, r.Withdrawals, r.WithdrawnTold = t.Attempt, t.Withdrawals, t.Delivered
	}
}

// NoteWithdrawn remembers a start that was taken back, for the next one.
func (t *Try) NoteWithdrawn(r *Rotation) {
	t.Withdrawals, t.Attempt, t.Delivered = r.Withdrawals, r.AttemptID, r.WithdrawnTold
	t.LastError = fact.Clip(r.WithdrawnWhy(), MaxPoolError)
	if n := len(r.Settled); n > 0 {
		t.Run = r.Settled[n-1].Run
	}
}
