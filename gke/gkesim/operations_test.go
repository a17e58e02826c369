package gkesim_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"gke-credential-rotator/gke/gkesim"
)

// operations lists them all.
func (g *game) operations(parent string) *containerpb.ListOperationsResponse {
	g.t.Helper()
	got, err := g.c.ListOperations(g.t.Context(), &containerpb.ListOperationsRequest{Parent: parent})
	g.must(err)
	return got
}

func (g *game) masterTo(version string) error {
	_, err := g.c.UpdateCluster(g.t.Context(), &containerpb.UpdateClusterRequest{Name: name,
		Update: &containerpb.ClusterUpdate{DesiredMasterVersion: version}})
	return err
}

// fields gives an operation's JSON fields as a recording has them.
func fields(t *testing.T, text []byte) (names []string, metrics []string) {
	t.Helper()
	var raw struct {
		Progress struct{ Metrics []map[string]string }
	}
	var all map[string]any
	if json.Unmarshal(text, &all) != nil || json.Unmarshal(text, &raw) != nil {
		t.Fatalf("no JSON: %s", text)
	}
	for k := range all {
		names = append(names, k)
	}
	for _, m := range raw.Progress.Metrics {
		metrics = append(metrics, m["name"])
	}
	slices.Sort(names)
	return names, metrics
}

