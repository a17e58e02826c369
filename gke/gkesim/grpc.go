package gkesim

import (
	"context"
	"slices"
	"strings"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// server is the simulated GKE behind the real service.
type server struct {
	containerpb.UnimplementedClusterManagerServer
	w *World
}

func (s *server) ListClusters(_ context.Context,
	req *containerpb.ListClustersRequest) (*containerpb.ListClustersResponse, error) {
	reached, missing := s.reach(nameOf(req))
	out := &containerpb.ListClustersResponse{MissingZones: missing}
	for _, c := range reached {
		out.Clusters = append(out.Clusters, proto.CloneOf(c.pb))
	}
	return out, nil
}

func (s *server) GetCluster(_ context.Context, req *containerpb.GetClusterRequest) (*containerpb.Cluster,
	error) {
	c, err := s.find(nameOf(req))
	if err != nil {
		return nil, err
	}
	return proto.CloneOf(c.pb), nil
}

// reach gives the clusters below a place, and the locations that cannot be reached.
func (s *server) reach(parent string) (out []*cluster, missing []string) {
	missing = s.w.missing(parent)
	for _, c := range s.w.under(parent) {
		if !slices.Contains(missing, c.location()) {
			c.look()
			out = append(out, c)
		}
	}
	return out, missing
}

func (s *server) find(name string) (*cluster, error) {
	if c := s.w.clusters[s.w.byID(name)]; c != nil {
		if slices.Contains(s.w.missing(c.place()), c.location()) {
			return nil, errUnavailable
		}
		c.look()
		return c, nil
	}
	return nil, status.Errorf(codes.NotFound, "Not found: %s.", name)
}

func (s *server) ListOperations(_ context.Context,
	req *containerpb.ListOperationsRequest) (*containerpb.ListOperationsResponse, error) {
	reached, missing := s.reach(nameOf(req))
	out := &containerpb.ListOperationsResponse{MissingZones: missing}
	for _, c := range reached {
		c.forget()
		for _, op := range c.ops {
			out.Operations = append(out.Operations, op.proto(c))
		}
	}
	return out, nil
}

func (s *server) GetOperation(_ context.Context,
	req *containerpb.GetOperationRequest) (*containerpb.Operation, error) {
	parent, id, _ := strings.Cut(nameOf(req), "/operations/")
	for _, c := range s.w.under(parent) {
		c.look()
		c.forget()
		for _, op := range c.ops {
			if op.name == id {
				return op.proto(c), nil
			}
		}
	}
	return nil, status.Errorf(codes.NotFound, "Not found: %s.", nameOf(req))
}

func (s *server) StartIPRotation(_ context.Context,
	req *containerpb.StartIPRotationRequest) (*containerpb.Operation, error) {
	return s.mutate(nameOf(req), (*cluster).tryStart)
}

func (s *server) CompleteIPRotation(_ context.Context,
	req *containerpb.CompleteIPRotationRequest) (*containerpb.Operation, error) {
	return s.mutate(nameOf(req), (*cluster).tryComplete)
}

func (s *server) UpdateNodePool(_ context.Context,
	req *containerpb.UpdateNodePoolRequest) (*containerpb.Operation, error) {
	name, pool, _ := strings.Cut(nameOf(req), "/nodePools/")
	return s.mutate(name, func(c *cluster) (*operation, error) {
		return c.upgradePool(pool, req.GetNodeVersion(), req.GetEtag())
	})
}

func (s *server) CompleteNodePoolUpgrade(_ context.Context,
	req *containerpb.CompleteNodePoolUpgradeRequest) (*emptypb.Empty, error) {
	name, pool, _ := strings.Cut(req.GetName(), "/nodePools/")
	_, err := s.mutate(name, func(c *cluster) (*operation, error) {
		op := c.runningOn(pool)
		return op, c.endSoak(pool)
	})
	return &emptypb.Empty{}, err
}

func (s *server) UpdateCluster(_ context.Context,
	req *containerpb.UpdateClusterRequest) (*containerpb.Operation, error) {
	up := req.GetUpdate()
	return s.mutate(nameOf(req), func(c *cluster) (*operation, error) {
		switch {
		case up.GetEtag() != "" && up.GetEtag() != c.pb.GetEtag():
			return nil, status.Error(codes.Aborted, "The etag does not match the cluster's.")
		case up.GetDesiredMasterVersion() != "":
			return c.upgradeMaster(up.GetDesiredMasterVersion())
		case up.GetDesiredNodeVersion() != "":
			pool := up.GetDesiredNodePoolId()
			if pool == "" && len(c.pb.GetNodePools()) == 1 {
				pool = c.pb.GetNodePools()[0].GetName()
			}
			return c.upgradePool(pool, up.GetDesiredNodeVersion(), "")
		}
		return nil, status.Error(codes.InvalidArgument, "Must specify a field to update.")
	})
}

// mutate answers a changing request.
func (s *server) mutate(name string, do func(*cluster) (*operation, error)) (*containerpb.Operation, error) {
	c, err := s.find(name)
	if err != nil {
		return nil, err
	}
	op, err := do(c)
	s.w.plan(c)
	if err != nil {
		return nil, err
	}
	return op.proto(c), nil
}

// busy is how GKE refuses a change while another operation runs.
func busy(op *operation) error {
	return detailed(status.Newf(codes.FailedPrecondition, "Cluster is running incompatible operation %s.",
		op.name),
		&errdetails.ErrorInfo{Reason: "CLUSTER_ALREADY_HAS_OPERATION", Domain: "container.googleapis.com"})
}
