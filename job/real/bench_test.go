package real

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/job/fleets"
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
	"waves":   {fleets.Crowd{Projects: 200, Clusters: 50, Due: 100, AnswersAfter: latency}, 16, []string{"ROTATOR_WAVES=env=dev > env=staging"}},
}

// TestRunScales is the benchmark, tiny, so that it cannot rot.
func TestRunScales(t *testing.T) {
	measure(t, crowd{fleets.Crowd{Projects: 20, Clusters: 5, Due: 20, AnswersAfter: time.Millisecond}, 4, []string{"ROTATOR_WAVES=env=dev > env=staging"}})
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

// run makes one run in a process with a new book, and watches how much memory
// it ever held.
func (c crowd) run(tb testing.TB, rotator *program, address string) (ps *process, took time.Duration, peak int64) {
	tb.Helper()
	rotator = rotator.with("ROTATOR_ENV=crowd", "ROTATOR_MODE=act", "ROTATOR_GKE_ENDPOINT="+address,
		"ROTATOR_PROJECTS="+strings.Join(c.Names(), ","), "ROTATOR_FREEZES=2026-11-01/2026-12-31",
		"ROTATOR_STATE=file:"+filepath.Join(tb.TempDir(), "book.db"), fmt.Sprintf("ROTATOR_PARALLEL=%d", c.parallel)).with(c.settings...)
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
