package pass

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/notice"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// Receiver is somebody who is told of notices: a webhook, a topic.
type Receiver interface {
	// Name is the name by which the store notes that it has a notice.
	Name() string
	// Notify delivers one notice; nil: it is there. It may be told one again, and
	// knows it by its id. [ErrRefused]: it will never take this one. Any other
	// error: it is out of reach, and would take none. Errors hold no secrets.
	Notify(ctx context.Context, n record.Notice) error
}

// ErrRefused says that a receiver does not take this notice.
var ErrRefused = errors.New("the receiver refuses it")

// What telling may add to a run. A receiver out of reach is tried once a run.
const (
	tellTimeout = 5 * time.Second // for one receiver and notice
	tellWithin  = 20 * time.Second
)

// notices are what people are told with this write.
func (a *actor) notices(d policy.Decision, now time.Time) []record.Notice {
	if len(a.Notify) == 0 {
		return nil
	}
	var before *record.Rotation
	if r, ok := a.res.Fleet.Contents.Rotations[d.Cluster.Ref]; ok {
		before = &r
	}
	return notice.Of(a.Policy, before, d, a.Run, now)
}

// readOutbox reads what waits to be told and what was announced; false: neither is known, or nobody is told.
func (a *actor) readOutbox(ctx context.Context) bool {
	if len(a.Notify) == 0 {
		return false
	}
	box, err := a.Store.Outbox(ctx)
	if err != nil {
		a.log.line(EventNotificationsWait, "what is to be told could not be read; the next run tries again",
			slog.String(attrError, err.Error()))
		return false
	}
	a.waiting = box
	return true
}

// noteStanding puts into the run's note what stands and was not told yet.
func (a *actor) noteStanding(doc record.FleetDoc, c *state.Change) {
	fleet := a.res.Fleet
	fleet.Contents.Fleet = doc
	after, news := notice.Standing(a.waiting.Standing, notice.Input{
		Policy: a.Policy, Fleet: fleet, Decisions: a.res.Decisions, Ahead: a.Ahead, Acts: a.Move != nil, Run: a.Run,
		Now: a.Now(),
	})
	c.Notices = news
	if !after.Same(a.waiting.Standing) {
		c.Standing = &after
	}
}

// deliver delivers what waits, in order, after all else is stored. What cannot be now goes with a later run.
func (a *actor) deliver(ctx context.Context) {
	if len(a.Notify) == 0 || len(a.waiting.Notices) == 0 {
		return
	}
	if busy, err := a.lease.take(ctx); err != nil || busy != "" {
		return // whoever has it tells; this run has none if it only observed
	}
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	t := &delivery{actor: a, since: a.Mono(), down: map[string]string{}, refused: map[order]bool{},
		givenUp: map[string]bool{}}
	keep, old, many := a.waiting.Drop(a.Now())
	t.drop(ctx, old, "older than "+fleet.Days(record.NoticeLasts))
	t.drop(ctx, many, fmt.Sprintf("more than %d waited", record.MaxNotices))
	if slices.ContainsFunc(keep, isHandOver) { // noted in the rotations as they are stored
		contents, err := a.Store.Contents(ctx)
		a.active, t.noted = contents.Rotations, err
	}
	keep = handOversFirst(keep)
	for i, n := range keep {
		if !t.goesOn(ctx) {
			t.left += len(keep) - i
			break
		}
		t.one(ctx, n)
	}
	t.report()
}

type delivery struct {
	*actor
	since time.Duration // on Mono
	down  map[string]string
	// refused: what the receiver is told of the cluster later must wait, too.
	refused map[order]bool
	givenUp map[string]bool // by id
	left    int
	untold  []string // whose hand-over waits
	noted   error    // why who has what could not be noted
}

func isHandOver(n record.Notice) bool { return n.Kind == record.NoticeHandedOver }

