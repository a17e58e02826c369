package sim_test

import (
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/encoding/protojson"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// withPolicies gives one cluster for each recorded maintenance policy, named
// after its file, with a CA that is due by age.
func withPolicies(t *testing.T) map[string]*containerpb.Cluster {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(fixtures(t, "maintenance"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded policies: %v", err)
	}
	out := map[string]*containerpb.Cluster{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p := &containerpb.MaintenancePolicy{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, p); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		ca := gkesim.IssueCA(1, name, time.Date(2022, 3, 1, 0, 0, 0, 0, time.UTC),
			time.Date(2052, 3, 1, 0, 0, 0, 0, time.UTC))
		c := &containerpb.Cluster{
			Name: name, Location: "europe-west1-b", Id: name, Status: containerpb.Cluster_RUNNING,
			CurrentMasterVersion: "1.33.5-gke.1080000",
			MasterAuth:           &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(ca))},
			MaintenancePolicy:    p,
		}
		for _, pool := range []string{"web", "batch"} {
			c.NodePools = append(c.NodePools, &containerpb.NodePool{Name: pool, InitialNodeCount: 2,
				Version: c.CurrentMasterVersion, Status: containerpb.NodePool_RUNNING})
		}
		out[name] = c
	}
	return out
}

// TestRecordedPolicies plays each recorded maintenance policy on a cluster that
// is due: it is rotated, and every piece of work begins inside its windows by
// a reading of the policy that shares no code with ours, or nothing is sent
// and the reason is there.
func TestRecordedPolicies(t *testing.T) {
	clusters := withPolicies(t)
	from := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	w := gkesim.New(gkesim.Options{Seed: 1, Now: from, ForgetOperations: -1})
	for _, c := range clusters {
		if err := w.Add("p", c); err != nil {
			t.Fatal(err)
		}
	}
	story, err := sim.Play(context.Background(), sim.Setup{Policy: byAge(t, w), World: w, From: from, Days: 50,
		Every: time.Hour, Seed: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table(story))
	ops := operations(t, w)
	journal := w.Journal()
	for _, c := range story.Clusters {
		read := naive{clusters[c.Cluster.Name].GetMaintenancePolicy()}
		mine := slices.DeleteFunc(slices.Clone(journal),
			func(e gkesim.Entry) bool { return !strings.HasSuffix(e.Cluster, "/"+c.Cluster.Name) })
		open, opens := read.opensWithin(from, story.To)
		switch {
		case c.Outcome == sim.Verified:
			read.checkWork(t, c, mine, ops[c.Cluster])
		case len(mine) > 0:
			t.Errorf("%s: %s (%s), although %d requests were sent", c.Cluster, c.Outcome, c.Message, len(mine))
		case len(c.Message) == 0 || c.Reason == "":
			t.Errorf("%s: %s without a reason", c.Cluster, c.Outcome)
		case opens && open >= 4*time.Hour:
			t.Errorf("%s: %s (%s), although its windows open for %s", c.Cluster, c.Outcome, c.Message, open)
		}
		if c.Outcome != sim.Verified && c.Outcome != sim.NeedsAction {
			t.Errorf("%s: %s (%s) after 50 days: nobody is told", c.Cluster, c.Outcome, c.Message)
		}
	}
}

func operations(t *testing.T, w *gkesim.World) map[fleet.Ref][]fleet.Operation {
	t.Helper()
	opts, stop, err := w.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	cloud, err := gke.Dial(context.Background(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	ops, err := cloud.Operations(context.Background(), "p")
	if err != nil {
		t.Fatal(err)
	}
	return ops
}

// checkWork: starts and node calls of ours have room in an open window; GKE's
// own node work begins and ends in one.
func (n naive) checkWork(t *testing.T, c sim.Chapter, journal []gkesim.Entry, ops []fleet.Operation) {
	t.Helper()
	sent := map[time.Time]bool{}
	for _, e := range journal {
		sent[e.At] = true
		if e.Method == "CompleteIPRotation" {
			continue // obeys COMPLETE_WINDOW alone
		}
		for _, at := range []time.Time{e.At, e.At.Add(record.Room - time.Second)} {
			if !n.open(at) {
				t.Errorf("%s: %s was sent %s, but its policy is closed at %s", c.Cluster, e.Method, e.At, at)
			}
		}
	}
	pools := map[string]bool{}
	for _, op := range ops {
		if op.Type != fleet.OpUpgradeNodes {
			continue
		}
		pools[op.Pool] = true
		if !n.open(op.Start) || (!sent[op.Start] && !n.open(op.End.Add(-time.Second))) {
			t.Errorf("%s: pool %s was recreated from %s until %s, outside its windows", c.Cluster, op.Pool, op.Start,
				op.End)
		}
	}
	if len(pools) != 2 {
		t.Errorf("%s: verified with %d of 2 pools recreated", c.Cluster, len(pools))
	}
}

// naive reads a maintenance policy day by day, as a person would.
type naive struct {
	p *containerpb.MaintenancePolicy
}

// opensWithin sums up the open time between two times, in steps of half an hour.
func (n naive) opensWithin(from, to time.Time) (sum time.Duration, any bool) {
	for at := from; at.Before(to); at = at.Add(30 * time.Minute) {
		if n.open(at) {
			sum += 30 * time.Minute
		}
	}
	return sum, sum > 0
}

func (n naive) open(t time.Time) bool {
	w := n.p.GetWindow()
	for _, e := range w.GetMaintenanceExclusions() {
		o := e.GetMaintenanceExclusionOptions()
		blocks := o.GetScope() != containerpb.MaintenanceExclusionOptions_NO_MINOR_UPGRADES
		endless := o.GetEndTimeBehavior() == containerpb.MaintenanceExclusionOptions_UNTIL_END_OF_SUPPORT
		if blocks && !t.Before(e.GetStartTime().AsTime()) && (endless || t.Before(e.GetEndTime().AsTime())) {
			return false
		}
	}
	if d := w.GetDailyMaintenanceWindow(); d != nil {
		hour, minute := number(d.GetStartTime()[:2]), number(d.GetStartTime()[3:])
		begin := time.Date(t.Year(), t.Month(), t.Day(), hour, minute, 0, 0, time.UTC)
		in := func(b time.Time) bool { return !t.Before(b) && t.Before(b.Add(4*time.Hour)) }
		return in(begin) || in(begin.Add(-day))
	}
	r := w.GetRecurringWindow()
	if r == nil {
		return true
	}
	first, length := r.GetWindow().GetStartTime().AsTime(),
		r.GetWindow().GetEndTime().AsTime().Sub(r.GetWindow().GetStartTime().AsTime())
	rule := parts(r.GetRecurrence())
	// Every day on which an occurrence may begin that still lasts at t.
	for d := t.Add(-length - day); !d.After(t.Add(day)); d = d.Add(day) {
		begin := time.Date(d.Year(), d.Month(), d.Day(), first.Hour(), first.Minute(), first.Second(), 0, time.UTC)
		if begin.Before(first) || t.Before(begin) || !t.Before(begin.Add(length)) || !falls(rule, first, begin) {
			continue
		}
		return true
	}
	return false
}

var ordinalDay = regexp.MustCompile(`^([0-9]*)([A-Z]{2})$`)

// falls says whether the rule has an occurrence on that day.
func falls(rule map[string]string, first, at time.Time) bool {
	if until := rule["UNTIL"]; until != "" {
		end, err := time.Parse("20060102T150405Z", until)
		if err != nil || at.After(end) {
			return false
		}
	}
	if days := rule["BYDAY"]; days != "" {
		good := false
		for _, d := range strings.Split(days, ",") {
			m := ordinalDay.FindStringSubmatch(d)
			named := strings.ToUpper(at.Weekday().String()[:2]) == m[2]
			good = good || (named && (m[1] == "" || number(m[1]) == (at.Day()-1)/7+1))
		}
		if !good {
			return false
		}
	}
	if d := rule["BYMONTHDAY"]; d != "" && number(d) != at.Day() {
		return false
	}
	if rule["FREQ"] == "MONTHLY" && rule["INTERVAL"] != "" {
		months := (at.Year()-first.Year())*12 + int(at.Month()-first.Month())
		return months%number(rule["INTERVAL"]) == 0
	}
	return true
}

func parts(rule string) map[string]string {
	out := map[string]string{}
	for _, p := range strings.Split(rule, ";") {
		k, v, _ := strings.Cut(p, "=")
		out[k] = v
	}
	return out
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
