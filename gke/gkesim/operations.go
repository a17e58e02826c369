package gkesim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strconv"
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
	steps            []step                 // of node work
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

// forget drops operations that ended longer ago than GKE remembers.
func (c *cluster) forget() {
	if c.w.opts.ForgetOperations > 0 {
		c.ops = slices.DeleteFunc(c.ops, func(op *operation) bool {
			return op.done && op.recorded == nil && c.clock.Sub(op.end) > c.w.opts.ForgetOperations
		})
	}
}

// at gives the step of node work under way at that time; nil when none is.
func (op *operation) at(t time.Time) *step {
	for i := range op.steps {
		if t.Before(op.steps[i].end) {
			return &op.steps[i]
		}
	}
	return nil
}

// pendingTakes is how long an upgrade is PENDING before it is RUNNING; recorded
// rotations are RUNNING at once.
const pendingTakes = 10 * time.Second

// proto is the operation as the API shows it, in the form of the recorded
// ones: a zone, never a location; links by project number, with zones for
// zonal clusters.
func (op *operation) proto(c *cluster) *containerpb.Operation {
	if op.recorded != nil {
		return op.asRecorded()
	}
	base := c.w.link(c.name)
	cut := strings.LastIndex(base, "/clusters/")
	pb := &containerpb.Operation{
		Name: op.name, Status: containerpb.Operation_RUNNING,
		Zone:          c.location(), //nolint:staticcheck // deprecated, and the only place that the recorded ones name
		OperationType: containerpb.Operation_Type(containerpb.Operation_Type_value[op.kind]),
		StartTime:     op.start.UTC().Format(time.RFC3339Nano),
		SelfLink:      base[:cut] + "/operations/" + op.name,
		TargetLink:    base,
	}
	if op.pool != "" {
		pb.TargetLink += "/nodePools/" + op.pool
	}
	switch {
	case op.done:
		pb.Status = containerpb.Operation_DONE
		pb.EndTime = op.end.UTC().Format(time.RFC3339Nano)
		if op.failure != "" {
			pb.Error = &statuspb.Status{Code: 13, Message: op.failure}
		}
	case op.kind != "UPDATE_CLUSTER" && c.clock.Before(op.start.Add(pendingTakes)):
		pb.Status = containerpb.Operation_PENDING
		return pb
	}
	if op.steps != nil {
		pb.Progress = op.progress(c.clock)
	}
	return pb
}

// progress counts nodes as recorded operations do. Where work has failed, its
// last step's nodes have.
func (op *operation) progress(now time.Time) *containerpb.OperationProgress {
	var total, good, bad int
	for _, s := range op.steps {
		total += s.nodes
		if !now.Before(s.end) {
			good += s.nodes
		}
	}
	if op.done && op.failure != "" {
		for i := len(op.steps) - 1; i >= 0 && bad == 0; i-- {
			bad = op.steps[i].nodes
		}
		good -= bad
	}
	out := &containerpb.OperationProgress{}
	for _, m := range []struct {
		name string
		n    int
	}{{"NODES_TOTAL", total}, {"NODES_FAILED", bad}, {"NODES_COMPLETE", good}, {"NODES_DONE", good + bad},
		{"NODE_PDB_DELAY_SECONDS", 0}} {
		out.Metrics = append(out.Metrics, &containerpb.OperationProgress_Metric{
			Name: m.name, Value: &containerpb.OperationProgress_Metric_IntValue{IntValue: int64(m.n)},
		})
	}
	return out
}

func (c *cluster) location() string { return strings.Split(c.name, "/")[3] }

var zonalName = regexp.MustCompile(`-[a-z]$`)

// zonal says whether the control plane is in one zone.
func (c *cluster) zonal() bool { return zonalName.MatchString(c.location()) }

// link is a name as operations link to it.
func (w *World) link(name string) string {
	parts := strings.Split(name, "/")
	if zonalName.MatchString(parts[3]) {
		parts[2] = "zones"
	}
	if !w.opts.LinksByID {
		parts[1] = projectNumber(parts[1])
	}
	return "https://container.googleapis.com/v1/" + strings.Join(parts, "/")
}

// projectNumber makes up a project's number.
func projectNumber(id string) string {
	sum := sha256.Sum256([]byte("number of " + id))
	return strconv.FormatUint(100_000_000_000+binary.BigEndian.Uint64(sum[:8])%900_000_000_000, 10)
}

// byID gives a name by project id, also where it came by project number.
func (w *World) byID(name string) string {
	parts := strings.SplitN(name, "/", 3)
	if len(parts) == 3 {
		if id := w.numbers[parts[1]]; id != "" {
			return parts[0] + "/" + id + "/" + parts[2]
		}
	}
	return name
}

// Downtime is a time in which a cluster's API server did not answer: zonal
// clusters have one when a rotation starts, when it is completed, and when
// the control plane is upgraded.
type Downtime struct {
	Cluster string    `json:"cluster"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
}

// Downtimes gives every downtime so far.
func (w *World) Downtimes() []Downtime {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Downtime{}, w.downtimes...)
}

// downTakes is how long a zonal cluster's API server is away.
const downTakes = 3 * time.Minute

// down notes that the API server was away until now.
func (c *cluster) down() {
	if c.zonal() && !c.pb.GetAutopilot().GetEnabled() {
		c.w.downtimes = append(c.w.downtimes, Downtime{c.name, c.clock.Add(-downTakes), c.clock})
	}
}
