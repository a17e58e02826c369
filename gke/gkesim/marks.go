package gkesim

import (
	"context"
	"slices"

	"cloud.google.com/go/recommender/apiv1/recommenderpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func (s *recommender) MarkInsightAccepted(_ context.Context, req *recommenderpb.MarkInsightAcceptedRequest) (*recommenderpb.Insight, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if err := s.spendWrite(); err != nil {
		return nil, err
	}
	a, err := s.one(req.GetName(), "insightTypes", insightType, "insights")
	if err != nil {
		return nil, err
	}
	if err := checkEtag(req.GetEtag(), a.etag("insight")); err != nil {
		return nil, err
	}
	if err := checkNotes(req.GetStateMetadata()); err != nil {
		return nil, err
	}
	if a.insight != recommenderpb.InsightStateInfo_ACTIVE {
		return nil, status.Errorf(codes.FailedPrecondition, "The insight is %s, not ACTIVE.", a.insight)
	}
	a.accept()
	a.insightNotes = req.GetStateMetadata()
	return a.insightPB(a.c), nil
}

// accept freezes the insight: accepted is the end.
func (a advised) accept() {
	a.insight = recommenderpb.InsightStateInfo_ACCEPTED
	if a.frozen.IsZero() {
		a.frozen = a.c.clock
	}
	a.changes++
}

// The states in which a recommendation may stand.
const (
	active    = recommenderpb.RecommendationStateInfo_ACTIVE
	claimed   = recommenderpb.RecommendationStateInfo_CLAIMED
	succeeded = recommenderpb.RecommendationStateInfo_SUCCEEDED
	failed    = recommenderpb.RecommendationStateInfo_FAILED
	dismissed = recommenderpb.RecommendationStateInfo_DISMISSED
)

// marking is what the requests about a recommendation's state have in common.
type marking interface {
	GetName() string
	GetEtag() string
}

func (s *recommender) mark(req marking, notes map[string]string, to recommenderpb.RecommendationStateInfo_State, from ...recommenderpb.RecommendationStateInfo_State) (*recommenderpb.Recommendation, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if err := s.spendWrite(); err != nil {
		return nil, err
	}
	a, err := s.one(req.GetName(), "recommenders", recommenderID, "recommendations")
	if err != nil {
		return nil, err
	}
	if err := checkNotes(notes); err != nil {
		return nil, err
	}
	// A dismissal may come without an etag; its proto does not require one.
	if req.GetEtag() != "" || to != dismissed {
		if err := checkEtag(req.GetEtag(), a.etag("recommendation")); err != nil {
			return nil, err
		}
	}
	if !slices.Contains(from, a.state) {
		return nil, status.Errorf(codes.FailedPrecondition, "The recommendation is %s and cannot become %s.", a.state, to)
	}
	a.state, a.notes = to, notes
	a.changes++
	if to != dismissed {
		a.accept() // an insight is accepted with its recommendation
	}
	return a.recommendationPB(a.c), nil
}

func (s *recommender) MarkRecommendationClaimed(_ context.Context, req *recommenderpb.MarkRecommendationClaimedRequest) (*recommenderpb.Recommendation, error) {
	return s.mark(req, req.GetStateMetadata(), claimed, active, claimed)
}

func (s *recommender) MarkRecommendationSucceeded(_ context.Context, req *recommenderpb.MarkRecommendationSucceededRequest) (*recommenderpb.Recommendation, error) {
	return s.mark(req, req.GetStateMetadata(), succeeded, active, claimed, succeeded, failed)
}

func (s *recommender) MarkRecommendationFailed(_ context.Context, req *recommenderpb.MarkRecommendationFailedRequest) (*recommenderpb.Recommendation, error) {
	return s.mark(req, req.GetStateMetadata(), failed, active, claimed, succeeded, failed)
}

func (s *recommender) MarkRecommendationDismissed(_ context.Context, req *recommenderpb.MarkRecommendationDismissedRequest) (*recommenderpb.Recommendation, error) {
	return s.mark(req, nil, dismissed, active)
}
