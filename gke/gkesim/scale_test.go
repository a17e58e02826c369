package gkesim_test

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/proto"

	"gke-credential-rotator/gke/gkesim"
)

// BenchmarkTenThousand: an hour of a world of 10,000 clusters costs what happens
// in it, not what is in it.
func BenchmarkTenThousand(b *testing.B) {
	w := gkesim.New(gkesim.Options{Seed: 1, Now: begin})
	ca := gkesim.IssueCA(1, "old", begin.Add(-day), begin.Add(10000*day))
	for i := range 10_000 {
		pb := &containerpb.Cluster{Name: fmt.Sprint("c", i), Location: "europe-west1",
			Status:     containerpb.Cluster_RUNNING,
			MasterAuth: &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(ca))}}
		if err := w.Add(fmt.Sprint("p", i%200), proto.CloneOf(pb)); err != nil {
			b.Fatal(err)
		}
	}
	now := begin
	for b.Loop() {
		now = now.Add(time.Hour)
		w.Advance(now)
	}
}
