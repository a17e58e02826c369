package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/state/emulator"
)

// books are the stores that the whole job is played over: the settings that
// name a new book in each.
func books(t *testing.T, play func(t *testing.T, settings []string)) {
	t.Run("file", func(t *testing.T) {
		t.Parallel() // much of it is waiting
		play(t, []string{"ROTATOR_STATE=file:" + filepath.Join(t.TempDir(), "book.db")})
	})
	t.Run("firestore", func(t *testing.T) {
		t.Parallel()
		host := emulator.Start(t)
		play(t, []string{emulator.EnvHost + "=" + host, "ROTATOR_STATE=firestore://demo-whole/book-" + randomID()[:12]})
	})
}

// monday is when the stories begin.
var monday = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// member is one cluster of the test's fleet, and its calendar in plain
// arithmetic, which shares nothing with the program's: open says whether nodes
// may be worked on at the time.
type member struct {
	project, location, name string
	shape                   func(*containerpb.Cluster)
	open                    func(time.Time) bool
}

func (m member) path() string {
	return "projects/" + m.project + "/locations/" + m.location + "/clusters/" + m.name
}

func (m member) String() string { return m.project + "/" + m.location + "/" + m.name }

// cluster is the member as the API shows it; its CA ends n days after the
// others'.
func (m member) cluster(n int) *containerpb.Cluster {
	issued := time.Date(2022, 3, 15+n, 0, 0, 0, 0, time.UTC)
	ca := gkesim.IssueCA(7, m.String(), issued, issued.AddDate(5, 0, 0))
	c := &containerpb.Cluster{
		Name: m.name, Location: m.location, Id: fmt.Sprintf("id-%d", n), Status: containerpb.Cluster_RUNNING, Endpoint: "34.1.2.3",
		SelfLink:             "https://container.googleapis.com/v1/" + m.path(),
		CurrentMasterVersion: "1.33.5-gke.1080000", Locations: []string{m.location},
		MasterAuth: &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(ca))},
	}
	for _, pool := range []string{"web", "batch"} {
		c.NodePools = append(c.NodePools, &containerpb.NodePool{
			Name: pool, InitialNodeCount: 2, Version: c.CurrentMasterVersion, Status: containerpb.NodePool_RUNNING, Etag: "etag-" + pool,
			Config: &containerpb.NodeConfig{ImageType: "COS_CONTAINERD"}, UpgradeSettings: &containerpb.NodePool_UpgradeSettings{MaxSurge: 1},
		})
	}
	if m.shape != nil {
		m.shape(c)
	}
	return c
}

func fleetOf(members []member) []*containerpb.Cluster {
	var out []*containerpb.Cluster
	for n, m := range members {
		out = append(out, m.cluster(n))
	}
	return out
}

func always(time.Time) bool { return true }

// nightly is the four hours from 02:00 UTC on some weekdays; none is all.
func nightly(days ...time.Weekday) func(time.Time) bool {
	return func(t time.Time) bool {
		ok := len(days) == 0
		for _, d := range days {
			ok = ok || t.Weekday() == d
		}
		return ok && t.Hour() >= 2 && t.Hour() < 6
	}
}

func policyOf(c *containerpb.Cluster) *containerpb.MaintenanceWindow {
	if c.MaintenancePolicy == nil {
		c.MaintenancePolicy = &containerpb.MaintenancePolicy{Window: &containerpb.MaintenanceWindow{}}
	}
	return c.MaintenancePolicy.Window
}

func dailyAt2(c *containerpb.Cluster) {
	policyOf(c).Policy = &containerpb.MaintenanceWindow_DailyMaintenanceWindow{
		DailyMaintenanceWindow: &containerpb.DailyMaintenanceWindow{StartTime: "02:00", Duration: "PT4H0M0S"},
	}
}

// recurring4h is a recurring window of four hours from that one on.
func recurring4h(hour int, rule string) func(*containerpb.Cluster) {
	return func(c *containerpb.Cluster) {
		from := time.Date(2026, 1, 3, hour, 0, 0, 0, time.UTC) // a Saturday
		policyOf(c).Policy = &containerpb.MaintenanceWindow_RecurringWindow{RecurringWindow: &containerpb.RecurringTimeWindow{
			Recurrence: rule,
			Window:     &containerpb.TimeWindow{StartTime: timestamppb.New(from), EndTime: timestamppb.New(from.Add(4 * time.Hour))},
		}}
	}
}

