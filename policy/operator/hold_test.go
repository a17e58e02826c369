package operator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

var bob = record.Said{By: "bob", Reason: "incident", At: monday, Run: "run-2"}

// said is what people said one after another, from an empty store.
func held(t *testing.T, say ...func(record.FleetDoc) (record.FleetDoc, string, error)) record.FleetDoc {
	t.Helper()
	var doc record.FleetDoc
	for _, s := range say {
		after, text, err := s(doc)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(text)
		doc = after
	}
	return doc
}

func holding(on record.Target, until time.Time,
	who record.Said) func(record.FleetDoc) (record.FleetDoc, string, error) {
	return func(doc record.FleetDoc) (record.FleetDoc, string, error) { return Hold(doc, on, until, who) }
}

// Whoever holds longest decides, whoever said it last; a release ends one's own.
func TestHoldsAddUp(t *testing.T) {
	p, c := spoken()
	all, mine := record.Target{}, record.TheCluster(shop)
	open := func(doc record.FleetDoc, at time.Time) bool {
		return askGate("hold", policy.NewCase(p, c, nil, &doc, "", at)).Open
	}
	doc := held(t, holding(all, time.Time{}, ann), holding(all, monday.Add(hours(2)), bob),
		holding(mine, monday.Add(hours(5)), bob))
	if open(doc, monday.Add(hours(3))) || open(doc, monday.Add(hours(900))) {
		t.Error("a shorter hold took the place of a longer one")
	}
	v := askGate("hold", policy.NewCase(p, c, nil, &doc, "", monday))
	if says := v.Message.String(); !v.OpensAt.IsZero() || !v.Changes.Equal(monday.Add(hours(2))) ||
		strings.Count(says, "bob: incident, until") != 2 || !strings.Contains(says,
		"held by ann: launch (hold ") {
		t.Errorf("%q opens %s, changes %s", says, v.OpensAt, v.Changes)
	}
	after, text, err := Release(doc, &all, "", c, record.Said{By: "BOB", At: monday})
	if err != nil || !strings.Contains(text, "still held by ann") || open(after, monday) {
		t.Fatal(text, err)
	}
	_, _, err = Release(after, &all, "", c, bob)
	says(t, err, "What ends another's hold: rotator release --id "+after.Holds[0].ID)
	after, text, err = Release(after, nil, after.Holds[0].ID, fleet.Cluster{}, bob)
	if err != nil || strings.Contains(text, "still") || open(after, monday) || !open(after,
		monday.Add(hours(5))) {
		t.Fatal(text, err)
	}
	after, _, err = Release(after, &mine, "", c, bob)
	if err != nil || !open(after, monday) {
		t.Fatal(err)
	}
	_, _, err = Release(after, &mine, "", c, bob)
	says(t, err, "is not held; held by: nobody")
	_, _, err = Hold(after, mine, monday, ann)
	says(t, err, "which is over")
}

// One's own longer hold takes the place of one's shorter; the shorter one never does.
func TestOnesOwnHolds(t *testing.T) {
	on := record.TheCluster(shop)
	doc := held(t, holding(on, monday.Add(hours(4)), ann), holding(on, monday.Add(hours(9)), ann),
		holding(on, monday.Add(hours(6)), ann))
	if len(doc.Holds) != 2 || !doc.Holds[0].Until.Equal(monday.Add(hours(9))) ||
		doc.Holds[0].ID == doc.Holds[1].ID {
		t.Errorf("%+v", doc.Holds)
	}
}

// What a hold covers, by each kind of target.
func TestWhatAHoldCovers(t *testing.T) {
	prod, err := fleet.ParseSelector("env=prod")
	if err != nil {
		t.Fatal(err)
	}
	c := fleet.Cluster{Ref: shop, Labels: map[string]string{"env": "prod"}}
	other := fleet.Cluster{Ref: fleet.Ref{Project: "other", Location: shop.Location, Name: shop.Name}}
	third := fleet.Cluster{Ref: fleet.Ref{Project: "other", Location: shop.Location, Name: "my" + shop.Name}}
	for _, tt := range []struct {
		on   record.Target
		want [3]bool
	}{
		{record.Target{}, [3]bool{true, true, true}},
		{record.TheCluster(shop), [3]bool{true, false, false}},
		{record.Target{Project: "shop"}, [3]bool{true, false, false}},
		{record.Target{Project: "other"}, [3]bool{false, true, true}},
		{record.Target{Name: shop.Name}, [3]bool{true, true, false}},
		{record.Target{Selector: prod}, [3]bool{true, false, false}},
		{record.Target{Selector: prod, Matched: []fleet.Ref{third.Ref}}, [3]bool{true, false, true}},
	} {
		for i, c := range []fleet.Cluster{c, other, third} {
			doc, _, err := Hold(record.FleetDoc{}, tt.on, time.Time{}, ann)
			if got := len(doc.Held(c, monday)) == 1; err != nil || got != tt.want[i] {
				t.Errorf("%s holds %s: %t %v", tt.on, c.Ref, got, err)
			}
		}
	}
}

// A stop of all clusters is taken however many there are, and weakens none that is there.
func TestAStopAlwaysFits(t *testing.T) {
	var doc record.FleetDoc
	count := func(all bool) (n int) {
		for _, h := range doc.Holds {
			if h.All() == all {
				n++
			}
		}
		return n
	}
	until := func(i int) time.Time { return monday.Add(hours(i)) }
	for i := range 3 * record.MaxStops {
		who := record.Said{By: fmt.Sprint("person ", i), At: monday}
		after, text, err := Hold(doc, record.Target{}, until(i%record.MaxStops+1), who)
		if err != nil {
			t.Fatal(i, text, err)
		}
		doc = after
		after, _, err = Hold(doc, record.Target{Project: "shop"}, until(i+1), who)
		if err != nil {
			t.Fatal(err)
		}
		doc = after
	}
	if count(true) != record.MaxStops || count(false) != record.MaxStops {
		t.Errorf("%d of all, %d of a project", count(true), count(false))
	}
	if held := doc.Held(fleet.Cluster{}, until(record.MaxStops-1)); len(held) == 0 {
		t.Error("the longest is gone")
	}
	after, text, err := Hold(doc, record.Target{}, until(0).Add(time.Minute), bob)
	if err != nil || !strings.Contains(text, "held longer already, by person") ||
		len(after.Holds) != len(doc.Holds) {
		t.Error(text, err)
	}
	if _, _, err := Hold(doc, record.TheCluster(shop), time.Time{}, bob); err != nil {
		t.Error(err)
	}
}
