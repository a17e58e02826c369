package pass

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/insight"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// adviser is a Recommender that counts and answers as it is told.
type adviser struct {
	mu     sync.Mutex
	now    func() time.Time
	asked  map[record.InsightPlace][]time.Time
	all    []time.Time
	answer func(n int, place record.InsightPlace) ([]record.Insight, error)
}

func (a *adviser) Insights(ctx context.Context, project, location string) ([]record.Insight, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	place := record.InsightPlace{Project: project, Location: location}
	a.asked[place] = append(a.asked[place], a.now())
	a.all = append(a.all, a.now())
	if a.answer == nil {
		return nil, true, ctx.Err()
	}
	found, err := a.answer(len(a.all), place)
	return found, err == nil, err
}

// advised is a process of the stage with that Recommender.
func (s *stage) advised(a *adviser) *process {
	a.now = func() time.Time { return s.now }
	if a.asked == nil {
		a.asked = map[record.InsightPlace][]time.Time{}
	}
	p := s.process()
	p.Insights = a
	return p
}

// TestInsightBudgetOverDays: with two hundred locations near expiry, runs
// read each at most once a day, at most fifty in any 24 hours, each in
// its turn; a plan reads none.
func TestInsightBudgetOverDays(t *testing.T) {
	s := newStage(t)
	for i := range 200 {
		s.add(fleet.Ref{Project: fmt.Sprintf("p-%d", i%10), Location: fmt.Sprintf("x-%03d", i), Name: "web"},
			"2027-03-11", nil)
	}
	s.add(fleet.Ref{Project: "p-0", Location: "far", Name: "quiet"}, "2054-01-01", nil)
	a := &adviser{}
	for i := range 5 * 12 { // every other hour
		p := s.advised(a)
		p.Move, p.Mode, p.Parallel = nil, "observe", 8
		if before := len(a.all); i%6 == 0 {
			if _, err := Look(t.Context(), p.World, p.Options); err != nil || len(a.all) != before {
				t.Fatalf("a plan made %d reads, error %v", len(a.all)-before, err)
			}
		}
		p.must()
		s.pass(2 * time.Hour)
	}
	for i, at := range a.all {
		if i >= 50 && at.Sub(a.all[i-50]) < 24*time.Hour {
			t.Fatalf("read %d at %s is the 51st in less than a day", i+1, at)
		}
	}
	for place, times := range a.asked {
		for i := 1; i < len(times); i++ {
			if times[i].Sub(times[i-1]) < 24*time.Hour {
				t.Errorf("%s read twice within a day: %v", place, times)
			}
		}
	}
	if _, far := a.asked[record.InsightPlace{Project: "p-0", Location: "far"}]; far || len(a.asked) != 200 ||
		len(a.all) != 5*50 {
		t.Errorf("%d reads of %d locations in five days, want 250 of 200, and none where nothing expires",
			len(a.all), len(a.asked))
	}
	s.wantSent("StartIPRotation", 0)
}

// TestInsightsAreToldAndKept: what a read contradicts is in the next run's
// lines and in the store, beside the certificate and without effect.
func TestInsightsAreToldAndKept(t *testing.T) {
	s := newStage(t, shop)
	s.add(yard, "2054-03-12", nil) // issued 2049: lagOver would wait for it
	a := &adviser{}
	p := s.advised(a)
	p.Move = nil
	p.must()
	if m := p.line(EventClusterEvaluated); m["mismatches"] != nil {
		t.Errorf("told before anything was read: %v", m)
	}
	if got := s.doc().Mismatches[shop.String()]; got.What != record.InsightMissing || got.CA == "" {
		t.Fatalf("the store holds %+v", s.doc().Mismatches)
	}
	s.pass(time.Hour)
	p = s.advised(a)
	p.Move = nil
	res := p.must()
	m := p.line(EventClusterEvaluated)
	if said, ok := m["mismatches"].([]any); !ok || len(said) != 1 ||
		!strings.Contains(said[0].(string), "no insight") || m["cluster"] != shop.String() {
		t.Errorf("told %v", m)
	}
	if len(a.all) != 1 || res.Decisions[0].Action != policy.Start {
		t.Errorf("%d reads; the decision is %s", len(a.all), res.Decisions[0].Action)
	}
	a.answer = func(int, record.InsightPlace) ([]record.Insight, error) {
		return []record.Insight{{Cluster: shop, State: record.InsightActive}}, nil
	}
	s.pass(24 * time.Hour)
	p = s.advised(a)
	p.Move = nil
	p.must()
	if doc := s.doc(); len(doc.Mismatches) != 0 || !doc.Insights["shop/europe-west1"].Answered {
		t.Errorf("after an insight that agrees: %+v, %+v", doc.Mismatches, doc.Insights)
	}
}