// handOversFirst puts what a soak waits for before all else, with what its cluster was to
// be told before it.
func handOversFirst(waiting []record.Notice) []record.Notice {
	left := map[fleet.Ref]int{} // of hand-overs
	for _, n := range waiting {
		if isHandOver(n) {
			left[n.Cluster]++
		}
	}
	var first, then []record.Notice
	for _, n := range waiting {
		if left[n.Cluster] > 0 {
			first = append(first, n)
		} else {
			then = append(then, n)
		}
		if isHandOver(n) {
			left[n.Cluster]--
		}
	}
	return append(first, then...)
}

// counting is the rotation whose soak counts from the delivery of this notice.
func (t *delivery) counting(n record.Notice) (record.Rotation, bool) {
	r, ok := t.active[n.Cluster]
	return r, ok && isHandOver(n) && n.HandOver != nil &&
		n.HandOver.AttemptID == r.AttemptID && !n.At.Before(r.ToldAt())
}

// asDelivered is the decision about the cluster as it is once the receiver has the
// hand-over.
func (t *delivery) asDelivered(r record.Rotation, receiver string) policy.Decision {
	d := policy.Decision{Cluster: fleet.Cluster{Ref: r.Cluster}}
	for _, planned := range t.res.Decisions {
		if planned.Cluster.Ref == r.Cluster {
			d = planned
		}
	}
	k := policy.NewCase(t.Policy, d.Cluster, &r, &t.doc, t.Run, t.Now())
	k.Emergency, k.Compromised = d.Emergency, d.Compromised
	after := k.Delivered(receiver)
	d.Rotation, d.Phase = &after, after.Phase
	return d
}

// handOver tells a receiver of a hand-over, written anew so that its dates are true now,
// and notes in the rotation that it has it.
func (t *delivery) handOver(ctx context.Context, receiver Receiver, n record.Notice) bool {
	r, counts := t.counting(n)
	if !counts {
		return t.send(ctx, receiver, n)
	}
	d := t.asDelivered(r, receiver.Name())
	if h, ok := notice.HandOverOf(t.Policy, d, t.Now(), n.HandOver.Moment); ok {
		n.HandOver, n.Expected = &h, h.Completes
	}
	if !t.send(ctx, receiver, n) {
		return false
	}
	if t.givenUp[n.ID] {
		return true // so that those after it can be told; this one is not delivered
	}
	if d.Rotation.Delivery[receiver.Name()].Equal(r.Delivery[receiver.Name()]) {
		return true // it was not named then
	}
	t.noted = t.noteTaken(*d.Rotation, receiver.Name())
	return t.noted == nil // else it is told again
}

// noteTaken stores that the receiver has the hand-over, and what is promised from then,
// also where another run has written meanwhile.
func (t *delivery) noteTaken(r record.Rotation, receiver string) error {
	ctx, cancel := context.WithTimeout(t.last, storeTimeout)
	defer cancel()
	got, err := t.Store.Write(ctx, state.Change{Rotation: &r})
	if err != nil {
		stored, readErr := t.onRecord(r.Cluster)
		switch {
		case readErr != nil:
			return err
		case stored == nil || stored.AttemptID != r.AttemptID || !stored.Delivery[receiver].IsZero():
			return nil // it is over, or noted
		}
		stored.TakenBy(receiver, t.Now())
		if r.Promised.After(stored.Promised) {
			stored.Promised = r.Promised
		}
		if got, err = t.Store.Write(ctx, state.Change{Rotation: stored}); err != nil {
			return err
		}
	}
	t.active[r.Cluster] = *got.Rotation
	return nil
}

// order is what a receiver is told of one cluster.
type order struct {
	receiver string
	cluster  fleet.Ref
}

// goesOn says whether there is still time, a lease and somebody to tell.
func (t *delivery) goesOn(ctx context.Context) bool {
	return t.noted == nil && ctx.Err() == nil && len(t.down) < len(t.Notify) &&
		t.Mono()-t.since < tellWithin && !t.overtime() && t.lease.keep(ctx) == ""
}

