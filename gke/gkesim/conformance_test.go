package gkesim_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	container "cloud.google.com/go/container/apiv1"
	"cloud.google.com/go/container/apiv1/containerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"gke-credential-rotator/gke/gkesim"
)

// gkeServer is a simulated GKE on one port for clients that nobody here wrote.
type gkeServer struct {
	url string // http://127.0.0.1:PORT
	w   *gkesim.World
	// step is how many simulated nanoseconds pass with every look at the
	// clock: clients that poll with pauses need few polls.
	step atomic.Int64
}

func (s *gkeServer) addr() string { return strings.TrimPrefix(s.url, "http://") }

// serveWorld serves w from the sample's start on. Its clock stands still until
// somebody moves it.
func serveWorld(t *testing.T, w *gkesim.World) *gkeServer {
	t.Helper()
	s := &gkeServer{w: w}
	var passed atomic.Int64
	clock := gkesim.NewClock(gkesim.SampleStart, 1, func() time.Time {
		return time.Unix(0, passed.Add(s.step.Load()))
	})
	handler, err := w.Serve(clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(handler.Close)
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func serveSample(t *testing.T) *gkeServer {
	t.Helper()
	w := gkesim.New(gkesim.Options{Seed: 1, Now: gkesim.SampleStart})
	if err := w.AddSample(); err != nil {
		t.Fatal(err)
	}
	return serveWorld(t, w)
}

// advance lets simulated time pass, as any client can.
func (s *gkeServer) advance(t *testing.T, by string) {
	t.Helper()
	if code, text := get(t, "POST", s.url+"/sim/clock", `{"advance":"`+by+`"}`); code != http.StatusOK {
		t.Fatalf("advance %s: %d %s", by, code, text)
	}
}

// accepted lists the changes that were let in, as "method cluster pool".
func (s *gkeServer) accepted() []string {
	var out []string
	for _, e := range s.w.Journal() {
		if e.Accepted {
			name := e.Cluster[strings.LastIndex(e.Cluster, "/")+1:]
			out = append(out, strings.TrimSpace(e.Method+" "+name+" "+e.NodePool))
		}
	}
	return out
}

// program finds a client's program. Where it is missing its tests are skipped,
// but not in CI.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is not installed, and CI=true: .ci/run is to install it", name)
	default:
		t.Skipf("%s is not installed", name)
	}
	return ""
}

// client is what Google's gRPC and REST clients for Go have in common.
type client interface {
	ListClusters(context.Context, *containerpb.ListClustersRequest,
		...gax.CallOption) (*containerpb.ListClustersResponse, error)
	GetCluster(context.Context, *containerpb.GetClusterRequest, ...gax.CallOption) (*containerpb.Cluster, error)
	StartIPRotation(context.Context, *containerpb.StartIPRotationRequest,
		...gax.CallOption) (*containerpb.Operation, error)
	CompleteIPRotation(context.Context, *containerpb.CompleteIPRotationRequest,
		...gax.CallOption) (*containerpb.Operation, error)
	UpdateCluster(context.Context, *containerpb.UpdateClusterRequest, ...gax.CallOption) (*containerpb.Operation,
		error)
	UpdateNodePool(context.Context, *containerpb.UpdateNodePoolRequest,
		...gax.CallOption) (*containerpb.Operation, error)
	ListNodePools(context.Context, *containerpb.ListNodePoolsRequest,
		...gax.CallOption) (*containerpb.ListNodePoolsResponse, error)
	GetNodePool(context.Context, *containerpb.GetNodePoolRequest, ...gax.CallOption) (*containerpb.NodePool,
		error)
	GetServerConfig(context.Context, *containerpb.GetServerConfigRequest,
		...gax.CallOption) (*containerpb.ServerConfig, error)
	ListOperations(context.Context, *containerpb.ListOperationsRequest,
		...gax.CallOption) (*containerpb.ListOperationsResponse, error)
	GetOperation(context.Context, *containerpb.GetOperationRequest, ...gax.CallOption) (*containerpb.Operation,
		error)
}

// clients gives Google's own Go clients on the server, by protocol.
func clients(t *testing.T, s *gkeServer) map[string]client {
	t.Helper()
	rest, err := container.NewClusterManagerRESTClient(t.Context(), option.WithEndpoint(s.url),
		option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rest.Close() })
	overGRPC, err := container.NewClusterManagerClient(t.Context(), option.WithEndpoint(s.addr()),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = overGRPC.Close() })
	return map[string]client{"gRPC": overGRPC, "REST": rest}
}