var december = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

func closedInNovember(c *containerpb.Cluster) {
	policyOf(c).MaintenanceExclusions = map[string]*containerpb.TimeWindow{
		"sale": {StartTime: timestamppb.New(monday.AddDate(0, 0, -3)), EndTime: timestamppb.New(december)},
	}
}

func blueGreen(c *containerpb.Cluster) {
	c.NodePools[1].UpgradeSettings = &containerpb.NodePool_UpgradeSettings{
		Strategy:          containerpb.NodePoolUpdateStrategy_BLUE_GREEN.Enum(),
		BlueGreenSettings: &containerpb.BlueGreenSettings{NodePoolSoakDuration: durationpb.New(time.Hour)},
	}
}

func autopilot(c *containerpb.Cluster) { c.Autopilot = &containerpb.Autopilot{Enabled: true} }

// twelve is the fleet of the long story: three clusters in each project.
var twelve = []member{
	{"shop", "europe-west1", "catalog", nil, always},
	{"shop", "europe-west1", "checkout", recurring4h(2, "FREQ=WEEKLY;BYDAY=SA,SU"), nightly(time.Saturday, time.Sunday)},
	{"shop", "us-east4", "search", dailyAt2, nightly()},
	{"bank", "europe-west3", "orders", dailyAt2, nightly()},
	{"bank", "europe-west3-a", "ledger", recurring4h(2, "FREQ=WEEKLY;BYDAY=SA"), nightly(time.Saturday)},
	{"bank", "europe-west3-b", "audit", nil, always},
	{"ml", "europe-west4", "serve", autopilot, always},
	{"ml", "us-central1-a", "train", blueGreen, always},
	{"ml", "us-central1", "sale", closedInNovember, func(t time.Time) bool { return !t.Before(december) }},
	{"dev", "asia-east1", "one", recurring4h(2, "FREQ=WEEKLY;BYDAY=TU,TH"), nightly(time.Tuesday, time.Thursday)},
	{"dev", "asia-east1", "two", recurring4h(22, "FREQ=DAILY"), func(t time.Time) bool { return t.Hour() >= 22 || t.Hour() < 2 }},
	{"dev", "asia-east1-a", "three", nil, always},
}

// settings are those of every story here.
func settings(address string) []string {
	return []string{
		"ROTATOR_ENV=whole", "ROTATOR_PROJECTS=shop,bank,ml,dev", "ROTATOR_MODE=act",
		"ROTATOR_GKE_ENDPOINT=" + address, "ROTATOR_SOAK=48h",
	}
}

// planned is what plan says that the story needs.
type planned struct {
	Clusters []struct {
		Cluster, Phase, Action, Reason string
		CAIssued, NextChangeAt         time.Time
	}
}

