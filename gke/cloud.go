package gke

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	container "cloud.google.com/go/container/apiv1"
	"cloud.google.com/go/container/apiv1/containerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// ErrNotFound says that a cluster does not exist: GKE answered so.
var ErrNotFound = errors.New("the cluster does not exist")

// errUnnameable says that a name in GKE's answer cannot be used: it would break
// a path, a line or a document id. GKE itself gives no such names.
var errUnnameable = errors.New("it is left out")

// API is what of Google's client is used.
type API interface {
	ListClusters(context.Context, *containerpb.ListClustersRequest,
		...gax.CallOption) (*containerpb.ListClustersResponse, error)
	GetCluster(context.Context, *containerpb.GetClusterRequest, ...gax.CallOption) (*containerpb.Cluster, error)
	ListOperations(context.Context, *containerpb.ListOperationsRequest,
		...gax.CallOption) (*containerpb.ListOperationsResponse, error)
	StartIPRotation(context.Context, *containerpb.StartIPRotationRequest,
		...gax.CallOption) (*containerpb.Operation, error)
	CompleteIPRotation(context.Context, *containerpb.CompleteIPRotationRequest,
		...gax.CallOption) (*containerpb.Operation, error)
	UpdateCluster(context.Context, *containerpb.UpdateClusterRequest, ...gax.CallOption) (*containerpb.Operation,
		error)
	UpdateNodePool(context.Context, *containerpb.UpdateNodePoolRequest,
		...gax.CallOption) (*containerpb.Operation, error)
	Close() error
}

// Cloud is GKE as Google serves it, or as the simulator does.
type Cloud struct {
	client API
	retry  Retry
	date   atomic.Pointer[time.Time] // of the first answer
}

// Over is GKE through any client: a simulation needs no network.
func Over(client API, retry Retry) *Cloud { return &Cloud{client: client, retry: retry} }

// How much may be under way of one answer, and of all together: with the 64 KiB
// that HTTP/2 begins with, an answer of fifty clusters takes several round trips.
const (
	answerWindow  = 2 << 20
	answersWindow = 16 << 20
)

// Dial connects to GKE, repeating reads as [DefaultRetry] says. Without options
// it uses Google's endpoint and the process's own credentials.
func Dial(ctx context.Context, opts ...option.ClientOption) (*Cloud, error) {
	windows := []option.ClientOption{
		option.WithGRPCDialOption(grpc.WithInitialWindowSize(answerWindow)),
		option.WithGRPCDialOption(grpc.WithInitialConnWindowSize(answersWindow)),
	}
	return DialWith(ctx, DefaultRetry(), append(windows, opts...)...)
}

// DialWith connects to GKE with the caller's own retry of reads.
func DialWith(ctx context.Context, retry Retry, opts ...option.ClientOption) (*Cloud, error) {
	client, err := container.NewClusterManagerClient(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to GKE: %w", err)
	}
	// Mutations are never repeated by the transport: a lost answer is for the
	// protocol to settle, not for a retry.
	once := []gax.CallOption{gax.WithTimeout(record.CallTimeout)}
	client.CallOptions.StartIPRotation = once
	client.CallOptions.CompleteIPRotation = once
	client.CallOptions.UpdateCluster = once
	client.CallOptions.UpdateNodePool = once
	// Reads are repeated by Retry alone: the client's own backoff sleeps in
	// real time and has no limit of tries.
	client.CallOptions.ListClusters = nil
	client.CallOptions.GetCluster = nil
	client.CallOptions.ListOperations = nil
	return &Cloud{client: client, retry: retry}, nil
}

// Close ends the connection.
func (c *Cloud) Close() error { return c.client.Close() }

// ask makes a read of the client's.
func ask[Q, A any](ctx context.Context, r Retry, read func(context.Context, Q, ...gax.CallOption) (A, error),
	req Q, opts ...gax.CallOption) (got A, err error) {
	err = r.read(ctx, func(ctx context.Context) (err error) {
		got, err = read(ctx, req, opts...)
		return err
	})
	return got, err
}

// Clusters implements [Reader].
func (c *Cloud) Clusters(ctx context.Context, project string) ([]fleet.Cluster, []fleet.Unread, error) {
	list, missing, unread, err := c.list(ctx, project)
	var out []fleet.Cluster
	for _, pb := range list {
		cluster := fromProto(project, pb)
		cluster.Partial = slices.ContainsFunc(missing, func(u fleet.Unread) bool { return u.Covers(cluster.Ref) })
		out = append(out, cluster)
	}
	return out, unread, err
}

