package gke_test

import (
	"encoding/base64"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/policy"
)

var marking = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// simulatedMarks is Google's client on the simulated Recommender, which holds
// one recommendation in us-east1.
func simulatedMarks(t *testing.T, o gkesim.Options) (*gkesim.World, *gke.Recommender) {
	t.Helper()
	o.Seed, o.Now = 1, marking
	w := gkesim.New(o)
	for name, days := range map[string]int{"soon": 100, "later": 400} {
		pem := gkesim.IssueCA(1, name, marking.AddDate(-4, 0, 0), marking.AddDate(0, 0, days))
		if err := w.Add("shop", &containerpb.Cluster{
			Name: name, Location: "us-east1", Status: containerpb.Cluster_RUNNING,
			MasterAuth: &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(pem))},
		}); err != nil {
			t.Fatal(err)
		}
	}
	opts, stop, err := w.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	r, err := gke.DialRecommender(t.Context(), gke.InsightRetry(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return w, r
}

func theOne(t *testing.T, r *gke.Recommender) policy.Recommendation {
	t.Helper()
	found, complete, err := r.Recommendations(t.Context(), "shop", "us-east1")
	if err != nil || !complete || len(found) != 1 {
		t.Fatalf("%+v, complete %t, error %v", found, complete, err)
	}
	return found[0]
}

// TestMarks: from claimed by way of failed to succeeded, each with the etag of
// what was read, and the insight accepted by Recommender itself.
func TestMarks(t *testing.T) {
	_, r := simulatedMarks(t, gkesim.Options{})
	first := theOne(t, r)
	if first.Cluster != (policy.Ref{Project: "shop", Location: "us-east1", Name: "soon"}) || first.State != "ACTIVE" || first.Etag == "" {
		t.Fatalf("%+v", first)
	}
	last := first
	for _, as := range []policy.MarkState{policy.MarkClaimed, policy.MarkFailed, policy.MarkSucceeded} {
		m := policy.Mark{Attempt: "0123456789abcdef", Want: as, At: marking}
		notes := policy.MarkNotes(m, last, "prod", "rotator-x7k2p")
		if err := r.Mark(t.Context(), last, as, notes); err != nil {
			t.Fatalf("%s: %v", as, err)
		}
		now := theOne(t, r)
		if !m.Stands(now) || !maps.Equal(now.Notes, notes) || now.Etag == last.Etag {
			t.Errorf("%s: %+v", as, now)
		}
		last = now
	}
	if found, _, err := r.Insights(t.Context(), "shop", "us-east1"); err != nil || found[0].State != "ACCEPTED" {
		t.Errorf("the insight: %+v, error %v", found, err)
	}
	// A stale etag, and a state from which there is no way.
	if err := r.Mark(t.Context(), first, policy.MarkSucceeded, nil); !errors.Is(err, gke.ErrChanged) {
		t.Errorf("a stale etag: %v", err)
	}
	if err := r.Mark(t.Context(), last, policy.MarkClaimed, nil); !errors.Is(err, gke.ErrChanged) {
		t.Errorf("claimed after it succeeded: %v", err)
	}
	if err := r.Mark(t.Context(), last, "praised", nil); err == nil {
		t.Error("a mark that there is not was made")
	}
	if found, complete, err := r.Recommendations(t.Context(), "shop", "elsewhere"); err != nil || !complete || len(found) != 0 {
		t.Errorf("elsewhere: %+v, complete %t, error %v", found, complete, err)
	}
}

// TestMarksHaveQuotas: reads and writes are counted apart, and told the same.
func TestMarksHaveQuotas(t *testing.T) {
	w, r := simulatedMarks(t, gkesim.Options{InsightWrites: 1, InsightReads: 3})
	if err := r.Mark(t.Context(), theOne(t, r), policy.MarkClaimed, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.Mark(t.Context(), theOne(t, r), policy.MarkSucceeded, nil); !errors.Is(err, gke.ErrUsedUp) {
		t.Errorf("the second write of the day: %v", err)
	}
	rec := theOne(t, r)
	if _, _, err := r.Recommendations(t.Context(), "shop", "us-east1"); !errors.Is(err, gke.ErrUsedUp) {
		t.Errorf("the fourth read of the day: %v", err)
	}
	w.Advance(marking.AddDate(0, 0, 1))
	if err := r.Mark(t.Context(), rec, policy.MarkSucceeded, nil); err != nil {
		t.Errorf("on the next day: %v", err)
	}
}

// TestMarkErrors: which permission is missing is said.
func TestMarkErrors(t *testing.T) {
	w, r := simulatedMarks(t, gkesim.Options{})
	rec := theOne(t, r)
	if err := w.Suffer(gkesim.Faults{Denied: map[string]string{"shop": "permission"}}); err != nil {
		t.Fatal(err)
	}
	_, _, err := r.Recommendations(t.Context(), "shop", "us-east1")
	if err == nil || !strings.Contains(err.Error(), "recommender.containerDiagnosisRecommendations.list") {
		t.Errorf("%v", err)
	}
	if err = r.Mark(t.Context(), rec, policy.MarkClaimed, nil); err == nil || !strings.Contains(err.Error(), "recommender.containerDiagnosisRecommendations.update") {
		t.Errorf("%v", err)
	}
}
