package state

import (
	"encoding/json"
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

// The collections, and the documents that there are once.
const (
	colRotations = "rotations"
	colHistory   = "history"
	colNotices   = "notices"
	colFleet     = "fleet"
	idFleet      = colFleet + "/fleet"
	idLease      = colFleet + "/lease"
	idAnnounced  = colNotices + "/announced"
)

// envelope is a stored document; without a version there is none.
type envelope struct {
	id      string          // for people
	value   any             // what the body says, where the store keeps that
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

// forStop is room that only a stop of the whole fleet or of a project opens.
const forStop = 32 << 10

// more is what the document may take beyond [MaxDocument].
func more(v any) int {
	if doc, is := v.(*record.FleetDoc); is &&
		slices.ContainsFunc(doc.Holds, func(h record.Hold) bool { return h.Stop() }) {
		return forStop
	}
	return 0
}

// open reads the envelope alone.
func open(id string, text []byte) (envelope, error) {
	e := envelope{id: id}
	if err := json.Unmarshal(text, &e); err != nil {
		// A newer document may have another form: its schema alone tells.
		var newer struct {
			Schema int `json:"schema"`
		}
		if json.Unmarshal(text, &newer) == nil && newer.Schema > Schema {
			return e, envelope{id: id, Schema: newer.Schema}.check()
		}
		return e, fmt.Errorf("document %s cannot be read: %w", id, err)
	}
	return e, e.check()
}

func (e envelope) check() error {
	switch {
	case e.Schema > Schema:
		return fmt.Errorf("document %s has schema %d, this program knows %d: %w", e.id, e.Schema, Schema, ErrNewer)
	case e.Schema < 1 || e.Version == "" || len(e.Body) == 0 || string(e.Body) == "null":
		return fmt.Errorf("document %s cannot be read: schema, version or body is missing", e.id)
	}
	return nil
}

func (e envelope) into(v any) error {
	if err := json.Unmarshal(e.Body, v); err != nil {
		return fmt.Errorf("document %s cannot be read: %w", e.id, err)
	}
	return nil
}

// read gives what the document says: the zero value where there is none.
func read[T any](e envelope) (v T, err error) {
	if kept, is := e.value.(*T); is {
		return *kept, nil
	}
	if e.Version != "" {
		err = e.into(&v)
	}
	return v, err
}