// Fact 0.4, 1.3: start and complete are UPDATE_CLUSTER, node work is
// UPGRADE_NODES; they have the fields that recorded ones have, and no other.
func TestOperationsHaveTheFieldsOfRecordedOnes(t *testing.T) {
	g := play(t, gkesim.Options{GKEWaits: 1000 * day}, 1000*day)
	g.must(g.start())
	shown := map[string]*containerpb.Operation{"kcc-update-cluster-running-zonal-1": g.ops(containerpb.Operation_UPDATE_CLUSTER)[0]}
	g.at(time.Hour)
	shown["kcc-update-cluster-done-zonal-1"] = g.ops(containerpb.Operation_UPDATE_CLUSTER)[0]
	g.must(g.upgrade("web", "1.32", ""))
	shown["kcc-upgrade-nodes-pending-zonal-1"] = g.ops(containerpb.Operation_UPGRADE_NODES)[0]
	if got := g.at(time.Hour +
		10*time.Second).ops(containerpb.Operation_UPGRADE_NODES)[0]; got.GetStatus() != containerpb.Operation_RUNNING {
		t.Errorf("after the pending time: %s", got.GetStatus())
	}
	g.at(2 * time.Hour)
	shown["kcc-upgrade-nodes-done-zonal-1"] = g.ops(containerpb.Operation_UPGRADE_NODES)[0]
	for file, op := range shown {
		recorded, err := os.ReadFile("../../../shared/fixtures/operations/" + file + ".json")
		if os.IsNotExist(err) {
			t.Skip("the recorded operations are not here")
		}
		text, err := protojson.Marshal(op)
		g.must(err)
		wantFields, wantMetrics := fields(t, recorded)
		gotFields, gotMetrics := fields(t, text)
		if !slices.Equal(gotFields, wantFields) || !slices.Equal(gotMetrics, wantMetrics) {
			t.Errorf("%s:\n got %v %v\nwant %v %v", file, gotFields, gotMetrics, wantFields, wantMetrics)
		}
		var want containerpb.Operation
		g.must((protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(recorded, &want))
		if op.GetStatus() != want.GetStatus() || op.GetOperationType() != want.GetOperationType() {
			t.Errorf("%s: %s %s", file, op.GetOperationType(), op.GetStatus())
		}
	}
}

// Fact 1.3: links name the project by number, zones for zonal clusters and
// locations for regional ones; requests by number find the same cluster.
func TestOperationLinks(t *testing.T) {
	g := play(t, gkesim.Options{}, 1000*day)
	regional := g.cluster()
	regional.Name, regional.Location = "r", "europe-west1"
	g.must(g.w.Add("p", regional))
	g.must(g.start())
	_, err := g.c.StartIPRotation(t.Context(),
		&containerpb.StartIPRotationRequest{Name: "projects/p/locations/europe-west1/clusters/r"})
	g.must(err)
	ops := g.operations("projects/p/locations/-").GetOperations()
	if len(ops) != 2 {
		t.Fatal(ops)
	}
	var number string
	for i, want := range []string{"/zones/europe-west1-b/clusters/c", "/locations/europe-west1/clusters/r"} {
		slices.SortFunc(ops, func(a, b *containerpb.Operation) int { return -strings.Compare(a.GetZone(), b.GetZone()) }) //nolint:staticcheck // the field the recordings have
		link := ops[i].GetTargetLink()
		rest, ok := strings.CutPrefix(link, "https://container.googleapis.com/v1/projects/")
		number, _, _ = strings.Cut(rest, "/")
		if !ok || strings.Trim(number, "0123456789") != "" || !strings.HasSuffix(link, want) ||
			!strings.HasSuffix(ops[i].GetSelfLink(), "/operations/"+ops[i].GetName()) {
			t.Errorf("target %s, self %s", link, ops[i].GetSelfLink())
		}
	}
	if got := g.operations("projects/" + number + "/locations/-").GetOperations(); len(got) != 2 {
		t.Errorf("%d operations by project number", len(got))
	}
	if got, err := g.c.GetCluster(t.Context(),
		&containerpb.GetClusterRequest{Name: strings.Replace(name, "/p/", "/"+number+"/", 1)}); err != nil ||
		got.GetName() != "c" {
		t.Error(got, err)
	}
	g = play(t, gkesim.Options{LinksByID: true}, 1000*day)
	g.must(g.start())
	if link := g.ops(containerpb.Operation_UPDATE_CLUSTER)[0].GetTargetLink(); !strings.Contains(link,
		"/projects/p/zones/") {
		t.Error(link)
	}
}

func metrics(op *containerpb.Operation) map[string]int64 {
	out := map[string]int64{}
	for _, m := range op.GetProgress().GetMetrics() {
		out[m.GetName()] = m.GetIntValue()
	}
	return out
}

func TestProgressCountsNodes(t *testing.T) {
	g := play(t, gkesim.Options{GKEWaits: 1000 * day}, 1000*day)
	g.must(g.w.Spoil(name, "UPGRADE_NODES", "stockout", 1))
	g.must(g.upgrade("web", "1.32", ""))
	g.must(g.upgrade("batch", "1.32", ""))
	for _, tt := range []struct {
		at            time.Duration
		pool          int
		total, failed int64
		complete      int64
	}{{7 * time.Minute, 1, 3, 0, 0}, {8 * time.Minute, 1, 3, 0, 1}, {17 * time.Minute, 1, 3, 0, 2},
		{time.Hour, 1, 3, 0, 3}, {time.Hour, 0, 3, 1, 2}} {
		m := metrics(g.at(tt.at).ops(containerpb.Operation_UPGRADE_NODES)[tt.pool])
		if m["NODES_TOTAL"] != tt.total || m["NODES_FAILED"] != tt.failed || m["NODES_COMPLETE"] != tt.complete ||
			m["NODES_DONE"] != tt.failed+tt.complete {
			t.Errorf("at %s: %v", tt.at, m)
		}
	}
}

// blueGreenPool makes the first pool a blue-green one with that soak.
func blueGreenPool(soak time.Duration) func(*containerpb.Cluster) {
	return func(c *containerpb.Cluster) {
		c.NodePools = c.NodePools[:1]
		c.NodePools[0].UpgradeSettings = &containerpb.NodePool_UpgradeSettings{
			Strategy:          containerpb.NodePoolUpdateStrategy_BLUE_GREEN.Enum(),
			BlueGreenSettings: &containerpb.BlueGreenSettings{NodePoolSoakDuration: durationpb.New(soak)},
		}
	}
}

// Facts 2.5 and 2.8: for a rotation GKE recreates a blue-green pool by surge, which
// pauses when the window closes. In the pool's own way nothing pauses.
func TestBlueGreenPoolsGoBySurgeForARotationAndPause(t *testing.T) {
	// The window is 12:00-16:00; the rotation is there 09:12 after 02:00.
	const blueGreen = 10 * time.Hour
	ended := func(byGKE bool) string {
		g := play(t, gkesim.Options{NodeTakes: 2 * time.Hour, BlueGreenByGKE: byGKE}, 1000*day, daily("12:00"),
			blueGreenPool(blueGreen))
		g.must(g.start())
		op := g.at(5 * day).ops(containerpb.Operation_UPGRADE_NODES)[0]
		return op.GetEndTime()
	}
	if got := ended(false); got != "2026-11-22T14:00:00Z" { // three nodes: 12:00-16:00, and 12:00-14:00
		t.Error("by surge:", got)
	}
	if got := ended(true); got != "2026-11-22T02:00:00Z" { // 1 h of making, 3 x 1 h of draining, 10 h of soak
		t.Error("in its own way:", got)
	}
}

// Fact 2.5: zone by zone, at most a zone's nodes and at most twenty together; one
// slice of TPUs in one step; flex-start nodes are waited for, also out of hours.
func TestHowLongAPoolTakes(t *testing.T) {
	zones := []string{"europe-west1-b", "europe-west1-c", "europe-west1-d"}
	for _, tt := range []struct {
		name  string
		nodes int32 // a zone
		pool  *containerpb.NodePool
		want  time.Duration
	}{
		{"a zone after another", 2, &containerpb.NodePool{Locations: zones,
			UpgradeSettings: &containerpb.NodePool_UpgradeSettings{MaxSurge: 5}}, 3 * time.Hour},
		{"twenty together", 100, &containerpb.NodePool{Locations: zones,
			UpgradeSettings: &containerpb.NodePool_UpgradeSettings{MaxSurge: 100}}, 15 * time.Hour},
		{"one slice of TPUs", 64, &containerpb.NodePool{
			PlacementPolicy: &containerpb.NodePool_PlacementPolicy{TpuTopology: "8x8"}}, time.Hour},
		{"flex start", 4, &containerpb.NodePool{Config: &containerpb.NodeConfig{FlexStart: proto.Bool(true),
			MaxRunDuration: durationpb.New(30 * time.Hour)}}, 30 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := play(t, gkesim.Options{NodeTakes: time.Hour}, 1000*day, func(c *containerpb.Cluster) {
				pool := c.NodePools[0]
				c.NodePools = c.NodePools[:1]
				pool.InitialNodeCount = tt.nodes
				proto.Merge(pool, tt.pool)
			})
			g.must(g.start())
			op := g.at(10 * day).ops(containerpb.Operation_UPGRADE_NODES)[0]
			from, _ := time.Parse(time.RFC3339Nano, op.GetStartTime())
			to, _ := time.Parse(time.RFC3339Nano, op.GetEndTime())
			if to.Sub(from) != tt.want {
				t.Errorf("took %s, want %s", to.Sub(from), tt.want)
			}
		})
	}
}