// one tells all receivers one notice and notes who has it.
func (t *delivery) one(ctx context.Context, n record.Notice) {
	before, all := len(n.Had), true
	n.Had = slices.Clone(n.Had)
	for _, r := range t.Notify {
		switch name := r.Name(); {
		case slices.Contains(n.Had, name):
		case t.down[name] == "" && !t.refused[order{name, n.Cluster}] && t.handOver(ctx, r, n):
			n.Had = append(n.Had, name)
		default:
			all = false
		}
	}
	if !all {
		t.left++
		if _, counts := t.counting(n); counts {
			t.untold = append(t.untold, n.Subject())
		}
	}
	if all || len(n.Had) > before {
		t.noteDelivered(n, all)
	}
}

// noteDelivered notes in the store who has the notice, also after a signal. If it cannot,
// nothing more is told: it would be told again and again.
func (t *delivery) noteDelivered(n record.Notice, all bool) {
	ctx, cancel := context.WithTimeout(t.last, storeTimeout)
	defer cancel()
	t.noted = t.Store.Delivered(ctx, n, all)
}

// send tells one receiver; false: it has it not. After a first failure its later
// ones of this cluster wait, for their order counts.
func (t *delivery) send(ctx context.Context, r Receiver, n record.Notice) bool {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	err := r.Notify(ctx, n)
	switch {
	case err == nil:
		return true
	case !errors.Is(err, ErrRefused):
		t.down[r.Name()] = err.Error()
		return false
	}
	why := []slog.Attr{slog.String(attrCluster, n.Subject()), slog.String("notice", n.ID),
		slog.String(attrError, err.Error())}
	lasts := fleet.Days(record.RefusedLasts)
	if t.Now().Sub(n.At) > record.RefusedLasts {
		t.log.line(EventNotificationsDropped,
			fmt.Sprintf("%s was given up: %s refuses it for more than %s", n.Kind, r.Name(), lasts), why...)
		t.givenUp[n.ID] = true
		return true // so that those after it can be told
	}
	t.refused[order{r.Name(), n.Cluster}] = true
	t.log.line(EventNotificationsWait,
		fmt.Sprintf("%s refuses %s; it is tried for %s", r.Name(), n.Kind, lasts), why...)
	return false
}

// drop gives notices up and says so.
func (t *delivery) drop(ctx context.Context, gone []record.Notice, why string) {
	n := 0
	for _, one := range gone {
		if !t.goesOn(ctx) {
			break
		}
		t.noteDelivered(one, true)
		n++
	}
	if n > 0 {
		t.log.line(EventNotificationsDropped, fmt.Sprintf("%d notifications were given up: %s", n, why),
			slog.Int("dropped", n))
	}
}

// report says, in one line, what is left and why.
func (t *delivery) report() {
	var why []string
	for _, r := range t.Notify {
		if e := t.down[r.Name()]; e != "" {
			why = append(why, r.Name()+": "+e)
		}
	}
	if t.noted != nil {
		why = append(why, "who has what could not be noted, so some will be told again: "+t.noted.Error())
	}
	switch {
	case t.left == 0 && t.noted == nil:
		return
	case len(why) == 0:
		why = []string{"there was no time for more, or an earlier one of the same cluster waits"}
	}
	level := slog.LevelWarn
	if len(t.untold) > 0 { // their soak waits, and so do starts
		few := t.untold[:min(3, len(t.untold))]
		level = slog.LevelError
		why = append(why, fmt.Sprintf("hand-overs are among them (%d), of %s", len(t.untold),
			strings.Join(few, ", ")))
	}
	t.log.lineAt(level, EventNotificationsWait, fmt.Sprintf("%d notifications wait for the next run: %s", t.left,
		strings.Join(why, "; ")), slog.Int("waiting", t.left))
}
