package gke

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/window"
)

// TestClusterFields: each field by itself, so that a mistake names it.
func TestClusterFields(t *testing.T) {
	private := &containerpb.PrivateClusterConfig{PrivateEndpoint: "10.0.0.2"} //nolint:staticcheck // what older clusters have
	ipOnly := &containerpb.ControlPlaneEndpointsConfig{IpEndpointsConfig: &containerpb.ControlPlaneEndpointsConfig_IPEndpointsConfig{PrivateEndpoint: "10.0.0.3"}}
	dns := &containerpb.ControlPlaneEndpointsConfig{DnsEndpointConfig: &containerpb.ControlPlaneEndpointsConfig_DNSEndpointConfig{Endpoint: "gke-1.us-east1.gke.goog"}}
	for _, tt := range []struct {
		name string
		pb   *containerpb.Cluster
		got  func(fleet.Cluster) any
		want any
	}{
		{"nothing", &containerpb.Cluster{},
			func(c fleet.Cluster) any { return []any{c.Ref.Project, c.Ref.Location, c.ID, c.Zonal, c.Busy() != ""} },
			[]any{"p", "", "", false, true}},
		{"region", &containerpb.Cluster{Location: "europe-west10"}, func(c fleet.Cluster) any { return c.Zonal },
			false},
		{"zone", &containerpb.Cluster{Location: "us-central1-c"}, func(c fleet.Cluster) any { return c.Zonal },
			true},
		{"zone of old", &containerpb.Cluster{Zone: "us-central1-c"}, func(c fleet.Cluster) any { return c.Ref.Location }, "us-central1-c"}, //nolint:staticcheck // recordings older than locations have only this
		{"id", &containerpb.Cluster{Id: "abc"}, func(c fleet.Cluster) any { return c.ID }, "abc"},
		{"status", &containerpb.Cluster{Status: containerpb.Cluster_DEGRADED},
			func(c fleet.Cluster) any { return c.Status }, fleet.Degraded},
		{"status of the future", &containerpb.Cluster{Status: 77},
			func(c fleet.Cluster) any { return []any{c.Status, c.Busy()} }, []any{fleet.Status("77"), "status 77"}},
		{"labels", &containerpb.Cluster{ResourceLabels: map[string]string{"env": "prod"}},
			func(c fleet.Cluster) any { return c.Labels["env"] }, "prod"},
		{"no CA", &containerpb.Cluster{}, func(c fleet.Cluster) any { return c.Bundle.Problem },
			"the cluster shows no CA certificate"},
		{"redacted CA", &containerpb.Cluster{MasterAuth: &containerpb.MasterAuth{ClusterCaCertificate: "REDACTED"}},
			func(c fleet.Cluster) any { return len(c.Bundle.CAs) + len(c.Bundle.Problem) },
			len("the CA certificate is no PEM")},
		{"public endpoint", &containerpb.Cluster{Endpoint: "34.1.2.3", PrivateClusterConfig: private},
			func(c fleet.Cluster) any { return c.Endpoint }, "34.1.2.3"},
		{"private endpoint alone", &containerpb.Cluster{PrivateClusterConfig: private},
			func(c fleet.Cluster) any { return c.Endpoint }, "10.0.0.2"},
		{"private endpoint of today", &containerpb.Cluster{ControlPlaneEndpointsConfig: ipOnly},
			func(c fleet.Cluster) any { return c.Endpoint }, "10.0.0.3"},
		{"DNS endpoint", &containerpb.Cluster{ControlPlaneEndpointsConfig: dns},
			func(c fleet.Cluster) any { return c.DNS }, "gke-1.us-east1.gke.goog"},
		{"Autopilot", &containerpb.Cluster{Autopilot: &containerpb.Autopilot{Enabled: true}},
			func(c fleet.Cluster) any { return c.Autopilot }, true},
		{"alpha", &containerpb.Cluster{EnableKubernetesAlpha: true}, func(c fleet.Cluster) any { return c.Alpha },
			true},
		{"customer's CA", &containerpb.Cluster{UserManagedKeysConfig: &containerpb.UserManagedKeysConfig{ClusterCa: "projects/p/caPools/x"}}, func(c fleet.Cluster) any { return c.CustomerCA }, true},
		{"version", &containerpb.Cluster{CurrentMasterVersion: "1.33.5-gke.1"},
			func(c fleet.Cluster) any { return c.Version }, "1.33.5-gke.1"},
		{"etag", &containerpb.Cluster{Etag: "e"}, func(c fleet.Cluster) any { return c.Etag }, "e"},
		{"condition", &containerpb.Cluster{Conditions: []*containerpb.StatusCondition{{Code: containerpb.StatusCondition_CA_EXPIRING}}}, func(c fleet.Cluster) any { return c.Conditions }, []string{"CA_EXPIRING"}},
		{"condition by its text",
			&containerpb.Cluster{Conditions: []*containerpb.StatusCondition{{Message: "The cluster CA will expire soon."}}}, func(c fleet.Cluster) any { return c.Conditions }, []string{"CA_EXPIRING"}},
		{"condition of the future",
			&containerpb.Cluster{Conditions: []*containerpb.StatusCondition{{Code: 99, Message: "capacity"}}},
			func(c fleet.Cluster) any { return c.Conditions }, []string{"99"}},
		{"no maintenance policy", &containerpb.Cluster{},
			func(c fleet.Cluster) any { return c.Maintenance.Problem }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.got(fromProto("p", tt.pb)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPoolFields(t *testing.T) {
	blueGreen := func(s *containerpb.BlueGreenSettings) *containerpb.NodePool_UpgradeSettings {
		return &containerpb.NodePool_UpgradeSettings{Strategy: containerpb.NodePoolUpdateStrategy_BLUE_GREEN.Enum(),
			BlueGreenSettings: s}
	}
	hours := func(h int) *durationpb.Duration { return durationpb.New(time.Duration(h) * time.Hour) }
	standard := func(p *containerpb.BlueGreenSettings_StandardRolloutPolicy) *containerpb.NodePool {
		return &containerpb.NodePool{InitialNodeCount: 10,
			UpgradeSettings: blueGreen(&containerpb.BlueGreenSettings{
				NodePoolSoakDuration: hours(6),
				RolloutPolicy:        &containerpb.BlueGreenSettings_StandardRolloutPolicy_{StandardRolloutPolicy: p},
			})}
	}
	autoscaled := func(wait *durationpb.Duration) *containerpb.NodePool {
		return &containerpb.NodePool{UpgradeSettings: blueGreen(&containerpb.BlueGreenSettings{
			RolloutPolicy: &containerpb.BlueGreenSettings_AutoscaledRolloutPolicy_{AutoscaledRolloutPolicy: &containerpb.BlueGreenSettings_AutoscaledRolloutPolicy{WaitForDrainDuration: wait}},
		})}
	}
	for _, tt := range []struct {
		name string
		pb   *containerpb.NodePool
		got  func(fleet.Pool) any
		want any
	}{
		{"nothing", &containerpb.NodePool{}, func(p fleet.Pool) any { return p },
			fleet.Pool{Status: "STATUS_UNSPECIFIED", Zones: 1}},
		{"a slice of TPUs", &containerpb.NodePool{PlacementPolicy: &containerpb.NodePool_PlacementPolicy{TpuTopology: "4x4"}},
			func(p fleet.Pool) any { return p.Atomic }, true},
		{"flex start", &containerpb.NodePool{Config: &containerpb.NodeConfig{FlexStart: proto.Bool(true)}},
			func(p fleet.Pool) any { return p.ShortLived }, 7 * 24 * time.Hour},
		{"queued, with a time of its own", &containerpb.NodePool{
			QueuedProvisioning: &containerpb.NodePool_QueuedProvisioning{Enabled: true},
			Config:             &containerpb.NodeConfig{MaxRunDuration: hours(5)}},
			func(p fleet.Pool) any { return p.ShortLived }, 5 * time.Hour},
		{"a time to run is no flex start", &containerpb.NodePool{Config: &containerpb.NodeConfig{MaxRunDuration: hours(5)}},
			func(p fleet.Pool) any { return p.ShortLived }, time.Duration(0)},
		{"drain timeout", &containerpb.NodePool{NodeDrainConfig: &containerpb.NodePool_NodeDrainConfig{PdbTimeoutDuration: hours(12)}},
			func(p fleet.Pool) any { return p.DrainTimeout }, 12 * time.Hour},
		{"zones", &containerpb.NodePool{Locations: []string{"a", "b", "c"}}, func(p fleet.Pool) any { return p.Zones }, 3},
		{"names", &containerpb.NodePool{Name: "n", Version: "1.33", Etag: "e",
			Config: &containerpb.NodeConfig{ImageType: "COS"}},
			func(p fleet.Pool) any { return []string{p.Name, p.Version, p.Etag, p.Image} },
			[]string{"n", "1.33", "e", "COS"}},
		{"status", &containerpb.NodePool{Status: containerpb.NodePool_RUNNING_WITH_ERROR},
			func(p fleet.Pool) any { return p.Status }, fleet.Status("RUNNING_WITH_ERROR")},
		{"status of the future", &containerpb.NodePool{Status: 88}, func(p fleet.Pool) any { return p.Status },
			fleet.Status("88")},
		{"surge", &containerpb.NodePool{UpgradeSettings: &containerpb.NodePool_UpgradeSettings{MaxSurge: 2,
			MaxUnavailable: 3}}, func(p fleet.Pool) any { return []any{p.MaxSurge, p.MaxUnavailable, p.BlueGreen} },
			[]any{2, 3, false}},
		{"soak without blue-green",
			&containerpb.NodePool{UpgradeSettings: &containerpb.NodePool_UpgradeSettings{BlueGreenSettings: &containerpb.BlueGreenSettings{NodePoolSoakDuration: hours(6)}}}, func(p fleet.Pool) any { return p.PoolSoak }, time.Duration(0)},
		{"blue-green", standard(nil), func(p fleet.Pool) any { return []any{p.BlueGreen, p.Batches, p.PoolSoak} },
			[]any{true, 10, 6 * time.Hour}},
		{"blue-green, soak untold", &containerpb.NodePool{UpgradeSettings: blueGreen(nil)},
			func(p fleet.Pool) any { return p.PoolSoak }, time.Hour},
		{"batches by share", standard(&containerpb.BlueGreenSettings_StandardRolloutPolicy{UpdateBatchSize: &containerpb.BlueGreenSettings_StandardRolloutPolicy_BatchPercentage{BatchPercentage: 0.25}, BatchSoakDuration: hours(1)}), func(p fleet.Pool) any { return p.PoolSoak }, 11 * time.Hour},
		{"batches by nodes", standard(&containerpb.BlueGreenSettings_StandardRolloutPolicy{UpdateBatchSize: &containerpb.BlueGreenSettings_StandardRolloutPolicy_BatchNodeCount{BatchNodeCount: 3}, BatchSoakDuration: hours(1)}), func(p fleet.Pool) any { return p.PoolSoak }, 10 * time.Hour},
		{"tiny share", standard(&containerpb.BlueGreenSettings_StandardRolloutPolicy{UpdateBatchSize: &containerpb.BlueGreenSettings_StandardRolloutPolicy_BatchPercentage{BatchPercentage: 1e-30}, BatchSoakDuration: hours(1)}), func(p fleet.Pool) any { return p.PoolSoak }, 16 * time.Hour},
		{"autoscaled, untold", autoscaled(nil), func(p fleet.Pool) any { return p.PoolSoak }, 72 * time.Hour},
		{"autoscaled", autoscaled(hours(2)), func(p fleet.Pool) any { return p.PoolSoak }, 2 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := fromProto("p", &containerpb.Cluster{NodePools: []*containerpb.NodePool{tt.pb}})
			if got := tt.got(c.Pools[0]); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestNodeCounts: v1 has no live count per pool.
func TestNodeCounts(t *testing.T) {
	auto := func(low, total int32) *containerpb.NodePoolAutoscaling {
		return &containerpb.NodePoolAutoscaling{Enabled: true, MinNodeCount: low, TotalMinNodeCount: total}
	}
	three := []string{"a", "b", "c"}
	for _, tt := range []struct {
		name  string
		zones []string
		live  int32
		pools []*containerpb.NodePool
		want  []int
	}{
		{"one zone", []string{"a"}, 0, []*containerpb.NodePool{{InitialNodeCount: 3}}, []int{3}},
		{"no zones told", nil, 0, []*containerpb.NodePool{{InitialNodeCount: 3}}, []int{3}},
		{"three zones", three, 9, []*containerpb.NodePool{{InitialNodeCount: 3}}, []int{9}},
		{"the pool's own zones", three, 0,
			[]*containerpb.NodePool{{InitialNodeCount: 3, Locations: []string{"a", "b"}}}, []int{6}},
		{"grown", three, 36, []*containerpb.NodePool{{InitialNodeCount: 1}, {InitialNodeCount: 2}}, []int{12, 24}},
		{"shrunk: counted as made", three, 1, []*containerpb.NodePool{{InitialNodeCount: 1}}, []int{3}},
		{"made empty, grown", three, 30, []*containerpb.NodePool{{}, {}}, []int{30, 30}},
		{"autoscaled from nothing beside another", []string{"a"}, 2, []*containerpb.NodePool{{InitialNodeCount: 2},
			{Autoscaling: auto(4, 0)}}, []int{2, 4}},
		{"autoscaler's least in zones", three, 3,
			[]*containerpb.NodePool{{InitialNodeCount: 1, Autoscaling: auto(5, 0)}}, []int{15}},
		{"autoscaler's least in all", three, 3,
			[]*containerpb.NodePool{{InitialNodeCount: 1, Autoscaling: auto(0, 7)}}, []int{7}},
		{"autoscaler off", []string{"a"}, 1,
			[]*containerpb.NodePool{{InitialNodeCount: 1,
				Autoscaling: &containerpb.NodePoolAutoscaling{MinNodeCount: 9}}}, []int{1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []int
			for _, p := range fromProto("p", &containerpb.Cluster{Locations: tt.zones, CurrentNodeCount: tt.live, NodePools: tt.pools}).Pools { //nolint:staticcheck // the only live count there is
				got = append(got, p.Nodes)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestPoolExclusion(t *testing.T) {
	future := &containerpb.NodePool_NodePoolMaintenancePolicy{}
	future.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 999, protowire.VarintType),
		1))
	unknown := fromProto("p",
		&containerpb.Cluster{NodePools: []*containerpb.NodePool{{Name: "n",
			MaintenancePolicy: future}}}).Pools[0].Exclusion
	if unknown == nil || !unknown.Blocks() ||
		!unknown.Stretch().Contains(time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("a pool's maintenance policy of a kind that nobody knows: %+v", unknown)
	}
	begin, end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	pool := func(e *containerpb.NodePool_ExclusionUntilEndOfSupport) *window.Exclusion {
		return fromProto("p", &containerpb.Cluster{NodePools: []*containerpb.NodePool{{Name: "n",
			MaintenancePolicy: &containerpb.NodePool_NodePoolMaintenancePolicy{ExclusionUntilEndOfSupport: e}}}}).Pools[0].Exclusion
	}
	if e := pool(&containerpb.NodePool_ExclusionUntilEndOfSupport{StartTime: timestamppb.New(begin)}); e != nil {
		t.Errorf("not enabled, but %+v", e)
	}
	if e := pool(&containerpb.NodePool_ExclusionUntilEndOfSupport{Enabled: true,
		StartTime: timestamppb.New(begin), EndTime: timestamppb.New(end)}); e == nil || !e.Blocks() ||
		e.Stretch() != (window.Span{Start: begin, End: end}) {
		t.Errorf("with its end: %+v", e)
	}
	if e := pool(&containerpb.NodePool_ExclusionUntilEndOfSupport{Enabled: true,
		StartTime: timestamppb.New(begin)}); e == nil || !e.Stretch().Contains(end.AddDate(30, 0, 0)) {
		t.Errorf("without an end: %+v", e)
	}
}

func TestOperationFields(t *testing.T) {
	const link = "https://container.googleapis.com/v1/projects/1234/zones/us-east1-b/clusters/c"
	where := fleet.Ref{Project: "p", Location: "us-east1-b", Name: "c"}
	start, end := "2026-11-21T01:02:03.123456789Z", "2026-11-21T02:03:04Z"
	for _, tt := range []struct {
		name string
		pb   *containerpb.Operation
		ref  fleet.Ref
		want fleet.Operation
		ok   bool
	}{
		{"on a cluster", &containerpb.Operation{Name: "o", TargetLink: link,
			OperationType: containerpb.Operation_UPDATE_CLUSTER, Status: containerpb.Operation_RUNNING,
			StartTime: start}, where,
			fleet.Operation{Name: "o", Type: fleet.OpUpdateCluster, Start: parseTime(start)}, true},
		{"on a pool", &containerpb.Operation{Name: "o", TargetLink: link + "/nodePools/web",
			OperationType: containerpb.Operation_UPGRADE_NODES, Status: containerpb.Operation_DONE, StartTime: start,
			EndTime: end}, where,
			fleet.Operation{Name: "o", Type: fleet.OpUpgradeNodes, Pool: "web", Done: true, Start: parseTime(start),
				End: parseTime(end)}, true},
		{"in a region", &containerpb.Operation{TargetLink: "https://x/v1beta1/projects/1/locations/us-east1/clusters/c"}, fleet.Ref{Project: "p", Location: "us-east1", Name: "c"}, fleet.Operation{Type: "TYPE_UNSPECIFIED"}, true},
		{"pending and aborting run",
			&containerpb.Operation{TargetLink: link, Status: containerpb.Operation_ABORTING,
				OperationType: containerpb.Operation_UPGRADE_MASTER}, where, fleet.Operation{Type: fleet.OpUpgradeMaster},
			true},
		{"failed", &containerpb.Operation{TargetLink: link, Status: containerpb.Operation_DONE,
			Error: &statuspb.Status{Code: 8, Message: "no quota"}}, where,
			fleet.Operation{Type: "TYPE_UNSPECIFIED", Done: true, Error: "no quota"}, true},
		{"failed the old way", &containerpb.Operation{TargetLink: link, Status: containerpb.Operation_DONE, StatusMessage: "stockout"}, where, fleet.Operation{Type: "TYPE_UNSPECIFIED", Done: true, Error: "stockout"}, true}, //nolint:staticcheck // gcloud treats it as failure too
		{"failed without words", &containerpb.Operation{TargetLink: link, Status: containerpb.Operation_DONE,
			Error: &statuspb.Status{Code: 13}}, where, fleet.Operation{Type: "TYPE_UNSPECIFIED", Done: true,
			Error: "failed without a message"}, true},
		{"of the future", &containerpb.Operation{TargetLink: link, OperationType: 4711, Status: 9}, where,
			fleet.Operation{Type: "4711"}, true},
		{"times that are none", &containerpb.Operation{TargetLink: link, StartTime: "yesterday"}, where,
			fleet.Operation{Type: "TYPE_UNSPECIFIED"}, true},
		{"link cut short", &containerpb.Operation{TargetLink: "https..."}, fleet.Ref{Project: "p"},
			fleet.Operation{Type: "TYPE_UNSPECIFIED"}, false},
		{"no link", &containerpb.Operation{}, fleet.Ref{Project: "p"}, fleet.Operation{Type: "TYPE_UNSPECIFIED"},
			false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ref, op, ok := operationFromProto("p", tt.pb)
			if ref != tt.ref || op != tt.want || ok != tt.ok {
				t.Errorf("got %v %+v %v, want %v %+v %v", ref, op, ok, tt.ref, tt.want, tt.ok)
			}
		})
	}
	if parseTime(start).Nanosecond() != 123456789 {
		t.Error("nanoseconds are lost")
	}
}

// TestRecordedOperations: real ones tell their cluster, pool, times and end.
func TestRecordedOperations(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(fixtures(t, "operations"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pb := &containerpb.Operation{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, pb); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		name := filepath.Base(file)
		ref, op, ok := operationFromProto("p", pb)
		if cut := strings.HasPrefix(name, "lab-"); ok == cut {
			t.Errorf("%s: names a cluster: %v", name, ok)
		}
		var raw struct{ TargetLink string }
		if err := json.Unmarshal(text, &raw); err != nil {
			t.Fatal(err)
		}
		path := strings.ReplaceAll(raw.TargetLink, "/zones/", "/locations/")
		want := "/locations/" + ref.Location + "/clusters/" + ref.Name
		if op.Pool != "" {
			want += "/nodePools/" + op.Pool
		}
		if ok && !strings.HasSuffix(path, want) {
			t.Errorf("%s: read %q out of %q", name, want, raw.TargetLink)
		}
		if op.Done != strings.Contains(name, "-done") || op.Start.IsZero() || op.Done == op.End.IsZero() ||
			op.Error != "" {
			t.Errorf("%s: %+v", name, op)
		}
	}
}

// A cluster whose IP endpoints are off has no address, whatever its fields hold; and a DNS
// endpoint says whether it takes traffic from outside.
func TestEndpoints(t *testing.T) {
	off, external := false, true
	pb := &containerpb.Cluster{Name: "a", Location: "europe-west1", Endpoint: "34.1.2.3",
		ControlPlaneEndpointsConfig: &containerpb.ControlPlaneEndpointsConfig{
			IpEndpointsConfig: &containerpb.ControlPlaneEndpointsConfig_IPEndpointsConfig{Enabled: &off},
			DnsEndpointConfig: &containerpb.ControlPlaneEndpointsConfig_DNSEndpointConfig{Endpoint: "x.gke.goog",
				AllowExternalTraffic: &external},
		}}
	if c := fromProto("p", pb); c.Endpoint != "" || c.DNS != "x.gke.goog" || !c.DNSExternal {
		t.Errorf("endpoint %q, DNS %q, external %t", c.Endpoint, c.DNS, c.DNSExternal)
	}
	pb.ControlPlaneEndpointsConfig.IpEndpointsConfig.Enabled, external = nil, false
	if c := fromProto("p", pb); c.Endpoint != "34.1.2.3" || c.DNSExternal {
		t.Errorf("endpoint %q, external %t", c.Endpoint, c.DNSExternal)
	}
}