// Fact 1.1: a soak can be ended early, and nothing else can.
func TestSoakEndsEarlyOnRequest(t *testing.T) {
	g := play(t, gkesim.Options{GKEWaits: 1000 * day}, 1000*day, blueGreenPool(5*day))
	end := func() error {
		return g.c.CompleteNodePoolUpgrade(t.Context(),
			&containerpb.CompleteNodePoolUpgradeRequest{Name: name + "/nodePools/web"})
	}
	g.refused(end(), codes.FailedPrecondition, "soaks")
	g.must(g.upgrade("web", "1.32", ""))
	g.refused(end(), codes.FailedPrecondition, "soaks")
	g.at(day).must(end())
	if op := g.at(day + time.Minute).ops(containerpb.Operation_UPGRADE_NODES)[0]; op.GetStatus() != containerpb.Operation_DONE || op.GetEndTime() != "2026-11-22T02:00:00Z" {
		t.Error(op)
	}
}

// Fact 0.9, 2.8: manual work ignores windows; one source says that it pauses
// at their end, so that is an option.
func TestManualUpgradesPauseAtTheWindowsEndOnlyByOption(t *testing.T) {
	for _, tt := range []struct {
		pauses bool
		want   string
	}{{false, "2026-11-21T15:00:00Z"}, {true, "2026-11-22T13:00:00Z"}} {
		g := play(t, gkesim.Options{NodeTakes: time.Hour, GKEWaits: 1000 * day, ManualPauses: tt.pauses}, 1000*day,
			daily("10:00"))
		g.at(10 * time.Hour).must(g.upgrade("web", "1.32", "")) // 12:00; open until 14:00; three hours of work
		g.at(10 * day)
		want := tt.want
		if tt.pauses {
			want = "2026-11-22T11:00:00Z"
		}
		if op := g.ops(containerpb.Operation_UPGRADE_NODES)[0]; op.GetEndTime() != want {
			t.Errorf("pauses %v: ended %s, want %s", tt.pauses, op.GetEndTime(), want)
		}
	}
	g := play(t, gkesim.Options{NodeTakes: time.Hour, GKEWaits: 1000 * day, ManualPauses: true}, 1000*day,
		daily("10:00"))
	g.must(g.upgrade("web", "1.32", "")) // 02:00, closed: nothing closes on it
	if op := g.at(day).ops(containerpb.Operation_UPGRADE_NODES)[0]; op.GetEndTime() != "2026-11-21T05:00:00Z" {
		t.Error(op.GetEndTime())
	}
}

