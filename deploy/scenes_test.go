package deploy_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// scenes are what the alerts are for: what happens, which alerts must fire, and
// no other.
var scenes = []struct {
	name  string
	fires []string
	play  func(*stage)
}{
	{"a quiet rotation, from due to verified, fires nothing", nil, func(s *stage) {
		s.add(shop, 170)
		s.add(yard, 4000)
		s.until(policy.Verifying)
		s.until("")
		s.runs(3)
	}},
	{"held, and near its expiry", []string{"ca-expires"}, func(s *stage) {
		s.add(shop, 44)
		s.hold()
		s.runs(3)
	}},
	{"held, and one day further from it", nil, func(s *stage) {
		s.add(shop, 46)
		s.hold()
		s.runs(3)
	}},
	{"an emergency in flight counts until its completion", []string{"ca-expires"}, func(s *stage) {
		s.add(shop, 35)
		s.until(policy.UpdatingClients)
	}},
	{"the nodes are left to GKE, which does nothing", []string{"rotation-stuck"}, func(s *stage) {
		s.policy.Nodes = policy.NodesGKE
		s.add(shop, 170)
		s.runs(40)
	}},
	{"an expired CA", []string{"blocked", "ca-expires"}, func(s *stage) {
		s.add(shop, -3)
		s.runs(2)
	}},
	{"a hold catches a rotation in flight", []string{"blocked"}, func(s *stage) {
		s.add(shop, 170)
		s.until(policy.RecreatingNodes)
		s.hold()
		s.runs(2)
	}},
	{"GKE's start operation fails", []string{"action-failed"}, func(s *stage) {
		s.add(shop, 170)
		if err := s.world.Spoil(shop.Path(), "UPDATE_CLUSTER", "internal error", 1); err != nil {
			s.t.Fatal(err)
		}
		s.runs(3)
	}},
	{"GKE denies the start", []string{"action-failed"}, func(s *stage) {
		s.add(shop, 170)
		s.refusing(policy.Denied)
		s.runs(1)
	}},
	{"GKE is too busy for the start, once", nil, func(s *stage) {
		s.add(shop, 170)
		s.refusing(policy.Throttled)
		s.runs(1)
		s.game.Pass.Move = unwrap(s.game.Pass.Move)
		s.runs(6)
	}},
	{"an answer cannot be stored", []string{"action-failed"}, func(s *stage) {
		s.add(shop, 170)
		g := s.begin()
		book := &brokenBook{Store: g.Pass.Store}
		g.Pass.Store, g.Pass.Move = book, breakingMover{g.Pass.Move, book}
		if _, err := g.Step(s.t.Context(), s.now); !errors.Is(err, errBook) {
			s.t.Fatalf("the run: %v", err)
		}
	}},
	{"failures wait for a person", []string{"breaker-open"}, func(s *stage) {
		s.add(shop, 170)
		s.policy.MaxFailed = 1
		s.edit(func(doc policy.FleetDoc, said policy.Said) policy.FleetDoc {
			doc.Failures = []policy.Failure{{Cluster: yard, Attempt: "x", What: policy.IsStuck, At: said.At}}
			return doc
		})
		s.runs(2)
	}},
	{"a start waits for approval", []string{"approval-needed"}, func(s *stage) {
		s.add(shop, 170)
		s.policy.Approval = policy.ApproveStart
		s.runs(2)
	}},
	{"a completion waits for approval", []string{"approval-needed"}, func(s *stage) {
		s.add(shop, 170)
		s.policy.Approval = policy.ApproveComplete
		s.until(policy.UpdatingClients)
		s.runs(30)
	}},
	{"somebody else starts", []string{"foreign-rotation"}, func(s *stage) {
		s.add(shop, 4000)
		s.runs(1)
		s.outside(s.game.Pass.Move.Start)
		s.runs(4)
	}},
	{"somebody else completes", []string{"completed-externally"}, func(s *stage) {
		s.add(shop, 170)
		s.until(policy.UpdatingClients)
		s.outside(s.game.Pass.Move.Complete)
		s.runs(4)
	}},
	{"a project cannot be read", []string{"project-unreadable"}, func(s *stage) {
		s.add(shop, 4000)
		s.add(yard, 4000)
		if err := s.world.Suffer(gkesim.Faults{Denied: map[string]string{"yard": "permission"}}); err != nil {
			s.t.Fatal(err)
		}
		s.runs(2)
	}},
	{"the limits are too slow", []string{"capacity-short"}, func(s *stage) {
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			s.add(policy.Ref{Project: "shop", Location: "europe-west1", Name: name}, 58)
		}
		s.policy.MaxActive, s.policy.EmergencyBeforeExpiry, s.policy.Soak = 1, 32*day, 5*day
		s.runs(1)
	}},
	{"a run reaches its deadline", []string{"run-stopped"}, func(s *stage) {
		s.add(shop, 170)
		g := s.begin()
		mono := time.Duration(0)
		g.Pass.Mono = func() time.Duration { mono += time.Hour; return mono }
		if _, err := pass.Run(s.t.Context(), g.Pass, pass.Options{Policy: s.policy, Run: "slow", Mode: "act", Parallel: 1, Deadline: time.Minute}); err != nil {
			s.t.Fatal(err)
		}
	}},
	{"another run is at work", nil, func(s *stage) {
		s.add(shop, 170)
		lease := state.Lease{Holder: "another run", Now: s.now, Until: s.now.Add(time.Hour)}
		if _, err := s.begin().Store.Lease(s.t.Context(), lease); err != nil {
			s.t.Fatal(err)
		}
		s.runs(1)
	}},
	{"we start and complete, says the audit log", nil, func(s *stage) {
		s.called("google.container.v1.ClusterManager.StartIPRotation", sample["ACCOUNT"])
		s.called("google.container.v1.ClusterManager.CompleteIPRotation", sample["ACCOUNT"])
		s.called("google.container.v1.ClusterManager.SetMaintenancePolicy", "ann@acme.example")
	}},
	{"somebody starts, says the audit log", []string{"foreign-call"}, func(s *stage) {
		s.called("google.container.v1.ClusterManager.StartIPRotation", "ann@acme.example")
	}},
	{"somebody completes by v1beta1, says the audit log", []string{"foreign-call"}, func(s *stage) {
		s.called("google.container.v1beta1.ClusterManager.CompleteIPRotation", "ann@acme.example")
	}},
	{"another environment starts, says the audit log", []string{"foreign-call"}, func(s *stage) {
		s.called("google.container.v1.ClusterManager.StartIPRotation", "rotator-dev@acme-rotator.iam.gserviceaccount.com")
	}},
}

