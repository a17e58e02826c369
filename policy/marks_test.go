package policy

import (
	"fmt"
	"regexp"
	"testing"
	"time"
)

func TestMarkWanted(t *testing.T) {
	rotation := func(change func(*Rotation)) Decision {
		_, r := flying(shopRef, RecreatingNodes)
		r.Transitions[len(r.Transitions)-1].Run = "run"
		r.Call = &Call{Kind: CallStart, State: Accepted}
		change(&r)
		return Decision{Rotation: &r}
	}
	closed := func(as ClosedAs) Decision {
		d := rotation(func(*Rotation) {})
		d.Close = as
		return d
	}
	for name, x := range map[string]struct {
		d    Decision
		want MarkState
	}{
		"idle": {Decision{}, ""},
		"the start was accepted": {rotation(func(r *Rotation) {
			r.Phase, r.Transitions = Starting, []Transition{{Phase: Starting, Run: "run"}}
		}), MarkClaimed},
		"the start stays without an answer": {rotation(func(r *Rotation) {
			r.Phase, r.Transitions, r.Call.State = Starting, []Transition{{Phase: Starting, Run: "run"}}, Unclear
		}), ""},
		"it shows in the second CA":    {rotation(func(r *Rotation) { r.Call.State = Unclear }), MarkClaimed},
		"claimed when it was accepted": {rotation(func(*Rotation) {}), ""},
		"adopted":                      {rotation(func(r *Rotation) { r.Origin, r.Call, r.Transitions = Foreign, nil, r.Transitions[1:] }), MarkClaimed},
		"watched":                      {rotation(func(r *Rotation) { r.Carry, r.Call = false, nil }), ""},
		"in an earlier run": {rotation(func(r *Rotation) {
			r.Call.State, r.Transitions[len(r.Transitions)-1].Run = Unclear, "run before"
		}), ""},
		"back to the nodes": {rotation(func(r *Rotation) {
			r.Call = &Call{Kind: CallComplete, State: Refused}
			r.Transitions = append(r.Transitions, Transition{Phase: Completing}, Transition{Phase: RecreatingNodes, Run: "run"})
		}), ""},
		"completed": {closed(Completed), MarkSucceeded}, "with findings": {closed(CompletedWithFindings), MarkSucceeded}, "elsewhere": {closed(CompletedElsewhere), MarkSucceeded},
		"lost": {closed(Lost), MarkFailed}, "closed by people": {closed(ClosedByPeople), MarkFailed},
		"not started": {closed(NotStarted), ""}, "gone": {closed(Gone), ""}, "recreated": {closed(Recreated), ""},
	} {
		m, ok := MarkWanted(x.d, "run", monday)
		if ok != (x.want != "") || ok && (m.Want != x.want || m.Attempt != "a1" || !m.At.Equal(monday)) {
			t.Errorf("%s: %t %+v, want %q", name, ok, m, x.want)
		}
	}
}

// TestMarkBudget: never more than thirty tries in any 24 hours, and each
// cluster's mark at most three times, however often runs come.
func TestMarkBudget(t *testing.T) {
	var doc FleetDoc
	var spent []time.Time
	tries := map[string]int{}
	for hour := range 24 * 6 {
		now := monday.Add(hours(hour))
		ref := Ref{"shop", "europe-west1", fmt.Sprint("c", hour%50)}
		if hour < 100 {
			doc = doc.WantMarks(map[Ref]Mark{ref: {Attempt: fmt.Sprint("a", hour), Want: MarkClaimed, At: now}})
		}
		var todo map[Ref]Mark
		doc, todo = doc.AskMarks(now)
		for ref, m := range todo {
			spent = append(spent, now)
			tries[ref.Name+" "+m.Attempt]++
		}
		if n := len(doc.Marks); n > maxMarkNotes {
			t.Fatalf("%d marks are remembered", n)
		}
	}
	for i := MaxMarks; i < len(spent); i++ {
		if spent[i].Sub(spent[i-MaxMarks]) < InsightEvery {
			t.Fatalf("try %d at %s is the %dth within a day", i, spent[i], MaxMarks+1)
		}
	}
	most := 0
	for what, n := range tries {
		if most = max(most, n); n > markTries {
			t.Errorf("%s was tried %d times", what, n)
		}
	}
	if most != markTries || len(spent) < 3*MaxMarks {
		t.Errorf("%d tries, at most %d of one", len(spent), most)
	}
}

