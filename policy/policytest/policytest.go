// Package policytest is what the tests of the rules share: a Monday, a policy, and one
// cluster, idle or in the middle of its rotation.
package policytest

import (
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// Monday is when all is at rest.
var Monday = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// Hours is so many.
func Hours(n int) time.Duration { return time.Duration(n) * time.Hour }

// A cluster of the shop, the CA it had and the one it gets.
var (
	Shop  = fleet.Ref{Project: "shop-prod", Location: "europe-west1", Name: "shop"}
	OldCA = fleet.CA{Fingerprint: "old", Issued: Monday.AddDate(-5, 0, 0), Expires: Monday.AddDate(0, 4, 0)}
	NewCA = fleet.CA{Fingerprint: "new", Issued: Monday.Add(-Hours(20)), Expires: Monday.AddDate(30, 0, 0)}
)

// Plain is a policy of plain settings.
func Plain() *rules.Policy {
	return &rules.Policy{
		Env: "test", Projects: []string{"shop-prod"}, RotateBeforeExpiry: Hours(24 * 180),
		EmergencyBeforeExpiry: Hours(24 * 45),
		EmergencyMaxActive:    5, CompromisedMaxActive: 5, ZonalComplete: rules.ZonalPeople, Soak: Hours(24),
		Approval: rules.ApproveNone,
		Nodes:    rules.NodesAuto, NodeTime: 10 * time.Minute, Adopt: rules.AdoptWatch, MaxActive: 5, MaxFailed: 1,
		StuckAfter: Hours(24), Every: time.Hour,
	}
}

// Idle is a cluster that is due and idle.
func Idle(ref fleet.Ref) fleet.Cluster {
	return fleet.Cluster{Ref: ref, ID: "id", Status: fleet.Running, Bundle: fleet.Bundle{CAs: []fleet.CA{OldCA}},
		Seen: Monday, OperationsRead: true,
		Pools: []fleet.Pool{{Name: "web", Version: "1", Nodes: 3, MaxSurge: 1, Status: fleet.Running}}}
}

// Flying gives the cluster in the middle of a rotation of ours that began 20 h
// ago, and its record.
func Flying(ref fleet.Ref, phase record.Phase) (fleet.Cluster, record.Rotation) {
	c := Idle(ref)
	c.Bundle.CAs = []fleet.CA{OldCA, NewCA}
	began := Monday.Add(-Hours(20))
	r := record.Rotation{
		Cluster: ref, ClusterID: "id", AttemptID: "a1", AttemptNo: 1, Origin: record.Ours, Managed: true,
		Baseline: record.Baseline{CA: OldCA, Status: fleet.Running}, New: NewCA,
		Phase: phase, Transitions: []record.Transition{{Phase: record.Starting, At: began},
			{Phase: phase, At: began.Add(Hours(1))}},
		StartOp:      record.Work{Operation: "start", StartedAt: began, EndedAt: began.Add(10 * time.Minute)},
		HandedOverAt: began.Add(Hours(1)),
		PoolsSeen:    []string{"web"}, Pools: map[string]record.Work{}, LastRead: Monday,
	}
	return c, r
}

// FleetOf is a fleet of one cluster, and its record if any.
func FleetOf(c fleet.Cluster, r *record.Rotation) policy.Fleet {
	f := policy.Fleet{Clusters: []fleet.Cluster{c},
		Contents: record.Contents{Known: true, Rotations: map[fleet.Ref]record.Rotation{}}}
	if r != nil {
		f.Contents.Rotations[r.Cluster] = *r
	}
	return f
}

// PlanOne is the decision for a fleet of one cluster.
func PlanOne(t *testing.T, p *rules.Policy, f policy.Fleet, now time.Time) policy.Decision {
	t.Helper()
	ds := policy.Plan(p, f, "run", now)
	if len(ds) != 1 {
		t.Fatalf("%d decisions", len(ds))
	}
	return ds[0]
}

// Ask is what the gate of that name says: before a start, or of a rotation before its
// completion.
func Ask(gate string, k *policy.Case) policy.Verdict {
	table := policy.StartGates
	if k.Rotation != nil {
		table = policy.CompleteGates
	}
	return k.Ask(table, func(g policy.Gate) bool { return g.Name == gate })[0]
}
