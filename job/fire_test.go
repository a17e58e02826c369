package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/proto"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
	"gke-credential-rotator/state/emulator"
)

var (
	mostKills = flag.Int("kills", 25, "how many processes TestUnderFire kills over each book")
	firstFire = flag.Uint64("fire", 1, "the first seed of TestUnderFire")
)

// fire is a fleet that real processes rotate, two to four at once, while the
// test kills them, loses what they say and lets it arrive late.
type fire struct {
	t *testing.T
	*rand.Rand
	*program
	settings []string // that name the book
	members  []member
	step     func() time.Duration // until the next runs
	gke      simulator
	store    state.Store // the same book, for the judge
	now      time.Time

	mu       sync.Mutex // guards all below
	kills    map[string]int
	restarts int
	runs     int
	clashes  int               // writes that came too late, as the runs say
	fates    map[string]int    // of what dead processes had sent
	intents  map[string]string // calls whose intent was committed: the cluster
	attempts map[string]string // attempts that were ever in the book: the cluster
	late     chan struct{}     // closed to let what is late arrive
	underway sync.WaitGroup    // what is late
}

func newFire(t *testing.T, seed uint64, rotator *program, settings []string, members []member) *fire {
	t.Helper()
	f := &fire{
		t: t, Rand: rand.New(rand.NewPCG(seed, 5)), settings: settings, members: members, now: monday,
		program: rotator.with("ROTATOR_ENV=fire", "ROTATOR_PROJECTS=shop,bank,ml,dev", "ROTATOR_MODE=act", "ROTATOR_COMPLETE_WINDOW=always",
			"ROTATOR_NODE_GRACE=0", "ROTATOR_POOLS_AT_ONCE=2", "ROTATOR_MAX_ACTIVE_PER_PROJECT=off", "ROTATOR_MAX_FAILED=1000").with(settings...),
		kills: map[string]int{}, fates: map[string]int{}, intents: map[string]string{}, attempts: map[string]string{},
	}
	f.step = func() time.Duration { return time.Duration(5+f.IntN(40)) * time.Minute }
	f.gke = rotator.simulator(t, monday, fleetOf(members))
	a := newApp(append(f.environ, "ROTATOR_GKE_ENDPOINT="+f.gke.address), nil, nil)
	s, err := a.settings()
	if err != nil {
		t.Fatal(err)
	}
	if f.store, err = a.openBook(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.store.Close() })
	return f
}

// host is the emulator's address, or "" where the book is a file.
func (f *fire) host() string {
	for _, s := range f.settings {
		if host, ok := strings.CutPrefix(s, emulator.EnvHost+"="); ok {
			return host
		}
	}
	return ""
}

// moment is when a process is killed: after a while, or at the n-th passing of
// a place on its way. The zero moment is never.
type moment struct {
	after  time.Duration
	place  string
	nth    int
	arrive string // what it has just asked for is lost, or arrives now or late
}

// places are where a run can be caught; see runner.at. GKE's and the book's.
var places = []string{
	"lease asked", "book asked", "book answered", "list asked", "list answered", "read under intent asked", "read under intent answered", "other write asked", "end asked",
	"intent asked", "intent answered", "call asked", "call answered", "outcome asked", "outcome answered",
}

// critical are those of them between an intent and its outcome's end.
var critical = places[len(places)-6:]

// someMoment is drawn for each process: a quarter live.
func (f *fire) someMoment() moment {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := moment{arrive: []string{"lost", "now", "late"}[f.IntN(3)]}
	switch f.IntN(8) {
	case 0, 1:
		m.after = time.Duration(20+f.IntN(150)) * time.Millisecond
	case 2:
		m.place, m.nth = places[f.IntN(len(places))], 1+f.IntN(3)
	case 3, 4, 5:
		m.place, m.nth = critical[f.IntN(len(critical))], 1+f.IntN(2)
		if f.host() == "" { // what passes between process and file is not seen
			m.place = []string{"call asked", "call answered"}[f.IntN(2)]
		}
	}
	return m
}

// runner is one process on its way, with proxies of its own to GKE and book.
type runner struct {
	*fire
	*process
	execution string
	attempt   int
	wires     []*between
	end       moment
	gate      *muster
	ended     chan struct{}

	lock    sync.Mutex // guards all below
	last    string     // the place it was seen at last
	passed  map[string]int
	intents map[string]bool // calls that this process means to make
	dead    bool
}