func TestMarksAreKept(t *testing.T) {
	claim := Mark{Attempt: "a1", Want: MarkClaimed, At: monday}
	doc := FleetDoc{}.WantMarks(map[Ref]Mark{shopRef: claim})
	doc, todo := doc.AskMarks(monday)
	if len(todo) != 1 || doc.Marks[shopRef.String()].Tries != 1 {
		t.Fatalf("%+v, %+v", todo, doc.Marks)
	}
	doc = doc.HearMarks(map[Ref]MarkState{shopRef: MarkClaimed}, todo)
	if m := doc.Marks[shopRef.String()]; !m.Over || m.Has != MarkClaimed {
		t.Errorf("%+v", m)
	}
	if _, again := doc.AskMarks(monday.Add(hours(30))); len(again) != 0 {
		t.Errorf("again: %+v", again)
	}
	doc = doc.WantMarks(map[Ref]Mark{shopRef: {Attempt: "a1", Want: MarkSucceeded, At: monday.Add(hours(90))}})
	if m := doc.Marks[shopRef.String()]; m.Over || m.Has != MarkClaimed || m.Want != MarkSucceeded {
		t.Errorf("%+v", m)
	}
	// What was heard of an older wish says nothing about the newer one.
	if m := doc.HearMarks(map[Ref]MarkState{shopRef: MarkClaimed}, todo).Marks[shopRef.String()]; m.Over {
		t.Errorf("%+v", m)
	}
	doc.InsightsFrom = monday.Add(hours(100))
	if _, todo := doc.AskMarks(monday.Add(hours(91))); len(todo) != 0 {
		t.Errorf("tried while the quota is used up: %+v", todo)
	}
}

func TestMarkApplies(t *testing.T) {
	ours, older := map[string]string{noteAttempt: "a1"}, map[string]string{noteAttempt: "a0"}
	for _, x := range []struct {
		want            MarkState
		state           string
		notes           map[string]string
		applies, stands bool
	}{
		{MarkClaimed, "ACTIVE", nil, true, false},
		{MarkClaimed, "CLAIMED", nil, false, false}, // somebody else's
		{MarkClaimed, "CLAIMED", ours, false, true},
		{MarkClaimed, "CLAIMED", older, true, false},
		{MarkClaimed, "FAILED", nil, false, false},
		{MarkClaimed, "SUCCEEDED", nil, false, false},
		{MarkClaimed, "DISMISSED", nil, false, false},
		{MarkSucceeded, "ACTIVE", nil, true, false},
		{MarkSucceeded, "CLAIMED", nil, true, false},
		{MarkSucceeded, "FAILED", ours, true, false},
		{MarkSucceeded, "SUCCEEDED", ours, false, true},
		{MarkSucceeded, "SUCCEEDED", nil, false, false},
		{MarkFailed, "CLAIMED", ours, true, false},
		{MarkFailed, "SUCCEEDED", ours, false, false},
		{MarkFailed, "STATE_UNSPECIFIED", nil, false, false},
	} {
		m, rec := Mark{Attempt: "a1", Want: x.want}, Recommendation{State: x.state, Notes: x.notes}
		if m.Applies(rec) != x.applies || m.Stands(rec) != x.stands {
			t.Errorf("%s on %s %v: applies %t, stands %t", x.want, x.state, x.notes, m.Applies(rec), m.Stands(rec))
		}
	}
}

// TestMarkNotes: Recommender's own rules, as its documents have them; and
// nobody's notes are lost.
func TestMarkNotes(t *testing.T) {
	m := Mark{Attempt: "0123456789abcdef", Want: MarkClaimed, At: time.Date(2026, 11, 23, 1, 17, 0, 0, time.FixedZone("", 3600))}
	notes := MarkNotes(m, Recommendation{Notes: map[string]string{"ticket": "INC-7", "rotator-run": "old"}}, "prod eu", "rotator-abc: ü+1")
	key, value := regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`), regexp.MustCompile(`^[a-zA-Z0-9_./-]{0,255}$`)
	for k, v := range notes {
		if !key.MatchString(k) || !value.MatchString(v) {
			t.Errorf("Recommender refuses %q=%q", k, v)
		}
	}
	want := map[string]string{"ticket": "INC-7", "rotator-attempt": "0123456789abcdef", "rotator-env": "prod_eu", "rotator-run": "rotator-abc____1", "rotator-at": "20261123T001700Z"}
	if fmt.Sprint(notes) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", notes, want)
	}
}
