package gkesim_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/container/apiv1/containerpb"
	recommender "cloud.google.com/go/recommender/apiv1"
	"cloud.google.com/go/recommender/apiv1/recommenderpb"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

const ordersLocation = "projects/bank-prod/locations/europe-west3"
const ordersName = ordersLocation + "/clusters/orders"

// TestGoClientsRotate: a whole rotation through each of Google's Go clients,
// with every refusal on the way.
func TestGoClientsRotate(t *testing.T) {
	for _, protocol := range []string{"gRPC", "REST"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := serveSample(t)
			rotateByGo(t, s, clients(t, s)[protocol])
		})
	}
}

func rotateByGo(t *testing.T, s *gkeServer, c client) {
	ctx := t.Context()
	start := func() (*containerpb.Operation, error) {
		return c.StartIPRotation(ctx, &containerpb.StartIPRotationRequest{Name: ordersName,
			RotateCredentials: true})
	}
	complete := func() (*containerpb.Operation, error) {
		return c.CompleteIPRotation(ctx, &containerpb.CompleteIPRotationRequest{Name: ordersName})
	}
	orders := func(cas int) *containerpb.Cluster {
		t.Helper()
		got, err := c.GetCluster(ctx, &containerpb.GetClusterRequest{Name: ordersName})
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(bundle(t, got), "BEGIN CERTIFICATE"); n != cas {
			t.Fatalf("the bundle has %d CAs, want %d", n, cas)
		}
		return got
	}
	begun := func(kind containerpb.Operation_Type, target string) func(*containerpb.Operation, error) {
		return func(op *containerpb.Operation, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			if op.GetOperationType() != kind || op.GetStatus() == containerpb.Operation_DONE ||
				!strings.HasSuffix(op.GetTargetLink(), target) {
				t.Errorf("got %v, want a running %s of %s", op, kind, target)
			}
			got, err := c.GetOperation(ctx, &containerpb.GetOperationRequest{Name: ordersLocation + "/operations/" +
				op.GetName()})
			if err != nil || got.GetName() != op.GetName() {
				t.Errorf("asked for it: %v %v", got, err)
			}
		}
	}
	refused := func(text string) func(*containerpb.Operation, error) {
		return func(op *containerpb.Operation, err error) {
			t.Helper()
			var told *apierror.APIError
			if !errors.As(err, &told) || !strings.Contains(err.Error(), text) {
				t.Errorf("got %v, %v; want the refusal %q as Google's clients know it", op, err, text)
			}
		}
	}
	before := orders(1)
	refused("does not have an IP rotation in progress")(complete())
	begun(containerpb.Operation_UPDATE_CLUSTER, "clusters/orders")(start())
	refused("Cluster is running incompatible operation")(start())
	s.advance(t, "15m")
	during := orders(2)
	if during.GetEndpoint() == before.GetEndpoint() || !strings.HasPrefix(bundle(t, during), bundle(t, before)) {
		t.Error("want a new endpoint, and the old CA first")
	}
	refused("The cluster has an IP rotation in progress.")(start())
	refused(`Node pool "web" requires recreation.`)(complete())
	pools, err := c.ListNodePools(ctx, &containerpb.ListNodePoolsRequest{Parent: ordersName})
	if err != nil || len(pools.GetNodePools()) != 2 {
		t.Fatalf("node pools: %v %v", pools, err)
	}
	config, err := c.GetServerConfig(ctx, &containerpb.GetServerConfigRequest{Name: ordersLocation})
	if err != nil || !slices.Contains(config.GetValidNodeVersions(), pools.GetNodePools()[0].GetVersion()) {
		t.Errorf("server config: %v %v", config, err)
	}
	web, err := c.GetNodePool(ctx, &containerpb.GetNodePoolRequest{Name: ordersName + "/nodePools/web"})
	if err != nil {
		t.Fatal(err)
	}
	update := &containerpb.UpdateNodePoolRequest{Name: ordersName + "/nodePools/web",
		NodeVersion: web.GetVersion(), ImageType: web.GetConfig().GetImageType(), Etag: "stale"}
	refused("etag")(c.UpdateNodePool(ctx, update))
	update.Etag = web.GetEtag()
	begun(containerpb.Operation_UPGRADE_NODES, "nodePools/web")(c.UpdateNodePool(ctx, update))
	begun(containerpb.Operation_UPGRADE_NODES,
		"nodePools/batch")(c.UpdateCluster(ctx, &containerpb.UpdateClusterRequest{
		Name: ordersName, Update: &containerpb.ClusterUpdate{DesiredNodePoolId: "batch",
			DesiredNodeVersion: web.GetVersion()}}))
	s.advance(t, "1h")
	begun(containerpb.Operation_UPDATE_CLUSTER, "clusters/orders")(complete())
	s.advance(t, "10m")
	after := orders(1)
	if bundle(t, after) == bundle(t, before) || !strings.HasSuffix(bundle(t, during), bundle(t, after)) ||
		after.GetEndpoint() != during.GetEndpoint() {
		t.Error("want the new CA and the new endpoint to be left")
	}
	ops, err := c.ListOperations(ctx,
		&containerpb.ListOperationsRequest{Parent: "projects/bank-prod/locations/-"})
	if err != nil || len(ops.GetOperations()) != 4 {
		t.Errorf("operations: %v %v", ops, err)
	}
	for _, op := range ops.GetOperations() {
		if op.GetStatus() != containerpb.Operation_DONE || op.GetEndTime() == "" || op.GetError() != nil {
			t.Errorf("not done well: %v", op)
		}
	}
	if got := s.accepted(); !slices.Equal(got, wholeRotation) {
		t.Errorf("accepted %q, want %q", got, wholeRotation)
	}
}

