package gke_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"cloud.google.com/go/recommender/apiv1/recommenderpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// advisor is a Recommender that answers by a script.
type advisor struct {
	recommenderpb.UnimplementedRecommenderServer
	asked  []*recommenderpb.ListInsightsRequest
	errs   []error
	answer *recommenderpb.ListInsightsResponse
	// hangs, when given, gets a word for each request, which is then never
	// answered.
	hangs chan struct{}
}

func (a *advisor) ListInsights(ctx context.Context,
	r *recommenderpb.ListInsightsRequest) (*recommenderpb.ListInsightsResponse, error) {
	if a.hangs != nil {
		a.hangs <- struct{}{}
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	a.asked = append(a.asked, r)
	if len(a.errs) > 0 {
		err := a.errs[0]
		a.errs = a.errs[1:]
		return nil, err
	}
	return a.answer, nil
}

func dialAdvisor(t *testing.T, a *advisor, retry gke.Retry) *gke.Recommender {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	recommenderpb.RegisterRecommenderServer(server, a)
	go func() { _ = server.Serve(listener) }() // ends with Stop
	conn, err := grpc.NewClient("passthrough:///test",
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	r, err := gke.DialRecommender(t.Context(), retry, option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); server.Stop() })
	return r
}

func insight(subtype string, state recommenderpb.InsightStateInfo_State,
	targets ...string) *recommenderpb.Insight {
	return &recommenderpb.Insight{InsightSubtype: subtype,
		StateInfo: &recommenderpb.InsightStateInfo{State: state}, TargetResources: targets}
}

// TestInsights: one request for one location, and what of its answer is about
// CAs of clusters.
func TestInsights(t *testing.T) {
	const ca = "CLUSTER_CA_EXPIRATION"
	base := "//container.googleapis.com/projects/"
	a := &advisor{answer: &recommenderpb.ListInsightsResponse{Insights: []*recommenderpb.Insight{
		insight(ca, recommenderpb.InsightStateInfo_ACTIVE, base+"shop/locations/us-east1/clusters/web"),
		insight(ca, recommenderpb.InsightStateInfo_ACCEPTED, base+"1234567/zones/us-east1-b/clusters/old"),
		insight(ca, recommenderpb.InsightStateInfo_State(77), base+"shop/locations/us-east1/clusters/new"),
		insight("CLUSTER_IP_UTILIZATION", recommenderpb.InsightStateInfo_ACTIVE,
			base+"shop/locations/us-east1/clusters/ip"),
		insight(ca, recommenderpb.InsightStateInfo_ACTIVE,
			"//compute.googleapis.com/projects/shop/locations/us-east1/clusters/x", base+"shop", ""),
		insight(ca, recommenderpb.InsightStateInfo_ACTIVE),
	}}}
	got, complete, err := dialAdvisor(t, a, gke.InsightRetry()).Insights(t.Context(), "shop", "us-east1")
	want := []record.Insight{
		{Cluster: fleet.Ref{Project: "shop", Location: "us-east1", Name: "web"}, State: "ACTIVE"},
		{Cluster: fleet.Ref{Project: "shop", Location: "us-east1-b", Name: "old"}, State: "ACCEPTED"},
		{Cluster: fleet.Ref{Project: "shop", Location: "us-east1", Name: "new"}, State: "77"},
	}
	if err != nil || !complete || !slices.Equal(got, want) {
		t.Errorf("%+v, complete %v, error %v; want %+v", got, complete, err, want)
	}
	if len(a.asked) != 1 || a.asked[0].Parent != "projects/shop/locations/us-east1/insightTypes/google.container.DiagnosisInsight" ||
		a.asked[0].Filter != "insightSubtype = CLUSTER_CA_EXPIRATION" || a.asked[0].PageSize < 200 {
		t.Errorf("asked %v", a.asked)
	}
}

// TestInsightPages: a second page would be a read that nobody counted.
func TestInsightPages(t *testing.T) {
	a := &advisor{answer: &recommenderpb.ListInsightsResponse{NextPageToken: "more"}}
	if _, complete, err := dialAdvisor(t, a, gke.InsightRetry()).Insights(t.Context(), "p", "l"); err != nil ||
		complete || len(a.asked) != 1 {
		t.Errorf("complete %v, error %v after %d requests; want one, and that it is not all", complete, err,
			len(a.asked))
	}
}

