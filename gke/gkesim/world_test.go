package gkesim_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	container "cloud.google.com/go/container/apiv1"
	"cloud.google.com/go/container/apiv1/containerpb"
	"github.com/googleapis/gax-go/v2/apierror"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/policy/fleet"
)

const (
	name = "projects/p/locations/europe-west1-b/clusters/c"
	day  = 24 * time.Hour
)

// begin is a Saturday, 02:00.
var begin = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// game is a world of one cluster behind Google's own client.
type game struct {
	t *testing.T
	w *gkesim.World
	c *container.ClusterManagerClient
}

// play makes a world with a cluster whose CA lives that long, and two pools
// of three nodes: a pool takes 24 minutes.
func play(t *testing.T, o gkesim.Options, life time.Duration, shape ...func(*containerpb.Cluster)) *game {
	t.Helper()
	o.Seed, o.Now = 1, begin
	w := gkesim.New(o)
	ca := gkesim.IssueCA(1, "old", begin.Add(-life), begin.Add(life))
	pb := &containerpb.Cluster{
		Name: "c", Location: "europe-west1-b", Status: containerpb.Cluster_RUNNING, Endpoint: "34.1.1.1",
		CurrentMasterVersion: "1.33", Etag: "etag",
		MasterAuth: &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(ca))},
	}
	for _, pool := range []string{"web", "batch"} {
		pb.NodePools = append(pb.NodePools, &containerpb.NodePool{Name: pool, InitialNodeCount: 3, Version: "1.32",
			Etag: "etag-" + pool, Status: containerpb.NodePool_RUNNING})
	}
	for _, s := range shape {
		s(pb)
	}
	if err := w.Add("p", pb); err != nil {
		t.Fatal(err)
	}
	opts, stop, err := w.Connect()
	if err != nil {
		t.Fatal(err)
	}
	c, err := container.NewClusterManagerClient(context.Background(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(); stop() })
	return &game{t, w, c}
}

// at lets time pass until that long after the begin.
func (g *game) at(d time.Duration) *game {
	g.w.Advance(begin.Add(d))
	return g
}

func (g *game) cluster() *containerpb.Cluster {
	g.t.Helper()
	c, err := g.c.GetCluster(context.Background(), &containerpb.GetClusterRequest{Name: name})
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

func (g *game) ops(kind containerpb.Operation_Type) []*containerpb.Operation {
	g.t.Helper()
	got, err := g.c.ListOperations(context.Background(),
		&containerpb.ListOperationsRequest{Parent: "projects/p/locations/-"})
	if err != nil {
		g.t.Fatal(err)
	}
	return slices.DeleteFunc(got.GetOperations(),
		func(op *containerpb.Operation) bool { return op.GetOperationType() != kind })
}

func (g *game) start() error {
	_, err := g.c.StartIPRotation(context.Background(), &containerpb.StartIPRotationRequest{Name: name,
		RotateCredentials: true})
	return err
}

func (g *game) complete() error {
	_, err := g.c.CompleteIPRotation(context.Background(), &containerpb.CompleteIPRotationRequest{Name: name})
	return err
}

func (g *game) upgrade(pool, version, etag string) error {
	_, err := g.c.UpdateNodePool(context.Background(),
		&containerpb.UpdateNodePoolRequest{Name: name + "/nodePools/" + pool, NodeVersion: version, Etag: etag})
	return err
}

func (g *game) master(etag string) error {
	_, err := g.c.UpdateCluster(context.Background(), &containerpb.UpdateClusterRequest{Name: name,
		Update: &containerpb.ClusterUpdate{DesiredMasterVersion: "1.33", Etag: etag}})
	return err
}

func (g *game) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *game) refused(err error, code codes.Code, text string) {
	g.t.Helper()
	if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), text) {
		g.t.Errorf("got %v, want %s with %q", err, code, text)
	}
}

// cas counts the certificates that the API shows.
func (g *game) cas() int {
	b := fleet.ParseBundle(g.cluster().GetMasterAuth().GetClusterCaCertificate())
	if b.Problem != "" {
		g.t.Errorf("bundle: %s", b.Problem)
	}
	return len(b.CAs)
}