// wholeRotation is what a rotation of the sample's orders cluster asks for when
// web is recreated by its own method and batch by gcloud's.
var wholeRotation = []string{"StartIPRotation orders", "UpdateNodePool orders web",
	"UpdateCluster orders batch", "CompleteIPRotation orders"}

// bundle is the cluster's CA bundle as PEM.
func bundle(t *testing.T, c *containerpb.Cluster) string {
	t.Helper()
	pem, err := base64.StdEncoding.DecodeString(c.GetMasterAuth().GetClusterCaCertificate())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem)
}

// TestGoClientsReadInsights: Google's Recommender clients read on the same port,
// over both protocols.
func TestGoClientsReadInsights(t *testing.T) {
	s := serveSample(t)
	rest, err := recommender.NewRESTClient(t.Context(), option.WithEndpoint(s.url),
		option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	overGRPC, err := recommender.NewClient(t.Context(), option.WithEndpoint(s.addr()),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		protocol, location string
		c                  *recommender.Client
	}{{"REST", "us-east4", rest}, {"gRPC", "us-east1", overGRPC}} {
		t.Run(tt.protocol, func(t *testing.T) {
			defer func() { _ = tt.c.Close() }()
			parent := "projects/shop-prod/locations/" + tt.location
			insight, err := tt.c.ListInsights(t.Context(), &recommenderpb.ListInsightsRequest{
				Parent: parent + "/insightTypes/google.container.DiagnosisInsight",
				Filter: "stateInfo.state=ACTIVE"}).Next()
			if err != nil || insight.GetInsightSubtype() != "CLUSTER_CA_EXPIRATION" {
				t.Fatalf("insight: %v %v", insight, err)
			}
			if again, err := tt.c.GetInsight(t.Context(),
				&recommenderpb.GetInsightRequest{Name: insight.GetName()}); err != nil || !proto.Equal(again, insight) {
				t.Errorf("asked for it: %v %v", again, err)
			}
			if other, err := tt.c.GetInsight(t.Context(),
				&recommenderpb.GetInsightRequest{Name: insight.GetName() + "0"}); err == nil {
				t.Errorf("asked for one that there is not: %v", other)
			}
		})
	}
}
