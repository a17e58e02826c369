package pass

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// marking are the marks of one run. What fails is told in one line: a later run
// reads again and tries again, a few times; nothing depends on it.
type marking struct {
	*actor
	wanted map[policy.Ref]policy.Mark
	noted  bool // wanted is in the book already
	tried  map[policy.Ref]policy.Mark
	done   map[policy.Ref]policy.MarkState
	from   time.Time // none before: the quota is used up

	failed int
	first  error // why the first one failed
}

// markAdvice marks the recommendations of the clusters whose rotation has begun
// or ended in this run, and what earlier runs could not mark. It comes after
// everything else; tries are noted in the book before they are made.
func (a *actor) markAdvice(ctx context.Context) {
	if a.Marks == nil || a.Move == nil {
		return
	}
	m := &marking{actor: a, wanted: map[policy.Ref]policy.Mark{}, done: map[policy.Ref]policy.MarkState{}}
	a.marked = m
	for _, d := range a.res.Done {
		if mark, ok := policy.MarkWanted(d.After, a.Run, a.res.At); ok && d.Skipped == "" {
			m.wanted[d.Ref] = mark
		}
	}
	if a.lease.gone() || ctx.Err() != nil || (a.Deadline > 0 && a.Mono()-a.begun >= a.Deadline) {
		return // noted with the run
	}
	ctx, cancel := context.WithTimeout(ctx, insightsTimeout)
	defer cancel()
	if err := m.reserve(ctx); err != nil {
		a.Log.Warn("recommendations are not marked this run, for that could not be noted", attrError, err.Error())
		return
	}
	byPlace := map[policy.InsightPlace][]policy.Ref{}
	for _, ref := range slices.SortedFunc(maps.Keys(m.tried), policy.Ref.Compare) {
		place := policy.InsightPlace{Project: ref.Project, Location: ref.Location}
		byPlace[place] = append(byPlace[place], ref)
	}
	for _, place := range slices.SortedFunc(maps.Keys(byPlace), func(x, y policy.InsightPlace) int { return cmp.Compare(x.String(), y.String()) }) {
		if m.over(ctx) {
			m.fail(errSpared, len(byPlace[place]))
			continue
		}
		m.place(ctx, place, byPlace[place])
	}
	if m.failed > 0 {
		a.Log.Warn("recommendations could not be marked; nothing else depends on them", "failed", m.failed, "of", len(m.tried), attrError, m.first.Error())
	}
}

// reserve notes the wishes and the tries that this run may make.
func (m *marking) reserve(ctx context.Context) error {
	err := m.tryReserve(ctx)
	if !errors.Is(err, state.ErrConflict) {
		return err
	}
	if _, err := m.catchUp(ctx); err != nil { // somebody else wrote, perhaps tries of his own
		return err
	}
	return m.tryReserve(ctx)
}

func (m *marking) tryReserve(ctx context.Context) error {
	doc, tried := m.doc.WantMarks(m.wanted).AskMarks(m.Now())
	if len(tried) == 0 && len(m.wanted) == 0 {
		return nil
	}
	stored, err := m.Store.Write(ctx, state.Change{Fleet: &doc})
	if err != nil {
		return err
	}
	if stored.Fleet != nil {
		m.doc = *stored.Fleet
	}
	m.tried, m.noted = tried, true
	return nil
}

// over says that the others would fail too.
func (m *marking) over(ctx context.Context) bool {
	return errors.Is(m.first, gke.ErrUsedUp) || errors.Is(m.first, gke.ErrNoAnswer) || ctx.Err() != nil
}

func (m *marking) fail(err error, clusters int) {
	m.failed += clusters
	if m.first == nil || errors.Is(err, gke.ErrUsedUp) || errors.Is(err, gke.ErrNoAnswer) {
		m.first = err
	}
	if errors.Is(err, gke.ErrUsedUp) {
		m.from = m.Now().Add(policy.InsightEvery)
	}
}

// place reads the recommendations of one place and marks those of the clusters.
func (m *marking) place(ctx context.Context, place policy.InsightPlace, refs []policy.Ref) {
	found, complete, err := m.Marks.Recommendations(ctx, place.Project, place.Location)
	if err != nil {
		m.fail(err, len(refs))
		return
	}
	for _, ref := range refs {
		at := slices.IndexFunc(found, func(rec policy.Recommendation) bool {
			return rec.Cluster.Location == ref.Location && rec.Cluster.Name == ref.Name
		})
		switch {
		case at >= 0:
			m.one(ctx, ref, found[at])
		case complete:
			m.done[ref] = "" // a CA that is not near its expiry has none
		}
	}
}

func (m *marking) one(ctx context.Context, ref policy.Ref, rec policy.Recommendation) {
	mark := m.tried[ref]
	switch {
	case m.over(ctx):
		m.fail(errSpared, 1)
		return
	case mark.Stands(rec):
		m.done[ref] = mark.Want
		return
	case !mark.Applies(rec):
		m.done[ref] = ""
		return
	}
	if err := m.Marks.Mark(ctx, rec, mark.Want, policy.MarkNotes(mark, rec, m.Policy.Env, m.Run)); err != nil {
		m.fail(err, 1)
		return
	}
	m.done[ref] = mark.Want
	m.Log.Info("the recommendation is marked as "+string(mark.Want), attrCluster, ref.String())
}

// into enters what came of it into the fleet document.
func (m *marking) into(doc policy.FleetDoc) policy.FleetDoc {
	if m == nil {
		return doc
	}
	if m.from.After(doc.InsightsFrom) {
		doc.InsightsFrom = m.from.UTC().Truncate(time.Second)
	}
	if !m.noted && len(m.wanted) > 0 {
		doc = doc.WantMarks(m.wanted)
	}
	return doc.HearMarks(m.done, m.tried)
}
