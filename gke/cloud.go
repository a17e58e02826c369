package gke

import (
	"context"
	"errors"
	"fmt"

	container "cloud.google.com/go/container/apiv1"
	"cloud.google.com/go/container/apiv1/containerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/policy"
)

// ErrNotFound says that a cluster does not exist: GKE answered so.
var ErrNotFound = errors.New("the cluster does not exist")

// Cloud is GKE as Google serves it, or as the simulator does.
type Cloud struct {
	client *container.ClusterManagerClient
}

// Dial connects to GKE. Without options it uses Google's endpoint and the
// process's own credentials.
func Dial(ctx context.Context, opts ...option.ClientOption) (*Cloud, error) {
	client, err := container.NewClusterManagerClient(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to GKE: %w", err)
	}
	// Mutations are never repeated by the transport: a lost answer is for the
	// protocol to settle, not for a retry.
	once := []gax.CallOption{gax.WithTimeout(policy.CallTimeout)}
	client.CallOptions.StartIPRotation = once
	client.CallOptions.CompleteIPRotation = once
	client.CallOptions.UpdateCluster = once
	client.CallOptions.UpdateNodePool = once
	return &Cloud{client: client}, nil
}

// Close ends the connection.
func (c *Cloud) Close() error { return c.client.Close() }

// Clusters implements [Reader].
func (c *Cloud) Clusters(ctx context.Context, project string) ([]policy.Cluster, []policy.Unread, error) {
	got, err := c.client.ListClusters(ctx, &containerpb.ListClustersRequest{Parent: "projects/" + project + "/locations/-"})
	if err != nil {
		return nil, nil, explain(err)
	}
	missing := got.GetMissingZones()
	var out []policy.Cluster
	for _, pb := range got.GetClusters() {
		cluster := fromProto(project, pb)
		cluster.Partial = anyMissing(pb, missing)
		out = append(out, cluster)
	}
	var unread []policy.Unread
	for _, zone := range missing {
		unread = append(unread, policy.Unread{Project: project, Location: zone, Reason: "GKE did not answer for " + zone})
	}
	return out, unread, nil
}

// Cluster implements [Reader].
func (c *Cloud) Cluster(ctx context.Context, ref policy.Ref) (policy.Cluster, error) {
	got, err := c.client.GetCluster(ctx, &containerpb.GetClusterRequest{Name: ref.Path()})
	if status.Code(err) == codes.NotFound {
		return policy.Cluster{}, fmt.Errorf("%s: %w", ref, ErrNotFound)
	}
	if err != nil {
		return policy.Cluster{}, explain(err)
	}
	return fromProto(ref.Project, got), nil
}

// Operations implements [Reader].
func (c *Cloud) Operations(ctx context.Context, project string) (map[policy.Ref][]policy.Operation, error) {
	got, err := c.client.ListOperations(ctx, &containerpb.ListOperationsRequest{Parent: "projects/" + project + "/locations/-"})
	if err != nil {
		return nil, explain(err)
	}
	out := map[policy.Ref][]policy.Operation{}
	for _, pb := range got.GetOperations() {
		if ref, op, ok := operationFromProto(project, pb); ok && len(out[ref]) < policy.MaxOperations {
			out[ref] = append(out[ref], op)
		}
	}
	return out, nil
}

// Start implements [Mover].
func (c *Cloud) Start(ctx context.Context, ref policy.Ref) policy.Outcome {
	return outcome(c.client.StartIPRotation(ctx, &containerpb.StartIPRotationRequest{Name: ref.Path(), RotateCredentials: true}))
}

// Complete implements [Mover].
func (c *Cloud) Complete(ctx context.Context, ref policy.Ref) policy.Outcome {
	return outcome(c.client.CompleteIPRotation(ctx, &containerpb.CompleteIPRotationRequest{Name: ref.Path()}))
}

// Recreate implements [Mover].
func (c *Cloud) Recreate(ctx context.Context, ref policy.Ref, target policy.Pool) policy.Outcome {
	if target.Version == "" {
		// Without a version GKE would take its default, which is a real upgrade.
		return policy.Outcome{State: policy.Refused, Refusal: policy.Invalid, Raw: "the version to keep is unknown; not sent"}
	}
	if target.Name == "" {
		return outcome(c.client.UpdateCluster(ctx, &containerpb.UpdateClusterRequest{
			Name:   ref.Path(),
			Update: &containerpb.ClusterUpdate{DesiredMasterVersion: target.Version, Etag: target.Etag},
		}))
	}
	return outcome(c.client.UpdateNodePool(ctx, &containerpb.UpdateNodePoolRequest{
		Name: ref.Path() + "/nodePools/" + target.Name, NodeVersion: target.Version, ImageType: target.Image, Etag: target.Etag,
	}))
}
