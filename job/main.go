// Command rotator rotates the credentials of GKE clusters by policy.
package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/window"
)

func main() {
	w := gkesim.New(gkesim.Options{Seed: 1, Now: gkesim.SampleStart})
	if err := w.AddSample(); err != nil {
		panic(err)
	}
	cw, _ := window.ParseWeekly("Mon-Thu 09:00-15:00")
	p := &policy.Policy{
		Env: "sim", Projects: w.Projects(), RotateBeforeExpiry: 180 * 24 * time.Hour, EmergencyBeforeExpiry: 45 * 24 * time.Hour, EmergencyMaxActive: 10,
		SoakUrgent: 4 * time.Hour, UrgentMaxActive: 20, CompleteWindow: cw, ZonalComplete: policy.ZonalPeople, Soak: 72 * time.Hour, Approval: policy.ApproveNone,
		Nodes: policy.NodesAuto, NodeGrace: time.Hour, NodeTime: 10 * time.Minute, Adopt: policy.AdoptWatch, MaxActive: 10, MaxActivePerProject: 2,
		WaveSoak: 72 * time.Hour, MaxFailed: 1, StuckAfter: 24 * time.Hour, Every: time.Hour,
	}
	story, err := sim.Play(context.Background(), sim.Setup{Policy: p, World: w, From: gkesim.SampleStart, Days: 30, Every: time.Hour, Seed: 1}, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	tw := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	for _, c := range story.Clusters {
		at := func(p policy.Phase) string {
			if t := c.Entered[p]; !t.IsZero() {
				return t.Format("Mon 02 15:04")
			}
			return "-"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Cluster, c.Outcome, c.OldCA.Fingerprint.Short(), c.NewCA.Fingerprint.Short(), at(policy.Starting), at(policy.UpdatingClients), at(policy.Completing), at(policy.Verifying), c.Message)
	}
	_ = tw.Flush()
	fmt.Println(story.Runs, story.Mutations, story.MostInFlight)
	for _, e := range w.Journal() {
		fmt.Println(e.At.Format("Mon 02 15:04"), e.Method, e.Cluster, e.NodePool, e.Accepted, e.Error)
	}
}
