package gkesim

import (
	"fmt"
	"strings"
	"time"

	"gke-credential-rotator/policy/window"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/proto"
)

// Midway is how far a cluster had come when somebody looked at it: what its own
// view does not show.
type Midway struct {
	// Started is when the rotation under way began; zero: about when its new CA
	// was issued.
	Started time.Time
	// Recreated are pools known to have new nodes. Operations tell of others.
	Recreated  []string
	Operations []*containerpb.Operation
	// Stays: its status stays as it is, for GKE has long not ended what it does.
	Stays bool
	// Brings is what an operation on the cluster itself that still runs will
	// have done when it ends.
	Brings Effect
}

// Effect is what an operation does when it ends.
type Effect int

// The effects.
const (
	Nothing        Effect = iota
	StartsRotation        // the second CA is there
	EndsRotation          // the new CA alone is left
)

// Resume lets a cluster that was added as it was seen go on from there: a
// rotation under way is as old as it is, and what runs will end. The cluster is
// named projects/P/locations/L/clusters/C.
func (w *World) Resume(name string, m Midway) error {
	return w.on(name, func(c *cluster) error {
		c.goOn(m)
		return nil
	})
}

func (c *cluster) goOn(m Midway) {
	passing := c.status == containerpb.Cluster_RECONCILING || c.status == containerpb.Cluster_PROVISIONING
	if passing && !m.Stays {
		c.status = containerpb.Cluster_RUNNING // once what runs has ended
	}
	if exp := c.expires(); c.status == containerpb.Cluster_DEGRADED && !exp.IsZero() &&
		exp.Sub(c.clock) <= degradeAt {
		c.status, c.recorded = containerpb.Cluster_RUNNING, nil // it is its CA that degrades it
	}
	if r := c.rotation; r != nil {
		r.started = m.Started
		if r.started.IsZero() {
			r.started = c.cas[len(c.cas)-1].issued.Add(time.Hour) // GKE sets it back by one
		}
		r.tryAt, r.nodesFrom = r.started.Add(autoComplete), r.started.Add(c.w.opts.GKEWaits)
		for _, name := range m.Recreated {
			delete(r.pending, name)
		}
	}
	for _, pb := range m.Operations {
		if op := c.record(pb); op.done {
			c.recall(op, pb)
		} else {
			c.carryOn(op, m.Brings)
		}
	}
	for _, p := range c.pb.GetNodePools() {
		if p.GetStatus() == containerpb.NodePool_RECONCILING && c.runningOn(p.GetName()) == nil {
			p.Status = containerpb.NodePool_RUNNING
		}
	}
	c.show()
}

// recall takes in what a done operation has done to the rotation under way.
func (c *cluster) recall(op *operation, pb *containerpb.Operation) {
	if c.rotation != nil && op.kind == "UPGRADE_NODES" && pb.GetError() == nil &&
		op.start.After(c.rotation.started) {
		delete(c.rotation.pending, op.pool)
	}
}

// carryOn lets an operation that runs end when it should, or soon when that is
// over, and do what it does.
func (c *cluster) carryOn(op *operation, brings Effect) {
	takes := c.w.opts.StartTakes
	switch {
	case op.pool != "" && op.kind == "UPGRADE_NODES":
		takes = c.lay(c.poolSteps(op.pool, false), false).Sub(c.clock)
		op.effect = func() { c.recreated(op.pool, containerpb.NodePool_RUNNING) }
	case op.pool == "" && op.kind == "UPDATE_CLUSTER" && brings == StartsRotation && c.rotation == nil &&
		len(c.cas) == 1:
		op.effect = c.started
	case op.pool == "" && op.kind == "UPDATE_CLUSTER" && brings == EndsRotation:
		op.effect = c.completed
	}
	const soon = 10 * time.Minute
	op.end = window.Later(op.start.Add(takes), c.clock.Add(soon))
}

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
