package state

import (
	"context"
	"encoding/json"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// InWrite does something while the store is being written.
func (f *File) InWrite(do func()) error {
	return f.update(context.Background(), func(documents) error { do(); return nil })
}

// DecodeText reads a stored document, as the file store holds it.
func DecodeText(id string, text []byte, v any) (version string, err error) {
	e, err := open(id, text)
	if err == nil {
		err = e.into(v)
	}
	return e.Version, err
}

// EncodeText writes one.
func EncodeText(version string, v any) ([]byte, error) {
	body, err := bodyOf(v)
	if err != nil {
		return nil, err
	}
	return json.Marshal(envelope{Schema: Schema, Version: version, Body: body})
}

// DecodeDocument reads one of Firestore's.
func DecodeDocument(id string, doc *pb.Document, v any) error {
	e, err := fromDocument(id, doc)
	if err != nil {
		return err
	}
	return e.into(v)
}

// EncodeDocument writes the fields of one of Firestore's.
func EncodeDocument(v any) (*pb.Document, error) {
	b := batch{path: strings.Clone}
	w := b.document("rotations/x", v)
	return w.GetUpdate(), b.err
}
