// Package state is the store: what outlives a run. It stores intents and
// evidence; what they mean is policy's.
package state

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// Store keeps the store. Every write is conditional on what was read, so two
// runs never overwrite each other; no id, clock or GKE call is made inside it.
type Store interface {
	// Store gives all rotations in flight and the fleet document: one query
	// and one read.
	Contents(ctx context.Context) (record.Contents, error)
	// Fleet gives the fleet document alone.
	Fleet(ctx context.Context) (record.FleetDoc, error)
	// Rotation gives one rotation in flight, nil when there is none: one read.
	Rotation(ctx context.Context, ref fleet.Ref) (*record.Rotation, error)
	// Write applies the change at once or not at all and gives it back with
	// its new versions. [ErrConflict]: somebody wrote first, [ErrTooLarge]: it
	// does not fit; nothing was written. Any other error leaves it unclear
	// whether it was applied.
	Write(ctx context.Context, c Change) (Change, error)
	// History lists the closed attempts of a cluster, newest first.
	History(ctx context.Context, ref fleet.Ref) ([]record.Record, error)
	// Records gives the closed attempts of all clusters that were closed at since
	// or later, in the order of their closing, a page at a time: as many as there
	// are. An error is the last that it gives.
	Records(ctx context.Context, since time.Time) iter.Seq2[record.Record, error]
	// Outbox gives the notices that wait for a receiver, in the order in which
	// they were stored, and what was announced: one query.
	Outbox(ctx context.Context) (record.Outbox, error)
	// Delivered removes a notice that all have; else it keeps, as n.Had, which of
	// the receivers have it. What somebody removed stays removed.
	Delivered(ctx context.Context, n record.Notice, all bool) error
	// Lease takes or renews the courtesy lease and says who holds it.
	// Correctness never depends on it.
	Lease(ctx context.Context, l Lease) (held Lease, err error)
	// Holder gives the lease as it is stored, zero when there is none, and takes
	// nothing.
	Holder(ctx context.Context) (Lease, error)
	// Close releases what the store holds.
	Close() error
}

// Change is one atomic, conditional write. Its parts are written if their
// versions are still those that were read; an empty version means that there
// was nothing.
type Change struct {
	Fleet *record.FleetDoc
	// Rotation is created, or replaced.
	Rotation *record.Rotation
	// Close removes the active rotation of the record and keeps the record.
	Close *record.Record
	// Replaces is an attempt whose record the closed one takes the place of, so
	// that starts that were never sent leave one record, not one each; "": none.
	Replaces string
	// Notices are told to people once this change is stored. They are written
	// without a condition of their own: one with the id of another is the other.
	// They come back with their versions.
	Notices []record.Notice
	// Standing is what was announced and still stands.
	Standing *record.Standing
}

// ErrConflict says that somebody else wrote first. Nothing was written.
var ErrConflict = errors.New("somebody else wrote first")

// ErrTooLarge says that a document would take more than [MaxDocument]. Nothing
// was written.
var ErrTooLarge = fmt.Errorf("more than the %d bytes that a document may take", MaxDocument)

// ErrNewer says that a document was written by a newer version of the program,
// which this one must not touch.
var ErrNewer = errors.New("the store was written by a newer version of rotator; use that version")
