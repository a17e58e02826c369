package insight

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

var insightDay = time.Date(2026, 11, 23, 2, 17, 0, 0, time.UTC)

// expiring is a running cluster whose one CA was issued long ago and expires
// so many days from insightDay.
func expiring(location, name string, days int) fleet.Cluster {
	at := insightDay.Add(time.Duration(days) * 24 * time.Hour)
	return fleet.Cluster{
		Ref: fleet.Ref{Project: "p", Location: location, Name: name}, ID: name, Status: fleet.Running,
		Bundle: fleet.Bundle{CAs: []fleet.CA{{Fingerprint: fleet.Fingerprint("fp-" + name),
			Issued: at.AddDate(-5, 0, 0), Expires: at}}},
	}
}

// TestInsightReads: which places are worth a read, and who comes first.
func TestInsightReads(t *testing.T) {
	p := &rules.Policy{Locations: []string{"near", "far", "edge", "old", "new", "done"}}
	p.Selector, _ = fleet.ParseSelector("env!=off")
	off := expiring("edge", "off", 10)
	off.Labels = map[string]string{"env": "off"}
	alpha, theirs, broken := expiring("edge", "alpha", 10), expiring("edge", "theirs", 10),
		expiring("edge", "broken", 10)
	alpha.Alpha, theirs.CustomerCA, broken.Bundle.Problem = true, true, "no PEM"
	f := policy.Fleet{
		Clusters: []fleet.Cluster{
			expiring("near", "a", 170), expiring("near", "b", 20), expiring("far", "c", 181),
			expiring("old", "d", 180),
			expiring("new", "e", 30), expiring("elsewhere", "f", 10), expiring("done", "g", 9000), off, alpha, theirs,
			broken,
		},
		Contents: record.Contents{
			Rotations: map[fleet.Ref]record.Rotation{{Project: "p", Location: "done",
				Name: "g"}: {Phase: record.Verifying},
				{Project: "p", Location: "far", Name: "c"}: {Phase: record.UpdatingClients}},
			Fleet: record.FleetDoc{Insights: map[string]record.InsightNote{
				"p/old": {At: insightDay.Add(-24 * time.Hour)},
				"p/new": {At: insightDay.Add(-24*time.Hour + time.Second)},
			}},
		},
	}
	got := fmt.Sprint(Reads(p, f, insightDay))
	if want := "[p/near p/done p/old]"; got != want {
		t.Errorf("reads %s, want %s", got, want)
	}
	f.Contents.Fleet.InsightsFrom = insightDay.Add(time.Second)
	if got := Reads(p, f, insightDay); len(got) != 0 {
		t.Errorf("reads %v although the quota is used up", got)
	}
}

// TestInsightBudget: over hundreds of places, never more than fifty reads in
// any 24 hours, each place once a day at most, all of them in turn, and what
// is remembered stays small.
func TestInsightBudget(t *testing.T) {
	var f policy.Fleet
	for i := range 600 {
		f.Clusters = append(f.Clusters, expiring(fmt.Sprintf("northamerica-northeast%03d", i),
			strings.Repeat("n", 40)+fmt.Sprint(i), 10))
	}
	p := &rules.Policy{}
	reads := map[record.InsightPlace][]time.Time{}
	var all []time.Time
	for hour := range 20 * 24 {
		now := insightDay.Add(time.Duration(hour) * time.Hour)
		places := Reads(p, f, now)
		f.Contents.Fleet = Ask(f.Contents.Fleet, places, now)
		var answers []record.InsightAnswer
		for _, place := range places {
			answers = append(answers, record.InsightAnswer{Place: place, Complete: true})
			reads[place], all = append(reads[place], now), append(all, now)
		}
		f.Contents.Fleet = Hear(f.Contents.Fleet, p, f, answers, now)
	}
	for i, at := range all {
		if i >= record.MaxInsightReads && at.Sub(all[i-record.MaxInsightReads]) < 24*time.Hour {
			t.Fatalf("read %d at %s is the 51st in less than a day", i, at)
		}
	}
	for place, times := range reads {
		for i := 1; i < len(times); i++ {
			if times[i].Sub(times[i-1]) < record.InsightEvery {
				t.Errorf("%s was read at %s and %s", place, times[i-1], times[i])
			}
		}
	}
	if len(reads) < record.MaxInsightNotes {
		t.Errorf("%d places read in twenty days", len(reads))
	}
	doc := f.Contents.Fleet
	text, err := json.Marshal(record.FleetDoc{Insights: doc.Insights, Mismatches: doc.Mismatches})
	if err != nil || len(doc.Insights) != record.MaxInsightNotes ||
		len(doc.Mismatches) != record.MaxMismatches || len(text) > 40<<10 {
		t.Errorf("%d notes and %d mismatches remembered in %d bytes, error %v", len(doc.Insights),
			len(doc.Mismatches), len(text), err)
	}
	for _, note := range doc.Insights {
		if !note.Answered {
			t.Fatal("an answered read is remembered as unanswered")
		}
	}
	// Nobody wants them any more: all is forgotten in time.
	if doc = Ask(doc, nil, insightDay.AddDate(0, 0, 40)); len(doc.Insights)+len(doc.Mismatches) > 0 {
		t.Errorf("still remembered: %d notes, %d mismatches", len(doc.Insights), len(doc.Mismatches))
	}
}