func daily(start string) func(*containerpb.Cluster) {
	return func(c *containerpb.Cluster) {
		c.MaintenancePolicy = &containerpb.MaintenancePolicy{Window: &containerpb.MaintenanceWindow{Policy: &containerpb.MaintenanceWindow_DailyMaintenanceWindow{
			DailyMaintenanceWindow: &containerpb.DailyMaintenanceWindow{StartTime: start},
		}}}
	}
}

func never(c *containerpb.Cluster) {
	c.MaintenancePolicy = &containerpb.MaintenancePolicy{Window: &containerpb.MaintenanceWindow{MaintenanceExclusions: map[string]*containerpb.TimeWindow{
		"always": {StartTime: timestamppb.New(begin.AddDate(-1, 0, 0)),
			EndTime: timestamppb.New(begin.AddDate(20, 0, 0))},
	}}}
}

func autopilot(c *containerpb.Cluster) { c.Autopilot = &containerpb.Autopilot{Enabled: true} }

// lazy is a GKE that leaves the nodes to others.
var lazy = gkesim.Options{GKEWaits: 30 * day}

// TestRotation: one CA, two, one; the endpoint changes with the start, and
// completion wants every pool recreated.
func TestRotation(t *testing.T) {
	g := play(t, lazy, 1000*day)
	before := g.cluster()
	g.refused(g.complete(), codes.FailedPrecondition, "does not have an IP rotation in progress")
	g.must(g.start())
	if c := g.cluster(); g.cas() != 1 || c.GetStatus() != containerpb.Cluster_RECONCILING ||
		c.GetEndpoint() != before.GetEndpoint() {
		t.Errorf("while the start runs: %d CAs, %s, %s", g.cas(), c.GetStatus(), c.GetEndpoint())
	}
	g.at(time.Hour)
	if c := g.cluster(); g.cas() != 2 || c.GetStatus() != containerpb.Cluster_RUNNING ||
		c.GetEndpoint() == before.GetEndpoint() {
		t.Errorf("after the start: %d CAs, %s, %s", g.cas(), c.GetStatus(), c.GetEndpoint())
	}
	bundle := fleet.ParseBundle(g.cluster().GetMasterAuth().GetClusterCaCertificate())
	if !bundle.Has(fleet.ParseBundle(before.GetMasterAuth().GetClusterCaCertificate()).Oldest().Fingerprint) ||
		bundle.Newest().Expires.Before(begin.Add(29*365*day)) {
		t.Errorf("bundle %+v", bundle)
	}
	g.refused(g.start(), codes.AlreadyExists, "The cluster has an IP rotation in progress.")
	g.refused(g.complete(), codes.FailedPrecondition, `Node pool "web" requires recreation.`)
	g.must(g.upgrade("web", "1.32", ""))
	g.at(2 * time.Hour)
	g.refused(g.complete(), codes.FailedPrecondition, `Node pool "batch" requires recreation.`)
	g.must(g.upgrade("batch", "1.32", ""))
	g.at(3 * time.Hour).must(g.complete())
	if g.cas() != 2 {
		t.Error("the old CA is gone before the completion has ended")
	}
	g.at(4 * time.Hour)
	left := fleet.ParseBundle(g.cluster().GetMasterAuth().GetClusterCaCertificate())
	if g.cas() != 1 || left.Oldest().Fingerprint != bundle.Newest().Fingerprint {
		t.Error("the CA that is left is not the new one")
	}
	g.refused(g.complete(), codes.FailedPrecondition, "does not have an IP rotation in progress")
	if ops := g.ops(containerpb.Operation_UPGRADE_NODES); len(ops) != 2 ||
		!strings.HasSuffix(ops[0].GetTargetLink(), "/nodePools/web") ||
		ops[0].GetStatus() != containerpb.Operation_DONE {
		t.Errorf("node operations: %v", ops)
	}
	if j := g.w.Journal(); len(j) != 9 || j[0].Accepted || j[1].Method != "StartIPRotation" || !j[1].Accepted ||
		j[3].Error == "" || j[4].NodePool != "web" {
		t.Errorf("journal: %+v", j)
	}
}

