package gkesim

import (
	"context"
	"slices"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc"
)

// Direct is the world behind the methods of Google's client, without gRPC
// between: for plays of many simulated years. Faults strike as behind a port.
type Direct struct {
	// Around sees every call as it leaves; nil: nobody does.
	Around grpc.UnaryServerInterceptor
	s      *server
}

// Direct gives such a client.
func (w *World) Direct() Direct { return Direct{s: &server{w: w}} }

// through calls the service's method as a served request does.
func through[Q, A any](ctx context.Context, d Direct, method string, req *Q,
	do func(context.Context, *Q) (*A, error)) (*A, error) {
	info := &grpc.UnaryServerInfo{FullMethod: method}
	serve := func(ctx context.Context, _ any) (any, error) {
		return d.s.w.intercept(ctx, req, info,
			func(ctx context.Context, _ any) (any, error) { return do(ctx, req) })
	}
	call := serve
	if d.Around != nil {
		call = func(ctx context.Context, req any) (any, error) { return d.Around(ctx, req, info, serve) }
	}
	out, err := call(ctx, req)
	if err != nil {
		return nil, err
	}
	return out.(*A), nil
}

// ListClusters is as Google's client has it, and so are the others.
func (d Direct) ListClusters(ctx context.Context, req *containerpb.ListClustersRequest,
	_ ...gax.CallOption) (*containerpb.ListClustersResponse, error) {
	return through(ctx, d, "ListClusters", req, d.s.ListClusters)
}

// GetCluster reads one cluster.
func (d Direct) GetCluster(ctx context.Context, req *containerpb.GetClusterRequest,
	_ ...gax.CallOption) (*containerpb.Cluster, error) {
	return through(ctx, d, "GetCluster", req, d.s.GetCluster)
}

// ListOperations lists the operations of a project.
func (d Direct) ListOperations(ctx context.Context, req *containerpb.ListOperationsRequest,
	_ ...gax.CallOption) (*containerpb.ListOperationsResponse, error) {
	return through(ctx, d, "ListOperations", req, d.s.ListOperations)
}

// StartIPRotation starts a rotation.
func (d Direct) StartIPRotation(ctx context.Context, req *containerpb.StartIPRotationRequest,
	_ ...gax.CallOption) (*containerpb.Operation, error) {
	return through(ctx, d, "StartIPRotation", req, d.s.StartIPRotation)
}

// CompleteIPRotation completes one.
func (d Direct) CompleteIPRotation(ctx context.Context, req *containerpb.CompleteIPRotationRequest,
	_ ...gax.CallOption) (*containerpb.Operation, error) {
	return through(ctx, d, "CompleteIPRotation", req, d.s.CompleteIPRotation)
}

// UpdateCluster upgrades a control plane.
func (d Direct) UpdateCluster(ctx context.Context, req *containerpb.UpdateClusterRequest,
	_ ...gax.CallOption) (*containerpb.Operation, error) {
	return through(ctx, d, "UpdateCluster", req, d.s.UpdateCluster)
}

// UpdateNodePool upgrades a node pool.
func (d Direct) UpdateNodePool(ctx context.Context, req *containerpb.UpdateNodePoolRequest,
	_ ...gax.CallOption) (*containerpb.Operation, error) {
	return through(ctx, d, "UpdateNodePool", req, d.s.UpdateNodePool)
}

// Close does nothing.
func (Direct) Close() error { return nil }

// Next is when something happens next in the world by itself; false: never.
func (w *World) Next() (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.faults.next
	if len(w.due) > 0 && (at.IsZero() || w.due[0].due.Before(at)) {
		at = w.due[0].due
	}
	return at, !at.IsZero()
}

// Touched gives the clusters, by name, whose view has changed since it was
// last asked. What happened before the first question is not told.
func (w *World) Touched() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := w.touched
	w.touched, w.watched = nil, true
	slices.Sort(names)
	return slices.Compact(names)
}

// Forgets is how long after its end GKE forgets an operation; negative: never.
func (w *World) Forgets() time.Duration { return w.opts.ForgetOperations }