// TestMismatches: certificate against conditions, status and insight, with
// GKE's own delays.
func TestMismatches(t *testing.T) {
	fresh := func(age time.Duration) fleet.Cluster { // rotated, its CA so old
		c := expiring("l", "c", 9000)
		c.Bundle.CAs[0].Issued = insightDay.Add(-age)
		return c
	}
	with := func(c fleet.Cluster, change func(*fleet.Cluster)) fleet.Cluster { change(&c); return c }
	condition := func(c *fleet.Cluster) { c.Conditions = []string{"CA_EXPIRING"} }
	verifying := func(since time.Duration) map[fleet.Ref]record.Rotation {
		return map[fleet.Ref]record.Rotation{{Project: "p", Location: "l", Name: "c"}: {Phase: record.Verifying,
			Transitions: []record.Transition{{Phase: record.Verifying, At: insightDay.Add(-since)}}}}
	}
	insight := []record.Insight{{Cluster: fleet.Ref{Project: "p", Location: "l", Name: "c"},
		State: record.InsightActive}}
	dismissed := []record.Insight{{Cluster: fleet.Ref{Project: "p", Location: "l", Name: "c"},
		State: "DISMISSED"}}
	other := []record.Insight{{Cluster: fleet.Ref{Project: "p", Location: "l", Name: "cc"},
		State: record.InsightActive}}
	for _, tt := range []struct {
		name      string
		cluster   fleet.Cluster
		rotations map[fleet.Ref]record.Rotation
		found     []record.Insight
		part      bool // there was more than the answer held
		want      string
	}{
		{name: "insight and certificate agree", cluster: expiring("l", "c", 100), found: insight},
		{name: "a dismissed insight is one", cluster: expiring("l", "c", 100), found: dismissed},
		{name: "no insight", cluster: expiring("l", "c", 100), found: other, want: "Recommender has no insight"},
		{name: "no insight, expired",
			cluster: with(expiring("l", "c", -3), func(c *fleet.Cluster) { c.Status = fleet.Degraded }),
			want:    "Recommender has no insight"},
		{name: "no insight in this part of the answer", cluster: expiring("l", "c", 100), part: true},
		{name: "no insight, 180 days just begun", cluster: expiring("l", "c", 179)},
		{name: "no insight, not near", cluster: expiring("l", "c", 200)},
		{name: "no insight while rotating", cluster: with(expiring("l", "c", 100),
			func(c *fleet.Cluster) { c.Bundle.CAs = append(c.Bundle.CAs, fleet.CA{Fingerprint: "new"}) })},
		{name: "an insight lingers", cluster: fresh(30 * 24 * time.Hour), found: insight,
			want: "Recommender has an insight that"},
		{name: "an accepted one may", cluster: fresh(30 * 24 * time.Hour), found: dismissed},
		{name: "it may for 36 hours after a completion", cluster: fresh(8 * 24 * time.Hour), found: insight},
		{name: "verifying since 35 h", cluster: fresh(30 * 24 * time.Hour), rotations: verifying(35 * time.Hour),
			found: insight},
		{name: "verifying since 36 h", cluster: fresh(8 * 24 * time.Hour), rotations: verifying(36 * time.Hour),
			found: insight, want: "Recommender has an insight that"},
		{name: "condition of a CA that lasts", cluster: with(fresh(30*24*time.Hour), condition),
			want: "the cluster has the condition CA_EXPIRING"},
		{name: "condition right after completion", cluster: with(fresh(8*24*time.Hour), condition)},
		{name: "condition of a CA that expires", cluster: with(expiring("l", "c", 100), condition), found: insight},
		{name: "running five days before expiry", cluster: expiring("l", "c", 5), found: insight,
			want: "status is RUNNING"},
		{name: "running, but it says so", cluster: with(expiring("l", "c", 5), condition), found: insight},
		{name: "degraded five days before expiry",
			cluster: with(expiring("l", "c", 5), func(c *fleet.Cluster) { c.Status = fleet.Degraded }),
			found:   insight},
		{name: "running six days before expiry", cluster: expiring("l", "c", 6), found: insight},
		{name: "no certificate",
			cluster: with(expiring("l", "c", 5), func(c *fleet.Cluster) { c.Bundle = fleet.Bundle{Problem: "none"} })},
	} {
		f := policy.Fleet{Clusters: []fleet.Cluster{tt.cluster}, Contents: record.Contents{Rotations: tt.rotations}}
		place := record.InsightPlace{Project: "p", Location: "l"}
		f.Contents.Fleet = Ask(f.Contents.Fleet, []record.InsightPlace{place}, insightDay)
		f.Contents.Fleet = Hear(f.Contents.Fleet, &rules.Policy{}, f,
			[]record.InsightAnswer{{Place: place, Found: tt.found, Complete: !tt.part}}, insightDay)
		got := Mismatches(tt.cluster, f.Contents, insightDay)
		if (tt.want == "") != (len(got) == 0) || tt.want != "" &&
			(len(got) != 1 || !strings.Contains(got[0], tt.want)) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if read := f.Contents.InsightRead(tt.cluster); read.IsZero() != tt.part {
			t.Errorf("%s: answered at %v", tt.name, read)
		}
	}
}

