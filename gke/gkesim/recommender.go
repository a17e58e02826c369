package gkesim

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/recommender/apiv1/recommenderpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
