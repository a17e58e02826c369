package gke_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/api/option"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// scripted is a GKE that answers by a script and counts what it is asked.
type scripted struct {
	containerpb.UnimplementedClusterManagerServer
	mu       sync.Mutex
	asked    []string
	requests []proto.Message
	errs     []error // the next answers; nil or none left: success
	clusters *containerpb.ListClustersResponse
	cluster  *containerpb.Cluster
	ops      *containerpb.ListOperationsResponse
	nameless bool // operations have no name
}

func (s *scripted) operation() *containerpb.Operation {
	if s.nameless {
		return &containerpb.Operation{}
	}
	return &containerpb.Operation{Name: "op"}
}

func (s *scripted) answer(name string, req proto.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, name)
	s.requests = append(s.requests, req)
	if len(s.errs) == 0 {
		return nil
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return err
}

func (s *scripted) ListClusters(_ context.Context,
	r *containerpb.ListClustersRequest) (*containerpb.ListClustersResponse, error) {
	return s.clusters, s.answer("ListClusters", r)
}

func (s *scripted) GetCluster(_ context.Context, r *containerpb.GetClusterRequest) (*containerpb.Cluster,
	error) {
	return s.cluster, s.answer("GetCluster", r)
}

func (s *scripted) ListOperations(_ context.Context,
	r *containerpb.ListOperationsRequest) (*containerpb.ListOperationsResponse, error) {
	return s.ops, s.answer("ListOperations", r)
}

func (s *scripted) StartIPRotation(_ context.Context,
	r *containerpb.StartIPRotationRequest) (*containerpb.Operation, error) {
	return s.operation(), s.answer("StartIPRotation", r)
}

func (s *scripted) CompleteIPRotation(_ context.Context,
	r *containerpb.CompleteIPRotationRequest) (*containerpb.Operation, error) {
	return s.operation(), s.answer("CompleteIPRotation", r)
}

func (s *scripted) UpdateCluster(_ context.Context,
	r *containerpb.UpdateClusterRequest) (*containerpb.Operation, error) {
	return s.operation(), s.answer("UpdateCluster", r)
}

func (s *scripted) UpdateNodePool(_ context.Context,
	r *containerpb.UpdateNodePoolRequest) (*containerpb.Operation, error) {
	return s.operation(), s.answer("UpdateNodePool", r)
}

// dial reaches the scripted GKE with Google's own client.
func dial(t *testing.T, s *scripted, retry gke.Retry) *gke.Cloud {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	containerpb.RegisterClusterManagerServer(server, s)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	conn, err := grpc.NewClient("passthrough:///test",
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	cloud, err := gke.DialWith(context.Background(), retry, option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close(); server.Stop() })
	return cloud
}

var ref = fleet.Ref{Project: "p", Location: "us-east1", Name: "c"}

// calls are the four that change a cluster.
var calls = map[string]func(*gke.Cloud) record.Outcome{
	"StartIPRotation":    func(c *gke.Cloud) record.Outcome { return c.Start(context.Background(), ref) },
	"CompleteIPRotation": func(c *gke.Cloud) record.Outcome { return c.Complete(context.Background(), ref) },
	"UpdateNodePool": func(c *gke.Cloud) record.Outcome {
		return c.Recreate(context.Background(), ref,
			fleet.Pool{Name: "web", Version: "1.33", Image: "COS_CONTAINERD", Etag: "e"})
	},
	"UpdateCluster": func(c *gke.Cloud) record.Outcome {
		return c.Recreate(context.Background(), ref, fleet.Pool{Version: "1.34", Etag: "e"})
	},
}

// TestMutationsAreSentOnce: whatever GKE answers, a call that changes a cluster
// is never repeated, and silence is not a refusal.
func TestMutationsAreSentOnce(t *testing.T) {
	for name, call := range calls {
		for _, code := range []codes.Code{
			codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Internal, codes.Unknown, codes.DataLoss,
			codes.Aborted,
			codes.ResourceExhausted, codes.FailedPrecondition, codes.NotFound, codes.PermissionDenied, codes.Code(77),
		} {
			s := &scripted{errs: []error{status.Error(code, "said so")}}
			got := call(dial(t, s, gke.DefaultRetry()))
			if !slices.Equal(s.asked, []string{name}) {
				t.Errorf("%s answered with %s: sent %v, want it once", name, code, s.asked)
			}
			unclear := slices.Contains([]codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Canceled,
				codes.Internal, codes.Unknown, codes.DataLoss, codes.Code(77)}, code)
			if (got.State == record.Unclear) != unclear || (got.State == record.Refused) == unclear ||
				got.Raw != "said so" {
				t.Errorf("%s answered with %s: %+v; want unclear: %v, and GKE's words", name, code, got, unclear)
			}
		}
	}
}

