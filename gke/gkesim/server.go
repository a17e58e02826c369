package gkesim

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"path"
	"strings"

	"cloud.google.com/go/container/apiv1/containerpb"
	"cloud.google.com/go/recommender/apiv1/recommenderpb"
	"google.golang.org/api/option"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// NewServer is the simulated GKE and Recommender as a gRPC server, on which faults
// strike, behind interceptors of the caller's.
func (w *World) NewServer(before ...grpc.UnaryServerInterceptor) *grpc.Server {
	s := grpc.NewServer(grpc.ChainUnaryInterceptor(append(before, w.intercept)...))
	containerpb.RegisterClusterManagerServer(s, &server{w: w})
	recommenderpb.RegisterRecommenderServer(s, &recommender{w: w})
	return s
}

// intercept lets one request after the other reach the world. It refuses a
// request, or loses the answer of one that was accepted, as the world's faults
// have it.
func (w *World) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo,
	handle grpc.UnaryHandler) (any, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	method := path.Base(info.FullMethod)
	_ = grpc.SetHeader(ctx, metadata.Pairs("date",
		w.now.UTC().Format(http.TimeFormat))) // fails without a wire
	var out any
	err := w.refuse(method, req)
	if err == nil {
		out, err = handle(ctx, req)
	}
	if isRead(method) {
		return out, err
	}
	w.note(method, req, err)
	if err != nil || !w.faults.flaky() {
		return out, err
	}
	w.faults.struck("answer-lost")
	if w.faults.dice.IntN(2) == 0 {
		return nil, errDeadline
	}
	return nil, errUnavailable
}

var (
	errDeadline    = status.Error(codes.DeadlineExceeded, "context deadline exceeded")
	errUnavailable = status.Error(codes.Unavailable, "The service is currently unavailable.")
)

func isRead(method string) bool {
	return strings.HasPrefix(method, "Get") || strings.HasPrefix(method, "List") ||
		strings.HasPrefix(method, "Fetch")
}

// refuse says why a request does not even arrive.
func (w *World) refuse(method string, req any) error {
	name := w.byID(nameOf(req))
	err := w.denial(method, name)
	switch {
	case err != nil:
		w.faults.struck("denied")
	case !w.faults.flaky():
		return nil
	case isRead(method) && w.faults.dice.IntN(3) == 0:
		w.faults.struck("read-deadline")
		err = errDeadline
	case isRead(method) && w.faults.dice.IntN(2) == 0:
		w.faults.struck("read-unavailable")
		err = errUnavailable
	default:
		w.faults.struck("quota")
		err = status.Error(codes.ResourceExhausted,
			"Quota exceeded for quota metric 'API requests' and limit 'API requests per minute' of service 'container.googleapis.com'.")
	}
	return err
}

// note writes a request that would change a cluster into the journal.
func (w *World) note(method string, req any, err error) {
	if status.Code(err) == codes.Unimplemented {
		return
	}
	e := Entry{At: w.now, Method: method, Accepted: err == nil, Error: status.Convert(err).Message()}
	e.Cluster, e.NodePool, _ = strings.Cut(w.byID(nameOf(req)), "/nodePools/")
	if update, ok := req.(*containerpb.UpdateClusterRequest); ok {
		e.NodePool = update.GetUpdate().GetDesiredNodePoolId()
	}
	w.journal = append(w.journal, e)
}

// nameOf is what a request is about, by its full name. Old clients and paths
// still have the project, zone and ids in fields of their own.
func nameOf(req any) string {
	m := req.(proto.Message).ProtoReflect()
	get := func(field protoreflect.Name) string {
		if f := m.Descriptor().Fields().ByName(field); f != nil {
			return m.Get(f).String()
		}
		return ""
	}
	if name := cmp.Or(get("name"), get("parent")); name != "" {
		return name
	}
	var parts []string
	for _, part := range []struct{ kind, field string }{{"projects", "project_id"}, {"locations", "zone"},
		{"clusters", "cluster_id"}, {"nodePools", "node_pool_id"}, {"operations", "operation_id"}} {
		if id := get(protoreflect.Name(part.field)); id != "" {
			parts = append(parts, part.kind, id)
		}
	}
	return strings.Join(parts, "/")
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

// Connect serves the world in memory and gives the options with which Google's
// own client reaches it. stop ends the serving.
func (w *World) Connect() (opts []option.ClientOption, stop func(), err error) {
	conn, stop, err := w.loopback()
	if err != nil {
		return nil, nil, err
	}
	return []option.ClientOption{option.WithGRPCConn(conn)}, stop, nil
}

// loopback serves the world in memory behind one connection.
func (w *World) loopback() (conn *grpc.ClientConn, stop func(), err error) {
	listener := bufconn.Listen(1 << 20)
	s := w.NewServer()
	go func() { _ = s.Serve(listener) }() // ends with Stop; its error says only that
	conn, err = grpc.NewClient("passthrough:///gkesim",
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.Stop()
		return nil, nil, err
	}
	return conn, func() { _ = conn.Close(); s.Stop() }, nil
}
