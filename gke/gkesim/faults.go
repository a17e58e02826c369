package gkesim

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// The words for faults of the simulated GKE.
const (
	// Flaky: reads fail with UNAVAILABLE or DEADLINE_EXCEEDED, answers to
	// accepted changes are lost, and requests are refused with 429.
	Flaky = "flaky"
	// Outside: somebody else starts and completes rotations, adds node pools
	// and upgrades them.
	Outside = "outside"
)

// Faults are what a world suffers. It is the body of POST /sim/faults, which
// replaces what was suffered before, so {} ends all; what GET and POST answer
// holds it in "faults", and in "suffered" how often each kind struck:
//
//	{"words": ["flaky", "outside"], "rate": 0.05, "outsideEvery": "24h0m0s",
//	 "missingZones": {"PROJECT": ["europe-west1-b"]}, "denied": {"PROJECT": "permission"},
//	 "fail": [{"cluster": "projects/P/locations/L/clusters/C", "kind": "UPGRADE_NODES",
//	           "message": "stockout", "times": 1}]}
type Faults struct {
	// Words are flaky and outside, in any order.
	Words []string `json:"words,omitempty"`
	// Rate is the share of requests that flaky strikes, up to 1; 0 is 0.05.
	Rate float64 `json:"rate,omitempty"`
	// OutsideEvery is about how often outside strikes, as a Go duration; empty
	// is 24h.
	OutsideEvery string `json:"outsideEvery,omitempty"`
	// MissingZones are, by project, locations that GKE cannot reach: lists
	// leave their clusters out and say so.
	MissingZones map[string][]string `json:"missingZones,omitempty"`
	// Denied are, by project, the reason of a 403: permission or api-disabled.
	Denied map[string]string `json:"denied,omitempty"`
	// Fail are operations to come that will fail. They are added to those that
	// wait already, and the answer does not repeat them.
	Fail []Failure `json:"fail,omitempty"`
}

// Failure is an operation to come that will fail.
type Failure struct {
	Cluster string `json:"cluster"`
	Kind    string `json:"kind"` // as UPGRADE_NODES
	Message string `json:"message"`
	Times   int    `json:"times"`
}

// The defaults of flaky and outside.
const (
	defaultRate  = 0.05
	defaultEvery = "24h"
)

// faulty is a world's faults at work.
type faulty struct {
	Faults
	every    time.Duration
	next     time.Time // when outside strikes next; zero: never
	dice     *rand.Rand
	suffered map[string]int
	pools    int // added from outside
}

func newFaulty(seed int64) faulty {
	return faulty{
		dice:     rand.New(rand.NewPCG(uint64(seed), 0xfa17)), //nolint:gosec // seeded on purpose: a simulation is repeatable
		suffered: map[string]int{},
	}
}

// Suffer makes the world suffer these faults from now on, and no others.
func (w *World) Suffer(f Faults) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	every, err := time.ParseDuration(cmp.Or(f.OutsideEvery, defaultEvery))
	if err != nil || every < time.Minute {
		return fmt.Errorf("outsideEvery %q is no duration of a minute or more, as 24h", f.OutsideEvery)
	}
	if err := w.check(f); err != nil {
		return err
	}
	for _, x := range f.Fail {
		w.clusters[x.Cluster].spoil(x.Kind, x.Message, x.Times)
	}
	f.Fail = nil
	w.faults.Faults, w.faults.every, w.faults.next = f, every, time.Time{}
	if slices.Contains(f.Words, Outside) {
		w.faults.next = w.soon()
	}
	return nil
}

func (w *World) check(f Faults) error {
	for _, word := range f.Words {
		if word != Flaky && word != Outside {
			return fmt.Errorf("the word %q is unknown; GKE's own faults are %s and %s", word, Flaky, Outside)
		}
	}
	if f.Rate < 0 || f.Rate > 1 {
		return fmt.Errorf("rate %g is not between 0 and 1", f.Rate)
	}
	for project, why := range f.Denied {
		if why != "permission" && why != "api-disabled" {
			return fmt.Errorf("denied: %q of %s is neither permission nor api-disabled", why, project)
		}
	}
	for _, x := range f.Fail {
		if w.clusters[x.Cluster] == nil {
			return fmt.Errorf("fail: there is no cluster %q", x.Cluster)
		}
		if x.Times < 1 || x.Times > 1000 || x.Kind == "" || x.Message == "" {
			return fmt.Errorf("fail: %+v needs a kind, a message and 1 to 1000 times", x)
		}
	}
	return nil
}

// Suffered says how often faults of each kind have struck.
func (w *World) Suffered() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.faults.suffered)
}

func (f *faulty) struck(kind string) { f.suffered[kind]++ }

// flaky throws the dice: whether a request is struck.
func (f *faulty) flaky() bool {
	if !slices.Contains(f.Words, Flaky) {
		return false
	}
	return f.dice.Float64() < cmp.Or(f.Rate, defaultRate)
}

// soon is when outside strikes next: every so often, half more or less.
func (w *World) soon() time.Time {
	f := &w.faults
	return w.now.Add(f.every/2 + time.Duration(f.dice.Int64N(int64(f.every))))
}

// meddle is somebody else at work on one cluster.
func (w *World) meddle() {
	f := &w.faults
	defer func() { f.next = w.soon() }()
	projects := slices.Sorted(maps.Keys(w.shelves))
	if len(projects) == 0 {
		return
	}
	shelf := w.shelves[projects[f.dice.IntN(len(projects))]]
	c := shelf[f.dice.IntN(len(shelf))]
	c.look()
	c.forget()
	deeds := []func() error{
		c.startOutside,
		func() error { _, err := c.tryComplete(); return err },
		c.addPool,
		c.upgradeSome,
	}
	first := f.dice.IntN(len(deeds))
	for i := range deeds {
		if deeds[(first+i)%len(deeds)]() == nil {
			f.struck(Outside)
			break
		}
	}
	w.plan(c)
}

// missing are the locations of a project that cannot be reached, in order.
func (w *World) missing(parent string) []string {
	parts := strings.Split(w.byID(parent), "/")
	if len(parts) < 4 {
		return nil
	}
	var out []string
	for _, at := range w.faults.MissingZones[parts[1]] {
		if parts[3] == "-" || parts[3] == at {
			out = append(out, at)
		}
	}
	slices.Sort(out)
	return out
}
