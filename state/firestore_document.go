package state

import (
	"fmt"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/policy/record"
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
	fieldKind     = "kind" // of a notice
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
	path     func(id string) string // a document's full name
	writes   []*pb.Write
	versions []*string // where each write's new version goes, or nil
	err      error
}

func (b *batch) add(w *pb.Write, version *string) {
	b.writes, b.versions = append(b.writes, w), append(b.versions, version)
}

func (b *batch) put(id, read string, v any, version *string) {
	w, cond := b.document(id, v), b.condition(id, read)
	if b.err != nil {
		return
	}
	// Firestore gives no new version to what stays the same, so a write must
	// never look like the one before it.
	w.GetUpdate().Fields[fieldReplaces] = text(read)
	w.CurrentDocument = cond
	b.add(w, version)
}

func (b *batch) keep(id string, v any, version *string) { b.add(b.document(id, v), version) }

// document makes the unconditional write.
func (b *batch) document(id string, v any) *pb.Write {
	body, err := bodyOf(v)
	b.fail(id, err)
	fields := shown(v)
	fields[fieldSchema] = &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: Schema}}
	fields[fieldBody] = text(string(body))
	return &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: b.path(id), Fields: fields}}}
}

// condition is that the document still has that version.
func (b *batch) condition(id, version string) *pb.Precondition {
	if version == "" {
		return &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: false}}
	}
	t, err := time.Parse(time.RFC3339Nano, version)
	if err != nil {
		b.fail(id, fmt.Errorf("no document has the version %q: %w", version, ErrConflict))
	}
	return &pb.Precondition{ConditionType: &pb.Precondition_UpdateTime{UpdateTime: timestamppb.New(t)}}
}

func (b *batch) remove(id, read string) { b.delete(id, b.condition(id, read)) }

func (b *batch) forget(id string) { b.delete(id, nil) }

func (b *batch) delete(id string, cond *pb.Precondition) {
	b.add(&pb.Write{Operation: &pb.Write_Delete{Delete: b.path(id)}, CurrentDocument: cond}, nil)
}

// notice has no condition, which would be one for all of the commit.
func (b *batch) notice(n *record.Notice) { b.keep(b.idOf(*n), n, &n.Version) }

func (b *batch) idOf(n record.Notice) string { return colNotices + "/" + n.ID }

func (b *batch) fail(id string, err error) {
	if b.err == nil && err != nil {
		b.err = fmt.Errorf("store %s: %w", id, err)
	}
}

// shown are the fields of a document beside its body.
func shown(v any) map[string]*pb.Value {
	switch v := v.(type) {
	case *record.Rotation:
		return map[string]*pb.Value{fieldCluster: text(v.Cluster.String()), fieldAttempt: text(v.AttemptID),
			fieldPhase: text(string(v.Phase))}
	case *record.Record:
		fields := shown(&v.Rotation)
		fields[fieldClosedAs] = text(string(v.ClosedAs))
		if !v.ClosedAt.IsZero() { // or it would be cleaned up at once
			fields[fieldClosedAt] = instant(v.ClosedAt)
			fields[fieldExpireAt] = instant(v.ClosedAt.Add(KeepHistory))
		}
		return fields
	case *record.Notice:
		return map[string]*pb.Value{fieldKind: text(string(v.Kind)), fieldCluster: text(v.Subject())}
	}
	return map[string]*pb.Value{}
}

// fromDocument reads all but what is in the body.
func fromDocument(id string, doc *pb.Document) (envelope, error) {
	fields := doc.GetFields()
	e := envelope{id: id, Schema: int(fields[fieldSchema].GetIntegerValue()),
		Version: version(doc.GetUpdateTime()), Body: []byte(fields[fieldBody].GetStringValue()),
		Made: doc.GetCreateTime().AsTime()}
	return e, e.check()
}
