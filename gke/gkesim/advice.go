package gkesim

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/recommender/apiv1/recommenderpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// What Recommender calls its findings about a cluster's CA.
const (
	insightType   = "google.container.DiagnosisInsight"
	recommenderID = "google.container.DiagnosisRecommender"
	caSubtype     = "CLUSTER_CA_EXPIRATION"
)

// adviseBefore is how long before its end a CA gets an insight.
const adviseBefore = 180 * 24 * time.Hour

// advice is what Recommender holds about one expiring CA: an insight and the
// recommendation that is linked to it.
type advice struct {
	id      string
	ca      authority
	gone    time.Time // when it goes; zero: not decided
	frozen  time.Time // since when its content no longer changes; zero: it does
	insight recommenderpb.InsightStateInfo_State
	state   recommenderpb.RecommendationStateInfo_State
	// What people or programs have noted beside the states.
	insightNotes, notes map[string]string
	changes             int // for etags
}

// advise brings the cluster's advice up to its clock.
func (c *cluster) advise() {
	c.advice = slices.DeleteFunc(c.advice, func(a *advice) bool { return !a.gone.IsZero() && !a.gone.After(c.clock) })
	if len(c.cas) == 0 || c.expires().Sub(c.clock) > adviseBefore {
		return
	}
	id := adviceID(c.name, c.cas[0])
	if !slices.ContainsFunc(c.advice, func(a *advice) bool { return a.id == id }) {
		c.advice = append(c.advice, &advice{
			id: id, ca: c.cas[0],
			insight: recommenderpb.InsightStateInfo_ACTIVE, state: recommenderpb.RecommendationStateInfo_ACTIVE,
		})
	}
}

// retire lets the advice about CAs that are no more go after the lag.
func (c *cluster) retire() {
	for _, a := range c.advice {
		if a.gone.IsZero() && !slices.ContainsFunc(c.cas, func(ca authority) bool { return ca.pem == a.ca.pem }) {
			a.gone = c.clock.Add(c.w.opts.InsightLag)
		}
	}
}

func adviceID(cluster string, ca authority) string {
	sum := sha256.Sum256([]byte(cluster + "\n" + ca.pem))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// etag is quoted, as the recorded ones are.
func (a *advice) etag(of string) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%s/%s#%d", of, a.id, a.changes)))
	return fmt.Sprintf("\"%x\"", sum[:8])
}

// refreshed is when the content was last looked at: at midnight, until frozen.
func (a *advice) refreshed(now time.Time) *timestamppb.Timestamp {
	if !a.frozen.IsZero() {
		now = a.frozen
	}
	return timestamppb.New(now.UTC().Truncate(24 * time.Hour))
}

func (c *cluster) place() string { return strings.Join(strings.Split(c.name, "/")[:4], "/") }

func (a *advice) insightName(c *cluster) string {
	return c.place() + "/insightTypes/" + insightType + "/insights/" + a.id
}

func (a *advice) recommendationName(c *cluster) string {
	return c.place() + "/recommenders/" + recommenderID + "/recommendations/" + a.id
}

// The keys of the content are in no public material, so there is none; the date
// is in the description, where Google's page says that it is.
func (a *advice) insightPB(c *cluster) *recommenderpb.Insight {
	pb := &recommenderpb.Insight{
		Name:              a.insightName(c),
		Description:       fmt.Sprintf("The certificate authority of cluster %s expires on %s. Rotate the cluster's credentials.", c.pb.GetName(), a.ca.expires.UTC().Format(time.DateOnly)),
		TargetResources:   []string{"//container.googleapis.com/" + c.name},
		InsightSubtype:    caSubtype,
		LastRefreshTime:   a.refreshed(c.clock),
		ObservationPeriod: durationpb.New(24 * time.Hour),
		StateInfo:         &recommenderpb.InsightStateInfo{State: a.insight, StateMetadata: a.insightNotes},
		Category:          recommenderpb.Insight_SECURITY,
		Severity:          recommenderpb.Insight_HIGH,
		Etag:              a.etag("insight"),
		AssociatedRecommendations: []*recommenderpb.Insight_RecommendationReference{
			{Recommendation: a.recommendationName(c)},
		},
	}
	if a.ca.expires.Sub(c.clock) <= lastResort {
		pb.Severity = recommenderpb.Insight_CRITICAL
	}
	return pb
}

func (a *advice) recommendationPB(c *cluster) *recommenderpb.Recommendation {
	pb := &recommenderpb.Recommendation{
		Name:               a.recommendationName(c),
		Description:        fmt.Sprintf("Rotate the credentials of cluster %s before %s.", c.pb.GetName(), a.ca.expires.UTC().Format(time.DateOnly)),
		RecommenderSubtype: caSubtype,
		LastRefreshTime:    a.refreshed(c.clock),
		PrimaryImpact:      &recommenderpb.Impact{Category: recommenderpb.Impact_SECURITY},
		Priority:           recommenderpb.Recommendation_P2,
		Content:            &recommenderpb.RecommendationContent{},
		StateInfo:          &recommenderpb.RecommendationStateInfo{State: a.state, StateMetadata: a.notes},
		Etag:               a.etag("recommendation"),
		AssociatedInsights: []*recommenderpb.Recommendation_InsightReference{{Insight: a.insightName(c)}},
		TargetResources:    []string{"//container.googleapis.com/" + c.name},
	}
	if a.ca.expires.Sub(c.clock) <= lastResort {
		pb.Priority = recommenderpb.Recommendation_P1
	}
	return pb
}
