package sim

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// Forecast is what will become of a fleet if nobody does anything else: a story
// that goes on from where the fleet is, and what people ask of it.
type Forecast struct {
	Story
	// Skipped are scheduled runs that were not played, for nothing could come of them.
	Skipped int
	// Turns are all rotations, ordered by their start, then by cluster.
	Turns []Turn
	// Days are all days from the first to the last, in UTC.
	Days []Day
	// Peak is the most rotations in flight at one time, and PeakAt when that is first so.
	Peak   int
	PeakAt time.Time
	// Left are clusters that are due and not rotated by the end, and those of which nobody can tell.
	Left []Left
	// Unread could not be read, so it is in no forecast.
	Unread []fleet.Unread
	// Late counts the deadlines that pass before a start; Overdue those that had passed when it began.
	Late, Overdue int
}

// Turn is one rotation of one cluster. A time is zero when that does not happen before the end.
type Turn struct {
	Cluster fleet.Ref
	Attempt string
	No      int
	Wave    string
	OldCA   fleet.CA
	// Before: it was in flight when the forecast began.
	Before bool
	// Watched: somebody else started it and completes it.
	Watched     bool
	Emergency   bool
	Compromised bool

	Due, Deadline time.Time
	Start         time.Time // the start is sent
	HandedOver    time.Time // old and new are in place: people can update
	NodesDone     time.Time
	SoakEnds      time.Time // update clients by then
	Completed     time.Time // the completion is sent: the old credentials end
	OneCA         time.Time // the new CA alone is seen
	Verified      time.Time // the attempt is closed
	Closed        record.ClosedAs
	Phase         record.Phase // where it stands at the end; "" when closed
	Reason        reason.Code
	Message       fact.Text
}

// Late says whether it starts after its deadline.
func (t Turn) Late() bool { return !t.Before && !t.Deadline.IsZero() && t.Start.After(t.Deadline) }

// Day is how much happens on one day.
type Day struct {
	Date time.Time
	// InFlight is the most rotations at one time.
	InFlight           int
	Starts, Completing int
}

// Left is a cluster that is due and not rotated when the forecast ends.
type Left struct {
	Cluster  fleet.Ref
	Wave     string
	Outcome  Outcome
	Phase    record.Phase // in flight: where
	Due      time.Time
	Deadline time.Time
	Expires  time.Time // of the oldest CA
	Late     bool      // the deadline passes before the end
	// Held is what it waited for longest; zero when it did not wait.
	Held    Wait
	Reason  reason.Code // at the end
	Message fact.Text
	On      fleet.Ref // the cluster to act upon
}

// Foresee plays like [Play], without faults, from where world and store are, and comes to the same; it
// leaves out what cannot matter. each, when given, sees every run that is made.
func Foresee(ctx context.Context, s Setup, each func(pass.Result)) (Forecast, error) {
	c, err := newScheduler(s)
	if err != nil {
		return Forecast{}, err
	}
	for now := s.From; !now.After(c.story.To); now = now.Add(s.Every) {
		if err := ctx.Err(); err != nil {
			return Forecast{}, err
		}
		if err := c.step(ctx, now, each); err != nil {
			return Forecast{}, err
		}
	}
	for _, x := range c.rows {
		c.count(x, c.story.To)
	}
	c.story.finish(c.runs, s.World.Journal())
	f := Forecast{Story: c.story.Story, Skipped: c.skipped, Turns: c.rotations.list(), Left: c.left()}
	f.load()
	f.deadlines()
	return f, nil
}

// deadlines counts those that pass without a start.
func (f *Forecast) deadlines() {
	miss := func(late bool, deadline time.Time) {
		switch {
		case !late:
		case deadline.Before(f.From):
			f.Overdue++
		default:
			f.Late++
		}
	}
	for _, t := range f.Turns {
		miss(t.Late(), t.Deadline)
	}
	for _, l := range f.Left {
		miss(l.Late, l.Deadline)
	}
}

func (c *scheduler) left() []Left {
	var out []Left
	for _, end := range c.story.Clusters {
		x := c.byCluster[end.Cluster]
		broken := end.Outcome == NeedsAction || end.Outcome == Unreadable
		if x == nil || !x.d.Due.Is && !broken || end.Outcome == Verified || end.Outcome == CompletedByGKE ||
			end.Outcome == NotDue {
			continue
		}
		_, wave := c.Policy.Waves.Of(x.cluster.Labels)
		l := Left{
			Cluster: end.Cluster, Wave: wave, Outcome: end.Outcome, Phase: end.Phase, Due: x.d.Due.At,
			Deadline: x.d.Due.Deadline, Expires: x.cluster.Bundle.Oldest().Expires, Reason: end.Reason,
			Message: end.Message, On: x.d.ActOn(),
		}
		l.Late = end.Phase == "" && !l.Deadline.IsZero() && l.Deadline.Before(c.story.To)
		for _, w := range x.waits {
			if w.Time > l.Held.Time {
				l.Held = w
			}
		}
		out = append(out, l)
	}
	slices.SortStableFunc(out,
		func(a, b Left) int { return cmp.Or(a.Deadline.Compare(b.Deadline), a.Cluster.Compare(b.Cluster)) })
	return out
}