// list lists the clusters whose names can be used, and the zones that did not
// answer.
func (c *Cloud) list(ctx context.Context, project string) (list []*containerpb.Cluster, missing,
	unread []fleet.Unread, err error) {
	got, err := askDated(ctx, c, c.client.ListClusters,
		&containerpb.ListClustersRequest{Parent: "projects/" + project + "/locations/-"})
	if err != nil {
		return nil, nil, nil, noProject(err)
	}
	for _, pb := range got.GetClusters() {
		if _, err := nameOf(project, pb); err != nil {
			unread = append(unread, fleet.Unread{Project: project, Reason: err.Error()})
			continue
		}
		list = append(list, pb)
	}
	for _, zone := range got.GetMissingZones() {
		missing = append(missing, fleet.Unread{Project: project, Location: zone, Reason: "GKE did not answer for " +
			zone})
	}
	return list, missing, append(unread, missing...), nil
}

// Cluster implements [Reader].
func (c *Cloud) Cluster(ctx context.Context, ref fleet.Ref) (fleet.Cluster, error) {
	got, err := askDated(ctx, c, c.client.GetCluster, &containerpb.GetClusterRequest{Name: ref.Path()})
	if status.Code(err) == codes.NotFound {
		return fleet.Cluster{}, fmt.Errorf("%s: %w", ref, ErrNotFound)
	}
	if err != nil {
		return fleet.Cluster{}, containerAPI.explain(err)
	}
	if named, err := nameOf(ref.Project, got); err != nil || named != ref {
		return fleet.Cluster{}, fmt.Errorf("GKE was asked for %s and answered with another cluster", ref)
	}
	return fromProto(ref.Project, got), nil
}

// Operations implements [Reader].
func (c *Cloud) Operations(ctx context.Context, project string) (map[fleet.Ref][]fleet.Operation, error) {
	list, err := c.listOperations(ctx, project)
	if err != nil {
		return nil, err
	}
	out := map[fleet.Ref][]fleet.Operation{}
	for _, pb := range list {
		if ref, op, ok := operationFromProto(project, pb); ok {
			out[ref] = append(out[ref], op)
		}
	}
	for ref, ops := range out {
		out[ref] = latest(ops)
	}
	return out, nil
}

func (c *Cloud) listOperations(ctx context.Context, project string) ([]*containerpb.Operation, error) {
	got, err := askDated(ctx, c, c.client.ListOperations,
		&containerpb.ListOperationsRequest{Parent: "projects/" + project + "/locations/-"})
	if err != nil {
		return nil, containerAPI.explain(err)
	}
	if missing := got.GetMissingZones(); len(missing) > 0 {
		// None seen would then pass for none that ran.
		return nil, fmt.Errorf("GKE did not list the operations of %s", strings.Join(missing, ", "))
	}
	return got.GetOperations(), nil
}

// latest orders the operations, running ones first, then the newest, and keeps
// the first of them, for GKE says nothing of its order.
func latest(ops []fleet.Operation) []fleet.Operation {
	slices.SortStableFunc(ops, func(a, b fleet.Operation) int {
		if a.Done != b.Done {
			if a.Done {
				return 1
			}
			return -1
		}
		return b.Start.Compare(a.Start)
	})
	return ops[:min(len(ops), record.MaxOperations)]
}

// Start implements [Mover].
func (c *Cloud) Start(ctx context.Context, ref fleet.Ref) record.Outcome {
	return outcome(c.client.StartIPRotation(ctx, &containerpb.StartIPRotationRequest{Name: ref.Path(),
		RotateCredentials: true}))
}

// Complete implements [Mover].
func (c *Cloud) Complete(ctx context.Context, ref fleet.Ref) record.Outcome {
	return outcome(c.client.CompleteIPRotation(ctx, &containerpb.CompleteIPRotationRequest{Name: ref.Path()}))
}

// Recreate implements [Mover].
func (c *Cloud) Recreate(ctx context.Context, ref fleet.Ref, target fleet.Pool) record.Outcome {
	if target.Version == "" {
		// Without a version GKE would take its default, which is a real upgrade.
		return record.Outcome{State: record.Refused, Refusal: record.Invalid,
			Raw: "the version to keep is unknown; not sent"}
	}
	if strings.ContainsFunc(target.Name, func(r rune) bool { return r == '/' || unicode.IsControl(r) }) {
		return record.Outcome{State: record.Refused, Refusal: record.Invalid,
			Raw: fmt.Sprintf("the pool's name %.100q would break a path; not sent", target.Name)}
	}
	if target.Name == "" {
		return outcome(c.client.UpdateCluster(ctx, &containerpb.UpdateClusterRequest{
			Name:   ref.Path(),
			Update: &containerpb.ClusterUpdate{DesiredMasterVersion: target.Version, Etag: target.Etag},
		}))
	}
	return outcome(c.client.UpdateNodePool(ctx, &containerpb.UpdateNodePoolRequest{
		Name: ref.Path() + "/nodePools/" + target.Name, NodeVersion: target.Version, ImageType: target.Image,
		Etag: target.Etag,
	}))
}
