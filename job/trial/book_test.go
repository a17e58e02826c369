package trial

import (
	"testing"

	"gke-credential-rotator/state"
	"gke-credential-rotator/state/statetest"
)

// TestBook: the play's book is a book as any other.
func TestBook(t *testing.T) {
	for name, fresh := range map[string]bool{"decoded once": false, "decoded at every read": true} {
		t.Run(name, func(t *testing.T) {
			statetest.Run(t, func(*testing.T) statetest.Opener {
				b := newBook(fresh)
				return func(*testing.T) state.Store { return b }
			})
		})
	}
}