// Fact 1.2: the own version recreates, "-" is the control plane's and a real
// upgrade where the pool lags.
func TestOwnVersionRecreatesAndDashUpgrades(t *testing.T) {
	g := play(t, gkesim.Options{GKEWaits: 1000 * day}, 1000*day)
	version := func() string { return g.cluster().GetNodePools()[0].GetVersion() }
	g.must(g.upgrade("web", "1.32", ""))
	if g.at(time.Hour); version() != "1.32" {
		t.Error(version())
	}
	g.must(g.upgrade("web", "-", ""))
	if g.at(time.Hour + time.Minute); version() != "1.32" {
		t.Error("changed before the upgrade is done:", version())
	}
	if g.at(2 * time.Hour); version() != "1.33" {
		t.Error(version())
	}
	g.refused(g.upgrade("batch", "1.34", ""), codes.InvalidArgument, "newer than the control plane")
}

// Fact 2.5: versions go out of support; GKE's own recreation then takes the
// closest that there is.
func TestRetiredVersionsAreRefusedAndReplacedByGKE(t *testing.T) {
	g := play(t, gkesim.Options{GKEWaits: day, Retired: []string{"1.32"}}, 1000*day)
	g.refused(g.upgrade("web", "1.32", ""), codes.InvalidArgument, `"1.32" is unsupported`)
	g.must(g.start())
	g.at(2 * day)
	for _, p := range g.cluster().GetNodePools() {
		if p.GetVersion() != "1.33" {
			t.Errorf("%s came back on %s", p.GetName(), p.GetVersion())
		}
	}
	g = play(t, gkesim.Options{Retired: []string{"1.33"}}, 1000*day)
	g.refused(g.masterTo("1.33"), codes.InvalidArgument, `"1.33" is unsupported`)
}

func TestMasterUpgrades(t *testing.T) {
	g := play(t, gkesim.Options{}, 1000*day)
	g.refused(g.masterTo("1.32"), codes.InvalidArgument, "older")
	g.must(g.masterTo("1.34"))
	op := g.ops(containerpb.Operation_UPGRADE_MASTER)[0]
	if op.GetStatus() != containerpb.Operation_PENDING || g.cluster().GetCurrentMasterVersion() != "1.33" {
		t.Error(op)
	}
	g.refused(g.upgrade("web", "1.32", ""), codes.FailedPrecondition, "incompatible operation")
	if got := g.at(time.Hour).cluster().GetCurrentMasterVersion(); got != "1.34" {
		t.Error(got)
	}
	g.must(g.masterTo("-"))
	g.at(2 * time.Hour)
}

// Fact 9.5: how long operations are listed nobody knows.
func TestOperationsAreForgottenAfterATime(t *testing.T) {
	for _, tt := range []struct {
		keep time.Duration
		at   time.Duration
		want int
	}{{0, 13 * day, 1}, {0, 15 * day, 0}, {time.Hour, time.Hour, 1}, {time.Hour, 2 * time.Hour, 0},
		{-1, 400 * day, 1}} {
		g := play(t, gkesim.Options{ForgetOperations: tt.keep}, 1000*day)
		g.must(g.upgrade("web", "1.32", ""))
		if got := len(g.at(tt.at).operations("projects/p/locations/-").GetOperations()); got != tt.want {
			t.Errorf("kept for %s, looked at after %s: %d operations", tt.keep, tt.at, got)
		}
	}
}
