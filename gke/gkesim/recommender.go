package gkesim

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/recommender/apiv1/recommenderpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// recommender is the simulated Recommender behind the real service, to be read
// only. It knows one insight type and one subtype: the expiring CA.
type recommender struct {
	recommenderpb.UnimplementedRecommenderServer
	w *World
}

// Recommender's page sizes.
const (
	defaultPage = 100
	largestPage = 1000
)

// spend counts one read against the organisation's quota of a day: what Google
// gives without paid support is little.
func (s *recommender) spend() error {
	if day := s.w.now.UTC().Format(time.DateOnly); s.w.readDay != day {
		s.w.readDay, s.w.reads = day, 0
	}
	if s.w.reads >= s.w.opts.InsightReads {
		return status.Error(codes.ResourceExhausted,
			"Quota exceeded for quota metric 'Read requests' and limit 'Read requests per day' of service 'recommender.googleapis.com'.")
	}
	s.w.reads++
	return nil
}

// collect lists what is below projects/P/locations/L/insightTypes/TYPE.
func (s *recommender) collect(parent string) ([]*recommenderpb.Insight, error) {
	place, named, ok := strings.Cut(parent, "/insightTypes/")
	switch parts := strings.Split(place, "/"); {
	case !ok || len(parts) != 4 || parts[0] != "projects" || parts[2] != "locations":
		return nil, status.Errorf(codes.InvalidArgument,
			"Invalid parent %q: this simulation knows projects/*/locations/*/insightTypes/*.", parent)
	case named != insightType:
		return nil, nil // another type of finding, of which there is none
	case parts[3] == "-" && !s.w.opts.InsightsAnywhere:
		return nil, status.Errorf(codes.InvalidArgument, "Invalid location in %q.", parent)
	}
	var out []*recommenderpb.Insight
	for _, c := range s.w.under(place) {
		c.look()
		for _, a := range c.advice {
			out = append(out, a.insightPB(c))
		}
	}
	return out, nil
}

// page cuts a page out of what was found. Tokens say where the next begins.
func page(found []*recommenderpb.Insight, size int32, token string) (cut []*recommenderpb.Insight,
	next string, err error) {
	from := 0
	if token != "" {
		text, err := base64.RawURLEncoding.DecodeString(token)
		if err == nil {
			from, err = strconv.Atoi(string(text))
		}
		if err != nil || from < 0 || from > len(found) {
			return nil, "", status.Errorf(codes.InvalidArgument, "Invalid page token %q.", token)
		}
	}
	n := int(size)
	switch {
	case n < 0:
		return nil, "", status.Errorf(codes.InvalidArgument, "Invalid page size %d.", n)
	case n == 0:
		n = defaultPage
	}
	to := min(from+min(n, largestPage), len(found))
	if to < len(found) {
		next = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(to)))
	}
	return found[from:to], next, nil
}

func (s *recommender) ListInsights(_ context.Context,
	req *recommenderpb.ListInsightsRequest) (*recommenderpb.ListInsightsResponse, error) {
	wanted, err := parseFilter(req.GetFilter(), "stateInfo.state", "insightSubtype", "severity",
		"targetResources")
	if err != nil {
		return nil, err
	}
	if err := s.spend(); err != nil {
		return nil, err
	}
	all, err := s.collect(req.GetParent())
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(all, func(in *recommenderpb.Insight) bool {
		return !wanted(map[string][]string{
			"stateInfo.state": {in.GetStateInfo().GetState().String()}, "insightSubtype": {in.GetInsightSubtype()},
			"severity": {in.GetSeverity().String()}, "targetResources": in.GetTargetResources(),
		})
	})
	cut, next, err := page(found, req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	return &recommenderpb.ListInsightsResponse{Insights: cut, NextPageToken: next}, nil
}

func (s *recommender) GetInsight(_ context.Context,
	req *recommenderpb.GetInsightRequest) (*recommenderpb.Insight, error) {
	if err := s.spend(); err != nil {
		return nil, err
	}
	parent, _, ok := strings.Cut(req.GetName(), "/insights/")
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "Invalid name %q.", req.GetName())
	}
	all, err := s.collect(parent)
	if err != nil {
		return nil, err
	}
	for _, in := range all {
		if in.GetName() == req.GetName() {
			return in, nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "Requested entity was not found: %s.", req.GetName())
}

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
	c.advice = slices.DeleteFunc(c.advice, func(a *advice) bool {
		return !a.gone.IsZero() && !a.gone.After(c.clock)
	})
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
