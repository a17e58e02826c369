package terminal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

func TestPictures(t *testing.T) {
	for _, form := range []struct {
		name string
		o    Options
	}{
		{"color", Options{Width: 120, Color: true, Mode: "act", Wall: 400 * time.Millisecond}},
		{"nocolor", Options{Width: 120, Mode: "act", Wall: 400 * time.Millisecond}},
		{"pipe", Options{Mode: "observe"}},
		{"narrow", Options{Width: 60, Mode: "act"}},
		{"tiny", Options{Width: 40, Mode: "act"}},
	} {
		for _, p := range pictures() {
			t.Run(p.name+"-"+form.name, func(t *testing.T) {
				var b bytes.Buffer
				if err := p.draw(&b, form.o); err != nil {
					t.Fatal(err)
				}
				golden(t, p.name+"-"+form.name, b.Bytes())
			})
		}
	}
}

func TestJSON(t *testing.T) {
	res, p := testResult(), testPolicy()
	for _, tt := range []struct {
		name string
		draw func(*bytes.Buffer) error
	}{
		{"plan", func(b *bytes.Buffer) error { return view.WriteJSON(b, view.PlanOf(res, p)) }},
		{"status", func(b *bytes.Buffer) error {
			return view.WriteJSON(b,
				view.StatusOf(res.Fleet.Contents, nil, now, p))
		}},
		{"cluster", func(b *bytes.Buffer) error {
			return view.WriteJSON(b, view.StoryOf(res.Fleet.Contents, testHistory(), &res.Decisions[7],
				res.Decisions[7].Cluster.Ref, now, p))
		}},
		{"story", func(b *bytes.Buffer) error { return view.WriteJSON(b, view.PlayedOf(testStory(), p)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := tt.draw(&b); err != nil {
				t.Fatal(err)
			}
			if !json.Valid(b.Bytes()) {
				t.Error("not JSON")
			}
			golden(t, tt.name+".json", b.Bytes())
		})
	}
}

// TestPlanJSONContract: the order of the decisions does not matter, and no
// list is ever null.
func TestPlanJSONContract(t *testing.T) {
	res := testResult()
	var a, b bytes.Buffer
	if err := view.WriteJSON(&a, view.PlanOf(res, testPolicy())); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(res.Decisions)
	if err := view.WriteJSON(&b, view.PlanOf(res, testPolicy())); err != nil {
		t.Fatal(err)
	}
	if a.String() != b.String() {
		t.Error("the order of decisions shows")
	}
	var empty bytes.Buffer
	if err := view.WriteJSON(&empty, view.PlanOf(pass.Result{At: now}, testPolicy())); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"clusters": []`, `"unread": []`, `"locations": []`} {
		if !strings.Contains(empty.String(), want) {
			t.Errorf("an empty plan lacks %s:\n%s", want, empty.String())
		}
	}
	unreadable := res.Decisions[0]
	unreadable.Cluster.Bundle = fleet.Bundle{Problem: "no PEM"}
	res.Decisions = []policy.Decision{unreadable}
	b.Reset()
	if err := view.WriteJSON(&b, view.PlanOf(res, testPolicy())); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"caIssued": null`, `"caExpires": null`, `"caCount": 0`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("an unreadable CA lacks %s:\n%s", want, b.String())
		}
	}
}

// TestWidths: no line is wider than the terminal, but for names and commands,
// which stay whole so that they can be pasted.
func TestWidths(t *testing.T) {
	for _, p := range pictures() {
		for width := 40; width <= 200; width++ {
			var b bytes.Buffer
			if err := p.draw(&b, Options{Width: width, Color: width%2 == 0, Mode: "act"}); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(ansi.ReplaceAllString(b.String(), "")) {
				line = strings.TrimSuffix(line, "\n")
				if cells(line) > width && !strings.Contains(line, "rotator ") &&
					strings.Contains(strings.TrimSpace(line), " ") {
					t.Errorf("%s at %d columns: a line of %d: %q", p.name, width, cells(line), line)
				}
			}
		}
	}
}

