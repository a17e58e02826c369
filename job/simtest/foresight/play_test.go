// Package foresight plays what the gates and dates promise: a rotation whose fit
// gate was open ends by us, a gate that is closed names a change with which it is
// open, and no date that people are told lies after the end that came.
package foresight

import (
	"encoding"
	"encoding/base64"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/notice"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

var debug = os.Getenv("DBG") != ""

const day = 24 * time.Hour

var clusters = flag.Int("clusters", 12, "how many random clusters to play")

var only = flag.Int("only", -1, "the one to play")

// begin is a Monday, at the minute at which the shipped schedule runs.
var begin = time.Date(2026, 11, 23, 0, 17, 0, 0, time.UTC)

func settle(tb testing.TB, into encoding.TextUnmarshaler, text string) {
	tb.Helper()
	if err := into.UnmarshalText([]byte(text)); err != nil {
		tb.Fatal(err)
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// shipped is the policy of the shipped settings.
func shipped(tb testing.TB) *rules.Policy {
	tb.Helper()
	p := &rules.Policy{
		Env: "sim", Projects: []string{"p"}, RotateBeforeExpiry: 180 * day, EmergencyBeforeExpiry: 45 * day,
		EmergencyMaxActive: 10, SoakCompromised: 4 * time.Hour, CompromisedMaxActive: 20,
		ZonalComplete: rules.ZonalPeople, Soak: 72 * time.Hour, Approval: rules.ApproveNone,
		Nodes: rules.NodesAuto, NodeGrace: time.Hour, NodeTime: 10 * time.Minute, NodeOverrun: 2 * time.Hour,
		Fit: rules.FitBind, Adopt: rules.AdoptWatch,
		MaxActive: 10, WaveSoak: 72 * time.Hour, MaxFailed: 100, StuckAfter: day, Every: time.Hour,
	}
	settle(tb, &p.CompleteWindow, "Mon-Thu 09:00-15:00")
	return p
}

// play is one random cluster under one random policy.
type play struct {
	policy  *rules.Policy
	cluster *containerpb.Cluster
	options gkesim.Options
}

func draw(tb testing.TB, seed int) play {
	r := rand.New(rand.NewPCG(uint64(seed), 5))
	p := shipped(tb)
	p.Nodes = pick(r, rules.NodesAuto, rules.NodesAuto, rules.NodesGKE)
	p.PoolsAtOnce = pick(r, 0, 0, 0, 1, 3, 10)
	p.NodeGrace = pick(r, 0, time.Hour, time.Hour, 3*time.Hour)
	p.Every = pick(r, time.Hour, time.Hour, 2*time.Hour, 6*time.Hour)
	p.Soak = pick(r, 72*time.Hour, day, 0)
	settle(tb, &p.CompleteWindow, pick(r, "Mon-Thu 09:00-15:00", "Mon-Thu 09:00-15:00", "always",
		"Tue 06:00-07:00"))
	settle(tb, &p.Window, pick(r, "always", "Sat 02:00-06:00"))
	if r.IntN(5) == 0 {
		settle(tb, &p.Freezes, fmt.Sprintf("2026-12-%02d/2026-12-%02d", 1+r.IntN(9), 10+r.IntN(9)))
	}
	o := gkesim.Options{Seed: int64(seed), Now: begin, NodeTakes: p.NodeTime, StartTakes: 15 * time.Minute}
	if p.Nodes == rules.NodesAuto && r.IntN(2) == 0 {
		o.GKEWaits = 30 * day // it leaves the nodes to us
	}
	return play{p, drawCluster(r, seed), o}
}

func drawCluster(r *rand.Rand, seed int) *containerpb.Cluster {
	ca := gkesim.IssueCA(int64(seed), "c", time.Date(2022, 4, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 4, 1,
		0, 0, 0, 0, time.UTC))
	c := &containerpb.Cluster{
		Name: "c", Location: "europe-west1-b", Locations: []string{"europe-west1-b"}, Id: "id",
		Endpoint: "34.1.2.3",
		Status:   containerpb.Cluster_RUNNING, CurrentMasterVersion: "1.33.5-gke.1080000",
		SelfLink:   "https://container.googleapis.com/v1/projects/p/locations/europe-west1-b/clusters/c",
		MasterAuth: &containerpb.MasterAuth{ClusterCaCertificate: base64.StdEncoding.EncodeToString([]byte(ca))},
	}
	if r.IntN(2) == 0 {
		c.Location, c.Locations = "europe-west1", []string{"europe-west1-b", "europe-west1-c",
			"europe-west1-d"}
		c.SelfLink = "https://container.googleapis.com/v1/projects/p/locations/europe-west1/clusters/c"
	}
	for i := range pick(r, 1, 1, 2, 3, 5, 8, 1+r.IntN(30)) {
		up := &containerpb.NodePool_UpgradeSettings{MaxSurge: int32(pick(r, 1, 1, 1, 2, 5))}
		if r.IntN(7) == 0 {
			strategy := containerpb.NodePoolUpdateStrategy_BLUE_GREEN
			up = &containerpb.NodePool_UpgradeSettings{Strategy: &strategy,
				BlueGreenSettings: &containerpb.BlueGreenSettings{
					NodePoolSoakDuration: durationpb.New(pick(r, time.Hour, 12*time.Hour, 4*day))}}
		}
		c.NodePools = append(c.NodePools, &containerpb.NodePool{
			Name: fmt.Sprintf("p%02d", i), InitialNodeCount: int32(pick(r, 1, 2, 5, 10, 20, 1+r.IntN(100))),
			Version: c.CurrentMasterVersion, Status: containerpb.NodePool_RUNNING, UpgradeSettings: up,
			Config: &containerpb.NodeConfig{ImageType: "COS_CONTAINERD"}, Etag: "e",
		})
	}
	window := &containerpb.MaintenanceWindow{}
	rule := pick(r, "", "FREQ=DAILY", "FREQ=WEEKLY;BYDAY=SA", "FREQ=WEEKLY;BYDAY=SA",
		"FREQ=WEEKLY;BYDAY=SA,SU", "FREQ=WEEKLY;BYDAY=TU,TH")
	if rule != "" {
		from := time.Date(2026, 1, 3, r.IntN(24), 0, 0, 0, time.UTC)
		window.Policy = &containerpb.MaintenanceWindow_RecurringWindow{RecurringWindow: &containerpb.RecurringTimeWindow{
			Recurrence: rule, Window: &containerpb.TimeWindow{StartTime: timestamppb.New(from),
				EndTime: timestamppb.New(from.Add(time.Duration(4+r.IntN(9)) * time.Hour))}}}
	}
	if r.IntN(5) == 0 {
		from := begin.Add(time.Duration(r.IntN(30)) * day)
		window.MaintenanceExclusions = map[string]*containerpb.TimeWindow{"quiet": {
			StartTime: timestamppb.New(from),
			EndTime:   timestamppb.New(from.Add(time.Duration(1+r.IntN(14)) * day)),
			Options: &containerpb.TimeWindow_MaintenanceExclusionOptions{MaintenanceExclusionOptions: &containerpb.MaintenanceExclusionOptions{
				Scope: pick(r, containerpb.MaintenanceExclusionOptions_NO_UPGRADES,
					containerpb.MaintenanceExclusionOptions_NO_MINOR_OR_NODE_UPGRADES)}}}}
	}
	c.MaintenancePolicy = &containerpb.MaintenancePolicy{Window: window}
	return c
}

// played is what came of it.
type played struct {
	started, told, ended time.Time // told: the latest date told for the end of the old credentials
	by                   string    // who completed it
	closed               policy.Verdict
	left                 bool // a pool was left to GKE
	broke                string
}

func (p play) run(tb testing.TB) (out played) {
	tb.Helper()
	w := gkesim.New(p.options)
	if err := w.Add("p", p.cluster); err != nil {
		tb.Fatal(err)
	}
	s := sim.Setup{Policy: p.policy, World: w, From: begin, Days: 45, Every: p.policy.Every,
		Seed: p.options.Seed}
	_, err := sim.Play(tb.Context(), s, func(res pass.Result) {
		for _, d := range res.Decisions {
			out.note(p.policy, d, res.At)
		}
	})
	if err != nil {
		out.broke = err.Error()
	}
	return out
}

func (out *played) note(p *rules.Policy, d policy.Decision, now time.Time) {
	if d.Rotation == nil {
		if !out.started.IsZero() {
			return
		}
		for _, v := range d.Gates {
			if v.Gate == policy.GateFit && !v.Open {
				out.closed = v
			}
		}
		return
	}
	for _, v := range d.Gates {
		out.left = out.left || v.Reason == reason.WouldOverrun && !v.Open
	}
	if out.started.IsZero() {
		out.started = d.Rotation.StartedAt()
	}
	if d.Phase == record.Verifying && out.ended.IsZero() {
		out.ended, out.by = now, d.Rotation.CompletedBy
	}
	if h, ok := notice.HandOverOf(p, d, now, ""); ok && out.ended.IsZero() {
		date := h.GKECompletes
		if !h.Completes.IsZero() && h.Completes.Before(date) {
			date = h.Completes
		}
		if debug {
			fmt.Println(now.Format("02 15:04"), d.Phase, "completes", h.Completes.Format("02 15:04"), "gke",
				h.GKECompletes.Format("02 15:04"), "promised", d.Rotation.Promised.Format("02 15:04"),
				h.Waits, d.Action, d.Reason)
		}
		if date.After(out.told) {
			out.told = date
		}
	}
}

func TestGateAgainstPlay(t *testing.T) {
	count := map[string]int{}
	for seed := range *clusters {
		if *only >= 0 && seed != *only {
			continue
		}
		p := draw(t, seed)
		got := p.run(t)
		switch {
		case got.left && p.options.GKEWaits > 0:
			count["left to a GKE that does not come"]++
		case got.broke != "":
			t.Errorf("seed %d: %s", seed, got.broke)
		case got.started.IsZero():
			count["closed"]++
			t.Logf("seed %d closed: %v", seed, got.closed.Message)
		case got.ended.IsZero():
			t.Errorf("seed %d: started %v and never ended", seed, got.started)
		case got.by != "us":
			count["ended by GKE"]++
			t.Errorf("seed %d: the gate was open, and it ended %v by %s (started %v)", seed, got.ended,
				got.by, got.started)
		default:
			count["ended by us"]++
		}
		if !got.ended.IsZero() && got.told.After(got.ended) {
			t.Errorf("seed %d: told that it ends %v, and it ended %v", seed, got.told, got.ended)
		}
	}
	t.Log(count)
}
