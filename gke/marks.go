package gke

import (
	"context"
	"fmt"

	"cloud.google.com/go/recommender/apiv1/recommenderpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/policy"
)

// Marker marks Recommender's recommendations about expiring CAs. Like reading
// insights it is never a gate, and its errors are those of [Insights].
type Marker interface {
	// Recommendations asks one location once.
	Recommendations(ctx context.Context, project, location string) (found []policy.Recommendation, complete bool, err error)
	// Mark marks one, as it was read, with notes in place of those it has.
	// [ErrChanged] says that it is no longer as it was read.
	Mark(ctx context.Context, rec policy.Recommendation, as policy.MarkState, notes map[string]string) error
}

// recommenderID is GKE's recommender; the subtype is that of the insight.
const recommenderID = "google.container.DiagnosisRecommender"

// What marking needs in a project.
var (
	listAPI = service{recommenderAPI.host, "recommender.containerDiagnosisRecommendations.list", recommenderAPI.quota}
	markAPI = service{recommenderAPI.host, "recommender.containerDiagnosisRecommendations.update", recommenderAPI.quota}
)

// Recommendations implements [Marker], in one request as [Recommender.Insights].
func (r *Recommender) Recommendations(ctx context.Context, project, location string) ([]policy.Recommendation, bool, error) {
	var list []*recommenderpb.Recommendation
	next := ""
	err := r.retry.readUnless(ctx, codes.ResourceExhausted, func(ctx context.Context) (err error) {
		list, next, err = r.client.ListRecommendations(ctx, &recommenderpb.ListRecommendationsRequest{
			Parent: "projects/" + project + "/locations/" + location + "/recommenders/" + recommenderID,
			Filter: "recommenderSubtype = " + insightSubtype,
		}).InternalFetch(insightPage, "") // a single request; Next may make more
		return err
	})
	if err != nil {
		return nil, false, insightError(err, listAPI)
	}
	var found []policy.Recommendation
	for _, rec := range list {
		if rec.GetRecommenderSubtype() != insightSubtype {
			continue // the filter was not understood
		}
		for _, target := range rec.GetTargetResources() {
			if ref, ok := targetOf(project, target); ok {
				state := rec.GetStateInfo()
				found = append(found, policy.Recommendation{Cluster: ref, Name: rec.GetName(), Etag: rec.GetEtag(), State: state.GetState().String(), Notes: state.GetStateMetadata()})
			}
		}
	}
	return found, next == "", nil
}

// Mark implements [Marker]: one request, never repeated.
func (r *Recommender) Mark(ctx context.Context, rec policy.Recommendation, as policy.MarkState, notes map[string]string) error {
	err := r.retry.attempt(ctx, func(ctx context.Context) (err error) {
		switch as {
		case policy.MarkClaimed:
			_, err = r.client.MarkRecommendationClaimed(ctx, &recommenderpb.MarkRecommendationClaimedRequest{Name: rec.Name, Etag: rec.Etag, StateMetadata: notes})
		case policy.MarkSucceeded:
			_, err = r.client.MarkRecommendationSucceeded(ctx, &recommenderpb.MarkRecommendationSucceededRequest{Name: rec.Name, Etag: rec.Etag, StateMetadata: notes})
		case policy.MarkFailed:
			_, err = r.client.MarkRecommendationFailed(ctx, &recommenderpb.MarkRecommendationFailedRequest{Name: rec.Name, Etag: rec.Etag, StateMetadata: notes})
		default:
			err = fmt.Errorf("there is no mark %q", as)
		}
		return err
	})
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.Aborted, codes.FailedPrecondition, codes.NotFound:
		return fmt.Errorf("%w: %w", ErrChanged, markAPI.explain(err))
	}
	return insightError(err, markAPI)
}
