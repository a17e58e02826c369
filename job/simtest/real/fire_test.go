package real

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"gke-credential-rotator/job/simtest/fleets"
	"gke-credential-rotator/state"
	"gke-credential-rotator/state/emulator"
)

var (
	mostKills = flag.Int("kills", 20, "how many processes TestUnderFire kills over each store")
	firstFire = flag.Uint64("fire", 1, "the first seed of TestUnderFire")
)

// fire is a fleet that real processes rotate, two to four at once, while the
// test kills them, loses what they say and lets it arrive late.
type fire struct {
	t *testing.T
	*rand.Rand
	*program
	settings []string // that name the store
	members  []fleets.Member
	step     func() time.Duration // until the next runs
	gke      simulator
	store    state.Store // the same store, for the judge
	now      time.Time

	mu       sync.Mutex // guards all below
	kills    map[string]int
	restarts int
	runs     int
	stops    int               // processes that were told to stop
	clashes  int               // writes that came too late, as the runs say
	fates    map[string]int    // of what dead processes had sent
	intents  map[string]string // calls whose intent was committed: the cluster
	attempts map[string]string // attempts that were ever in the store: the cluster
	late     chan struct{}     // closed to let what is late arrive; nil: nobody waits
	lateBy   time.Time         // when that must have arrived; zero: nothing is late
	underway sync.WaitGroup    // what is late
	wires    []*between        // of processes that are gone
}

func newFire(t *testing.T, seed uint64, rotator *program, settings []string, members []fleets.Member) *fire {
	t.Helper()
	f := &fire{
		t: t, Rand: rand.New(rand.NewPCG(seed, 5)), settings: settings, members: members, now: fleets.Monday,
		program: rotator.with("ROTATOR_ENV=fire", "ROTATOR_PROJECTS=shop,bank,ml,dev", "ROTATOR_MODE=act",
			"ROTATOR_COMPLETE_WINDOW=always",
			"ROTATOR_NODE_GRACE=0", "ROTATOR_POOLS_AT_ONCE=2", "ROTATOR_MAX_ACTIVE_PER_PROJECT=off",
			"ROTATOR_MAX_FAILED=200").with(settings...),
		kills: map[string]int{}, fates: map[string]int{}, intents: map[string]string{},
		attempts: map[string]string{},
	}
	f.step = func() time.Duration { return time.Duration(5+f.IntN(40)) * time.Minute }
	f.gke = rotator.simulator(t, fleets.Monday, fleets.Of(members))
	f.store = openStore(t, settings)
	return f
}

// host is the emulator's address, or "" where the store is a file.
func (f *fire) host() string {
	for _, s := range f.settings {
		if host, ok := strings.CutPrefix(s, emulator.EnvHost+"="); ok {
			return host
		}
	}
	return ""
}

// launch starts a process; it is under way when it returns.
func (f *fire) launch(execution string, attempt int, end moment, gate *muster) *runner {
	f.t.Helper()
	r := &runner{fire: f, execution: execution, attempt: attempt, end: end, gate: gate,
		ended: make(chan struct{}), last: "begun", passed: map[string]int{}, intents: map[string]bool{}}
	gke := standBetween(f.t, f.gke.address, r.toGKE)
	r.wires = append(r.wires, gke)
	p := f.with("ROTATOR_GKE_ENDPOINT="+gke.address, "CLOUD_RUN_EXECUTION="+execution,
		fmt.Sprint("CLOUD_RUN_TASK_ATTEMPT=", attempt))
	if host := f.host(); host != "" {
		contents := standBetween(f.t, host, r.toStore)
		r.wires = append(r.wires, contents)
		p = p.with(emulator.EnvHost + "=" + contents.address)
	}
	r.lock.Lock() // it may be heard of before start returns
	r.process = p.start(f.t, "run", "--at", f.now.Format(time.RFC3339))
	r.lock.Unlock()
	f.runs++
	if end.after > 0 {
		do := r.kill
		if end.gently {
			do = r.isTold
		}
		time.AfterFunc(end.after, do)
	}
	return r
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
	f.mu.Lock()
	if f.late == nil {
		f.late = make(chan struct{})
	}
	f.mu.Unlock()
	done := make(chan *runner, 100)
	var all []*runner
	begin := func(execution string, attempt int) {
		f.sweep()
		r := f.launch(execution, attempt, moments(), gate)
		all = append(all, r)
		go func() {
			_ = r.cmd.Wait() // how it ended is looked at below
			r.gone = time.Now()
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
		case r.stopped(0):
			early := code == -1 && r.place() == "begun" // before it listened to signals
			if took := r.gone.Sub(r.told); code != 0 && code != 1 && !early || took > longestEnd {
				f.t.Errorf("%s: told to stop, exit status %d after %s: %s", f.now, code, took, r.stderr.String())
			}
		case code != -1 && code != 0:
			f.t.Errorf("%s: exit status %d: %s", f.now, code, r.stderr.String())
		}
	}
	for _, r := range all {
		f.wires = append(f.wires, r.wires...)
	}
	f.pass()
}

// pass lets simulated time go by until the next runs. What is late arrives
// within LATE, perhaps after some of them.
func (f *fire) pass() {
	f.t.Helper()
	f.mu.Lock()
	lateBy := f.lateBy
	f.mu.Unlock()
	next, late := f.now.Add(f.step()), !lateBy.IsZero()
	if late && f.IntN(2) == 0 {
		next = f.now.Add(time.Duration(2+f.IntN(8)) * time.Minute)
	}
	if late && next.Before(lateBy) && f.IntN(3) > 0 {
		f.now = next
		f.gke.clock(f.t, f.now)
		return
	}
	if room := min(lateBy.Sub(f.now), next.Sub(f.now)); late && room > 0 {
		f.gke.clock(f.t, f.now.Add(time.Duration(f.Int64N(int64(room))).Truncate(time.Second)))
	}
	close(f.late)
	f.underway.Wait()
	f.now = next
	f.mu.Lock()
	f.late, f.lateBy = nil, time.Time{}
	f.mu.Unlock()
	f.gke.clock(f.t, f.now)
	for _, w := range f.wires {
		w.cut()
	}
	f.wires = nil
}