// TestWhatIsSent: rotation with credentials, and pools to their own version
// under their etag.
func TestWhatIsSent(t *testing.T) {
	for name, want := range map[string]proto.Message{
		"StartIPRotation":    &containerpb.StartIPRotationRequest{Name: ref.Path(), RotateCredentials: true},
		"CompleteIPRotation": &containerpb.CompleteIPRotationRequest{Name: ref.Path()},
		"UpdateNodePool": &containerpb.UpdateNodePoolRequest{Name: ref.Path() + "/nodePools/web",
			NodeVersion: "1.33", ImageType: "COS_CONTAINERD", Etag: "e"},
		"UpdateCluster": &containerpb.UpdateClusterRequest{Name: ref.Path(),
			Update: &containerpb.ClusterUpdate{DesiredMasterVersion: "1.34", Etag: "e"}},
	} {
		s := &scripted{}
		got := calls[name](dial(t, s, gke.NoRetry()))
		if got.State != record.Accepted || got.Operation != "op" {
			t.Errorf("%s: %+v, want it accepted with operation op", name, got)
		}
		if len(s.requests) != 1 || !proto.Equal(s.requests[0], want) {
			t.Errorf("%s: sent %v, want %v", name, s.requests, want)
		}
	}
}

// TestAnswerWithoutOperation: a call of which no operation is known is ended
// by what the cluster shows.
func TestAnswerWithoutOperation(t *testing.T) {
	for name, call := range calls {
		s := &scripted{nameless: true}
		if got := call(dial(t, s, gke.NoRetry())); got.State != record.Unclear || got.Raw == "" ||
			len(s.asked) != 1 {
			t.Errorf("%s: %+v after %v", name, got, s.asked)
		}
	}
}

// TestUnknownVersionIsNotSent: GKE would take its default version, a real
// upgrade.
func TestUnknownVersionIsNotSent(t *testing.T) {
	s := &scripted{}
	got := dial(t, s, gke.NoRetry()).Recreate(context.Background(), ref, fleet.Pool{Name: "web"})
	if len(s.asked) > 0 || got.State != record.Refused || got.Refusal != record.Invalid || got.Raw == "" {
		t.Errorf("sent %v, %+v; want nothing sent, and a refusal that says why", s.asked, got)
	}
}

// TestReadsAreRepeated: a few times, with the pauses that were given, after
// answers that may pass; not after a clear no.
func TestReadsAreRepeated(t *testing.T) {
	reads := map[string]func(*gke.Cloud) error{
		"ListClusters": func(c *gke.Cloud) error {
			_, _,
				err := c.Clusters(context.Background(), "p")
			return err
		},
		"GetCluster": func(c *gke.Cloud) error { _, err := c.Cluster(context.Background(), ref); return err },
		"ListOperations": func(c *gke.Cloud) error {
			_,
				err := c.Operations(context.Background(), "p")
			return err
		},
	}
	failing := func(code codes.Code, n int) []error {
		return slices.Repeat([]error{status.Error(code, "not now")}, n)
	}
	for name, read := range reads {
		for _, tt := range []struct {
			errs  []error
			tries int
			fails bool
		}{
			{nil, 1, false},
			{failing(codes.Unavailable, 1), 2, false},
			{failing(codes.ResourceExhausted, 2), 3, false},
			{failing(codes.Internal, 3), 4, false},
			{failing(codes.Unavailable, 9), 4, true},
			{failing(codes.PermissionDenied, 1), 1, true},
			{failing(codes.NotFound, 1), 1, true},
			{failing(codes.Unauthenticated, 1), 1, true},
		} {
			var slept []time.Duration
			retry := gke.DefaultRetry()
			retry.Sleep = func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil }
			s := &scripted{errs: tt.errs, clusters: &containerpb.ListClustersResponse{},
				cluster: &containerpb.Cluster{Name: "c", Location: "us-east1"},
				ops:     &containerpb.ListOperationsResponse{}}
			err := read(dial(t, s, retry))
			if (err != nil) != tt.fails || len(s.asked) != tt.tries ||
				!slices.Equal(slept, retry.Pauses[:tt.tries-1]) {
				t.Errorf("%s after %v: error %v, %d tries, pauses %v; want %d tries, an error: %v", name, tt.errs, err,
					len(s.asked), slept, tt.tries, tt.fails)
			}
		}
		s := &scripted{errs: failing(codes.Unavailable, 9)}
		if err := read(dial(t, s, gke.NoRetry())); err == nil || len(s.asked) != 1 {
			t.Errorf("%s without retry: error %v after %d tries, want one", name, err, len(s.asked))
		}
	}
}

