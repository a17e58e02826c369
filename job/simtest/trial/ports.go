package trial

import (
	"context"
	"errors"
	"iter"
	"maps"
	"strings"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// reader is a process's view of GKE: late, at times stale, at times none.
type reader struct{ x *process }

// ask waits for an answer and says as of when it is.
func (r reader) ask(ctx context.Context, what string) (*Look, error) {
	x := r.x
	if err := x.alive(ctx); err != nil {
		return nil, err
	}
	begun := x.now
	x.park(x.latency())
	if err := x.alive(ctx); err != nil {
		return nil, err
	}
	if x.sometimes(x.rates.unread) {
		x.fault("unread " + what)
		x.tell(&Event{Kind: ReadFailed, Text: what})
		return nil, errGKE
	}
	l := &Look{Begun: begun, AsOf: x.now}
	if x.sometimes(x.rates.stale) {
		x.fault("stale " + what)
		l.AsOf = begun.Add(-x.between(0, policy.Stale))
	}
	return l, nil
}

// Clusters implements [gke.Reader].
func (r reader) Clusters(ctx context.Context, project string) ([]policy.Cluster, []policy.Unread, error) {
	x := r.x
	l, err := r.ask(ctx, "list")
	if err != nil {
		return nil, nil, err
	}
	l.Project = project
	missing := ""
	if x.sometimes(x.rates.missing) && len(x.sights.shelves[project]) > 0 {
		missing = pick(x.play, x.sights.shelves[project]...).Location
		x.fault("location missing from a list")
		l.Unread = []policy.Unread{{Project: project, Location: missing, Reason: "GKE did not answer for " + missing}}
	}
	l.Raw = map[policy.Ref]*containerpb.Cluster{}
	for _, ref := range x.sights.shelves[project] {
		v := x.sights.asOf(ref, l.AsOf)
		if v.gone || ref.Location == missing {
			continue
		}
		c := v.cluster
		c.Partial = missing != "" && (strings.HasPrefix(missing, ref.Location+"-") || strings.HasPrefix(ref.Location, missing+"-"))
		l.Clusters = append(l.Clusters, c)
		l.Raw[ref] = v.raw
	}
	x.tell(&Event{Kind: Listed, Look: l})
	x.reach(afterList, policy.Ref{})
	if x.dead {
		return nil, nil, errDead
	}
	return append([]policy.Cluster(nil), l.Clusters...), l.Unread, nil
}

// Cluster implements [gke.Reader].
func (r reader) Cluster(ctx context.Context, ref policy.Ref) (policy.Cluster, error) {
	x := r.x
	l, err := r.ask(ctx, "cluster")
	if err != nil {
		return policy.Cluster{}, err
	}
	l.Project = ref.Project
	v := x.sights.asOf(ref, l.AsOf)
	if v.gone {
		l.Gone = true
	} else {
		l.Clusters, l.Raw = []policy.Cluster{v.cluster}, map[policy.Ref]*containerpb.Cluster{ref: v.raw}
	}
	x.tell(&Event{Kind: ClusterRead, Cluster: ref, Look: l})
	at := elsewhere
	if len(x.unsent) > 0 {
		at = afterFresh
	}
	x.reach(at, ref)
	switch {
	case x.dead:
		return policy.Cluster{}, errDead
	case v.gone:
		return policy.Cluster{}, errors.Join(errors.New(ref.String()), gke.ErrNotFound)
	}
	return v.cluster, nil
}

// Operations implements [gke.Reader].
func (r reader) Operations(ctx context.Context, project string) (map[policy.Ref][]policy.Operation, error) {
	x := r.x
	l, err := r.ask(ctx, "operations")
	if err != nil {
		return nil, err
	}
	l.Project, l.Operations = project, x.sights.operations(project, l.AsOf)
	x.tell(&Event{Kind: OperationsRead, Look: l})
	x.reach(elsewhere, policy.Ref{})
	if x.dead {
		return nil, errDead
	}
	return maps.Clone(l.Operations), nil
}

// insights is a Recommender that knows nothing, or does not answer.
type insights struct{ x *process }

// Insights implements [gke.Insights].
func (i insights) Insights(ctx context.Context, _, _ string) ([]policy.Insight, bool, error) {
	x := i.x
	if err := x.alive(ctx); err != nil {
		return nil, false, err
	}
	x.park(x.latency())
	if x.sometimes(x.rates.unread) {
		x.fault("unread insights")
		return nil, false, gke.ErrNoAnswer
	}
	return nil, true, x.alive(ctx)
}

// shelf is the book as a process reaches it.
type shelf struct{ x *process }

func (s shelf) begin(ctx context.Context, what string) error {
	x := s.x
	if err := x.alive(ctx); err != nil {
		return err
	}
	x.park(x.latency())
	if err := x.alive(ctx); err != nil {
		return err
	}
	if x.sometimes(x.rates.bookAway) {
		x.fault("book away: " + what)
		x.tell(&Event{Kind: ReadFailed, Text: what})
		return errBook
	}
	return nil
}

// Book implements [state.Store].
func (s shelf) Book(ctx context.Context) (policy.Book, error) {
	if err := s.begin(ctx, "book"); err != nil {
		return policy.Book{}, err
	}
	b, err := s.x.dep.book.Book(nobody)
	if err != nil {
		return b, err
	}
	s.x.read = s.x.dep.book.Stamp()
	s.x.tell(&Event{Kind: BookRead, Book: &b})
	s.x.reach(afterBook, policy.Ref{})
	b.Rotations = maps.Clone(b.Rotations)
	return b, s.x.alive(nobody)
}

// Fleet implements [state.Store].
func (s shelf) Fleet(ctx context.Context) (policy.FleetDoc, error) {
	if err := s.begin(ctx, "fleet"); err != nil {
		return policy.FleetDoc{}, err
	}
	doc, err := s.x.dep.book.Fleet(nobody)
	if err != nil {
		return doc, err
	}
	s.x.tell(&Event{Kind: FleetRead, Fleet: &doc})
	s.x.reach(elsewhere, policy.Ref{})
	return doc, s.x.alive(nobody)
}

// Records implements [state.Store]. No run asks for them.
func (s shelf) Records(ctx context.Context, since time.Time) iter.Seq2[policy.Record, error] {
	return s.x.dep.book.Records(ctx, since)
}

// History implements [state.Store].
func (s shelf) History(ctx context.Context, ref policy.Ref) ([]policy.Record, error) {
	if err := s.begin(ctx, "history"); err != nil {
		return nil, err
	}
	records, err := s.x.dep.book.History(nobody, ref)
	if err != nil {
		return nil, err
	}
	s.x.tell(&Event{Kind: HistoryRead, Cluster: ref, Records: records})
	s.x.reach(elsewhere, policy.Ref{})
	return records, s.x.alive(nobody)
}

// Outbox implements [state.Store].
func (s shelf) Outbox(ctx context.Context) (policy.Outbox, error) {
	if err := s.begin(ctx, "outbox"); err != nil {
		return policy.Outbox{}, err
	}
	box, err := s.x.dep.book.Outbox(nobody)
	if err != nil {
		return box, err
	}
	s.x.reach(elsewhere, policy.Ref{})
	return box, s.x.alive(nobody)
}

// Told implements [state.Store].
func (s shelf) Told(ctx context.Context, n policy.Notice, all bool) error {
	if err := s.begin(ctx, "told"); err != nil {
		return err
	}
	err := s.x.dep.book.Told(nobody, n, all)
	s.x.reach(elsewhere, policy.Ref{})
	return errors.Join(err, s.x.alive(nobody))
}

// Lease implements [state.Store].
func (s shelf) Lease(ctx context.Context, l state.Lease) (state.Lease, error) {
	x := s.x
	if err := s.begin(ctx, "lease"); err != nil {
		return state.Lease{}, err
	}
	if x.alone {
		return l, nil
	}
	held, err := x.dep.book.Lease(nobody, l)
	x.tell(&Event{Kind: Leased, Text: held.Holder})
	return held, err
}

// Holder implements [state.Store].
func (s shelf) Holder(ctx context.Context) (state.Lease, error) {
	if err := s.begin(ctx, "holder"); err != nil {
		return state.Lease{}, err
	}
	return s.x.dep.book.Holder(nobody)
}

// Write implements [state.Store].
func (s shelf) Write(ctx context.Context, c state.Change) (state.Change, error) {
	x := s.x
	if err := x.alive(ctx); err != nil {
		return c, err
	}
	kind, ref := x.sort(c)
	switch kind {
	case OutcomeStored:
		x.reach(beforeStore, ref)
	case IntentStored:
		x.reach(beforeIntent, ref)
	}
	x.park(x.latency())
	if err := x.alive(ctx); err != nil {
		return c, err
	}
	e := &Event{Kind: kind, Cluster: ref, Write: &Write{Asked: c}}
	if x.sometimes(x.rates.writeLost) {
		x.fault("write failed, nothing applied")
		e.Write.Told = errBook.Error()
		x.tell(e)
		return c, errBook
	}
	before := x.dep.book.Stamp()
	now, err := x.dep.book.Write(nobody, c)
	x.read += x.dep.book.Stamp() - before
	e.Write.Now, e.Write.Applied = now, err == nil
	if err == nil {
		x.dep.wrote(c)
		x.dep.heard.Stored = append(x.dep.heard.Stored, now.Notices...)
	}
	if err == nil && x.sometimes(x.rates.answerLost) {
		x.fault("commit applied but reported as failed")
		err = errBook
	}
	if err != nil {
		e.Write.Told = err.Error()
	}
	x.tell(e)
	if kind == IntentStored {
		x.reach(afterIntent, ref)
	}
	if x.dead {
		return c, errDead
	}
	if err != nil {
		return c, err
	}
	return now, nil
}

// Close implements [state.Store].
func (shelf) Close() error { return nil }

// sort says what a write is about, and remembers the intents that it stores.
func (x *process) sort(c state.Change) (Kind, policy.Ref) {
	var r *policy.Rotation
	switch {
	case c.Rotation != nil:
		r = c.Rotation
	case c.Close != nil:
		r = &c.Close.Rotation
	default:
		return Stored, policy.Ref{}
	}
	kind := Stored
	calls := make([]policy.Call, 0, 4)
	if r.Call != nil {
		calls = append(calls, *r.Call)
	}
	for _, call := range r.PoolCalls {
		calls = append(calls, call)
	}
	calls = append(calls, r.Settled...)
	for _, call := range calls {
		mine := intentKey{call.Kind, r.Cluster, call.Pool}
		switch {
		case call.State == policy.Intended && call.Run == x.Name && x.intents[mine] != call.ID && strings.HasPrefix(call.ID, x.prefix()):
			x.intents[mine], x.unsent[call.ID] = call.ID, true
			kind = IntentStored
		case call.State != policy.Intended && x.intents[mine] == call.ID:
			delete(x.unsent, call.ID)
			if kind != IntentStored {
				kind = OutcomeStored
			}
		}
	}
	return kind, r.Cluster
}
