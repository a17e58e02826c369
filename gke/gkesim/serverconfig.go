package gkesim

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// sampleVersion is what the sample's clusters run.
const sampleVersion = "1.33.5-gke.1080000"

// GetServerConfig lists the versions that can be asked for: those that the
// location's clusters run. gcloud reads it before every upgrade.
func (s *server) GetServerConfig(_ context.Context,
	req *containerpb.GetServerConfigRequest) (*containerpb.ServerConfig, error) {
	masters := s.w.masters(nameOf(req))
	nodes := slices.Clone(masters)
	for _, c := range s.w.under(nameOf(req)) {
		for _, p := range c.pb.GetNodePools() {
			nodes = append(nodes, p.GetVersion())
		}
	}
	return &containerpb.ServerConfig{
		DefaultClusterVersion: masters[0],
		ValidMasterVersions:   masters,
		ValidNodeVersions:     newestFirst(nodes),
		DefaultImageType:      "COS_CONTAINERD",
		ValidImageTypes:       []string{"COS_CONTAINERD", "UBUNTU_CONTAINERD"},
	}, nil
}

// masters are the versions of a location's control planes; the first is its default.
func (w *World) masters(location string) []string {
	masters := []string{sampleVersion}
	for _, c := range w.under(location) {
		masters = append(masters, c.pb.GetCurrentMasterVersion())
	}
	return newestFirst(masters)
}

// newestFirst sorts versions such as 1.33.5-gke.1080000, each once.
func newestFirst(versions []string) []string {
	versions = slices.DeleteFunc(versions, func(v string) bool { return v == "" })
	slices.SortFunc(versions, func(a, b string) int { return slices.Compare(numbers(b), numbers(a)) })
	return slices.Compact(versions)
}

// numbers gives a version's numbers in order.
func numbers(version string) []int {
	var out []int
	for _, part := range strings.FieldsFunc(version, func(r rune) bool { return r == '.' || r == '-' }) {
		if n, err := strconv.Atoi(part); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// ListNodePools lists a cluster's pools.
func (s *server) ListNodePools(_ context.Context,
	req *containerpb.ListNodePoolsRequest) (*containerpb.ListNodePoolsResponse, error) {
	c, err := s.find(nameOf(req))
	if err != nil {
		return nil, err
	}
	out := &containerpb.ListNodePoolsResponse{}
	for _, p := range c.pb.GetNodePools() {
		out.NodePools = append(out.NodePools, proto.CloneOf(p))
	}
	return out, nil
}

// GetNodePool gives one pool, with the etag that an upgrade may send back.
func (s *server) GetNodePool(_ context.Context, req *containerpb.GetNodePoolRequest) (*containerpb.NodePool,
	error) {
	name, pool, _ := strings.Cut(nameOf(req), "/nodePools/")
	c, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if p := c.pool(pool); p != nil {
		return proto.CloneOf(p), nil
	}
	return nil, status.Errorf(codes.NotFound, "Not found: %s/nodePools/%s.", name, pool)
}