// TestColourRepeats: without colour every word is still there.
func TestColourRepeats(t *testing.T) {
	for _, p := range pictures() {
		for _, width := range []int{0, 60, 120} {
			var with, without bytes.Buffer
			if err := p.draw(&with, Options{Width: width, Color: true}); err != nil {
				t.Fatal(err)
			}
			if err := p.draw(&without, Options{Width: width}); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(with.String(), "\x1b[") {
				t.Errorf("%s: no colour", p.name)
			}
			if ansi.ReplaceAllString(with.String(), "") != without.String() {
				t.Errorf("%s at %d: colour changes more than colour", p.name, width)
			}
			for line := range strings.Lines(without.String()) {
				if strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
					t.Errorf("%s at %d: spaces at the end of %q", p.name, width, line)
				}
			}
		}
	}
}

// TestHarmless: whatever GKE, the store or a person said, nothing reaches the
// terminal but text.
func TestHarmless(t *testing.T) {
	const evil = "\x1b]0;owned\x07\x1b[2J\u202egnp\u200b\u009b1m\r\nfake line\x00\xff"
	res, p := testResult(), testPolicy()
	for i := range res.Decisions {
		d := &res.Decisions[i]
		d.Message = fact.Sayf("%v%s", d.Message, evil)
		d.Cluster.Ref.Name += evil
		d.Wave = evil
		d.Cluster.Maintenance.Text = evil
		d.Due.Why = evil
		for j := range d.Gates {
			d.Gates[j].Message = fact.Sayf("%v%s", d.Gates[j].Message, evil)
		}
		if d.Rotation != nil {
			d.Rotation.Transitions[0].Run = evil
			d.Rotation.StartOp.Operation = evil
			d.Rotation.PoolsSeen = append(d.Rotation.PoolsSeen, evil)
			d.Rotation.Cluster = d.Cluster.Ref
			res.Fleet.Contents.Rotations = map[fleet.Ref]record.Rotation{d.Cluster.Ref: *d.Rotation}
		}
	}
	res.Fleet.Unread[0].Reason, res.Fleet.Unread[0].Project = evil, evil
	doc := &res.Fleet.Contents.Fleet
	doc.Env, doc.LastRun.Run = evil, evil
	doc.Holds[0].By, doc.Holds[0].Reason = evil, evil
	doc.Requests[0].By = evil
	doc.Blocked[evil] = reason.CAExpired
	doc.Waves[evil] = record.WaveNotes{{At: now}}
	doc.Failures[0].Cluster.Name = evil
	history := testHistory()
	history[0].Findings, history[0].CompletedBy = []string{evil}, evil
	story := testStory()
	for i := range story.Clusters {
		story.Clusters[i].Cluster.Name += evil
		story.Clusters[i].Message = fact.Sayf("%v%s", story.Clusters[i].Message, evil)
	}
	for i := range story.Changes {
		story.Changes[i].Message = fact.Sayf("%v%s", story.Changes[i].Message, evil)
	}
	p.Projects, p.Env = []string{evil}, evil
	res.Holder = &pass.Holder{Run: evil, Since: now, Until: now, Overdue: true}
	o := Options{Width: 100}
	var b bytes.Buffer
	for _, err := range []error{
		Plan(&b, view.PlanOf(res, p), o), view.WriteJSON(&b, view.PlanOf(res, p)),
		Explain(&b, view.PlanOf(res, p), res.Decisions[5].Cluster.Ref.Name, o),
		Status(&b, view.StatusOf(res.Fleet.Contents, res.Holder, now, p), o),
		view.WriteJSON(&b, view.StatusOf(res.Fleet.Contents, res.Holder, now, p)),
		StatusCluster(&b, view.StoryOf(res.Fleet.Contents, history, &res.Decisions[7], res.Decisions[7].Cluster.Ref,
			now, p), o),
		view.WriteJSON(&b, view.StoryOf(res.Fleet.Contents, history, &res.Decisions[7],
			res.Decisions[7].Cluster.Ref, now, p)),
		Story(&b, view.PlayedOf(story, p), o), view.WriteJSON(&b, view.PlayedOf(story, p)),
		Policy(&b, p, []view.Setting{{Name: "ENV", Value: evil, Default: false}}, now, o),
	} {
		if err != nil {
			t.Error(clean(err.Error()))
		}
	}
	if _, err := view.Find(view.PlanOf(res, p).Refs(), evil); err == nil ||
		strings.IndexFunc(err.Error(), words.Harmful) >= 0 {
		t.Errorf("Find: %q", err)
	}
	for line := range strings.Lines(b.String()) {
		if line = strings.TrimSuffix(line, "\n"); strings.IndexFunc(line, words.Harmful) >= 0 ||
			strings.HasPrefix(line, "fake line") {
			t.Errorf("harmful: %q", line)
		}
	}
}

