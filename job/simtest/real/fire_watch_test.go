package real

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/proto"

	"gke-credential-rotator/policy/record"
)

// moment is when a process is killed: after a while, or at the n-th passing of
// a place on its way. The zero moment is never.
type moment struct {
	after  time.Duration
	place  string
	nth    int
	arrive string // what it has just asked for is lost, or arrives now or late
	gently bool   // it is told to stop instead
}

// places are where a run can be caught; see runner.at. GKE's and the store's.
var places = []string{
	"lease asked", "store asked", "store answered", "list asked", "list answered", "read under intent asked",
	"read under intent answered", "other write asked", "end asked",
	"intent asked", "intent answered", "call asked", "call answered", "outcome asked", "outcome answered",
}

// critical are those of them between an intent and its outcome's end.
var critical = places[len(places)-6:]

// someMoment is drawn for each process: one in eight lives.
func (f *fire) someMoment() moment {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := moment{arrive: []string{"lost", "now", "late", "late"}[f.IntN(4)], gently: f.IntN(5) == 0}
	switch f.IntN(8) {
	case 0, 1:
		m.after = time.Duration(20+f.IntN(150)) * time.Millisecond
	case 2:
		m.place, m.nth = places[f.IntN(len(places))], 1+f.IntN(3)
	case 3, 4, 5, 6:
		m.place, m.nth = critical[f.IntN(len(critical))], 1+f.IntN(2)
		if f.host() == "" { // what passes between process and file is not seen
			m.place = []string{"call asked", "call answered"}[f.IntN(2)]
		}
	}
	return m
}

// runner is one process on its way, with proxies of its own to GKE and store.
type runner struct {
	*fire
	*process
	execution string
	attempt   int
	wires     []*between
	end       moment
	gate      *muster
	ended     chan struct{}
	gone      time.Time // set before ended is closed

	lock    sync.Mutex // guards all below
	last    string     // the place it was seen at last
	passed  map[string]int
	intents map[string]bool // calls that this process means to make
	dead    bool
	told    time.Time // to stop
}

// kill kills the process, if it is there, and notes where that caught it.
func (r *runner) kill() {
	r.lock.Lock()
	defer r.lock.Unlock()
	select {
	case <-r.ended:
		return
	default:
	}
	if r.dead || r.cmd.Process.Signal(syscall.SIGKILL) != nil {
		return
	}
	r.dead = true
	r.mu.Lock()
	r.kills[r.last]++
	r.mu.Unlock()
}

// at notes where the process is and kills it there if its moment has come. It
// says whether what the process has said or is told passes.
func (r *runner) at(place string, asked bool) bool {
	r.lock.Lock()
	dead := r.dead
	if !dead {
		r.last = place
		r.passed[place]++
	}
	mine := !dead && place == r.end.place && r.passed[place] == r.end.nth
	r.lock.Unlock()
	switch {
	case mine && r.end.gently:
		r.isTold()
	case mine:
		return r.dies(asked)
	case dead:
		return r.end.arrive != "lost"
	}
	r.gate.wait(r, place)
	return true
}

// hearing is how long a process may take to hear a signal.
const hearing = 500 * time.Millisecond

// isTold tells the process to stop, and lets it hear that before anything else.
func (r *runner) isTold() {
	now := time.Now()
	if r.cmd.Process.Signal(syscall.SIGTERM) != nil {
		return // it has ended
	}
	r.lock.Lock()
	r.told = now
	r.lock.Unlock()
	r.mu.Lock()
	r.stops++
	r.mu.Unlock()
	time.Sleep(hearing)
}

// stopped says whether the process was told to stop so long ago.
func (r *runner) stopped(ago time.Duration) bool {
	r.lock.Lock()
	defer r.lock.Unlock()
	return !r.told.IsZero() && time.Since(r.told) >= ago
}

