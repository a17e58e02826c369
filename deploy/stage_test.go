package deploy_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
	"gke-credential-rotator/state"
)

// stage plays the job over the simulated GKE and keeps what it logs, as Cloud
// Logging would store it.
type stage struct {
	t      *testing.T
	policy *rules.Policy
	world  *gkesim.World
	game   *sim.Game // from the first run on
	now    time.Time
	logged bytes.Buffer
	audit  []map[string]any // entries of GKE's audit log
}

var (
	shop = fleet.Ref{Project: "shop", Location: "europe-west1", Name: "web"}
	yard = fleet.Ref{Project: "yard", Location: "europe-west1", Name: "depot"}
)

const day = 24 * time.Hour

func newStage(t *testing.T) *stage {
	t.Helper()
	begin := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	complete, err := window.ParseWeekly("Mon-Sun 00:00-24:00")
	if err != nil {
		t.Fatal(err)
	}
	return &stage{
		t: t, now: begin,
		// GKE leaves the nodes to us: what happens, happens by our doing.
		world: gkesim.New(gkesim.Options{Seed: 1, Now: begin, GKEWaits: 60 * day}),
		policy: &rules.Policy{
			Env: sample["ENV"], RotateBeforeExpiry: 180 * day, EmergencyBeforeExpiry: 40 * day, EmergencyMaxActive: 10,
			SoakCompromised: 4 * time.Hour, CompromisedMaxActive: 20, CompleteWindow: complete,
			ZonalComplete: rules.ZonalPeople, Soak: day, Approval: rules.ApproveNone,
			Nodes: rules.NodesAuto, NodeTime: 10 * time.Minute, NodeOverrun: 2 * time.Hour, Fit: rules.FitBind, PoolsAtOnce: 2, Adopt: rules.AdoptWatch,
			MaxActive: 10,
			MaxFailed: 5, StuckAfter: day, Every: time.Hour,
		},
	}
}

// add puts a cluster with one pool into GKE, whose CA expires after so many
// days, and its project into the settings.
func (s *stage) add(ref fleet.Ref, days int) {
	s.t.Helper()
	end := s.now.Add(time.Duration(days) * day)
	pem := gkesim.IssueCA(1, ref.String(), end.AddDate(-5, 0, 0), end)
	pb := &containerpb.Cluster{
		Name: ref.Name, Location: ref.Location, Id: "id-" + ref.Name, Status: containerpb.Cluster_RUNNING,
		Endpoint:             "34.1.2.3",
		CurrentMasterVersion: "1.33.5-gke.1080000", Locations: []string{ref.Location + "-b"},
		MasterAuth: &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(pem))},
		NodePools: []*containerpb.NodePool{{
			Name: "a", InitialNodeCount: 2, Version: "1.33.5-gke.1080000", Status: containerpb.NodePool_RUNNING,
			Etag:            "etag-a",
			Config:          &containerpb.NodeConfig{ImageType: "COS_CONTAINERD"},
			UpgradeSettings: &containerpb.NodePool_UpgradeSettings{MaxSurge: 1},
		}},
	}
	if err := s.world.Add(ref.Project, pb); err != nil {
		s.t.Fatal(err)
	}
	if !slices.Contains(s.policy.Projects, ref.Project) {
		s.policy.Projects = append(s.policy.Projects, ref.Project)
	}
}

