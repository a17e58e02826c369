package gkesim

import (
	"context"
	"fmt"
	"path"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// newServer is a gRPC server on which faults strike.
func (w *World) newServer() *grpc.Server {
	s := grpc.NewServer(grpc.UnaryInterceptor(w.intercept))
	w.Register(s)
	return s
}

// intercept refuses a request, or loses the answer of one that was accepted,
// as the world's faults have it.
func (w *World) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo,
	handle grpc.UnaryHandler) (any, error) {
	method := path.Base(info.FullMethod)
	if err := w.refuse(method, req); err != nil {
		return nil, err
	}
	out, err := handle(ctx, req)
	if err != nil || isRead(method) {
		return out, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.faults.flaky() {
		w.faults.struck("answer-lost")
		if w.faults.dice.IntN(2) == 0 {
			return nil, status.Error(codes.DeadlineExceeded, "context deadline exceeded")
		}
		return nil, status.Error(codes.Unavailable, "The service is currently unavailable.")
	}
	return out, nil
}

func isRead(method string) bool {
	return strings.HasPrefix(method, "Get") || strings.HasPrefix(method, "List") ||
		strings.HasPrefix(method, "Fetch")
}

// refuse says why a request does not even arrive.
func (w *World) refuse(method string, req any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := w.byID(nameOf(req))
	err := w.denial(method, name)
	switch {
	case err != nil:
		w.faults.struck("denied")
	case !w.faults.flaky():
		return nil
	case isRead(method) && w.faults.dice.IntN(3) == 0:
		w.faults.struck("read-deadline")
		err = status.Error(codes.DeadlineExceeded, "context deadline exceeded")
	case isRead(method) && w.faults.dice.IntN(2) == 0:
		w.faults.struck("read-unavailable")
		err = status.Error(codes.Unavailable, "The service is currently unavailable.")
	default:
		w.faults.struck("quota")
		err = status.Error(codes.ResourceExhausted,
			"Quota exceeded for quota metric 'API requests' and limit 'API requests per minute' of service 'container.googleapis.com'.")
	}
	if !isRead(method) {
		cluster, pool, _ := strings.Cut(name, "/nodePools/")
		w.journal = append(w.journal, Entry{At: w.now, Method: method, Cluster: cluster, NodePool: pool,
			Error: status.Convert(err).Message()})
	}
	return err
}

// nameOf is what a request is about, in either form.
func nameOf(req any) string {
	if named, ok := req.(interface{ GetName() string }); ok && named.GetName() != "" {
		return named.GetName()
	}
	if below, ok := req.(interface{ GetParent() string }); ok && below.GetParent() != "" {
		return below.GetParent()
	}
	old, ok := req.(zonal)
	if !ok {
		return ""
	}
	name := parentOf(old)
	if of, ok := req.(interface{ GetClusterId() string }); ok && of.GetClusterId() != "" {
		name += "/clusters/" + of.GetClusterId()
	}
	return name
}

// permissions are what the methods need; container.clusters.update is for all
// others.
var permissions = map[string]string{
	"ListClusters": "container.clusters.list", "GetServerConfig": "container.clusters.list",
	"GetCluster": "container.clusters.get", "GetNodePool": "container.clusters.get",
	"ListNodePools":  "container.clusters.get",
	"ListOperations": "container.operations.list", "GetOperation": "container.operations.get",
	"ListInsights": "recommender.containerDiagnosisInsights.list",
	"GetInsight":   "recommender.containerDiagnosisInsights.get",
}

// denial is the 403 of a project, or nil.
func (w *World) denial(method, name string) error {
	parts := strings.Split(name, "/")
	if len(parts) < 2 {
		return nil
	}
	project := parts[1]
	switch w.faults.Denied[project] {
	case "permission":
		permission := permissions[method]
		if permission == "" {
			permission = "container.clusters.update"
		}
		return detailed(status.Newf(codes.PermissionDenied, "Required %q permission(s) for %q.", permission, name),
			&errdetails.ErrorInfo{Reason: "IAM_PERMISSION_DENIED", Domain: "container.googleapis.com",
				Metadata: map[string]string{"permission": permission}})
	case "api-disabled":
		number := projectNumber(project)
		url := "https://console.developers.google.com/apis/api/container.googleapis.com/overview?project=" + number
		return detailed(status.Newf(codes.PermissionDenied,
			"Kubernetes Engine API has not been used in project %s before or it is disabled. Enable it by visiting %s then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.", number, url),
			&errdetails.ErrorInfo{Reason: "SERVICE_DISABLED", Domain: "googleapis.com",
				Metadata: map[string]string{"service": "container.googleapis.com", "consumer": "projects/" + number}})
	}
	return nil
}

func detailed(s *status.Status, info *errdetails.ErrorInfo) error {
	with, err := s.WithDetails(info)
	if err != nil {
		return fmt.Errorf("gkesim: %w", err)
	}
	return with.Err()
}
