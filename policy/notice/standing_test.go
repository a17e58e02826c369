package notice

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/policytest"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// What the tests of the rules share.
var (
	shopRef, oldCA, newCA, plain = policytest.Shop, policytest.OldCA, policytest.NewCA, policytest.Plain
	idleCluster, flying          = policytest.Idle, policytest.Flying
	fleetOf, planOne             = policytest.FleetOf, policytest.PlanOne
	monday, hours                = policytest.Monday, policytest.Hours
)

// crowd is a fleet of clusters as shape makes them.
func crowd(n int, shape func(i int, c *fleet.Cluster)) policy.Fleet {
	f := policy.Fleet{Contents: record.Contents{Known: true, Rotations: map[fleet.Ref]record.Rotation{}}}
	for i := range n {
		c := idleCluster(fleet.Ref{Project: "shop-prod", Location: "europe-west1", Name: fmt.Sprintf("c%05d", i)})
		if shape != nil {
			shape(i, &c)
		}
		f.Clusters = append(f.Clusters, c)
	}
	return f
}

func expired(_ int, c *fleet.Cluster) {
	c.Bundle.CAs = []fleet.CA{{Fingerprint: "old", Issued: monday.AddDate(-5, 0, 0),
		Expires: monday.AddDate(0, 0, -1)}}
}

// announcing is one run's question at now, two days ahead.
func noticeInput(p *rules.Policy, f policy.Fleet, now time.Time) Input {
	return Input{Policy: p, Fleet: f, Decisions: policy.Plan(p, f, "run", now), Ahead: hours(48), Acts: true,
		Run: "run", Now: now}
}

func kindsOf(ns []record.Notice) (kinds []record.NoticeKind) {
	for _, n := range ns {
		kinds = append(kinds, n.Kind)
	}
	return kinds
}

// heard wants exactly these kinds to be announced, and gives what is remembered.
func heard(t *testing.T, before record.Standing, a Input, want ...record.NoticeKind) record.Standing {
	t.Helper()
	after, ns := Standing(before, a)
	if got := kindsOf(ns); !slices.Equal(got, want) {
		t.Errorf("announced %v, want %v: %+v", got, want, ns)
	}
	return after
}

// TestAnnouncedWhileItStands: once while it stands, again when something else
// stands or it stands anew; while nobody can know, what was said stays said.
func TestAnnouncedWhileItStands(t *testing.T) {
	p, blocked := plain(), crowd(1, expired)
	m := heard(t, record.Standing{}, noticeInput(p, blocked, monday), record.NoticeBlocked)
	m = heard(t, m, noticeInput(p, blocked, monday.Add(hours(1))))
	other := crowd(1, func(_ int, c *fleet.Cluster) { c.Alpha = true })
	m = heard(t, m, noticeInput(p, other, monday.Add(hours(2))), record.NoticeBlocked)

	unread := crowd(1, func(_ int, c *fleet.Cluster) { c.Alpha = true; c.Partial = true })
	unread.Clusters[0].Alpha = false // its place was listed only partly: no more is known
	m = heard(t, m, noticeInput(p, unread, monday.Add(hours(3))))
	m = heard(t, m, noticeInput(p, other, monday.Add(hours(4))))
	away := policy.Fleet{Contents: record.Contents{Known: true},
		Unread: []fleet.Unread{{Project: "shop-prod", Reason: "denied"}}}
	m = heard(t, m, noticeInput(p, away, monday.Add(hours(5))))
	m = heard(t, m, noticeInput(p, other, monday.Add(hours(6))))

	gone := policy.Fleet{Contents: record.Contents{Known: true}}
	if m = heard(t, m, noticeInput(p, gone, monday.Add(hours(7)))); len(m.Sent) != 0 {
		t.Errorf("remembered of what is gone: %v", m.Sent)
	}
	heard(t, m, noticeInput(p, other, monday.Add(hours(8))), record.NoticeBlocked)
}

// TestAnnouncedIsBounded: so many in one run, the next ones in the next; and of
// more clusters than can be remembered nothing.
func TestAnnouncedIsBounded(t *testing.T) {
	p, f := plain(), crowd(record.MaxStanding+30, expired)
	var m record.Standing
	told, ids := 0, map[string]bool{}
	for run := range 20 {
		after, ns := Standing(m, noticeInput(p, f, monday.Add(hours(run))))
		if len(ns) > record.MaxStandingARun {
			t.Fatalf("%d in one run", len(ns))
		}
		for _, n := range ns {
			ids[n.ID] = true
		}
		told, m = told+len(ns), after
	}
	if told != record.MaxStanding || len(m.Sent) != record.MaxStanding || len(ids) != told {
		t.Errorf("%d told under %d ids, %d remembered, want %d", told, len(ids), len(m.Sent), record.MaxStanding)
	}
}

