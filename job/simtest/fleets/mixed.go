package fleets

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/gke/gkesim"
)

// Mixed draws a fleet of so many clusters from the seed: a fifth as many projects,
// all kinds of windows, pools of all sizes, CAs of five years that expire
// throughout the next, and young ones that do not.
func Mixed(clusters int, seed int64, now time.Time) []gkesim.Loaded {
	d := draw{rand.New(rand.NewPCG(uint64(seed), 0xc0de))} //nolint:gosec // seeded on purpose: a fleet is repeatable
	var out []gkesim.Loaded
	for i := range clusters {
		project := fmt.Sprintf("team-%03d", d.IntN(max(clusters/5, 1)))
		out = append(out, gkesim.Loaded{File: "mixed", Project: project, Cluster: d.cluster(i, seed, now)})
	}
	return out
}

type draw struct{ *rand.Rand }

func (d draw) pick(of ...string) string { return of[d.IntN(len(of))] }

func (d draw) cluster(i int, seed int64, now time.Time) *containerpb.Cluster {
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	name := fmt.Sprintf("c%04d", i)
	left := 50*day + time.Duration(d.IntN(500))*day + time.Duration(d.IntN(24))*time.Hour
	expires := now.Add(left).Truncate(time.Hour)
	issued := expires.Add(-5 * year)
	if d.IntN(4) == 0 {
		issued = now.Add(-time.Duration(d.IntN(500)) * day).Truncate(time.Hour)
		expires = issued.Add(30*year + time.Hour)
	}
	places := []string{"europe-west1", "europe-west4", "us-central1", "us-east1-b", "europe-west1-c",
		"asia-south1-a"}
	c := &containerpb.Cluster{
		Name: name, Id: "id-" + name, Location: d.pick(places...),
		Status: containerpb.Cluster_RUNNING, Endpoint: "34.1.2.3", CurrentMasterVersion: version,
		ResourceLabels: map[string]string{"env": d.pick("dev", "staging", "prod", "prod", "prod")},
		MasterAuth:     caOf(gkesim.IssueCA(seed, name, issued, expires)),
	}
	d.windows(c, now)
	switch n := d.IntN(20); {
	case n < 2:
		Autopilot(c)
		addPool(c, "default-pool", 2)
	case n == 2:
		c.EnableKubernetesAlpha = true
	default:
		for j := range 1 + d.IntN(3) {
			addPool(c, fmt.Sprintf("pool-%d", j), 1+d.IntN(12))
		}
	}
	if d.IntN(20) == 0 {
		addPool(c, "blue-green", 2).UpgradeSettings = soaking(time.Duration(1+d.IntN(8)) * time.Hour)
	}
	return c
}

// windows gives the cluster a maintenance policy, or none.
func (d draw) windows(c *containerpb.Cluster, now time.Time) {
	hour := d.IntN(24)
	switch d.IntN(8) {
	case 0: // always open
	case 1, 2:
		Daily(fmt.Sprintf("%02d:00", d.IntN(24)))(c)
	case 3:
		Recurring(hour, 12, "FREQ=MONTHLY;BYDAY=1SU,3SU")(c)
	default:
		rules := []string{"FREQ=WEEKLY;BYDAY=SA,SU", "FREQ=WEEKLY;BYDAY=SA", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH",
			"FREQ=DAILY"}
		Recurring(hour, 4+2*d.IntN(3), d.pick(rules...))(c)
	}
	if d.IntN(6) == 0 {
		from := now.AddDate(0, 0, d.IntN(300))
		WindowOf(c).MaintenanceExclusions = map[string]*containerpb.TimeWindow{
			"season": {StartTime: timestamppb.New(from), EndTime: timestamppb.New(from.AddDate(0, 0, 1+d.IntN(30)))},
		}
	}
}

// caOf shows a certificate as the API does.
func caOf(pem string) *containerpb.MasterAuth {
	return &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(pem))}
}

// addPool adds a pool of that many nodes a zone.
func addPool(c *containerpb.Cluster, name string, nodes int) *containerpb.NodePool {
	p := &containerpb.NodePool{
		Name: name, InitialNodeCount: int32(nodes), Version: c.CurrentMasterVersion, Etag: "etag-" + name, //nolint:gosec // small
		Status: containerpb.NodePool_RUNNING, Config: &containerpb.NodeConfig{ImageType: "COS_CONTAINERD"},
		UpgradeSettings: &containerpb.NodePool_UpgradeSettings{MaxSurge: 1},
	}
	c.NodePools = append(c.NodePools, p)
	return p
}

// soaking is a blue-green upgrade that waits so long before the old nodes go.
func soaking(wait time.Duration) *containerpb.NodePool_UpgradeSettings {
	return &containerpb.NodePool_UpgradeSettings{
		Strategy:          containerpb.NodePoolUpdateStrategy_BLUE_GREEN.Enum(),
		BlueGreenSettings: &containerpb.BlueGreenSettings{NodePoolSoakDuration: durationpb.New(wait)},
	}
}
