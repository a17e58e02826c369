package record

import (
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
)

// AwayLasts is how long a receiver may be away before the soak counts without it, if
// another has taken the hand-over.
const AwayLasts = 24 * time.Hour

// ToldAt is when the hand-over was made from which the soak counts, delivered or not.
func (r Rotation) ToldAt() time.Time {
	if r.RetoldAt.After(r.HandedOverAt) {
		return r.RetoldAt
	}
	return r.HandedOverAt
}

// HandTo names those to whom a hand-over goes that is made now. Who is named or removed
// later changes nothing.
func (r *Rotation) HandTo(receivers []string) {
	r.Delivery = nil
	for _, name := range receivers {
		if r.Delivery == nil {
			r.Delivery = map[string]time.Time{}
		}
		r.Delivery[name] = time.Time{}
	}
}

// Undelivered names the receivers that have not taken the hand-over.
func (r Rotation) Undelivered() []string {
	var names []string
	for name, at := range r.Delivery {
		if at.IsZero() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// DeliveredAt is when all who were named had taken the hand-over, as of now; zero: not yet.
// One that was away for [AwayLasts] while another took it is not awaited.
func (r Rotation) DeliveredAt(now time.Time) time.Time {
	limit := r.ToldAt().Add(AwayLasts)
	all, inTime, first := r.ToldAt(), time.Time{}, time.Time{}
	for _, at := range r.Delivery {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
		if !at.IsZero() && at.Before(limit) && at.After(inTime) {
			inTime = at
		}
		if at.After(all) {
			all = at
		}
	}
	switch {
	case first.IsZero() && len(r.Delivery) > 0:
		return time.Time{}
	case len(r.Undelivered()) > 0 && now.Before(limit):
		return time.Time{}
	case len(r.Undelivered()) == 0 && all.Before(limit):
		return all
	case inTime.IsZero():
		return first
	}
	return inTime
}

// TakenBy notes who has taken the hand-over, once.
func (r *Rotation) TakenBy(name string, now time.Time) {
	if at, named := r.Delivery[name]; named && at.IsZero() {
		r.Delivery = maps.Clone(r.Delivery)
		r.Delivery[name] = now
	}
}

// Waiting says who has not taken the hand-over; nil: all have.
func (r Rotation) Waiting() fact.Text {
	names := r.Undelivered()
	if len(names) == 0 {
		return nil
	}
	return fact.Sayf("the hand-over has not reached %s", fact.Some(names)).Tailf(" since %v", r.ToldAt())
}
