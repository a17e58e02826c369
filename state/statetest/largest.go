package statetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// long is a text of n bytes.
func long(n int) string { return strings.Repeat("x", n) }

// Largest gives a rotation and a fleet document at every limit that the rules
// keep to, on names as long as GKE allows: forty node pools, of which each
// failed to the end.
func Largest() (record.Rotation, record.FleetDoc) { return rotationOf(40, true), largestFleet() }

// ManyPools gives a rotation of two hundred node pools that all went well.
func ManyPools() record.Rotation { return rotationOf(200, false) }

func rotationOf(pools int, failing bool) record.Rotation {
	name := func(i int) string { return fmt.Sprintf("pool-%03d-%s", i, long(31)) } // 40 letters
	call := func(pool string) record.Call {
		c := record.Call{ID: long(32), Kind: record.CallRecreate, Pool: pool, IntentAt: begin, Run: long(63),
			State: record.Accepted, Operation: long(60), AnsweredAt: begin}
		if failing {
			c.State, c.RawError = record.Refused, long(record.MaxMessage)
		}
		return c
	}
	r := rotation("largest", long(32))
	one := call("")
	r.Call = &one
	r.Baseline.Pools, r.Pools, r.PoolCalls = map[string]fleet.Status{}, map[string]record.Work{},
		map[string]record.Call{}
	r.Transitions = nil
	for range record.MaxTransitions {
		r.Transitions = append(r.Transitions, record.Transition{Phase: record.RecreatingNodes, At: begin,
			Run: long(63), Reason: reason.CompleteLeftNone})
	}
	for i := range record.MaxSettled {
		r.Settled = append(r.Settled, call(name(i)))
	}
	for i := range pools {
		w := record.Work{Operation: long(60), StartedAt: begin, EndedAt: begin, FirstSeen: begin}
		if failing {
			w.Failures, w.LastError, w.LeftToGKE = 3, long(record.MaxMessage), long(record.MaxMessage)
			w.Counted, w.VoidBefore, w.NotBefore = []string{long(60), long(60), long(60)}, begin, begin
			r.PoolCalls[name(i)] = call(name(i))
		}
		r.PoolsSeen = append(r.PoolsSeen, name(i))
		r.Baseline.Pools[name(i)] = fleet.Running
		r.Pools[name(i)] = w
	}
	if !failing {
		r.PoolCalls = nil
	}
	return r
}

func largestFleet() record.FleetDoc {
	doc := record.FleetDoc{Env: "prod", Slots: map[string]record.Slot{}, Blocked: map[string]reason.Code{},
		Tries: map[string]record.Try{}}
	for i := range record.MaxBlocked {
		cluster := fmt.Sprintf("%s/northamerica-northeast1/%s-%03d", long(30), long(36), i)
		doc.Blocked[cluster] = reason.MaintenanceUnknown
		if i < 100 {
			doc.Slots[cluster] = record.Slot{Attempt: long(32), Since: begin, Emergency: true}
			doc.Tries[cluster] = record.Try{ClusterID: long(32), CA: fleet.Fingerprint(long(64)), Count: 2,
				NotBefore: begin, LastError: long(record.MaxMessage)}
		}
	}
	doc.Insights, doc.Mismatches = map[string]record.InsightNote{}, map[string]record.Mismatch{}
	for i := range 300 {
		place := record.InsightPlace{Project: fmt.Sprintf("%s-%03d", long(26), i),
			Location: "northamerica-northeast1"}
		doc.Insights[place.String()] = record.InsightNote{At: begin, Answered: true}
		if i < 50 {
			doc.Mismatches[place.String()+"/"+long(40)] = record.Mismatch{What: record.InsightMissing,
				CA: fleet.Fingerprint(long(64))}
		}
	}
	return doc
}

// badNames: a cluster whose name would break an id, or would not be read again,
// is never stored: the rest of the store stays readable.
func badNames(t *testing.T, s state.Store) {
	good := rotation("good", "one")
	if _, err := s.Write(context.Background(), state.Change{Rotation: &good}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"a/b", "..", "a\nb", "__a__", "", "\xff", "a\x00", long(201),
		"../../fleet/fleet"} {
		r := rotation("x", "two")
		r.Cluster.Name = bad
		if _, err := s.Write(context.Background(), state.Change{Rotation: &r}); err == nil ||
			errors.Is(err, state.ErrConflict) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.20q was stored, or the error is odd: %v", bad, err)
		}
	}
	contents, err := s.Contents(context.Background())
	if err != nil || len(contents.Rotations) != 1 {
		t.Errorf("%d rotations, error %v", len(contents.Rotations), err)
	}
}
