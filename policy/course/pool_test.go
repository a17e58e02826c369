package course

import (
	"testing"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Node work as GKE documents it: zone by zone, at most twenty nodes together, TPU
// slices at once, blue-green only when we ask for it, flex-start nodes waited for.
func TestTakes(t *testing.T) {
	const node = 10 * time.Minute
	for _, tt := range []struct {
		name                     string
		pool                     fleet.Pool
		ours, gke, longestOfOurs time.Duration
	}{
		{"one by one", fleet.Pool{Nodes: 20, Zones: 1, MaxSurge: 1}, 20 * node, 20 * node, 20 * time.Hour},
		{"a zone after another", fleet.Pool{Nodes: 6, Zones: 3, MaxSurge: 5}, 3 * node, 3 * node,
			3 * time.Hour},
		{"twenty together", fleet.Pool{Nodes: 300, Zones: 3, MaxSurge: 100}, 15 * node, 15 * node,
			15 * time.Hour},
		{"a budget of twelve hours", fleet.Pool{Nodes: 20, Zones: 1, MaxSurge: 1,
			DrainTimeout: 12 * time.Hour},
			20 * node, 20 * node, 240 * time.Hour},
		{"a slice of TPUs", fleet.Pool{Nodes: 64, Zones: 1, Atomic: true}, node, node, time.Hour},
		{"blue-green", fleet.Pool{Nodes: 4, Zones: 1, BlueGreen: true, Batches: 4, PoolSoak: time.Hour,
			MaxSurge: 1},
			25*time.Minute + time.Hour, 4 * node, 5*time.Minute + 5*time.Hour},
		{"flex start", fleet.Pool{Nodes: 4, Zones: 1, ShortLived: 5 * time.Hour}, 5 * time.Hour,
			5 * time.Hour,
			7 * 24 * time.Hour},
		{"no nodes", fleet.Pool{Zones: 1}, node, node, time.Hour},
	} {
		ours, longest := Takes(tt.pool, false, node)
		gke, _ := Takes(tt.pool, true, node)
		if ours != tt.ours || gke != tt.gke || longest != tt.longestOfOurs {
			t.Errorf("%s: ours %s, GKE's %s, at the latest %s", tt.name, ours, gke, longest)
		}
	}
}

// What GKE tells of its progress replaces the estimate.
func TestMeasuredProgress(t *testing.T) {
	start := at(t, "2026-12-01 00:00")
	for _, tt := range []struct {
		name        string
		done, total int
		since       time.Duration
		window      window.Schedule
		want        time.Duration // from then on
	}{
		{"nothing yet", 0, 40, time.Hour, window.Always(), 39 * 10 * time.Minute},
		{"overdue, and nothing is told", 0, 0, 100 * time.Hour, window.Always(), 10 * time.Minute},
		{"five hours a node", 14, 40, 70 * time.Hour, window.Always(), 130 * time.Hour},
		{"all done", 40, 40, 70 * time.Hour, window.Always(), 0},
		{"as fast as while its window was open", 8, 40, 48 * time.Hour, weekly(t, "Mon-Sun 00:00-04:00"),
			32 * time.Hour},
	} {
		p := Pool{Pool: fleet.Pool{Name: "p", Nodes: 40, Zones: 1, MaxSurge: 1},
			Running: &Running{Since: start, ByGKE: true, Done: tt.done, Total: tt.total}}
		want := tt.want
		if tt.name == "nothing yet" {
			want = 400*time.Minute - time.Hour
		}
		if got := p.left(start.Add(tt.since), tt.window, likely, 10*time.Minute); got != want {
			t.Errorf("%s: %s left, want %s", tt.name, got, want)
		}
	}
}

// Each remedy is the least of its lever that makes the start fit, and the start that
// fits by the model does so by nothing else.
func TestRemediesFit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		nodes []int
		every time.Duration
		soak  time.Duration
		want  string
	}{
		{"21 nodes in a window for 20", []int{21, 21, 21}, time.Hour, 72 * time.Hour,
			`a window (Sat 02:00-06:00) that is 1h longer`},
		{"many pools", []int{10, 10, 10, 10, 10, 10, 10, 10}, time.Hour, 72 * time.Hour, "POOLS_AT_ONCE=4"},
		{"runs that meet no window", []int{3}, 24 * time.Hour, 72 * time.Hour, "EVERY=12h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := carefulCourse(t, tt.nodes...)
			k.Policy.Every, k.Policy.Soak = tt.every, tt.soak
			needed := k.Remedies()
			if len(needed) != 1 {
				t.Fatalf("%d remedies: %v", len(needed), needed)
			}
			if got := needed[0].Text.String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if k.Fits() || !k.With(needed...).Fits() {
				t.Errorf("fits before: %v, after: %v", k.Fits(), k.With(needed...).Fits())
			}
		})
	}
}

// Whether our work may begin does not change before the time that is given for it.
func TestBegunChangesWhenItSays(t *testing.T) {
	p := rules.Policy{Window: weekly(t, "Sat 02:00-06:00"), NodeTime: 10 * time.Minute, NodeOverrun: 2 * time.Hour,
		Every: time.Hour}
	for nodes := 1; nodes < 50; nodes += 3 {
		pool := fleet.Pool{Name: "p", Nodes: nodes, Zones: 1, MaxSurge: 1}
		var was bool
		var changes time.Time
		for now := at(t, "2026-12-05 02:00"); now.Before(at(t, "2026-12-05 05:40")); now = now.Add(time.Minute) {
			k := Course{Policy: &p, Now: now}
			_, stop, next := k.Begun(pool)
			if now.Before(changes) && stop.IsZero() != was {
				t.Fatalf("%d nodes: at %s it may begin: %v, and that was not to change before %s", nodes, now, !was,
					changes)
			}
			was, changes = stop.IsZero(), next
		}
	}
}
