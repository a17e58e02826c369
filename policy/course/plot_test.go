package course

import (
	"fmt"
	"testing"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func weekly(t *testing.T, text string) window.Weekly {
	t.Helper()
	var w window.Weekly
	if err := w.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return w
}

// careful is the common careful cluster: zonal, one weekly window of four hours,
// runs at 17 minutes past, all settings as they are shipped.
func careful(t *testing.T, pools ...int) facts {
	saturday := weekly(t, "Sat 02:00-06:00")
	now := at(t, "2026-12-05 02:17")
	f := facts{now: now, until: now.Add(rules.AutoCompleteAfter), run: now, every: time.Hour,
		gke: saturday, window: saturday, hard: window.Always(),
		grace: time.Hour, node: 10 * time.Minute, overrun: 2 * time.Hour,
		soakOver: func(handed, nodes time.Time) time.Time {
			return latest(handed.Add(72*time.Hour), nodes.Add(24*time.Hour))
		}}
	f.completes = func(from time.Time) time.Time { return f.next(weekly(t, "Mon-Thu 09:00-15:00"), from) }
	for i, n := range pools {
		f.pools = append(f.pools, Pool{Pool: fleet.Pool{Name: fmt.Sprint("p", i), Nodes: n, Zones: 1,
			MaxSurge: 1}})
	}
	return f
}

func TestCarefulCluster(t *testing.T) {
	f := careful(t, 20, 20, 20)
	c := f.all(time.Time{})
	if want := at(t, "2026-12-05 06:37"); !c.Likely.NodesDone.Equal(want) {
		t.Errorf("nodes done %v, want %v: %+v", c.Likely.NodesDone, want, c.Work)
	}
	if want := at(t, "2026-12-08 09:17"); !c.Likely.Completed.Equal(want) {
		t.Errorf("completed %v, want %v", c.Likely.Completed, want)
	}
	if !c.Fits() || c.AtOnce != 3 || c.Hastened {
		t.Errorf("%+v", c)
	}
	if len(c.Work) != 3 || !c.Work[0].ByGKE || !c.Work[0].Tight() || !c.Work[1].Overruns() {
		t.Errorf("%+v", c.Work)
	}
	f = careful(t, 21, 21, 21)
	if c = f.all(time.Time{}); c.Fits() {
		t.Errorf("21 nodes: GKE's own pool pauses at 06:00, and yet %+v", c)
	}
}

// carefulCourse is the same cluster as the rules see it.
func carefulCourse(t *testing.T, pools ...int) *Course {
	k := &Course{Policy: &rules.Policy{Every: time.Hour, Soak: 72 * time.Hour, NodeGrace: time.Hour,
		NodeTime: 10 * time.Minute, NodeOverrun: 2 * time.Hour, Nodes: rules.NodesAuto,
		ZonalComplete:  rules.ZonalPeople,
		CompleteWindow: weekly(t, "Mon-Thu 09:00-15:00")}, Now: at(t, "2026-12-05 02:17")}
	k.LastRun = k.Now
	k.Cluster.Zonal = true
	k.Cluster.Bundle.CAs = []fleet.CA{{Fingerprint: "old", Expires: k.Now.AddDate(1, 0, 0)}}
	k.Cluster.Maintenance = window.Maintenance{Window: weekly(t, "Sat 02:00-06:00"), Text: "Sat 02:00-06:00"}
	for i, n := range pools {
		k.Cluster.Pools = append(k.Cluster.Pools, fleet.Pool{Name: fmt.Sprint("p", i), Nodes: n, Zones: 1,
			MaxSurge: 1})
	}
	return k
}