// TestVerifyingIsRead: a rotation that is being verified is a reason to ask,
// though its new CA lasts.
func TestVerifyingIsRead(t *testing.T) {
	s := newStage(t, shop)
	s.hourly(80, func() bool { return s.phase() == record.Verifying })
	a := &adviser{}
	s.pass(time.Hour)
	p := s.advised(a)
	p.must()
	if len(a.all) != 1 {
		t.Errorf("%d reads while verifying", len(a.all))
	}
}

// TestDeadRecommender: it costs one line and nothing else, and is not asked
// again on that day; no more than one read goes out when the first fails.
func TestDeadRecommender(t *testing.T) {
	for name, err := range map[string]error{
		"dead":    fmt.Errorf("%w: connection refused", gke.ErrNoAnswer),
		"used up": fmt.Errorf("%w: 429", gke.ErrUsedUp),
	} {
		without, with := newStage(t), newStage(t)
		for _, s := range []*stage{without, with} {
			for i := range 20 {
				s.add(fleet.Ref{Project: "shop", Location: fmt.Sprintf("x-%03d", i), Name: "web"}, "2027-03-11", nil)
			}
		}
		a := &adviser{answer: func(int, record.InsightPlace) ([]record.Insight, error) { return nil, err }}
		for hour := range 23 {
			plain, p := without.process(), with.advised(a)
			want, got := plain.must(), p.must()
			if len(want.Done) != len(got.Done) || got.Stopped != want.Stopped || got.Unstored != 0 {
				t.Errorf("%s, hour %d: %d done, want %d", name, hour, len(got.Done), len(want.Done))
			}
			extra := slices.DeleteFunc(p.lines(), func(m map[string]any) bool {
				return m["event"] != nil ||
					m["level"] != "WARN"
			})
			if wantLines := map[bool]int{true: 1}[hour == 0]; len(extra) != wantLines {
				t.Errorf("%s, hour %d: %d lines, want %d: %v", name, hour, len(extra), wantLines, extra)
			}
			without.pass(time.Hour)
			with.pass(time.Hour)
		}
		if len(a.all) != 1 || len(with.gke.Journal()) != len(without.gke.Journal()) {
			t.Errorf("%s: %d reads in a day; %d requests to GKE, want %d", name, len(a.all), len(with.gke.Journal()),
				len(without.gke.Journal()))
		}
		// On the next day it is asked again.
		a.answer = nil
		with.pass(2 * time.Hour)
		with.advised(a).must()
		if len(a.all) == 1 {
			t.Errorf("%s: never asked again", name)
		}
	}
}

// TestUsedUpMeansTomorrow: after a 429 nothing is read for a day, not even of a
// location that was not asked yet.
func TestUsedUpMeansTomorrow(t *testing.T) {
	s := newStage(t, shop)
	a := &adviser{answer: func(int, record.InsightPlace) ([]record.Insight, error) { return nil, gke.ErrUsedUp }}
	s.advised(a).must()
	s.add(fleet.Ref{Project: "shop", Location: "us-east1", Name: "late"}, "2027-04-01", nil)
	a.answer = nil
	for range 23 {
		s.pass(time.Hour)
		s.advised(a).must()
	}
	if len(a.all) != 1 {
		t.Errorf("%d reads on the day of a 429, want one", len(a.all))
	}
	s.pass(time.Hour)
	s.advised(a).must()
	if len(a.all) == 1 {
		t.Error("no read on the next day")
	}
}

// TestOneProjectRefuses: that says nothing about the others.
func TestOneProjectRefuses(t *testing.T) {
	s := newStage(t, shop, fleet.Ref{Project: "other", Location: "europe-west1", Name: "web"})
	a := &adviser{answer: func(_ int, place record.InsightPlace) ([]record.Insight, error) {
		if place.Project == "other" {
			return nil, errors.New("PermissionDenied")
		}
		return nil, nil
	}}
	s.advised(a).must()
	doc := s.doc()
	if len(a.all) != 2 || !doc.Insights["shop/europe-west1"].Answered ||
		doc.Insights["other/europe-west1"].Answered {
		t.Errorf("%d reads, %+v", len(a.all), doc.Insights)
	}
}

