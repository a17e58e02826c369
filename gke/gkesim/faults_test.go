package gkesim_test

import (
	"flag"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/gke/gkesim"
)

var rewrite = flag.Bool("update", false, "write the golden files")

// Fact 1.3: a list names the zones that it could not reach, and leaves their
// clusters out.
func TestMissingZones(t *testing.T) {
	g := play(t, gkesim.Options{}, 1000*day)
	other := g.cluster()
	other.Name, other.Location = "d", "europe-west1-c"
	g.must(g.w.Add("p", other))
	g.must(g.start())
	g.must(g.w.Suffer(gkesim.Faults{MissingZones: map[string][]string{"p": {"europe-west1-b"}}}))
	list := func(parent string) *containerpb.ListClustersResponse {
		got, err := g.c.ListClusters(t.Context(), &containerpb.ListClustersRequest{Parent: parent})
		g.must(err)
		return got
	}
	if got := list("projects/p/locations/-"); len(got.GetClusters()) != 1 ||
		!slices.Equal(got.GetMissingZones(), []string{"europe-west1-b"}) {
		t.Error(got)
	}
	if got := list("projects/p/locations/europe-west1-c"); len(got.GetClusters()) != 1 ||
		len(got.GetMissingZones()) != 0 {
		t.Error(got)
	}
	if got := g.operations("projects/p/locations/-"); len(got.GetOperations()) != 0 ||
		len(got.GetMissingZones()) != 1 {
		t.Error(got)
	}
	g.refused(g.start(), codes.Unavailable, "unavailable")
	g.must(g.w.Suffer(gkesim.Faults{}))
	if got := list("projects/p/locations/-"); len(got.GetClusters()) != 2 || len(got.GetMissingZones()) != 0 {
		t.Error(got)
	}
}

// Fact 2.7: a project may refuse everything, in Google's words.
func TestDeniedProjects(t *testing.T) {
	g := play(t, gkesim.Options{}, 1000*day)
	g.must(g.w.Suffer(gkesim.Faults{Denied: map[string]string{"p": "permission"}}))
	_, err := g.c.ListClusters(t.Context(), &containerpb.ListClustersRequest{Parent: "projects/p/locations/-"})
	g.refused(err, codes.PermissionDenied,
		`Required "container.clusters.list" permission(s) for "projects/p/locations/-"`)
	g.refused(g.start(), codes.PermissionDenied, `"container.clusters.update"`)
	if j := g.w.Journal(); len(j) != 1 || j[0].Accepted || j[0].Cluster != name ||
		j[0].Method != "StartIPRotation" {
		t.Error(j)
	}
	g.must(g.w.Suffer(gkesim.Faults{Denied: map[string]string{"p": "api-disabled"}}))
	_, err = g.c.ListClusters(t.Context(), &containerpb.ListClustersRequest{Parent: "projects/p/locations/-"})
	g.refused(err, codes.PermissionDenied, "Kubernetes Engine API has not been used in project")
	if len(status.Convert(err).Details()) != 1 {
		t.Error("no SERVICE_DISABLED beside it")
	}
}

// TestFlaky: reads fail in several ways; a change whose answer is lost was
// made; the seed repeats it all.
func TestFlaky(t *testing.T) {
	var before map[string]int
	for range 2 {
		g := play(t, gkesim.Options{GKEWaits: 1000 * day}, 1000*day)
		g.must(g.w.Suffer(gkesim.Faults{Words: []string{gkesim.Flaky}, Rate: 0.5}))
		lost := 0
		for i := range 60 {
			g.at(time.Duration(i) * time.Hour)
			accepted := len(slices.DeleteFunc(g.w.Journal(), func(e gkesim.Entry) bool { return !e.Accepted }))
			err := g.upgrade("web", "1.32", "")
			now := len(slices.DeleteFunc(g.w.Journal(), func(e gkesim.Entry) bool { return !e.Accepted }))
			if err != nil && now > accepted {
				lost++
			}
		}
		got := g.w.Suffered()
		if lost == 0 || got["answer-lost"] != lost || got["quota"] == 0 {
			t.Errorf("%d answers lost: %v", lost, got)
		}
		if len(g.w.Journal()) != 60 {
			t.Errorf("%d requests in the journal, want all 60", len(g.w.Journal()))
		}
		if before != nil && before["answer-lost"] != got["answer-lost"] {
			t.Error("the seed does not repeat it")
		}
		before = got
	}
}

// TestOutside: somebody starts and completes rotations and adds pools, in an
// order that the seed repeats; the journal has only what came as a request.
func TestOutside(t *testing.T) {
	g := play(t, gkesim.Options{ForgetOperations: -1}, 1000*day, never)
	g.must(g.w.Suffer(gkesim.Faults{Words: []string{gkesim.Outside}, OutsideEvery: "12h"}))
	g.at(60 * day)
	n, pools := g.w.Suffered()[gkesim.Outside], len(g.cluster().GetNodePools())
	if n < 10 || pools != 3 || len(g.ops(containerpb.Operation_UPDATE_CLUSTER)) < 2 || len(g.w.Journal()) != 0 {
		t.Errorf("%d deeds, %d pools, %d starts and completions, %d in the journal", n, pools,
			len(g.ops(containerpb.Operation_UPDATE_CLUSTER)), len(g.w.Journal()))
	}
}

// TestFaultsContract pins what /sim/faults reads and answers.
func TestFaultsContract(t *testing.T) {
	url, _, _ := served(t, 0)
	code, text := get(t, "POST", url+"/sim/faults", `{"words":["outside"],"rate":0.2,"outsideEvery":"36h","missingZones":{"shop-prod":["us-east4"]},
		"denied":{"bank-prod":"api-disabled"},"fail":[{"cluster":"projects/shop-dev/locations/europe-west1-b/clusters/dev-1","kind":"UPDATE_CLUSTER","message":"stockout","times":2}]}`)
	if code != http.StatusOK {
		t.Fatal(code, text)
	}
	if code, _ := get(t, "GET", url+"/v1/projects/bank-prod/locations/-/clusters",
		""); code != http.StatusForbidden {
		t.Error("the denied project answers", code)
	}
	_, text = get(t, "GET", url+"/sim/faults", "")
	const golden = "testdata/faults.json"
	if *rewrite {
		if err := os.WriteFile(golden, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != text {
		t.Errorf("%v\n got %s\nwant %s", err, text, want)
	}
	for _, bad := range []string{``, `[]`, `{"words":["crash"]}`, `{"rate":2}`, `{"outsideEvery":"soon"}`,
		`{"denied":{"p":"mood"}}`, `{"fail":[{"cluster":"x","kind":"k","message":"m","times":1}]}`, `{"word":[]}`} {
		if code, text := get(t, "POST", url+"/sim/faults", bad); code != http.StatusBadRequest ||
			!strings.Contains(text, "error") {
			t.Errorf("%s: %d %s", bad, code, text)
		}
	}
	if _, text := get(t, "POST", url+"/sim/faults", `{}`); !strings.Contains(text, `"faults": {}`) {
		t.Error("{} does not end all:", text)
	}
}
