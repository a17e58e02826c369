package notice

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// told is the hand-over of a cluster in that phase, on Monday at midnight.
func told(t *testing.T, p *rules.Policy, c fleet.Cluster, r record.Rotation) record.HandOver {
	t.Helper()
	before := r.Clone()
	d := planOne(t, p, fleetOf(c, &r), monday)
	planned := d.Rotation.Clone()
	h, ok := HandOverOf(p, d, monday, record.AtAnyTime)
	if !ok {
		t.Fatalf("nothing to hand over: %s %s", d.Action, d.Message)
	}
	if !reflect.DeepEqual(planned, *d.Rotation) || !reflect.DeepEqual(before, r) {
		t.Error("asking for the facts changed the record")
	}
	return h
}

// weekdays is a policy that completes while people are awake.
func weekdays(t *testing.T) *rules.Policy {
	t.Helper()
	p := plain()
	w, err := window.ParseWeekly("Mon-Thu 09:00-15:00")
	if err != nil {
		t.Fatal(err)
	}
	p.CompleteWindow, p.Soak = w, hours(48)
	return p
}

func TestHandOverBeforeTheNodesAreDone(t *testing.T) {
	c, r := flying(shopRef, record.RecreatingNodes)
	r.Baseline.Endpoint, c.Endpoint, c.DNS, c.Zonal = "192.0.2.1", "192.0.2.2", "gke-1.example.goog", true
	h := told(t, weekdays(t), c, r)
	if h.OldEndpoint != "192.0.2.1" || h.NewEndpoint != "192.0.2.2" || h.DNS != "gke-1.example.goog" ||
		!h.Zonal || h.Watched || h.Approval {
		t.Errorf("%+v", h)
	}
	if h.OldCA != oldCA || h.NewCA != newCA || h.AttemptID != "a1" || h.Phase != record.RecreatingNodes {
		t.Errorf("%+v", h)
	}
	if want := map[string]bool{"web": false}; !reflect.DeepEqual(h.Pools, want) {
		t.Errorf("pools %v", h.Pools)
	}
	// Handed over Sunday 05:00 and 48 h; three nodes take half an hour.
	if want := monday.Add(hours(29)); !h.SoakEnds.Equal(want) {
		t.Errorf("soak ends %s, not %s", h.SoakEnds, want)
	}
	if want := monday.Add(hours(24 + 9)); !h.Completes.Equal(want) {
		t.Errorf("completes %s (%s), not %s", h.Completes, h.Waits, want)
	}
	if want := r.StartedAt().Add(rules.AutoCompleteAfter); !h.GKECompletes.Equal(want) {
		t.Errorf("GKE completes %s, not %s", h.GKECompletes, want)
	}
}

// An emergency waits for no window that opens too late, and neither does what
// people are told.
func TestHandOverInAnEmergency(t *testing.T) {
	c, r := flying(shopRef, record.RecreatingNodes)
	old := fleet.CA{Fingerprint: "old", Issued: oldCA.Issued, Expires: monday.AddDate(0, 0, 40)}
	c.Bundle.CAs[0], r.Baseline.CA, r.Emergency = old, old, true
	window, text, err := window.Recurring(window.Span{Start: monday.AddDate(0, 0, 20),
		End: monday.AddDate(0, 0, 20).Add(hours(4))}, "FREQ=MONTHLY")
	if err != nil {
		t.Fatal(err)
	}
	c.Maintenance.Window, c.Maintenance.Text = window, text
	h := told(t, weekdays(t), c, r)
	if want := monday.Add(hours(24 + 9)); !h.Completes.Equal(want) {
		t.Errorf("completes %s (%s), not %s", h.Completes, h.Waits, want)
	}
	// From 30 days before the expiry GKE need not keep to the window.
	if want := monday.AddDate(0, 0, 10); !h.GKEProbably.Equal(want) || !h.GKECompletes.Before(want) {
		t.Errorf("GKE may complete %s, probably %s", h.GKECompletes, h.GKEProbably)
	}
}

