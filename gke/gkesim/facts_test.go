package gkesim_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/grpc/codes"

	"gke-credential-rotator/gke/gkesim"
)

// Fact 9.1: which CA stands first in a rotation's bundle nobody could read.
func TestBundleOrder(t *testing.T) {
	for _, newFirst := range []bool{false, true} {
		g := play(t, gkesim.Options{NewFirst: newFirst}, 1000*day)
		old := g.cluster().GetMasterAuth().GetClusterCaCertificate()
		g.must(g.start())
		text := g.at(time.Hour).cluster().GetMasterAuth().GetClusterCaCertificate()
		both, err := base64.StdEncoding.DecodeString(text)
		g.must(err)
		pem, err := base64.StdEncoding.DecodeString(old)
		g.must(err)
		if g.cas() != 2 || strings.HasPrefix(string(both), string(pem)) == newFirst {
			t.Errorf("new first %v: %d CAs", newFirst, g.cas())
		}
	}
}

// Fact 0.5, 0.6, 9.2: the codes behind the 409 and the 400s.
func TestRotationRefusalCodes(t *testing.T) {
	for _, tt := range []struct{ start, complete, wantStart, wantComplete codes.Code }{
		{0, 0, codes.AlreadyExists, codes.FailedPrecondition},
		{codes.Aborted, codes.InvalidArgument, codes.Aborted, codes.InvalidArgument},
	} {
		g := play(t, gkesim.Options{RefuseStart: tt.start, RefuseComplete: tt.complete, GKEWaits: 1000 * day},
			1000*day)
		g.refused(g.complete(), tt.wantComplete, "does not have an IP rotation in progress")
		g.must(g.start())
		g.at(time.Hour)
		g.refused(g.start(), tt.wantStart, "The cluster has an IP rotation in progress.")
		g.refused(g.complete(), tt.wantComplete, `Node pool "web" requires recreation.`)
	}
}

// Fact 0.3, 9.1: when the endpoint switches.
func TestEndpointSwitches(t *testing.T) {
	for _, late := range []bool{false, true} {
		g := play(t, gkesim.Options{EndpointLate: late}, 1000*day)
		g.must(g.start())
		if g.cluster().GetEndpoint() != "34.1.1.1" {
			t.Error("switched before the start is done")
		}
		if switched := g.at(time.Hour).cluster().GetEndpoint() != "34.1.1.1"; switched == late {
			t.Errorf("late %v: switched %v after the start", late, switched)
		}
		g.at(day).must(g.complete())
		if g.at(2*day).cluster().GetEndpoint() == "34.1.1.1" {
			t.Errorf("late %v: never switched", late)
		}
	}
}

// Fact 2.6, 9.1: private endpoints may keep their address; DNS endpoints keep
// their name.
func TestPrivateAndDNSEndpoints(t *testing.T) {
	const dns = "gke-1234.europe-west1-b.gke.goog"
	private := func(c *containerpb.Cluster) {
		c.Endpoint = "10.0.0.2"
		c.PrivateClusterConfig = &containerpb.PrivateClusterConfig{EnablePrivateEndpoint: true, PrivateEndpoint: "10.0.0.2", PublicEndpoint: "34.1.1.1"} //nolint:staticcheck // what older clusters have
		c.ControlPlaneEndpointsConfig = &containerpb.ControlPlaneEndpointsConfig{
			DnsEndpointConfig: &containerpb.ControlPlaneEndpointsConfig_DNSEndpointConfig{Endpoint: dns},
			IpEndpointsConfig: &containerpb.ControlPlaneEndpointsConfig_IPEndpointsConfig{PublicEndpoint: "34.1.1.1",
				PrivateEndpoint: "10.0.0.2"},
		}
	}
	for _, switches := range []bool{false, true} {
		g := play(t, gkesim.Options{PrivateEndpointSwitches: switches}, 1000*day, private)
		g.must(g.start())
		c := g.at(time.Hour).cluster()
		ip := c.GetControlPlaneEndpointsConfig().GetIpEndpointsConfig()
		if got := c.GetControlPlaneEndpointsConfig().GetDnsEndpointConfig().GetEndpoint(); got != dns {
			t.Errorf("the DNS endpoint is %s", got)
		}
		if ip.GetPublicEndpoint() == "34.1.1.1" || c.GetPrivateClusterConfig().GetPublicEndpoint() != ip.GetPublicEndpoint() { //nolint:staticcheck // likewise
			t.Error("the public endpoint stayed", ip)
		}
		if (ip.GetPrivateEndpoint() != "10.0.0.2") != switches || c.GetEndpoint() != ip.GetPrivateEndpoint() ||
			!strings.HasPrefix(c.GetEndpoint(), "10.") {
			t.Errorf("switches %v: private endpoint %s, endpoint %s", switches, ip.GetPrivateEndpoint(),
				c.GetEndpoint())
		}
	}
}

// Fact 2.2, 9.3: whether CA_EXPIRING is shown with DEGRADED.
func TestDegradedMayStandAlone(t *testing.T) {
	for want, alone := range []bool{true, false} {
		g := play(t, gkesim.Options{DegradedAlone: alone, GKEWaits: 1000 * day}, 40*day, never)
		c := g.at(34 * day).cluster()
		if c.GetStatus() != containerpb.Cluster_DEGRADED || len(c.GetConditions()) != want {
			t.Errorf("alone %v: %s %v", alone, c.GetStatus(), c.GetConditions())
		}
	}
}

