package state

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	firestore "cloud.google.com/go/firestore/apiv1"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// How long one operation may take. The pass has 60 s from intent to call.
const (
	readLimit  = 30 * time.Second
	writeLimit = 20 * time.Second
)

// Firestore is the store in a named Firestore database, for deployments.
//
// It speaks to the API's own client, for the one on top of it repeats a commit
// whose answer was lost, and then reports a conflict of the commit with itself.
type Firestore struct {
	base
	client   *firestore.Client
	project  string
	database string
	emulated bool
	// committed is the time of the first commit, by Firestore's clock.
	committed atomic.Pointer[time.Time]
}

// FirestoreOptions say how the database is reached.
type FirestoreOptions struct {
	// Emulator is HOST:PORT of an emulator, as in FIRESTORE_EMULATOR_HOST;
	// empty for Google's own.
	Emulator string
	// Client has further options of the client.
	Client []option.ClientOption
}

// OpenFirestore gives the store in the database. Nothing is asked of it yet, and
// reading never makes a document.
func OpenFirestore(ctx context.Context, project, database string, o FirestoreOptions) (*Firestore, error) {
	f := &Firestore{project: project, database: database, emulated: o.Emulator != ""}
	f.base = base{func(ctx context.Context, do func(context.Context, reader) error) error {
		return f.read(ctx, func(ctx context.Context) error { return do(ctx, f) })
	}, f.send}
	// no service configuration turns them on
	opts := []option.ClientOption{option.WithGRPCDialOption(grpc.WithDisableRetry())}
	if o.Emulator != "" {
		opts = append(opts, option.WithEndpoint(o.Emulator), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
			option.WithGRPCDialOption(grpc.WithPerRPCCredentials(owner{})))
	}
	client, err := firestore.NewClient(ctx, append(opts, o.Client...)...)
	if err != nil {
		return nil, fmt.Errorf("open the store %s: %w: on your own machine run: gcloud auth application-default login", f, err)
	}
	// A commit is sent once: see conflict. Reads are repeated by read alone:
	// the client's own backoff has no limit of tries.
	client.CallOptions.Commit = nil
	client.CallOptions.BatchGetDocuments = nil
	client.CallOptions.RunQuery = nil
	f.client = client
	return f, nil
}

// owner is who the emulator lets do everything.
type owner struct{}

func (owner) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer owner"}, nil
}

func (owner) RequireTransportSecurity() bool { return false }

// String gives the store's name as the setting STATE has it.
func (f *Firestore) String() string { return "firestore://" + f.project + "/" + f.database }

// Committed is when the first commit was made, by Firestore's clock; zero: there was
// none, or by an emulator, whose clock is that of some machine.
func (f *Firestore) Committed() time.Time {
	if at := f.committed.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Close implements [Store].
func (f *Firestore) Close() error { return f.client.Close() }

// send makes one commit of conditional writes, sent once, and notes their new
// versions. It reads nothing, so it locks nothing that a killed process would
// leave locked.
func (f *Firestore) send(ctx context.Context, do func(writer)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	b := batch{path: f.path}
	if do(&b); b.err != nil || len(b.writes) == 0 {
		return b.err
	}
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	got, err := f.client.Commit(f.routed(ctx), &pb.CommitRequest{Database: f.root(), Writes: b.writes})
	if err != nil {
		if conflict(err) {
			return fmt.Errorf("%s: %w: %w", f, ErrConflict, err)
		}
		return f.explain(err)
	}
	if at := got.GetCommitTime(); at != nil && !f.emulated {
		when := at.AsTime()
		f.committed.CompareAndSwap(nil, &when)
	}
	for i, result := range got.GetWriteResults() {
		if i < len(b.versions) && b.versions[i] != nil {
			*b.versions[i] = version(result.GetUpdateTime())
		}
	}
	if len(got.GetWriteResults()) != len(b.writes) {
		return fmt.Errorf("%s: the commit of %d writes was answered with %d results", f, len(b.writes),
			len(got.GetWriteResults()))
	}
	return nil
}

// version is the mark of a document that was read or written: its update time.
func version(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339Nano)
}
