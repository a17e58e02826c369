package state

import "time"

// Lease says which run is at work, as a courtesy to overlapping ones.
type Lease struct {
	Holder string    `json:"holder"` // execution/attempt/random
	Until  time.Time `json:"until"`
	// Now is the taker's clock.
	Now time.Time `json:"-"`
	// Release gives it back.
	Release bool `json:"-"`
}
