package pass

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/intercept"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
	"gke-credential-rotator/state"
)

// stage is a simulated GKE, a store and a clock, on which runs are played. What
// happens between two steps of a run is put into hooks.
type stage struct {
	t        *testing.T
	gke      *gkesim.World
	cloud    *gke.Cloud
	contents *state.Memory
	policy   *rules.Policy
	now      time.Time
	mono     time.Duration
	ids      int
	runs     int
}

var monday = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// shop is the cluster most tests are about.
var shop = fleet.Ref{Project: "shop", Location: "europe-west1", Name: "web"}

func newStage(t *testing.T, clusters ...fleet.Ref) *stage {
	t.Helper()
	s := &stage{t: t, gke: gkesim.New(gkesim.Options{Seed: 1, Now: monday, GKEWaits: 8 * 24 * time.Hour}),
		contents: state.NewMemory(true), now: monday}
	complete, err := window.ParseWeekly("Mon-Sun 00:00-24:00")
	if err != nil {
		t.Fatal(err)
	}
	s.policy = &rules.Policy{
		Env: "test", RotateBeforeExpiry: 180 * 24 * time.Hour, EmergencyBeforeExpiry: 45 * 24 * time.Hour,
		EmergencyMaxActive: 10,
		SoakCompromised:    4 * time.Hour, CompromisedMaxActive: 20, CompleteWindow: complete,
		ZonalComplete: rules.ZonalPeople, Soak: 24 * time.Hour, Approval: rules.ApproveNone,
		Nodes: rules.NodesAuto, NodeGrace: 0, NodeTime: 10 * time.Minute, NodeOverrun: 2 * time.Hour,
		Fit: rules.FitBind, PoolsAtOnce: 2, Adopt: rules.AdoptWatch,
		MaxActive: 10,
		MaxFailed: 1, StuckAfter: 24 * time.Hour, Every: time.Hour,
	}
	for _, ref := range clusters {
		s.add(ref, "2027-03-11", nil)
	}
	opts, stop, err := s.gke.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	if s.cloud, err = gke.Dial(t.Context(), opts...); err != nil {
		t.Fatal(err)
	}
	return s
}

// add puts a cluster with two pools into GKE, and its project into the settings.
func (s *stage) add(ref fleet.Ref, expires string, shape func(*containerpb.Cluster)) {
	s.t.Helper()
	end, err := time.Parse(time.DateOnly, expires)
	if err != nil {
		s.t.Fatal(err)
	}
	pem := gkesim.IssueCA(1, ref.String(), end.AddDate(-5, 0, 0), end)
	pb := &containerpb.Cluster{
		Name: ref.Name, Location: ref.Location, Id: "id-" + ref.Name, Status: containerpb.Cluster_RUNNING,
		Endpoint:             "34.1.2.3",
		CurrentMasterVersion: "1.33.5-gke.1080000", Locations: []string{ref.Location + "-b"},
		MasterAuth: &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(pem))},
	}
	for _, name := range []string{"a", "b"} {
		pb.NodePools = append(pb.NodePools, &containerpb.NodePool{
			Name: name, InitialNodeCount: 2, Version: pb.CurrentMasterVersion,
			Status:          containerpb.NodePool_RUNNING,
			Etag:            "etag-" + name,
			Config:          &containerpb.NodeConfig{ImageType: "COS_CONTAINERD"},
			UpgradeSettings: &containerpb.NodePool_UpgradeSettings{MaxSurge: 1},
		})
	}
	if shape != nil {
		shape(pb)
	}
	if err := s.gke.Add(ref.Project, pb); err != nil {
		s.t.Fatal(err)
	}
	if !slices.Contains(s.policy.Projects, ref.Project) {
		s.policy.Projects = append(s.policy.Projects, ref.Project)
	}
}

// pass lets time go by.
func (s *stage) pass(d time.Duration) {
	s.now, s.mono = s.now.Add(d), s.mono+d
	s.gke.Advance(s.now)
}

