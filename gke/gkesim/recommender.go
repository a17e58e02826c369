package gkesim

import (
	"context"
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/recommender/apiv1/recommenderpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// recommender is the simulated Recommender behind the real service. It knows
// one insight type, one recommender and one subtype: the expiring CA.
type recommender struct {
	recommenderpb.UnimplementedRecommenderServer
	w *World
}

// Recommender's page sizes.
const (
	defaultPage = 100
	largestPage = 1000
)

// advised is one advice and its cluster.
type advised struct {
	*advice
	c *cluster
}

// spend counts one request against the organisation's quota of a day: what
// Google gives without paid support is little.
func (s *recommender) spend(count *int, most int, kind string) error {
	if day := s.w.now.UTC().Format(time.DateOnly); s.w.adviceDay != day {
		s.w.adviceDay, s.w.reads, s.w.writes = day, 0, 0
	}
	if *count >= most {
		return status.Errorf(codes.ResourceExhausted, "Quota exceeded for quota metric '%s requests' and limit '%[1]s requests per day' of service 'recommender.googleapis.com'.", kind)
	}
	*count++
	return nil
}

func (s *recommender) spendRead() error { return s.spend(&s.w.reads, s.w.opts.InsightReads, "Read") }
func (s *recommender) spendWrite() error {
	return s.spend(&s.w.writes, s.w.opts.InsightWrites, "Write")
}

// collect lists what is below projects/P/locations/L/KIND/TYPE.
func (s *recommender) collect(parent, kind, id string) ([]advised, error) {
	place, named, ok := strings.Cut(parent, "/"+kind+"/")
	switch parts := strings.Split(place, "/"); {
	case !ok || len(parts) != 4 || parts[0] != "projects" || parts[2] != "locations":
		return nil, status.Errorf(codes.InvalidArgument, "Invalid parent %q: this simulation knows projects/*/locations/*/%s/*.", parent, kind)
	case named != id:
		return nil, nil // another type of finding, of which there is none
	case parts[3] == "-" && !s.w.opts.InsightsAnywhere:
		return nil, status.Errorf(codes.InvalidArgument, "Invalid location in %q.", parent)
	}
	var out []advised
	for _, c := range s.w.under(place) {
		c.look()
		for _, a := range c.advice {
			out = append(out, advised{a, c})
		}
	}
	return out, nil
}

// one finds projects/P/locations/L/KIND/TYPE/COLLECTION/ID.
func (s *recommender) one(name, kind, id, collection string) (advised, error) {
	parent, want, ok := strings.Cut(name, "/"+collection+"/")
	if !ok {
		return advised{}, status.Errorf(codes.InvalidArgument, "Invalid name %q.", name)
	}
	all, err := s.collect(parent, kind, id)
	if err != nil {
		return advised{}, err
	}
	for _, a := range all {
		if a.id == want {
			return a, nil
		}
	}
	return advised{}, status.Errorf(codes.NotFound, "Requested entity was not found: %s.", name)
}

// page cuts a page out of what was found. Tokens say where the next begins.
func page(found []advised, size int32, token string) (cut []advised, next string, err error) {
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

func (s *recommender) ListInsights(_ context.Context, req *recommenderpb.ListInsightsRequest) (*recommenderpb.ListInsightsResponse, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	wanted, err := parseFilter(req.GetFilter(), "stateInfo.state", "insightSubtype", "severity", "targetResources")
	if err != nil {
		return nil, err
	}
	if err := s.spendRead(); err != nil {
		return nil, err
	}
	all, err := s.collect(req.GetParent(), "insightTypes", insightType)
	if err != nil {
		return nil, err
	}
	var found []advised
	for _, a := range all {
		pb := a.insightPB(a.c)
		if wanted(map[string][]string{
			"stateInfo.state": {a.insight.String()}, "insightSubtype": {caSubtype},
			"severity": {pb.GetSeverity().String()}, "targetResources": pb.GetTargetResources(),
		}) {
			found = append(found, a)
		}
	}
	cut, next, err := page(found, req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	out := &recommenderpb.ListInsightsResponse{NextPageToken: next}
	for _, a := range cut {
		out.Insights = append(out.Insights, a.insightPB(a.c))
	}
	return out, nil
}

func (s *recommender) GetInsight(_ context.Context, req *recommenderpb.GetInsightRequest) (*recommenderpb.Insight, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if err := s.spendRead(); err != nil {
		return nil, err
	}
	a, err := s.one(req.GetName(), "insightTypes", insightType, "insights")
	if err != nil {
		return nil, err
	}
	return a.insightPB(a.c), nil
}

func (s *recommender) ListRecommendations(_ context.Context, req *recommenderpb.ListRecommendationsRequest) (*recommenderpb.ListRecommendationsResponse, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	wanted, err := parseFilter(req.GetFilter(), "stateInfo.state", "recommenderSubtype", "priority", "targetResources")
	if err != nil {
		return nil, err
	}
	if err := s.spendRead(); err != nil {
		return nil, err
	}
	all, err := s.collect(req.GetParent(), "recommenders", recommenderID)
	if err != nil {
		return nil, err
	}
	var found []advised
	for _, a := range all {
		pb := a.recommendationPB(a.c)
		if wanted(map[string][]string{
			"stateInfo.state": {a.state.String()}, "recommenderSubtype": {caSubtype},
			"priority": {pb.GetPriority().String()}, "targetResources": pb.GetTargetResources(),
		}) {
			found = append(found, a)
		}
	}
	cut, next, err := page(found, req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	out := &recommenderpb.ListRecommendationsResponse{NextPageToken: next}
	for _, a := range cut {
		out.Recommendations = append(out.Recommendations, a.recommendationPB(a.c))
	}
	return out, nil
}

func (s *recommender) GetRecommendation(_ context.Context, req *recommenderpb.GetRecommendationRequest) (*recommenderpb.Recommendation, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if err := s.spendRead(); err != nil {
		return nil, err
	}
	a, err := s.one(req.GetName(), "recommenders", recommenderID, "recommendations")
	if err != nil {
		return nil, err
	}
	return a.recommendationPB(a.c), nil
}

// What Recommender allows beside a state: no spaces, no colons, no "+".
var (
	noteKey   = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)
	noteValue = regexp.MustCompile(`^[a-zA-Z0-9_./-]{0,255}$`)
)

func checkNotes(notes map[string]string) error {
	for k, v := range notes {
		if !noteKey.MatchString(k) {
			return status.Errorf(codes.InvalidArgument, "Invalid state_metadata key %q: it must match %s.", k, noteKey)
		}
		if !noteValue.MatchString(v) {
			return status.Errorf(codes.InvalidArgument, "Invalid state_metadata value %q: it must match %s.", v, noteValue)
		}
	}
	return nil
}

func checkEtag(given, is string) error {
	switch given {
	case "":
		return status.Error(codes.InvalidArgument, "The etag is required.")
	case is:
		return nil
	}
	return status.Error(codes.Aborted, "The etag does not match the current one.")
}
