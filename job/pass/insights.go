package pass

import (
	"cmp"
	"context"
	"errors"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy/insight"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// insightsTimeout is the most that all reads of insights may add to a run.
const insightsTimeout = 20 * time.Second

// errSpared is what came of a read that another's failure made useless.
var errSpared = errors.New("not asked")

// insightReads are the reads of one run, guarded by the actor's lock. What fails is
// told in one line: it is no reason to do anything else.
type insightReads struct {
	*actor
	answers []record.InsightAnswer
	from    time.Time // no reads before: the quota is used up

	failed int
	first  error // why the first one failed
	over   bool  // the others would fail too
}

// readInsights reads what Recommender says, after everything else is done. The reads are noted in the store
// before they are made: a run that dies, or one beside this one, cannot spend them again. What is heard is
// stored with the run's note.
func (a *actor) readInsights(ctx context.Context) {
	if a.Insights == nil || a.lease.gone() || ctx.Err() != nil || a.overtime() {
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
	inParallel(a.Parallel, places, func(place record.InsightPlace) { r.read(ctx, place) })
	a.heard = r
	if r.failed > 0 {
		a.Log.Warn("insights could not be read; nothing else depends on them", "failed", r.failed, "of",
			len(places), attrError, r.first.Error())
	}
}

// reserve notes the reads that this run may make; somebody else may have noted some.
func (r *insightReads) reserve(ctx context.Context) (places []record.InsightPlace, err error) {
	err = r.again(ctx, func() error {
		fleet, now := r.res.Fleet, r.Now()
		fleet.Contents.Fleet = r.doc
		if places = insight.Reads(r.Policy, fleet, now); len(places) == 0 {
			return nil
		}
		doc := insight.Ask(r.doc, places, now)
		stored, err := r.Store.Write(ctx, state.Change{Fleet: &doc})
		if err == nil && stored.Fleet != nil {
			r.doc = *stored.Fleet
		}
		return err
	})
	return places, err
}

// read asks one place, unless another's answer said that it is no use.
func (r *insightReads) read(ctx context.Context, place record.InsightPlace) {
	r.mu.Lock()
	over := r.over
	r.mu.Unlock()
	answer, err := record.InsightAnswer{Place: place}, errSpared
	if !over {
		answer.Found, answer.Complete, err = r.Insights.Insights(ctx, place.Project, place.Location)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.answers = append(r.answers, answer)
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