// dies kills the process and decides what becomes of what it had sent.
func (r *runner) dies(asked bool) bool {
	r.mu.Lock()
	late := r.late
	if asked {
		r.fates[r.end.arrive]++
	}
	if asked && r.end.arrive == "late" {
		r.underway.Add(1)
		defer r.underway.Done()
		if r.lateBy.IsZero() {
			r.lateBy = r.now.Add(record.Late - time.Minute)
		}
	}
	r.mu.Unlock()
	r.kill()
	if asked && r.end.arrive == "late" {
		<-late
	}
	return !asked || r.end.arrive != "lost"
}

// toGKE watches what passes between the process and GKE.
func (r *runner) toGKE(x *exchange) bool {
	what := "call"
	switch x.method {
	case "ListClusters":
		what = "list"
	case "ListOperations", "GetCluster":
		what = "read under intent"
		if !r.has("list answered") {
			what = "list"
		}
	}
	if what == "call" && x.answer == "" && r.stopped(hearing) {
		r.t.Errorf("%s was sent after SIGTERM", x.method)
	}
	return r.at(what+said(x), x.answer == "")
}

func (r *runner) has(place string) bool {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.passed[place] > 0
}

// place is where it was seen at last.
func (r *runner) place() string {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.last
}

func said(x *exchange) string {
	if x.answer == "" {
		return " asked"
	}
	return " answered"
}

// toStore watches what passes between the process and Firestore.
func (r *runner) toStore(x *exchange) bool {
	if x.method != "Commit" {
		return r.at("store"+said(x), x.answer == "")
	}
	what, calls := r.written(x)
	if x.answer == "0" {
		r.mu.Lock()
		for id, cluster := range calls {
			r.fire.intents[id] = cluster
		}
		r.mu.Unlock()
	}
	return r.at(what+said(x), x.answer == "")
}

// written says what a commit stores, and the intents in it with their clusters.
func (r *runner) written(x *exchange) (what string, intents map[string]string) {
	var req pb.CommitRequest
	if err := proto.Unmarshal(x.message, &req); err != nil {
		r.t.Errorf("a commit cannot be read: %v", err)
	}
	what, intents = "end", map[string]string{}
	r.lock.Lock()
	defer r.lock.Unlock()
	for _, w := range req.GetWrites() {
		name := w.GetUpdate().GetName() + w.GetDelete()
		switch {
		case strings.HasSuffix(name, "/fleet/lease"):
			return "lease", intents
		case !strings.Contains(name, "/rotations/"), w.GetDelete() != "":
			continue
		}
		var doc record.Rotation
		if err := json.Unmarshal([]byte(w.GetUpdate().GetFields()["body"].GetStringValue()), &doc); err != nil {
			r.t.Errorf("%s cannot be read: %v", name, err)
		}
		what = "other write"
		for _, c := range callsOf(doc) {
			switch {
			case c.State == record.Intended && !r.intents[c.ID] && c.Run == r.execution && x.answer == "":
				r.intents[c.ID] = true
				what = "intent"
			case r.intents[c.ID] && c.State == record.Intended:
				what = "intent"
			case r.intents[c.ID] && what != "intent":
				what = "outcome"
			}
			if c.State == record.Intended {
				intents[c.ID] = doc.Cluster.String()
			}
		}
	}
	return what, intents
}

// callsOf gives every call that a rotation holds.
func callsOf(r record.Rotation) []record.Call {
	calls := slices.Collect(maps.Values(r.PoolCalls))
	if r.Call != nil {
		calls = append(calls, *r.Call)
	}
	return append(calls, r.Settled...)
}

// muster lets processes go on together: each waits at the place until all are
// there or have ended.
type muster struct {
	place string
	mu    sync.Mutex
	there map[*runner]bool
	open  chan struct{}
}

func newMuster(place string) *muster {
	return &muster{place: place, there: map[*runner]bool{}, open: make(chan struct{})}
}

func (m *muster) wait(r *runner, place string) {
	if place != m.place {
		return
	}
	m.mu.Lock()
	m.there[r] = true
	m.mu.Unlock()
	<-m.open
}

// arrived waits until the process is at the place or has ended, at most so long.
func (m *muster) arrived(r *runner, most time.Duration) {
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		m.mu.Lock()
		there := m.there[r]
		m.mu.Unlock()
		select {
		case <-r.ended:
			return
		default:
		}
		if there {
			return
		}
	}
}
