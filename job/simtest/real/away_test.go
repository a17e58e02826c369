package real

import (
	"crypto/rand"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gke-credential-rotator/state/emulator"
)

// away is a store in Firestore that can be cut off, and of which answers get
// lost: the commit is applied, and its writer never learns.
type away struct {
	*rig
	*between

	mu    sync.Mutex
	trick func(x *exchange) bool // what passes; nil: all
}

// aways sets up a story whose store can go away; all clusters are worked on at
// one time.
func aways(t *testing.T, rotator *program) *away {
	t.Helper()
	host := emulator.Start(t)
	a := &away{}
	a.between = standBetween(t, host, a.see)
	a.rig = rigged(t, rotator, []string{emulator.EnvHost + "=" + a.address,
		"ROTATOR_STATE=firestore://demo-away/store-" + strings.ToLower(rand.Text())})
	a.program = a.with("ROTATOR_PARALLEL=3")
	return a
}

func (a *away) see(x *exchange) bool {
	a.mu.Lock()
	trick := a.trick
	a.mu.Unlock()
	return trick == nil || trick(x)
}

// tricked plays the trick from now on.
func (a *away) tricked(trick func(x *exchange) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.trick = trick
}

// stores says whether an exchange is a commit of a rotation in which a call
// has that state.
func stores(x *exchange, state string) bool {
	text := string(x.message)
	return x.method == "Commit" && strings.Contains(text, "/documents/rotations/") &&
		strings.Contains(text, `"state":"`+state+`"`)
}

// notes says whether an exchange is a commit of the fleet document alone.
func notes(x *exchange) bool {
	text := string(x.message)
	return x.method == "Commit" && strings.Contains(text, "/documents/fleet/fleet") &&
		!strings.Contains(text, "/documents/rotations/")
}

// fails runs a command that must end with that exit status, and say the words
// in one line.
func (p *program) fails(t *testing.T, code int, words []string, args ...string) (stderr string) {
	t.Helper()
	ps := p.start(t, args...)
	got, said := ps.wait(t), ps.stderr.String()
	lines := strings.Split(strings.TrimSpace(said), "\n")
	last := lines[len(lines)-1]
	for _, word := range words {
		if !strings.Contains(last, word) {
			t.Errorf("rotator %s ends with %q, which lacks %q", strings.Join(args, " "), last, word)
		}
	}
	if got != code || strings.Contains(said, "goroutine ") {
		t.Errorf("rotator %s: exit status %d, want %d: %s", strings.Join(args, " "), got, code, said)
	}
	return said
}

// TestFirestoreAway: the store goes away at each stage of a run, and comes back.
func TestFirestoreAway(t *testing.T) {
	t.Parallel()
	rotator := build(t)
	var all sync.WaitGroup // much of it is waiting, so all at once
	defer all.Wait()
	for name, play := range map[string]func(*testing.T, *away){
		"before it begins":        awayBefore,
		"between call and answer": awayBetween,
		"before its end":          awayAtEnd,
		"answers get lost":        answersLost,
		"answers stay away":       answersHang,
		"told to stop meanwhile":  stoppedWithoutStore,
		"a person writes, too":    personWrites,
		"a person enters it":      outcomesEntered,
	} {
		all.Go(func() {
			t.Run(name, func(t *testing.T) { play(t, aways(t, rotator)) })
		})
	}
}

func awayBefore(t *testing.T, a *away) {
	a.cut()
	var all sync.WaitGroup
	for _, args := range [][]string{
		{"run", "--at", a.at()}, {"plan", "--at", a.at()}, {"status", "--at", a.at()},
		{"approve", few[0].String(), "--by", "ann", "--reason", "why", "--at", a.at()},
		{"hold", "all", "--by", "ann", "--reason", "why", "--at", a.at()},
	} {
		all.Go(func() {
			a.fails(t, 1, []string{"firestore://demo-away/", "Firestore says Unavailable"}, args...)
		})
	}
	all.Wait()
	a.want("StartIPRotation", 0)
	a.restore(t)
	a.toTheEnd()
}

// awayBetween: of three calls that GKE took the answers cannot be stored. Each
// is in the log, and later runs find out by what GKE shows.
func awayBetween(t *testing.T, a *away) {
	held, release := a.delay.holding("StartIPRotation")
	ps := a.start(t, "run", "--at", a.at())
	for range few {
		await(t, held)
	}
	a.cut()
	release()
	if code := ps.wait(t); code != 1 {
		t.Errorf("exit status %d: %s", code, ps.stderr.String())
	}
	if n := strings.Count(ps.stderr.String(), "[outcome-unstored]"); n != len(few) {
		t.Errorf("%d outcomes are in the log: %s", n, ps.stderr.String())
	}
	a.restore(t)
	a.want("StartIPRotation", len(few))
	if calls := a.calls(); len(calls) != len(few) || calls["catalog"] != "intended" {
		t.Errorf("in the store: %v", calls)
	}
	a.pass(time.Hour)
	a.toTheEnd()
}

