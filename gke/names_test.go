package gke_test

import (
	"strings"
	"testing"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// badNames would break a path, a line or a document id.
var badNames = []string{"a/b", "..", "../../v1/projects/other", "a\nb", "a\x00b", "\x1b[2J", "__a__", "",
	strings.Repeat("a", 201)}

// TestNamesThatBreakPaths: a cluster that GKE lists under such a name is left
// out and told; the others of the project go on. Stored, one such name would
// have made the whole store unreadable.
func TestNamesThatBreakPaths(t *testing.T) {
	for _, name := range badNames {
		s := &scripted{clusters: &containerpb.ListClustersResponse{Clusters: []*containerpb.Cluster{
			{Name: name, Location: "us-east1"}, {Name: "good", Location: "us-east1"}, {Name: "c", Location: name},
		}}}
		got, unread, err := dial(t, s, gke.NoRetry()).Clusters(t.Context(), "p")
		if err != nil || len(got) != 1 || got[0].Ref.Name != "good" || len(unread) != 2 {
			t.Errorf("%q: %d clusters, unread %+v, error %v", name, len(got), unread, err)
		}
		for _, u := range unread {
			if u.Project != "p" || u.Location != "" || strings.ContainsAny(u.Reason, "\n\x00\x1b") ||
				!strings.Contains(u.Reason, "would break") || len(u.Reason) > 500 {
				t.Errorf("%q: %+v", name, u)
			}
		}
	}
}

// TestAnotherClustersAnswer: what is shown of one cluster is never taken for
// another's.
func TestAnotherClustersAnswer(t *testing.T) {
	s := &scripted{cluster: &containerpb.Cluster{Name: "other", Location: "us-east1"}}
	if c, err := dial(t, s, gke.NoRetry()).Cluster(t.Context(), fleet.Ref{Project: "p", Location: "us-east1",
		Name: "c"}); err == nil || !strings.Contains(err.Error(), "another cluster") {
		t.Errorf("%+v, error %v", c, err)
	}
}

// TestPoolNamesThatBreakPaths: nothing is sent for a pool whose name would make
// the request one about something else.
func TestPoolNamesThatBreakPaths(t *testing.T) {
	for _, name := range []string{"a/../b", "a/nodePools/b", "a\nb", "a\x00"} {
		s := &scripted{}
		o := dial(t, s, gke.NoRetry()).Recreate(t.Context(), fleet.Ref{Project: "p", Location: "l", Name: "c"},
			fleet.Pool{Name: name, Version: "1"})
		if o.State != record.Refused || o.Refusal != record.Invalid || len(s.asked) != 0 ||
			strings.ContainsAny(o.Raw, "\n\x00") {
			t.Errorf("%q: %+v, sent %v", name, o, s.asked)
		}
	}
}
