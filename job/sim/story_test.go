package sim

import (
	"context"
	"slices"
	"testing"
	"time"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

func play(t *testing.T, days int, each func(pass.Result)) Story {
	t.Helper()
	return playWith(t, days, 1, nil, each)
}

// playWith plays the sample with faults, if any.
func playWith(t *testing.T, days int, seed int64, faults []string, each func(pass.Result)) Story {
	t.Helper()
	w := gkesim.New(gkesim.Options{Seed: seed, Now: gkesim.SampleStart})
	if err := w.AddSample(); err != nil {
		t.Fatal(err)
	}
	complete, err := window.ParseWeekly("Mon-Thu 09:00-15:00")
	if err != nil {
		t.Fatal(err)
	}
	p := &rules.Policy{
		Env: "sim", Projects: w.Projects(), RotateBeforeExpiry: 180 * 24 * time.Hour,
		EmergencyBeforeExpiry: 45 * 24 * time.Hour, EmergencyMaxActive: 10,
		SoakCompromised: 4 * time.Hour, CompromisedMaxActive: 20, CompleteWindow: complete,
		ZonalComplete: rules.ZonalPeople, Soak: 72 * time.Hour, Approval: rules.ApproveNone,
		Nodes: rules.NodesAuto, NodeGrace: time.Hour, NodeTime: 10 * time.Minute, NodeOverrun: 2 * time.Hour,
		Fit: rules.FitBind, Adopt: rules.AdoptWatch,
		MaxActive: 10, MaxActivePerProject: 2,
		WaveSoak: 72 * time.Hour, MaxFailed: 1, StuckAfter: 24 * time.Hour, Every: time.Hour,
	}
	s, err := Play(context.Background(), Setup{Policy: p, World: w, From: gkesim.SampleStart, Days: days,
		Every: time.Hour, Seed: seed, Faults: faults}, each)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStoryOfSample: what the story says is what happened, no more and no
// less.
func TestStoryOfSample(t *testing.T) {
	dueFor := map[fleet.Ref]time.Duration{}
	s := play(t, 20, func(res pass.Result) {
		for _, d := range res.Decisions {
			if d.Due.Is {
				dueFor[d.Cluster.Ref] += time.Hour
			}
		}
	})
	if !slices.IsSortedFunc(s.Changes, func(a, b Change) int { return a.At.Compare(b.At) }) {
		t.Error("the changes are not in order of time")
	}
	verified := 0
	for _, c := range s.Clusters {
		var entered []record.Phase
		closed := record.ClosedAs("")
		for _, change := range s.Changes {
			if change.Cluster != c.Cluster {
				continue
			}
			if len(change.Message) == 0 || change.Reason == "" {
				t.Errorf("%s: a change without words: %+v", c.Cluster, change)
			}
			if change.Phase == record.Starting && len(change.Gates) == 0 {
				t.Errorf("%s: a start without its gates", c.Cluster)
			}
			if change.Phase != "" {
				entered = append(entered, change.Phase)
			} else {
				closed = change.Closed
			}
		}
		if c.Outcome == Verified {
			verified++
			if !slices.Equal(entered, record.Phases) || closed != record.Completed || c.Closed.IsZero() ||
				c.NewCA.Fingerprint == "" || c.NewCA == c.OldCA {
				t.Errorf("%s: verified by way of %v, closed %q at %v, CA %s -> %s", c.Cluster, entered,
					closed, c.Closed,
					c.OldCA.Fingerprint.Short(), c.NewCA.Fingerprint.Short())
			}
		} else if len(entered) > 0 && c.Outcome != InFlight {
			t.Errorf("%s: %s, and yet %v", c.Cluster, c.Outcome, entered)
		}
		var waited time.Duration
		for i, w := range c.Waited {
			waited += w.Time
			if i > 0 && w.Time > c.Waited[i-1].Time {
				t.Errorf("%s: the longest wait is not first", c.Cluster)
			}
		}
		if waited > dueFor[c.Cluster] {
			t.Errorf("%s: waited %s, and was due for %s", c.Cluster, waited, dueFor[c.Cluster])
		}
		if (c.Outcome == NotDue) != c.Due.IsZero() {
			t.Errorf("%s: %s, due since %v", c.Cluster, c.Outcome, c.Due)
		}
	}
	if verified == 0 || s.Runs != 20*24+1 || s.MostInFlight == 0 || s.MostSlots == 0 ||
		s.MostSlots > s.MostInFlight || s.Mutations == 0 {
		t.Errorf("verified %d, runs %d, in flight %d, slots %d, requests %d", verified, s.Runs,
			s.MostInFlight,
			s.MostSlots, s.Mutations)
	}
}

// TestStoryEndsEarly: a simulation that stops in mid-rotation says so.
func TestStoryEndsEarly(t *testing.T) {
	s := play(t, 1, nil)
	count := map[Outcome]int{}
	for _, c := range s.Clusters {
		count[c.Outcome]++
		if c.Outcome == InFlight && (c.Phase == "" || !c.Closed.IsZero()) {
			t.Errorf("%s in flight, phase %q, closed %v", c.Cluster, c.Phase, c.Closed)
		}
	}
	if count[InFlight] == 0 || count[Waiting] == 0 || count[NotDue] == 0 || count[NeedsAction] == 0 ||
		count[Verified] > 0 {
		t.Errorf("after one day: %v", count)
	}
}

// result is one run that saw one cluster.
func result(at time.Time, d policy.Decision, contents map[fleet.Ref]record.Rotation,
	done ...pass.Done) pass.Result {
	return pass.Result{
		At: at,
		Fleet: policy.Fleet{Clusters: []fleet.Cluster{d.Cluster},
			Contents: record.Contents{Known: true, Rotations: contents}}, Decisions: []policy.Decision{d},
		Done: done,
	}
}

// TestLostAnswers: what was stored although the answer was lost is told from
// the store, once; what was not stored is not told.
func TestLostAnswers(t *testing.T) {
	from := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	ref := fleet.Ref{Project: "p", Location: "l", Name: "c"}
	old, fresh := fleet.CA{Fingerprint: "aaaa"}, fleet.CA{Fingerprint: "bbbb"}
	idle := policy.Decision{Cluster: fleet.Cluster{Ref: ref, Bundle: fleet.Bundle{CAs: []fleet.CA{old}}},
		Action: policy.Start, Due: rules.Due{Is: true}}
	r := record.Rotation{
		Cluster: ref, AttemptID: "one", Phase: record.Starting, New: fresh,
		Transitions: []record.Transition{{Phase: record.Starting, At: from, Reason: reason.IsDue}},
	}
	tell := newStory(Setup{From: from, Days: 1, Every: time.Hour})
	after := idle
	after.Rotation = &r
	tell.add(result(from, idle, nil, pass.Done{Ref: ref, Action: policy.Start, After: after,
		Skipped: "commit unclear"}))
	if len(tell.Changes) != 0 {
		t.Errorf("told what may not be stored: %+v", tell.Changes)
	}
	contents := map[fleet.Ref]record.Rotation{ref: r}
	waiting := after
	waiting.Action, waiting.Phase, waiting.Reason = policy.Wait, record.Starting, reason.StartRuns
	tell.add(result(from.Add(time.Hour), waiting, contents))
	tell.add(result(from.Add(2*time.Hour), waiting, contents))
	if len(tell.Changes) != 1 || tell.Changes[0].Phase != record.Starting ||
		len(tell.Changes[0].Message) == 0 {
		t.Errorf("the stored start is not told once: %+v", tell.Changes)
	}
	verified := policy.Decision{Cluster: fleet.Cluster{Ref: ref,
		Bundle: fleet.Bundle{CAs: []fleet.CA{fresh}}},
		Action: policy.None, Reason: reason.NotDue}
	tell.add(result(from.Add(3*time.Hour), verified, nil))
	tell.finish(0, nil)
	c := tell.Clusters[0]
	if c.Outcome != Verified || c.Closed.IsZero() ||
		tell.Changes[len(tell.Changes)-1].Closed != record.Completed {
		t.Errorf("the lost end is not told: %+v, %+v", c, tell.Changes)
	}
	if len(c.Waited) != 1 || c.Waited[0].Time != 2*time.Hour || c.Waited[0].Reason != reason.StartRuns {
		t.Errorf("waited %+v; want two hours while due", c.Waited)
	}
}

func TestWaitsOnlyWhileDue(t *testing.T) {
	from := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	tell := newStory(Setup{From: from, Days: 1, Every: 6 * time.Hour})
	ref := fleet.Ref{Project: "p", Location: "l", Name: "c"}
	for i := range 5 { // the last run is at the very end: nothing follows it
		d := policy.Decision{
			Cluster: fleet.Cluster{Ref: ref}, Action: policy.Wait, Reason: reason.WindowClosed,
			Due: rules.Due{Is: i >= 2},
			Gates: []policy.Verdict{{Gate: "freeze", Reason: reason.Frozen, Lifted: true},
				{Gate: "window", Reason: reason.WindowClosed}},
		}
		tell.add(result(from.Add(time.Duration(i)*6*time.Hour), d, nil))
	}
	tell.finish(0, nil)
	c := tell.Clusters[0]
	if len(c.Waited) != 1 || c.Waited[0].Gate != "window" || c.Waited[0].Time != 12*time.Hour ||
		!c.Due.Equal(from.Add(12*time.Hour)) {
		t.Errorf("waited %+v since %v; want 12 h at the window", c.Waited, c.Due)
	}
}
