package sim

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"github.com/googleapis/gax-go/v2"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/state"
)

// samplePolicy is the defaults, for the project's own fleet.
func samplePolicy(t *testing.T, w *gkesim.World) *rules.Policy {
	t.Helper()
	p := careful(t)
	p.MaxCAAge, p.MaxActive, p.MaxFailed, p.Projects = 0, 10, 1, w.Projects()
	return p
}

// sampleGame plays the project's own fleet for so many hours.
func sampleGame(t *testing.T, hours int) *Game {
	t.Helper()
	w := gkesim.New(gkesim.Options{Seed: 1, Now: gkesim.SampleStart})
	if err := w.AddSample(); err != nil {
		t.Fatal(err)
	}
	p := samplePolicy(t, w)
	g, err := NewGame(Setup{Policy: p, World: w, From: gkesim.SampleStart,
		Every: time.Hour, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for h := range hours {
		step(t, g, h)
	}
	return g
}

func step(t *testing.T, g *Game, h int) []string {
	t.Helper()
	res, err := g.Step(context.Background(), gkesim.SampleStart.Add(time.Duration(h)*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range res.Done {
		if d.Action == policy.Start || d.Action == policy.Complete || d.After.Close != "" {
			out = append(out, res.At.Format(time.DateTime)+" "+d.Ref.String()+" "+string(d.Action)+
				string(d.After.Close))
		}
	}
	return out
}

// present is the game's fleet and store as they are.
func present(t *testing.T, g *Game) *Present {
	t.Helper()
	contents, err := g.Store.Contents(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	p, err := Read(context.Background(), gke.Over(g.World.Direct(), gke.NoRetry()), g.Store, contents,
		g.Policy.Projects)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestForecastGoesOn: from any hour of a story, with rotations in every phase,
// a forecast comes to what the rest of the story comes to, and changes nothing
// of where it began.
func TestForecastGoesOn(t *testing.T) {
	const days = 12
	phases := map[record.Phase]bool{}
	for _, hours := range goOnFrom {
		g := sampleGame(t, hours)
		p := present(t, g)
		for _, r := range p.Contents.Rotations {
			phases[r.Phase] = true
		}
		from := gkesim.SampleStart.Add(time.Duration(hours) * time.Hour)
		w, err := p.World(1, g.now)
		if err != nil {
			t.Fatal(err)
		}
		var foreseen, played []string
		f, err := Foresee(context.Background(), Setup{Policy: g.Policy, World: w, From: from, Days: days,
			Every: time.Hour, Seed: 1, Contents: p.Contents, History: p.History}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, turn := range f.Turns {
			for what, at := range map[string]time.Time{"start": turn.Start, "complete": turn.Completed,
				"update" + string(turn.Closed): turn.Verified} {
				if !at.Before(from) {
					foreseen = append(foreseen, at.UTC().Format(time.DateTime)+" "+turn.Cluster.String()+" "+what)
				}
			}
		}
		for h := hours; h <= hours+24*days; h++ {
			played = append(played, step(t, g, h)...)
		}
		slices.Sort(foreseen)
		slices.Sort(played)
		if !slices.Equal(foreseen, played) {
			t.Errorf("from hour %d:\nforeseen\n%s\nplayed\n%s", hours, strings.Join(foreseen, "\n"),
				strings.Join(played, "\n"))
		}
		if len(played) < 6 {
			t.Errorf("from hour %d only %d things happened", hours, len(played))
		}
	}
	if len(phases) < min(len(record.Phases), len(goOnFrom)) {
		t.Errorf("only the phases %v were in flight", phases)
	}
}

// TestForecastChangesNothing: neither store nor GKE.
func TestForecastChangesNothing(t *testing.T) {
	g := sampleGame(t, 6)
	before, sent := present(t, g), len(g.World.Journal())
	w, err := before.World(1, g.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Foresee(context.Background(), Setup{Policy: g.Policy, World: w, From: g.now, Days: 10,
		Every: time.Hour, Contents: before.Contents}, nil); err != nil {
		t.Fatal(err)
	}
	after := present(t, g)
	if len(g.World.Journal()) != sent || after.Contents.Fleet.Version != before.Contents.Fleet.Version ||
		len(after.Contents.Rotations) != len(before.Contents.Rotations) {
		t.Error("a forecast has changed the fleet or the store that it began with")
	}
}

// lame is a GKE of which one project does not answer.
type lame struct {
	gkesim.Direct
	project string
}

var errLame = errors.New("permission denied")

// TestForecastOfUnread: what cannot be read is said, and what is in flight there
// is left out with its slot; when nothing can be read, there is no forecast.
func TestForecastOfUnread(t *testing.T) {
	g := sampleGame(t, 6)
	contents, err := g.Store.Contents(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	cloud := gke.Over(lame{g.World.Direct(), "shop-prod"}, gke.NoRetry())
	p, err := Read(context.Background(), cloud, g.Store, contents, g.Policy.Projects)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Contents.Rotations) >= len(contents.Rotations) ||
		len(p.Contents.Fleet.Slots) >= len(contents.Fleet.Slots) {
		t.Errorf("%d of %d rotations and %d of %d slots are left", len(p.Contents.Rotations),
			len(contents.Rotations), len(p.Contents.Fleet.Slots), len(contents.Fleet.Slots))
	}
	told := ""
	for _, u := range p.Unread {
		told += u.Project + ": " + u.Reason + "\n"
	}
	if !strings.Contains(told, errLame.Error()) ||
		!strings.Contains(told, "catalog is in flight and could not be read") {
		t.Errorf("told: %s", told)
	}
	if _, err := Read(context.Background(), cloud, state.NewMemory(false), record.Contents{},
		[]string{"shop-prod"}); err == nil || !strings.Contains(err.Error(), errLame.Error()) {
		t.Errorf("nothing could be read, and yet: %v", err)
	}
}

// ListClusters fails for the project.
func (l lame) ListClusters(ctx context.Context, req *containerpb.ListClustersRequest,
	o ...gax.CallOption) (*containerpb.ListClustersResponse, error) {
	if strings.HasPrefix(req.GetParent(), "projects/"+l.project+"/") {
		return nil, errLame
	}
	return l.Direct.ListClusters(ctx, req, o...)
}

// TestWhatPrevents: what a cluster could not do without is blamed, not what it
// happens to wait for first.
func TestWhatPrevents(t *testing.T) {
	for _, tt := range []struct {
		cluster string
		change  func(*rules.Policy)
		want    reason.Code
	}{
		{"checkout", func(p *rules.Policy) { settle(t, &p.Freezes, "2026-11-20/2026-12-15") }, reason.Frozen},
		{"search", func(p *rules.Policy) {
			p.MaxActivePerProject = 1
			settle(t, &p.CompleteWindow,
				"Mon 09:00-10:00")
		}, reason.BudgetProject},
		{"orders", func(p *rules.Policy) { p.Approval = rules.ApproveStart }, reason.ApprovalNeeded},
		{"orders", func(p *rules.Policy) { p.Soak = 5 * day; settle(t, &p.CompleteWindow, "Mon 09:00-09:10") },
			reason.DoesNotFit},
		{"legacy", func(*rules.Policy) {}, reason.CAExpired},
	} {
		w := gkesim.New(gkesim.Options{Seed: 1, Now: gkesim.SampleStart})
		if err := w.AddSample(); err != nil {
			t.Fatal(err)
		}
		p := *samplePolicy(t, w)
		tt.change(&p)
		f, err := Foresee(context.Background(), Setup{Policy: &p, World: w, From: gkesim.SampleStart, Days: 7,
			Every: time.Hour, Seed: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(f.Left, func(l Left) bool { return l.Cluster.Name == tt.cluster })
		if at < 0 || f.Left[at].Held.Reason != tt.want {
			t.Errorf("%s is held up by %+v; want %s", tt.cluster, f.Left[max(at, 0)].Held, tt.want)
		}
	}
}

// TestUnreadRegion: what plan calls unreadable a forecast leaves out: a zonal
// cluster in a region that did not answer, and a regional one of which a zone did not.
func TestUnreadRegion(t *testing.T) {
	zonal := fleet.Ref{Project: "p", Location: "europe-west1-b", Name: "zonal"}
	regional := fleet.Ref{Project: "p", Location: "us-east1", Name: "regional"}
	other := fleet.Ref{Project: "p", Location: "europe-west10", Name: "other"}
	p := Present{
		Unread:   []fleet.Unread{{Project: "p", Location: "europe-west1"}, {Project: "p", Location: "us-east1-c"}},
		Contents: record.Contents{Rotations: map[fleet.Ref]record.Rotation{zonal: {}, regional: {}, other: {}}},
	}
	p.forgetUnread()
	if _, there := p.Contents.Rotations[other]; len(p.Contents.Rotations) != 1 || !there {
		t.Errorf("on record stay %v, want %s alone", p.Contents.Rotations, other)
	}
}

// TestForecastWaitsOnGKE: nobody knows when GKE ends what has lasted too long, so no start is
// foreseen; what GKE has only begun is soon over.
func TestForecastWaitsOnGKE(t *testing.T) {
	for _, since := range []time.Duration{time.Hour, 40 * time.Hour} {
		g := sampleGame(t, 0)
		p := present(t, g)
		i := slices.IndexFunc(p.Clusters, func(s gke.Seen) bool { return s.Ref.Name == "catalog" })
		seen := &p.Clusters[i]
		seen.Cluster.Status = containerpb.Cluster_RECONCILING
		p.Patience = g.Policy.StuckAfter
		delete(p.Contents.Rotations, seen.Ref)
		p.Contents.Fleet.Slots = nil
		p.Contents.Fleet.OnGKE = map[string]record.GKEWork{
			seen.Ref.String(): {What: "RECONCILING", Since: g.now.Add(-since)}}
		w, err := p.World(1, g.now)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Foresee(context.Background(), Setup{Policy: g.Policy, World: w, From: g.now, Days: 10,
			Every: time.Hour, Contents: p.Contents}, nil)
		if err != nil {
			t.Fatal(err)
		}
		starts := slices.ContainsFunc(f.Turns, func(x Turn) bool { return x.Cluster == seen.Ref })
		left := slices.IndexFunc(f.Left, func(l Left) bool { return l.Cluster == seen.Ref })
		if long := since > p.Patience; starts == long || long != (left >= 0) ||
			long && f.Left[left].Reason != reason.GKEWorksLong {
			t.Errorf("since %s: starts %v, left %v", since, starts, f.Left)
		}
	}
}
