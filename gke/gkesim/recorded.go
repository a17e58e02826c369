package gkesim

import (
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/proto"
)

// AddOperation puts a recorded operation on a cluster of the world, named
// projects/P/locations/L/clusters/C. It is shown as it was recorded. One that
// was still running when recorded runs on for as long as a start takes, and
// refuses changes meanwhile; it changes nothing when it ends.
func (w *World) AddOperation(name string, pb *containerpb.Operation) error {
	if pb.GetName() == "" {
		return fmt.Errorf("the operation on %s needs a name", name)
	}
	return w.on(name, func(c *cluster) error {
		c.record(pb)
		return nil
	})
}

// record puts a recorded operation on the cluster.
func (c *cluster) record(pb *containerpb.Operation) *operation {
	op := &operation{
		name: pb.GetName(), kind: pb.GetOperationType().String(), recorded: proto.CloneOf(pb),
		start: c.clock, end: c.clock.Add(c.w.opts.StartTakes), done: pb.GetStatus() == containerpb.Operation_DONE,
		effect: func() {},
	}
	_, op.pool, _ = strings.Cut(pb.GetTargetLink(), "/nodePools/")
	for _, at := range []struct {
		text string
		to   *time.Time
	}{{pb.GetStartTime(), &op.start}, {pb.GetEndTime(), &op.end}} {
		if t, err := time.Parse(time.RFC3339, at.text); err == nil {
			*at.to = t
		}
	}
	if !op.done {
		op.end = c.clock.Add(c.w.opts.StartTakes)
	}
	c.ops = append(c.ops, op)
	return op
}

// asRecorded shows a recorded operation, ended when it has ended since.
func (op *operation) asRecorded() *containerpb.Operation {
	pb := proto.CloneOf(op.recorded)
	if op.done && pb.GetStatus() != containerpb.Operation_DONE {
		pb.Status, pb.EndTime = containerpb.Operation_DONE, op.end.UTC().Format(time.RFC3339Nano)
	}
	return pb
}
