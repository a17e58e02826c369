package trial

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"google.golang.org/grpc"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

const day = 24 * time.Hour

// play is one play at work. Everything in it happens one after another: the
// scheduler takes the next thing from the agenda, and when that is a process's
// next step, waits until the process parks at its next call or ends.
type play struct {
	Setup
	dice  *rand.Rand
	now   time.Time // the world's clock
	world *gkesim.World
	cloud *gke.Cloud // to change clusters
	// refusal is GKE's answer to the next request that changes a cluster.
	refusal error
	cache   *sim.Cache
	agenda  []thing // in order
	// yield is how a process says that it has parked or ended.
	yield chan struct{}
	calm  bool
	skips bool

	deployments []*deployment
	live        []*process // in the order of their begin
	passes      int
	requests    int
	underway    int // requests that may still be delivered
	fleet       fleetMaker
	rates       rates
	owners      *owners

	judge  Judge
	events int
	out    *Verdict
}

// Play plays a seed to its end and gives the judge's verdict.
func Play(o Options) (Verdict, error) {
	p := &play{
		Setup: Setup{Options: o},
		dice:  rand.New(rand.NewPCG(o.Seed, 0x7261)), //nolint:gosec // seeded on purpose: a play is repeatable
		yield: make(chan struct{}),
		out:   &Verdict{Seed: o.Seed, Totals: Totals{Seeds: 1, Faults: map[string]int{}}},
	}
	if err := p.prepare(); err != nil {
		return *p.out, err
	}
	if o.Judge != nil {
		p.judge = o.Judge(p.Setup)
	}
	p.tell(&Event{Kind: Begin, Facts: p.facts()})
	for _, d := range p.deployments {
		p.tell(&Event{Kind: Settings, Env: d.policy.Env, Policy: d.policy, Mode: d.mode})
	}
	p.schedule()
	for len(p.agenda) > 0 && !p.agenda[0].at.After(p.End) {
		next := p.agenda[0]
		p.agenda = p.agenda[1:]
		p.pass(next.at)
		next.do()
	}
	p.pass(p.End)
	p.tell(&Event{Kind: End, Facts: p.facts()})
	p.close()
	p.out.Events = p.events
	for _, d := range p.deployments {
		p.out.Heard = append(p.out.Heard, d.heard)
	}
	return *p.out, p.cache.Err()
}

// prepare makes the world, the fleet, the deployments and the times.
func (p *play) prepare() error {
	begin := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC).Add(time.Duration(p.dice.IntN(400)) * day)
	p.Begin, p.now = begin, begin
	p.End = begin.Add(time.Duration(p.Days) * day)
	p.Calm = p.End.Add(-max(time.Duration(p.Days)*day*2/5, 21*day))
	p.skips = p.Seed%4 != 0 && !p.Hourly
	if !p.Faults {
		p.Calm = begin
	}
	p.rates, p.owners = p.drawRates(), newOwners(p)
	habits := p.drawOptions()
	p.Slow, p.NodeTakes = habits.StartTakes > 15*time.Minute || habits.ManualPauses, habits.NodeTakes
	p.world = gkesim.New(habits)
	client := p.world.Direct()
	client.Around = func(
		ctx context.Context, req any, _ *grpc.UnaryServerInfo, serve grpc.UnaryHandler,
	) (any, error) {
		if err := p.refusal; err != nil {
			p.refusal = nil
			return nil, err
		}
		return serve(ctx, req)
	}
	p.cloud = gke.Over(client, gke.NoRetry())
	p.cache = sim.NewCache(p.world, record.Stale+time.Hour)
	p.cache.Changed = func(ref fleet.Ref, before, now sim.View) {
		if !now.Gone && !slices.Equal(before.Cluster.Bundle.CAs, now.Cluster.Bundle.CAs) {
			p.tell(&Event{Kind: Changed, Cluster: ref, Fact: p.fact(ref)})
		}
	}
	p.fleet = p.drawFleet()
	for range max(p.Clusters, 1) {
		if _, err := p.fleet.add(p, ""); err != nil {
			return err
		}
	}
	return p.deploy()
}

// close ends what is still at work.
func (p *play) close() {
	for _, x := range p.live {
		x.dead = true
		x.step()
	}
}

// pass lets time pass: GKE works, event by event.
func (p *play) pass(until time.Time) {
	for {
		next, ok := p.world.Next()
		if !ok || next.After(until) {
			break
		}
		if next.After(p.now) {
			p.now = next
		}
		p.world.Advance(p.now)
		p.refresh()
	}
	if until.After(p.now) {
		p.now = until
	}
	p.world.Advance(p.now)
}

