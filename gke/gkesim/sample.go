package gkesim

import (
	"encoding/base64"
	"fmt"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// SampleStart is when the sample fleet's story begins: a Monday.
var SampleStart = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// sample is the project's own fleet: each cluster teaches one rule.
var sample = []struct {
	project, location, name string
	issued, expires         string
	teaches                 string
	shape                   func(*containerpb.Cluster)
}{
	{"shop-dev", "europe-west1-b", "dev-1", "2022-01-03", "2027-01-02",
		"emergency: its monthly window would open too late",
		pools(1, recurring("2026-01-01T01:00:00Z", 4, "FREQ=MONTHLY;BYMONTHDAY=20"), pool("default-pool", 3))},
	{"ml-prod", "europe-west4", "serve", "2022-01-18", "2027-01-17", "Autopilot: GKE recreates the nodes",
		pools(3, autopilot, pool("default-pool", 2))},
	{"bank-prod", "europe-west3", "orders", "2022-03-15", "2027-03-14", "window: daily 02:00-06:00 UTC",
		pools(3, daily("02:00"), pool("web", 2), pool("batch", 1))},
	{"shop-prod", "us-central1", "catalog", "2022-03-12", "2027-03-11", "no window: at once",
		pools(3, pool("web", 2))},
	{"shop-prod", "us-east1", "payments", "2022-03-20", "2027-03-19",
		"no window, the second slot of its project",
		pools(3, pool("web", 2))},
	{"shop-prod", "us-east4", "search", "2022-04-06", "2027-04-05",
		"project slot: its project has two rotations in flight already",
		pools(3, pool("web", 2))},
	{"shop-prod", "europe-west1", "checkout", "2022-02-10", "2027-02-09", "weekend window",
		pools(3, recurring("2026-01-03T02:00:00Z", 4, "FREQ=WEEKLY;BYDAY=SA,SU"), pool("web", 2))},
	{"ml-prod", "us-central1-a", "train", "2022-02-20", "2027-02-19",
		"exclusion: no node work until December; a blue-green pool",
		pools(1, exclusion("black-friday", "2026-11-20T00:00:00Z", "2026-12-01T00:00:00Z"), pool("cpu", 4),
			blueGreen("gpu", 2, 6))},
	{"bank-prod", "europe-west3-a", "ledger", "2022-03-01", "2027-03-01",
		"the careful cluster: zonal, one weekly window, three pools of twenty",
		pools(1, recurring("2026-01-03T02:00:00Z", 4, "FREQ=WEEKLY;BYDAY=SA"), pool("a", 20), pool("b", 20),
			pool("c", 20))},
	{"ml-prod", "europe-west4", "notebooks", "2024-07-10", "2054-07-03", "not due: a thirty-year CA",
		pools(3, pool("default-pool", 1))},
	{"shop-prod", "europe-west1", "legacy", "2021-11-08", "2026-11-08", "needs action: its CA has expired",
		pools(3, pool("default-pool", 1))},
}

// AddSample puts the project's own fleet into the world.
func (w *World) AddSample() error {
	for _, s := range sample {
		pb := &containerpb.Cluster{
			Name: s.name, Location: s.location, Id: fmt.Sprintf("%x", w.address(s.project+s.name)),
			Status:   containerpb.Cluster_RUNNING,
			Endpoint: w.address(s.project + "/" + s.name), CurrentMasterVersion: sampleVersion,
			SelfLink: "https://container.googleapis.com/v1/projects/" + s.project + "/locations/" + s.location +
				"/clusters/" + s.name,
			ResourceLabels: map[string]string{"teaches": s.name},
			MasterAuth:     &containerpb.MasterAuth{ClusterCaCertificate: w.oldCA(s.name, s.issued, s.expires)},
		}
		s.shape(pb)
		oldFields(pb)
		if err := w.Add(s.project, pb); err != nil {
			return err
		}
	}
	return nil
}

// oldFields fills what is deprecated and yet read: gcloud's list ends badly
// without a node version, and has its location and node count from here.
func oldFields(pb *containerpb.Cluster) {
	pb.CurrentNodeVersion, pb.Zone = pb.GetCurrentMasterVersion(), pb.GetLocation() //nolint:staticcheck // gcloud reads them
	for _, p := range pb.GetNodePools() {
		for range pb.GetLocations() {
			pb.CurrentNodeCount += p.GetInitialNodeCount() //nolint:staticcheck // gcloud reads it
		}
	}
}

func (w *World) oldCA(name, issued, expires string) string {
	return base64.StdEncoding.EncodeToString([]byte(IssueCA(w.opts.Seed, name, date(issued), date(expires))))
}

func date(s string) time.Time { return must(time.Parse(time.DateOnly, s)) }

func must(t time.Time, err error) time.Time {
	if err != nil {
		panic("gkesim: " + err.Error()) // the table above is wrong
	}
	return t
}

// pools shapes a cluster in that many zones.
func pools(zones int, with ...func(*containerpb.Cluster)) func(*containerpb.Cluster) {
	return func(c *containerpb.Cluster) {
		for i := range zones {
			c.Locations = append(c.Locations, fmt.Sprintf("%s-%c", c.GetLocation(), 'a'+i))
		}
		for _, f := range with {
			f(c)
		}
	}
}

func pool(name string, nodes int32) func(*containerpb.Cluster) {
	return func(c *containerpb.Cluster) {
		c.NodePools = append(c.NodePools, &containerpb.NodePool{
			Name: name, InitialNodeCount: nodes, Version: c.GetCurrentMasterVersion(),
			Status: containerpb.NodePool_RUNNING, Etag: "etag-" + name,
			Config:          &containerpb.NodeConfig{MachineType: "e2-standard-4", ImageType: "COS_CONTAINERD"},
			UpgradeSettings: &containerpb.NodePool_UpgradeSettings{MaxSurge: 1},
		})
	}
}

// blueGreen is a pool that waits soak hours before its old nodes go.
func blueGreen(name string, nodes int32, soak int) func(*containerpb.Cluster) {
	return func(c *containerpb.Cluster) {
		pool(name, nodes)(c)
		p := c.NodePools[len(c.NodePools)-1]
		p.UpgradeSettings = &containerpb.NodePool_UpgradeSettings{
			Strategy:          containerpb.NodePoolUpdateStrategy_BLUE_GREEN.Enum(),
			BlueGreenSettings: &containerpb.BlueGreenSettings{NodePoolSoakDuration: durationpb.New(time.Duration(soak) * time.Hour)},
		}
	}
}

func autopilot(c *containerpb.Cluster) { c.Autopilot = &containerpb.Autopilot{Enabled: true} }

func maintenanceWindow(c *containerpb.Cluster) *containerpb.MaintenanceWindow {
	if c.MaintenancePolicy == nil {
		c.MaintenancePolicy = &containerpb.MaintenancePolicy{Window: &containerpb.MaintenanceWindow{}}
	}
	return c.MaintenancePolicy.Window
}

func daily(start string) func(*containerpb.Cluster) {
	return func(c *containerpb.Cluster) {
		maintenanceWindow(c).Policy = &containerpb.MaintenanceWindow_DailyMaintenanceWindow{
			DailyMaintenanceWindow: &containerpb.DailyMaintenanceWindow{StartTime: start, Duration: "PT4H0M0S"},
		}
	}
}

func recurring(start string, hours int, rule string) func(*containerpb.Cluster) {
	return func(c *containerpb.Cluster) {
		from := must(time.Parse(time.RFC3339, start))
		maintenanceWindow(c).Policy = &containerpb.MaintenanceWindow_RecurringWindow{RecurringWindow: &containerpb.RecurringTimeWindow{
			Recurrence: rule,
			Window: &containerpb.TimeWindow{
				StartTime: timestamppb.New(from), EndTime: timestamppb.New(from.Add(time.Duration(hours) * time.Hour)),
			},
		}}
	}
}

func exclusion(name, from, to string) func(*containerpb.Cluster) {
	return func(c *containerpb.Cluster) {
		maintenanceWindow(c).MaintenanceExclusions = map[string]*containerpb.TimeWindow{name: {
			StartTime: timestamppb.New(must(time.Parse(time.RFC3339, from))),
			EndTime:   timestamppb.New(must(time.Parse(time.RFC3339, to))),
		}}
	}
}