// launch starts a process; it is under way when it returns.
func (f *fire) launch(execution string, attempt int, end moment, gate *muster) *runner {
	f.t.Helper()
	r := &runner{fire: f, execution: execution, attempt: attempt, end: end, gate: gate, ended: make(chan struct{}), last: "begun", passed: map[string]int{}, intents: map[string]bool{}}
	gke := standBetween(f.t, f.gke.address, r.toGKE)
	r.wires = append(r.wires, gke)
	p := f.with("ROTATOR_GKE_ENDPOINT="+gke.address, "CLOUD_RUN_EXECUTION="+execution, fmt.Sprint("CLOUD_RUN_TASK_ATTEMPT=", attempt))
	if host := f.host(); host != "" {
		book := standBetween(f.t, host, r.toBook)
		r.wires = append(r.wires, book)
		p = p.with(emulator.EnvHost + "=" + book.address)
	}
	r.process = p.start(f.t, "run", "--at", f.now.Format(time.RFC3339))
	f.runs++
	if end.after > 0 {
		time.AfterFunc(end.after, func() { r.kill() })
	}
	return r
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
	if mine {
		r.kill()
	}
	if !mine && !dead {
		r.gate.wait(r, place)
		return true
	}
	return !asked || r.arrives()
}

// arrives decides what becomes of what a dead process had sent.
func (r *runner) arrives() bool {
	r.mu.Lock()
	r.fates[r.end.arrive]++
	late := r.late
	if r.end.arrive == "late" {
		r.underway.Add(1)
	}
	r.mu.Unlock()
	switch r.end.arrive {
	case "lost":
		return false
	case "late":
		defer r.underway.Done()
		<-late
	}
	return true
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
	return r.at(what+said(x), x.answer == "")
}

func (r *runner) has(place string) bool {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.passed[place] > 0
}

func said(x *exchange) string {
	if x.answer == "" {
		return " asked"
	}
	return " answered"
}

// toBook watches what passes between the process and Firestore.
func (r *runner) toBook(x *exchange) bool {
	if x.method != "Commit" {
		return r.at("book"+said(x), x.answer == "")
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
		var doc policy.Rotation
		if err := json.Unmarshal([]byte(w.GetUpdate().GetFields()["body"].GetStringValue()), &doc); err != nil {
			r.t.Errorf("%s cannot be read: %v", name, err)
		}
		what = "other write"
		for _, c := range callsOf(doc) {
			switch {
			case c.State == policy.Intended && !r.intents[c.ID] && c.Run == r.execution && x.answer == "":
				r.intents[c.ID] = true
				what = "intent"
			case r.intents[c.ID] && c.State == policy.Intended:
				what = "intent"
			case r.intents[c.ID] && what != "intent":
				what = "outcome"
			}
			if c.State == policy.Intended {
				intents[c.ID] = doc.Cluster.String()
			}
		}
	}
	return what, intents
}

// callsOf gives every call that a rotation holds.
func callsOf(r policy.Rotation) []policy.Call {
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

// sweep takes the lease away from whoever has it: it is a courtesy, and what
// the test wants is that processes get into each other's way.
func (f *fire) sweep() {
	f.t.Helper()
	ctx := context.Background()
	held, err := f.store.Lease(ctx, state.Lease{Holder: "the test", Now: f.now, Until: f.now})
	if err == nil {
		_, err = f.store.Lease(ctx, state.Lease{Holder: held.Holder, Now: f.now, Release: true})
	}
	if err != nil && !strings.Contains(err.Error(), state.ErrConflict.Error()) {
		f.t.Fatal(err)
	}
}

// together starts processes at the same simulated time and waits for all, and
// for those that are started again after a kill, under the same name.
func (f *fire) together(n int, place string, moments func() moment) {
	f.t.Helper()
	gate := newMuster(place)
	f.late = make(chan struct{})
	done := make(chan *runner, 100)
	var all []*runner
	begin := func(execution string, attempt int) {
		f.sweep()
		r := f.launch(execution, attempt, moments(), gate)
		all = append(all, r)
		go func() {
			_ = r.cmd.Wait() // how it ended is looked at below
			close(r.ended)
			done <- r
		}()
		gate.arrived(r, 250*time.Millisecond)
	}
	for range n {
		begin(fmt.Sprintf("rotator-%x", f.Uint32()), 0)
	}
	close(gate.open)
	for i := 0; i < len(all); i++ {
		r := <-done
		f.clashes += strings.Count(r.stderr.String(), state.ErrConflict.Error())
		switch code := r.cmd.ProcessState.ExitCode(); {
		case code == -1 && r.attempt < 2 && f.IntN(3) > 0:
			f.restarts++
			begin(r.execution, r.attempt+1)
		case code != -1 && code != 0:
			f.t.Errorf("%s: exit status %d: %s", f.now, code, r.stderr.String())
		}
	}
	f.pass(f.step())
	for _, r := range all {
		for _, w := range r.wires {
			w.cut()
		}
	}
}

// pass lets simulated time go by. What is late arrives within LATE.
func (f *fire) pass(d time.Duration) {
	f.t.Helper()
	first := min(d, time.Duration(f.Int64N(int64(policy.Late-time.Minute))).Truncate(time.Second))
	f.gke.clock(f.t, f.now.Add(first))
	close(f.late)
	f.underway.Wait()
	f.now = f.now.Add(d)
	f.gke.clock(f.t, f.now)
}