// begin sets up the job: from then on its ports may be wrapped.
func (s *stage) begin() *sim.Game {
	s.t.Helper()
	if s.game == nil {
		log := slog.New(slog.NewJSONHandler(&s.logged, &slog.HandlerOptions{ReplaceAttr: cloudNames}))
		var err error
		s.game, err = sim.NewGame(sim.Setup{Policy: s.policy, World: s.world, From: s.now,
			Every: time.Hour, Seed: 1, Log: log})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return s.game
}

// runs makes hourly runs.
func (s *stage) runs(hours int) {
	s.t.Helper()
	for range hours {
		if _, err := s.begin().Step(s.t.Context(), s.now); err != nil {
			s.t.Fatal(err)
		}
		s.now = s.now.Add(time.Hour)
	}
}

// until makes hourly runs until the shop's cluster is in the phase.
func (s *stage) until(phase record.Phase) {
	s.t.Helper()
	for range 20 * 24 {
		s.runs(1)
		contents, err := s.game.Store.Contents(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		if r, ok := contents.Rotations[shop]; (ok && r.Phase == phase) || (!ok && phase == "") {
			return
		}
	}
	s.t.Fatalf("%s never got to %q; logged:\n%s", shop, phase, s.logged.String())
}

// edit changes the fleet document as a command of a person does.
func (s *stage) edit(change func(record.FleetDoc, record.Said) record.FleetDoc) {
	s.t.Helper()
	store := s.begin().Store
	doc, err := store.Fleet(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	doc = change(doc, record.Said{By: "ann", At: s.now})
	if _, err := store.Write(s.t.Context(), state.Change{Fleet: &doc}); err != nil {
		s.t.Fatal(err)
	}
}

// outside is what somebody else does to a cluster, by GKE's own client.
func (s *stage) outside(call func(context.Context, fleet.Ref) record.Outcome) {
	s.t.Helper()
	if o := call(s.t.Context(), shop); o.State != record.Accepted {
		s.t.Fatalf("refused: %+v", o)
	}
}

// cloudNames gives slog's own fields the names that the job's log has on Cloud
// Run; TestRealLog holds the two together.
func cloudNames(groups []string, a slog.Attr) slog.Attr {
	switch {
	case len(groups) > 0:
	case a.Key == slog.LevelKey:
		level, _ := a.Value.Any().(slog.Level)
		return slog.String("severity", map[slog.Level]string{slog.LevelInfo: "INFO", slog.LevelWarn: "WARNING",
			slog.LevelError: "ERROR"}[level])
	case a.Key == slog.MessageKey:
		a.Key = "message"
	}
	return a
}

// entries are the lines as Cloud Logging stores those of the job, and what was
// routed to it.
func (s *stage) entries() []map[string]any {
	s.t.Helper()
	out := slices.Clone(s.audit)
	for line := range strings.Lines(s.logged.String()) {
		out = append(out, entry(s.t, line))
	}
	return out
}

// entry is what Cloud Logging makes of a line of a Cloud Run job.
func entry(t *testing.T, line string) map[string]any {
	t.Helper()
	var payload map[string]any
	if err := json.Unmarshal([]byte(line), &payload); err != nil {
		t.Fatalf("log line %q: %v", line, err)
	}
	severity := payload["severity"]
	maps.DeleteFunc(payload, func(name string, _ any) bool {
		return name == "severity" || name == "time" || strings.HasPrefix(name, "logging.googleapis.com/")
	})
	return map[string]any{
		"jsonPayload": payload, "severity": severity,
		"logName": "projects/acme-rotator/logs/run.googleapis.com%2Fstderr",
		"resource": map[string]any{"type": "cloud_run_job", "labels": map[string]any{"job_name": sample["JOB"],
			"location": sample["REGION"], "project_id": sample["PROJECT"]}},
	}
}

// eventsInSource lists the names of all events, from the program's source: what
// no test can forget.
func eventsInSource(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, file := range []string{"../policy/event.go", "../job/pass/log.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || !strings.HasPrefix(v.Names[0].Name, "Event") {
				return true
			}
			for _, x := range v.Values {
				if lit, ok := x.(*ast.BasicLit); ok {
					name, _ := strconv.Unquote(lit.Value)
					names = append(names, name)
				}
			}
			return true
		})
	}
	if slices.Sort(names); len(names) < 10 {
		t.Fatalf("the source was not understood: events %q", names)
	}
	return names
}

// reasonsInSource lists every code that a line can have as its reason: those
// of decisions, and what GKE meant by refusing.
func reasonsInSource() []string {
	var out []string
	for _, r := range reason.All() {
		out = append(out, string(r))
	}
	return append(out, refusals()...)
}

// refusals are the codes that action_failed has as its reason when GKE refused.
func refusals() []string {
	var out []string
	for _, r := range []record.Refusal{
		record.RequiresRecreation, record.AlreadyRotating, record.NotRotating, record.OtherOperation,
		record.StaleEtag,
		record.NotFound, record.Denied, record.Throttled, record.Invalid, record.OtherRefusal,
	} {
		out = append(out, string(r))
	}
	return out
}
