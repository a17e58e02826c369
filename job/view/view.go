// Package view is the one model of what is shown: plan, status, one cluster,
// simulation, forecast and policy as plain structs, made by pure functions.
// What a cluster's state is called, which date counts and what comes first is
// settled here; renderers lay out and decide nothing. For programs a view is
// written as JSON by its tags.
package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// Time is a time for programs: in UTC, null where there is none.
type Time struct{ time.Time }

// MarshalJSON writes it as in RFC 3339.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return t.UTC().MarshalJSON()
}

// WriteJSON writes a view as one indented object. Characters that could move a
// terminal are escaped, also where JSON does not ask for it.
func WriteJSON(w io.Writer, view any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(view)
	if err == nil {
		_, err = w.Write(words.HarmlessJSON(text.Bytes()))
	}
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// listed is never null in JSON.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// caOf is nil for a CA that there is not.
func caOf(ca fleet.CA) *fleet.CA {
	if ca.Fingerprint == "" {
		return nil
	}
	ca.Issued, ca.Expires = ca.Issued.UTC(), ca.Expires.UTC()
	return &ca
}

// Verified says whether an attempt that was closed so has left the new CA alone.
func Verified(as record.ClosedAs) bool {
	return as == record.Completed || as == record.CompletedElsewhere || as == record.CompletedWithFindings
}

// CompareSet orders times; one that is not known comes last.
func CompareSet(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		if a.IsZero() {
			return 1
		}
		return -1
	}
	return a.Compare(b)
}

// GKECompletes is from when GKE completes the rotation by itself; zero when it
// has not begun, or one CA is left.
func GKECompletes(r record.Rotation) time.Time {
	if r.Phase == record.Verifying || r.StartedAt().IsZero() {
		return time.Time{}
	}
	return r.StartedAt().Add(rules.AutoCompleteAfter)
}

// LastResort is from when GKE rotates the CA by itself, whatever the window; zero
// for a CA that there is not.
func LastResort(ca fleet.CA) time.Time {
	if ca.Expires.IsZero() {
		return ca.Expires
	}
	return ca.Expires.Add(-rules.LastResortBefore)
}

// Stay is one stay of a rotation in a phase.
type Stay struct {
	record.Transition
	Left time.Time
}

// Stays are those of a rotation, the last of them until then.
func Stays(r record.Rotation, until time.Time) []Stay {
	var out []Stay
	for i, tr := range r.Transitions {
		left := until
		if i+1 < len(r.Transitions) {
			left = r.Transitions[i+1].At
		}
		out = append(out, Stay{tr, left})
	}
	return out
}
