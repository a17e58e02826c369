package gkesim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	container "cloud.google.com/go/container/apiv1"
	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/policy/fleet"
)

// served serves the sample on one port, with a real clock that stands at now.
func served(t *testing.T, speed float64) (url string, w *gkesim.World, now *time.Time) {
	t.Helper()
	w = gkesim.New(gkesim.Options{Seed: 1, Now: gkesim.SampleStart})
	if err := w.AddSample(); err != nil {
		t.Fatal(err)
	}
	now = new(time.Time)
	handler, err := w.Serve(gkesim.NewClock(gkesim.SampleStart, speed, func() time.Time { return *now }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(handler.Close)
	s := httptest.NewUnstartedServer(handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, w, now
}

func get(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// TestOnePort: Google's gRPC and REST clients see the same clusters on one port,
// and a rotation started over one is refused over the other.
func TestOnePort(t *testing.T) {
	url, _, _ := served(t, 0)
	rest, err := container.NewClusterManagerRESTClient(t.Context(), option.WithEndpoint(url),
		option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	overGRPC, err := container.NewClusterManagerClient(t.Context(),
		option.WithEndpoint(strings.TrimPrefix(url, "http://")),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = overGRPC.Close() }()
	list := &containerpb.ListClustersRequest{Parent: "projects/shop-prod/locations/-"}
	a, err := rest.ListClusters(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	b, err := overGRPC.ListClusters(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.GetClusters()) == 0 || !proto.Equal(a, b) {
		t.Errorf("REST and gRPC differ:\n%v\n%v", a, b)
	}
	name := "projects/shop-prod/locations/us-east4/clusters/search"
	op, err := rest.StartIPRotation(t.Context(), &containerpb.StartIPRotationRequest{Name: name,
		RotateCredentials: true})
	if err != nil || op.GetOperationType() != containerpb.Operation_UPDATE_CLUSTER {
		t.Fatalf("%v %v", op, err)
	}
	if got, err := rest.GetOperation(t.Context(),
		&containerpb.GetOperationRequest{Name: "projects/shop-prod/locations/us-east4/operations/" +
			op.GetName()}); err != nil || got.GetName() != op.GetName() {
		t.Errorf("the operation: %v %v", got, err)
	}
	if _, err := overGRPC.CompleteIPRotation(t.Context(),
		&containerpb.CompleteIPRotationRequest{Name: name}); err == nil ||
		!strings.Contains(err.Error(), "incompatible operation") {
		t.Errorf("completing while the start runs: %v", err)
	}
	if _, err := rest.CompleteIPRotation(t.Context(),
		&containerpb.CompleteIPRotationRequest{Name: name}); err == nil ||
		!strings.Contains(err.Error(), "incompatible operation") {
		t.Errorf("over REST: %v", err)
	}
}

// TestOldPaths: the zonal form that old clients use, bodies, and errors in
// Google's shape.
func TestOldPaths(t *testing.T) {
	url, w, _ := served(t, 0)
	for _, tt := range []struct {
		name, method, path, body string
		code                     int
		want                     string
	}{
		{"zonal list", "GET", "/v1/projects/shop-dev/zones/-/clusters", "", 200, `"dev-1"`},
		{"query parameters of every API", "GET",
			"/v1/projects/shop-dev/locations/-/clusters?alt=json&prettyPrint=true", "", 200, `"dev-1"`},
		{"unknown parameter", "GET", "/v1/projects/shop-dev/locations/-/clusters?colour=red", "", 400, "colour"},
		{"unknown field", "POST", "/v1/projects/shop-dev/locations/europe-west1-b/clusters/dev-1:startIpRotation",
			`{"rotate":true}`, 400, "INVALID_ARGUMENT"},
		{"no such cluster", "GET", "/v1/projects/shop-dev/locations/europe-west1-b/clusters/nope", "", 404,
			"NOT_FOUND"},
		{"no such method", "GET", "/v1/projects/shop-dev/everything", "", 404, "NOT_FOUND"},
		{"not simulated", "DELETE", "/v1/projects/shop-dev/locations/europe-west1-b/clusters/dev-1", "", 501,
			"UNIMPLEMENTED"},
		{"not rotating", "POST", "/v1/projects/shop-dev/locations/europe-west1-b/clusters/dev-1:completeIpRotation",
			`{}`, 400, "does not have an IP rotation in progress"},
		{"start", "POST", "/v1/projects/shop-dev/locations/europe-west1-b/clusters/dev-1:startIpRotation",
			`{"rotateCredentials":true}`, 200, "UPDATE_CLUSTER"},
		{"busy", "POST", "/v1/projects/shop-dev/locations/europe-west1-b/clusters/dev-1:completeIpRotation", `{}`,
			400, "CLUSTER_ALREADY_HAS_OPERATION"},
	} {
		if code, text := get(t, tt.method, url+tt.path, tt.body); code != tt.code ||
			!strings.Contains(text, tt.want) {
			t.Errorf("%s: %d %s", tt.name, code, text)
		}
	}
	if n := len(w.Journal()); n != 3 {
		t.Errorf("the journal has %d requests, want the 3 that reached GKE", n)
	}
}

// TestClock: time passes by the speed, by hand, and never back.
func TestClock(t *testing.T) {
	url, w, now := served(t, 60)
	clock := func(body string) (int, time.Time) {
		code, text := get(t, "POST", url+"/sim/clock", body)
		var got struct{ Now time.Time }
		_ = json.Unmarshal([]byte(text), &got)
		return code, got.Now
	}
	*now = now.Add(time.Minute)
	if _, text := get(t, "GET", url+"/sim/clock", ""); !strings.Contains(text, "2026-11-23T01:00:00Z") {
		t.Errorf("after a real minute at speed 60: %s", text)
	}
	if code, at := clock(`{"advance":"6h"}`); code != 200 || !at.Equal(gkesim.SampleStart.Add(7*time.Hour)) ||
		!w.Now().Equal(at) {
		t.Errorf("%d %s, the world is at %s", code, at, w.Now())
	}
	if code, at := clock(`{"now":"2026-12-01T00:00:00Z"}`); code != 200 || at.Day() != 1 {
		t.Errorf("%d %s", code, at)
	}
	for _, bad := range []string{`{"now":"2026-11-01T00:00:00Z"}`, `{"advance":"-1h"}`, `{"advance":"soon"}`,
		`{}`, `{"advance":"1h","now":"2027-01-01T00:00:00Z"}`, `[]`, ``, `{"speed":9}`} {
		if code, _ := clock(bad); code != 400 {
			t.Errorf("%s: %d", bad, code)
		}
	}
}

// TestDate: every answer on the port says the simulated time, as Google's do the real
// one, and the client of production hears it: over gRPC and over REST, also of a refusal.
func TestDate(t *testing.T) {
	url, _, _ := served(t, 0)
	const want = "Tue, 24 Nov 2026 09:10:00 GMT"
	get(t, http.MethodPost, url+"/sim/clock", `{"now":"2026-11-24T09:10:00Z"}`)
	for _, path := range []string{"/v1/projects/shop-prod/locations/-/clusters", "/v1/nothing", "/sim/journal"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.Header.Values("Date"); len(got) != 1 || got[0] != want {
			t.Errorf("%s: the dates are %q, want %q", path, got, want)
		}
	}
	cloud, err := gke.DialWith(t.Context(), gke.NoRetry(),
		option.WithEndpoint(strings.TrimPrefix(url, "http://")), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cloud.Close() }()
	if at := cloud.Date(); !at.IsZero() {
		t.Errorf("before the first answer it is %s", at)
	}
	missing := fleet.Ref{Project: "shop-prod", Location: "europe-west1", Name: "nobody"}
	if _, err := cloud.Cluster(t.Context(), missing); err == nil {
		t.Error("a cluster that is not there was read")
	}
	if at := cloud.Date().Format(http.TimeFormat); at != want {
		t.Errorf("gRPC's date is %q, want %q", at, want)
	}
}