// TestBusy: one operation at a time on the cluster, told by its reason; pools
// may be upgraded side by side.
func TestBusy(t *testing.T) {
	g := play(t, lazy, 1000*day)
	g.must(g.start())
	for what, err := range map[string]error{"start": g.start(), "complete": g.complete(),
		"pool": g.upgrade("web", "1.32", ""), "control plane": g.master("")} {
		g.refused(err, codes.FailedPrecondition, "Cluster is running incompatible operation operation-")
		if api, ok := apierror.FromError(err); !ok || api.Reason() != "CLUSTER_ALREADY_HAS_OPERATION" {
			t.Errorf("%s: reason of %v", what, err)
		}
	}
	g.at(time.Hour).must(g.upgrade("web", "1.32", ""))
	g.must(g.upgrade("batch", "1.32", ""))
	g.refused(g.upgrade("web", "1.32", ""), codes.FailedPrecondition, "incompatible operation")
	g.refused(g.complete(), codes.FailedPrecondition, "incompatible operation")
	if c := g.cluster(); c.GetStatus() != containerpb.Cluster_RECONCILING ||
		c.GetNodePools()[1].GetStatus() != containerpb.NodePool_RECONCILING {
		t.Errorf("while pools are upgraded: %s, %s", c.GetStatus(), c.GetNodePools()[1].GetStatus())
	}
	if p := g.at(2 * time.Hour).cluster().GetNodePools()[1]; p.GetStatus() != containerpb.NodePool_RUNNING {
		t.Errorf("afterwards: %s", p.GetStatus())
	}
}

func TestOperationQuota(t *testing.T) {
	g := play(t, lazy, 1000*day, func(c *containerpb.Cluster) {
		for i := range 6 {
			c.NodePools = append(c.NodePools, &containerpb.NodePool{Name: fmt.Sprintf("n%d", i), InitialNodeCount: 1,
				Version: "1.32"})
		}
	})
	for i := range 5 {
		g.must(g.upgrade(fmt.Sprintf("n%d", i), "1.32", ""))
	}
	g.refused(g.upgrade("n5", "1.32", ""), codes.ResourceExhausted, "concurrent operations quota")
}

// TestWindows: GKE recreates nodes one pool at a time, only while its policy is
// open, and pauses at the window's end. Manual work does not ask.
func TestWindows(t *testing.T) {
	big := func(c *containerpb.Cluster) { c.NodePools[0].InitialNodeCount = 60 } // 8 h, two windows of 4 h
	g := play(t, gkesim.Options{}, 1000*day, daily("05:00"), big)
	g.must(g.start())
	g.at(2*time.Hour + 59*time.Minute) // 04:59
	if ops := g.ops(containerpb.Operation_UPGRADE_NODES); len(ops) != 0 {
		t.Errorf("before the window: %v", ops)
	}
	g.at(60 * time.Hour)
	ops := g.ops(containerpb.Operation_UPGRADE_NODES)
	want := [][2]string{{"2026-11-21T05:00:00Z", "2026-11-22T09:00:00Z"},
		{"2026-11-23T05:00:00Z", "2026-11-23T05:24:00Z"}}
	for i, w := range want {
		if i >= len(ops) || ops[i].GetStartTime() != w[0] || ops[i].GetEndTime() != w[1] {
			t.Fatalf("operations %v, want %v", ops, want)
		}
	}
	g.must(g.upgrade("web", "1.32", "")) // 14:00, closed
	if ops := g.ops(containerpb.Operation_UPGRADE_NODES); len(ops) != 3 ||
		ops[2].GetStartTime() != "2026-11-23T14:00:00Z" {
		t.Errorf("manual work: %v", ops)
	}
}