func awayAtEnd(t *testing.T, a *away) {
	a.tricked(func(x *exchange) bool {
		if notes(x) {
			go a.cut()
			return false
		}
		return true
	})
	a.fails(t, 1, []string{"note the run in the store", "Firestore says"}, "run", "--at", a.at())
	a.tricked(nil)
	a.restore(t)
	a.want("StartIPRotation", len(few))
	if calls := a.calls(); len(calls) != len(few) || calls["catalog"] != "accepted" {
		t.Errorf("in the store: %v", calls)
	}
	a.pass(time.Hour)
	a.toTheEnd()
}

// answersLost: of intents, so nothing is sent; then of outcomes.
func answersLost(t *testing.T, a *away) {
	a.tricked(func(x *exchange) bool { return x.answer == "" || !stores(x, "intended") })
	a.run(t, "run", "--at", a.at())
	a.want("StartIPRotation", 0)
	if calls := a.calls(); len(calls) != 0 {
		t.Errorf("intents that were not sent are left: %v", calls)
	}
	a.tricked(func(x *exchange) bool { return x.answer == "" || !stores(x, "accepted") })
	a.pass(time.Hour)
	_, said := a.run(t, "run", "--at", a.at())
	a.want("StartIPRotation", len(few))
	if calls := a.calls(); len(calls) != len(few) || calls["catalog"] != "accepted" {
		t.Errorf("in the store: %v; %s", calls, said)
	}
	a.tricked(nil)
	a.pass(time.Hour)
	a.toTheEnd()
}

// answersHang: the connection stands and nothing comes.
func answersHang(t *testing.T, a *away) {
	free := make(chan struct{})
	defer close(free)
	a.tricked(func(x *exchange) bool {
		if x.answer != "" && stores(x, "accepted") {
			<-free
		}
		return true
	})
	a.program = a.with("ROTATOR_PARALLEL=1", "ROTATOR_MAX_ACTIVE=1")
	began := time.Now()
	a.run(t, "run", "--at", a.at())
	t.Logf("a run whose answer never comes takes %.1f s", time.Since(began).Seconds())
	a.want("StartIPRotation", 1)
	if calls := a.calls(); calls["catalog"] != "accepted" {
		t.Errorf("in the store: %v", calls)
	}
}

// stoppedWithoutStore: GKE does not answer, the store does not answer, and the
// platform wants the process gone: it says what it cannot store, in time.
func stoppedWithoutStore(t *testing.T, a *away) {
	free := make(chan struct{})
	defer close(free)
	held, release := a.delay.holding("StartIPRotation")
	defer release()
	ps := a.start(t, "run", "--at", a.at())
	for range few {
		await(t, held)
	}
	a.tricked(func(*exchange) bool { <-free; return false })
	told := time.Now()
	if err := ps.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	code, took := ps.wait(t), time.Since(told)
	t.Logf("ended %.1f s after SIGTERM", took.Seconds())
	if code != 1 || took > longestEnd {
		t.Errorf("exit status %d after %s: %s", code, took, ps.stderr.String())
	}
	if n := strings.Count(ps.stderr.String(), "[outcome-unstored]"); n != len(few) {
		t.Errorf("%d outcomes are in the log: %s", n, ps.stderr.String())
	}
}

// personWrites: a hold that comes while calls are under way is kept, and so
// are the outcomes.
func personWrites(t *testing.T, a *away) {
	held, release := a.delay.holding("StartIPRotation")
	ps := a.start(t, "run", "--at", a.at())
	for range few {
		await(t, held)
	}
	a.run(t, "hold", "all", "--by", "ann", "--reason", "moving house", "--at", a.at())
	release()
	if code := ps.wait(t); code != 0 {
		t.Errorf("exit status %d: %s", code, ps.stderr.String())
	}
	if calls := a.calls(); len(calls) != len(few) || calls["catalog"] != "accepted" ||
		calls["audit"] != "accepted" {
		t.Errorf("in the store: %v", calls)
	}
	if said, _ := a.run(t, "status", "--at", a.at()); !strings.Contains(said, "moving house") {
		t.Errorf("the hold is lost: %s", said)
	}
	a.run(t, "release", "all", "--by", "ann", "--reason", "moved", "--at", a.at())
	a.pass(time.Hour)
	a.toTheEnd()
}
