package pass

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gke-credential-rotator/job/intercept"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

var chaosSeeds = flag.Int("chaos", 8, "how many seeds TestChaos plays")

// chaos is three due clusters under two slots, on which runs are killed,
// paused, overlapped and lied to at random.
type chaos struct {
	*stage
	*rand.Rand
	faults  bool
	depth   int
	delayed []late
}

// late is a request on its way.
type late struct {
	at      time.Time
	deliver func()
}

// sometimes is true once in n, while there are faults.
func (c *chaos) sometimes(n int) bool { return c.faults && c.IntN(n) == 0 }

// wait lets time go by and delivers what was on its way.
func (c *chaos) wait(d time.Duration) {
	until := c.now.Add(d)
	for len(c.delayed) > 0 && !c.delayed[0].at.After(until) {
		next := c.delayed[0]
		c.delayed = c.delayed[1:]
		if next.at.After(c.now) {
			c.pass(next.at.Sub(c.now))
		}
		next.deliver()
	}
	c.pass(until.Sub(c.now))
}

// pause stops a process for a while, in which another may make a whole run.
func (c *chaos) pause(longest time.Duration) {
	if c.depth > 1 || !c.sometimes(12) {
		return
	}
	c.wait(time.Duration(c.Int64N(int64(longest))))
	if c.IntN(2) == 0 {
		c.one()
	}
}

// one makes a run that may die, and may not.
func (c *chaos) one() {
	c.depth++
	defer func() { c.depth-- }()
	p := c.process().alone()
	lifetime := 1000
	if c.sometimes(4) {
		lifetime = 1 + c.IntN(14)
	}
	step := func() {
		c.pause(45 * time.Minute)
		if lifetime--; lifetime == 0 {
			p.dead = true
		}
	}
	p.beforeRead = func(string) error { step(); return nil }
	p.beforeWrite = func(state.Change) error { step(); return nil }
	p.afterWrite = func(state.Change) error {
		if step(); p.dead || c.sometimes(12) {
			return errStore
		}
		return nil
	}
	p.network = c.network
	p.answer = func(o record.Outcome) record.Outcome {
		step()
		return o
	}
	if _, err := p.run(c.t.Context()); err != nil && !c.faults {
		c.t.Fatalf("a run without faults: %v", err)
	}
	if n := len(c.doc().Slots); n > 2 {
		c.t.Fatalf("%d slots are held, MAX_ACTIVE=2", n)
	}
}

// network loses answers and delivers late, at most LATE after the call, whatever
// becomes of the caller.
func (c *chaos) network(_ context.Context, call *intercept.Call, next intercept.Next) error {
	c.intended(call.Ref)
	c.pause(record.Late - time.Minute)
	if c.sometimes(4) {
		at := c.now.Add(time.Duration(c.Int64N(int64(record.Late))))
		c.delayed = append(c.delayed, late{at, func() { _ = next(context.Background()) }})
		slices.SortFunc(c.delayed, func(a, b late) int { return a.at.Compare(b.at) })
		return errors.New("deadline exceeded")
	}
	if err := next(context.Background()); err != nil || !c.sometimes(4) {
		return err
	}
	return errors.New("connection reset")
}

// intended: right before it is sent, a call is in the store as an intent.
func (c *chaos) intended(ref fleet.Ref) {
	b, err := c.contents.Contents(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	r, ok := b.Rotations[ref]
	if ok && r.Call != nil && r.Call.State == record.Intended {
		return
	}
	for _, call := range r.PoolCalls {
		if call.State == record.Intended {
			return
		}
	}
	c.t.Fatalf("a call for %s is sent without an intent: %+v", ref, r)
}

// TestChaos: whatever happens to the runs, each cluster is rotated exactly
// once, nothing of ours is on record as foreign, slots stay within the limit,
// and once the faults stop everything ends well.
func TestChaos(t *testing.T) {
	for seed := range *chaosSeeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			clusters := []fleet.Ref{shop, yard, {Project: "other", Location: "europe-west1", Name: "o"}}
			c := &chaos{stage: newStage(t, clusters...), Rand: rand.New(rand.NewPCG(uint64(seed), 1)), faults: true}
			c.policy.MaxActive, c.policy.MaxFailed = 2, 1000
			for range 60 {
				c.one()
				c.wait(time.Duration(10+c.IntN(80)) * time.Minute)
			}
			c.faults = false
			c.wait(time.Hour)
			c.forgive()
			for range 200 {
				c.one()
				c.wait(time.Hour)
			}
			c.judge(clusters)
		})
	}
}

// forgive is a person who acknowledges every failure.
func (c *chaos) forgive() {
	b, err := c.contents.Contents(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	c.edit(func(d *record.FleetDoc) {
		d.Failures, d.Tries = nil, nil
		for ref := range b.Rotations {
			d.Requests = append(d.Requests, record.Request{Kind: record.RequestRetry, Cluster: ref,
				Said: record.Said{By: "ann", At: c.now}})
		}
	})
}

func (c *chaos) judge(clusters []fleet.Ref) {
	c.t.Helper()
	for _, ref := range clusters {
		accepted := map[string]int{}
		for _, e := range c.gke.Journal() {
			if e.Accepted && e.Cluster == ref.Path() {
				accepted[e.Method]++
			}
		}
		if accepted["StartIPRotation"] != 1 || accepted["CompleteIPRotation"] != 1 {
			c.t.Errorf("%s: accepted %v", ref, accepted)
		}
		records, err := c.contents.History(c.t.Context(), ref)
		if err != nil {
			c.t.Fatal(err)
		}
		done := 0
		for _, rec := range records {
			switch {
			case rec.Rotation.Origin == record.Foreign:
				c.t.Errorf("%s: ours is on record as foreign", ref)
			case rec.ClosedAs == record.Completed:
				done++
			case rec.ClosedAs != record.NotStarted:
				c.t.Errorf("%s: closed as %s", ref, rec.ClosedAs)
			}
		}
		if done != 1 {
			c.t.Errorf("%s: completed %d times; in flight: %+v", ref, done, c.rotation())
		}
	}
	if slots := c.doc().Slots; len(slots) != 0 {
		c.t.Errorf("slots nobody holds: %v", slots)
	}
}
