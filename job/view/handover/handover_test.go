package handover_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gke-credential-rotator/job/view/handover"
	"gke-credential-rotator/job/view/terminal"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// at is a time of the week in which the example plays.
func at(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }

// example is a zonal cluster with a DNS endpoint, half way through its nodes.
func example() record.HandOver {
	return record.HandOver{
		Cluster:   fleet.Ref{Project: "shop-prod", Location: "us-central1-a", Name: "catalog"},
		AttemptID: "5f0c9d2e", AttemptNo: 1, Origin: record.Ours, At: at(20, 3), Moment: record.AtStartDone,
		Phase:       record.RecreatingNodes,
		OldEndpoint: "203.0.113.7", NewEndpoint: "203.0.113.20", DNS: "gke-0a1b2c.us-central1-a.gke.goog",
		DNSExternal: true,
		OldCA: fleet.CA{Fingerprint: fleet.Fingerprint(strings.Repeat("3f9a", 16)),
			Issued:  time.Date(2022, 3, 12, 0, 0, 0, 0, time.UTC),
			Expires: time.Date(2027, 3, 11, 0, 0, 0, 0, time.UTC)},
		NewCA: fleet.CA{Fingerprint: fleet.Fingerprint(strings.Repeat("b07e", 16)), Issued: at(20, 1),
			Expires: time.Date(2056, 11, 12, 0, 0, 0, 0, time.UTC)},
		Zonal: true, Pools: map[string]bool{"web": true, "batch": false},
		SoakEnds: at(23, 3), Completes: at(23, 9), GKECompletes: at(27, 2),
	}
}

func rendered(t *testing.T, form string, h record.HandOver) string {
	t.Helper()
	var b bytes.Buffer
	p := handover.Of(h)
	var err error
	switch form {
	case "json":
		err = handover.WriteJSON(&b, p)
	case "md":
		err = handover.WriteMarkdown(&b, p)
	case "narrow.txt":
		err = terminal.HandOver(&b, p, terminal.Options{Width: 40})
	default:
		err = terminal.HandOver(&b, p, terminal.Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, form := range []string{"txt", "narrow.txt", "md", "json"} {
		file := filepath.Join("testdata", "example."+form+".golden")
		got := rendered(t, form, example())
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// TestMoments: what is compromised differs by the moment, and so does what is offered.
func TestMoments(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*record.HandOver)
		want   []string
		not    []string
	}{
		{"start done", func(*record.HandOver) {},
			[]string{"Nothing is broken yet", "1 of 2 pools recreated; left: batch",
				"not before Mon 23 Nov 2026 09:00 UTC by us",
				"GKE may end them by itself from Fri 27 Nov 2026 02:00 UTC",
				"API server is gone for a moment",
				"rotator hold shop-prod/us-central1-a/catalog --until 2026-11-26"},
			[]string{"rotator approve", "earlier one"}},
		{"nodes done", func(h *record.HandOver) {
			h.Moment, h.Phase, h.Approval, h.Pools["batch"] = record.AtNodesDone, record.UpdatingClients,
				true, true
		}, []string{"What is left is with you", "2 of 2 pools recreated", "only when a person has approved",
			"rotator approve shop-prod/us-central1-a/catalog"}, []string{"Nothing is broken yet"}},
		{"completion near", func(h *record.HandOver) {
			h.Moment, h.Phase = record.AtCompletion,
				record.UpdatingClients
		}, []string{"last call", "Not ready?"}, nil},
		{"completing", func(h *record.HandOver) { h.Phase = record.Completing },
			[]string{"cannot be stopped", "the completion was sent Mon 23 Nov"},
			[]string{"rotator hold", "rotator approve"}},
		{"over", func(h *record.HandOver) { h.Phase, h.Completed = record.Verifying, at(23, 10) },
			[]string{"the old credentials have ended", "first seen gone Mon 23 Nov 2026 10:00 UTC",
				"no way back"},
			[]string{"rotator hold", "maintenance-exclusion", "gone for a moment"}},
		{"GKE is quicker", func(h *record.HandOver) { h.Completes = at(28, 9) },
			[]string{"old ends GKE may end them by itself from Fri 27"},
			nil},
		{"frozen", func(h *record.HandOver) {
			h.Completes, h.Waits = time.Time{}, fact.Say("FREEZES=2026-11-20/2027-01-04")
		}, []string{"our date is not known", "FREEZES=2026-11-20"}, nil},
		{"watched", func(h *record.HandOver) {
			h.Watched, h.Origin, h.Completes = true, record.Foreign,
				time.Time{}
		}, []string{"when somebody else completes it: this tool only looks", "rotator adopt"}, []string{"rotator hold"}},
		{"Autopilot, regional, private", func(h *record.HandOver) {
			h.Autopilot, h.Zonal, h.Pools, h.NewEndpoint, h.DNS = true, false, nil, "10.0.0.2", ""
		}, []string{"Autopilot: GKE recreates", "private address", "--internal-ip"},
			[]string{"gone for a moment", "DNS endpoint", "--dns-endpoint"}},
		{"same endpoint", func(h *record.HandOver) { h.OldEndpoint = h.NewEndpoint }, nil,
			[]string{"Firewalls", "timeouts"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := example()
			tt.change(&h)
			got := strings.Join(strings.Fields(rendered(t, "txt", h)), " ")
			for _, w := range tt.want {
				if !strings.Contains(got, w) {
					t.Errorf("it does not say %q:\n%s", w, got)
				}
			}
			for _, w := range tt.not {
				if strings.Contains(got, w) {
					t.Errorf("it says %q", w)
				}
			}
		})
	}
}

// TestFolded: nothing but commands is wider than the terminal, and nothing in
// any form controls a terminal.
func TestFolded(t *testing.T) {
	for _, width := range []int{1, 40, 60, 80, 200} {
		var b bytes.Buffer
		if err := terminal.HandOver(&b, handover.Of(example()), terminal.Options{Width: width}); err != nil {
			t.Fatal(err)
		}
		var commands string
		for _, st := range append(handover.Of(example()).Clients, handover.Of(example()).Levers...) {
			for _, c := range st.Commands {
				commands += c.Run + "\n"
			}
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if words.Cells(line) > max(width, 40) && !strings.Contains(commands, strings.TrimSpace(line)) {
				t.Errorf("at %d columns a line of %d: %q", width, words.Cells(line), line)
			}
			if words.Harmless(line) != line {
				t.Errorf("%q", line)
			}
		}
	}
}

// hostile are names as nobody would want to paste them.
var hostile = []string{
	"$(touch pwned)", "`id`", "a'b", `a"b`, "a b", "a;rm -rf ~", "a\u009b31mred", "a\u202egnp", "a\u2028b",
	"a|b>c", "--flags-file=x",
	"```\n# headline", "</code><script>alert(1)</script>", "{{.x}}", "a\\'b", "\U0001f600\u200d", "~root",
	"!!",
	"*",
}

func TestHostileNames(t *testing.T) {
	for _, name := range hostile {
		h := example()
		h.Cluster.Name, h.OldEndpoint, h.DNS, h.Waits = strings.ReplaceAll(name, "\n", ""), name, name,
			fact.Say(name)
		h.Pools = map[string]bool{name: false}
		h.NewCA.Fingerprint = fleet.Fingerprint(name) // a damaged document
		for _, form := range []string{"txt", "md", "json"} {
			got := rendered(t, form, h)
			for line := range strings.Lines(got) {
				if line = strings.TrimSuffix(line, "\n"); words.Harmless(line) != line {
					t.Errorf("%s of %q: %q", form, name, line)
				}
			}
			if form == "json" && !json.Valid([]byte(got)) {
				t.Errorf("%q breaks the JSON", name)
			}
			if form == "md" {
				inSpans(t, got, name)
			}
		}
	}
}

// inSpans wants what comes from outside only in code spans and fences.
func inSpans(t *testing.T, text, name string) {
	t.Helper()
	fence := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "```") && (fence == "" || line == fence) {
			if fence == "" {
				fence = strings.TrimSuffix(line, "bash")
			} else {
				fence = ""
			}
			continue
		}
		if fence != "" {
			continue
		}
		parts := strings.Split(line, "`")
		if len(parts)%2 == 0 {
			t.Errorf("%q leaves a code span open: %q", name, line)
		}
		for i := 0; i < len(parts); i += 2 {
			if strings.ContainsAny(parts[i], "<>$!|{}~\\") {
				t.Errorf("%q stands bare: %q", name, line)
			}
		}
	}
	if fence != "" {
		t.Errorf("%q leaves a fence open", name)
	}
}

