package terminal

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a picture with its file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s changed (go test ./job/view/terminal -update writes it anew, then look at it):\n%s", path, d)
	}
}

var now = at("2026-11-21T14:05:00Z")

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func ca(letter string, issued, expires string) fleet.CA {
	return fleet.CA{Fingerprint: fleet.Fingerprint(strings.Repeat(letter, 64)[:64]),
		Issued: at(issued + "T00:00:00Z"), Expires: at(expires + "T00:00:00Z")}
}

func ref(s string) fleet.Ref {
	r, err := fleet.ParseRef(s)
	if err != nil {
		panic(err)
	}
	return r
}

func weeklyOf(s string) window.Weekly {
	w, err := window.ParseWeekly(s)
	if err != nil {
		panic(err)
	}
	return w
}

// testPolicy is the defaults for three projects.
func testPolicy() *rules.Policy {
	return &rules.Policy{
		Env: "prod", Projects: []string{"shop-dev", "shop-prod", "ml-prod", "data-prod"},
		RotateBeforeExpiry: 180 * 24 * time.Hour, EmergencyBeforeExpiry: 45 * 24 * time.Hour,
		EmergencyMaxActive: 10,
		SoakCompromised:    4 * time.Hour, CompromisedMaxActive: 20,
		CompleteWindow: weeklyOf("Mon-Thu 09:00-15:00"),
		ZonalComplete:  rules.ZonalPeople, OwnerLabels: rules.OwnerLabelsHold,
		Soak: 72 * time.Hour, Approval: rules.ApproveNone, Nodes: rules.NodesAuto, NodeGrace: time.Hour,
		NodeTime: 10 * time.Minute, NodeOverrun: 2 * time.Hour, Fit: rules.FitBind,
		Adopt: rules.AdoptWatch, MaxActive: 5, MaxActivePerProject: 2, WaveSoak: 72 * time.Hour, MaxFailed: 1,
		StuckAfter: 24 * time.Hour, Every: time.Hour,
	}
}

// decision makes a decision about an idle cluster.
func decision(name string, old fleet.CA, action policy.Action, reason reason.Code,
	message string) policy.Decision {
	d := policy.Decision{
		Cluster: fleet.Cluster{Ref: ref(name), ID: "id-" + name, Status: fleet.Running,
			Bundle: fleet.Bundle{CAs: []fleet.CA{old}}, Seen: now},
		Action: action, Reason: reason, Message: said(message),
		Due: rules.Due{At: old.Expires.Add(-180 * 24 * time.Hour),
			Deadline: old.Expires.Add(-rules.DeadlineBefore), Why: "CA expires " + words.Day(old.Expires)},
	}
	d.Due.Is = !now.Before(d.Due.At)
	d.WindowOpen, d.NextWindow = true, &window.Span{Start: now, End: window.Forever}
	return d
}

// said makes facts of a sentence as the rules write it.
func said(text string) fact.Text {
	var out fact.Text
	if what, until, ok := strings.Cut(text, " blocks node work until "); ok {
		return fact.Say(what).Tailf(" blocks node work").Tailf(" until %v", timeOf(until))
	}
	add := out.Tailf
	if !strings.HasPrefix(text, "nodes ") {
		add = fact.Sayf
	}
	for {
		m := facts.FindStringSubmatchIndex(text)
		if m == nil {
			out = add("%v%s", out, text)
			return out
		}
		out = add("%v%s", out, text[:m[0]])
		switch group := func(i int) string { return text[max(m[2*i], 0):max(m[2*i+1], 0)] }; {
		case group(1) != "":
			out = out.Tailf("%s%v", group(1), timeOf(group(2)))
			return out.Tailf("%s", text[m[1]:])
		case group(2) != "":
			out = add("%v%v", out, timeOf(group(2)))
		case group(3) != "":
			out = add("%v%v", out, fact.Set(group(3), ""))
		default:
			out = add("%v taken by %v", out, fact.Cluster(group(4)))
		}
		text = text[m[1]:]
	}
}

