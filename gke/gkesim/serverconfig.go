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
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	location := req.GetName()
	if location == "" {
		location = parentOf(req)
	}
	masters, nodes := []string{sampleVersion}, []string{sampleVersion}
	for _, c := range s.w.under(location) {
		masters = append(masters, c.pb.GetCurrentMasterVersion())
		for _, p := range c.pb.GetNodePools() {
			nodes = append(nodes, p.GetVersion())
		}
	}
	masters = newestFirst(masters)
	return &containerpb.ServerConfig{
		DefaultClusterVersion: masters[0],
		ValidMasterVersions:   masters,
		ValidNodeVersions:     newestFirst(append(nodes, masters...)),
		DefaultImageType:      "COS_CONTAINERD",
		ValidImageTypes:       []string{"COS_CONTAINERD", "UBUNTU_CONTAINERD"},
	}, nil
}

// newestMaster is the default version of a location.
func (w *World) newestMaster(location string) string {
	masters := []string{sampleVersion}
	for _, c := range w.under(location) {
		masters = append(masters, c.pb.GetCurrentMasterVersion())
	}
	return newestFirst(masters)[0]
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
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	name := req.GetParent()
	if name == "" {
		name = parentOf(req) + "/clusters/" + req.GetClusterId() //nolint:staticcheck // the old form
	}
	c, err := s.find(name)
	if err != nil {
		return nil, err
	}
	c.look()
	out := &containerpb.ListNodePoolsResponse{}
	for _, p := range c.pb.GetNodePools() {
		out.NodePools = append(out.NodePools, proto.CloneOf(p))
	}
	return out, nil
}

// GetNodePool gives one pool, with the etag that an upgrade may send back.
func (s *server) GetNodePool(_ context.Context, req *containerpb.GetNodePoolRequest) (*containerpb.NodePool,
	error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	name, pool, named := strings.Cut(req.GetName(), "/nodePools/")
	if !named {
		name, pool = clusterOf(req), req.GetNodePoolId() //nolint:staticcheck // the old form
	}
	c, err := s.find(name)
	if err != nil {
		return nil, err
	}
	c.look()
	if p := c.pool(pool); p != nil {
		return proto.CloneOf(p), nil
	}
	return nil, status.Errorf(codes.NotFound, "Not found: %s/nodePools/%s.", name, pool)
}
