package deploy_test

import (
	"context"
	"errors"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/operator"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
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
		s.until(record.Verifying)
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
		s.until(record.UpdatingClients)
	}},
	{"the nodes are left to GKE, which does nothing", []string{"rotation-stuck"}, func(s *stage) {
		s.policy.Nodes = rules.NodesGKE
		s.add(shop, 170)
		s.runs(40)
	}},
	{"an expired CA", []string{"blocked", "ca-expires"}, func(s *stage) {
		s.add(shop, -3)
		s.runs(2)
	}},
	{"an expired CA, after everything was told once", []string{"blocked", "ca-expires"}, func(s *stage) {
		s.add(shop, -3)
		s.runs(2)
		s.logged.Reset()
		s.runs(1)
	}},
	{"a hold catches a rotation in flight", []string{"blocked"}, func(s *stage) {
		s.add(shop, 170)
		s.until(record.RecreatingNodes)
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
		s.once(record.Outcome{State: record.Refused, Refusal: record.Denied})
	}},
	{"GKE is too busy for the start, once", nil, func(s *stage) {
		s.add(shop, 170)
		s.once(record.Outcome{State: record.Refused, Refusal: record.Throttled})
	}},
	{"another operation runs, once", nil, func(s *stage) {
		s.add(shop, 170)
		s.once(record.Outcome{State: record.Refused, Refusal: record.OtherOperation})
	}},
	{"GKE gives no clear answer, once", nil, func(s *stage) {
		s.add(shop, 170)
		s.once(record.Outcome{State: record.Unclear})
	}},
	{"somebody changes the pool just before our call", nil, func(s *stage) {
		s.add(shop, 170)
		s.until(record.Starting)
		s.once(record.Outcome{State: record.Refused, Refusal: record.StaleEtag})
	}},
	{"an answer cannot be stored", []string{"action-failed"}, func(s *stage) {
		s.add(shop, 170)
		g := s.begin()
		contents := &brokenStore{Store: g.Pass.Store}
		g.Pass.Store, g.Pass.Move = contents, breakingMover{g.Pass.Move, contents}
		if _, err := g.Step(s.t.Context(), s.now); !errors.Is(err, errStore) {
			s.t.Fatalf("the run: %v", err)
		}
	}},
	{"failures wait for a person", []string{"breaker-open"}, func(s *stage) {
		s.add(shop, 170)
		s.policy.MaxFailed = 1
		s.edit(func(doc record.FleetDoc, said record.Said) record.FleetDoc {
			doc.Failures = []record.Failure{{Cluster: yard, Attempt: "x", What: reason.IsStuck, At: said.At}}
			return doc
		})
		s.runs(2)
	}},
	{"a start waits for approval", []string{"approval-needed"}, func(s *stage) {
		s.add(shop, 170)
		s.policy.Approval = rules.ApproveStart
		s.runs(2)
	}},
	{"a completion waits for approval", []string{"approval-needed"}, func(s *stage) {
		s.add(shop, 170)
		s.policy.Approval = rules.ApproveComplete
		s.until(record.UpdatingClients)
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
		s.until(record.UpdatingClients)
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
			s.add(fleet.Ref{Project: "shop", Location: "europe-west1", Name: name}, 58)
		}
		s.policy.MaxActive, s.policy.EmergencyBeforeExpiry, s.policy.Soak = 1, 32*day, 5*day
		s.runs(1)
	}},
	{"a run reaches its deadline", []string{"run-stopped"}, func(s *stage) {
		s.add(shop, 170)
		g := s.begin()
		mono := time.Duration(0)
		g.Pass.Mono = func() time.Duration { mono += time.Hour; return mono }
		if _, err := pass.Run(s.t.Context(), g.Pass, pass.Options{Policy: s.policy, Run: "slow", Mode: "act",
			Parallel: 1, Deadline: time.Minute}); err != nil {
			s.t.Fatal(err)
		}
	}},
	{"the clock is three hours away from GKE's", []string{"run-stopped"}, func(s *stage) {
		s.add(shop, 170)
		g := s.begin()
		g.Pass.Date = func() time.Time { return s.now.Add(3 * time.Hour) }
		if _, err := pass.Run(s.t.Context(), g.Pass, pass.Options{Policy: s.policy, Run: "wrong", Mode: "act",
			Parallel: 1, Deadline: time.Minute, Apart: record.Skew}); err == nil {
			s.t.Error("it ran")
		}
	}},
	{"no answer says what time it is", nil, func(s *stage) {
		s.add(shop, 170)
		g := s.begin()
		g.Pass.Date = func() time.Time { return time.Time{} }
		if _, err := pass.Run(s.t.Context(), g.Pass, pass.Options{Policy: s.policy, Run: "unknown", Mode: "act",
			Parallel: 1, Deadline: time.Minute, Apart: record.Skew}); err != nil {
			s.t.Fatal(err)
		}
	}},
	{"another run is at work", nil, func(s *stage) {
		s.add(shop, 170)
		lease := state.Lease{Holder: "another run", Now: s.now, Until: s.now.Add(state.LeaseLasts)}
		if _, err := s.begin().Store.Lease(s.t.Context(), lease); err != nil {
			s.t.Fatal(err)
		}
		s.runs(1)
	}},
	{"a call is taken back before it is sent, once", nil, func(s *stage) {
		s.add(shop, 170)
		s.blind()
		s.runs(1)
	}},
	{"a call is taken back before it is sent, twice in a row", []string{"blocked"}, func(s *stage) {
		s.add(shop, 170)
		s.blind()
		s.runs(2)
	}},
	{"a receiver of notifications takes nothing, and is given up in the end", []string{"blocked"}, func(s *stage) {
		s.add(shop, 170)
		s.begin().Pass.Notify = []pass.Receiver{deaf{}}
		s.until(record.UpdatingClients)
		s.runs(30)
	}},
	{"we start and complete, says the audit log", nil, func(s *stage) {
		s.called("google.container.v1.ClusterManager.StartIPRotation", sample["ACCOUNT"])
		s.called("google.container.v1.ClusterManager.CompleteIPRotation", sample["ACCOUNT"])
		s.called("google.container.v1.ClusterManager.SetMaintenancePolicy", "ann@acme.example")
		s.audited(auditRefused, "google.container.v1.ClusterManager.CompleteIPRotation", sample["ACCOUNT"])
	}},
	{"somebody starts, says the audit log", []string{"foreign-call"}, func(s *stage) {
		s.called("google.container.v1.ClusterManager.StartIPRotation", "ann@acme.example")
	}},
	{"somebody completes by v1beta1, says the audit log", []string{"foreign-call"}, func(s *stage) {
		s.called("google.container.v1beta1.ClusterManager.CompleteIPRotation", "ann@acme.example")
	}},
	{"somebody is refused by v1alpha1, says the audit log", []string{"foreign-call"}, func(s *stage) {
		s.audited(auditRefused, "google.container.v1alpha1.ClusterManager.CompleteIPRotation", "ann@acme.example")
	}},
	{"somebody's call is done at once, says the audit log", []string{"foreign-call"}, func(s *stage) {
		s.audited(auditAtOnce, "google.container.v1.ClusterManager.CompleteIPRotation", "ann@acme.example")
	}},
	{"another environment starts, says the audit log", []string{"foreign-call"}, func(s *stage) {
		s.called("google.container.v1.ClusterManager.StartIPRotation",
			"rotator-dev@acme-rotator.iam.gserviceaccount.com")
	}},
}