// TestAutoCompletion: from seven days after the start, and again until the
// nodes are done.
func TestAutoCompletion(t *testing.T) {
	g := play(t, gkesim.Options{}, 1000*day)
	g.must(g.start())
	if g.at(7*day + 11*time.Minute); g.cas() != 2 {
		t.Error("completed before seven days had passed since the start was done")
	}
	if g.at(7*day + time.Hour); g.cas() != 1 {
		t.Error("not completed after seven days")
	}
	g = play(t, lazy, 1000*day)
	g.must(g.start())
	if g.at(9 * day); g.cas() != 2 {
		t.Error("completed although no pool is recreated")
	}
	g.must(g.upgrade("web", "1.32", ""))
	g.must(g.upgrade("batch", "1.32", ""))
	if g.at(10*day + time.Hour); g.cas() != 1 {
		t.Error("not tried again within a day")
	}
	if n := len(g.w.Journal()); n != 3 {
		t.Errorf("the journal has %d requests: GKE's own work is none", n)
	}
}

// TestLastResort: thirty days before expiry GKE starts by itself, window or
// not; its nodes keep to the window.
func TestLastResort(t *testing.T) {
	g := play(t, gkesim.Options{ForgetOperations: -1}, 60*day, daily("12:00"))
	if g.at(30*day - time.Minute); g.cas() != 1 {
		t.Error("started before thirty days")
	}
	if g.at(30*day + time.Hour); g.cas() != 2 {
		t.Error("not started at thirty days before expiry")
	}
	g.at(31 * day)
	for _, op := range g.ops(containerpb.Operation_UPGRADE_NODES) {
		if !strings.Contains(op.GetStartTime(), "T12:") {
			t.Errorf("nodes recreated at %s, the window opens at 12:00", op.GetStartTime())
		}
	}
	if g.at(38 * day); g.cas() != 1 {
		t.Error("not completed")
	}
	if g.at(3000 * day); len(g.ops(containerpb.Operation_UPDATE_CLUSTER)) != 2 {
		t.Error("a CA of thirty years is rotated again")
	}
}

func TestDegraded(t *testing.T) {
	g := play(t, lazy, 40*day, never)
	if c := g.at(33*day - time.Minute).cluster(); c.GetStatus() != containerpb.Cluster_RUNNING {
		t.Errorf("more than seven days before expiry: %s", c.GetStatus())
	}
	c := g.at(33 * day).cluster()
	if c.GetStatus() != containerpb.Cluster_DEGRADED || len(c.GetConditions()) != 1 || c.GetConditions()[0].GetCode() != containerpb.StatusCondition_CA_EXPIRING { //nolint:staticcheck // canonical_code cannot say CA_EXPIRING
		t.Errorf("seven days before expiry: %s, %v", c.GetStatus(), c.GetConditions())
	}
	if g.cas() != 2 {
		t.Error("the last resort has started a rotation; the old CA is still the one that counts")
	}
}

// TestExpired: after expiry new nodes cannot join; GKE gives up, and what runs
// into the expiry fails.
func TestExpired(t *testing.T) {
	g := play(t, lazy, 40*day, never)
	g.at(40*day - 10*time.Minute).must(g.upgrade("web", "1.32", ""))
	g.at(41 * day).must(g.upgrade("batch", "1.32", ""))
	g.at(50 * day)
	ops := g.ops(containerpb.Operation_UPGRADE_NODES)
	if len(ops) != 2 {
		t.Fatalf("%d node operations, want our two", len(ops))
	}
	for _, op := range ops {
		if !strings.Contains(op.GetError().GetMessage(), "x509") {
			t.Errorf("%s: error %v, want x509", op.GetTargetLink(), op.GetError())
		}
	}
	if c := g.cluster(); g.cas() != 2 ||
		c.GetNodePools()[0].GetStatus() != containerpb.NodePool_RUNNING_WITH_ERROR {
		t.Errorf("%d CAs, pool %s", g.cas(), c.GetNodePools()[0].GetStatus())
	}
}

// TestStaleEtags: a request made for an older state is refused, so that late
// and doubled ones die.
func TestStaleEtags(t *testing.T) {
	g := play(t, lazy, 1000*day)
	pool := func() string { return g.cluster().GetNodePools()[0].GetEtag() }
	g.refused(g.upgrade("web", "1.32", "other"), codes.Aborted, "etag")
	old := pool()
	g.must(g.upgrade("web", "1.32", old))
	g.refused(g.upgrade("web", "1.32", old), codes.Aborted, "etag") // doubled
	g.at(time.Hour)
	g.refused(g.upgrade("web", "1.32", old), codes.Aborted, "etag")
	g.must(g.upgrade("web", "1.32", pool()))
	g.at(2 * time.Hour)
	old = g.cluster().GetEtag()
	g.refused(g.master("other"), codes.Aborted, "etag")
	g.must(g.master(old))
	g.at(3 * time.Hour)
	g.refused(g.master(old), codes.Aborted, "etag")
}

