package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/tell"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// TestNoClientLeavesGoogle: whatever a client's endpoint became after the settings
// were checked, none gives its token to somebody else, over requests of both kinds.
func TestNoClientLeavesGoogle(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	somebody := grpc.NewServer()
	go func() { _ = somebody.Serve(listener) }() // until it is stopped
	defer somebody.Stop()
	var asked counted
	opts := append(clientOptions(""), option.WithEndpoint("container.googleapis.com.attacker.example:443"), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())), option.WithGRPCDialOption(grpc.WithPerRPCCredentials(&asked)),
		option.WithGRPCDialOption(grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			return net.Dial("tcp", listener.Addr().String())
		})))
	ctx := t.Context()
	cloud, err := gke.Dial(ctx, opts...)
	if err != nil {
		t.Fatal(err)
	}
	insights, err := gke.DialRecommender(ctx, gke.InsightRetry(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	topic, err := tell.NewTopic(ctx, "test", "projects/shop-prod/topics/notices", opts...)
	if err != nil {
		t.Fatal(err)
	}
	book, err := state.OpenFirestore(ctx, "shop-prod", "rotator", state.FirestoreOptions{Client: opts})
	if err != nil {
		t.Fatal(err)
	}
	_, _, errGKE := cloud.Clusters(ctx, "shop-prod")
	_, _, errInsights := insights.Insights(ctx, "shop-prod", "europe-west1")
	_, errBook := book.Fleet(ctx)                                           // a stream
	_, errWrite := book.Write(ctx, state.Change{Fleet: &policy.FleetDoc{}}) // and a single request
	for name, err := range map[string]error{"GKE": errGKE, "Recommender": errInsights, "Firestore, a read": errBook, "Firestore, a write": errWrite, "Pub/Sub": topic.Tell(ctx, policy.Notice{ID: "n"})} {
		if err == nil || !strings.Contains(err.Error(), "is no host of googleapis.com") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the token was asked for %d times", n)
	}
	for _, c := range []interface{ Close() error }{cloud, insights, topic, book} {
		_ = c.Close()
	}
}

// counted are credentials that count how often they are asked for.
type counted struct{ atomic.Int64 }

func (c *counted) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	c.Add(1)
	return map[string]string{"authorization": "Bearer ya29.x"}, nil
}

func (c *counted) RequireTransportSecurity() bool { return false }

// TestEveryClientIsOurs: no client of Google's APIs is made in this package with
// options that are not google.go's.
func TestEveryClientIsOurs(t *testing.T) {
	maker := regexp.MustCompile(`(gke\.Dial\w*|tell\.NewTopic|state\.OpenFirestore)\(`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range files {
		if path == "google.go" || strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			makes := maker.MatchString(line)
			if makes {
				found++
			}
			if makes && !strings.Contains(line, "clientOptions(") && !strings.Contains(line, "emulatorOptions(") || strings.Contains(line, "option.With") {
				t.Errorf("%s:%d: options that are not google.go's: %s", path, n+1, strings.TrimSpace(line))
			}
		}
	}
	if found < 7 {
		t.Errorf("only %d clients are found", found)
	}
}
