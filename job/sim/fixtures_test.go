package sim_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

const day = 24 * time.Hour

// fixtures is the folder of recordings beside the project; tests of recorded
// data are skipped where it is absent.
func fixtures(t *testing.T, name string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(root); ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "shared", "fixtures", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		if dir == filepath.Dir(dir) {
			t.Skip("no recorded data: ../shared/fixtures/" + name + " is absent")
		}
	}
}

// byAge is a policy of the defaults, but for age and limits.
func byAge(t *testing.T, w *gkesim.World) *rules.Policy {
	t.Helper()
	people, err := window.ParseWeekly("Mon-Thu 09:00-15:00")
	if err != nil {
		t.Fatal(err)
	}
	return &rules.Policy{
		Env: "test", Projects: w.Projects(), RotateBeforeExpiry: 180 * day, MaxCAAge: 365 * day,
		EmergencyBeforeExpiry: 45 * day, EmergencyMaxActive: 10, SoakCompromised: 4 * time.Hour,
		CompromisedMaxActive: 20,
		CompleteWindow:       people, ZonalComplete: rules.ZonalPeople, Soak: 72 * time.Hour,
		Approval: rules.ApproveNone,
		Nodes:    rules.NodesAuto, NodeGrace: time.Hour, NodeTime: 10 * time.Minute,
		NodeOverrun: 2 * time.Hour, Fit: rules.FitBind, Adopt: rules.AdoptWatch,
		MaxActive: 1000, WaveSoak: 72 * time.Hour, MaxFailed: 1000, StuckAfter: day, Every: time.Hour,
	}
}

// expected says what must become of a recorded cluster, read without any code
// of ours: from the certificate and the status alone.
func expected(pb *containerpb.Cluster, from, to time.Time) sim.Outcome {
	text, err := base64.StdEncoding.DecodeString(pb.GetMasterAuth().GetClusterCaCertificate())
	block, _ := pem.Decode(text)
	if err != nil || block == nil {
		return sim.Unreadable
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return sim.Unreadable
	case !from.Before(cert.NotAfter):
		return sim.NeedsAction
	case cert.NotBefore.Add(365 * day).After(to):
		return sim.NotDue
	case pb.GetStatus() != containerpb.Cluster_RUNNING:
		return sim.NeedsAction
	}
	return sim.Verified
}

// TestRecordedFleet plays every recorded cluster for 45 days: each that is due
// and healthy ends verified, each other says why not.
func TestRecordedFleet(t *testing.T) {
	fleet, _, err := gkesim.LoadFleet(fixtures(t, "clusters"), "")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	w := gkesim.New(gkesim.Options{Seed: 1, Now: from})
	if err := w.AddFleet(fleet); err != nil {
		t.Fatal(err)
	}
	p := byAge(t, w)
	p.Every = fleetEvery
	story, err := sim.Play(context.Background(), sim.Setup{Policy: p, World: w, From: from, Days: 45,
		Every: fleetEvery, Seed: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table(story))
	got := map[string]sim.Chapter{}
	for _, c := range story.Clusters {
		got[c.Cluster.String()] = c
	}
	count := map[sim.Outcome]int{}
	for _, l := range fleet {
		location := l.Cluster.GetLocation()
		c, ok := got[l.Project+"/"+location+"/"+l.Cluster.GetName()]
		want := expected(l.Cluster, from, story.To)
		count[c.Outcome]++
		switch {
		case !ok:
			t.Errorf("%s: not in the story", l.File)
		case c.Outcome != want:
			t.Errorf("%s: %s: %s (%s: %s), want %s", l.File, c.Cluster, c.Outcome, c.Reason, c.Message, want)
		case want != sim.Verified && len(c.Message) == 0:
			t.Errorf("%s: %s says nothing of why", l.File, c.Outcome)
		case want == sim.Verified && (c.NewCA.Fingerprint == c.OldCA.Fingerprint ||
			!c.NewCA.Expires.After(c.OldCA.Expires)):
			t.Errorf("%s: old CA %v, new CA %v", l.File, c.OldCA, c.NewCA)
		}
	}
	t.Log(count)
	if count[sim.Verified] < 20 {
		t.Errorf("only %d clusters are verified: the recordings hold more that are due", count[sim.Verified])
	}
}

func table(story sim.Story) string {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	at := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.Format("01-02 15:04")
	}
	fmt.Fprintln(tw, "CLUSTER\tOUTCOME\tOLD CA\tNEW CA\tSTARTED\tNODES DONE\tCOMPLETED\tREASON\tMESSAGE")
	for _, c := range story.Clusters {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Cluster, c.Outcome,
			c.OldCA.Fingerprint.Short(),
			c.NewCA.Fingerprint.Short(),
			at(c.Entered[record.Starting]), at(c.Entered[record.UpdatingClients]),
			at(c.Entered[record.Completing]),
			c.Reason, c.Message)
	}
	_ = tw.Flush()
	return b.String()
}