// quietEvents are warnings and errors that no alert is for, and why.
var quietEvents = map[string]string{
	"ca_expiring":               "cluster_evaluated of the same run has the same days, and ca-expires reads both; with more than CA_DAYS left nobody need hear of it",
	"action_failed/throttled":   "the next run tries again; three starts in vain are tries-exhausted, which is blocked",
	"action_failed/not-started": "the start that was refused before; the next run may try again",
}

// TestAlertsFire: each alert fires in the scenes that it is for and in no
// other, over the lines that the job really writes; and every warning is
// somebody's.
func TestAlertsFire(t *testing.T) {
	filters := logFilters(t)
	extractors := map[string]map[string]string{}
	for stem, p := range alerts(t) {
		if m := p.Conditions[0].ConditionMatchedLog; m != nil {
			extractors[stem] = m.LabelExtractors
		}
	}
	fired, heard := map[string]bool{}, map[string]bool{}
	for _, scene := range scenes {
		t.Run(scene.name, func(t *testing.T) {
			s := newStage(t)
			scene.play(s)
			got := map[string]bool{}
			for _, e := range s.entries() {
				caught := false
				for stem, filter := range filters {
					if filter.match(e) {
						got[stem], fired[stem], caught = true, true, true
						checkExtractors(t, stem, extractors[stem], e)
					}
				}
				checkLoud(t, e, caught, heard)
			}
			want := slices.Sorted(slices.Values(scene.fires))
			if names := sortedKeys(got); !slices.Equal(names, want) {
				t.Errorf("fired %q, want %q; logged:\n%s", names, want, s.logged.String())
			}
		})
	}
	for stem := range filters {
		if !fired[stem] {
			t.Errorf("%s fires in no scene", stem)
		}
	}
	events := eventsInSource(t)
	for _, name := range events {
		if !heard[name] {
			t.Errorf("no scene has the event %s, so nobody knows which alert hears it", name)
		}
	}
}

// checkLoud: a warning or an error is caught by an alert, or named as one that
// nobody need hear of.
func checkLoud(t *testing.T, e map[string]any, caught bool, heard map[string]bool) {
	t.Helper()
	event, _ := at(e, "jsonPayload.event")
	name, ok := event.(string)
	heard[name] = true
	if !ok || (e["severity"] != "WARNING" && e["severity"] != "ERROR") {
		return
	}
	reason, _ := at(e, "jsonPayload.reason")
	key := name
	if text, ok := reason.(string); ok {
		key += "/" + text
	}
	if !caught && quietEvents[name] == "" && quietEvents[key] == "" {
		t.Errorf("%s is told as %v, and no alert hears it: %v", key, e["severity"], e["jsonPayload"])
	}
}

