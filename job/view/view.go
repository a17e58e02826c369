// Package view is the one model of what is shown: plan, status, one cluster,
// simulation, forecast and policy as plain structs, made by pure functions.
// What a cluster's state is called, which date counts and what comes first is
// settled here; renderers lay out and decide nothing. For programs a view is
// written as JSON by its tags.
package view

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
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
	return words.WriteJSON(w, "JSON", view, func(e *json.Encoder) {
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
	})
}

// listed and filled are never null in JSON.
func listed[T any](list []T) []T { return append([]T{}, list...) }

func filled[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

// only are those of the list that are wanted; like [listed].
func only[T any](list []T, wanted func(T) bool) []T {
	return slices.DeleteFunc(listed(list), func(x T) bool { return !wanted(x) })
}

// caOf is nil for a CA that there is not.
func caOf(ca fleet.CA) *fleet.CA {
	if ca.Fingerprint == "" {
		return nil
	}
	ca.Issued, ca.Expires = ca.Issued.UTC(), ca.Expires.UTC()
	return &ca
}

// CompareSet orders times; one that is not known comes last.
func CompareSet(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		return b.Compare(a)
	}
	return a.Compare(b)
}

// Latest is the last of the times.
func Latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// GKECompletes is from when GKE completes the rotation by itself; zero when it
// has not begun, or one CA is left.
func GKECompletes(r record.Rotation) time.Time {
	if r.Phase == record.Verifying || r.StartedAt().IsZero() {
		return time.Time{}
	}
	return rules.AutoComplete(r)
}

// LastResort is from when GKE rotates the CA by itself, whatever the window; zero
// for a CA that there is not.
func LastResort(ca fleet.CA) time.Time {
	if ca.Expires.IsZero() {
		return ca.Expires
	}
	return ca.Expires.Add(-rules.LastResortBefore)
}

// Words say things to readers: one sentence for one reason wherever it is read,
// harmless, and with its times in their zone.
type Words struct{ words.Clock }

// Say writes what the rules say.
func (w Words) Say(t fact.Text) string { return t.Show(words.Harmless, w.At) }

// Sentence is the message, or what the reason means when there is none.
func (w Words) Sentence(r reason.Code, message fact.Text) string {
	return cmp.Or(w.Say(message), r.Info().Sentence)
}

// Left says of a cluster why it is not rotated by a forecast's end.
func (w Words) Left(l sim.Left) string {
	text := w.Sentence(l.Reason, l.Message)
	if l.Held.Gate != "" && l.Held.Reason != l.Reason {
		text = w.Sentence(l.Held.Reason, l.Held.Message) + "; at the end: " + text
	}
	text = words.If(l.Held.Time > 0, words.Lasting(l.Held.Time)+" of waiting: ") + text
	if l.Due.IsZero() {
		return text
	}
	return words.Joined("due since "+words.Day(l.Due), text, "deadline "+words.Day(l.Deadline))
}

// What people can always do about a cluster.
const (
	ToExplain  = "`rotator plan --explain CLUSTER`"
	ToHandOver = "`rotator handover CLUSTER`"
)
