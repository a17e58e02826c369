package pass

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/intercept"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// seenAs shows the clusters otherwise than GKE does, in lists and one by one.
type seenAs struct {
	gke.Reader
	change func(*fleet.Cluster)
}

func (s seenAs) Clusters(ctx context.Context, project string) ([]fleet.Cluster, []fleet.Unread, error) {
	cs, unread, err := s.Reader.Clusters(ctx, project)
	for i := range cs {
		s.change(&cs[i])
	}
	return cs, unread, err
}

func (s seenAs) Cluster(ctx context.Context, ref fleet.Ref) (fleet.Cluster, error) {
	c, err := s.Reader.Cluster(ctx, ref)
	s.change(&c)
	return c, err
}

func (s seenAs) Operations(ctx context.Context, project string) (map[fleet.Ref][]fleet.Operation, error) {
	ops, err := s.Reader.Operations(ctx, project)
	if c := (fleet.Cluster{Ref: shop, Operations: ops[shop]}); err == nil && project == shop.Project {
		s.change(&c)
		ops[shop] = c.Operations
	}
	return ops, err
}

// sees is a process that sees the shop's cluster changed.
func (s *stage) sees(change func(*fleet.Cluster)) *process {
	p := s.process()
	p.Read = seenAs{p.Read, func(c *fleet.Cluster) {
		if c.Ref == shop {
			change(c)
		}
	}}
	return p
}

// upgrades is an ordinary upgrade of pool a that GKE has begun.
func upgrades(began time.Time) func(*fleet.Cluster) {
	return func(c *fleet.Cluster) {
		c.Status = fleet.Reconciling
		for i := range c.Pools {
			c.Pools[i].Status = fleet.Reconciling
		}
		c.Operations = append(c.Operations,
			fleet.Operation{Name: "operation-auto-upgrade", Type: fleet.OpUpgradeNodes, Pool: "a",
				Start: began})
	}
}

// TestVerifiesBesideGKE: an upgrade by GKE that lasts for thirty hours is no damage; a pool in
// error is, also while GKE works on another.
func TestVerifiesBesideGKE(t *testing.T) {
	for _, broken := range []bool{false, true} {
		t.Run(fmt.Sprint("broken=", broken), func(t *testing.T) {
			s := newStage(t, shop)
			s.hourly(60, func() bool { return s.phase() == record.Verifying })
			began := s.now
			for range 30 {
				s.pass(time.Hour)
				p := s.sees(func(c *fleet.Cluster) {
					upgrades(began)(c)
					if broken && len(c.Pools) > 1 {
						c.Pools[1].Status = "RUNNING_WITH_ERROR"
					}
				})
				p.must()
				if len(s.history()) > 0 {
					break
				}
			}
			if h := s.history(); broken {
				if len(h) != 1 || h[0].ClosedAs != record.CompletedWithFindings ||
					!strings.Contains(strings.Join(h[0].Findings, ";"), "pool b RUNNING_WITH_ERROR") ||
					strings.Contains(strings.Join(h[0].Findings, ";"), "RECONCILING") {
					t.Errorf("closed as %+v", h)
				}
				return
			}
			if len(s.history()) != 0 || len(s.doc().Failures) != 0 {
				t.Fatalf("GKE's work counts as damage: history %d, failures %v", len(s.history()),
					s.doc().Failures)
			}
			s.pass(time.Hour)
			s.process().must()
			if h := s.history(); len(h) != 1 || h[0].ClosedAs != record.Completed {
				t.Errorf("at rest again, it is %+v", h)
			}
		})
	}
}

// TestUnrelatedOperation: what GKE does beside the rotation makes it stuck in no phase.
func TestUnrelatedOperation(t *testing.T) {
	for _, phase := range []record.Phase{record.RecreatingNodes, record.UpdatingClients} {
		t.Run(string(phase), func(t *testing.T) {
			s := newStage(t, shop)
			s.hourly(60, func() bool { return s.phase() == phase })
			began := s.now
			for range 60 {
				s.pass(time.Hour)
				p := s.sees(func(c *fleet.Cluster) {
					c.Status = fleet.Reconciling
					c.Operations = append(c.Operations, fleet.Operation{Name: "operation-repair",
						Type:  "REPAIR_CLUSTER",
						Start: began})
				})
				p.must()
				if slices.Contains(p.events(), policy.EventRotationStuck) {
					t.Fatalf("stuck %s after it began: %v", s.now.Sub(began),
						p.line(policy.EventRotationStuck))
				}
			}
			if n := len(s.doc().Failures); n != 0 {
				t.Errorf("%d count against the breaker", n)
			}
		})
	}
}

// TestGoodEndAcknowledges: a rotation that was stuck, or failed, and ended verified keeps
// no other from starting.
func TestGoodEndAcknowledges(t *testing.T) {
	s := newStage(t, shop)
	s.hourly(60, func() bool { return s.phase() == record.UpdatingClients })
	r := *s.rotation()
	r.Stuck = true
	s.put(r)
	s.pass(time.Hour)
	s.process().must()
	if f := s.doc().Failures; len(f) != 1 || f[0].What != reason.IsStuck {
		t.Fatalf("it does not count as stuck: %v", f)
	}
	s.hourly(60, func() bool { return s.rotation() == nil })
	if f := s.doc().Failures; len(f) != 0 {
		t.Errorf("verified, it still stops the fleet: %v", f)
	}
}

