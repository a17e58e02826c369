package state

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gke-credential-rotator/policy/record"
)

// writer takes the writes of one change, of documents named COLLECTION/ID, and
// remembers the first thing that is wrong with them.
type writer interface {
	// put creates or replaces the document if it still has the version read.
	// The new version goes to version, once it is known.
	put(id, read string, v any, version *string)
	// keep is put without a condition.
	keep(id string, v any, version *string)
	// remove deletes the document if it still has the version read.
	remove(id, read string)
	// forget deletes it whatever its version, if there is one.
	forget(id string)
	// notice adds a notice behind all others, unless it is there.
	notice(n *record.Notice)
	// idOf is the document of a notice.
	idOf(n record.Notice) string
	fail(id string, err error)
}

// into makes the writes of the change, and gives it with its new versions.
func (c Change) into(w writer) Change {
	if c.Fleet != nil {
		doc := *c.Fleet
		c.Fleet = &doc
		w.put(idFleet, doc.Version, &doc, &doc.Version)
	}
	if c.Rotation != nil {
		r := *c.Rotation
		c.Rotation = &r
		w.fail(colRotations, checkName(r.Cluster))
		fresh := r.Version == ""
		w.put(colRotations+"/"+DocID(r.Cluster), r.Version, &r, &r.Version)
		if fresh { // an attempt that is opened again is never on record twice
			forgetAttempt(w, r.AttemptID)
		}
	}
	if c.Close != nil {
		r := c.Close.Rotation
		w.remove(colRotations+"/"+DocID(r.Cluster), r.Version)
		w.fail(colHistory, checkAttempt(r.AttemptID))
		w.keep(colHistory+"/"+r.AttemptID, c.Close, nil)
		forgetAttempt(w, c.Replaces)
	}
	if c.Standing != nil {
		m := *c.Standing
		c.Standing = &m
		w.put(idAnnounced, m.Version, &m, &m.Version)
	}
	c.Notices = slices.Clone(c.Notices)
	for i := range c.Notices {
		w.fail(colNotices, checkNotice(c.Notices[i].ID))
		w.notice(&c.Notices[i])
	}
	return c
}

// forgetAttempt removes an attempt's record, if there is one.
func forgetAttempt(w writer, attempt string) {
	if attempt != "" {
		w.fail(colHistory, checkAttempt(attempt))
		w.forget(colHistory + "/" + attempt)
	}
}

// checkAttempt refuses an attempt that cannot be a document's name.
func checkAttempt(id string) error {
	if id == "" || strings.Trim(id, ".") == "" || strings.Contains(id, "/") || strings.HasPrefix(id, "__") {
		return fmt.Errorf("the attempt's id %q cannot be kept under", id)
	}
	return nil
}

// checkNotice refuses an id that could not be part of a document's name.
func checkNotice(id string) error {
	if _, err := hex.DecodeString(id); err != nil || id == "" {
		return fmt.Errorf("the notice's id %.100q cannot be kept under", id)
	}
	return nil
}

// WriteLean is [Store.Write]; when the fleet document has become too large it
// leaves out of it what the next run sees again.
func WriteLean(ctx context.Context, s Store, c Change) (Change, error) {
	written, err := s.Write(ctx, c)
	if !errors.Is(err, ErrTooLarge) || c.Fleet == nil {
		return written, err
	}
	lean := c.Fleet.Lean()
	c.Fleet = &lean
	return s.Write(ctx, c)
}
