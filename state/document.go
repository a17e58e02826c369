package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// Schema is the version of the documents that this program writes. An older
// program refuses a newer document and says so.
const Schema = 1

// MaxDocument is the most that one document may take, in bytes of JSON. Firestore
// takes 1 MiB with names and the other fields (cloud.google.com/firestore/quotas).
// What the rules put into one document fits together: see [policy.MaxSlots].
const MaxDocument = 1_000_000

type envelope struct {
	Made    time.Time       `json:"-"` // when the document was created, where the store knows
	Schema  int             `json:"schema"`
	Version string          `json:"version"`
	Body    json.RawMessage `json:"body"`
}

// DocID is the document id of a cluster's rotation.
func DocID(ref fleet.Ref) string { return ref.Project + "~" + ref.Location + "~" + ref.Name }

// checkName refuses a name that would not be read again: it would make the whole
// store unreadable, or name another document.
func checkName(ref fleet.Ref) error {
	if again, err := fleet.ParseRef(ref.String()); err != nil || again != ref {
		return fmt.Errorf("the cluster's name %.300q cannot be stored: it would break a document's id", ref)
	}
	return nil
}

func encode(version string, v any) ([]byte, error) {
	body, err := bodyOf(v)
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{Schema: Schema, Version: version, Body: body})
}

func bodyOf(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(body) > MaxDocument+more(v) {
		return nil, fmt.Errorf("it takes %d bytes: %w", len(body), ErrTooLarge)
	}
	return body, nil
}

// forStop is room that only a stop of the whole fleet opens.
const forStop = 4096

// more is what the document may take beyond [MaxDocument].
func more(v any) int {
	if doc, is := v.(*record.FleetDoc); is &&
		slices.ContainsFunc(doc.Holds, func(h record.Hold) bool { return h.Cluster.IsZero() }) {
		return forStop
	}
	return 0
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

// open reads the envelope alone.
func open(id string, text []byte) (envelope, error) {
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		// A newer document may have another form: its schema alone tells.
		var newer struct {
			Schema int `json:"schema"`
		}
		if json.Unmarshal(text, &newer) == nil && newer.Schema > Schema {
			return e, envelope{Schema: newer.Schema}.check(id)
		}
		return e, fmt.Errorf("document %s cannot be read: %w", id, err)
	}
	return e, e.check(id)
}

func (e envelope) check(id string) error {
	switch {
	case e.Schema > Schema:
		return fmt.Errorf("document %s has schema %d, this program knows %d: %w", id, e.Schema, Schema, ErrNewer)
	case e.Schema < 1 || e.Version == "" || len(e.Body) == 0 || string(e.Body) == "null":
		return fmt.Errorf("document %s cannot be read: schema, version or body is missing", id)
	}
	return nil
}

func decode(id string, text []byte, v any) (version string, err error) {
	e, err := open(id, text)
	if err != nil {
		return "", err
	}
	if err := e.into(id, v); err != nil {
		return "", err
	}
	return e.Version, nil
}

func (e envelope) into(id string, v any) error {
	if err := json.Unmarshal(e.Body, v); err != nil {
		return fmt.Errorf("document %s cannot be read: %w", id, err)
	}
	return nil
}
