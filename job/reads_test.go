package main

import (
	"context"
	"maps"
	"path"
	"sync"
	"testing"
	"time"

	"google.golang.org/api/option"
	"google.golang.org/grpc"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/simtest/fleets"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
	"gke-credential-rotator/state/emulator"
)

// reads counts how often the store is asked.
type reads struct {
	state.Store
	contents, fleet, history, lease, writes, outbox int
}

func (r *reads) Outbox(ctx context.Context) (record.Outbox, error) {
	r.outbox++
	return r.Store.Outbox(ctx)
}

func (r *reads) Contents(ctx context.Context) (record.Contents, error) {
	r.contents++
	return r.Store.Contents(ctx)
}

func (r *reads) Fleet(ctx context.Context) (record.FleetDoc, error) {
	r.fleet++
	return r.Store.Fleet(ctx)
}

func (r *reads) History(ctx context.Context, ref fleet.Ref) ([]record.Record, error) {
	r.history++
	return r.Store.History(ctx, ref)
}

func (r *reads) Lease(ctx context.Context, l state.Lease) (state.Lease, error) {
	r.lease++
	return r.Store.Lease(ctx, l)
}

func (r *reads) Write(ctx context.Context, c state.Change) (state.Change, error) {
	r.writes++
	return r.Store.Write(ctx, c)
}

// TestReads: with nothing in flight a run reads the store once, which is one
// query and one read, writes one note of itself, and takes and gives back the
// lease; and asks GKE one question a project.
func TestReads(t *testing.T) {
	c := crowd{fleets.Crowd{Projects: 8, Clusters: 5, Due: 20}, 4, nil}
	served := c.Serve(t)
	served.Lists.Store(0)
	contents := &reads{Store: state.NewMemory(true)}
	look(t, c, contents, served.Address)
	if contents.outbox != 0 {
		t.Error("without receivers the outbox is read")
	}
	if served.Lists.Load() != 8 || served.Others.Load() != 0 {
		t.Errorf("%d listings, %d other calls", served.Lists.Load(), served.Others.Load())
	}
	if contents.contents != 1 || contents.fleet != 0 || contents.history != 0 || contents.lease != 2 ||
		contents.writes != 1 {
		t.Errorf("the store was read %d times, the fleet document %d, histories %d; leases %d, writes %d",
			contents.contents, contents.fleet, contents.history, contents.lease, contents.writes)
	}
}

// TestReadsWithReceivers: those who are told cost one query of a run that has
// nothing to tell.
func TestReadsWithReceivers(t *testing.T) {
	c := crowd{fleets.Crowd{Projects: 2, Clusters: 5, Due: 0}, 4, nil}
	contents := &reads{Store: state.NewMemory(true)}
	look(t, c, contents, c.Serve(t).Address, listener{&diary{}})
	if contents.outbox != 1 || contents.contents != 1 || contents.fleet != 0 || contents.writes != 1 ||
		contents.lease != 2 {
		t.Errorf("the outbox was read %d times, the store %d, the fleet document %d; leases %d, writes %d",
			contents.outbox, contents.contents, contents.fleet, contents.lease, contents.writes)
	}
}

// look makes a run over the crowd with that store.
func look(t *testing.T, c crowd, contents state.Store, address string, tell ...pass.Receiver) {
	t.Helper()
	cloud := c.Dial(t, address)
	world := pass.World{
		Read: cloud, Move: cloud, Store: contents, NewID: randomID, Notify: tell,
		Now: func() time.Time { return fleets.Monday }, Mono: func() time.Duration { return 0 },
	}
	if _, err := pass.Run(t.Context(), world, pass.Options{Policy: c.policyFor(t), Run: "r", Mode: config.Act,
		Parallel: 4}); err != nil {
		t.Fatal(err)
	}
}

// calls counts what is asked of Firestore, by method.
type calls struct {
	mu sync.Mutex
	by map[string]int
}

func (c *calls) count(method string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by[path.Base(method)]++
}

func (c *calls) options() []option.ClientOption {
	unary := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		c.count(method)
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	stream := func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
		open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		c.count(method)
		return open(ctx, desc, cc, method, opts...)
	}
	return []option.ClientOption{option.WithGRPCDialOption(grpc.WithUnaryInterceptor(unary)),
		option.WithGRPCDialOption(grpc.WithStreamInterceptor(stream))}
}

// TestReadsOfFirestore: the same run over Firestore, counted below all
// retries. The store is one query and one read; the lease's own two are beside
// it, as are the commits of lease, note and return.
func TestReadsOfFirestore(t *testing.T) {
	c := crowd{fleets.Crowd{Projects: 8, Clusters: 5, Due: 20}, 4, nil}
	counted := &calls{by: map[string]int{}}
	store, err := state.OpenFirestore(t.Context(), "demo-whole", "reads-"+randomID()[:12],
		state.FirestoreOptions{
			Emulator: emulator.Start(t), Client: counted.options(),
		})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if _, err := store.Contents(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"RunQuery": 1, "BatchGetDocuments": 1}; !maps.Equal(counted.by, want) {
		t.Errorf("to read the store: %v", counted.by)
	}
	clear(counted.by)
	look(t, c, store, c.Serve(t).Address)
	if want := map[string]int{"RunQuery": 1, "BatchGetDocuments": 3, "Commit": 3}; !maps.Equal(counted.by,
		want) {
		t.Errorf("for a run: %v", counted.by)
	}
}