func (p *program) plan(t *testing.T, now time.Time) planned {
	t.Helper()
	text, _ := p.run(t, "plan", "--at", now.Format(time.RFC3339), "--format", "json")
	var out planned
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// next is the hour of the next run worth making: the next one while operations
// run, else the one in which the plan may change.
func (pl planned) next(now time.Time) time.Time {
	at := now.Add(24 * time.Hour)
	for _, c := range pl.Clusters {
		if c.Phase != "" && c.Phase != "updating-clients" {
			return now.Add(time.Hour)
		}
		if change := c.NextChangeAt.Add(time.Hour - time.Second).Truncate(time.Hour); change.After(now) && change.Before(at) {
			at = change
		}
	}
	return at
}

// verified counts the clusters that have a CA of the story's own and no
// rotation any more.
func (pl planned) verified() int {
	n := 0
	for _, c := range pl.Clusters {
		if c.Phase == "" && c.CAIssued.After(monday.AddDate(0, 0, -1)) {
			n++
		}
	}
	return n
}

// TestTwelve plays twelve clusters from due to verified, every run a process
// of its own, over the served simulator.
func TestTwelve(t *testing.T) {
	t.Parallel()
	rotator := build(t)
	books(t, func(t *testing.T, book []string) {
		gke := rotator.simulator(t, monday, fleetOf(twelve))
		rotator := rotator.with(settings(gke.address)...).with(book...)
		rotator.looksOnly(t, gke)
		now, runs := monday, 0
		for pl := rotator.plan(t, now); pl.verified() < len(twelve); {
			if runs >= 150 {
				t.Fatalf("after %d runs, on %s, %d are verified: %+v", runs, now, pl.verified(), pl)
			}
			rotator.run(t, "run", "--at", now.Format(time.RFC3339))
			runs++
			sent := len(gke.journal(t))
			pl = rotator.plan(t, now)
			if after := len(gke.journal(t)); after != sent {
				t.Fatalf("plan sent %d requests", after-sent)
			}
			now = pl.next(now)
			gke.clock(t, now)
		}
		t.Logf("%d clusters verified in %d runs, until %s", len(twelve), runs, now.Format(time.DateTime))
		judge(t, twelve, gke.journal(t))
		rotator.remembers(t, twelve[1], now)
	})
}

// remembers: the finished rotation of a cluster is told by status, phase by
// phase.
func (p *program) remembers(t *testing.T, m member, now time.Time) {
	t.Helper()
	at := now.Format(time.RFC3339)
	text, _ := p.run(t, "status", m.String(), "--at", at)
	t.Logf("status %s\n%s", m, text)
	text, _ = p.run(t, "status", m.String(), "--at", at, "--format", "json")
	var status struct {
		InFlight any
		History  []struct {
			ClosedAs, CompletedBy string
			Rotation              struct{ Transitions []struct{ Phase string } }
		}
	}
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatal(err)
	}
	if status.InFlight != nil || len(status.History) != 1 || status.History[0].ClosedAs != "completed" || status.History[0].CompletedBy != "us" {
		t.Fatalf("%s", text)
	}
	var phases []string
	for _, tr := range status.History[0].Rotation.Transitions {
		phases = append(phases, tr.Phase)
	}
	if got := strings.Join(phases, " "); got != "starting recreating-nodes updating-clients completing verifying" {
		t.Errorf("%s went through %s", m, got)
	}
}

// looksOnly: plan and observe send nothing that would change a cluster.
func (p *program) looksOnly(t *testing.T, gke simulator) {
	t.Helper()
	at := monday.Format(time.RFC3339)
	p.run(t, "plan", "--at", at)
	observe := p.with("ROTATOR_MODE=observe", "ROTATOR_STATE=file:"+filepath.Join(t.TempDir(), "observed.db"))
	observe.run(t, "plan", "--at", at)
	observe.run(t, "run", "--at", at)
	if entries := gke.journal(t); len(entries) != 0 {
		t.Fatalf("plan and observe sent %+v", entries)
	}
}

// judge reads the journal by itself: each cluster was started once and
// completed once, in that order, nodes and starts in its own window, and
// completions when people are awake.
func judge(t *testing.T, members []member, journal []gkesim.Entry) {
	t.Helper()
	const room = 17 * time.Minute
	sent := map[string][]string{}
	known := map[string]member{}
	for _, m := range members {
		known[m.path()] = m
	}
	for _, e := range journal {
		m, at := known[e.Cluster], e.At.UTC()
		var inside bool
		switch e.Method {
		case "StartIPRotation":
			inside = m.open(at) && m.open(at.Add(room))
		case "CompleteIPRotation":
			day := at.Weekday()
			inside = day >= time.Monday && day <= time.Thursday && at.Hour() >= 9 && at.Add(room).Hour() < 15
		default:
			inside = m.open(at)
			e.Method = "" // of nodes there may be many
		}
		if !inside {
			t.Errorf("%s %s at %s is outside its window", e.Method, m, at.Format("Mon 2006-01-02 15:04"))
		}
		if e.Method != "" {
			sent[e.Cluster] = append(sent[e.Cluster], fmt.Sprint(e.Method, " ", e.Accepted))
		}
	}
	for _, m := range members {
		if got := strings.Join(sent[m.path()], ", "); got != "StartIPRotation true, CompleteIPRotation true" {
			t.Errorf("%s was sent %s", m, got)
		}
	}
}
