package gke

import (
	"context"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/policy/fleet"
)

// Seen is a cluster as GKE itself shows it.
type Seen struct {
	Ref        fleet.Ref
	Cluster    *containerpb.Cluster
	Operations []*containerpb.Operation
}

// Raw lists every cluster of a project as GKE shows it, operations first, for a
// simulation that goes on from there. What could not be read is told as
// [Cloud.Clusters] does; operations that could not be read count as none.
func (c *Cloud) Raw(ctx context.Context, project string) ([]Seen, []fleet.Unread, error) {
	ops := map[fleet.Ref][]*containerpb.Operation{}
	all, opsErr := c.listOperations(ctx, project)
	for _, pb := range all {
		if ref, _, ok := operationFromProto(project, pb); ok {
			ops[ref] = append(ops[ref], pb)
		}
	}
	list, _, unread, err := c.list(ctx, project)
	if err != nil {
		return nil, nil, err
	}
	if opsErr != nil {
		unread = append(unread, fleet.Unread{Project: project, Reason: "list operations: " + opsErr.Error()})
	}
	var out []Seen
	for _, pb := range list {
		ref := fleet.Ref{Project: project, Location: location(pb), Name: pb.GetName()}
		out = append(out, Seen{ref, pb, ops[ref]})
	}
	return out, unread, nil
}