// process is one run's process: its ports, its log, and what befalls it.
type process struct {
	*stage
	World
	Options
	logged bytes.Buffer
	mu     sync.Mutex // guards calls and ids: workers run side by side
	calls  []string   // every port call, in order
	dead   bool       // the process was killed: no call has an effect any more

	// The hooks, each optional.
	beforeWrite func(state.Change) error
	afterWrite  func(state.Change) error // an error: applied, but reported as failed
	beforeRead  func(call string) error
	beforeSend  func()                // the last moment before the request leaves
	network     intercept.Interceptor // manages requests; an error: no clear answer
	answer      func(record.Outcome) record.Outcome
	lease       func(state.Lease) (state.Lease, bool)
}

func (s *stage) process() *process {
	s.runs++
	p := &process{stage: s}
	p.World = World{
		Read: intercept.Reader(s.cloud, p.intercept), Move: intercept.Mover(s.cloud, p.intercept),
		Store: intercept.Store(s.contents, p.intercept),
		Now:   func() time.Time { return s.now }, Mono: func() time.Duration { return s.mono },
		NewID: func() string {
			p.mu.Lock()
			defer p.mu.Unlock()
			s.ids++
			return fmt.Sprintf("id-%04d",
				s.ids)
		},
		Log: slog.New(slog.NewJSONHandler(&p.logged, nil)),
	}
	p.Options = Options{Policy: s.policy, Run: fmt.Sprintf("run-%d", s.runs), Mode: "act", Parallel: 1}
	return p
}

func (p *process) run(ctx context.Context) (Result, error) { return Run(ctx, p.World, p.Options) }

// must makes the run and fails the test if it could not be made.
func (p *process) must() Result {
	p.t.Helper()
	res, err := p.run(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return res
}

// hourly makes a run, then one every hour until the condition holds.
func (s *stage) hourly(atMost int, until func() bool) {
	s.t.Helper()
	for range atMost {
		s.process().must()
		if until() {
			return
		}
		s.pass(time.Hour)
	}
	s.t.Fatalf("not reached within %d hours: %+v", atMost, s.rotation())
}

func (p *process) called(call string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, call)
}

// events are the names that were logged.
func (p *process) events() []string {
	var out []string
	for _, line := range p.lines() {
		if name, ok := line["event"].(string); ok {
			out = append(out, name)
		}
	}
	return out
}

func (p *process) lines() []map[string]any {
	p.t.Helper()
	var out []map[string]any
	for line := range strings.Lines(p.logged.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			p.t.Fatalf("log line %q: %v", line, err)
		}
		out = append(out, m)
	}
	return out
}

// line gives the first logged line of the event.
func (p *process) line(event string) map[string]any {
	p.t.Helper()
	for _, m := range p.lines() {
		if m["event"] == event {
			return m
		}
	}
	p.t.Fatalf("event %s was not logged; logged: %v", event, p.events())
	return nil
}

func (p *process) count(call string) int {
	n := 0
	for _, c := range p.calls {
		if c == call {
			n++
		}
	}
	return n
}

// rotation is what the store holds of the shop's cluster; nil: nothing.
func (s *stage) rotation() *record.Rotation {
	s.t.Helper()
	b, err := s.contents.Contents(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if r, ok := b.Rotations[shop]; ok {
		return &r
	}
	return nil
}

func (s *stage) phase() record.Phase {
	if r := s.rotation(); r != nil {
		return r.Phase
	}
	return ""
}

func (s *stage) doc() record.FleetDoc {
	s.t.Helper()
	doc, err := s.contents.Fleet(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return doc
}

// edit changes the fleet document as a command of a person does.
func (s *stage) edit(change func(*record.FleetDoc)) {
	s.t.Helper()
	doc := s.doc()
	change(&doc)
	if _, err := s.contents.Write(s.t.Context(), state.Change{Fleet: &doc}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) history() []record.Record {
	s.t.Helper()
	records, err := s.contents.History(s.t.Context(), shop)
	if err != nil {
		s.t.Fatal(err)
	}
	return records
}

// sent lists the requests of a kind that reached GKE.
func (s *stage) sent(method string) []gkesim.Entry {
	return slices.DeleteFunc(s.gke.Journal(), func(e gkesim.Entry) bool { return e.Method != method })
}

func (s *stage) wantSent(method string, n int) {
	s.t.Helper()
	if got := s.sent(method); len(got) != n {
		s.t.Fatalf("%d %s reached GKE, want %d: %+v", len(got), method, n, got)
	}
}