// TestStartsSoon: by calendar, by the day it becomes due, and by its place in the
// queue; never what cannot be known, and once for each CA.
func TestStartsSoon(t *testing.T) {
	closed := plain()
	closed.MaxActive = 1
	dueIn := func(d time.Duration) func(int, *fleet.Cluster) {
		return func(_ int, c *fleet.Cluster) {
			c.Bundle.CAs = []fleet.CA{{Fingerprint: "old", Issued: monday.AddDate(-5, 0, 0),
				Expires: monday.Add(hours(24*180) + d)}}
		}
	}
	for what, tt := range map[string]struct {
		fleet policy.Fleet
		want  []record.NoticeKind
		at    time.Duration
	}{
		"it starts now": {crowd(1, nil), nil, 0},
		"due tomorrow": {crowd(1, dueIn(hours(24))), []record.NoticeKind{record.NoticeStartsSoon},
			hours(24)},
		"due in three days": {crowd(1, dueIn(hours(72))), nil, 0},
		"due tomorrow, but alpha": {crowd(1,
			func(i int, c *fleet.Cluster) { dueIn(hours(24))(i, c); c.Alpha = true }), nil, 0},
		"the next one in the queue": {crowd(4, nil), []record.NoticeKind{record.NoticeStartsSoon}, 0},
	} {
		t.Run(what, func(t *testing.T) {
			after, ns := Standing(record.Standing{}, noticeInput(closed, tt.fleet, monday))
			if got := kindsOf(ns); !slices.Equal(got, tt.want) {
				t.Fatalf("announced %v, want %v", got, tt.want)
			}
			for _, n := range ns {
				if n.Kind == record.NoticeStartsSoon && !n.Expected.Equal(monday.Add(tt.at)) {
					t.Errorf("expected %s", n.Expected)
				}
			}
			heard(t, after, noticeInput(closed, tt.fleet, monday.Add(hours(1))))
			silent := noticeInput(closed, tt.fleet, monday)
			if silent.Acts = false; len(tt.want) > 0 && tt.want[0] == record.NoticeStartsSoon {
				heard(t, record.Standing{}, silent)
			}
		})
	}
}

// TestBreakerIsTold: once for each opening.
func TestBreakerIsTold(t *testing.T) {
	p, f := plain(), crowd(3, nil)
	f.Contents.Fleet.Failures = []record.Failure{{Cluster: shopRef, Attempt: "a", What: reason.PoolFailed,
		At: monday}}
	m := heard(t, record.Standing{}, noticeInput(p, f, monday), record.NoticeBreakerOpen)
	m = heard(t, m, noticeInput(p, f, monday.Add(hours(1))))
	acknowledged := crowd(0, nil)
	m = heard(t, m, noticeInput(p, acknowledged, monday.Add(hours(2))))
	heard(t, m, noticeInput(p, f, monday.Add(hours(3))), record.NoticeBreakerOpen)
}

// TestDrop: what is old goes; of too many the oldest that ask nothing of people.
func TestDrop(t *testing.T) {
	var box record.Outbox
	for i := range record.MaxNotices + 20 {
		kind := record.NoticeHandedOver
		if i%100 < 2 {
			kind = record.NoticeNodesDone
		}
		box.Notices = append(box.Notices, record.Notice{ID: fmt.Sprint(i), Kind: kind,
			At: monday.Add(time.Duration(i) * time.Minute)})
	}
	keep, old, many := box.Drop(monday.Add(hours(24)))
	if len(keep) != record.MaxNotices || len(old) != 0 || len(many) != 20 {
		t.Fatalf("kept %d, old %d, too many %d", len(keep), len(old), len(many))
	}
	for _, n := range many {
		if n.Kind != record.NoticeNodesDone {
			t.Errorf("given up: %s", n.Kind)
		}
	}
	if !slices.IsSortedFunc(keep, func(a, b record.Notice) int { return a.At.Compare(b.At) }) {
		t.Error("the order is lost")
	}
	keep, old, _ = box.Drop(monday.Add(record.NoticeLasts + 10*time.Minute))
	if len(old) != 10 || len(keep) > record.MaxNotices || old[0].ID != "0" {
		t.Errorf("kept %d, old %d", len(keep), len(old))
	}
	for i := range box.Notices {
		box.Notices[i].Kind = record.NoticeStuck
	}
	if keep, _, many = box.Drop(monday.Add(hours(24))); len(keep) != record.MaxNotices || many[0].ID != "0" {
		t.Errorf("all compromised: kept %d, first given up %s", len(keep), many[0].ID)
	}
}

// TestNoticeKinds: each kind once, each with its words; those of a rotation that
// fails are told for what failed, in GKE's words.
func TestNoticeKinds(t *testing.T) {
	seen := map[record.NoticeKind]bool{}
	for _, k := range record.NoticeKinds {
		if seen[k.Kind] || k.Tells == "" || k.Once == "" || k.Kind.About() != k {
			t.Errorf("%+v", k)
		}
		seen[k.Kind] = true
	}
	c, r := flying(shopRef, record.RecreatingNodes)
	before := r.Clone()
	r.Failed = string(reason.PoolFailed)
	d := policy.Decision{Cluster: c, Phase: r.Phase, Rotation: &r,
		Events: []policy.Event{
			policy.ActionFailed(reason.PoolFailed, fact.Say("recreating pool \"web\" failed: quota")),
			policy.ActionFailed(reason.PoolFailed, fact.Say("again"))}}
	ns := Of(plain(), &before, d, "run", monday)
	if len(ns) != 1 || ns[0].Kind != record.NoticeStuck ||
		ns[0].Message.String() != "recreating pool \"web\" failed: quota" {
		t.Errorf("%+v", ns)
	}
	if again := Of(plain(), &r, d, "run", monday); len(again) != 0 {
		t.Errorf("told again: %+v", again)
	}
	d.Events, d.Close = nil, record.Lost
	if ns := Of(plain(), &r, d, "run", monday); len(ns) != 1 || ns[0].Kind != record.NoticeBlocked {
		t.Errorf("%+v", ns)
	}
}
