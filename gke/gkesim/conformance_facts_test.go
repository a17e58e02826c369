package gkesim_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/policy/fleet"
)

// TestFactsAreShown: every fact has a row in FACTS.md, and every test that a row
// names is there.
func TestFactsAreShown(t *testing.T) {
	tests := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, pattern := range []string{"*_test.go", "../maintenance/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no tests in %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range declared.FindAllSubmatch(text, -1) {
				tests[string(m[1])] = true
			}
		}
	}
	text, err := os.ReadFile("FACTS.md")
	if err != nil {
		t.Fatal(err)
	}
	named, rows := regexp.MustCompile(`Test\w+`), map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+\.\d+) \|[^|]+\|([^|]+)\|$`).FindAllStringSubmatch(string(text), -1) {
		rows[row[1]] = true
		shown := named.FindAllString(row[2], -1)
		if len(shown) == 0 {
			t.Errorf("fact %s names no test: %s", row[1], row[0])
		}
		for _, name := range shown {
			if !tests[name] {
				t.Errorf("fact %s names %s, which does not exist", row[1], name)
			}
		}
	}
	for section, facts := range map[int]int{0: 10, 2: 9, 7: 7} {
		for i := range facts {
			if fact := fmt.Sprintf("%d.%d", section, i+1); !rows[fact] {
				t.Errorf("FACTS.md has no row for fact %s", fact)
			}
		}
	}
}

// fieldsOf lists the names of the fields that are set.
func fieldsOf(m proto.Message) []string {
	set := map[string]bool{}
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		set[string(f.Name())] = true
		return true
	})
	return slices.Sorted(maps.Keys(set))
}

// Fact 0.1: no field says that a rotation is under way, and none of its
// operation says that it was one.
func TestNoFieldTellsOfARotation(t *testing.T) {
	g := play(t, lazy, 1000*day)
	before := g.cluster()
	g.must(g.start())
	during := g.at(time.Hour).cluster()
	if !slices.Equal(fieldsOf(before), fieldsOf(during)) || before.GetStatus() != during.GetStatus() ||
		len(during.GetConditions()) > 0 {
		t.Errorf("fields before %q, during %q; %s %v", fieldsOf(before), fieldsOf(during), during.GetStatus(),
			during.GetConditions())
	}
	for _, op := range g.ops(containerpb.Operation_UPDATE_CLUSTER) {
		if strings.Contains(strings.ToLower(op.String()), "rotation") || op.GetDetail() != "" {
			t.Errorf("the operation tells: %v", op)
		}
	}
}

// Fact 2.1, 2.2: the rotation of the address renews the CA too and needs the
// nodes; new CAs live thirty years less the leap days, and an hour.
func TestBothRotationsRenewTheCA(t *testing.T) {
	for _, credentials := range []bool{true, false} {
		g := play(t, lazy, 1000*day)
		_, err := g.c.StartIPRotation(context.Background(), &containerpb.StartIPRotationRequest{Name: name,
			RotateCredentials: credentials})
		g.must(err)
		bundle := fleet.ParseBundle(g.at(time.Hour).cluster().GetMasterAuth().GetClusterCaCertificate())
		if life := bundle.Newest().Expires.Sub(bundle.Newest().Issued); len(bundle.CAs) != 2 ||
			life != 30*365*day+time.Hour {
			t.Errorf("rotateCredentials %t: %d CAs, the new one lives %s", credentials, len(bundle.CAs), life)
		}
		if err := g.complete(); err == nil || !strings.Contains(err.Error(), "requires recreation") {
			t.Errorf("rotateCredentials %t: completed without new nodes: %v", credentials, err)
		}
	}
}

// Fact 2.2: after the CA's end a start is still taken, and the nodes then fail.
func TestStartAfterExpiry(t *testing.T) {
	g := play(t, lazy, day, func(c *containerpb.Cluster) { c.Status = containerpb.Cluster_DEGRADED })
	g.at(2 * day).must(g.start())
	g.at(3 * day)
	if g.cas() != 2 {
		t.Errorf("%d CAs after a start that was taken", g.cas())
	}
	g.must(g.upgrade("web", "1.32", ""))
	ops := g.at(4 * day).ops(containerpb.Operation_UPGRADE_NODES)
	if len(ops) == 0 || !strings.Contains(ops[0].GetError().GetMessage(), "x509") {
		t.Errorf("node operations %v, want one that failed with x509", ops)
	}
}

// Fact 2.8: which exclusions keep GKE from the nodes, and which do not.
func TestExclusionScopes(t *testing.T) {
	scope := func(s containerpb.MaintenanceExclusionOptions_Scope) *containerpb.TimeWindow_MaintenanceExclusionOptions {
		return &containerpb.TimeWindow_MaintenanceExclusionOptions{MaintenanceExclusionOptions: &containerpb.MaintenanceExclusionOptions{Scope: s}}
	}
	for _, tt := range []struct {
		name    string
		options *containerpb.TimeWindow_MaintenanceExclusionOptions
		blocks  bool
	}{
		{"without options", nil, true},
		{"no upgrades", scope(containerpb.MaintenanceExclusionOptions_NO_UPGRADES), true},
		{"no minor or node upgrades", scope(containerpb.MaintenanceExclusionOptions_NO_MINOR_OR_NODE_UPGRADES),
			true},
		{"no minor upgrades", scope(containerpb.MaintenanceExclusionOptions_NO_MINOR_UPGRADES), false},
	} {
		g := play(t, gkesim.Options{}, 1000*day, func(c *containerpb.Cluster) {
			e := &containerpb.TimeWindow{StartTime: timestamppb.New(begin.Add(-day)),
				EndTime: timestamppb.New(begin.Add(3 * day))}
			if tt.options != nil {
				e.Options = tt.options
			}
			c.MaintenancePolicy = &containerpb.MaintenancePolicy{Window: &containerpb.MaintenanceWindow{MaintenanceExclusions: map[string]*containerpb.TimeWindow{"e": e}}}
		})
		g.must(g.start())
		if began := len(g.at(2*day).ops(containerpb.Operation_UPGRADE_NODES)) > 0; began == tt.blocks {
			t.Errorf("%s: GKE began the nodes within it: %t", tt.name, began)
		}
		if len(g.at(4*day).ops(containerpb.Operation_UPGRADE_NODES)) == 0 {
			t.Errorf("%s: GKE did not begin the nodes after it", tt.name)
		}
	}
}

// Fact 2.8: a pool's own exclusion keeps GKE from that pool alone, and nobody
// else.
func TestPoolExclusions(t *testing.T) {
	for _, end := range []*timestamppb.Timestamp{nil, timestamppb.New(begin.Add(2 * day))} {
		g := play(t, gkesim.Options{}, 1000*day, func(c *containerpb.Cluster) {
			c.NodePools[0].MaintenancePolicy = &containerpb.NodePool_NodePoolMaintenancePolicy{
				ExclusionUntilEndOfSupport: &containerpb.NodePool_ExclusionUntilEndOfSupport{Enabled: true, EndTime: end},
			}
		})
		g.must(g.start())
		if ops := g.at(day).ops(containerpb.Operation_UPGRADE_NODES); len(ops) != 1 ||
			!strings.HasSuffix(ops[0].GetTargetLink(), "/nodePools/batch") {
			t.Errorf("within the exclusion: %v, want batch alone", ops)
		}
		if ops := g.at(3 * day).ops(containerpb.Operation_UPGRADE_NODES); (len(ops) == 2) != (end != nil) {
			t.Errorf("after %v: %v", end, ops)
		}
		if end == nil {
			g.must(g.upgrade("web", "1.32", ""))
		}
		if err := g.at(4 * day).complete(); err != nil {
			t.Errorf("completed: %v", err)
		}
	}
}