// Fact 2.5, 9.10: whether pools without nodes need recreation.
func TestEmptyPools(t *testing.T) {
	for _, exempt := range []bool{false, true} {
		g := play(t, gkesim.Options{EmptyPoolsExempt: exempt, GKEWaits: 1000 * day}, 1000*day,
			func(c *containerpb.Cluster) { c.NodePools[1].InitialNodeCount = 0 })
		g.must(g.start())
		g.at(time.Hour).must(g.upgrade("web", "1.32", ""))
		err := g.at(2 * time.Hour).complete()
		if (err == nil) != exempt {
			t.Errorf("exempt %v: %v", exempt, err)
		}
	}
}

// Fact 0.8, 9.10: from day 7 on GKE tries to complete, again and again; how
// often it tries nobody could confirm.
func TestAutoCompletionRetries(t *testing.T) {
	for _, tt := range []struct{ retry, want time.Duration }{{0, 8 * day}, {time.Hour, 7*day + time.Hour}} {
		g := play(t, gkesim.Options{RetryComplete: tt.retry, GKEWaits: 1000 * day}, 1000*day)
		g.must(g.start())
		g.at(7*day + 30*time.Minute).must(g.upgrade("web", "1.32", ""))
		g.must(g.upgrade("batch", "1.32", "")) // done 24 minutes later
		begun := 12*time.Minute + tt.want
		if g.at(begun - time.Second); len(g.ops(containerpb.Operation_UPDATE_CLUSTER)) != 1 {
			t.Errorf("retry %s: completed early", tt.retry)
		}
		if g.at(begun); len(g.ops(containerpb.Operation_UPDATE_CLUSTER)) != 2 {
			t.Errorf("retry %s: not completed at the next try", tt.retry)
		}
	}
}

// Fact 2.4: zonal Standard clusters lose the API server for a moment at start
// and at completion; regional ones and Autopilot do not.
func TestOnlyZonalClustersLoseTheAPIServer(t *testing.T) {
	g := play(t, gkesim.Options{}, 1000*day)
	regional := g.cluster()
	regional.Name, regional.Location = "r", "europe-west1"
	g.must(g.w.Add("p", regional))
	easy := g.cluster()
	easy.Name, easy.Autopilot = "a", &containerpb.Autopilot{Enabled: true}
	g.must(g.w.Add("p", easy))
	for _, at := range []string{name, strings.TrimSuffix(name, "c") + "a",
		"projects/p/locations/europe-west1/clusters/r"} {
		_, err := g.c.StartIPRotation(t.Context(), &containerpb.StartIPRotationRequest{Name: at})
		g.must(err)
	}
	g.at(10 * day)
	down := g.w.Downtimes()
	if len(down) != 2 {
		t.Fatalf("%d downtimes: %v", len(down), down)
	}
	for _, d := range down {
		if d.Cluster != name || d.To.Sub(d.From) != 3*time.Minute {
			t.Error(d)
		}
	}
	if !down[0].To.Equal(begin.Add(12 * time.Minute)) {
		t.Error("the first is not the start's:", down[0])
	}
}

// Fact 1.3: a customer-managed CA is rotated otherwise; alpha clusters upgrade
// no nodes.
func TestCustomerManagedCAsAndAlphaClusters(t *testing.T) {
	g := play(t, gkesim.Options{}, 1000*day, func(c *containerpb.Cluster) {
		c.UserManagedKeysConfig = &containerpb.UserManagedKeysConfig{ClusterCa: "projects/p/locations/l/caPools/x"}
	})
	g.refused(g.start(), codes.FailedPrecondition, "customer-managed")
	g = play(t, gkesim.Options{}, 1000*day, func(c *containerpb.Cluster) { c.EnableKubernetesAlpha = true })
	g.refused(g.upgrade("web", "1.32", ""), codes.FailedPrecondition, "alpha")
	g.must(g.start())
	g.at(20 * day)
	if n := len(g.ops(containerpb.Operation_UPGRADE_NODES)); n != 0 || g.cas() != 2 {
		t.Errorf("%d pools recreated, %d CAs", n, g.cas())
	}
}

// Fact 4.3: pools upgrade beside each other, five at most, each refused twice.
func TestConcurrentPoolUpgrades(t *testing.T) {
	g := play(t, gkesim.Options{GKEWaits: 1000 * day}, 1000*day, func(c *containerpb.Cluster) {
		for i := range 4 {
			c.NodePools = append(c.NodePools, &containerpb.NodePool{Name: fmt.Sprint("p", i), InitialNodeCount: 1,
				Version: "1.32"})
		}
	})
	for _, pool := range []string{"web", "batch", "p0", "p1", "p2"} {
		g.must(g.upgrade(pool, "1.32", ""))
	}
	g.refused(g.upgrade("p3", "1.32", ""), codes.ResourceExhausted,
		`Too many operations: cluster "c" hits the concurrent operations quota 5`)
	g.refused(g.upgrade("web", "1.32", ""), codes.FailedPrecondition, "incompatible operation operation-")
	g.refused(g.start(), codes.FailedPrecondition, "incompatible operation operation-")
	g.at(time.Hour).must(g.upgrade("p3", "1.32", ""))
}