// TestZone: a terminal with TZ sees its own times, also in the rules'
// sentences, and the zone is named.
func TestZone(t *testing.T) {
	zone := time.FixedZone("Asia/Kolkata", 5*3600+1800)
	for _, p := range pictures() {
		var b bytes.Buffer
		if err := p.draw(&b, Options{Width: 160, Zone: zone}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "Asia/Kolkata") {
			t.Errorf("%s does not name the zone", p.name)
		}
		if strings.Contains(b.String(), "22 Nov 02:00") {
			t.Errorf("%s shows a time in UTC", p.name)
		}
	}
}

// TestManyClusters: ten thousand clusters stay readable.
func TestManyClusters(t *testing.T) {
	res, p := testResult(), testPolicy()
	one := res.Decisions
	res.Decisions, res.Fleet.Clusters = nil, nil
	for i := range 1200 {
		for _, d := range one {
			d.Cluster.Ref.Name += fmt.Sprintf("-%05d", i)
			res.Decisions = append(res.Decisions, d)
		}
	}
	var plan, story bytes.Buffer
	if err := Plan(&plan, view.PlanOf(res, p), Options{Width: 120}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(plan.String(), "\n"); n > 250 {
		t.Errorf("the plan of 10,800 clusters has %d lines", n)
	}
	if !strings.Contains(plan.String(),
		"and 2375 more (1200 ca-expired, 1175 approval-needed): --format json") &&
		!strings.Contains(plan.String(), "and 2375 more") {
		t.Errorf("the plan does not count the rest:\n%s", plan.String()[:2000])
	}
	if err := Story(&story, view.PlayedOf(fleetStory(2000), p), Options{Width: 120}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(story.String(), "\n"); n > 300 {
		t.Errorf("the story of 10,000 clusters has %d lines", n)
	}
}

// TestPlanOfSixty: sixty clusters are one screen's worth of a plan, and --all gives
// each its row.
func TestPlanOfSixty(t *testing.T) {
	res, p := testResult(), testPolicy()
	for i := range 60 - len(res.Decisions) {
		project, opens := []string{"data-prod", "pay-prod", "shop-prod"}[min(i/14, 2)], at("2026-11-29T00:00:00Z")
		if i%20 == 9 { // some wait for what no other waits for
			opens = opens.AddDate(0, 0, i)
		}
		d := decision(fmt.Sprintf("%s/europe-west1/made-%02d", project, i), ca("e", "2022-02-10", "2027-02-09"),
			policy.Wait, reason.WindowClosed, "")
		d.Message = fact.Sayf("window %v", fact.Set("WINDOW", "Sun 01:00-05:00 Europe/Paris")).Tailf(" opens %v",
			opens)
		d.Gates = []policy.Verdict{{Gate: "window", Reason: d.Reason, Message: d.Message, OpensAt: opens}}
		res.Decisions = append(res.Decisions, d)
	}
	draw := func(all bool) string {
		var b bytes.Buffer
		if err := Plan(&b, view.PlanOf(res, p), Options{Width: 100, All: all}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	short, all := draw(false), draw(true)
	if n := strings.Count(short, "\n"); n >= 60 {
		t.Errorf("the plan of 60 clusters has %d lines:\n%s", n, short)
	}
	for _, want := range []string{"48 clusters",
		"shop-prod: 21 · pay-prod: 14 · data-prod: 13   (names: rotator plan --all)", "made-09 "} {
		if !strings.Contains(short, want) {
			t.Errorf("the plan does not say %q:\n%s", want, short)
		}
	}
	if n := strings.Count(all, "/made-"); n < 51 || strings.Contains(all, " more (") {
		t.Errorf("--all shows %d rows of 51:\n%s", n, all)
	}
}

// TestNextSteps: every line that needs action is followed by something to do,
// with the names filled in.
func TestNextSteps(t *testing.T) {
	for _, why := range reason.All() {
		d := decision("shop-prod/europe-west1/legacy", ca("a", "2021-11-08", "2026-11-08"), policy.NeedsAction, why,
			"what happened")
		if why == reason.NotSelected || why == reason.BreakerOpen {
			continue // counted, whatever the action; said once, by what opened it
		}
		var b bytes.Buffer
		if err := Plan(&b, view.PlanOf(pass.Result{At: now, Decisions: []policy.Decision{d},
			Fleet: policy.Fleet{Contents: record.Contents{Known: true}}}, testPolicy()),
			Options{Width: 120}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "NEEDS ACTION") || !strings.Contains(b.String(), "→") ||
			strings.Contains(b.String(), "CLUSTER") || strings.Contains(b.String(), " ENV") {
			t.Errorf("%s:\n%s", why, b.String())
		}
	}
}

// TestPlanNotices: what a plan must not hide.
func TestPlanNotices(t *testing.T) {
	draw := func(res pass.Result, p *rules.Policy) string {
		var b bytes.Buffer
		if err := Plan(&b, view.PlanOf(res, p), Options{Width: 120}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	res, p := testResult(), testPolicy()
	res.Fleet.Contents.Known = false
	if got := draw(res, p); !strings.Contains(got, "holds, approvals and waves are unknown") {
		t.Errorf("no word of the missing store:\n%s", got)
	}
	if got := draw(pass.Result{At: now}, p); !strings.Contains(got, "No cluster was seen") {
		t.Errorf("an empty plan says nothing:\n%s", got)
	}
	res.Decisions = res.Decisions[:1] // notebooks alone
	if got := draw(res, p); !strings.Contains(got, "Nothing is due before 2054-01-04; set ROTATOR_MAX_CA_AGE") {
		t.Errorf("no word of MAX_CA_AGE:\n%s", got)
	}
	p.MaxCAAge = 365 * 24 * time.Hour
	if got := draw(res, p); strings.Contains(got, "set ROTATOR_MAX_CA_AGE") {
		t.Errorf("MAX_CA_AGE is set already:\n%s", got)
	}
	broken := testResult()
	for i := range broken.Decisions {
		if d := &broken.Decisions[i]; d.Action == policy.Start {
			d.Action, d.Reason = policy.NeedsAction, reason.BreakerOpen
		}
	}
	people, rest, _ := strings.Cut(draw(broken, p), "WAITING")
	if !strings.Contains(people, "rotator retry shop-prod/us-east1/payments") ||
		!strings.Contains(people, "The breaker is open") || strings.Contains(people, "serve") ||
		!strings.Contains(rest, "serve") {
		t.Errorf("an open breaker is not said once, with what opened it:\n%s\nWAITING%s", people, rest)
	}
	stuck := testResult()
	r := testRotation()
	r.Stuck = true
	stuck.Decisions[7].Rotation = &r
	got := draw(stuck, p)
	if people, _, _ := strings.Cut(got, "WOULD DO NOW"); !strings.Contains(people, "catalog") ||
		!strings.Contains(people, "stuck") {
		t.Errorf("a stuck rotation does not stand on top:\n%s", got)
	}
}

// TestManyGates: a cluster with many pools explains what is closed.
func TestManyGates(t *testing.T) {
	res := testResult()
	d := &res.Decisions[5]
	for i := range 500 {
		d.Gates = append(d.Gates, open(fmt.Sprintf("pool-%d: window", i), "", time.Time{}))
	}
	var b bytes.Buffer
	if err := Explain(&b, view.PlanOf(res, testPolicy()), "checkout", Options{Width: 120}); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Count(got, "\n") > 40 || !strings.Contains(got, "503 gates are open") ||
		!strings.Contains(got, "budget-project") {
		t.Errorf("many gates:\n%s", got)
	}
}

func TestFind(t *testing.T) {
	known := view.PlanOf(testResult(), testPolicy()).Refs()
	known = append(known, ref("shop-dev/europe-west1-b/serve"))
	for _, tt := range []struct{ text, want, err string }{
		{"shop-prod/us-central1/catalog", "shop-prod/us-central1/catalog", ""},
		{"projects/shop-prod/locations/us-central1/clusters/catalog", "shop-prod/us-central1/catalog", ""},
		{"catalog", "shop-prod/us-central1/catalog", ""},
		{"us-central1/catalog", "shop-prod/us-central1/catalog", ""},
		{"serve", "", `"serve" names 2 clusters: ml-prod/europe-west4/serve or shop-dev/europe-west1-b/serve`},
		{"shop-prod/us-central1/catalogue", "", "did you mean shop-prod/us-central1/catalog?"},
		{"chekout", "", "did you mean shop-prod/europe-west1/checkout?"},
		{"nothing-like-it", "", "names are PROJECT/LOCATION/CLUSTER"},
		{"", "", "names are PROJECT/LOCATION/CLUSTER"},
	} {
		got, err := view.Find(known, tt.text)
		if tt.err == "" && (err != nil || got.String() != tt.want) {
			t.Errorf("Find(%q) = %v, %v; want %s", tt.text, got, err, tt.want)
		}
		if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("Find(%q): error %v; want %s", tt.text, err, tt.err)
		}
	}
}

func TestProgress(t *testing.T) {
	from := at("2026-11-23T00:00:00Z")
	play := func(o Options) string {
		var b bytes.Buffer
		p := NewProgress(&b, from, 2, time.Hour, o)
		for i := range 49 {
			res := testResult()
			res.At = from.Add(time.Duration(i) * time.Hour)
			p.See(res)
		}
		p.Done()
		return b.String()
	}
	if got := play(Options{Width: 80}); got != "" {
		t.Errorf("without a terminal it says %q", got)
	}
	got := play(Options{Width: 80, Live: true})
	if !strings.Contains(got, "48/49 runs  1 in flight") || !strings.HasSuffix(got, "\r\x1b[K") ||
		strings.Contains(got, "\n") {
		t.Errorf("on a terminal it says %q", got)
	}
	for line := range strings.SplitSeq(got, "\r\x1b[K") {
		if cells(line) >= 80 {
			t.Errorf("the line would wrap: %q", line)
		}
	}
}

// TestPolicyWarns: what is allowed and probably not meant.
func TestPolicyWarns(t *testing.T) {
	for _, tt := range []struct {
		change func(*rules.Policy)
		mode   string
		want   string
	}{
		{func(*rules.Policy) {}, "observe", "no CA is rotated until it is act"},
		{func(p *rules.Policy) { p.MaxActive = 50 }, "act", "is never reached"},
		{func(p *rules.Policy) { p.MaxCAAge = 365 * 24 * time.Hour }, "act", "No WAVES"},
		{func(p *rules.Policy) { p.Soak = 5 * 24 * time.Hour }, "act", "SOAK=5d leaves little"},
		{func(p *rules.Policy) { p.Compromised = &fleet.Selector{} }, "act",
			"COMPROMISED without ROTATE_ISSUED_BEFORE"},
		{func(p *rules.Policy) {
			if err := p.Freezes.UnmarshalText([]byte("2026-01-01/2028-12-31")); err != nil {
				t.Fatal(err)
			}
		}, "act", "COMPLETE_WINDOW never opens outside FREEZES"},
	} {
		p := testPolicy()
		tt.change(p)
		var b bytes.Buffer
		if err := Policy(&b, p, nil, now, Options{Width: 160, Mode: tt.mode}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), tt.want) {
			t.Errorf("no word of %q:\n%s", tt.want, b.String())
		}
	}
}

// TestWideCharacters: names and words of people in wide characters take the
// columns that they take on a terminal, so that everything beside them lines up.
func TestWideCharacters(t *testing.T) {
	res := testResult()
	for i, name := range []string{"日本", "東京-cluster", "plain"} {
		d := decision("ml-prod/asia-northeast1/"+name, ca("7", "2022-01-18", "2027-01-17"), policy.Wait,
			reason.Held, "held by 田中: 大阪の移行が終わるまで待ってください、お願いします")
		if i == 2 {
			d.Message = said("held by kim")
		}
		res.Decisions = append(res.Decisions, d)
	}
	var b bytes.Buffer
	if err := Plan(&b, view.PlanOf(res, testPolicy()), Options{Width: 120}); err != nil {
		t.Fatal(err)
	}
	rows, at := 0, 0
	for line := range strings.Lines(b.String()) {
		line = strings.TrimRight(line, "\n")
		if before, ok := strings.CutSuffix(line, " held"); ok && strings.Contains(line, "asia-northeast1") {
			rows++
			text, _, _ := strings.Cut(before, "held by")
			if at = cmp.Or(at, words.Cells(text)); words.Cells(line) != 120 || words.Cells(text) != at {
				t.Errorf("its sentence begins at column %d and its code ends at %d: %s", words.Cells(text),
					words.Cells(line), line)
			}
		}
		if words.Cells(line) > 120 && !strings.Contains(line, "→ rotator") { // a command stays in one piece
			t.Errorf("too wide: %s", line)
		}
	}
	if rows != 3 {
		t.Errorf("%d rows:\n%s", rows, b.String())
	}
}
