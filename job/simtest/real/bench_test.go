package real

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/simtest/fleets"
)

// crowd is a large fleet, and how a run over it is made.
type crowd struct {
	fleets.Crowd
	parallel int
	settings []string
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
	"few-due": {fleets.Crowd{Projects: 200, Clusters: 50, Due: 3, AnswersAfter: latency}, 16, nil},
	"all-due": {fleets.Crowd{Projects: 200, Clusters: 50, Due: 100, AnswersAfter: latency}, 16, nil},
	"waves": {fleets.Crowd{Projects: 200, Clusters: 50, Due: 100, AnswersAfter: latency}, 16,
		[]string{"ROTATOR_WAVES=env=dev > env=staging"}},
}

// TestRunScales is the benchmark, tiny, so that it cannot rot.
func TestRunScales(t *testing.T) {
	measure(t, crowd{fleets.Crowd{Projects: 20, Clusters: 5, Due: 20, AnswersAfter: time.Millisecond}, 4,
		[]string{"ROTATOR_WAVES=env=dev > env=staging"}})
}

// measure makes runs over the crowd and reports what each cost. The limits are
// those of the design: one listing a project, nothing else, bounded memory, and
// time within twice what the answers' latency alone takes, besides the
// machine's own work.
func measure(tb testing.TB, c crowd) {
	rotator := build(tb)
	gke := c.Serve(tb)
	bound := c.AnswersAfter * time.Duration((c.Projects+c.parallel-1)/c.parallel)
	var wall, cpu time.Duration
	var peak int64
	n := 1
	if b, ok := tb.(*testing.B); ok {
		n = b.N
		b.ResetTimer()
	}
	for range n {
		gke.Lists.Store(0)
		ps, took, high := c.run(tb, rotator, gke.Address)
		if code := ps.cmd.ProcessState.ExitCode(); code != 0 {
			tb.Fatalf("exit status %d: %.2000s", code, ps.stderr.String())
		}
		state := ps.cmd.ProcessState
		wall, cpu, peak = wall+took, cpu+state.UserTime()+state.SystemTime(), max(peak, high)
		if lists, others := gke.Lists.Load(), gke.Others.Load(); lists != int64(c.Projects) || others != 0 {
			tb.Errorf("%d listings of %d projects, and %d other calls", lists, c.Projects, others)
		}
		evaluated := strings.Count(ps.stderr.String(), "cluster_evaluated")
		if want := c.Projects * c.Clusters * c.Due / 100; evaluated != want {
			tb.Errorf("%d clusters were told of, want %d", evaluated, want)
		}
	}
	wall, cpu = wall/time.Duration(n), cpu/time.Duration(n)
	if peak > mostMemory {
		tb.Errorf("a peak of %d MiB", peak>>20)
	}
	if limit := 2*bound + cpu; c.AnswersAfter == latency && wall > limit {
		tb.Errorf("took %s; twice the latency bound and the machine's work are %s", wall, limit)
	}
	if b, ok := tb.(*testing.B); ok {
		b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
		b.ReportMetric(float64(c.Projects), "lists/op")
		b.ReportMetric(cpu.Seconds(), "cpu-s/op")
		b.ReportMetric(bound.Seconds(), "bound-s")
	}
}

// BenchmarkFar lists 16 projects at once over a new connection, where a round
// trip takes 30 ms: how many of them does an answer of 50 clusters take?
func BenchmarkFar(b *testing.B) {
	c := fleets.Crowd{Projects: 16, Clusters: 50}
	address := far(b, c.Serve(b).Address, 30*time.Millisecond)
	for b.Loop() {
		cloud, err := gke.Dial(b.Context(), option.WithEndpoint(address), option.WithoutAuthentication(),
			option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
		if err != nil {
			b.Fatal(err)
		}
		var g errgroup.Group
		for _, project := range c.Names() {
			g.Go(func() error {
				_, _, err := cloud.Clusters(b.Context(), project)
				return err
			})
		}
		if err := errors.Join(g.Wait(), cloud.Close()); err != nil {
			b.Fatal(err)
		}
	}
}

// far is where what is served at the address is reached by round trips that long.
func far(tb testing.TB, address string, trip time.Duration) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // closed
			}
			there, err := net.Dial("tcp", address)
			if err != nil {
				_ = near.Close()
				continue
			}
			go late(there, near, trip/2)
			go late(near, there, trip/2)
		}
	}()
	return listener.Addr().String()
}

// late brings on what it reads, each piece so long after it came.
func late(to, from net.Conn, by time.Duration) {
	type piece struct {
		text []byte
		due  time.Time
	}
	pieces := make(chan piece, 1<<10)
	go func() {
		defer close(pieces)
		for {
			text := make([]byte, 32<<10)
			n, err := from.Read(text)
			pieces <- piece{text[:n], time.Now().Add(by)}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		_, _ = to.Write(p.text) // who is gone closes the other way, too
	}
	_ = to.Close()
}

// run makes one run in a process with a new store, and watches how much memory
// it ever held.
func (c crowd) run(tb testing.TB, rotator *program, address string) (ps *process, took time.Duration,
	peak int64) {
	tb.Helper()
	rotator = rotator.with("ROTATOR_ENV=crowd", "ROTATOR_MODE=act", "ROTATOR_GKE_ENDPOINT="+address,
		"ROTATOR_PROJECTS="+strings.Join(c.Names(), ","), "ROTATOR_FREEZES=2026-11-01/2026-12-31",
		"ROTATOR_STATE=file:"+filepath.Join(tb.TempDir(), "store.db"),
		fmt.Sprintf("ROTATOR_PARALLEL=%d", c.parallel)).with(c.settings...)
	begun := time.Now()
	ps = rotator.start(tb, "run", "--at", fleets.Monday.Format(time.RFC3339))
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