func TestHandOverSaysWhatItWaitsFor(t *testing.T) {
	done := record.Work{Operation: "n", StartedAt: monday.Add(-hours(9)), EndedAt: monday.Add(-hours(8)),
		FirstSeen: monday.Add(-hours(8))}
	for _, tt := range []struct {
		name   string
		change func(*rules.Policy, *fleet.Cluster, *record.Rotation)
		check  func(record.HandOver) bool
	}{
		{"a person's yes, and then the window",
			func(p *rules.Policy, _ *fleet.Cluster, _ *record.Rotation) { p.Approval = rules.ApproveComplete },
			func(h record.HandOver) bool {
				return h.Approval && h.Completes.Equal(monday.Add(hours(24+9)))
			}},
		{"somebody else", func(_ *rules.Policy, _ *fleet.Cluster, r *record.Rotation) {
			r.Origin, r.Managed = record.Foreign, false
		},
			func(h record.HandOver) bool { return h.Watched && h.Completes.IsZero() && !h.GKECompletes.IsZero() }},
		{"tries that are used up", func(_ *rules.Policy, _ *fleet.Cluster, r *record.Rotation) { r.CompleteFailures = 2 },
			func(h record.HandOver) bool {
				return h.Completes.IsZero() && strings.Contains(h.Waits.String(), "failed too often")
			}},
		{"a freeze over the weeks", func(p *rules.Policy, _ *fleet.Cluster, _ *record.Rotation) {
			if err := p.Freezes.UnmarshalText([]byte("2026-11-20/2027-01-30")); err != nil {
				t.Fatal(err)
			}
		}, func(h record.HandOver) bool {
			return h.Completes.IsZero() && strings.Contains(h.Waits.String(), "FREEZES=")
		}},
		{"an exclusion that GKE keeps to", func(_ *rules.Policy, c *fleet.Cluster, _ *record.Rotation) {
			c.Maintenance.Exclusions = []window.Exclusion{{Name: "sale", Scope: window.NoUpgrades,
				Span: window.Span{Start: monday, End: monday.Add(hours(24 * 20))}}}
		}, func(h record.HandOver) bool {
			until := monday.Add(hours(24 * 20))
			return h.GKECompletes.Before(until) && h.GKEProbably.Equal(until)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, r := flying(shopRef, record.UpdatingClients)
			r.Pools["web"], r.Entries = done, 1
			p := weekdays(t)
			tt.change(p, &c, &r)
			if h := told(t, p, c, r); !tt.check(h) || !h.Pools["web"] {
				t.Errorf("%+v", h)
			}
		})
	}
}

func TestHandOverOfWhatIsOver(t *testing.T) {
	c, r := flying(shopRef, record.Verifying)
	c.Bundle.CAs = []fleet.CA{newCA}
	h := told(t, weekdays(t), c, r)
	if !h.Completed.Equal(r.Entered(record.Verifying)) || !h.Completes.IsZero() {
		t.Errorf("%+v", h)
	}
}

func TestNothingToHandOver(t *testing.T) {
	_, r := flying(shopRef, record.Starting)
	r.New, r.HandedOverAt = fleet.CA{}, time.Time{}
	for _, d := range []policy.Decision{{}, {Rotation: &r}} {
		if h, ok := HandOverOf(weekdays(t), d, monday, record.AtStartDone); ok {
			t.Errorf("%+v", h)
		}
	}
}

// What cannot be read is told from the record, and promises no date.
func TestHandOverOfAnUnreadCluster(t *testing.T) {
	_, r := flying(shopRef, record.UpdatingClients)
	f := policy.Fleet{Unread: []fleet.Unread{{Project: "shop-prod", Reason: "403"}},
		Contents: record.Contents{Known: true, Rotations: map[fleet.Ref]record.Rotation{shopRef: r}}}
	h, ok := HandOverOf(weekdays(t), planOne(t, weekdays(t), f, monday), monday, record.AtAnyTime)
	if !ok || !h.Completes.IsZero() || !strings.Contains(h.Waits.String(), "could not be read") ||
		h.NewCA != newCA {
		t.Errorf("%+v", h)
	}
}
