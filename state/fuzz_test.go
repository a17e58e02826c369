package state_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/job/simtest/corpus"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
	"gke-credential-rotator/state/statetest"
)

// kinds are the documents that the store holds.
var kinds = []func() any{
	func() any { return &record.Rotation{} }, func() any { return &record.FleetDoc{} },
	func() any { return &record.Record{} }, func() any { return &state.Lease{} },
}

// documents are one full and one nearly empty document of each kind, and what
// other versions of the program or other programs may have left.
func documents(f *testing.F, each func(kind uint8, body string)) {
	rotation, doc := statetest.Largest()
	small := record.Rotation{
		Cluster: fleet.Ref{Project: "p", Location: "l", Name: "c"}, AttemptID: "one", Phase: record.Starting,
		Call:  &record.Call{ID: "c", Kind: record.CallStart, IntentAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		Pools: map[string]record.Work{"web": {Failures: 1}},
	}
	for _, v := range []any{small, doc, record.Record{Rotation: small, ClosedAs: record.Completed},
		state.Lease{Holder: "a"}, rotation} {
		body, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		for kind := range kinds {
			if len(body) < 4<<10 {
				each(uint8(kind), string(body))
				each(uint8(kind), string(body[:len(body)/2]))
			}
		}
	}
	for kind := range kinds {
		for _, s := range []string{`{}`, `null`, ``, `[]`, `{"future":{"a":1},"cluster":"p/l/c"}`,
			`{"cluster":"p/l/../x"}`, `{"cluster":"p/l/c\n"}`, `{"cluster":"__p/l/c__"}`, `{"pools":{"":null}}`,
			`{"unexplained":-1,"transitions":[{}]}`, `{"attemptNo":1e300}`,
			`{"slots":{"p/l/c":{"since":"not a time"}}}`,
			`{"holds":[{"until":"9999-12-31T23:59:59.999999999+23:59"}]}`, `{"handedOverAt":"0000-01-01T00:00:00Z"}`} {
			each(uint8(kind), s)
		}
	}
}

// FuzzDocument: no stored text makes the program panic; a newer document is told
// from a bad one, both by their id; what is read is written and reads as the
// same, and a cluster that is read has an id of its own that no store refuses.
func FuzzDocument(f *testing.F) {
	c := corpus.Of(f)
	documents(f, func(kind uint8, body string) {
		c.Add(kind, []byte(`{"schema":1,"version":"7","body":`+body+`}`))
		if len(body) < 30 {
			c.Add(kind, []byte(`{"schema":2,"version":"7","body":`+body+`}`))
			c.Add(kind, []byte(`{"schema":0,"version":"7","body":`+body+`}`))
			c.Add(kind, []byte(`{"version":"","body":`+body+`}`))
		}
	})
	c.Add(uint8(0), []byte(`{"schema":2,"version":{"run":1},"rotation":{}}`)) // a newer one of another form
	c.AtLeast(100, 0)
	f.Fuzz(func(t *testing.T, kind uint8, text []byte) {
		defer corpus.Watch(text)()
		fresh := kinds[int(kind)%len(kinds)]
		first, second := fresh(), fresh()
		version, err := state.DecodeText("x", text, first)
		if err != nil {
			refusedRight(t, text, err)
			return
		}
		again, err := state.EncodeText(version, first)
		if err != nil {
			t.Skip("e.g. a year that JSON cannot write")
		}
		if got, err := state.DecodeText("x", again, second); err != nil || got != version {
			t.Fatalf("%s: written again it reads as version %q, error %v", text, got, err)
		}
		third, err := state.EncodeText(version, second)
		if err != nil || !reflect.DeepEqual(again, third) {
			t.Errorf("first %s\nthen %s\nerror %v", again, third, err)
		}
		checkIDs(t, text, first)
	})
}

// refusedRight: the error names the document, and is of the right kind.
func refusedRight(t *testing.T, text []byte, err error) {
	t.Helper()
	if !strings.Contains(err.Error(), "document x") {
		t.Errorf("%s: %v names no document", text, err)
	}
	var e struct{ Schema int }
	if newer := json.Unmarshal(text, &e) == nil && e.Schema > state.Schema; newer != errors.Is(err,
		state.ErrNewer) {
		t.Errorf("%s: schema %d, told as %v", text, e.Schema, err)
	}
}

// noID is what Firestore takes for no document's id.
var noID = regexp.MustCompile(`^\.\.?$|^__.*__$|/`)

func checkIDs(t *testing.T, text []byte, v any) {
	t.Helper()
	r, ok := v.(*record.Rotation)
	if !ok || r.Cluster.IsZero() {
		return
	}
	if id := state.DocID(r.Cluster); noID.MatchString(id) || len(id) > 1500 || !utf8.ValidString(id) ||
		strings.Count(id, "~") < 2 {
		t.Errorf("%s: the id %q cannot be stored", text, id)
	}
}

// FuzzFirestoreDocument: the same of a document of Firestore's, whatever fields
// it has.
func FuzzFirestoreDocument(f *testing.F) {
	c := corpus.Of(f)
	documents(f, func(kind uint8, body string) {
		c.Add(kind, int64(1), body, "", int64(1_795_000_000))
		if len(body) < 30 {
			c.Add(kind, int64(2), body, "more", int64(1))
			c.Add(kind, int64(0), body, "schema", int64(1))
			c.Add(kind, int64(-1), body, "body", int64(-1))
		}
	})
	c.AtLeast(100, 0)
	f.Fuzz(func(t *testing.T, kind uint8, schema int64, body, other string, updated int64) {
		defer corpus.Watch(body)()
		doc := &pb.Document{UpdateTime: &timestamppb.Timestamp{Seconds: updated % (1 << 36)},
			Fields: map[string]*pb.Value{
				"schema": number(schema), "body": words(body), other: words("something else"),
			}}
		fresh := kinds[int(kind)%len(kinds)]
		first, second := fresh(), fresh()
		if err := state.DecodeDocument("x", doc, first); err != nil {
			// Another field may have taken the schema's name.
			if !strings.Contains(err.Error(), "document x") ||
				errors.Is(err, state.ErrNewer) != (schema > state.Schema && other != "schema") {
				t.Errorf("schema %d, %s: %v", schema, body, err)
			}
			return
		}
		again, err := state.EncodeDocument(first)
		if err != nil {
			t.Skip("e.g. a year that JSON cannot write")
		}
		again.UpdateTime = doc.UpdateTime
		if err := state.DecodeDocument("x", again, second); err != nil || !reflect.DeepEqual(first, second) {
			t.Errorf("%s: written and read again it is %+v, error %v; it was %+v", body, second, err, first)
		}
		checkIDs(t, []byte(body), first)
	})
}
