package policy

import (
	"maps"
	"reflect"
	"slices"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// observe takes operations into the record: names and times are kept when first
// seen, because GKE forgets operations.
func (k *Case) observe(r *record.Rotation) {
	if r.Pools == nil {
		r.Pools = map[string]record.Work{}
	} else {
		r.Pools = maps.Clone(r.Pools)
	}
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
		key := op.Pool
		if op.Type != fleet.OpUpgradeNodes && (op.Type != fleet.OpUpgradeMaster || !k.Cluster.Autopilot) ||
			op.Start.Before(after) {
			continue
		}
		w := r.Pools[key]
		k.observeWork(&w, op)
		if !reflect.DeepEqual(w, r.Pools[key]) {
			r.Pools[key] = w
		}
		k.observeCall(r, key, op)
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
		w.Failures++
		w.LastError = fact.Clip(op.Error, record.MaxPoolError)
		w.NotBefore = k.Now.Add(record.BackOff[min(w.Failures, len(record.BackOff))-1])
		if w.Failures >= record.FailuresBeforePeople {
			w.LeftToGKE = "it failed three times: " + w.LastError
		}
	case op.Done:
		if op.End.After(w.EndedAt) { // the newest counts: soak begins after the last
			*w = record.Work{Operation: op.Name, StartedAt: op.Start, EndedAt: op.End, FirstSeen: k.Now,
				Counted: w.Counted, VoidBefore: w.VoidBefore}
		}
	case w.EndedAt.IsZero():
		w.Operation, w.StartedAt = op.Name, op.Start
	}
}

// observeCall settles a node call by the end of its operation.
func (k *Case) observeCall(r *record.Rotation, pool string, op fleet.Operation) {
	call, ok := r.PoolCalls[pool]
	if !ok || call.Operation != op.Name || !op.Done {
		return
	}
	r.RetirePool(pool, call)
}

// expireCalls drops node calls that left nothing once absence proves it.
func (k *Case) expireCalls(r *record.Rotation) {
	if !k.Cluster.OperationsRead {
		return
	}
	for pool, call := range r.PoolCalls {
		if !call.Sent() || (call.MaySettle(k.Cluster.Seen) && !k.running(call.Operation) && !k.poolBusy(pool)) {
			r.RetirePool(pool, call)
		}
	}
}

// retire moves a settled start or complete out of its slot.
func (k *Case) retire(r *record.Rotation) {
	if r.Call == nil {
		return
	}
	r.Remember(*r.Call)
	r.Call = nil
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
	for _, op := range k.Cluster.Operations {
		if name != "" && op.Name == name {
			return op, true
		}
	}
	return fleet.Operation{}, false
}

func (k *Case) running(name string) bool {
	op, ok := k.operation(name)
	return ok && !op.Done
}

// clusterBusy names an operation on the whole cluster, or a status in which
// GKE works on it. Node work does not count: it is a phase of its own.
func (k *Case) clusterBusy() string {
	nodes := false
	for _, op := range k.Cluster.Operations {
		if !op.Done && op.Pool == "" {
			return op.Name
		}
		nodes = nodes || !op.Done
	}
	if s := k.Cluster.Status; s != fleet.Running && s != fleet.Degraded && !nodes {
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

func (k *Case) poolBusy(pool string) bool {
	for _, op := range k.Cluster.Operations {
		if !op.Done && op.Pool == pool {
			return true
		}
	}
	return false
}

func (k *Case) anyRunning() string {
	for _, op := range k.Cluster.Operations {
		if !op.Done {
			return op.Name
		}
	}
	return ""
}

// same compares what is stored, not the store's mark.
func same(a, b record.Rotation) bool {
	a.Version, b.Version = "", ""
	return reflect.DeepEqual(normal(a), normal(b))
}

// normal makes empty and absent the same, as a store would.
func normal(r record.Rotation) record.Rotation {
	if len(r.Pools) == 0 {
		r.Pools = nil
	}
	if len(r.PoolCalls) == 0 {
		r.PoolCalls = nil
	}
	if len(r.Settled) == 0 {
		r.Settled = nil
	}
	return r
}
