package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy"
)

// crowd is a large fleet behind a simulated GKE that takes its time.
type crowd struct {
	projects, clusters int // clusters in each project
	due                int // of a hundred clusters, how many are due
	answersAfter       time.Duration
	parallel           int
	settings           []string
}

const (
	latency = 100 * time.Millisecond
	// mostMemory is what one run may ever hold.
	mostMemory = 256 << 20
)

// BenchmarkRun measures one run over 10,000 clusters in 200 projects, as a
// process of its own, against a GKE that answers after 100 ms.
func BenchmarkRun(b *testing.B) {
	for name, c := range crowds {
		b.Run(name, func(b *testing.B) { measure(b, c) })
	}
}

// crowds are the fleets of the benchmarks, 10,000 clusters each: idle but for a
// few, all CAs expiring in one season, and the same with an order to keep.
var crowds = map[string]crowd{
	"few-due": {200, 50, 3, latency, 16, nil},
	"all-due": {200, 50, 100, latency, 16, nil},
	"waves":   {200, 50, 100, latency, 16, []string{"ROTATOR_WAVES=env=dev > env=staging"}},
}

// TestRunScales is the benchmark, tiny, so that it cannot rot.
func TestRunScales(t *testing.T) {
	measure(t, crowd{20, 5, 20, time.Millisecond, 4, []string{"ROTATOR_WAVES=env=dev > env=staging"}})
}

// measure makes runs over the crowd and reports what each cost. The limits are
// those of the design: one listing a project, nothing else, bounded memory, and
// time within twice what the answers' latency alone takes, besides the
// machine's own work.
func measure(tb testing.TB, c crowd) {
	rotator := build(tb)
	gke := c.serve(tb)
	bound := c.answersAfter * time.Duration((c.projects+c.parallel-1)/c.parallel)
	var wall, cpu time.Duration
	var peak int64
	n := 1
	if b, ok := tb.(*testing.B); ok {
		n = b.N
		b.ResetTimer()
	}
	for range n {
		gke.lists.Store(0)
		ps, took, high := c.run(tb, rotator, gke.address)
		if code := ps.cmd.ProcessState.ExitCode(); code != 0 {
			tb.Fatalf("exit status %d: %.2000s", code, ps.stderr.String())
		}
		state := ps.cmd.ProcessState
		wall, cpu, peak = wall+took, cpu+state.UserTime()+state.SystemTime(), max(peak, high)
		if lists, others := gke.lists.Load(), gke.others.Load(); lists != int64(c.projects) || others != 0 {
			tb.Errorf("%d listings of %d projects, and %d other calls", lists, c.projects, others)
		}
		evaluated := strings.Count(ps.stderr.String(), "cluster_evaluated")
		if want := c.projects * c.clusters * c.due / 100; evaluated != want {
			tb.Errorf("%d clusters were told of, want %d", evaluated, want)
		}
	}
	wall, cpu = wall/time.Duration(n), cpu/time.Duration(n)
	if peak > mostMemory {
		tb.Errorf("a peak of %d MiB", peak>>20)
	}
	if limit := 2*bound + cpu; c.answersAfter == latency && wall > limit {
		tb.Errorf("took %s; twice the latency bound and the machine's work are %s", wall, limit)
	}
	if b, ok := tb.(*testing.B); ok {
		b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
		b.ReportMetric(float64(c.projects), "lists/op")
		b.ReportMetric(cpu.Seconds(), "cpu-s/op")
		b.ReportMetric(bound.Seconds(), "bound-s")
	}
}

