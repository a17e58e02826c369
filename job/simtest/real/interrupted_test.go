package real

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/simtest/fleets"
)

// few are three clusters in as many projects that could all start at once.
var few = []fleets.Member{
	fleets.At("shop", "europe-west1", "catalog", nil),
	fleets.At("bank", "europe-west3", "audit", nil),
	fleets.At("ml", "europe-west4", "serve", fleets.Autopilot),
}

// rig is the program beside a simulated GKE whose answers can be held back.
type rig struct {
	t *testing.T
	*program
	gke   simulator
	delay *delay
	now   time.Time
}

// rigged sets up a story; one cluster is worked on at a time, so that the
// others are what the run would do next.
func rigged(t *testing.T, rotator *program, contents []string) *rig {
	gke := rotator.simulator(t, fleets.Monday, fleets.Of(few))
	d := gke.delayed(t)
	return &rig{t, rotator.with(settings(d.address)...).with(contents...).with("ROTATOR_PARALLEL=1"), gke, d,
		fleets.Monday}
}

func (r *rig) at() string { return r.now.Format(time.RFC3339) }

// pass lets simulated time pass.
func (r *rig) pass(d time.Duration) {
	r.now = r.now.Add(d)
	r.gke.clock(r.t, r.now)
}

// sent gives the requests of that method so far.
func (r *rig) sent(method string) []gkesim.Entry {
	var out []gkesim.Entry
	for _, e := range r.gke.journal(r.t) {
		if e.Method == method {
			out = append(out, e)
		}
	}
	return out
}

func (r *rig) want(method string, n int) {
	r.t.Helper()
	if got := r.sent(method); len(got) != n {
		r.t.Fatalf("%s was sent %d times, want %d: %+v", method, len(got), n, got)
	}
}

// calls gives the state of the start call of each rotation in flight.
func (r *rig) calls() map[string]string {
	r.t.Helper()
	out := map[string]string{}
	for _, m := range few {
		text, _ := r.run(r.t, "status", m.String(), "--at", r.at(), "--format", "json")
		var status struct {
			Rotation *struct{ Call struct{ State string } }
		}
		if err := json.Unmarshal([]byte(text), &status); err != nil {
			r.t.Fatal(err)
		}
		if status.Rotation != nil {
			out[m.Name] = status.Rotation.Call.State
		}
	}
	return out
}

// toTheEnd makes hourly runs until all are verified; each must have been
// started once and completed once.
func (r *rig) toTheEnd() {
	r.t.Helper()
	for range 60 {
		r.run(r.t, "run", "--at", r.at())
		pl := r.plan(r.t, r.now)
		if pl.verified() == len(few) {
			judge(r.t, few, r.gke.journal(r.t))
			return
		}
		r.pass(pl.next(r.now).Sub(r.now))
	}
	r.t.Fatalf("not verified by %s: %+v", r.at(), r.plan(r.t, r.now))
}

// TestTwoRunsAtOnce: one holds the lease, the other says so and does nothing.
func TestTwoRunsAtOnce(t *testing.T) {
	t.Parallel()
	rotator := build(t)
	bothStores(t, func(t *testing.T, contents []string) {
		r := rigged(t, rotator, contents)
		held, release := r.delay.holding("ListClusters")
		first := r.start(t, "run", "--at", r.at())
		await(t, held)
		_, said := r.run(t, "run", "--at", r.at())
		if !strings.Contains(said, "lease_busy") {
			t.Errorf("the second run said %s", said)
		}
		r.want("StartIPRotation", 0)
		release()
		if code := first.wait(t); code != 0 {
			t.Errorf("the first run: exit status %d, %s", code, first.stderr.String())
		}
		r.want("StartIPRotation", len(few))
	})
}

// longestEnd is what a platform gives a process after SIGTERM.
const longestEnd = 10 * time.Second

// TestTerminated: told to stop while GKE has a call and has not answered, a run
// begins nothing more, stores what comes of the call, and ends in time.
func TestTerminated(t *testing.T) {
	t.Parallel()
	rotator := build(t)
	for name, answers := range map[string]bool{"answered": true, "unanswered": false} {
		t.Run(name, func(t *testing.T) {
			bothStores(t, func(t *testing.T, contents []string) {
				r := rigged(t, rotator, contents)
				held, release := r.delay.holding("StartIPRotation")
				ps := r.start(t, "run", "--at", r.at())
				await(t, held)
				told := time.Now()
				if err := ps.cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				state := "unclear"
				if answers {
					time.AfterFunc(2*time.Second, release)
					state = "accepted"
				}
				code, took := ps.wait(t), time.Since(told)
				if code != 0 || took > longestEnd {
					t.Errorf("exit status %d after %s: %s", code, took, ps.stderr.String())
				}
				t.Logf("ended %.1f s after SIGTERM", took.Seconds())
				r.want("StartIPRotation", 1)
				if calls := r.calls(); len(calls) != 1 || calls["catalog"] != state {
					t.Errorf("in the store: %v", calls)
				}
				if !answers {
					release()
				}
				r.pass(time.Hour)
				r.toTheEnd()
			})
		})
	}
}

// TestKilled: killed between an intent and its outcome, first at a start, then
// at a completion: the runs after it settle both, and send neither again.
func TestKilled(t *testing.T) {
	t.Parallel()
	rotator := build(t)
	bothStores(t, func(t *testing.T, contents []string) {
		r := rigged(t, rotator, contents)
		r.killAt("StartIPRotation")
		if calls := r.calls(); len(calls) != 1 || calls["catalog"] != "intended" {
			t.Fatalf("in the store: %v", calls)
		}
		for range 60 {
			pl := r.plan(t, r.now)
			if len(r.sent("StartIPRotation")) == len(few) && strings.Contains(pl.actions(), "complete") {
				break
			}
			r.run(t, "run", "--at", r.at())
			r.pass(r.plan(t, r.now).next(r.now).Sub(r.now))
		}
		r.killAt("CompleteIPRotation")
		r.toTheEnd()
	})
}

// killAt kills a run when GKE has taken a request of the method and has not
// answered.
func (r *rig) killAt(method string) {
	r.t.Helper()
	held, release := r.delay.holding(method)
	defer release()
	ps := r.start(r.t, "run", "--at", r.at())
	await(r.t, held)
	if err := ps.cmd.Process.Kill(); err != nil {
		r.t.Fatal(err)
	}
	if code := ps.wait(r.t); code != -1 {
		r.t.Fatalf("exit status %d", code)
	}
	r.want(method, 1)
	r.pass(time.Hour)
}

func (pl planned) actions() string {
	var out []string
	for _, c := range pl.Clusters {
		out = append(out, c.Action)
	}
	return strings.Join(out, " ")
}
