package pass

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/state"
)

// marker is the simulated Recommender behind Google's client, or an error; it
// writes down what is asked.
type marker struct {
	cloud *gke.Recommender
	fail  func(n int) error // of the n-th request, from 1
	reads int
	marks []string
}

func (s *stage) marker() *marker {
	s.t.Helper()
	opts, stop, err := s.gke.Connect()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(stop)
	m := &marker{}
	if m.cloud, err = gke.DialRecommender(s.t.Context(), gke.InsightRetry(), opts...); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = m.cloud.Close() })
	return m
}

func (m *marker) failing() error {
	if m.fail == nil {
		return nil
	}
	return m.fail(m.reads + len(m.marks))
}

func (m *marker) Recommendations(ctx context.Context, project, location string) ([]policy.Recommendation, bool, error) {
	m.reads++
	if err := m.failing(); err != nil {
		return nil, false, err
	}
	return m.cloud.Recommendations(ctx, project, location)
}

func (m *marker) Mark(ctx context.Context, rec policy.Recommendation, as policy.MarkState, notes map[string]string) error {
	m.marks = append(m.marks, rec.Cluster.Name+" "+string(as))
	if err := m.failing(); err != nil {
		return err
	}
	return m.cloud.Mark(ctx, rec, as, notes)
}

func (m *marker) state(t *testing.T, ref policy.Ref) policy.Recommendation {
	t.Helper()
	found, _, err := m.cloud.Recommendations(t.Context(), ref.Project, ref.Location)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range found {
		if rec.Cluster == ref {
			return rec
		}
	}
	return policy.Recommendation{}
}

func warnings(p *process) []map[string]any {
	return slices.DeleteFunc(p.lines(), func(m map[string]any) bool { return m["event"] != nil || m["level"] != "WARN" })
}

// TestMarksOverARotation: claimed with the start, succeeded with the
// verification, one write each; the insight is accepted by Recommender itself.
func TestMarksOverARotation(t *testing.T) {
	s := newStage(t, shop)
	m := s.marker()
	for hour := range 80 {
		p := s.process()
		p.Marks = m
		p.must()
		if lines := warnings(p); len(lines) > 0 {
			t.Fatalf("hour %d: %v", hour, lines)
		}
		if hour == 0 {
			rec, r := m.state(t, shop), s.rotation()
			if rec.State != "CLAIMED" || rec.Notes["rotator-attempt"] != r.AttemptID || rec.Notes["rotator-env"] != "test" || rec.Notes["rotator-run"] != r.Transitions[0].Run {
				t.Fatalf("after the start: %+v", rec)
			}
			if got := s.doc().Marks[shop.String()]; got.Has != policy.MarkClaimed || !got.Over || got.Attempt != r.AttemptID {
				t.Errorf("the book holds %+v", got)
			}
			found, _, err := m.cloud.Insights(t.Context(), shop.Project, shop.Location)
			if err != nil || len(found) != 1 || found[0].State != "ACCEPTED" {
				t.Errorf("the insight: %+v, error %v", found, err)
			}
		}
		if len(s.history()) > 0 {
			break
		}
		s.pass(time.Hour)
	}
	if rec := m.state(t, shop); rec.State != "SUCCEEDED" || rec.Notes["rotator-attempt"] != s.history()[0].Rotation.AttemptID {
		t.Errorf("at the end: %+v", rec)
	}
	if want := []string{"web claimed", "web succeeded"}; !slices.Equal(m.marks, want) || m.reads != 2 {
		t.Errorf("%d reads, marks %v", m.reads, m.marks)
	}
	if got := s.doc().Marks[shop.String()]; got.Has != policy.MarkSucceeded || !got.Over {
		t.Errorf("the book holds %+v", got)
	}
}

// TestMarkAfterTheEtagChanged: nothing is repeated in the same run; the next one
// reads again.
func TestMarkAfterTheEtagChanged(t *testing.T) {
	s := newStage(t, shop)
	m := s.marker()
	m.fail = func(n int) error {
		if n == 2 {
			return fmt.Errorf("%w: Aborted", gke.ErrChanged)
		}
		return nil
	}
	for run, want := range []struct{ reads, marks, told int }{{1, 1, 1}, {2, 2, 0}, {2, 2, 0}} {
		p := s.process()
		p.Marks = m
		p.must()
		if got := len(warnings(p)); m.reads != want.reads || len(m.marks) != want.marks || got != want.told {
			t.Errorf("run %d: %d reads, %d marks, %d lines; want %+v", run, m.reads, len(m.marks), got, want)
		}
		s.pass(time.Hour)
	}
	if rec := m.state(t, shop); rec.State != "CLAIMED" {
		t.Errorf("%+v", rec)
	}
}

