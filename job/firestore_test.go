package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"gke-credential-rotator/state/emulator"
)

// TestFirestoreBook: what people say is kept in the database that STATE names;
// a command that only reads makes nothing in it.
func TestFirestoreStore(t *testing.T) {
	host, database := emulator.Start(t), "t-"+strings.ToLower(rand.Text())
	environ := []string{"ROTATOR_ENV=test", "ROTATOR_PROJECTS=shop-prod", "ROTATOR_STATE=firestore://ops-prod/" +
		database, emulator.EnvHost + "=" + host, "NO_COLOR=1"}
	rotator := func(args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, environ, &out, &errs); code != 0 {
			t.Fatalf("rotator %s: exit status %d: %s", strings.Join(args, " "), code, errs.String())
		}
		return out.String()
	}
	conn, err := grpc.NewClient(host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	collections := func() []string {
		t.Helper()
		ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer owner")
		got, err := pb.NewFirestoreClient(conn).ListCollectionIds(ctx,
			&pb.ListCollectionIdsRequest{Parent: "projects/ops-prod/databases/" + database + "/documents"})
		if err != nil {
			t.Fatal(err)
		}
		return got.GetCollectionIds()
	}
	if out := rotator("status"); strings.Contains(out, "held") {
		t.Errorf("an empty store: %s", out)
	}
	if got := collections(); len(got) != 0 {
		t.Errorf("status made %v", got)
	}
	rotator("hold", "all", "--reason", "moving house", "--by", "eve")
	if out := rotator("status"); !strings.Contains(out, "moving house") {
		t.Errorf("after hold all: %s", out)
	}
	if got := collections(); len(got) != 1 || got[0] != "fleet" {
		t.Errorf("hold made %v, want fleet alone", got)
	}
	rotator("release", "all", "--by", "eve", "--reason", "moved")
	if out := rotator("status"); strings.Contains(out, "moving house") {
		t.Errorf("after release all: %s", out)
	}
}
