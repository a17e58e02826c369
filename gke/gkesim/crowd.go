package gkesim

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
)

// Crowd makes up a fleet of so many clusters from the seed, for benchmarks and
// tests: a fifth as many projects, all kinds of windows, pools of all sizes,
// CAs of five years that expire throughout the next, and young ones that do not.
func Crowd(clusters int, seed int64, now time.Time) []Loaded {
	c := &crowd{dice: rand.New(rand.NewPCG(uint64(seed), 0xc0de)), seed: seed, now: now} //nolint:gosec // seeded on purpose: a fleet is repeatable
	var out []Loaded
	for i := range clusters {
		out = append(out, Loaded{File: "crowd", Project: fmt.Sprintf("team-%03d", c.dice.IntN(max(clusters/5, 1))), Cluster: c.cluster(i)})
	}
	return out
}

type crowd struct {
	dice *rand.Rand
	seed int64
	now  time.Time
}

// cluster makes one cluster.
func (c *crowd) cluster(i int) *containerpb.Cluster {
	const day = 24 * time.Hour
	name := fmt.Sprintf("c%04d", i)
	expires := c.now.Add(50*day + time.Duration(c.dice.IntN(500))*day + time.Duration(c.dice.IntN(24))*time.Hour).Truncate(time.Hour)
	issued := expires.Add(-5 * 365 * day)
	if c.dice.IntN(4) == 0 {
		issued = c.now.Add(-time.Duration(c.dice.IntN(500)) * day).Truncate(time.Hour)
		expires = issued.Add(caLife)
	}
	pb := &containerpb.Cluster{
		Name: name, Id: "id-" + name, Location: c.pick("europe-west1", "europe-west4", "us-central1", "us-east1-b", "europe-west1-c", "asia-south1-a"),
		Status: containerpb.Cluster_RUNNING, Endpoint: "34.1.2.3", CurrentMasterVersion: sampleVersion,
		ResourceLabels: map[string]string{"env": c.pick("dev", "staging", "prod", "prod", "prod")},
		MasterAuth:     &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(IssueCA(c.seed, name, issued, expires)))},
	}
	c.windows(pb)
	switch n := c.dice.IntN(20); {
	case n < 2:
		autopilot(pb)
		pool("default-pool", 2)(pb)
	case n == 2:
		pb.EnableKubernetesAlpha = true
	default:
		for j := range 1 + c.dice.IntN(3) {
			pool(fmt.Sprintf("pool-%d", j), int32(1+c.dice.IntN(12)))(pb) //nolint:gosec // small
		}
	}
	if c.dice.IntN(20) == 0 {
		blueGreen("blue-green", 2, 1+c.dice.IntN(8))(pb)
	}
	return pb
}

// windows gives the cluster a maintenance policy, or none.
func (c *crowd) windows(pb *containerpb.Cluster) {
	hour := fmt.Sprintf("2026-01-03T%02d:00:00Z", c.dice.IntN(24))
	switch c.dice.IntN(8) {
	case 0: // always open
	case 1, 2:
		daily(fmt.Sprintf("%02d:00", c.dice.IntN(24)))(pb)
	case 3:
		recurring(hour, 12, "FREQ=MONTHLY;BYDAY=1SU,3SU")(pb)
	default:
		recurring(hour, 4+2*c.dice.IntN(3), c.pick("FREQ=WEEKLY;BYDAY=SA,SU", "FREQ=WEEKLY;BYDAY=SA", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH", "FREQ=DAILY"))(pb)
	}
	if c.dice.IntN(6) == 0 {
		from := c.now.Add(time.Duration(c.dice.IntN(300)) * 24 * time.Hour)
		exclusion("season", from.Format(time.RFC3339), from.Add(time.Duration(1+c.dice.IntN(30))*24*time.Hour).Format(time.RFC3339))(pb)
	}
}

func (c *crowd) pick(of ...string) string { return of[c.dice.IntN(len(of))] }
