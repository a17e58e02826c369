package state_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
	"gke-credential-rotator/state/emulator"
	"gke-credential-rotator/state/statetest"
)

const project = "ops-test"

// freshDatabase is one that was never used, which is an empty one.
func freshDatabase() string { return "t-" + strings.ToLower(rand.Text()) }

func openFirestore(t *testing.T, database string, opts ...option.ClientOption) *state.Firestore {
	t.Helper()
	s, err := state.OpenFirestore(context.Background(), project, database,
		state.FirestoreOptions{Emulator: emulator.Start(t), Client: opts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestFirestore(t *testing.T) {
	host := emulator.Start(t)
	statetest.Run(t, func(*testing.T) statetest.Opener {
		database := freshDatabase()
		return func(t *testing.T) state.Store {
			s, err := state.OpenFirestore(context.Background(), project, database,
				state.FirestoreOptions{Emulator: host})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}

// emulated is Firestore's own API, past our code.
func emulated(t *testing.T) pb.FirestoreClient {
	t.Helper()
	conn, err := grpc.NewClient(emulator.Start(t), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return pb.NewFirestoreClient(conn)
}

func asOwner() context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer owner")
}

func inDatabase(database string) string { return "projects/" + project + "/databases/" + database }

func document(t *testing.T, database, id string) *pb.Document {
	t.Helper()
	doc, err := emulated(t).GetDocument(asOwner(),
		&pb.GetDocumentRequest{Name: inDatabase(database) + "/documents/" + id})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func newRotation(name, attempt string) record.Rotation {
	return record.Rotation{Cluster: fleet.Ref{Project: "p", Location: "l", Name: name}, AttemptID: attempt,
		Phase: record.Starting, Origin: record.Ours}
}

// TestDocumentFields: what queries, Firestore's clean-up and people need stands
// beside the body.
func TestDocumentFields(t *testing.T) {
	database := freshDatabase()
	s := openFirestore(t, database)
	r := newRotation("c", "one")
	got, err := s.Write(context.Background(), state.Change{Rotation: &r})
	if err != nil {
		t.Fatal(err)
	}
	f := document(t, database, "rotations/p~l~c").GetFields()
	if f["schema"].GetIntegerValue() != state.Schema || f["cluster"].GetStringValue() != "p/l/c" ||
		f["phase"].GetStringValue() != "starting" || f["attempt"].GetStringValue() != "one" {
		t.Errorf("rotation %v", f)
	}
	closed := time.Date(2026, 11, 21, 2, 0, 0, 123456789, time.UTC)
	if _, err := s.Write(context.Background(),
		state.Change{Close: &record.Record{Rotation: *got.Rotation, ClosedAs: record.Completed,
			ClosedAt: closed}}); err != nil {
		t.Fatal(err)
	}
	f = document(t, database, "history/one").GetFields()
	if at := f["expireAt"].GetTimestampValue().AsTime(); at.Sub(closed).Round(time.Second) != state.KeepHistory || f["closedAs"].GetStringValue() != "completed" {
		t.Errorf("record %v", f)
	}
	records, err := s.History(context.Background(), r.Cluster)
	if err != nil || len(records) != 1 || !records[0].ClosedAt.Equal(closed) {
		t.Errorf("history %v, %v; want the nanoseconds back", records, err)
	}
}

// TestUndatedRecord: a record without a time is not cleaned up at once.
func TestUndatedRecord(t *testing.T) {
	database := freshDatabase()
	s := openFirestore(t, database)
	r := newRotation("c", "one")
	got, err := s.Write(context.Background(), state.Change{Rotation: &r})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(context.Background(),
		state.Change{Close: &record.Record{Rotation: *got.Rotation}}); err != nil {
		t.Fatal(err)
	}
	if f := document(t, database, "history/one").GetFields(); f["expireAt"] != nil {
		t.Errorf("expires at %v", f["expireAt"])
	}
	for _, id := range []string{"", "..", "a/b", "__x__"} {
		r := newRotation("d", id)
		got, err := s.Write(context.Background(), state.Change{Rotation: &r})
		if err == nil {
			_, err = s.Write(context.Background(), state.Change{Close: &record.Record{Rotation: *got.Rotation}})
		}
		if err == nil || errors.Is(err, state.ErrConflict) || !strings.Contains(err.Error(), "attempt's id") {
			t.Errorf("an attempt named %q: %v", id, err)
		}
	}
}

// calls counts what is sent, below all retries, and may spoil the answer.
type calls struct {
	commits, gets, queries, others atomic.Int32
	spoil                          func(method string, err error) error
}

func (c *calls) count(method string) {
	switch method[strings.LastIndex(method, "/")+1:] {
	case "Commit":
		c.commits.Add(1)
	case "BatchGetDocuments":
		c.gets.Add(1)
	case "RunQuery":
		c.queries.Add(1)
	default:
		c.others.Add(1)
	}
}

func (c *calls) options() []option.ClientOption {
	unary := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		c.count(method)
		err := invoke(ctx, method, req, reply, cc, opts...)
		if c.spoil != nil {
			err = c.spoil(method, err)
		}
		return err
	}
	stream := func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
		open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		c.count(method)
		if c.spoil != nil {
			if err := c.spoil(method, nil); err != nil {
				return nil, err
			}
		}
		return open(ctx, desc, cc, method, opts...)
	}
	return []option.ClientOption{option.WithGRPCDialOption(grpc.WithUnaryInterceptor(unary)),
		option.WithGRPCDialOption(grpc.WithStreamInterceptor(stream))}
}

// TestWriteIsSentOnce: a commit whose answer is lost is unclear. Sent again it
// would meet itself and be told as a conflict, although it was written.
func TestWriteIsSentOnce(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.ResourceExhausted, codes.Internal,
		codes.DeadlineExceeded, codes.Unknown} {
		c := &calls{spoil: func(_ string, err error) error {
			if err == nil {
				return status.Error(code, "the answer is lost")
			}
			return err
		}}
		s, database := (*state.Firestore)(nil), freshDatabase()
		s = openFirestore(t, database, c.options()...)
		r := newRotation("c", "one")
		_, err := s.Write(context.Background(), state.Change{Rotation: &r, Fleet: &record.FleetDoc{Env: "test"}})
		if err == nil || errors.Is(err, state.ErrConflict) {
			t.Errorf("%s: told as %v, want unclear", code, err)
		}
		if n := c.commits.Load(); n != 1 || c.others.Load() != 0 {
			t.Errorf("%s: %d commits and %d other calls were sent, want one commit", code, n, c.others.Load())
		}
		if b, err := openFirestore(t, database).Contents(context.Background()); err != nil ||
			len(b.Rotations) != 1 {
			t.Errorf("%s: it was written: %v, %v", code, b, err)
		}
	}
}

// TestLargeBook: five hundred rotations in flight are one query and one read,
// and reading sends nothing else.
func TestLargeStore(t *testing.T) {
	const n = 500
	database := freshDatabase()
	w := openFirestore(t, database)
	for i := range n {
		r := newRotation(fmt.Sprintf("c-%d", i), fmt.Sprintf("attempt-%d", i))
		r.Caught = []string{strings.Repeat("x", 4<<10)}
		if _, err := w.Write(context.Background(), state.Change{Rotation: &r}); err != nil {
			t.Fatal(err)
		}
	}
	var c calls
	s := openFirestore(t, database, c.options()...)
	b, err := s.Contents(context.Background())
	if err != nil || len(b.Rotations) != n {
		t.Errorf("%d rotations, %v", len(b.Rotations), err)
	}
	if c.queries.Load() != 1 || c.gets.Load() != 1 || c.commits.Load()+c.others.Load() != 0 {
		t.Errorf("%d queries, %d reads, %d commits, %d others; want one query and one read", c.queries.Load(),
			c.gets.Load(), c.commits.Load(), c.others.Load())
	}
}

// TestFleetIsNeverNewer: a start stores rotation and slot at once, and no reader
// ever sees a slot whose rotation is not there: it might take it for a left one.
func TestFleetIsNeverNewer(t *testing.T) {
	database := freshDatabase()
	s := openFirestore(t, database)
	over := make(chan error, 1)
	go func() {
		var doc record.FleetDoc
		for i := range 100 {
			r := newRotation(fmt.Sprintf("c-%d", i), fmt.Sprintf("attempt-%d", i))
			next := doc
			next.Slots = map[string]record.Slot{r.Cluster.String(): {Attempt: r.AttemptID}}
			for k, v := range doc.Slots {
				next.Slots[k] = v
			}
			got, err := s.Write(context.Background(), state.Change{Rotation: &r, Fleet: &next})
			if err != nil {
				over <- err
				return
			}
			doc = *got.Fleet
		}
		over <- nil
	}()
	reader := openFirestore(t, database)
	for reads := 0; ; reads++ {
		b, err := reader.Contents(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for cluster, slot := range b.Fleet.Slots {
			if ref, err := fleet.ParseRef(cluster); err != nil || b.Rotations[ref].AttemptID != slot.Attempt {
				t.Fatalf("read %d: the slot of %s is there, its rotation is not (%d are)", reads, cluster,
					len(b.Rotations))
			}
		}
		select {
		case err := <-over:
			if err != nil || reads < 5 {
				t.Errorf("%d reads, error %v", reads, err)
			}
			return
		default:
		}
	}
}

// TestReadsAreRepeated: a passing fault of a read is not told.
func TestReadsAreRepeated(t *testing.T) {
	faults := 1
	c := &calls{spoil: func(_ string, err error) error {
		if faults--; faults >= 0 {
			return status.Error(codes.Unavailable, "for a moment")
		}
		return err
	}}
	s := openFirestore(t, freshDatabase(), c.options()...)
	if b, err := s.Contents(context.Background()); err != nil || !b.Known || c.gets.Load() != 2 {
		t.Errorf("store %+v, error %v, after %d reads", b, err, c.gets.Load())
	}
}

// TestTroubles: what Firestore says, and what to do about it; none of it is a
// conflict but what says that somebody wrote.
func TestTroubles(t *testing.T) {
	const doc = "projects/ops-test/databases/d/documents/rotations/p~l~c"
	for _, tt := range []struct {
		code     codes.Code
		said     string
		want     string
		conflict bool
	}{
		{codes.PermissionDenied, "Missing or insufficient permissions.", "roles/datastore.user", false},
		{codes.PermissionDenied,
			"Cloud Firestore API has not been used in project ops-test before or it is disabled.",
			"gcloud services enable firestore.googleapis.com --project=ops-test", false},
		{codes.Unauthenticated, "Request had invalid authentication credentials.",
			"gcloud auth application-default login", false},
		{codes.NotFound, "The database rotator does not exist for project ops-test",
			"gcloud firestore databases create --project=ops-test", false},
		{codes.NotFound, "", "gcloud firestore databases create", false},
		{codes.FailedPrecondition,
			"The Cloud Firestore API is not available for Firestore in Datastore Mode database projects/ops-test/databases/d.", "native mode", false},
		{codes.FailedPrecondition, "The customer-managed encryption key is not accessible.", "encryption key",
			false},
		{codes.InvalidArgument, "A document is too large.", "too large", false},
		{codes.AlreadyExists, "Document already exists: " + doc, "", true},
		{codes.NotFound, "No document to update: " + doc, "", true},
		{codes.FailedPrecondition,
			"the stored version (1564588290152451) does not match the required base version (1564588283158243)", "",
			true},
		{codes.Aborted, "Too much contention on these documents. Please try again.", "", true},
	} {
		c := &calls{spoil: func(string, error) error { return status.Error(tt.code, tt.said) }}
		s := openFirestore(t, freshDatabase(), c.options()...)
		r := newRotation("c", "one")
		_, err := s.Write(context.Background(), state.Change{Rotation: &r})
		if errors.Is(err, state.ErrConflict) != tt.conflict || !strings.Contains(err.Error(), tt.want) ||
			!strings.Contains(err.Error(), "firestore://"+project+"/t-") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s %q on a write: %v", tt.code, tt.said, err)
		}
		if tt.conflict {
			continue
		}
		if _, err := s.Contents(context.Background()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %q on a read: %v", tt.code, tt.said, err)
		}
	}
}

// TestOthersTransaction: a write that waits for somebody's open transaction in
// vain was not written, and says so.
func TestOthersTransaction(t *testing.T) {
	database := freshDatabase()
	s := openFirestore(t, database)
	got, err := s.Write(context.Background(), state.Change{Fleet: &record.FleetDoc{Env: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	api, ctx := emulated(t), asOwner()
	tx, err := api.BeginTransaction(ctx, &pb.BeginTransactionRequest{Database: inDatabase(database)})
	if err != nil {
		t.Fatal(err)
	}
	name := inDatabase(database) + "/documents/fleet/fleet"
	if _, err := api.GetDocument(ctx,
		&pb.GetDocumentRequest{Name: name,
			ConsistencySelector: &pb.GetDocumentRequest_Transaction{Transaction: tx.GetTransaction()}}); err != nil {
		t.Fatal(err)
	}
	next := *got.Fleet
	next.Env = "changed"
	if _, err := s.Write(context.Background(), state.Change{Fleet: &next}); !errors.Is(err, state.ErrConflict) {
		t.Errorf("error %v, want a conflict", err)
	}
	if _, err := api.Rollback(ctx, &pb.RollbackRequest{Database: inDatabase(database),
		Transaction: tx.GetTransaction()}); err != nil {
		t.Fatal(err)
	}
	if doc, err := s.Fleet(context.Background()); err != nil || doc.Env != "test" ||
		doc.Version != got.Fleet.Version {
		t.Errorf("fleet document %+v, %v", doc, err)
	}
}

// asGoogle is a client's way to the emulator that does not know it for one.
type asGoogle struct{}

func (asGoogle) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer owner"}, nil
}

func (asGoogle) RequireTransportSecurity() bool { return false }

// TestCommitted: the first commit's time by Firestore's clock is kept, and reads say
// none; an emulator's is the clock of some machine and proves nothing.
func TestCommitted(t *testing.T) {
	s, err := state.OpenFirestore(context.Background(), project, freshDatabase(),
		state.FirestoreOptions{Client: []option.ClientOption{option.WithEndpoint(emulator.Start(t)),
			option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
			option.WithGRPCDialOption(grpc.WithPerRPCCredentials(asGoogle{}))}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	known := openFirestore(t, freshDatabase())
	if _, err := s.Contents(context.Background()); err != nil || !s.Committed().IsZero() {
		t.Errorf("after a read: %s, %v", s.Committed(), err)
	}
	var first time.Time
	for range 2 {
		for _, store := range []*state.Firestore{s, known} {
			doc, err := store.Fleet(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			doc.LastRun.Summary += "x"
			if _, err = store.Write(context.Background(), state.Change{Fleet: &doc}); err != nil {
				t.Fatal(err)
			}
		}
		if first.IsZero() {
			first = s.Committed()
		}
	}
	if first.IsZero() || !s.Committed().Equal(first) || !known.Committed().IsZero() {
		t.Errorf("first %s, then %s, by an emulator %s", first, s.Committed(), known.Committed())
	}
}
