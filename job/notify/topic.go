package notify

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy/record"
)

// TopicName is how the store notes the topic.
const TopicName = "pubsub"

// Topic publishes each notice to one Pub/Sub topic, ordered by cluster.
//
// It speaks to the API's own client: each message is one request whose answer is
// awaited, so there is nothing to flush and nothing goes on in the background.
type Topic struct {
	env, topic string
	client     *pubsub.TopicAdminClient
}

// NewTopic makes the receiver; topic is projects/P/topics/T. Nothing is sent yet.
func NewTopic(ctx context.Context, env, topic string, opts ...option.ClientOption) (*Topic, error) {
	client, err := pubsub.NewTopicAdminClient(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to Pub/Sub: %w", err)
	}
	// What fails is tried again by the next run, not by a client that sleeps.
	client.CallOptions.Publish = nil
	return &Topic{env: env, topic: topic, client: client}, nil
}

// Name implements [pass.Receiver].
func (t *Topic) Name() string { return TopicName }

// Close ends the connection.
func (t *Topic) Close() error { return t.client.Close() }

// Notify implements [pass.Receiver].
func (t *Topic) Notify(ctx context.Context, n record.Notice) error {
	body, err := cloudEvent(t.env, n)
	if err != nil {
		return err
	}
	_, err = t.client.Publish(ctx, &pb.PublishRequest{Topic: t.topic, Messages: []*pb.PubsubMessage{{
		Data: body, OrderingKey: cmp.Or(n.Subject(), "fleet"), // Pub/Sub keeps the order of those with the same
		// Subscriptions filter on attributes alone.
		Attributes: map[string]string{"content-type": contentType, "id": n.ID, "kind": string(n.Kind), "env": t.env,
			"cluster": n.Subject()},
	}}})
	if err != nil {
		return within(ctx, t.explain(err))
	}
	return nil
}

func (t *Topic) explain(err error) error {
	s := status.Convert(err)
	said := fmt.Errorf("Pub/Sub says %s: %s", s.Code(), strings.ReplaceAll(s.Message(), "\n", " "))
	switch s.Code() {
	case codes.InvalidArgument:
		return fmt.Errorf("%w: %w", pass.ErrRefused, said)
	case codes.NotFound:
		return fmt.Errorf("%w: make the topic %s, or mend NOTIFY_TOPIC", said, t.topic)
	case codes.PermissionDenied:
		return fmt.Errorf("%w: give the account roles/pubsub.publisher on %s", said, t.topic)
	}
	return said
}