// TestMismatchIsAboutACA: what was said of one CA is not said of the next, and
// the next read replaces it.
func TestMismatchIsAboutACA(t *testing.T) {
	c := expiring("l", "c", 100)
	f := policy.Fleet{Clusters: []fleet.Cluster{c}}
	place := record.InsightPlace{Project: "p", Location: "l"}
	read := func(found ...record.Insight) {
		f.Contents.Fleet = Ask(f.Contents.Fleet, []record.InsightPlace{place}, insightDay)
		f.Contents.Fleet = Hear(f.Contents.Fleet, &rules.Policy{}, f,
			[]record.InsightAnswer{{Place: place, Found: found, Complete: true}}, insightDay)
	}
	read()
	if got := Mismatches(c, f.Contents, insightDay); len(got) != 1 {
		t.Fatalf("%q", got)
	}
	next := expiring("l", "c", 100)
	next.Bundle.CAs[0].Fingerprint = "another"
	if got := Mismatches(next, f.Contents, insightDay); len(got) != 0 {
		t.Errorf("said of another CA: %q", got)
	}
	before := f.Contents.Fleet
	read(record.Insight{Cluster: c.Ref, State: record.InsightActive})
	if got := Mismatches(c, f.Contents, insightDay); len(got) != 0 {
		t.Errorf("still %q", got)
	}
	if len(before.Mismatches) != 1 {
		t.Error("the older document was changed")
	}
	off := &rules.Policy{}
	off.Selector, _ = fleet.ParseSelector("env=prod")
	if doc := Hear(before, off, f, []record.InsightAnswer{{Place: place, Complete: true}},
		insightDay); len(doc.Mismatches) != 0 {
		t.Errorf("a cluster that is not selected is compared: %v", doc.Mismatches)
	}
	if !slices.Equal(Mismatches(c, record.Contents{}, insightDay), nil) {
		t.Error("a mismatch without a read")
	}
}
