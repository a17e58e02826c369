// Package gkesim is a simulated GKE: clusters that rotate as Google's do, on a
// clock of its own, behind the real API's services.
//
// It knows nothing of policy: judge and judged must not share the lifecycle.
// What GKE does is from Google's pages; where those are silent, [Options]
// has a default.
package gkesim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gke-credential-rotator/policy/window"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/proto"
)

// World is the simulated GKE. It is safe for concurrent use.
type World struct {
	mu        sync.Mutex
	opts      Options
	now       time.Time
	clusters  map[string]*cluster   // by projects/P/locations/L/clusters/C
	shelves   map[string][]*cluster // by project, ordered by name
	due       []*cluster            // the agenda
	journal   []Entry
	nextOp    int
	reads     int               // of Recommender, on readDay
	readDay   string            // UTC
	numbers   map[string]string // project ids by number
	retired   map[string]bool   // versions that are no longer to be had
	downtimes []Downtime
	faults    faulty
	touched   []string // clusters changed since Touched was asked; kept only by those who ask
	watched   bool
}

// New makes an empty world.
func New(o Options) *World {
	o = o.withDefaults()
	w := &World{
		opts: o, now: o.Now, clusters: map[string]*cluster{}, shelves: map[string][]*cluster{},
		numbers: map[string]string{}, retired: map[string]bool{}, faults: newFaulty(o.Seed),
	}
	for _, version := range o.Retired {
		w.retired[version] = true
	}
	return w
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
	return append([]Entry{}, w.journal...)
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
	location := cmp.Or(pb.GetLocation(), pb.GetZone()) //nolint:staticcheck // old recordings
	if project == "" || location == "" || pb.GetName() == "" {
		return fmt.Errorf("a cluster needs project, location and name; got %q, %q, %q", project, location,
			pb.GetName())
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
	c := &cluster{w: w, name: name, pb: proto.CloneOf(pb), clock: w.now, status: pb.GetStatus(),
		recorded: pb.GetConditions()}
	c.read()
	w.clusters[name], w.numbers[projectNumber(project)] = c, project
	at, _ := slices.BinarySearchFunc(w.shelves[project], name, byName)
	w.shelves[project] = slices.Insert(w.shelves[project], at, c)
	w.plan(c)
	return nil
}

func byName(c *cluster, name string) int { return strings.Compare(c.name, name) }

// mostStrikes is how often outside strikes at most while time passes once: more
// would take minutes when somebody asks for a year in which it strikes each minute.
const mostStrikes = 500

// Advance lets simulated time pass until t: operations end, GKE works. It
// touches only clusters to which something happens.
func (w *World) Advance(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for strikes := 0; ; strikes++ {
		until := t
		if outside := w.faults.next; !outside.IsZero() && outside.Before(t) && strikes < mostStrikes {
			until = outside
		}
		for len(w.due) > 0 && !w.due[0].due.After(until) {
			c := w.due[0]
			c.advance(until)
			w.plan(c)
		}
		w.now = window.Later(w.now, until)
		if w.faults.next.IsZero() || w.faults.next.After(t) {
			return
		}
		w.meddle()
	}
}

// plan puts the cluster's next event on the agenda. Whatever changes a
// cluster plans it anew.
func (w *World) plan(c *cluster) {
	w.cancel(c)
	if at, event := c.next(); event != nil {
		c.due = at
		i, _ := slices.BinarySearchFunc(w.due, c, byDue)
		w.due = slices.Insert(w.due, i, c)
	}
}

// cancel takes the cluster off the agenda.
func (w *World) cancel(c *cluster) {
	if i, there := slices.BinarySearchFunc(w.due, c, byDue); there {
		w.due = slices.Delete(w.due, i, i+1)
	}
}

// byDue orders the agenda by the clusters' next events, then by name.
func byDue(a, b *cluster) int { return cmp.Or(a.due.Compare(b.due), strings.Compare(a.name, b.name)) }

// look brings a cluster's clock and view up to the world's time. Nothing was
// due for it since, or it would have been advanced.
func (c *cluster) look() {
	c.clock = window.Later(c.clock, c.w.now)
	c.show()
	c.advise()
}

// under lists the clusters below projects/P/locations/L, where L may be "-".
func (w *World) under(parent string) []*cluster {
	parent = w.byID(parent)
	parts := strings.Split(parent, "/")
	if len(parts) != 4 || parts[0] != "projects" || parts[2] != "locations" {
		return nil
	}
	shelf := w.shelves[parts[1]]
	if parts[3] == "-" {
		return shelf
	}
	var out []*cluster
	from, _ := slices.BinarySearchFunc(shelf, parent+"/", byName)
	for _, c := range shelf[from:] {
		if !strings.HasPrefix(c.name, parent+"/") {
			break
		}
		out = append(out, c)
	}
	return out
}

// Projects lists the projects that have clusters.
func (w *World) Projects() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.shelves))
}
