package gke

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	recommender "cloud.google.com/go/recommender/apiv1"
	"cloud.google.com/go/recommender/apiv1/recommenderpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// Insights reads what Recommender says of expiring CAs. It is never a gate, so
// every error of it is only worth a line in the log.
type Insights interface {
	// Insights asks one location once. complete is false when there is more
	// than the answer holds. [ErrUsedUp] says that today's quota is gone,
	// [ErrNoAnswer] that Recommender cannot be reached; other errors concern
	// the project or the location.
	Insights(ctx context.Context, project, location string) (found []record.Insight, complete bool, err error)
}

// What a reader of insights must tell apart.
var (
	ErrUsedUp   = errors.New("the quota of Recommender is used up")
	ErrNoAnswer = errors.New("no answer from Recommender")
)

// The insights about expiring CAs: their type, and which of that type.
const (
	insightType    = "google.container.DiagnosisInsight"
	insightSubtype = "CLUSTER_CA_EXPIRATION"
	// insightPage is more than a location can have: GKE allows some hundred
	// clusters there.
	insightPage = 1000
)

// Recommender is Google's Recommender, or the simulator's.
type Recommender struct {
	client *recommender.Client
	retry  Retry
}

// InsightRetry is how insights are read: once, for a repeated read counts
// against the day's quota too, and shortly, for nobody waits for it.
func InsightRetry() Retry { return Retry{Attempt: 10 * time.Second, Overall: 10 * time.Second} }

// DialRecommender connects to Recommender. Without options it uses Google's
// endpoint and the process's own credentials.
func DialRecommender(ctx context.Context, retry Retry, opts ...option.ClientOption) (*Recommender, error) {
	client, err := recommender.NewClient(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to Recommender: %w", err)
	}
	client.CallOptions.ListInsights = nil // repeated by Retry alone, as GKE's reads
	retry.final = codes.ResourceExhausted // the day's quota
	return &Recommender{client: client, retry: retry}, nil
}

// Close ends the connection.
func (r *Recommender) Close() error { return r.client.Close() }

// Insights implements [Insights]. It is one request: following pages would
// spend reads that nobody counted.
func (r *Recommender) Insights(ctx context.Context, project, location string) ([]record.Insight, bool,
	error) {
	var list []*recommenderpb.Insight
	next := ""
	err := r.retry.read(ctx, func(ctx context.Context) (err error) {
		list, next, err = r.client.ListInsights(ctx, &recommenderpb.ListInsightsRequest{
			Parent: "projects/" + project + "/locations/" + location + "/insightTypes/" + insightType,
			Filter: "insightSubtype = " + insightSubtype,
		}).InternalFetch(insightPage, "") // a single request; Next may make more
		return err
	})
	if err != nil {
		return nil, false, insightError(err)
	}
	var found []record.Insight
	for _, in := range list {
		if in.GetInsightSubtype() != insightSubtype {
			continue // the filter was not understood
		}
		for _, target := range in.GetTargetResources() {
			if ref, ok := targetOf(project, target); ok {
				found = append(found, record.Insight{Cluster: ref, State: in.GetStateInfo().GetState().String()})
			}
		}
	}
	return found, next == "", nil
}

// targetOf reads //container.googleapis.com/projects/P/locations/L/clusters/C.
// It may say zones, and the project's number: whom we asked is who it is.
func targetOf(project, resource string) (fleet.Ref, bool) {
	ref, _ := parseTarget(project, resource)
	return ref, strings.Contains(resource, "container.googleapis.com/") && ref.Location != "" && ref.Name != ""
}

// insightError marks the errors after which the others need not be asked.
func insightError(err error) error {
	switch said := recommenderAPI.explain(err); {
	case status.Code(err) == codes.ResourceExhausted:
		return fmt.Errorf("%w: %w", ErrUsedUp, said)
	case status.Code(err) == codes.Unavailable, status.Code(err) == codes.DeadlineExceeded,
		errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrNoAnswer, said)
	default:
		return said
	}
}
