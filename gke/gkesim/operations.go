package gkesim

import (
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
)

// operation is one of the simulated GKE's long-running operations.
type operation struct {
	name, kind, pool string
	start, end       time.Time
	done             bool
	failure          string
	effect           func()                 // what its success brings
	spoilt           func()                 // what its failure brings; nil: nothing
	recorded         *containerpb.Operation // as it was added; nil for those begun here
}

// begin starts an operation whose effect is there when it ends.
func (c *cluster) begin(kind, pool string, takes time.Duration, effect func()) *operation {
	c.w.nextOp++
	op := &operation{
		name: fmt.Sprintf("operation-%d-%08x", c.clock.UnixMilli(), c.w.nextOp),
		kind: kind, pool: pool, start: c.clock, end: c.clock.Add(takes), effect: effect,
		failure: c.takeSpoil(kind),
	}
	c.ops = append(c.ops, op)
	c.touch(pool)
	return op
}

func (c *cluster) finish(op *operation) {
	op.done = true
	switch {
	case op.failure == "":
		op.effect()
	case op.spoilt != nil:
		op.spoilt()
	}
	c.touch(op.pool)
}

// running gives an operation that is not done, preferring one on the cluster.
func (c *cluster) running() *operation {
	var found *operation
	for _, op := range c.ops {
		if !op.done && (found == nil || op.pool == "") {
			found = op
		}
	}
	return found
}

// runningOn gives the operation under way on that pool, or nil.
func (c *cluster) runningOn(pool string) *operation {
	for _, op := range c.ops {
		if !op.done && op.pool == pool {
			return op
		}
	}
	return nil
}

// proto is the operation as the API shows it: the target link names the
// project by its number in life; here by its id, which the API allows too.
func (op *operation) proto(cluster string) *containerpb.Operation {
	if op.recorded != nil {
		return op.asRecorded()
	}
	parts := strings.Split(cluster, "/")
	base := "https://container.googleapis.com/v1/" + strings.Join(parts[:4], "/")
	pb := &containerpb.Operation{
		Name: op.name, Location: parts[3], Status: containerpb.Operation_RUNNING,
		Zone:          parts[3], //nolint:staticcheck // deprecated, and what gcloud's list shows
		OperationType: containerpb.Operation_Type(containerpb.Operation_Type_value[op.kind]),
		StartTime:     op.start.UTC().Format(time.RFC3339Nano),
		SelfLink:      base + "/operations/" + op.name,
		TargetLink:    "https://container.googleapis.com/v1/" + cluster,
	}
	if op.pool != "" {
		pb.TargetLink += "/nodePools/" + op.pool
	}
	if op.done {
		pb.Status = containerpb.Operation_DONE
		pb.EndTime = op.end.UTC().Format(time.RFC3339Nano)
		if op.failure != "" {
			pb.Error = &statuspb.Status{Code: 13, Message: op.failure}
		}
	}
	return pb
}
