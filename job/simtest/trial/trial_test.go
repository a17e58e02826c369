package trial

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The long mode: go test ./job/simtest/trial -run TestTrial -seeds 2000 -clusters 20 -days 60 -timeout 2h.
var (
	seeds    = flag.Int("seeds", 16, "how many seeds TestTrial plays")
	from     = flag.Uint64("from", 1, "the first of them")
	clusters = flag.Int("clusters", 12, "how many clusters each fleet begins with")
	days     = flag.Int("days", 45, "how many days each play lasts")
	digests  = flag.String("digests", "",
		"a file for a line with seed and digest of every play, in the order of seeds")
	late = flag.Bool("late", false,
		"let requests be delivered later than LATE: what only that can cause is then excused")
)

// TestTrial plays fleets under all troubles; no promise may be broken.
func TestTrial(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // plays make much that lives for a moment
	begun := time.Now()                               //nolint:forbidigo // the long mode says how long it took
	var total Totals
	lines := make([]string, *seeds)
	var mu sync.Mutex
	next := make(chan uint64)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := range next {
				o := Options{Seed: seed, Clusters: *clusters, Days: *days, Faults: true, Late: *late,
					Notify: seed%2 == 0, Judge: judged}
				sum := digest(&o)
				v := try(t, o)
				mu.Lock()
				lines[seed-*from] = fmt.Sprintf("%d %s\n", seed, sum())
				total.Add(v.Totals)
				if total.Seeds%50 == 0 {
					t.Log("so far:", strings.SplitN(total.String(), "\n", 3)[:2])
				}
				mu.Unlock()
			}
		})
	}
	for i := range *seeds {
		next <- *from + uint64(i)
	}
	close(next)
	wg.Wait()
	if *digests != "" {
		if err := os.WriteFile(*digests, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Error(err)
		}
	}
	t.Log(total.String(), "wall time", time.Since(begun).Round(time.Millisecond)) //nolint:forbidigo // likewise
}

// try plays a seed and tells what went wrong.
func try(t *testing.T, o Options) Verdict {
	v, err := Play(o)
	if err != nil {
		t.Errorf("seed %d: %v", o.Seed, err)
	}
	if len(v.Violations) == 0 {
		return v
	}
	first := v.Violations[0]
	t.Errorf("seed %d, commit %s: promise %d is broken at %s, %s: %s (%d violations; play it with -run TestTrial -seeds 1 -from %d -clusters %d -days %d)",
		o.Seed, commit(t), first.Promise, first.At.Format(time.RFC3339), first.Cluster, first.Text,
		v.Totals.Violations, o.Seed, o.Clusters, o.Days)
	lines, err := Story(o, first.Cluster)
	if err != nil {
		t.Error(err)
	}
	t.Log("\n" + strings.Join(lines, "\n"))
	return v
}

// commit is what the seed was played on: another commit may draw another play.
func commit(t *testing.T) string {
	out, err := exec.CommandContext(t.Context(), "git", "describe", "--always", "--dirty",
		"--abbrev=12").Output()
	if err != nil {
		return "unknown (no git here)"
	}
	return strings.TrimSpace(string(out))
}

// String is the totals on a few lines.
func (t Totals) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seeds %d, clusters %d, cluster-days %.0f, passes %d (plans %d), runs skipped %d, kills %d\n", t.Seeds, t.Clusters, t.ClusterDays, t.Passes, t.Plans, t.Skipped, t.Kills)
	fmt.Fprintf(&b, "accepted: starts %d, completes %d, recreations %d; events %d; violations %d\n", t.Starts,
		t.Completes, t.Recreates, t.Events, t.Violations)
	for _, as := range slices.Sorted(maps.Keys(t.Closed)) {
		fmt.Fprintf(&b, "closed as %s: %d\n", as, t.Closed[as])
	}
	for _, kind := range slices.Sorted(maps.Keys(t.Faults)) {
		fmt.Fprintf(&b, "fault %s: %d\n", kind, t.Faults[kind])
	}
	return b.String()
}
