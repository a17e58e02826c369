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

// crowd is a fleet of clusters as shape makes them.
func crowd(n int, shape func(i int, c *fleet.Cluster)) policy.Fleet {
	f := policy.Fleet{Contents: record.Contents{Known: true, Rotations: map[fleet.Ref]record.Rotation{}}}
	for i := range n {
		c := policytest.Idle(fleet.Ref{Project: "shop-prod", Location: "europe-west1", Name: fmt.Sprintf("c%05d", i)})
		if shape != nil {
			shape(i, &c)
		}
		f.Clusters = append(f.Clusters, c)
	}
	return f
}

func expired(_ int, c *fleet.Cluster) {
	c.Bundle.CAs = []fleet.CA{{Fingerprint: "old", Issued: policytest.Monday.AddDate(-5, 0, 0),
		Expires: policytest.Monday.AddDate(0, 0, -1)}}
}

// announcing is one run's question at now, two days ahead.
func noticeInput(p *rules.Policy, f policy.Fleet, now time.Time) Input {
	return Input{Policy: p, Fleet: f, Decisions: policy.Plan(p, f, "run", now), Ahead: policytest.Hours(48), Acts: true,
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
	p, blocked := policytest.Plain(), crowd(1, expired)
	m := heard(t, record.Standing{}, noticeInput(p, blocked, policytest.Monday), record.NoticeBlocked)
	m = heard(t, m, noticeInput(p, blocked, policytest.Monday.Add(policytest.Hours(1))))
	other := crowd(1, func(_ int, c *fleet.Cluster) { c.Alpha = true })
	m = heard(t, m, noticeInput(p, other, policytest.Monday.Add(policytest.Hours(2))), record.NoticeBlocked)

	unread := crowd(1, func(_ int, c *fleet.Cluster) { c.Alpha = true; c.Partial = true })
	unread.Clusters[0].Alpha = false // its place was listed only partly: no more is known
	m = heard(t, m, noticeInput(p, unread, policytest.Monday.Add(policytest.Hours(3))))
	m = heard(t, m, noticeInput(p, other, policytest.Monday.Add(policytest.Hours(4))))
	away := policy.Fleet{Contents: record.Contents{Known: true},
		Unread: []fleet.Unread{{Project: "shop-prod", Reason: "denied"}}}
	m = heard(t, m, noticeInput(p, away, policytest.Monday.Add(policytest.Hours(5))))
	m = heard(t, m, noticeInput(p, other, policytest.Monday.Add(policytest.Hours(6))))

	gone := policy.Fleet{Contents: record.Contents{Known: true}}
	if m = heard(t, m, noticeInput(p, gone, policytest.Monday.Add(policytest.Hours(7)))); len(m.Sent) != 0 {
		t.Errorf("remembered of what is gone: %v", m.Sent)
	}
	heard(t, m, noticeInput(p, other, policytest.Monday.Add(policytest.Hours(8))), record.NoticeBlocked)
}

// TestAnnouncedIsBounded: so many in one run, the next ones in the next; and of
// more clusters than can be remembered nothing.
func TestAnnouncedIsBounded(t *testing.T) {
	p, f := policytest.Plain(), crowd(record.MaxStanding+30, expired)
	var m record.Standing
	told, ids := 0, map[string]bool{}
	for run := range 20 {
		after, ns := Standing(m, noticeInput(p, f, policytest.Monday.Add(policytest.Hours(run))))
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
	closed := policytest.Plain()
	closed.MaxActive = 1
	dueIn := func(d time.Duration) func(int, *fleet.Cluster) {
		return func(_ int, c *fleet.Cluster) {
			c.Bundle.CAs = []fleet.CA{{Fingerprint: "old", Issued: policytest.Monday.AddDate(-5, 0, 0),
				Expires: policytest.Monday.Add(policytest.Hours(24*180) + d)}}
		}
	}
	for what, tt := range map[string]struct {
		fleet policy.Fleet
		want  []record.NoticeKind
		at    time.Duration
	}{
		"it starts now": {crowd(1, nil), nil, 0},
		"due tomorrow": {crowd(1, dueIn(policytest.Hours(24))), []record.NoticeKind{record.NoticeStartsSoon},
			policytest.Hours(24)},
		"due in three days": {crowd(1, dueIn(policytest.Hours(72))), nil, 0},
		"due tomorrow, but alpha": {crowd(1,
			func(i int, c *fleet.Cluster) { dueIn(policytest.Hours(24))(i, c); c.Alpha = true }), nil, 0},
		"the next one in the queue": {crowd(4, nil), []record.NoticeKind{record.NoticeStartsSoon}, 0},
	} {
		t.Run(what, func(t *testing.T) {
			after, ns := Standing(record.Standing{}, noticeInput(closed, tt.fleet, policytest.Monday))
			if got := kindsOf(ns); !slices.Equal(got, tt.want) {
				t.Fatalf("announced %v, want %v", got, tt.want)
			}
			for _, n := range ns {
				if n.Kind == record.NoticeStartsSoon && !n.Expected.Equal(policytest.Monday.Add(tt.at)) {
					t.Errorf("expected %s", n.Expected)
				}
			}
			heard(t, after, noticeInput(closed, tt.fleet, policytest.Monday.Add(policytest.Hours(1))))
			silent := noticeInput(closed, tt.fleet, policytest.Monday)
			if silent.Acts = false; len(tt.want) > 0 && tt.want[0] == record.NoticeStartsSoon {
				heard(t, record.Standing{}, silent)
			}
		})
	}
}

// TestBreakerIsTold: once for each opening.
func TestBreakerIsTold(t *testing.T) {
	p, f := policytest.Plain(), crowd(3, nil)
	f.Contents.Fleet.Failures = []record.Failure{{Cluster: policytest.Shop, Attempt: "a", What: reason.PoolFailed,
		At: policytest.Monday}}
	m := heard(t, record.Standing{}, noticeInput(p, f, policytest.Monday), record.NoticeBreakerOpen)
	m = heard(t, m, noticeInput(p, f, policytest.Monday.Add(policytest.Hours(1))))
	acknowledged := crowd(0, nil)
	m = heard(t, m, noticeInput(p, acknowledged, policytest.Monday.Add(policytest.Hours(2))))
	heard(t, m, noticeInput(p, f, policytest.Monday.Add(policytest.Hours(3))), record.NoticeBreakerOpen)
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
			At: policytest.Monday.Add(time.Duration(i) * time.Minute)})
	}
	keep, old, many := box.Drop(policytest.Monday.Add(policytest.Hours(24)))
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
	keep, old, _ = box.Drop(policytest.Monday.Add(record.NoticeLasts + 10*time.Minute))
	if len(old) != 10 || len(keep) > record.MaxNotices || old[0].ID != "0" {
		t.Errorf("kept %d, old %d", len(keep), len(old))
	}
	for i := range box.Notices {
		box.Notices[i].Kind = record.NoticeStuck
	}
	if keep, _, many = box.Drop(policytest.Monday.Add(policytest.Hours(24))); len(keep) != record.MaxNotices || many[0].ID != "0" {
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
	c, r := policytest.Flying(policytest.Shop, record.RecreatingNodes)
	before := r.Clone()
	r.Failed = string(reason.PoolFailed)
	d := policy.Decision{Cluster: c, Phase: r.Phase, Rotation: &r,
		Events: []policy.Event{policy.ActionFailed(reason.PoolFailed, fact.Say("recreating pool \"web\" failed: quota")),
			policy.ActionFailed(reason.PoolFailed, fact.Say("again"))}}
	ns := Of(policytest.Plain(), &before, d, "run", policytest.Monday)
	if len(ns) != 1 || ns[0].Kind != record.NoticeStuck ||
		ns[0].Message.String() != "recreating pool \"web\" failed: quota" {
		t.Errorf("%+v", ns)
	}
	if again := Of(policytest.Plain(), &r, d, "run", policytest.Monday); len(again) != 0 {
		t.Errorf("told again: %+v", again)
	}
	d.Events, d.Close = nil, record.Lost
	if ns := Of(policytest.Plain(), &r, d, "run", policytest.Monday); len(ns) != 1 || ns[0].Kind != record.NoticeBlocked {
		t.Errorf("%+v", ns)
	}
}