// run makes one run in a process with a new book, and watches how much memory
// it ever held.
func (c crowd) run(tb testing.TB, rotator *program, address string) (ps *process, took time.Duration, peak int64) {
	tb.Helper()
	rotator = rotator.with("ROTATOR_ENV=crowd", "ROTATOR_MODE=act", "ROTATOR_GKE_ENDPOINT="+address,
		"ROTATOR_PROJECTS="+strings.Join(c.names(), ","), "ROTATOR_FREEZES=2026-11-01/2026-12-31",
		"ROTATOR_STATE=file:"+filepath.Join(tb.TempDir(), "book.db"), fmt.Sprintf("ROTATOR_PARALLEL=%d", c.parallel)).with(c.settings...)
	begun := time.Now()
	ps = rotator.start(tb, "run", "--at", monday.Format(time.RFC3339))
	ended := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			peak = max(peak, peakMemory(ps.cmd.Process.Pid))
			select {
			case <-ended:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	ps.wait(tb)
	took = time.Since(begun)
	close(ended)
	<-watched
	return ps, took, peak
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMemory is the most that the process has held so far, in bytes. The
// rusage of a child would count what its parent held before the exec.
func peakMemory(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0 // gone
	}
	if m := highWater.FindSubmatch(text); m != nil {
		kb, _ := strconv.ParseInt(string(m[1]), 10, 64)
		return kb << 10
	}
	return 0
}

func (c crowd) names() []string {
	var out []string
	for i := range c.projects {
		out = append(out, fmt.Sprintf("team-%03d", i))
	}
	return out
}

// world makes the clusters, each with a CA and a calendar of its own.
func (c crowd) world(tb testing.TB) *gkesim.World {
	tb.Helper()
	w := gkesim.New(gkesim.Options{Seed: 1, Now: monday})
	for i, project := range c.names() {
		for j := range c.clusters {
			if err := w.Add(project, c.cluster(i*c.clusters+j)); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return w
}

func (c crowd) cluster(n int) *containerpb.Cluster {
	m := member{location: "europe-west1", name: fmt.Sprintf("cluster-%05d", n)}
	issued := monday.AddDate(-1, 0, -n%300)
	expires := issued.AddDate(30, 0, 0)
	if n%100 < c.due {
		issued, expires = monday.AddDate(-4, 0, -n%300), monday.AddDate(0, 0, 60+n%100)
	}
	pb := m.cluster(0)
	pb.Id = fmt.Sprintf("%064x", n)
	pb.MasterAuth.ClusterCaCertificate = base64.StdEncoding.EncodeToString([]byte(gkesim.IssueCA(1, m.name, issued, expires)))
	pb.ResourceLabels = map[string]string{"env": []string{"dev", "staging", "prod"}[n%3], "team": fmt.Sprintf("team-%d", n%40), "cost-center": fmt.Sprint(n % 300)}
	pb.NodePools = append(pb.NodePools, &containerpb.NodePool{
		Name: "spare", InitialNodeCount: 1, Version: pb.GetCurrentMasterVersion(), Status: containerpb.NodePool_RUNNING, Etag: "etag-spare",
		Config: &containerpb.NodeConfig{ImageType: "COS_CONTAINERD"},
	})
	for _, p := range pb.GetNodePools() { // recorded clusters take 3.6 KB, the largest 12
		const apis = "https://www.googleapis.com/"
		p.SelfLink = apis + "container/v1/" + m.path() + "/nodePools/" + p.GetName()
		for _, zone := range []string{"b", "c", "d"} {
			p.InstanceGroupUrls = append(p.InstanceGroupUrls, fmt.Sprintf("%scompute/v1/projects/p/zones/europe-west1-%s/instanceGroupManagers/gke-%s-%s-%08x-grp", apis, zone, m.name, p.GetName(), n))
		}
		for _, scope := range []string{"devstorage.read_only", "logging.write", "monitoring", "service.management.readonly", "servicecontrol", "trace.append"} {
			p.Config.OauthScopes = append(p.Config.OauthScopes, apis+"auth/"+scope)
		}
		p.Config.Metadata = map[string]string{"disable-legacy-endpoints": "true", "cluster": m.name}
		p.Config.MachineType, p.Config.ServiceAccount = "e2-standard-8", "nodes-of-"+m.name+"@some-project.iam.gserviceaccount.com"
		pb.InstanceGroupUrls = append(pb.InstanceGroupUrls, p.GetInstanceGroupUrls()...) //nolint:staticcheck // real listings have it
	}
	switch n % 4 {
	case 0:
		dailyAt2(pb)
	case 1:
		recurring4h(2, "FREQ=WEEKLY;BYDAY=SA,SU")(pb)
	case 2:
		recurring4h(n%24, "FREQ=WEEKLY;BYDAY=TU,TH")(pb)
		policyOf(pb).MaintenanceExclusions = map[string]*containerpb.TimeWindow{
			"sale": {StartTime: timestamppb.New(monday), EndTime: timestamppb.New(december.AddDate(0, 0, n%20))},
		}
	}
	return pb
}

// counted is a served crowd, and how often it was asked.
type counted struct {
	address       string
	lists, others atomic.Int64
}

// serve puts the crowd behind gRPC. What gkesim answers is asked once, before
// anything is measured, so that its own work is not.
func (c crowd) serve(tb testing.TB) *counted {
	tb.Helper()
	w := c.world(tb)
	out, answers := &counted{}, sync.Map{}
	s := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		list, ok := req.(*containerpb.ListClustersRequest)
		if !ok {
			out.others.Add(1)
			return handle(ctx, req)
		}
		out.lists.Add(1)
		if known, ok := answers.Load(list.GetParent()); ok {
			time.Sleep(c.answersAfter)
			return known, nil
		}
		res, err := handle(ctx, req)
		answers.Store(list.GetParent(), res)
		return res, err
	}))
	w.Register(s)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	go func() { _ = s.Serve(listener) }() // ends with Stop; its error says only that
	tb.Cleanup(s.Stop)
	out.address = listener.Addr().String()
	cloud := c.dial(tb, out.address)
	for _, p := range c.names() {
		if _, _, err := cloud.Clusters(tb.Context(), p); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

func (c crowd) dial(tb testing.TB, at string) *gke.Cloud {
	tb.Helper()
	cloud, err := gke.DialWith(tb.Context(), gke.NoRetry(), dialOptions(address(at))...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = cloud.Close() })
	return cloud
}

// policyFor is the policy of an in-process run over the crowd.
func (c crowd) policyFor(tb testing.TB) *policy.Policy {
	tb.Helper()
	s, problems := readSettings(append([]string{
		"ROTATOR_ENV=crowd", "ROTATOR_PROJECTS=" + strings.Join(c.names(), ","), "ROTATOR_FREEZES=2026-11-01/2026-12-31",
	}, c.settings...))
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
	return s.Policy()
}

// BenchmarkPlan measures the decisions alone, over what one look showed.
func BenchmarkPlan(b *testing.B) {
	for name, c := range crowds {
		b.Run(name, func(b *testing.B) {
			p := c.policyFor(b)
			world := pass.World{
				Read: c.dial(b, c.serve(b).address), NewID: randomID,
				Now: func() time.Time { return monday }, Mono: func() time.Duration { return 0 },
			}
			res, err := pass.Look(b.Context(), world, pass.Options{Policy: p, Parallel: c.parallel})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				policy.Plan(p, res.Fleet, "run", monday)
			}
		})
	}
}
