package state

import (
	"time"

	"gke-credential-rotator/policy/record"
)

// LeaseLasts is how long a lease is held after it was taken or renewed.
const LeaseLasts = 5 * time.Minute

// Lease says which run is at work, as a courtesy to overlapping ones.
type Lease struct {
	Holder string `json:"holder"` // execution/attempt/random
	// Since is when the holder took it, by its own clock; renewing keeps it.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until"`
	// Now is the taker's clock.
	Now time.Time `json:"-"`
	// Release gives it back.
	Release bool `json:"-"`
}

// HeldAt reports whether the lease keeps other runs out. One that ends later
// than any run with a right clock could have made it end was left by a wrong
// clock, and would keep everybody out until then: it is free.
func (l Lease) HeldAt(now time.Time) bool {
	return l.Holder != "" && now.Before(l.Until) && !l.Until.After(now.Add(LeaseLasts+record.Skew))
}

// grant gives the lease as it is after want was asked for, where l is stored.
func (l Lease) grant(want Lease) (held Lease, granted bool) {
	if l.Holder != want.Holder && l.HeldAt(want.Now) {
		return l, false
	}
	if want.Since = want.Now; l.Holder == want.Holder {
		want.Since = l.Since
	}
	return want, true
}