// TestVersions: only a pool's own version leaves it as it is.
func TestVersions(t *testing.T) {
	for version, want := range map[string]string{"1.32": "1.32", "-": "1.33", "": "1.33"} {
		g := play(t, lazy, 1000*day)
		g.must(g.upgrade("web", version, ""))
		if got := g.at(time.Hour).cluster().GetNodePools()[0].GetVersion(); got != want {
			t.Errorf("upgraded to %q: version %s, want %s", version, got, want)
		}
	}
	g := play(t, lazy, 1000*day)
	g.refused(g.upgrade("none", "1.32", ""), codes.NotFound, "none")
}

// TestAutopilot: its pools are not ours to touch; upgrading the control plane
// to its own version makes GKE recreate the nodes.
func TestAutopilot(t *testing.T) {
	g := play(t, lazy, 1000*day, autopilot)
	g.must(g.start())
	g.at(day)
	g.refused(g.upgrade("web", "1.32", ""), codes.InvalidArgument, "Autopilot")
	g.refused(g.complete(), codes.FailedPrecondition, "requires recreation")
	g.must(g.master(""))
	g.at(day + 3*time.Hour).must(g.complete())
	if g.at(day + 4*time.Hour); g.cas() != 1 {
		t.Error("not completed")
	}
}

// TestNeverOpens: a policy that never opens keeps GKE from the nodes, and the
// simulation from nothing.
func TestNeverOpens(t *testing.T) {
	g := play(t, gkesim.Options{}, 1000*day, never)
	g.must(g.start())
	g.at(200 * day)
	if ops := g.ops(containerpb.Operation_UPGRADE_NODES); g.cas() != 2 || len(ops) != 0 {
		t.Errorf("%d CAs, node operations %v", g.cas(), ops)
	}
}

