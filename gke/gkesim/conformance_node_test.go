package gkesim_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// nodeModules says where the Node client is installed. Where it is missing the
// test is skipped, but not in CI, which installs it.
func nodeModules(t *testing.T) (node, dir string) {
	t.Helper()
	node, dir = program(t, "node"), filepath.Join("testdata", "node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@google-cloud", "container")); err != nil {
		const how = "the Node client is not installed: scripts/node-client installs it"
		if os.Getenv("CI") == "true" {
			t.Fatal(how)
		}
		t.Skip(how)
	}
	return node, dir
}

// TestNodeRotates: a whole rotation through Google's Node client, over gRPC and
// over its REST fallback.
func TestNodeRotates(t *testing.T) {
	t.Parallel()
	node, dir := nodeModules(t)
	type step struct {
		Step, Message, Type, Status, Endpoint string
		CAs, Code                             int
		Names                                 []string
	}
	want := []step{
		{Step: "list", Names: []string{"ledger", "orders"}},
		{Step: "before", CAs: 1, Status: "RUNNING"},
		{Step: "complete none", Message: "The cluster does not have an IP rotation in progress.", Code: 400},
		{Step: "start", Type: "UPDATE_CLUSTER", Status: "RUNNING"},
		{Step: "start while starting", Message: "Cluster is running incompatible operation", Code: 400},
		{Step: "started", Type: "UPDATE_CLUSTER", Status: "DONE"},
		{Step: "during", CAs: 2, Status: "RUNNING"},
		{Step: "start again", Message: "The cluster has an IP rotation in progress.", Code: 409},
		{Step: "complete too early", Message: `Node pool "web" requires recreation.`, Code: 400},
		{Step: "recreate web", Type: "UPGRADE_NODES", Status: "RUNNING"},
		{Step: "recreate batch", Type: "UPGRADE_NODES", Status: "RUNNING"},
		{Step: "complete", Type: "UPDATE_CLUSTER", Status: "RUNNING"},
		{Step: "after", CAs: 1, Status: "RUNNING"},
		{Step: "operations", Names: []string{"UPDATE_CLUSTER DONE", "UPGRADE_NODES DONE", "UPGRADE_NODES DONE",
			"UPDATE_CLUSTER DONE"}},
	}
	grpcCodes := map[int]int{400: 9, 409: 6} // FAILED_PRECONDITION, ALREADY_EXISTS
	for _, protocol := range []string{"grpc", "rest"} {
		t.Run(protocol, func(t *testing.T) {
			s := serveSample(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, node, "rotate.js", s.url, protocol)
			cmd.Dir = dir
			var told strings.Builder
			cmd.Stderr = &told
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s%s", err, out, told.String())
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(lines) != len(want) {
				t.Fatalf("%d steps, want %d:\n%s", len(lines), len(want), out)
			}
			for i, w := range want {
				var got step
				if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
					t.Fatal(err)
				}
				code := w.Code
				if protocol == "grpc" {
					code = grpcCodes[w.Code]
				}
				if got.Type == "UPGRADE_NODES" && got.Status == "PENDING" {
					got.Status = "RUNNING" // upgrades may wait for a moment
				}
				// REST errors reach Node as the answer's JSON, quotes and all.
				message := strings.ReplaceAll(got.Message, `\"`, `"`)
				slices.Sort(got.Names)
				slices.Sort(w.Names)
				if got.Step != w.Step || got.CAs != w.CAs || got.Code != code || got.Type != w.Type ||
					got.Status != w.Status ||
					!strings.Contains(message, w.Message) || (w.Message == "") != (message == "") ||
					!slices.Equal(got.Names, w.Names) {
					t.Errorf("got %s\nwant %+v", lines[i], w)
				}
			}
			rotation := slices.Clone(wholeRotation)
			rotation[2] = "UpdateNodePool orders batch"
			if got := s.accepted(); !slices.Equal(got, rotation) {
				t.Errorf("accepted %q, want %q", got, rotation)
			}
		})
	}
}