// refresh reads again what has changed.
func (p *play) refresh() {
	if len(p.cache.Refresh()) > 0 {
		p.stir()
	}
}

// refs lists the clusters that are there, in order.
func (p *play) refs() []fleet.Ref {
	var out []fleet.Ref
	for _, refs := range p.cache.Projects() {
		out = append(out, refs...)
	}
	out = slices.DeleteFunc(out, func(ref fleet.Ref) bool { return p.cache.Now(ref).Gone })
	slices.SortFunc(out, fleet.Ref.Compare)
	return out
}

// fact is what is true of the cluster now; nil: it is gone.
func (p *play) fact(ref fleet.Ref) *Fact {
	r := p.cache.Now(ref)
	if r.Gone {
		return nil
	}
	return &Fact{Ref: ref, Raw: r.Raw, Cluster: r.Cluster}
}

// thing is something that happens at its time.
type thing struct {
	at time.Time
	do func()
}

// at puts something on the agenda, behind all that happens by then.
func (p *play) at(t time.Time, do func()) {
	i := sort.Search(len(p.agenda), func(i int) bool { return p.agenda[i].at.After(t) })
	p.agenda = slices.Insert(p.agenda, i, thing{t, do})
}

// in puts something on the agenda a while from now.
func (p *play) in(d time.Duration, do func()) { p.at(p.now.Add(d), do) }

// mostViolations are kept of one play: the first ones tell.
const mostViolations = 20

// tell writes an event into the journal.
func (p *play) tell(e *Event) {
	p.events++
	e.N, e.At = p.events, p.now
	var found []Violation
	if p.judge != nil {
		found = p.judge.Event(e)
		p.out.Totals.Violations += len(found)
		for _, v := range found {
			if len(p.out.Violations) < mostViolations {
				p.out.Violations = append(p.out.Violations, v)
			}
		}
	}
	if p.Watch != nil {
		p.Watch(e, found)
	}
}

// fault counts a fault by its kind.
func (p *play) fault(kind string) { p.out.Faults[kind]++ }

// sometimes is true with that chance, while there are faults.
func (p *play) sometimes(chance float64) bool {
	return p.Faults && !p.calm && p.dice.Float64() < chance
}

// likely is true with that chance.
func (p *play) likely(chance float64) bool { return p.dice.Float64() < chance }

// between draws a duration.
func (p *play) between(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(p.dice.Int64N(int64(most-least)))
}

func pick[T any](p *play, of ...T) T { return of[p.dice.IntN(len(of))] }

// facts are all clusters as they are.
func (p *play) facts() []Fact {
	var out []Fact
	for _, ref := range p.refs() {
		out = append(out, *p.fact(ref))
	}
	return out
}

// Verdict is what came of a play.
type Verdict struct {
	Seed       uint64
	Violations []Violation // the first ones
	Heard      []Heard     // by deployment
	Totals
}

// Totals count what was played.
type Totals struct {
	Seeds, Clusters int
	ClusterDays     float64
	// Passes are the processes that were begun, plans among them; Skipped are
	// runs that the promise of nextChangeAt made needless.
	Passes, Plans, Skipped int
	Faults                 map[string]int
	Kills                  int
	// Starts, Completes and Recreates are those of ours that GKE accepted.
	Starts, Completes, Recreates int
	// Closed counts the ends of attempts.
	Closed     map[record.ClosedAs]int
	Events     int
	Violations int
}

// Add adds the totals of another play.
func (t *Totals) Add(o Totals) {
	t.Seeds += o.Seeds
	t.Clusters += o.Clusters
	t.ClusterDays += o.ClusterDays
	t.Passes += o.Passes
	t.Plans += o.Plans
	t.Skipped += o.Skipped
	t.Kills += o.Kills
	t.Starts += o.Starts
	t.Completes += o.Completes
	t.Recreates += o.Recreates
	t.Events += o.Events
	t.Violations += o.Violations
	if t.Faults == nil {
		t.Faults = map[string]int{}
	}
	for k, n := range o.Faults {
		t.Faults[k] += n
	}
	if t.Closed == nil {
		t.Closed = map[record.ClosedAs]int{}
	}
	for k, n := range o.Closed {
		t.Closed[k] += n
	}
}

// nobody is the context of what belongs to no process.
var nobody = context.Background()

func broken(what string, err error) error { return fmt.Errorf("trial: %s: %w", what, err) }