var facts = regexp.MustCompile(`( opens | until )?(\b\w{3} \d{4}-\d\d-\d\d \d\d:\d\d)|\b([A-Z]+(?:_[A-Z]+)*)=| taken by (\S+)`)

func timeOf(text string) time.Time {
	t, err := time.Parse("Mon 2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

func closedBy(gate string, reason reason.Code, message string, opens time.Time) policy.Verdict {
	return policy.Verdict{Gate: gate, Reason: reason, Message: said(message), OpensAt: opens, Changes: opens}
}

func open(gate, message string, until time.Time) policy.Verdict {
	return policy.Verdict{Gate: gate, Open: true, Reason: reason.GateOpen, Message: said(message),
		Changes: until}
}

// testRotation is a rotation that recreates nodes since yesterday.
func testRotation() record.Rotation {
	return record.Rotation{
		Cluster: ref("shop-prod/us-central1/catalog"), ClusterID: "id-catalog", AttemptID: "a1b2", AttemptNo: 1,
		Origin: record.Ours, Managed: true,
		Baseline: record.Baseline{CA: ca("c", "2022-03-12", "2027-03-11"), Endpoint: "34.90.1.7",
			Status: fleet.Running},
		New: ca("9", "2026-11-20", "2056-11-12"), Phase: record.RecreatingNodes,
		Transitions: []record.Transition{
			{Phase: record.Starting, At: at("2026-11-20T02:00:00Z"), Run: "rotator-x7k2p", Reason: reason.IsDue},
			{Phase: record.RecreatingNodes, At: at("2026-11-20T03:00:00Z"), Run: "rotator-y8l3q",
				Reason: reason.BothCAs},
		},
		StartOp: record.Work{Operation: "operation-1763604000-ab12", StartedAt: at("2026-11-20T02:00:10Z"),
			EndedAt: at("2026-11-20T02:43:00Z")},
		PoolsSeen: []string{"pool-a", "pool-b"},
		Pools: map[string]record.Work{
			"pool-a": {Operation: "operation-1763617200-cd34", StartedAt: at("2026-11-20T04:00:00Z"),
				EndedAt: at("2026-11-20T05:40:00Z")},
		},
		HandedOverAt: at("2026-11-20T03:00:00Z"), LastRead: now, Reason: reason.WindowClosed,
	}
}

// testResult is a plan with something in every section.
func testResult() pass.Result {
	legacy := decision("shop-prod/europe-west1/legacy", ca("a", "2021-11-08", "2026-11-08"), policy.NeedsAction,
		reason.CAExpired, "CA expired 2026-11-08")
	approval := decision("shop-prod/us-east4/search", ca("0", "2022-04-06", "2027-04-05"), policy.NeedsAction,
		reason.ApprovalNeeded, "APPROVAL=start: nobody has approved this start")
	dev := decision("shop-dev/europe-west1-b/dev-1", ca("3", "2022-01-03", "2027-01-03"), policy.Start,
		reason.IsDue, "CA expires 2027-01-03; emergency, not awaited: window; emergency slot 1 of 10")
	dev.Emergency = true
	dev.Gates = []policy.Verdict{
		open("due", "CA expires 2027-01-03", time.Time{}),
		{Gate: "window", Lifted: true, Reason: reason.WindowClosed,
			Message: said("window monthly opens Sun 2026-12-20 01:00"), OpensAt: at("2026-12-20T01:00:00Z")},
		open("slot", "emergency slot 1 of 10", time.Time{}),
	}
	serve := decision("ml-prod/europe-west4/serve", ca("7", "2022-01-18", "2027-01-17"), policy.Start,
		reason.IsDue, "CA expires 2027-01-17; slot 2 of 5")
	serve.Gates = []policy.Verdict{open("window", "window daily 12:00-16:00 UTC", at("2026-11-21T15:43:00Z")),
		open("slot", "slot 2 of 5", time.Time{})}
	catalog := decision("shop-prod/us-central1/catalog", ca("c", "2022-03-12", "2027-03-11"), policy.Wait,
		reason.WindowClosed, "nodes 1 of 2; window daily 02:00-06:00 UTC opens Sun 2026-11-22 02:00")
	r := testRotation()
	catalog.Rotation, catalog.Phase = &r, r.Phase
	catalog.Cluster.Endpoint = "34.90.8.2"
	catalog.Cluster.Bundle.CAs = append(catalog.Cluster.Bundle.CAs, r.New)
	catalog.Gates = []policy.Verdict{closedBy("pool-b: window", reason.WindowClosed,
		"window daily 02:00-06:00 UTC opens Sun 2026-11-22 02:00", at("2026-11-22T02:00:00Z"))}
	catalog.NextChange = at("2026-11-22T02:00:00Z")
	checkout := decision("shop-prod/europe-west1/checkout", ca("e", "2022-02-10", "2027-02-09"), policy.Wait,
		reason.WindowClosed,
		"window Sat,Sun 02:00-06:00 UTC opens Sun 2026-11-22 02:00")
	checkout.Cluster.Maintenance = window.Maintenance{Window: weeklyOf("Sat,Sun 02:00-06:00"),
		Text: "Sat,Sun 02:00-06:00 UTC"}
	checkout.WindowOpen, checkout.NextWindow = false, &window.Span{Start: at("2026-11-22T02:00:00Z"),
		End: at("2026-11-22T06:00:00Z")}
	checkout.NextChange = at("2026-11-22T02:00:00Z")
	checkout.Gates = []policy.Verdict{
		open("selected", "", time.Time{}), open("due", "CA expires 2027-02-09", time.Time{}),
		closedBy("window", reason.WindowClosed, checkout.Message.String(), at("2026-11-22T02:00:00Z")),
		open("freeze", "no freeze", time.Time{}),
		closedBy("slot", reason.BudgetProject, "2 of MAX_ACTIVE_PER_PROJECT=2 taken by catalog, payments",
			time.Time{}),
	}
	train := decision("ml-prod/us-central1-a/train", ca("6", "2022-02-20", "2027-02-19"), policy.Wait,
		reason.Excluded, `exclusion "black-friday" blocks node work until Tue 2026-12-01 00:00`)
	train.WindowOpen, train.NextWindow = false, nil
	train.Gates = []policy.Verdict{closedBy("exclusion", reason.Excluded, train.Message.String(),
		at("2026-12-01T00:00:00Z"))}
	bothStores := decision("ml-prod/europe-west4/notebooks", ca("d", "2024-07-10", "2054-07-03"), policy.None,
		reason.NotDue, "not due before 2054-01-04")
	other := decision("ml-prod/europe-west4/other", ca("f", "2024-07-10", "2054-07-03"), policy.None,
		reason.NotSelected, "its labels do not match SELECTOR env=prod")
	ds := []policy.Decision{bothStores, other, serve, train, dev, checkout, legacy, catalog, approval}
	f := policy.Fleet{
		Contents: record.Contents{Known: true, Rotations: map[fleet.Ref]record.Rotation{r.Cluster: r},
			Fleet: testDoc()},
		Unread: []fleet.Unread{{Project: "data-prod",
			Reason: "403 container.clusters.list denied to rotator@ops"}},
	}
	for _, d := range ds {
		f.Clusters = append(f.Clusters, d.Cluster)
	}
	return pass.Result{At: now, Fleet: f, Decisions: ds}
}

func testDoc() record.FleetDoc {
	return record.FleetDoc{
		Env: "prod",
		Slots: map[string]record.Slot{"shop-prod/us-central1/catalog": {Attempt: "a1b2",
			Since: at("2026-11-20T02:00:00Z")}},
		Holds: []record.Hold{
			{ID: "3f2a", Target: record.TheCluster(ref("ml-prod/us-central1-a/train")),
				Until: at("2026-12-05T00:00:00Z"),
				Said:  record.Said{By: "kim", Reason: "training run", At: at("2026-11-19T10:00:00Z")}},
			{ID: "77c1", Target: record.TheCluster(ref("shop-dev/europe-west1-b/dev-1")),
				Until: at("2026-11-01T00:00:00Z"),
				Said:  record.Said{By: "over", At: at("2026-10-19T10:00:00Z")}},
		},
		Requests: []record.Request{{Kind: record.RequestRotate, Cluster: ref("ml-prod/europe-west4/notebooks"),
			Said: record.Said{By: "lee", At: at("2026-11-21T13:00:00Z")}}},
		Waves: map[string]record.WaveNotes{"env=dev": {{At: at("2026-11-15T11:00:00Z")}}},
		Failures: []record.Failure{{Cluster: ref("shop-prod/us-east1/payments"), Attempt: "old",
			What: reason.TriesExhausted, At: at("2026-11-18T04:00:00Z")}},
		Blocked: map[string]reason.Code{"shop-prod/europe-west1/legacy": reason.CAExpired},
		LastRun: record.RunNote{Run: "rotator-y8l3q", At: at("2026-11-21T13:00:00Z"), Mode: "act"},
	}
}

func testHistory() []record.Record {
	r := testRotation()
	r.AttemptNo, r.New = 0, r.Baseline.CA
	r.Baseline.CA = ca("b", "2017-03-12", "2022-03-12")
	return []record.Record{{Rotation: r, ClosedAs: record.CompletedWithFindings,
		ClosedAt: at("2026-11-21T01:00:00Z"), CompletedBy: "us",
		Findings: []string{"pool web ERROR, before RUNNING"}}}
}

// testStory is a small simulation: one rotated, one still on its way, one
// waiting, one not due, one for people.
func testStory() sim.Story {
	from := at("2026-11-23T00:00:00Z")
	hours := func(n int) time.Time { return from.Add(time.Duration(n) * time.Hour) }
	step := func(name string, n int, phase record.Phase, reason reason.Code, message string) sim.Change {
		return sim.Change{At: hours(n), Cluster: ref(name), Phase: phase, Reason: reason, Message: said(message)}
	}
	dev, catalog := "shop-dev/europe-west1-b/dev-1", "shop-prod/us-central1/catalog"
	changes := []sim.Change{
		step(dev, 0, record.Starting, reason.IsDue,
			"CA expires 2027-01-03; emergency, not awaited: window; emergency slot 1 of 10"),
		step(dev, 1, record.RecreatingNodes, reason.BothCAs,
			"old and new CA in place, endpoint 34.90.1.7 -> 34.90.8.2"),
		step(dev, 3, record.UpdatingClients, reason.NodesDone,
			"1 of 1 pools recreated; completion not before Thu 2026-11-26 01:00 (SOAK=3d)"),
		step(catalog, 2, record.Starting, reason.IsDue, "CA expires 2027-03-11"),
		step(dev, 81, record.Completing, reason.ReadyToComplete, ""),
		step(dev, 82, record.Verifying, reason.OneNewCA, ""),
		{At: hours(83), Cluster: ref(dev), Closed: record.Completed, Reason: reason.Verified,
			Message: said("The rotation is complete and verified.")},
		step(catalog, 90, record.RecreatingNodes, reason.BothCAs, ""),
	}
	changes[0].Gates = []policy.Verdict{{Gate: "window", Lifted: true},
		open("slot", "emergency slot 1 of 10", time.Time{})}
	return sim.Story{
		From: from, To: from.Add(5 * 24 * time.Hour), Every: time.Hour, Seed: 1, Runs: 121, Mutations: 4,
		MostInFlight: 2, MostSlots: 1, Changes: changes,
		Clusters: []sim.Chapter{
			{Cluster: ref("ml-prod/europe-west4/notebooks"), Outcome: sim.NotDue, Reason: reason.NotDue,
				Message: said("not due before 2054-01-04"), OldCA: ca("d", "2024-07-10", "2054-07-03")},
			{Cluster: ref(dev), Outcome: sim.Verified, Reason: reason.NotDue,
				Message: said("not due before 2056-05-19"), OldCA: ca("3", "2022-01-03", "2027-01-03"),
				NewCA: ca("b", "2026-11-23", "2056-11-15"), Due: from,
				Entered: map[record.Phase]time.Time{record.Starting: hours(0), record.RecreatingNodes: hours(1),
					record.UpdatingClients: hours(3), record.Completing: hours(81), record.Verifying: hours(82)},
				Closed: hours(83), Waited: []sim.Wait{{Gate: "soak", Reason: reason.SoakRuns,
					Message: said("SOAK=3d until Thu 2026-11-26 01:00"), Time: 70 * time.Hour},
					{Gate: "pools", Reason: reason.NodesRunning, Time: 2 * time.Hour}}},
			{Cluster: ref("shop-prod/europe-west1/checkout"), Outcome: sim.Waiting, Reason: reason.WindowClosed,
				Message: said("window Sat,Sun 02:00-06:00 UTC opens Sat 2026-11-28 02:00"),
				OldCA:   ca("e", "2022-02-10", "2027-02-09"), Due: from,
				Waited: []sim.Wait{{Gate: "window", Reason: reason.WindowClosed, Time: 120 * time.Hour}}},
			{Cluster: ref("shop-prod/europe-west1/legacy"), Outcome: sim.NeedsAction, Reason: reason.CAExpired,
				Message: said("CA expired 2026-11-08"), OldCA: ca("a", "2021-11-08", "2026-11-08"), Due: from},
			{Cluster: ref(catalog), Outcome: sim.InFlight, Phase: record.RecreatingNodes, Reason: reason.WindowClosed,
				Message: said("nodes 1 of 2; window daily 02:00-06:00 UTC opens Sat 2026-11-28 02:00"),
				OldCA:   ca("c", "2022-03-12", "2027-03-11"), NewCA: ca("9", "2026-11-23", "2056-11-15"), Due: from,
				Entered: map[record.Phase]time.Time{record.Starting: hours(2), record.RecreatingNodes: hours(90)}},
		},
	}
}

// fleetStory repeats the story for a large fleet.
func fleetStory(n int) sim.Story {
	s := testStory()
	one := s
	s.Clusters, s.Changes = nil, nil
	for i := range n {
		rename := func(r fleet.Ref) fleet.Ref {
			return fleet.Ref{Project: r.Project, Location: r.Location, Name: fmt.Sprintf("%s-%05d", r.Name, i)}
		}
		for _, c := range one.Clusters {
			c.Cluster = rename(c.Cluster)
			s.Clusters = append(s.Clusters, c)
		}
		for _, c := range one.Changes {
			c.Cluster = rename(c.Cluster)
			s.Changes = append(s.Changes, c)
		}
	}
	return s
}

var ansi = regexp.MustCompile("\x1b\\[[0-9]*m")

// picture is one of the pictures for people.
type picture struct {
	name string
	draw func(*bytes.Buffer, Options) error
}

func pictures() []picture {
	res, p := testResult(), testPolicy()
	d := res.Decisions[7]
	return append(forecastPictures(), []picture{
		{"plan", func(w *bytes.Buffer, o Options) error { return Plan(w, view.PlanOf(res, p), o) }},
		{"explain", func(w *bytes.Buffer, o Options) error {
			return Explain(w, view.PlanOf(res, p), "checkout",
				o)
		}},
		{"status", func(w *bytes.Buffer, o Options) error {
			return Status(w, view.StatusOf(res.Fleet.Contents, nil, now, p), o)
		}},
		{"cluster", func(w *bytes.Buffer, o Options) error {
			return StatusCluster(w, view.StoryOf(res.Fleet.Contents, testHistory(), &d, d.Cluster.Ref, now, p), o)
		}},
		{"story", func(w *bytes.Buffer, o Options) error { return Story(w, view.PlayedOf(testStory(), p), o) }},
		{"fleet", func(w *bytes.Buffer, o Options) error { return Story(w, view.PlayedOf(fleetStory(20), p), o) }},
		{"policy", func(w *bytes.Buffer, o Options) error {
			return Policy(w, p, []view.Setting{{Name: "ENV", Value: "prod", Default: false},
				{Name: "MAX_CA_AGE", Value: "off", Default: true}, {Name: "WAVES", Value: "", Default: true}}, now, o)
		}},
	}...)
}