// TestRefusedStartHarmsNobody: a cluster whose start GKE refuses three times waits for
// people; the others start.
func TestRefusedStartHarmsNobody(t *testing.T) {
	s := newStage(t, shop)
	for range 30 {
		p := s.process()
		p.network = func(_ context.Context, c *intercept.Call, _ intercept.Next) error {
			c.Outcome = record.Outcome{State: record.Refused, Refusal: record.Invalid,
				Raw: "it cannot be rotated"}
			return nil
		}
		p.must()
		s.pass(time.Hour)
	}
	if n := s.doc().Tries[shop.String()].Count; n != 3 {
		t.Fatalf("%d tries", n)
	}
	if f := s.doc().Failures; len(f) != 0 {
		t.Errorf("nothing was harmed, and no other may start: %v", f)
	}
	s.add(yard, "2027-03-11", nil)
	s.process().must()
	s.wantSent("StartIPRotation", 1)
}

func (s *stage) put(r record.Rotation) {
	s.t.Helper()
	if _, err := s.contents.Write(s.t.Context(), state.Change{Rotation: &r}); err != nil {
		s.t.Fatal(err)
	}
}

// TestGKEWorksLong: what a due cluster waits for is named by the operation, and its people
// hear after STUCK_AFTER: once, and of it alone.
func TestGKEWorksLong(t *testing.T) {
	s := newStage(t, shop, yard)
	began, told := s.now.Add(-72*time.Hour), 0
	for h := range 60 {
		p := s.sees(func(c *fleet.Cluster) {
			c.Status = fleet.Reconciling
			c.Operations = []fleet.Operation{{Name: "operation-hangs", Type: "UPDATE_CLUSTER", Start: began}}
		})
		res := p.must()
		told += p.heard(policy.EventBlocked)
		d := res.Decisions[0]
		if d.Cluster.Ref != shop {
			d = res.Decisions[1]
		}
		switch long := h > 24; {
		case long != (d.Action == policy.NeedsAction) || long != (d.Reason == reason.GKEWorksLong):
			t.Fatalf("%d h: %s %s: %s", h, d.Action, d.Reason, d.Message)
		case h > 0 && !strings.Contains(d.Message.String(),
			"UPDATE_CLUSTER operation-hangs runs since Fri 2026-11-20 00:00"):
			t.Fatalf("%d h: it says %q", h, d.Message)
		}
		s.pass(time.Hour)
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	if n := len(s.doc().Failures); n != 0 {
		t.Errorf("%d count as failed", n)
	}
	s.wantSent("StartIPRotation", 1) // the other cluster's
	s.process().must()
	s.wantSent("StartIPRotation", 2)
	s.pass(time.Hour)
	s.process().must()
	if on := s.doc().OnGKE; len(on) != 0 {
		t.Errorf("still remembered: %v", on)
	}
}

// TestComesBackOnAnotherVersion: GKE makes no nodes of a version that it no longer offers. That is
// no damage, and both versions stand in the evidence.
func TestComesBackOnAnotherVersion(t *testing.T) {
	s := newStage(t, shop)
	s.hourly(60, func() bool { return s.phase() == record.Verifying })
	s.pass(time.Hour)
	s.sees(func(c *fleet.Cluster) {
		for i := range c.Pools[:len(c.Pools)/2] { // of two the first
			c.Pools[i].Version = "1.34.1-gke.7"
		}
	}).must()
	h := s.history()
	want := "pool a runs version 1.34.1-gke.7, before 1.33.5-gke.1080000"
	if len(h) != 1 || h[0].ClosedAs != record.Completed || len(h[0].Findings) != 1 || h[0].Findings[0] != want {
		t.Errorf("closed as %v with %v", closings(h), h[0].Findings)
	}
}

// TestSaidBeforeTheStart: in GKE's words what is wrong with a pool, and of which reservation the
// surge needs room.
func TestSaidBeforeTheStart(t *testing.T) {
	s := newStage(t)
	s.add(shop, "2027-03-11", func(pb *containerpb.Cluster) {
		gpu := pb.GetNodePools()[0]
		gpu.Status = containerpb.NodePool_RUNNING_WITH_ERROR
		gpu.Conditions = []*containerpb.StatusCondition{
			{Code: containerpb.StatusCondition_GCE_QUOTA_EXCEEDED, Message: "Quota 'GPUS' exceeded"}}
		gpu.Config.ReservationAffinity = &containerpb.ReservationAffinity{
			ConsumeReservationType: containerpb.ReservationAffinity_SPECIFIC_RESERVATION, Values: []string{"a100s"}}
	})
	d := s.process().must().Decisions[0]
	want := `pool "a" is RUNNING_WITH_ERROR: GCE_QUOTA_EXCEEDED Quota 'GPUS' exceeded`
	if d.Reason != reason.PoolUnhealthy || d.Message.String() != want {
		t.Errorf("%s: %s", d.Reason, d.Message)
	}
	p := s.sees(func(c *fleet.Cluster) {
		for i := range c.Pools {
			c.Pools[i].Status = fleet.Running
		}
	})
	if d = p.must().Decisions[0]; d.Action != policy.Start ||
		!strings.Contains(d.Message.String(), `its reservation must have room meanwhile: pool "a" in a100s for 1 more`) {
		t.Errorf("%s: %s", d.Action, d.Message)
	}
}
