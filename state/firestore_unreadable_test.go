package state_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/state"
)

// set stores fields of our choice, as another program might.
func set(t *testing.T, database, id string, fields map[string]*pb.Value) {
	t.Helper()
	_, err := emulated(t).UpdateDocument(asOwner(),
		&pb.UpdateDocumentRequest{Document: &pb.Document{Name: inDatabase(database) + "/documents/" + id,
			Fields: fields}})
	if err != nil {
		t.Fatal(err)
	}
}

func number(n int64) *pb.Value { return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: n}} }

func words(s string) *pb.Value { return &pb.Value{ValueType: &pb.Value_StringValue{StringValue: s}} }

type fieldsOf = map[string]*pb.Value

// TestFirestoreDocumentsThatCannotBeRead: each names its document and its store,
// and no write that did not read it goes over it.
func TestFirestoreDocumentsThatCannotBeRead(t *testing.T) {
	whole := words(`{"cluster":"p/l/c","attemptId":"one"}`)
	for _, tt := range []struct {
		name   string
		fields fieldsOf
		want   string
		newer  bool
	}{
		{"newer", fieldsOf{"schema": number(2), "body": words(`{}`)}, "schema 2", true},
		{"newer, of another form", fieldsOf{"schema": number(2), "state": whole}, "schema 2", true},
		{"no field", fieldsOf{}, "cannot be read", false},
		{"no schema", fieldsOf{"body": whole}, "cannot be read", false},
		{"a schema in words", fieldsOf{"schema": words("1"), "body": whole}, "cannot be read", false},
		{"a negative schema", fieldsOf{"schema": number(-1), "body": whole}, "cannot be read", false},
		{"no body", fieldsOf{"schema": number(1)}, "cannot be read", false},
		{"a body that is a number", fieldsOf{"schema": number(1), "body": number(1)}, "cannot be read", false},
		{"cut short", fieldsOf{"schema": number(1), "body": words(`{"clus`)}, "cannot be read", false},
		{"null", fieldsOf{"schema": number(1), "body": words(`null`)}, "cannot be read", false},
		{"wrong type", fieldsOf{"schema": number(1), "body": words(`{"attemptNo":"one"}`)}, "cannot be read",
			false},
		{"under another's name", fieldsOf{"schema": number(1), "body": words(`{"cluster":"p/l/other"}`)},
			"p/l/other", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			database := freshDatabase()
			s := openFirestore(t, database)
			set(t, database, "rotations/p~l~c", tt.fields)
			before := document(t, database, "rotations/p~l~c")
			b, err := s.Contents(context.Background())
			if err == nil || b.Known || errors.Is(err, state.ErrNewer) != tt.newer ||
				strings.Contains(err.Error(), "\n") {
				t.Fatalf("store %+v, error %v", b, err)
			}
			for _, want := range []string{tt.want, "document rotations/p~l~c", "firestore://" + project + "/" +
				database} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v lacks %q", err, want)
				}
			}
			r := newRotation("c", "two")
			for _, version := range []string{"", "9", "2026-11-21T02:00:00Z"} {
				r.Version = version
				if _, err := s.Write(context.Background(), state.Change{Rotation: &r}); !errors.Is(err,
					state.ErrConflict) {
					t.Errorf("a write of version %q: %v", version, err)
				}
			}
			if after := document(t, database,
				"rotations/p~l~c"); !after.GetUpdateTime().AsTime().Equal(before.GetUpdateTime().AsTime()) {
				t.Error("it was overwritten")
			}
		})
	}
}

// TestOtherDocumentsThatCannotBeRead: the documents that there are once, and
// the history.
func TestOtherDocumentsThatCannotBeRead(t *testing.T) {
	database, ctx := freshDatabase(), context.Background()
	s := openFirestore(t, database)
	newer := fieldsOf{"schema": number(2), "cluster": words("p/l/c")}
	for _, id := range []string{"fleet/fleet", "fleet/lease", "history/one"} {
		set(t, database, id, newer)
	}
	_, fleetErr := s.Fleet(ctx)
	_, contents := s.Contents(ctx)
	_, lease := s.Lease(ctx, state.Lease{Holder: "a", Now: time.Unix(0, 0), Until: time.Unix(60, 0)})
	_, history := s.History(ctx, fleet.Ref{Project: "p", Location: "l", Name: "c"})
	for want, err := range map[string]error{"document fleet/fleet": fleetErr,
		"fleet/fleet has schema 2": contents, "document fleet/lease": lease, "document history/one": history} {
		if !errors.Is(err, state.ErrNewer) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one that names %s", err, want)
		}
	}
	if records, err := s.History(ctx, fleet.Ref{Project: "p", Location: "l", Name: "other"}); err != nil ||
		len(records) != 0 {
		t.Errorf("another cluster's history: %v, %v", records, err)
	}
}