func checkExtractors(t *testing.T, stem string, extractors map[string]string, e map[string]any) {
	t.Helper()
	for label, how := range extractors {
		field, ok := strings.CutPrefix(strings.TrimSuffix(how, ")"), "EXTRACT(")
		if _, there := at(e, field); !ok || !there {
			t.Errorf("%s: %s is %s, which this line has not: %v", stem, label, how, e)
		}
	}
}

func (s *stage) hold() {
	s.edit(func(doc policy.FleetDoc, said policy.Said) policy.FleetDoc {
		doc, _, err := doc.Hold(shop, time.Time{}, said)
		if err != nil {
			s.t.Fatal(err)
		}
		return doc
	})
}

// called is an entry of GKE's audit log, with the fields that Google documents.
func (s *stage) called(method, who string) {
	s.audit = append(s.audit, map[string]any{
		"logName":  "projects/shop/logs/cloudaudit.googleapis.com%2Factivity",
		"severity": "NOTICE",
		"resource": map[string]any{"type": "gke_cluster", "labels": map[string]any{"cluster_name": "web", "location": "europe-west1", "project_id": "shop"}},
		"protoPayload": map[string]any{
			"methodName": method, "resourceName": shop.Path(), "authenticationInfo": map[string]any{"principalEmail": who},
		},
	})
}

// refusing lets GKE refuse every start.
func (s *stage) refusing(why policy.Refusal) {
	g := s.begin()
	g.Pass.Move = refuser{g.Pass.Move, why}
}

type refuser struct {
	gke.Mover
	why policy.Refusal
}

func (r refuser) Start(context.Context, policy.Ref) policy.Outcome {
	return policy.Outcome{State: policy.Refused, Refusal: r.why, Raw: "so says GKE"}
}

func unwrap(m gke.Mover) gke.Mover { return m.(refuser).Mover }

var errBook = errors.New("the book is out of reach")

// brokenBook takes nothing any more once it is broken.
type brokenBook struct {
	state.Store
	broken bool
}

func (b *brokenBook) Write(ctx context.Context, c state.Change) (state.Change, error) {
	if b.broken {
		return c, errBook
	}
	return b.Store.Write(ctx, c)
}

// breakingMover breaks the book after its call.
type breakingMover struct {
	gke.Mover
	book *brokenBook
}

func (m breakingMover) Start(ctx context.Context, ref policy.Ref) policy.Outcome {
	defer func() { m.book.broken = true }()
	return m.Mover.Start(ctx, ref)
}

// rotator builds the program once.
var rotator = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rotator-deploy-test-")
	if err != nil {
		return "", err
	}
	atEnd(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "rotator")
	out, err := exec.Command("go", "build", "-o", path, "../job").CombinedOutput()
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return path, nil
})

// TestRealLog: the program itself, on Cloud Run, writes lines of the form that
// the scenes are judged by. It begins a run and finds no book.
func TestRealLog(t *testing.T) {
	path, err := rotator()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = []string{
		"CLOUD_RUN_JOB=" + sample["JOB"], "CLOUD_RUN_EXECUTION=rotator-test-x7k2p", "FIRESTORE_EMULATOR_HOST=127.0.0.1:1",
		"ROTATOR_ENV=test", "ROTATOR_PROJECTS=shop-test", "ROTATOR_STATE=firestore://shop-test/rotator-test", "ROTATOR_GKE_ENDPOINT=127.0.0.1:1",
	}
	lines, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(lines).ReadString('\n')
	cancel()
	_ = cmd.Wait() // it was killed
	if err != nil {
		t.Fatalf("no line: %v", err)
	}
	got := entry(t, line)
	s := newStage(t)
	s.add(shop, 4000)
	s.runs(1)
	want := s.entries()[0]
	names := func(e map[string]any) []string {
		payload, _ := e["jsonPayload"].(map[string]any)
		return sortedKeys(payload)
	}
	if !slices.Equal(names(got), names(want)) || got["jsonPayload"].(map[string]any)["event"] != pass.EventRunStarted {
		t.Errorf("the program's first line has %q, the scenes' %q:\n%s", names(got), names(want), line)
	}
}
