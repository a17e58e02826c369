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
	insightType = "google.container.DiagnosisInsight"
	caSubtype   = "CLUSTER_CA_EXPIRATION"
)

// adviseBefore is how long before its end a CA gets an insight.
const adviseBefore = 180 * 24 * time.Hour

// advice is what Recommender holds about one expiring CA: an insight. The
// recommendation that Google links to it is not simulated, and nothing here is
// accepted or dismissed.
type advice struct {
	id   string
	ca   authority
	gone time.Time // when it goes; zero: not decided
}

// advise brings the cluster's advice up to its clock.
func (c *cluster) advise() {
	c.advice = slices.DeleteFunc(c.advice, func(a *advice) bool { return !a.gone.IsZero() && !a.gone.After(c.clock) })
	if len(c.cas) == 0 || c.expires().Sub(c.clock) > adviseBefore {
		return
	}
	id := adviceID(c.name, c.cas[0])
	if !slices.ContainsFunc(c.advice, func(a *advice) bool { return a.id == id }) {
		c.advice = append(c.advice, &advice{id: id, ca: c.cas[0]})
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

func (c *cluster) place() string { return strings.Join(strings.Split(c.name, "/")[:4], "/") }

// The keys of the content are in no public material, so there is none; the date
// is in the description, where Google's page says that it is.
func (a *advice) insightPB(c *cluster) *recommenderpb.Insight {
	pb := &recommenderpb.Insight{
		Name:              c.place() + "/insightTypes/" + insightType + "/insights/" + a.id,
		Description:       fmt.Sprintf("The certificate authority of cluster %s expires on %s. Rotate the cluster's credentials.", c.pb.GetName(), a.ca.expires.UTC().Format(time.DateOnly)),
		TargetResources:   []string{"//container.googleapis.com/" + c.name},
		InsightSubtype:    caSubtype,
		LastRefreshTime:   timestamppb.New(c.clock.UTC().Truncate(24 * time.Hour)), // looked at every midnight
		ObservationPeriod: durationpb.New(24 * time.Hour),
		StateInfo:         &recommenderpb.InsightStateInfo{State: recommenderpb.InsightStateInfo_ACTIVE},
		Category:          recommenderpb.Insight_SECURITY,
		Severity:          recommenderpb.Insight_HIGH,
	}
	if a.ca.expires.Sub(c.clock) <= lastResort {
		pb.Severity = recommenderpb.Insight_CRITICAL
	}
	return pb
}
