package state

import (
	"fmt"
	"strings"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/policy/record"
)

// The collections, and the documents that there are once.
const (
	colRotations = "rotations"
	colHistory   = "history"
	colNotices   = "notices"
	idFleet      = "fleet/fleet"
	idLease      = "fleet/lease"
	idAnnounced  = colNotices + "/announced"
)

// The fields of a document. What the rules read is the body alone, as JSON: a
// field of Firestore's keeps times to the microsecond only. The others are for
// the queries, for Firestore's clean-up and for people.
const (
	fieldSchema   = "schema"
	fieldBody     = "body"
	fieldReplaces = "replaces" // the version it took the place of
	fieldCluster  = "cluster"
	fieldAttempt  = "attempt"
	fieldPhase    = "phase"
	fieldClosedAs = "closedAs"
	fieldClosedAt = "closedAt"
	fieldExpireAt = "expireAt" // TTL
)

// KeepHistory is how long after its closing a record is kept, in a database
// whose TTL policy is on: more than a year, for yearly audits.
const KeepHistory = 400 * 24 * time.Hour

func text(s string) *pb.Value { return &pb.Value{ValueType: &pb.Value_StringValue{StringValue: s}} }

func instant(t time.Time) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_TimestampValue{TimestampValue: timestamppb.New(t)}}
}

// batch is one commit in the making.
type batch struct {
	writes   []*pb.Write
	versions []*string // where each write's new version goes, or nil
	err      error
}

func (b *batch) add(w *pb.Write, version *string) {
	b.writes, b.versions = append(b.writes, w), append(b.versions, version)
}

// put creates or replaces the document if it still has the version read.
func (b *batch) put(id, read string, v any, fields map[string]*pb.Value, version *string) {
	w := b.document(id, v, fields)
	cond, err := unchangedSince(read)
	if w == nil || err != nil {
		b.fail(id, err)
		return
	}
	// Firestore gives no new version to what stays the same, so a write must
	// never look like the one before it.
	w.GetUpdate().Fields[fieldReplaces] = text(read)
	w.CurrentDocument = cond
	b.add(w, version)
}

// document makes the unconditional write; nil when it cannot be made.
func (b *batch) document(id string, v any, fields map[string]*pb.Value) *pb.Write {
	body, err := bodyOf(v)
	if err != nil {
		b.fail(id, err)
		return nil
	}
	all := map[string]*pb.Value{
		fieldSchema: {ValueType: &pb.Value_IntegerValue{IntegerValue: Schema}},
		fieldBody:   text(string(body)),
	}
	for name, value := range fields {
		all[name] = value
	}
	return &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: id, Fields: all}}}
}

func (b *batch) remove(id, read string) {
	cond, err := unchangedSince(read)
	if err != nil {
		b.fail(id, err)
		return
	}
	b.add(&pb.Write{Operation: &pb.Write_Delete{Delete: id}, CurrentDocument: cond}, nil)
}

func (b *batch) fail(id string, err error) {
	if b.err == nil && err != nil {
		b.err = fmt.Errorf("store %s: %w", id, err)
	}
}

// putRotation creates or replaces a rotation. An attempt that is opened again
// leaves the history: it is never on record twice.
func (b *batch) putRotation(r *record.Rotation) {
	if err := checkName(r.Cluster); err != nil {
		b.fail(colRotations, err)
		return
	}
	id, fresh := colRotations+"/"+DocID(r.Cluster), r.Version == ""
	b.put(id, r.Version, r, shown(r), &r.Version)
	if fresh {
		b.forget(r.AttemptID)
	}
}

// forget removes an attempt's record, if there is one.
func (b *batch) forget(attempt string) {
	if attempt != "" {
		b.checkAttempt(attempt)
		b.add(&pb.Write{Operation: &pb.Write_Delete{Delete: colHistory + "/" + attempt}}, nil)
	}
}

// close removes the active rotation and keeps the record.
func (b *batch) close(rec *record.Record) {
	r := &rec.Rotation
	b.remove(colRotations+"/"+DocID(r.Cluster), r.Version)
	b.checkAttempt(r.AttemptID)
	fields := shown(r)
	fields[fieldClosedAs] = text(string(rec.ClosedAs))
	if !rec.ClosedAt.IsZero() { // or it would be cleaned up at once
		fields[fieldClosedAt] = instant(rec.ClosedAt)
		fields[fieldExpireAt] = instant(rec.ClosedAt.Add(KeepHistory))
	}
	if w := b.document(colHistory+"/"+r.AttemptID, rec, fields); w != nil {
		b.add(w, nil)
	}
}

// checkAttempt refuses an attempt that cannot be a document's name.
func (b *batch) checkAttempt(id string) {
	if id == "" || strings.Trim(id, ".") == "" || strings.Contains(id, "/") || strings.HasPrefix(id, "__") {
		b.fail(colHistory, fmt.Errorf("the attempt's id %q cannot be kept under", id))
	}
}

func shown(r *record.Rotation) map[string]*pb.Value {
	return map[string]*pb.Value{fieldCluster: text(r.Cluster.String()), fieldAttempt: text(r.AttemptID),
		fieldPhase: text(string(r.Phase))}
}

// named gives the write the document's full name.
func (f *Firestore) named(w *pb.Write) *pb.Write {
	switch op := w.GetOperation().(type) {
	case *pb.Write_Update:
		op.Update.Name = f.path(op.Update.GetName())
	case *pb.Write_Delete:
		op.Delete = f.path(op.Delete)
	}
	return w
}

// fromDocument reads all but what is in the body.
func fromDocument(id string, doc *pb.Document) (envelope, error) {
	fields := doc.GetFields()
	e := envelope{Schema: int(fields[fieldSchema].GetIntegerValue()), Version: version(doc.GetUpdateTime()),
		Body: []byte(fields[fieldBody].GetStringValue()), Made: doc.GetCreateTime().AsTime()}
	return e, e.check(id)
}
