package state

import (
	"context"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"go.etcd.io/bbolt"
)

// InWrite does something while the store is being written.
func (f *File) InWrite(do func()) error {
	return f.update(context.Background(), func(*bbolt.Tx) error { do(); return nil })
}

// DecodeText reads a stored document, as the file store holds it.
func DecodeText(id string, text []byte, v any) (version string, err error) {
	return decode(id, text, v)
}

// EncodeText writes one.
func EncodeText(version string, v any) ([]byte, error) { return encode(version, v) }

// DecodeDocument reads one of Firestore's.
func DecodeDocument(id string, doc *pb.Document, v any) error {
	e, err := fromDocument(id, doc)
	if err != nil {
		return err
	}
	return e.into(id, v)
}

// EncodeDocument writes the fields of one of Firestore's.
func EncodeDocument(v any) (*pb.Document, error) {
	var b batch
	w := b.document("rotations/x", v, nil)
	return w.GetUpdate(), b.err
}
