package gkesim_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	recommender "cloud.google.com/go/recommender/apiv1"
	"cloud.google.com/go/recommender/apiv1/recommenderpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"

	"gke-credential-rotator/gke/gkesim"
)

const insights = "projects/p/locations/europe-west1-b/insightTypes/google.container.DiagnosisInsight"

// advisor gives Google's client of the world's Recommender.
func (g *game) advisor() *recommender.Client {
	g.t.Helper()
	opts, stop, err := g.w.Connect()
	if err != nil {
		g.t.Fatal(err)
	}
	c, err := recommender.NewClient(g.t.Context(), opts...)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.Close(); stop() })
	return c
}

func (g *game) insights(c *recommender.Client, parent, filter string) ([]*recommenderpb.Insight, error) {
	var out []*recommenderpb.Insight
	it := c.ListInsights(g.t.Context(), &recommenderpb.ListInsightsRequest{Parent: parent, Filter: filter})
	for {
		x, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
}

// wantInsights says how many insights there are for the cluster's place.
func (g *game) wantInsights(c *recommender.Client, want int) []*recommenderpb.Insight {
	g.t.Helper()
	got, err := g.insights(c, insights, "")
	g.must(err)
	if len(got) != want {
		g.t.Fatalf("%d insights, want %d", len(got), want)
	}
	return got
}

// Fact 0.10, 1.4: an insight appears 180 days before the CA expires, and goes
// up to 36 hours after the rotation is completed.
func TestInsightAppears180DaysBeforeExpiryAndLagsBehindCompletion(t *testing.T) {
	for _, tt := range []struct{ lag, want time.Duration }{{0, 36 * time.Hour}, {time.Hour, time.Hour}} {
		g := play(t, gkesim.Options{InsightLag: tt.lag}, 200*day, autopilot)
		c := g.advisor()
		g.wantInsights(c, 0)
		g.at(20*day - time.Second)
		g.wantInsights(c, 0)
		got := g.at(20*day).wantInsights(c, 1)[0]
		if got.GetInsightSubtype() != "CLUSTER_CA_EXPIRATION" ||
			got.GetStateInfo().GetState() != recommenderpb.InsightStateInfo_ACTIVE ||
			got.GetTargetResources()[0] != "//container.googleapis.com/"+name {
			t.Error(got)
		}
		g.must(g.start())
		g.at(21 * day)
		g.must(g.complete())
		g.at(21*day + 8*time.Minute)
		g.wantInsights(c, 1)
		g.at(21*day + 8*time.Minute + tt.want - time.Second)
		g.wantInsights(c, 1)
		g.at(21*day + 8*time.Minute + tt.want)
		g.wantInsights(c, 0)
	}
}

func TestInsightStaysAfterTheCAHasExpired(t *testing.T) {
	g := play(t, gkesim.Options{GKEWaits: 1000 * day}, 10*day, never)
	c := g.at(12 * day).advisor()
	if got := g.wantInsights(c, 1)[0]; got.GetSeverity() != recommenderpb.Insight_CRITICAL {
		t.Error(got)
	}
}

func TestInsightFilters(t *testing.T) {
	g := play(t, gkesim.Options{}, 100*day)
	c := g.advisor()
	for filter, want := range map[string]int{
		"":                                       1,
		"stateInfo.state = ACTIVE":               1,
		"stateInfo.state=ACCEPTED":               0,
		"stateInfo.state != ACCEPTED":            1,
		"insightSubtype = CLUSTER_CA_EXPIRATION": 1,
		"insightSubtype=OTHER":                   0,
		"stateInfo.state = ACTIVE OR stateInfo.state = DISMISSED":                              1,
		"stateInfo.state = ACTIVE AND (severity = CRITICAL OR severity = HIGH)":                1,
		`insightSubtype = "CLUSTER_CA_EXPIRATION" NOT stateInfo.state = ACTIVE`:                0,
		"severity = LOW OR insightSubtype = CLUSTER_CA_EXPIRATION AND stateInfo.state=ACTIVE":  1,
		"targetResources : //container.googleapis.com/" + name:                                 1,
		"targetResources : //container.googleapis.com/projects/p/locations/x/clusters/another": 0,
	} {
		if got, err := g.insights(c, insights, filter); err != nil || len(got) != want {
			t.Errorf("%q: %d insights, %v; want %d", filter, len(got), err, want)
		}
	}
	for _, bad := range []string{"state", "stateInfo.state =", "(stateInfo.state = ACTIVE", "owner = me",
		"stateInfo.state < ACTIVE", "stateInfo.state = ACTIVE )", strings.Repeat("x", 501)} {
		_, err := g.insights(c, insights, bad)
		g.refused(err, codes.InvalidArgument, "ilter")
	}
}

func TestInsightPagesHaveTokens(t *testing.T) {
	g := play(t, gkesim.Options{}, 100*day)
	for _, other := range []string{"a", "b", "d", "e"} {
		pb := g.cluster()
		pb.Name = other
		g.must(g.w.Add("p", pb))
	}
	c := g.advisor()
	it := c.ListInsights(t.Context(), &recommenderpb.ListInsightsRequest{Parent: insights})
	var sizes []int
	pager := iterator.NewPager(it, 2, "")
	for {
		var got []*recommenderpb.Insight
		token, err := pager.NextPage(&got)
		g.must(err)
		sizes = append(sizes, len(got))
		if token == "" {
			break
		}
	}
	if len(sizes) != 3 || sizes[0] != 2 || sizes[2] != 1 {
		t.Errorf("pages of %v", sizes)
	}
	for _, bad := range []string{"!!", "OTk5"} {
		_, err := c.ListInsights(t.Context(), &recommenderpb.ListInsightsRequest{Parent: insights,
			PageToken: bad}).Next()
		g.refused(err, codes.InvalidArgument, "page token")
	}
}

// Fact 9.4: whether Recommender takes "-" as a location nobody could confirm.
func TestInsightsOfAnyLocationAreAnOption(t *testing.T) {
	anywhere := "projects/p/locations/-/insightTypes/google.container.DiagnosisInsight"
	g := play(t, gkesim.Options{}, 100*day)
	_, err := g.insights(g.advisor(), anywhere, "")
	g.refused(err, codes.InvalidArgument, "location")
	g = play(t, gkesim.Options{InsightsAnywhere: true}, 100*day)
	if got, err := g.insights(g.advisor(), anywhere, ""); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
}

// Fact 4.4: without paid support an organisation has 100 reads a day.
func TestInsightReadsHaveADailyQuota(t *testing.T) {
	g := play(t, gkesim.Options{InsightReads: 3}, 100*day)
	c := g.advisor()
	for range 3 {
		g.wantInsights(c, 1)
	}
	_, err := g.insights(c, insights, "")
	g.refused(err, codes.ResourceExhausted, "Quota exceeded")
	g.at(day)
	g.wantInsights(c, 1)
}