// TestInsightErrors: which error ends the day's reads, which ends this run's,
// and that none is repeated unless asked.
func TestInsightErrors(t *testing.T) {
	for _, tt := range []struct {
		code codes.Code
		is   error
		says string
	}{
		{codes.ResourceExhausted, gke.ErrUsedUp, "quota"},
		{codes.Unavailable, gke.ErrNoAnswer, "no answer"},
		{codes.DeadlineExceeded, gke.ErrNoAnswer, "no answer"},
		{codes.PermissionDenied, nil, "recommender.containerDiagnosisInsights.list"},
		{codes.NotFound, nil, "NotFound"},
		{codes.Internal, nil, "Internal"},
	} {
		a := &advisor{errs: slices.Repeat([]error{status.Error(tt.code, "said so")}, 9)}
		_, _, err := dialAdvisor(t, a, gke.InsightRetry()).Insights(t.Context(), "p", "l")
		if err == nil || len(a.asked) != 1 || !strings.Contains(err.Error(), "said so") ||
			!strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v after %d requests", tt.code, err, len(a.asked))
		}
		for _, is := range []error{gke.ErrUsedUp, gke.ErrNoAnswer} {
			if want := tt.is != nil && errors.Is(tt.is, is); errors.Is(err, is) != want {
				t.Errorf("%s: %v is %q: %v", tt.code, err, is, !want)
			}
		}
	}
	off := &advisor{errs: []error{status.Error(codes.PermissionDenied,
		"Recommender API has not been used in project 88 before or it is disabled.")}}
	if _, _, err := dialAdvisor(t, off, gke.InsightRetry()).Insights(t.Context(), "p", "l"); err == nil ||
		!strings.Contains(err.Error(), "gcloud services enable recommender.googleapis.com") {
		t.Errorf("an API that is off: %v", err)
	}
	// With a retry, what may pass is repeated; a used-up quota never is.
	retry := gke.Retry{Pauses: []time.Duration{0, 0}, Attempt: time.Second, Overall: 10 * time.Second,
		Sleep: func(context.Context, time.Duration) error { return nil }}
	for code, tries := range map[codes.Code]int{codes.Unavailable: 3, codes.ResourceExhausted: 1} {
		a := &advisor{errs: slices.Repeat([]error{status.Error(code, "no")}, 9)}
		if _, _, err := dialAdvisor(t, a, retry).Insights(t.Context(), "p", "l"); err == nil ||
			len(a.asked) != tries {
			t.Errorf("%s: %v after %d requests, want %d", code, err, len(a.asked), tries)
		}
	}
}

// TestInsightsEnd: a Recommender that hangs costs one try's time.
func TestInsightsEnd(t *testing.T) {
	a := &advisor{hangs: make(chan struct{}, 8)}
	_, _, err := dialAdvisor(t, a,
		gke.Retry{Attempt: 300 * time.Millisecond, Overall: time.Minute}).Insights(t.Context(), "p", "l")
	if !errors.Is(err, gke.ErrNoAnswer) {
		t.Error(err)
	}
	<-a.hangs // a slow machine may deliver it after its time is over
	if more := len(a.hangs); more > 0 {
		t.Errorf("%d more requests", more)
	}
}

// TestSimulatedRecommender: the same against the simulated one, over a socket:
// what it says of two clusters, and its day's quota.
func TestSimulatedRecommender(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	w := gkesim.New(gkesim.Options{Seed: 1, Now: now, InsightReads: 2})
	for name, days := range map[string]int{"soon": 30, "later": 400} {
		pem := gkesim.IssueCA(1, name, now.AddDate(-4, 0, 0), now.AddDate(0, 0, days))
		if err := w.Add("shop", &containerpb.Cluster{
			Name: name, Location: "us-east1", Status: containerpb.Cluster_RUNNING,
			MasterAuth: &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(pem))},
		}); err != nil {
			t.Fatal(err)
		}
	}
	opts, stop, err := w.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	r, err := gke.DialRecommender(t.Context(), gke.InsightRetry(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	got, complete, err := r.Insights(t.Context(), "shop", "us-east1")
	want := []record.Insight{{Cluster: fleet.Ref{Project: "shop", Location: "us-east1", Name: "soon"},
		State: record.InsightActive}}
	if err != nil || !complete || !slices.Equal(got, want) {
		t.Errorf("%+v, complete %v, error %v; want %+v", got, complete, err, want)
	}
	if got, complete, err = r.Insights(t.Context(), "shop", "elsewhere"); err != nil || !complete ||
		len(got) != 0 {
		t.Errorf("elsewhere: %+v, complete %v, error %v", got, complete, err)
	}
	if _, _, err = r.Insights(t.Context(), "shop", "us-east1"); !errors.Is(err, gke.ErrUsedUp) {
		t.Errorf("the third read of the day: %v", err)
	}
	w.Advance(now.AddDate(0, 0, 1))
	if _, _, err = r.Insights(t.Context(), "shop", "us-east1"); err != nil {
		t.Errorf("on the next day: %v", err)
	}
}
