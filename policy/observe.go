package policy

import (
	"reflect"
	"slices"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// observe takes operations into the record: names and times are kept when first
// seen, because GKE forgets operations.
func (k *Case) observe(r *record.Rotation) {
	r.Pools = record.CloneMap(r.Pools)
	if r.Call != nil && r.Call.Kind == record.CallStart && r.Call.Operation != "" && r.StartOp.EndedAt.IsZero() {
		if op, ok := k.operation(r.Call.Operation); ok {
			r.StartOp = record.Work{Operation: op.Name, StartedAt: op.Start, EndedAt: op.End}
		}
	}
	after := r.NodesFrom()
	if after.IsZero() {
		return
	}
	ops := slices.Clone(k.Cluster.Operations)
	slices.SortStableFunc(ops, func(a, b fleet.Operation) int { return a.Start.Compare(b.Start) })
	for _, op := range ops {
		if op.Type != fleet.OpUpgradeNodes && (op.Type != fleet.OpUpgradeMaster || !k.Cluster.Autopilot) ||
			op.Start.Before(after) {
			continue
		}
		w := r.Pools[op.Pool]
		k.observeWork(&w, op)
		if !reflect.DeepEqual(w, r.Pools[op.Pool]) {
			r.Pools[op.Pool] = w
		}
		k.observeCall(r, op)
	}
	k.expireCalls(r)
}

// observeWork takes one node operation as proof, progress or failure.
func (k *Case) observeWork(w *record.Work, op fleet.Operation) {
	switch {
	case !op.Start.After(w.VoidBefore) && !w.VoidBefore.IsZero():
	case op.Done && op.Error != "":
		if slices.Contains(w.Counted, op.Name) {
			return
		}
		w.Counted = append(slices.Clone(w.Counted), op.Name)
		if n := len(w.Counted); n > record.MaxCounted {
			w.Counted = w.Counted[n-record.MaxCounted:]
		}
		if w.Fail(op.Error, k.Now) >= record.FailuresBeforePeople {
			w.LeftToGKE = "it failed three times: " + w.LastError
		}
	case op.Done:
		if op.End.After(w.EndedAt) { // the newest counts: soak begins after the last
			*w = record.Work{Operation: op.Name, StartedAt: op.Start, EndedAt: op.End, FirstSeen: k.Now,
				Counted: w.Counted, VoidBefore: w.VoidBefore}
		}
	case w.EndedAt.IsZero():
		if op.Name != w.Operation || op.NodesDone > w.NodesDone {
			w.NodesDone, w.RoseAt = op.NodesDone, k.Now
		}
		w.Operation, w.StartedAt = op.Name, op.Start
	}
}

// observeCall settles a node call by the end of its operation.
func (k *Case) observeCall(r *record.Rotation, op fleet.Operation) {
	if call, ok := r.PoolCalls[op.Pool]; ok && call.Operation == op.Name && op.Done {
		r.RetirePool(op.Pool, call)
	}
}

// expireCalls drops node calls that left nothing once absence proves it.
func (k *Case) expireCalls(r *record.Rotation) {
	if !k.Cluster.OperationsRead {
		return
	}
	for pool, call := range r.PoolCalls {
		if !call.Sent() || call.MaySettle(k.Cluster.Seen) && !k.running(call.Operation) &&
			k.Cluster.RunsOn(pool) == "" {
			r.RetirePool(pool, call)
		}
	}
}

// findStartOp looks for the operation that made the second CA: with an intent
// of ours the first since then; else the last, for counting from too late only
// recreates a pool once too often.
func (k *Case) findStartOp(r *record.Rotation) {
	if !r.StartOp.EndedAt.IsZero() {
		return
	}
	since, first := r.New.Issued, false
	if r.Call != nil && r.Call.Kind == record.CallStart {
		since, first = r.Call.IntentAt.Add(-record.Skew), true
	}
	for _, op := range k.Cluster.Operations {
		if op.Type != fleet.OpUpdateCluster || !op.Done || op.Error != "" || op.Start.Before(since) {
			continue
		}
		if r.StartOp.Operation == "" || op.Start.Before(r.StartOp.StartedAt) == first {
			r.StartOp = record.Work{Operation: op.Name, StartedAt: op.Start, EndedAt: op.End}
		}
	}
}

func (k *Case) operation(name string) (fleet.Operation, bool) {
	i := slices.IndexFunc(k.Cluster.Operations, func(op fleet.Operation) bool { return op.Name == name })
	if i < 0 || name == "" {
		return fleet.Operation{}, false
	}
	return k.Cluster.Operations[i], true
}

func (k *Case) running(name string) bool {
	op, ok := k.operation(name)
	return ok && !op.Done
}

// clusterBusy names an operation on the whole cluster, or a status in which
// GKE works on it. Node work does not count: it is a phase of its own.
func (k *Case) clusterBusy() string {
	if op := k.Cluster.RunsOn(""); op != "" {
		return op
	}
	if s := k.Cluster.Status; s != fleet.Running && s != fleet.Degraded && k.Cluster.Runs() == "" {
		return "status " + string(s)
	}
	return ""
}

// busySince says why absence does not prove anything yet: an operation runs,
// or one on the cluster that began after the intent ended too recently for
// every read to show its effect.
func (k *Case) busySince(call record.Call) string {
	if busy := k.Cluster.Busy(); busy != "" {
		return busy
	}
	for _, op := range k.Cluster.Operations {
		if op.Type == fleet.OpUpdateCluster && op.Error == "" &&
			!op.Start.Before(call.IntentAt.Add(-record.Skew)) &&
			k.Cluster.Seen.Before(op.End.Add(record.SettleAfter)) {
			return op.Name
		}
	}
	return ""
}

// same compares what is stored, not the store's mark; empty and absent are the same.
func same(a, b record.Rotation) bool {
	for _, r := range []*record.Rotation{&a, &b} {
		r.Version = ""
		if len(r.Pools) == 0 {
			r.Pools = nil
		}
		if len(r.PoolCalls) == 0 {
			r.PoolCalls = nil
		}
		if len(r.Settled) == 0 {
			r.Settled = nil
		}
	}
	return reflect.DeepEqual(a, b)
}