// load counts what is in flight, day by day.
func (f *Forecast) load() {
	const day = 24 * time.Hour
	first := f.From.UTC().Truncate(day)
	for at := first; at.Before(f.To) || at.Equal(first); at = at.Add(day) {
		f.Days = append(f.Days, Day{Date: at})
	}
	on := func(t time.Time) *Day {
		i := int(t.Sub(first) / day)
		if t.IsZero() || i < 0 || i >= len(f.Days) {
			return nil
		}
		return &f.Days[i]
	}
	changes := map[time.Time]int{}
	for _, t := range f.Turns {
		changes[later(t.Start, f.From).UTC()]++
		if !t.Verified.IsZero() {
			changes[t.Verified.UTC()]--
		}
		if d := on(t.Start); d != nil && !t.Before {
			d.Starts++
		}
		if d := on(t.Completed); d != nil {
			d.Completing++
		}
	}
	now, at := 0, slices.SortedFunc(maps.Keys(changes), time.Time.Compare)
	for i := range f.Days {
		f.Days[i].InFlight = now
		for len(at) > 0 && at[0].Before(f.Days[i].Date.Add(day)) {
			now += changes[at[0]]
			f.Days[i].InFlight = max(f.Days[i].InFlight, now)
			if now > f.Peak {
				f.Peak, f.PeakAt = now, at[0]
			}
			at = at[1:]
		}
	}
}

// rotations gathers the rotations of a forecast from the records that runs store.
type rotations struct {
	from time.Time
	all  map[string]*Turn // by attempt
}

func newRotations(s Setup) *rotations {
	t := &rotations{from: s.From, all: map[string]*Turn{}}
	for _, r := range s.Contents.Rotations {
		t.of(r).Before = true
	}
	return t
}

// of is the rotation of a record, as far as that tells.
func (t *rotations) of(r record.Rotation) *Turn {
	x := t.all[r.AttemptID]
	if x == nil {
		x = &Turn{Cluster: r.Cluster, Attempt: r.AttemptID, No: r.AttemptNo, OldCA: r.Baseline.CA,
			Due: r.DueAt}
		t.all[r.AttemptID] = x
	}
	x.Wave, x.Watched, x.Emergency, x.Compromised = r.Wave, !r.Managed, r.Emergency, r.Compromised
	x.Start, x.HandedOver, x.NodesDone = r.StartedAt(), r.HandedOverAt, r.Entered(record.UpdatingClients)
	if at := r.Entered(record.Starting); !at.IsZero() {
		x.Start = at
	}
	x.Completed, x.OneCA, x.Phase = r.Entered(record.Completing), r.Entered(record.Verifying), r.Phase
	return x
}

func (t *rotations) add(res pass.Result) {
	planned := map[fleet.Ref]policy.Decision{}
	for _, d := range res.Decisions {
		planned[d.Cluster.Ref] = d
		if r := d.Rotation; r != nil && t.all[r.AttemptID] != nil {
			x := t.all[r.AttemptID]
			x.Reason, x.Message = d.Reason, d.Message
			if x.Deadline.IsZero() && x.Before {
				x.Deadline = d.Due.Deadline
			}
			for _, v := range d.Gates {
				if v.Gate == policy.GateSoak && !v.Open {
					x.SoakEnds = v.OpensAt
				}
			}
		}
	}
	for _, done := range res.Done {
		r := done.After.Rotation
		if done.Skipped != "" || r == nil || r.AttemptID == "" {
			continue
		}
		x := t.of(*r)
		if done.Action == policy.Start {
			x.Deadline = planned[done.Ref].Due.Deadline
		}
		if x.SoakEnds.IsZero() {
			x.SoakEnds = r.Entered(record.Completing) // the soak was over when the nodes were done
		}
		if done.After.Close != "" {
			x.Verified, x.Closed, x.Phase = res.At, done.After.Close, ""
			x.Reason, x.Message = done.After.Reason, done.After.Message
		}
	}
}

func (t *rotations) list() []Turn {
	var out []Turn
	for _, id := range slices.Sorted(maps.Keys(t.all)) {
		out = append(out, *t.all[id])
	}
	slices.SortStableFunc(out,
		func(a, b Turn) int { return cmp.Or(a.Start.Compare(b.Start), a.Cluster.Compare(b.Cluster)) })
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
