package gkesim_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"gke-credential-rotator/gke/gkesim"
)

// recordings reads every JSON file of a folder of recordings, sorted.
func recordings(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	dir := fixtures(t, folder)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings in %s: %v", dir, err)
	}
	out := map[string][]byte{}
	for _, file := range files {
		if out[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// firstExpiry is when the first CA ends that the recording shows, if any.
func firstExpiry(c *containerpb.Cluster) (time.Time, bool) {
	text, _ := base64.StdEncoding.DecodeString(c.GetMasterAuth().GetClusterCaCertificate())
	block, _ := pem.Decode(text)
	if block == nil {
		return time.Time{}, false
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, false
	}
	return ca.NotAfter, true
}

// ownsNearExpiry is what the simulator says itself of a cluster whose CA has
// less than 30 days left: by then GKE moves it.
func ownsNearExpiry(c *containerpb.Cluster) {
	c.Status, c.Conditions, c.Etag = 0, nil, ""
}

// ownsInRotation is what the simulator changes of a cluster in a rotation:
// nothing else may change.
func ownsInRotation(c *containerpb.Cluster) {
	ownsNearExpiry(c)
	c.Endpoint = ""
	c.MasterAuth.ClusterCaCertificate = ""
	if p := c.GetPrivateClusterConfig(); p != nil {
		p.PublicEndpoint, p.PrivateEndpoint = "", "" //nolint:staticcheck // recordings have them
	}
	if e := c.GetControlPlaneEndpointsConfig().GetIpEndpointsConfig(); e != nil {
		e.PublicEndpoint, e.PrivateEndpoint = "", ""
	}
}

// TestRecordedClustersUnchanged: recorded clusters go in and come out the same
// over both protocols, listed and one by one; in a rotation only what a
// rotation changes is different.
func TestRecordedClustersUnchanged(t *testing.T) {
	fleet, _, err := gkesim.LoadFleet(fixtures(t, "clusters"), "")
	if err != nil {
		t.Fatal(err)
	}
	w := gkesim.New(gkesim.Options{Now: gkesim.SampleStart})
	if err := w.AddFleet(fleet); err != nil {
		t.Fatal(err)
	}
	s := serveWorld(t, w)
	same := func(what string, got, want *containerpb.Cluster, owns func(*containerpb.Cluster)) {
		t.Helper()
		got, want = proto.CloneOf(got), proto.CloneOf(want)
		if owns != nil {
			owns(got)
			owns(want)
		}
		if !proto.Equal(got, want) {
			t.Errorf("%s differs\ngot  %s\nwant %s", what, protojson.Format(got), protojson.Format(want))
		}
	}
	exact, rotated := 0, 0
	for protocol, c := range clients(t, s) {
		for _, l := range fleet {
			parent := "projects/" + l.Project + "/locations/" + l.Cluster.GetLocation()
			name := parent + "/clusters/" + l.Cluster.GetName()
			owns := ownsNearExpiry
			if at, known := firstExpiry(l.Cluster); !known || at.Sub(gkesim.SampleStart) > 30*24*time.Hour {
				owns = nil // not even the etag
				exact++
			}
			got, err := c.GetCluster(t.Context(), &containerpb.GetClusterRequest{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			same(protocol+" "+name, got, l.Cluster, owns)
			list, err := c.ListClusters(t.Context(), &containerpb.ListClustersRequest{Parent: parent})
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(list.GetClusters(),
				func(c *containerpb.Cluster) bool { return c.GetName() == l.Cluster.GetName() })
			if at < 0 {
				t.Fatalf("%s: %s is not listed", protocol, name)
			}
			same(protocol+" list "+name, list.GetClusters()[at], got, nil)
		}
	}
	if exact < 100 {
		t.Errorf("only %d clusters are compared to the last field", exact)
	}
	rest := clients(t, s)["REST"]
	for _, l := range fleet {
		name := "projects/" + l.Project + "/locations/" + l.Cluster.GetLocation() + "/clusters/" +
			l.Cluster.GetName()
		if _, err := rest.StartIPRotation(t.Context(),
			&containerpb.StartIPRotationRequest{Name: name}); err == nil {
			rotated++
		}
	}
	s.advance(t, "20m")
	for protocol, c := range clients(t, s) {
		for _, l := range fleet {
			name := "projects/" + l.Project + "/locations/" + l.Cluster.GetLocation() + "/clusters/" +
				l.Cluster.GetName()
			got, err := c.GetCluster(t.Context(), &containerpb.GetClusterRequest{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			owns := ownsInRotation
			if l.Cluster.GetMasterAuth() == nil {
				owns = ownsNearExpiry
			}
			for _, p := range append(slices.Clone(got.GetNodePools()), l.Cluster.GetNodePools()...) {
				p.Status, p.Etag = 0, "" // pools that GKE recreates where no window keeps it
			}
			same(protocol+" rotating "+name, got, l.Cluster, owns)
		}
	}
	if rotated < 30 {
		t.Errorf("only %d recorded clusters could be rotated", rotated)
	}
	t.Logf("%d comparisons to the last field, %d clusters rotated", exact, rotated)
}

// TestRecordedPoliciesUnchanged: recorded maintenance policies likewise.
func TestRecordedPoliciesUnchanged(t *testing.T) {
	w := gkesim.New(gkesim.Options{Now: gkesim.SampleStart})
	want := map[string]*containerpb.MaintenancePolicy{}
	for file, text := range recordings(t, "maintenance") {
		m := &containerpb.MaintenancePolicy{}
		if err := protojson.Unmarshal(text, m); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		name := strings.TrimSuffix(file, ".json")
		want[name] = m
		if err := w.Add("p", &containerpb.Cluster{Name: name, Location: "l", Status: containerpb.Cluster_RUNNING,
			MaintenancePolicy: m}); err != nil {
			t.Fatal(err)
		}
	}
	for protocol, c := range clients(t, serveWorld(t, w)) {
		list, err := c.ListClusters(t.Context(), &containerpb.ListClustersRequest{Parent: "projects/p/locations/l"})
		if err != nil || len(list.GetClusters()) != len(want) {
			t.Fatalf("%s: %d clusters of %d: %v", protocol, len(list.GetClusters()), len(want), err)
		}
		for _, got := range list.GetClusters() {
			if !proto.Equal(got.GetMaintenancePolicy(), want[got.GetName()]) {
				t.Errorf("%s %s: got %v, want %v", protocol, got.GetName(), got.GetMaintenancePolicy(),
					want[got.GetName()])
			}
		}
	}
}

// TestRecordedOperationsUnchanged: recorded operations likewise; those that were
// running when recorded keep changes out and end, and then differ in status and
// end time alone.
func TestRecordedOperationsUnchanged(t *testing.T) {
	w := gkesim.New(gkesim.Options{Now: gkesim.SampleStart})
	// Each in a location of its own: several recordings share a name.
	want := map[string]*containerpb.Operation{}
	for file, text := range recordings(t, "operations") {
		op := &containerpb.Operation{}
		if err := protojson.Unmarshal(text, op); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		location := strings.TrimSuffix(file, ".json")
		want[location] = op
		if err := w.Add("p", &containerpb.Cluster{Name: "c", Location: location,
			Status: containerpb.Cluster_RUNNING}); err != nil {
			t.Fatal(err)
		}
		if err := w.AddOperation("projects/p/locations/"+location+"/clusters/c", op); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.AddOperation("projects/p/locations/l/clusters/nope",
		&containerpb.Operation{Name: "o"}); err == nil {
		t.Error("an operation on no cluster was taken")
	}
	s := serveWorld(t, w)
	check := func(ended bool) {
		t.Helper()
		for protocol, c := range clients(t, s) {
			for location, op := range want {
				parent := "projects/p/locations/" + location
				list, err := c.ListOperations(t.Context(), &containerpb.ListOperationsRequest{Parent: parent})
				if err != nil || len(list.GetOperations()) != 1 {
					t.Fatalf("%s %s: %v %v", protocol, location, list, err)
				}
				got, want := list.GetOperations()[0], proto.CloneOf(op)
				if ended && op.GetStatus() != containerpb.Operation_DONE {
					want.Status, want.EndTime = containerpb.Operation_DONE, "2026-11-23T00:12:00Z"
				}
				if !proto.Equal(got, want) {
					t.Errorf("%s %s: got %v, want %v", protocol, location, got, want)
				}
				one, err := c.GetOperation(t.Context(),
					&containerpb.GetOperationRequest{Name: parent + "/operations/" + op.GetName()})
				if err != nil || !proto.Equal(one, want) {
					t.Errorf("%s %s: asked for it: %v %v", protocol, location, one, err)
				}
			}
		}
	}
	check(false)
	rest := clients(t, s)["REST"]
	for location, op := range want {
		_, err := rest.StartIPRotation(t.Context(),
			&containerpb.StartIPRotationRequest{Name: "projects/p/locations/" + location + "/clusters/c"})
		if busy := err != nil &&
			strings.Contains(err.Error(), "incompatible operation "+
				op.GetName()); busy != (op.GetStatus() != containerpb.Operation_DONE) {
			t.Errorf("%s beside a recorded %s operation: %v", location, op.GetStatus(), err)
		}
	}
	s.advance(t, "1h")
	check(true)
}
