// Package gkesim is a simulated GKE: clusters that rotate as Google's do, on a
// clock of its own, behind the real API's services.
//
// It knows nothing of policy: judge and judged must not share the lifecycle.
// What GKE does is from Google's pages; where those are silent, [Options]
// has a default.
package gkesim

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/proto"
)

// Options say how this GKE behaves where Google does not document it.
type Options struct {
	Seed int64
	// Now is the simulated time at which the world begins.
	Now time.Time
	// StartTakes and CompleteTakes are how long those operations run.
	StartTakes, CompleteTakes time.Duration
	// NodeTakes is how long one group of surge nodes takes to recreate.
	NodeTakes time.Duration
	// GKEWaits is how long after a rotation's start GKE leaves the node pools
	// alone; then it recreates them whenever its policy is open. Longer than a
	// week means that somebody else must.
	GKEWaits time.Duration
	// RetryComplete is how often GKE repeats its own completion from day 7 on.
	RetryComplete time.Duration
}

func (o Options) withDefaults() Options {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&o.StartTakes, 12*time.Minute)
	or(&o.CompleteTakes, 8*time.Minute)
	or(&o.NodeTakes, 8*time.Minute)
	or(&o.RetryComplete, 24*time.Hour)
	return o
}

// World is the simulated GKE. It is safe for concurrent use.
type World struct {
	mu       sync.Mutex
	opts     Options
	now      time.Time
	clusters map[string]*cluster // by projects/P/locations/L/clusters/C
	journal  []Entry
	nextOp   int
}

// New makes an empty world.
func New(o Options) *World {
	o = o.withDefaults()
	return &World{opts: o, now: o.Now, clusters: map[string]*cluster{}}
}

// Entry is one request that would change a cluster, in the order of arrival.
type Entry struct {
	At       time.Time `json:"at"`
	Method   string    `json:"method"`
	Cluster  string    `json:"cluster"`
	NodePool string    `json:"nodePool,omitempty"`
	Accepted bool      `json:"accepted"`
	Error    string    `json:"error,omitempty"`
}

// Journal gives every mutating request so far.
func (w *World) Journal() []Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Entry(nil), w.journal...)
}

// Now is the world's time.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Add puts a cluster into the world as the API would show it. Its name must be
// free.
func (w *World) Add(project string, pb *containerpb.Cluster) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	location := pb.GetLocation()
	if location == "" {
		location = pb.GetZone() //nolint:staticcheck // old recordings
	}
	if project == "" || location == "" || pb.GetName() == "" {
		return fmt.Errorf("a cluster needs project, location and name; got %q, %q, %q", project, location, pb.GetName())
	}
	for _, part := range []string{project, location, pb.GetName()} {
		if breaksNames.MatchString(part) {
			return fmt.Errorf("the name %q would break a path or a document id", part)
		}
	}
	name := "projects/" + project + "/locations/" + location + "/clusters/" + pb.GetName()
	if w.clusters[name] != nil {
		return fmt.Errorf("there is already a cluster %s", name)
	}
	w.clusters[name] = newCluster(w, name, proto.CloneOf(pb))
	return nil
}

// Advance lets simulated time pass until t: operations end, GKE works.
func (w *World) Advance(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range w.names() {
		w.clusters[name].advance(t)
	}
	if t.After(w.now) {
		w.now = t
	}
}

func (w *World) names() []string {
	names := make([]string, 0, len(w.clusters))
	for name := range w.clusters {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Projects lists the projects that have clusters.
func (w *World) Projects() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, name := range w.names() {
		p := strings.Split(name, "/")[1]
		if len(out) == 0 || out[len(out)-1] != p {
			out = append(out, p)
		}
	}
	return out
}
