package terminal

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// TestSaidByGKE: status, conditions and insight stand beside the certificate,
// in plan --explain and in status CLUSTER, and so does what contradicts it.
func TestSaidByGKE(t *testing.T) {
	res := testResult()
	d := &res.Decisions[5]
	d.Cluster.Status, d.Cluster.Conditions = fleet.Degraded, []string{"CA_EXPIRING"}
	c := d.Cluster
	place := record.InsightPlace{Project: c.Ref.Project, Location: c.Ref.Location}.String()
	draw := func() string {
		t.Helper()
		var b bytes.Buffer
		o := Options{Width: 200}
		if err := Explain(&b, view.PlanOf(res, testPolicy()), c.Ref.String(), o); err != nil {
			t.Fatal(err)
		}
		explained := b.String()
		b.Reset()
		if err := StatusCluster(&b, view.StoryOf(res.Fleet.Contents, nil, d, c.Ref, now, testPolicy()),
			o); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(explained) {
			for _, label := range []string{"  GKE ", "  mismatch ", "  insight "} {
				if strings.HasPrefix(line, label) && !strings.Contains(b.String(), line) {
					t.Errorf("status does not say %q:\n%s", line, b.String())
				}
			}
		}
		return explained
	}
	if got := draw(); !strings.Contains(got, "GKE      DEGRADED, CA_EXPIRING\n") ||
		strings.Contains(got, "insight ") {
		t.Errorf("before any read:\n%s", got)
	}
	res.Fleet.Contents.Fleet.Insights = map[string]record.InsightNote{place: {At: now.Add(-time.Hour)}}
	if got := draw(); strings.Contains(got, "insight ") {
		t.Errorf("after a read without an answer:\n%s", got)
	}
	res.Fleet.Contents.Fleet.Insights = map[string]record.InsightNote{place: {At: now.Add(-time.Hour),
		Answered: true}}
	if got := draw(); !strings.Contains(got, "insight  read Sat 21 Nov 13:05: no mismatch\n") {
		t.Errorf("after a read:\n%s", got)
	}
	missing := record.Mismatch{What: record.InsightMissing, CA: c.Bundle.Oldest().Fingerprint}
	res.Fleet.Contents.Fleet.Mismatches = map[string]record.Mismatch{c.Ref.String(): missing}
	if got := draw(); !strings.Contains(got, "mismatch the CA expires ") ||
		!strings.Contains(got, "Recommender has no insight about it (read 2026-11-21)\n") ||
		strings.Contains(got, "no mismatch") {
		t.Errorf("after a read that contradicts:\n%s", got)
	}
	var plan, status strings.Builder
	if err := errors.Join(view.WriteJSON(&plan, view.PlanOf(res, testPolicy())),
		view.WriteJSON(&status, view.StoryOf(res.Fleet.Contents, nil, d, c.Ref, now, testPolicy()))); err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{plan.String(), status.String()} {
		if !strings.Contains(said, "\"mismatches\": [\n") ||
			!strings.Contains(said, "Recommender has no insight about it (read 2026-11-21)\"") {
			t.Errorf("the JSON does not say it:\n%s", said)
		}
	}
	d.Cluster.Conditions = []string{"\x1b[31mODD"}
	if got := draw(); strings.Contains(got, "\x1b") {
		t.Errorf("a condition moves the terminal: %q", got)
	}
}
