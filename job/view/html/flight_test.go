package html

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/notice"
	"gke-credential-rotator/policy/record"
)

// TestTimeline: each rotation in flight has a lane with our date and GKE's two,
// in words and in the picture.
func TestTimeline(t *testing.T) {
	p := samplePage(t, 6)
	v := newContent(p)
	flying := 0
	for _, d := range p.Result.Decisions {
		if d.Phase == "" {
			continue
		}
		flying++
		i := slices.IndexFunc(v.Lanes, func(l lane) bool { return l.Name == d.Cluster.Ref.Name })
		if i < 0 {
			t.Errorf("%s has no lane", d.Cluster.Ref)
			continue
		}
		l := v.Lanes[i]
		h, _ := notice.HandOverOf(p.Policy, d, p.Result.At, record.AtAnyTime)
		iso := func(label string) string {
			for _, f := range l.Facts {
				if f.Label == label {
					return f.At.ISO
				}
			}
			return ""
		}
		for label, want := range map[string]string{
			"GKE may complete by itself from":   d.Rotation.StartedAt().Add(7 * 24 * time.Hour).Format(time.RFC3339),
			"We complete, not before":           h.Completes.Format(time.RFC3339),
			"GKE’s last resort, 30 days before": d.Rotation.Baseline.CA.Expires.Add(-30 * 24 * time.Hour).Format(time.DateOnly),
		} {
			if iso(label) != want || !strings.Contains(l.Alt, label) {
				t.Errorf("%s: %s is %q, not %q", l.Name, label, iso(label), want)
			}
		}
		for k, b := range l.Bars {
			if b.X < 0 || b.X+b.W > 100.5 || (k > 0 && b.X < l.Bars[k-1].X) {
				t.Errorf("%s: a bar from %.1f to %.1f", l.Name, b.X, b.X+b.W)
			}
		}
		if ahead := l.Bars[len(l.Bars)-1]; ahead.Kind != "ahead" || l.GKE == nil || ahead.X+ahead.W > l.GKE.X {
			t.Errorf("%s: our completion is not drawn before GKE's: %+v %+v", l.Name, l.Bars, l.GKE)
		}
	}
	if flying < 3 || len(v.Lanes)+len(v.MoreLanes) != flying {
		t.Errorf("%d lanes for %d rotations; the sample should have some", len(v.Lanes), flying)
	}
}

// TestOldRotation: one that began long ago, watched, is drawn from the edge on.
func TestOldRotation(t *testing.T) {
	p := generated(5)
	f := &p.Result.Fleet
	r := flying(&f.Clusters[4], now.Add(-100*24*time.Hour))
	r.Origin, r.Managed = record.Foreign, false
	f.Contents.Rotations[f.Clusters[4].Ref] = r
	p.Result.Decisions = policy.Plan(p.Policy, *f, "plan", now)
	v := newContent(p)
	if len(v.Lanes) != 1 || v.Lanes[0].Whose != "started by somebody else, watched" {
		t.Fatalf("%+v", v.Lanes)
	}
	for _, b := range v.Lanes[0].Bars {
		if b.X < 0 || b.X+b.W > 100.5 {
			t.Errorf("a bar from %.1f to %.1f", b.X, b.X+b.W)
		}
	}
	if n := len(v.Lanes[0].Axis.Ticks); n < 2 || n > mostTicks+1 {
		t.Errorf("%d dates under the picture", n)
	}
}

// TestStoryAgrees: the page tells the same story as the simulation.
func TestStoryAgrees(t *testing.T) {
	p := samplePage(t, 30)
	s := newContent(p).Stories[0]
	if s.Curve.Peak != p.Played.MostInFlight {
		t.Errorf("the curve's peak is %d, the story's %d", s.Curve.Peak, p.Played.MostInFlight)
	}
	rows := map[string]storyRow{}
	for _, m := range s.Months {
		for _, r := range m.Rows {
			rows[r.Place+"/"+r.Name] = r
		}
	}
	verified := 0
	for _, c := range p.Played.Clusters {
		r, ok := rows[c.Cluster.String()]
		if c.Outcome == sim.NotDue {
			if ok && c.Closed.IsZero() {
				t.Errorf("%s has no part in the story", c.Cluster)
			}
			continue
		}
		if c.Outcome == sim.Verified {
			verified++
		}
		if !ok || !c.Closed.IsZero() && r.Over.ISO != c.Closed.Format(time.RFC3339) ||
			r.Started.ISO != iso(c.Entered[record.Starting]) {
			t.Errorf("%s: %+v", c.Cluster, r)
		}
	}
	if verified == 0 || !strings.Contains(s.Summary, "9 clusters rotated and verified") {
		t.Errorf("%d verified: %s", verified, s.Summary)
	}
}

func iso(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}
