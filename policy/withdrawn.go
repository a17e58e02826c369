package policy

import (
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// countWithdrawn counts calls that were all taken back before they were sent: by
// the read under the intent, mostly. A run that is told to stop takes back what
// it has begun; that says nothing about the cluster.
func (d *Decision) countWithdrawn(r *record.Rotation, outcomes map[string]record.Outcome, now time.Time) {
	why := ""
	for _, o := range outcomes {
		switch {
		case o.State != record.Withdrawn:
			r.Withdrawals, r.WithdrawnTold = 0, time.Time{}
			return
		case o.Stopped:
			return
		}
		why = max(why, o.Raw)
	}
	if r.Withdrawals++; r.Withdrawals < record.WithdrawnOften {
		return
	}
	if d.Close != "" {
		d.Findings = []string{record.Clip(record.WithdrawnText(r.Withdrawals, why).String())}
	}
	if now.Sub(r.WithdrawnTold) < 24*time.Hour {
		return
	}
	r.WithdrawnTold = now
	d.event(blocked(reason.CallWithdrawn, record.WithdrawnText(r.Withdrawals, why).Clip(record.MaxMessage)))
}

// OftenWithdrawn says that the cluster's calls were taken back too often to be
// an accident; nil: they were not.
func (d Decision) OftenWithdrawn() fact.Text {
	switch {
	case d.Rotation != nil:
		return d.Rotation.OftenWithdrawn()
	case d.Tried != nil:
		return d.Tried.OftenWithdrawn()
	}
	return nil
}