// TestInsightsAreSpentBeforehand: a run that dies while it reads, one whose
// reservation was not stored and one beside another never exceed the budget.
func TestInsightsAreSpentBeforehand(t *testing.T) {
	s := newStage(t, shop)
	a := &adviser{}
	p := s.advised(a)
	p.Move = nil
	a.answer = func(int, record.InsightPlace) ([]record.Insight, error) { p.dead = true; return nil, nil }
	if _, err := p.run(t.Context()); err == nil {
		t.Fatal("the run did not die")
	}
	a.answer = nil
	p = s.advised(a)
	p.Move = nil
	p.must()
	if len(a.all) != 1 {
		t.Errorf("%d reads after a death, want one", len(a.all))
	}

	s = newStage(t, shop)
	a = &adviser{}
	p = s.advised(a)
	p.Move = nil
	p.beforeWrite = func(c state.Change) error {
		if c.Fleet != nil && len(c.Fleet.Insights) > 0 {
			return errors.New("disk full")
		}
		return nil
	}
	p.must()
	if len(a.all) != 0 {
		t.Errorf("%d reads that are not in the store", len(a.all))
	}

	s = newStage(t, shop)
	a = &adviser{}
	p = s.advised(a)
	p.Move = nil
	done := false
	p.beforeWrite = func(state.Change) error {
		if !done {
			done = true
			s.edit(func(doc *record.FleetDoc) { // the other run was quicker
				*doc = insight.Ask(*doc, []record.InsightPlace{{Project: "shop", Location: "europe-west1"}}, s.now)
			})
		}
		return nil
	}
	p.must()
	if len(a.all) != 0 {
		t.Errorf("%d reads of what another run reads", len(a.all))
	}
}

// TestStoppedRunsReadNothing: insights are the last thing a run has time for.
func TestStoppedRunsReadNothing(t *testing.T) {
	s := newStage(t, shop)
	a := &adviser{}
	p := s.advised(a)
	p.Deadline = time.Minute
	p.beforeSend = func() { s.mono += time.Minute }
	p.must()
	ctx, cancel := context.WithCancel(t.Context())
	p = newStage(t, shop).advised(a)
	p.beforeSend = cancel
	_, _ = p.run(ctx)
	if len(a.all) != 0 {
		t.Errorf("%d reads", len(a.all))
	}
}

// simulated is the simulated Recommender behind Google's client, counted.
type simulated struct {
	adviser
	cloud *gke.Recommender
}

func (r *simulated) Insights(ctx context.Context, project, location string) ([]record.Insight, bool, error) {
	_, _, _ = r.adviser.Insights(ctx, project, location) // counts
	return r.cloud.Insights(ctx, project, location)
}

// TestInsightsOverARotation: with the simulated Recommender, from an insight
// that is there to one that is gone a day and a half after the completion,
// nothing is reported, for nothing is wrong.
func TestInsightsOverARotation(t *testing.T) {
	s := newStage(t, shop)
	s.add(yard, "2027-04-01", nil) // keeps the location worth reading
	s.edit(func(d *record.FleetDoc) {
		d.Holds = []record.Hold{{ID: "h1", Target: record.TheCluster(yard), Said: record.Said{By: "ann",
			At: s.now}}}
	})
	opts, stop, err := s.gke.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	r := &simulated{adviser: adviser{asked: map[record.InsightPlace][]time.Time{},
		now: func() time.Time { return s.now }}}
	if r.cloud, err = gke.DialRecommender(t.Context(), gke.InsightRetry(), opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cloud.Close() })
	for hour := range 8 * 24 {
		p := s.process()
		p.Insights = r
		p.must()
		for _, m := range p.lines() {
			if m["mismatches"] != nil || strings.Contains(m["msg"].(string), "insight") {
				t.Fatalf("hour %d: %v", hour, m)
			}
		}
		s.pass(time.Hour)
	}
	if h := s.history(); len(h) != 1 || len(r.all) != 8 || !s.doc().Insights["shop/europe-west1"].Answered {
		t.Errorf("%d rotations, %d reads in eight days, store %+v", len(h), len(r.all), s.doc().Insights)
	}
	found, complete, err := r.cloud.Insights(t.Context(), "shop", "europe-west1")
	if err != nil || !complete || len(found) != 1 ||
		found[0] != (record.Insight{Cluster: yard, State: record.InsightActive}) {
		t.Errorf("at the end Recommender says %+v, complete %v, error %v", found, complete, err)
	}
}
