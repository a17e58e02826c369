package sim

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// rotations gathers the rotations of a forecast from the records that runs store.
type rotations struct {
	from time.Time
	all  map[string]*Turn // by attempt
}

func newRotations(s Setup) *rotations {
	t := &rotations{from: s.From, all: map[string]*Turn{}}
	for _, r := range s.Contents.Rotations {
		t.of(r).Before = true
	}
	return t
}

// of is the rotation of a record, as far as that tells.
func (t *rotations) of(r record.Rotation) *Turn {
	x := t.all[r.AttemptID]
	if x == nil {
		x = &Turn{Cluster: r.Cluster, Attempt: r.AttemptID, No: r.AttemptNo, OldCA: r.Baseline.CA, Due: r.DueAt}
		t.all[r.AttemptID] = x
	}
	x.Wave, x.Watched, x.Emergency, x.Compromised = r.Wave, !r.Managed, r.Emergency, r.Compromised
	x.Start, x.HandedOver, x.NodesDone = r.StartedAt(), r.HandedOverAt, r.Entered(record.UpdatingClients)
	if at := r.Entered(record.Starting); !at.IsZero() {
		x.Start = at
	}
	x.Completed, x.OneCA, x.Phase = r.Entered(record.Completing), r.Entered(record.Verifying), r.Phase
	return x
}

func (t *rotations) add(res pass.Result) {
	planned := map[fleet.Ref]policy.Decision{}
	for _, d := range res.Decisions {
		planned[d.Cluster.Ref] = d
		if r := d.Rotation; r != nil && t.all[r.AttemptID] != nil {
			x := t.all[r.AttemptID]
			x.Reason, x.Message = d.Reason, d.Message
			if x.Deadline.IsZero() && x.Before {
				x.Deadline = d.Due.Deadline
			}
			for _, v := range d.Gates {
				if v.Gate == policy.GateSoak && !v.Open {
					x.SoakEnds = v.OpensAt
				}
			}
		}
	}
	for _, done := range res.Done {
		r := done.After.Rotation
		if done.Skipped != "" || r == nil || r.AttemptID == "" {
			continue
		}
		x := t.of(*r)
		if done.Action == policy.Start {
			x.Deadline = planned[done.Ref].Due.Deadline
		}
		if x.SoakEnds.IsZero() {
			x.SoakEnds = r.Entered(record.Completing) // the soak was over when the nodes were done
		}
		if done.After.Close != "" {
			x.Verified, x.Closed, x.Phase = res.At, done.After.Close, ""
			x.Reason, x.Message = done.After.Reason, done.After.Message
		}
	}
}

func (t *rotations) list() []Turn {
	var out []Turn
	for _, id := range slices.Sorted(maps.Keys(t.all)) {
		out = append(out, *t.all[id])
	}
	slices.SortStableFunc(out,
		func(a, b Turn) int { return cmp.Or(a.Start.Compare(b.Start), a.Cluster.Compare(b.Cluster)) })
	return out
}
