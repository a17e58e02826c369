package pass

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/window"
	"gke-credential-rotator/state"
)

// stage is a simulated GKE, a book and a clock, on which runs are played. What
// happens between two steps of a run is put into hooks.
type stage struct {
	t      *testing.T
	gke    *gkesim.World
	cloud  *gke.Cloud
	book   *state.File
	policy *policy.Policy
	now    time.Time
	mono   time.Duration
	ids    int
	runs   int
}

var monday = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// shop is the cluster most tests are about.
var shop = policy.Ref{Project: "shop", Location: "europe-west1", Name: "web"}

func newStage(t *testing.T, clusters ...policy.Ref) *stage {
	t.Helper()
	s := &stage{t: t, gke: gkesim.New(gkesim.Options{Seed: 1, Now: monday, GKEWaits: 8 * 24 * time.Hour}), now: monday}
	complete, err := window.ParseWeekly("Mon-Sun 00:00-24:00")
	if err != nil {
		t.Fatal(err)
	}
	s.policy = &policy.Policy{
		Env: "test", RotateBeforeExpiry: 180 * 24 * time.Hour, EmergencyBeforeExpiry: 45 * 24 * time.Hour, EmergencyMaxActive: 10,
		SoakUrgent: 4 * time.Hour, UrgentMaxActive: 20, CompleteWindow: complete, ZonalComplete: policy.ZonalPeople, Soak: 24 * time.Hour, Approval: policy.ApproveNone,
		Nodes: policy.NodesAuto, NodeGrace: 0, NodeTime: 10 * time.Minute, PoolsAtOnce: 2, Adopt: policy.AdoptWatch, MaxActive: 10,
		MaxFailed: 1, StuckAfter: 24 * time.Hour, Every: time.Hour,
	}
	for _, ref := range clusters {
		s.add(ref, "2027-03-11", nil)
	}
	s.book, err = state.OpenFile(filepath.Join(t.TempDir(), "book.db"), state.FileOptions{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.book.Close() })
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
func (s *stage) add(ref policy.Ref, expires string, shape func(*containerpb.Cluster)) {
	s.t.Helper()
	end, err := time.Parse(time.DateOnly, expires)
	if err != nil {
		s.t.Fatal(err)
	}
	pem := gkesim.IssueCA(1, ref.String(), end.AddDate(-5, 0, 0), end)
	pb := &containerpb.Cluster{
		Name: ref.Name, Location: ref.Location, Id: "id-" + ref.Name, Status: containerpb.Cluster_RUNNING, Endpoint: "34.1.2.3",
		CurrentMasterVersion: "1.33.5-gke.1080000", Locations: []string{ref.Location + "-b"},
		MasterAuth: &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(pem))},
	}
	for _, name := range []string{"a", "b"} {
		pb.NodePools = append(pb.NodePools, &containerpb.NodePool{
			Name: name, InitialNodeCount: 2, Version: pb.CurrentMasterVersion, Status: containerpb.NodePool_RUNNING, Etag: "etag-" + name,
			Config: &containerpb.NodeConfig{ImageType: "COS_CONTAINERD"}, UpgradeSettings: &containerpb.NodePool_UpgradeSettings{MaxSurge: 1},
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
	calls  []string // every port call, in order
	dead   bool     // the process was killed: no call has an effect any more

	// The hooks, each optional.
	beforeWrite func(state.Change) error
	afterWrite  func(state.Change) error // an error: applied, but reported as failed
	beforeRead  func(call string) error
	beforeSend  func() // the last moment before the request leaves
	answer      func(policy.Outcome) policy.Outcome
	lease       func(state.Lease) (state.Lease, bool)
}

func (s *stage) process() *process {
	s.runs++
	p := &process{stage: s}
	p.World = World{
		Read: reader{p}, Move: mover{p}, Store: book{s.book, p},
		Now: func() time.Time { return s.now }, Mono: func() time.Duration { return s.mono },
		NewID: func() string { s.ids++; return fmt.Sprintf("id-%04d", s.ids) },
		Log:   slog.New(slog.NewJSONHandler(&p.logged, nil)),
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

// rotation is what the book holds of the shop's cluster; nil: nothing.
func (s *stage) rotation() *policy.Rotation {
	s.t.Helper()
	b, err := s.book.Book(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if r, ok := b.Rotations[shop]; ok {
		return &r
	}
	return nil
}

func (s *stage) phase() policy.Phase {
	if r := s.rotation(); r != nil {
		return r.Phase
	}
	return ""
}

func (s *stage) doc() policy.FleetDoc {
	s.t.Helper()
	doc, err := s.book.Fleet(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return doc
}

// edit changes the fleet document as a command of a person does.
func (s *stage) edit(change func(*policy.FleetDoc)) {
	s.t.Helper()
	doc := s.doc()
	change(&doc)
	if _, err := s.book.Write(s.t.Context(), state.Change{Fleet: &doc}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) history() []policy.Record {
	s.t.Helper()
	records, err := s.book.History(s.t.Context(), shop)
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

var errDead = errors.New("the process is dead")

type reader struct{ p *process }

func (r reader) begin(call string) error {
	if r.p.dead {
		return errDead
	}
	r.p.calls = append(r.p.calls, call)
	if r.p.beforeRead != nil {
		return r.p.beforeRead(call)
	}
	return nil
}

func (r reader) Clusters(ctx context.Context, project string) ([]policy.Cluster, []policy.Unread, error) {
	if err := r.begin("clusters " + project); err != nil {
		return nil, nil, err
	}
	return r.p.cloud.Clusters(ctx, project)
}

func (r reader) Cluster(ctx context.Context, ref policy.Ref) (policy.Cluster, error) {
	if err := r.begin("cluster " + ref.Name); err != nil {
		return policy.Cluster{}, err
	}
	return r.p.cloud.Cluster(ctx, ref)
}

func (r reader) Operations(ctx context.Context, project string) (map[policy.Ref][]policy.Operation, error) {
	if err := r.begin("operations " + project); err != nil {
		return nil, err
	}
	return r.p.cloud.Operations(ctx, project)
}

type mover struct{ p *process }

func (m mover) send(call string, do func() policy.Outcome) policy.Outcome {
	if m.p.dead {
		return policy.Outcome{State: policy.Unclear, Raw: errDead.Error()}
	}
	m.p.calls = append(m.p.calls, call)
	if m.p.beforeSend != nil {
		m.p.beforeSend()
	}
	o := do()
	if m.p.answer != nil {
		o = m.p.answer(o)
	}
	return o
}

func (m mover) Start(ctx context.Context, ref policy.Ref) policy.Outcome {
	return m.send("start "+ref.Name, func() policy.Outcome { return m.p.cloud.Start(ctx, ref) })
}

func (m mover) Complete(ctx context.Context, ref policy.Ref) policy.Outcome {
	return m.send("complete "+ref.Name, func() policy.Outcome { return m.p.cloud.Complete(ctx, ref) })
}

func (m mover) Recreate(ctx context.Context, ref policy.Ref, target policy.Pool) policy.Outcome {
	return m.send("recreate "+target.Name, func() policy.Outcome { return m.p.cloud.Recreate(ctx, ref, target) })
}

type book struct {
	state.Store
	p *process
}

func (b book) begin(call string) error {
	if b.p.dead {
		return errDead
	}
	b.p.calls = append(b.p.calls, call)
	return nil
}

func (b book) Book(ctx context.Context) (policy.Book, error) {
	if err := b.begin("book"); err != nil {
		return policy.Book{}, err
	}
	return b.Store.Book(ctx)
}

func (b book) Fleet(ctx context.Context) (policy.FleetDoc, error) {
	if err := b.begin("fleet"); err != nil {
		return policy.FleetDoc{}, err
	}
	return b.Store.Fleet(ctx)
}

func (b book) History(ctx context.Context, ref policy.Ref) ([]policy.Record, error) {
	if err := b.begin("history"); err != nil {
		return nil, err
	}
	return b.Store.History(ctx, ref)
}

func (b book) Lease(ctx context.Context, l state.Lease) (state.Lease, error) {
	if b.p.dead {
		return state.Lease{}, errDead
	}
	if b.p.lease != nil {
		if held, ok := b.p.lease(l); ok {
			return held, nil
		}
	}
	return b.Store.Lease(ctx, l)
}

func (b book) Write(ctx context.Context, c state.Change) (state.Change, error) {
	if err := b.begin("write"); err != nil {
		return c, err
	}
	if err := ctx.Err(); err != nil {
		return c, err
	}
	if b.p.beforeWrite != nil {
		if err := b.p.beforeWrite(c); err != nil {
			return c, err
		}
	}
	got, err := b.Store.Write(ctx, c)
	if err == nil && b.p.afterWrite != nil {
		if err := b.p.afterWrite(c); err != nil {
			return c, err
		}
	}
	return got, err
}

// intent says whether the write stores an intent of that kind.
func intends(c state.Change, kind policy.CallKind) bool {
	if c.Rotation == nil {
		return false
	}
	if kind == policy.CallRecreate {
		for _, call := range c.Rotation.PoolCalls {
			if call.State == policy.Intended {
				return true
			}
		}
		return false
	}
	return c.Rotation.Call != nil && c.Rotation.Call.Kind == kind && c.Rotation.Call.State == policy.Intended
}

// after runs f once, right after the first intent of that kind is stored.
func (p *process) after(kind policy.CallKind, f func()) {
	done := false
	p.afterWrite = func(c state.Change) error {
		if !done && intends(c, kind) {
			done = true
			f()
		}
		return nil
	}
}

// alone lets the process believe that it holds the lease: correctness never
// depends on it.
func (p *process) alone() *process {
	p.lease = func(l state.Lease) (state.Lease, bool) { return l, true }
	return p
}

// refusing is a GKE that refuses completions: no request takes effect.
type refusing struct{ mover }

func (r refusing) Complete(context.Context, policy.Ref) policy.Outcome {
	return r.send("complete", func() policy.Outcome { return policy.Outcome{} })
}

// silent is a network that swallows starts.
type silent struct{ mover }

func (r silent) Start(context.Context, policy.Ref) policy.Outcome {
	return r.send("start", func() policy.Outcome { return policy.Outcome{State: policy.Unclear, Raw: "deadline exceeded"} })
}

// noHistory is a book whose history cannot be read.
type noHistory struct{ state.Store }

func (noHistory) History(context.Context, policy.Ref) ([]policy.Record, error) {
	return nil, errors.New("permission denied")
}