// TestSpoiltNodes: a failure leaves the pool to be done again, and GKE waits
// before it does.
func TestSpoiltNodes(t *testing.T) {
	g := play(t, gkesim.Options{}, 1000*day)
	g.must(g.w.Spoil(name, "UPGRADE_NODES", "no quota", 3))
	g.must(g.start())
	g.at(6 * time.Hour)
	failed := 0
	for _, op := range g.ops(containerpb.Operation_UPGRADE_NODES) {
		if op.GetError() != nil {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d operations failed, want 3", failed)
	}
	g.must(g.complete())
}

// TestTimeAlwaysPasses: whatever a cluster looks like, years go by in the end.
func TestTimeAlwaysPasses(t *testing.T) {
	shapes := map[string]func(*containerpb.Cluster){
		"plain": func(*containerpb.Cluster) {}, "autopilot": autopilot, "daily": daily("23:00"), "never": never,
		"no pools":    func(c *containerpb.Cluster) { c.NodePools = nil },
		"empty pools": func(c *containerpb.Cluster) { c.NodePools[0].InitialNodeCount = 0; c.NodePools[1].Name = "" },
		"one name":    func(c *containerpb.Cluster) { c.NodePools[1].Name = c.NodePools[0].Name },
		"no CA":       func(c *containerpb.Cluster) { c.MasterAuth = nil },
		"no status":   func(c *containerpb.Cluster) { c.Status = 0 },
		"two CAs": func(c *containerpb.Cluster) {
			two := gkesim.IssueCA(1, "b", begin, begin.Add(100*day)) + gkesim.IssueCA(1, "a", begin.Add(-day),
				begin.Add(50*day))
			c.MasterAuth.ClusterCaCertificate = base64.StdEncoding.EncodeToString([]byte(two))
		},
		"a policy nobody knows": daily("99:99"),
		"endless nodes":         func(c *containerpb.Cluster) { c.NodePools[0].InitialNodeCount = 1 << 30 },
	}
	for what, shape := range shapes {
		for _, o := range []gkesim.Options{{}, {StartTakes: time.Nanosecond, CompleteTakes: time.Nanosecond,
			NodeTakes: time.Nanosecond, RetryComplete: time.Minute},
			{StartTakes: -1, NodeTakes: -1, RetryComplete: -1}} {
			for _, life := range []time.Duration{-day, 0, 10 * day, 40 * day, 1000 * day} {
				g := play(t, o, max(life, time.Hour), shape)
				_ = g.start() // refused for some
				for _, d := range []time.Duration{0, 0, time.Hour, 8 * day, 60 * day, 400 * day, 100 * day} {
					g.at(d)
				}
				if now := g.w.Now(); !now.Equal(begin.Add(400 * day)) {
					t.Errorf("%s: it is %s", what, now)
				}
			}
		}
	}
}

// TestDeterminism: the same seed and requests give the same bytes.
func TestDeterminism(t *testing.T) {
	tell := func(seed int64) []byte {
		w := gkesim.New(gkesim.Options{Seed: seed, Now: gkesim.SampleStart})
		if err := w.AddSample(); err != nil {
			t.Fatal(err)
		}
		g := &game{t: t, w: w}
		opts, stop, err := w.Connect()
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		if g.c, err = container.NewClusterManagerClient(context.Background(), opts...); err != nil {
			t.Fatal(err)
		}
		var told []byte
		for h := range 200 {
			w.Advance(gkesim.SampleStart.Add(time.Duration(h) * 5 * time.Hour))
			for _, p := range w.Projects() {
				list, err := g.c.ListClusters(context.Background(),
					&containerpb.ListClustersRequest{Parent: "projects/" + p + "/locations/-"})
				g.must(err)
				ops, err := g.c.ListOperations(context.Background(),
					&containerpb.ListOperationsRequest{Parent: "projects/" + p + "/locations/-"})
				g.must(err)
				for _, m := range []proto.Message{list, ops} {
					text, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
					g.must(err)
					told = append(told, text...)
				}
			}
		}
		return told
	}
	one, again, other := tell(1), tell(1), tell(2)
	if string(one) != string(again) {
		t.Error("the same seed tells two stories")
	}
	if string(one) == string(other) {
		t.Error("another seed changes nothing")
	}
}

// TestRecordingsStayAsTheyAre: a recorded cluster comes out of the list as it
// was, its CA included, readable or not.
func TestRecordingsStayAsTheyAre(t *testing.T) {
	fleet, _, err := gkesim.LoadFleet(fixtures(t, "clusters"), "p")
	if err != nil {
		t.Fatal(err)
	}
	w := gkesim.New(gkesim.Options{Now: begin})
	if err := w.AddFleet(fleet); err != nil {
		t.Fatal(err)
	}
	opts, stop, err := w.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c, err := container.NewClusterManagerClient(context.Background(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	for _, hours := range []int{0, 24 * 30} {
		w.Advance(begin.Add(time.Duration(hours) * time.Hour))
		for _, l := range fleet {
			full := "projects/" + l.Project + "/locations/" + l.Cluster.GetLocation() + "/clusters/" +
				l.Cluster.GetName()
			got, err := c.GetCluster(context.Background(), &containerpb.GetClusterRequest{Name: full})
			if err != nil {
				t.Fatal(err)
			}
			if !degrades(l.Cluster) && !proto.Equal(got, l.Cluster) {
				t.Errorf("%s: comes out changed:\n%v\n%v", l.File, got, l.Cluster)
			}
			if got.GetMasterAuth().GetClusterCaCertificate() != l.Cluster.GetMasterAuth().GetClusterCaCertificate() {
				t.Errorf("%s: its CA is another", l.File)
			}
		}
	}
}

// degrades says whether GKE itself would change the cluster: its CA is over.
func degrades(c *containerpb.Cluster) bool {
	ca := fleet.ParseBundle(c.GetMasterAuth().GetClusterCaCertificate()).Oldest()
	return ca.Fingerprint != "" && ca.Expires.Before(begin.Add(40*day))
}
