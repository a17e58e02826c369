package pass

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy/insight"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// insightsTimeout is the most that all reads of insights may add to a run.
const insightsTimeout = 20 * time.Second

// errSpared is what came of a read that another's failure made useless.
var errSpared = errors.New("not asked")

// insightReads are the reads of one run. What fails is told in one line: it is
// no reason to do anything else.
type insightReads struct {
	*actor
	answers []record.InsightAnswer
	from    time.Time // no reads before: the quota is used up

	guard  sync.Mutex // guards all of this struct
	failed int
	first  error // why the first one failed
	over   bool  // the others would fail too
}

// readInsights reads what Recommender says, after everything else is done. The
// reads are noted in the store before they are made: a run that dies, or one
// beside this one, cannot spend them again. What is heard is stored with the
// run's note.
func (a *actor) readInsights(ctx context.Context) {
	if a.Insights == nil || a.lease.gone() || ctx.Err() != nil ||
		(a.Deadline > 0 && a.Mono()-a.begun >= a.Deadline) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, insightsTimeout)
	defer cancel()
	r := &insightReads{actor: a}
	places, err := r.reserve(ctx)
	if err != nil {
		a.Log.Warn("insights are not read this run, for that could not be noted", attrError, err.Error())
		return
	}
	var g errgroup.Group
	g.SetLimit(max(a.Parallel, 1))
	for _, place := range places {
		g.Go(func() error {
			r.read(ctx, place)
			return nil
		})
	}
	_ = g.Wait() // what failed is counted
	a.heard = r
	if r.failed > 0 {
		a.Log.Warn("insights could not be read; nothing else depends on them", "failed", r.failed, "of",
			len(places), attrError, r.first.Error())
	}
}

// reserve notes the reads that this run may make.
func (r *insightReads) reserve(ctx context.Context) ([]record.InsightPlace, error) {
	places, err := r.tryReserve(ctx)
	if !errors.Is(err, state.ErrConflict) {
		return places, err
	}
	if _, err := r.catchUp(ctx); err != nil { // somebody else wrote, perhaps reads of his own
		return nil, err
	}
	return r.tryReserve(ctx)
}

func (r *insightReads) tryReserve(ctx context.Context) ([]record.InsightPlace, error) {
	fleet, now := r.res.Fleet, r.Now()
	fleet.Contents.Fleet = r.doc
	places := insight.Reads(r.Policy, fleet, now)
	if len(places) == 0 {
		return nil, nil
	}
	doc := insight.Ask(r.doc, places, now)
	stored, err := r.Store.Write(ctx, state.Change{Fleet: &doc})
	if err != nil {
		return nil, err
	}
	if stored.Fleet != nil {
		r.doc = *stored.Fleet
	}
	return places, nil
}

// read asks one place, unless another's answer said that it is no use.
func (r *insightReads) read(ctx context.Context, place record.InsightPlace) {
	r.guard.Lock()
	over := r.over
	r.guard.Unlock()
	var found []record.Insight
	var err error
	complete := false
	if over {
		err = errSpared
	} else {
		found, complete, err = r.Insights.Insights(ctx, place.Project, place.Location)
	}
	r.guard.Lock()
	defer r.guard.Unlock()
	if err == nil {
		r.answers = append(r.answers, record.InsightAnswer{Place: place, Found: found, Complete: complete})
		return
	}
	r.failed++
	r.first = cmp.Or(r.first, err)
	if errors.Is(err, gke.ErrUsedUp) {
		r.over, r.from = true, r.Now().Add(record.InsightEvery)
	}
	r.over = r.over || errors.Is(err, gke.ErrNoAnswer) || ctx.Err() != nil
}

// into enters what was heard into the fleet document.
func (r *insightReads) into(doc record.FleetDoc) record.FleetDoc {
	if r == nil {
		return doc
	}
	if r.from.After(doc.InsightsFrom) {
		doc.InsightsFrom = r.from.UTC().Truncate(time.Second)
	}
	return insight.Hear(doc, r.Policy, r.res.Fleet, r.answers, r.res.At)
}