// TestDeadMarker: the same runs as without it, and a line a try; after three
// tries it is let be, and what is used up waits for the next day.
func TestDeadMarker(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		reads int
	}{
		"dead": {fmt.Errorf("%w: connection refused", gke.ErrNoAnswer), 3}, "refused": {errors.New("PermissionDenied"), 3}, "used up": {gke.ErrUsedUp, 1},
	} {
		without, with := newStage(t, shop), newStage(t, shop)
		m := with.marker()
		m.fail = func(int) error { return c.err }
		told := 0
		for range 12 {
			plain, p := without.process(), with.process()
			p.Marks = m
			want, got := plain.must(), p.must()
			told += len(warnings(p))
			if len(want.Done) != len(got.Done) || got.Unstored != 0 || got.Stopped != want.Stopped {
				t.Errorf("%s: %d done, want %d", name, len(got.Done), len(want.Done))
			}
			without.pass(time.Hour)
			with.pass(time.Hour)
		}
		if m.reads != c.reads || told != c.reads || len(m.marks) != 0 || len(with.gke.Journal()) != len(without.gke.Journal()) {
			t.Errorf("%s: %d reads, %d lines, marks %v; %d requests to GKE, want %d", name, m.reads, told, m.marks, len(with.gke.Journal()), len(without.gke.Journal()))
		}
	}
}

// TestUsedUpMarksWait: what could not be marked for the quota is marked a day
// later.
func TestUsedUpMarksWait(t *testing.T) {
	s := newStage(t, shop)
	m := s.marker()
	m.fail = func(n int) error {
		if n == 1 {
			return gke.ErrUsedUp
		}
		return nil
	}
	s.policy.Soak = 72 * time.Hour
	for hour := range 26 {
		p := s.process()
		p.Marks = m
		p.must()
		if hour == 23 && len(m.marks) != 0 {
			t.Fatalf("marked on the day of a 429: %v", m.marks)
		}
		s.pass(time.Hour)
	}
	if rec := m.state(t, shop); rec.State != "CLAIMED" || m.reads != 2 {
		t.Errorf("%d reads, %+v", m.reads, rec)
	}
}

// TestNobodyElseMarks: a plan, observe and a run that may not note it mark
// nothing; neither does a rotation that is only watched.
func TestNobodyElseMarks(t *testing.T) {
	s := newStage(t, shop)
	m := s.marker()
	p := s.process()
	p.Marks = m
	if _, err := Look(t.Context(), p.World, p.Options); err != nil {
		t.Fatal(err)
	}
	p.Move, p.Mode = nil, "observe"
	p.must()
	p = s.process()
	p.Marks = m
	p.beforeWrite = func(c state.Change) error {
		if c.Fleet != nil && len(c.Fleet.MarksSpent) > 0 {
			return errors.New("disk full")
		}
		return nil
	}
	p.must()
	if m.reads+len(m.marks) != 0 {
		t.Errorf("%d reads, marks %v", m.reads, m.marks)
	}
	// The wish itself is noted with the run, and a later run sees to it.
	s.pass(time.Hour)
	p = s.process()
	p.Marks = m
	p.must()
	if rec := m.state(t, shop); rec.State != "CLAIMED" {
		t.Errorf("%+v", rec)
	}

	s = newStage(t, shop)
	if o := s.cloud.Start(t.Context(), shop); o.State != policy.Accepted {
		t.Fatal(o)
	}
	s.pass(time.Hour)
	m = s.marker()
	for range 200 {
		p := s.process()
		p.Marks = m
		p.must()
		s.pass(time.Hour)
	}
	if m.reads+len(m.marks) != 0 {
		t.Errorf("a watched rotation: %d reads, marks %v", m.reads, m.marks)
	}
}

// TestClaimOfAnother: what a person has claimed for himself, and noted there,
// stays; at the end it has succeeded, and his notes are kept.
func TestClaimOfAnother(t *testing.T) {
	s := newStage(t, shop)
	m := s.marker()
	if err := m.cloud.Mark(t.Context(), m.state(t, shop), policy.MarkClaimed, map[string]string{"ticket": "INC-7"}); err != nil {
		t.Fatal(err)
	}
	for range 80 {
		p := s.process()
		p.Marks = m
		p.must()
		if len(s.history()) > 0 {
			break
		}
		s.pass(time.Hour)
	}
	rec := m.state(t, shop)
	if rec.State != "SUCCEEDED" || rec.Notes["ticket"] != "INC-7" || !slices.Equal(m.marks, []string{"web succeeded"}) {
		t.Errorf("%+v, marks %v", rec, m.marks)
	}
	for key, value := range rec.Notes {
		if strings.ContainsAny(key+value, " :+") {
			t.Errorf("note %s=%s", key, value)
		}
	}
}
