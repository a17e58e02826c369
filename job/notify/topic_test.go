package notify_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	pubsub "cloud.google.com/go/pubsub/v2/apiv1"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"gke-credential-rotator/job/notify"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state/emulator"
)

// board is a topic of the emulator with one ordered subscription.
type board struct {
	t            *testing.T
	opts         []option.ClientOption
	topic        string
	subscription string
	subs         *pubsub.SubscriptionAdminClient
}

func newBoard(t *testing.T) *board {
	t.Helper()
	project := "projects/t-" + strings.ToLower(rand.Text())
	b := &board{t: t, topic: project + "/topics/rotations", subscription: project + "/subscriptions/people"}
	b.opts = []option.ClientOption{option.WithEndpoint(emulator.PubSub(t)), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials()))}
	topics, err := pubsub.NewTopicAdminClient(t.Context(), b.opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = topics.Close() }()
	if _, err := topics.CreateTopic(t.Context(), &pb.Topic{Name: b.topic}); err != nil {
		t.Fatal(err)
	}
	if b.subs, err = pubsub.NewSubscriptionAdminClient(t.Context(), b.opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.subs.Close() })
	if _, err := b.subs.CreateSubscription(t.Context(), &pb.Subscription{Name: b.subscription, Topic: b.topic,
		EnableMessageOrdering: true, AckDeadlineSeconds: 60}); err != nil {
		t.Fatal(err)
	}
	return b
}

// pull gives the next n messages.
func (b *board) pull(n int) []*pb.PubsubMessage {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	var out []*pb.PubsubMessage
	for len(out) < n {
		res, err := b.subs.Pull(ctx, &pb.PullRequest{Subscription: b.subscription,
			MaxMessages: int32(n - len(out))})
		if err != nil {
			b.t.Fatalf("after %d of %d messages: %v", len(out), n, err)
		}
		var acks []string
		for _, m := range res.GetReceivedMessages() {
			out, acks = append(out, m.GetMessage()), append(acks, m.GetAckId())
		}
		if len(acks) > 0 {
			if err := b.subs.Acknowledge(ctx, &pb.AcknowledgeRequest{Subscription: b.subscription,
				AckIds: acks}); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	return out
}

// TestTopic: Google's own emulator takes the events, and gives them to an ordered
// subscription cluster by cluster as they were told.
func TestTopic(t *testing.T) {
	b := newBoard(t)
	topic, err := notify.NewTopic(t.Context(), "prod", b.topic, b.opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = topic.Close() }()
	var sent []record.Notice
	for i := range 12 {
		n := full
		n.ID, n.Cluster.Name = fmt.Sprintf("%04x", i), fmt.Sprintf("c%d", i%3)
		if i == 11 {
			n.Kind, n.Cluster, n.HandOver = record.NoticeBreakerOpen, fleet.Ref{}, nil
		}
		if err := topic.Notify(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, n)
	}
	got := map[string][]string{}
	for _, m := range b.pull(len(sent)) {
		var e notify.Event
		if err := json.Unmarshal(m.GetData(), &e); err != nil || e.ID != m.GetAttributes()["id"] {
			t.Fatalf("%s: %v", m.GetData(), err)
		}
		if a := m.GetAttributes(); a["content-type"] != "application/cloudevents+json" || a["env"] != "prod" ||
			a["kind"] != string(e.Data.Kind) {
			t.Errorf("attributes %v", a)
		}
		got[m.GetOrderingKey()] = append(got[m.GetOrderingKey()], e.ID)
	}
	want := map[string][]string{"fleet": {"000b"}}
	for _, n := range sent[:11] {
		want[n.Cluster.String()] = append(want[n.Cluster.String()], n.ID)
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestTopicOutOfReach: a topic that is not there, a message it does not take, and
// an API that does not answer in time.
func TestTopicOutOfReach(t *testing.T) {
	b := newBoard(t)
	for name, tt := range map[string]struct {
		topic   string
		change  func(*record.Notice)
		ctx     func() (context.Context, context.CancelFunc)
		refused bool
		says    string
	}{
		"no such topic": {strings.Replace(b.topic, "rotations", "nothing", 1), nil, nil, false, "NOTIFY_TOPIC"},
		"a bad request": {strings.Replace(b.topic, "rotations", "g", 1), nil, nil, true, "Pub/Sub says"},
		"no time": {b.topic, nil, func() (context.Context, context.CancelFunc) {
			return context.WithDeadline(context.Background(), time.Time{})
		}, false, "in time"},
	} {
		t.Run(name, func(t *testing.T) {
			topic, err := notify.NewTopic(t.Context(), "prod", tt.topic, b.opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = topic.Close() }()
			n, ctx := full, t.Context()
			if tt.change != nil {
				tt.change(&n)
			}
			if tt.ctx != nil {
				other, cancel := tt.ctx()
				defer cancel()
				ctx = other
			}
			if err = topic.Notify(ctx, n); err == nil || errors.Is(err, pass.ErrRefused) != tt.refused ||
				!strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %.300v", err)
			}
		})
	}
}