// TestReadsEnd: when the time for all tries is up, the last answer is told.
func TestReadsEnd(t *testing.T) {
	retry := gke.Retry{Pauses: slices.Repeat([]time.Duration{time.Hour}, 9), Attempt: time.Second,
		Overall: 50 * time.Millisecond}
	s := &scripted{errs: slices.Repeat([]error{status.Error(codes.Unavailable, "not now")}, 20)}
	_, _, err := dial(t, s, retry).Clusters(context.Background(), "p")
	if err == nil || !strings.Contains(err.Error(), "not now") || len(s.asked) != 1 {
		t.Errorf("error %v after %d tries, want GKE's words after one", err, len(s.asked))
	}
}

func TestNotFoundIsItsOwnError(t *testing.T) {
	s := &scripted{errs: []error{status.Error(codes.NotFound, "Not found: x.")}}
	if _, err := dial(t, s, gke.NoRetry()).Cluster(context.Background(), ref); !errors.Is(err,
		gke.ErrNotFound) || !strings.Contains(err.Error(), "p/us-east1/c") {
		t.Errorf("got %v", err)
	}
}

// TestReadErrorsNameTheWayOut: what a person reads under "not seen".
func TestReadErrorsNameTheWayOut(t *testing.T) {
	off, err := status.New(codes.PermissionDenied,
		"Kubernetes Engine API is off.").WithDetails(&errdetails.ErrorInfo{Reason: "SERVICE_DISABLED",
		Domain: "googleapis.com"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{off.Err(), "gcloud services enable container.googleapis.com"},
		{status.Error(codes.PermissionDenied,
			"Kubernetes Engine API has not been used in project 88 before or it is disabled."),
			"gcloud services enable container.googleapis.com"},
		{status.Error(codes.PermissionDenied, `Required "container.clusters.list" permission(s) for "projects/p".`),
			"container.clusters.list"},
		{status.Error(codes.Unauthenticated, "no token"), "credentials"},
		{status.Error(codes.ResourceExhausted, "Quota exceeded"), "quota"},
	} {
		s := &scripted{errs: []error{tt.err}}
		if _, _, err := dial(t, s, gke.NoRetry()).Clusters(context.Background(), "p"); err == nil ||
			!strings.Contains(err.Error(), tt.want) ||
			!strings.Contains(err.Error(), status.Convert(tt.err).Message()) {
			t.Errorf("%v: told as %v, want GKE's words and %q", tt.err, err, tt.want)
		}
	}
}

// TestMissingZones: what GKE could not list is unknown, not gone.
func TestMissingZones(t *testing.T) {
	s := &scripted{clusters: &containerpb.ListClustersResponse{
		MissingZones: []string{"us-east1-b"},
		Clusters: []*containerpb.Cluster{
			{Name: "regional", Location: "us-east1"}, {Name: "there", Location: "us-east1-b"},
			{Name: "old", Zone: "us-east1-b"},
			{Name: "beside", Location: "us-east1-c"}, {Name: "far", Location: "us-east10"},
		},
	}}
	clusters, unread, err := dial(t, s, gke.NoRetry()).Clusters(context.Background(), "p")
	if err != nil || len(unread) != 1 || unread[0].Location != "us-east1-b" || unread[0].Project != "p" {
		t.Fatalf("unread %v, error %v", unread, err)
	}
	var partial []string
	for _, c := range clusters {
		if c.Partial {
			partial = append(partial, c.Ref.Name)
		}
	}
	if !slices.Equal(partial, []string{"regional", "there", "old"}) {
		t.Errorf("partly listed: %v", partial)
	}
	s = &scripted{ops: &containerpb.ListOperationsResponse{MissingZones: []string{"us-east1-b"}}}
	if _, err := dial(t, s, gke.NoRetry()).Operations(context.Background(), "p"); err == nil ||
		!strings.Contains(err.Error(), "us-east1-b") {
		t.Errorf("operations of a zone are unknown, and the error is %v", err)
	}
}

// TestOperationsKeepTheRunning: of very many, what runs and what is newest.
func TestOperationsKeepTheRunning(t *testing.T) {
	list := &containerpb.ListOperationsResponse{}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	link := "https://container.googleapis.com/v1/projects/1234/locations/us-east1/clusters/c"
	for i := range 2 * record.MaxOperations {
		list.Operations = append(list.Operations, &containerpb.Operation{
			Name: fmt.Sprintf("op-%03d", i), Status: containerpb.Operation_DONE, TargetLink: link,
			StartTime: begin.Add(time.Duration(i) * time.Hour).Format(time.RFC3339),
		})
	}
	list.Operations[0].Status = containerpb.Operation_RUNNING
	ops, err := dial(t, &scripted{ops: list}, gke.NoRetry()).Operations(context.Background(), "p")
	if err != nil {
		t.Fatal(err)
	}
	got := ops[ref]
	if len(got) != record.MaxOperations || got[0].Name != "op-000" || got[1].Name != "op-399" {
		t.Errorf("%d kept, first %v; want %d with op-000, which runs, then op-399, the newest", len(got), got[:2],
			record.MaxOperations)
	}
}