// TestEndpointsAsTheyAre: no advice for an endpoint that the cluster does not have, or
// that takes no traffic from where people are.
func TestEndpointsAsTheyAre(t *testing.T) {
	text := func(change func(*record.HandOver)) string {
		h := example()
		change(&h)
		var b strings.Builder
		if err := handover.WriteJSON(&b, handover.Of(h)); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	both := text(func(*record.HandOver) {})
	if !strings.Contains(both,
		"KUBECONFIG=dns-endpoint.kubeconfig gcloud container clusters get-credentials") {
		t.Error("both variants write one context")
	}
	inside := text(func(h *record.HandOver) { h.DNSExternal = false })
	if strings.Contains(inside, "--dns-endpoint") || !strings.Contains(inside,
		"only from inside Google Cloud") {
		t.Error("a DNS endpoint without external traffic is offered")
	}
	dns := text(func(h *record.HandOver) { h.OldEndpoint, h.NewEndpoint = "", "" })
	if strings.Contains(dns, "203.0.113") || strings.Count(dns, "clusters get-credentials") != 1 {
		t.Error("a cluster without IP endpoints is told of them")
	}
	for _, lie := range []string{"Connect) go on", "refuses its server when the old CA ends",
		"at once, so where"} {
		if strings.Contains(both, lie) {
			t.Errorf("it still says %q", lie)
		}
	}
	for _, want := range []string{"cattle-system", "Connect: nothing is known", "istio/multiCluster=true",
		"authentication.k8s.io/legacy-token", "400d"} {
		if !strings.Contains(both, want) {
			t.Errorf("it does not say %q", want)
		}
	}
}