func (s *stage) hold() {
	s.edit(func(doc record.FleetDoc, said record.Said) record.FleetDoc {
		doc, _, err := operator.Hold(doc, record.TheCluster(shop), time.Time{}, said)
		if err != nil {
			s.t.Fatal(err)
		}
		return doc
	})
}

// called is a call that GKE took, as its audit log has it: with its operation's
// begin and end.
func (s *stage) called(method, who string) {
	s.audited(auditBegin, method, who)
	s.audited(auditEnd, method, who)
}

// audited is one entry of GKE's audit log.
func (s *stage) audited(recorded, method, who string) {
	s.t.Helper()
	e, _ := auditEntry(s.t, recorded, method, who)
	s.audit = append(s.audit, e)
}

// once lets GKE answer so to the calls of one run, and makes some more.
func (s *stage) once(o record.Outcome) {
	g := s.begin()
	o.Raw = "so says GKE"
	real := g.Pass.Move
	g.Pass.Move = answers{real, o}
	s.runs(1)
	g.Pass.Move = real
	s.runs(3)
}

// blind takes the right to list operations away.
func (s *stage) blind() {
	g := s.begin()
	g.Pass.Read = noOperations{g.Pass.Read}
}

type noOperations struct{ gke.Reader }

func (noOperations) Operations(context.Context, string) (map[fleet.Ref][]fleet.Operation, error) {
	return nil, errors.New("PermissionDenied: container.operations.list")
}

// answers gives one answer to starts and pools, and sends nothing.
type answers struct {
	gke.Mover
	always record.Outcome
}

func (a answers) Start(context.Context, fleet.Ref) record.Outcome { return a.always }
func (a answers) Recreate(context.Context, fleet.Ref, fleet.Pool) record.Outcome {
	return a.always
}

// deaf is a receiver that refuses everything.
type deaf struct{}

func (deaf) Name() string                                { return "deaf" }
func (deaf) Notify(context.Context, record.Notice) error { return pass.ErrRefused }

var errStore = errors.New("the store is out of reach")

// brokenStore takes nothing any more once it is broken.
type brokenStore struct {
	state.Store
	broken bool
}

func (b *brokenStore) Write(ctx context.Context, c state.Change) (state.Change, error) {
	if b.broken {
		return c, errStore
	}
	return b.Store.Write(ctx, c)
}

// breakingMover breaks the store after its call.
type breakingMover struct {
	gke.Mover
	contents *brokenStore
}

func (m breakingMover) Start(ctx context.Context, ref fleet.Ref) record.Outcome {
	defer func() { m.contents.broken = true }()
	return m.Mover.Start(ctx, ref)
}
