package real

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/simtest/fleets"
	"gke-credential-rotator/state"
	"gke-credential-rotator/state/emulator"
)

// stores are the stores that the whole job is played over: the settings that
// name a new store in each.
func bothStores(t *testing.T, play func(t *testing.T, settings []string)) {
	t.Run("file", func(t *testing.T) {
		t.Parallel() // much of it is waiting
		play(t, []string{"ROTATOR_STATE=file:" + filepath.Join(t.TempDir(), "store.db")})
	})
	t.Run("firestore", func(t *testing.T) {
		t.Parallel()
		host := emulator.Start(t)
		play(t, []string{emulator.EnvHost + "=" + host, "ROTATOR_STATE=firestore://demo-whole/store-" +
			strings.ToLower(rand.Text())})
	})
}

// openStore opens the store that the settings of [stores] name.
func openStore(t *testing.T, settings []string) (contents state.Store) {
	t.Helper()
	var err error
	host := ""
	for _, setting := range settings {
		if at, ok := strings.CutPrefix(setting, emulator.EnvHost+"="); ok {
			host = at
		}
		if path, ok := strings.CutPrefix(setting, "ROTATOR_STATE=file:"); ok {
			contents, err = state.OpenFile(path, state.FileWait)
		}
		if name, ok := strings.CutPrefix(setting, "ROTATOR_STATE=firestore://"); ok {
			project, database, _ := strings.Cut(name, "/")
			contents, err = state.OpenFirestore(t.Context(), project, database, state.FirestoreOptions{Emulator: host})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = contents.Close() })
	return contents
}

// settings are those of every story here.
func settings(address string) []string {
	return []string{
		"ROTATOR_ENV=whole", "ROTATOR_PROJECTS=shop,bank,ml,dev", "ROTATOR_MODE=act",
		"ROTATOR_GKE_ENDPOINT=" + address, "ROTATOR_SOAK=48h",
	}
}

// planned is what plan says that the story needs.
type planned struct {
	Clusters []struct {
		Cluster, Phase, Action, Reason string
		CAIssued, NextChangeAt         time.Time
	}
}

func (p *program) plan(t *testing.T, now time.Time) planned {
	t.Helper()
	text, _ := p.run(t, "plan", "--at", now.Format(time.RFC3339), "--format", "json")
	var out planned
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// next is the hour of the next run worth making: the next one while operations
// run, else the one in which the plan may change.
func (pl planned) next(now time.Time) time.Time {
	at := now.Add(24 * time.Hour)
	for _, c := range pl.Clusters {
		if c.Phase != "" && c.Phase != "updating-clients" {
			return now.Add(time.Hour)
		}
		if change := c.NextChangeAt.Add(time.Hour - time.Second).Truncate(time.Hour); change.After(now) &&
			change.Before(at) {
			at = change
		}
	}
	return at
}

// verified counts the clusters that have a CA of the story's own and no
// rotation any more.
func (pl planned) verified() int {
	n := 0
	for _, c := range pl.Clusters {
		if c.Phase == "" && c.CAIssued.After(fleets.Monday.AddDate(0, 0, -1)) {
			n++
		}
	}
	return n
}

// TestTwelve plays twelve clusters from due to verified, every run a process
// of its own, over the served simulator.
func TestTwelve(t *testing.T) {
	t.Parallel()
	rotator := build(t)
	bothStores(t, func(t *testing.T, contents []string) {
		gke := rotator.simulator(t, fleets.Monday, fleets.Of(fleets.Twelve))
		rotator := rotator.with(settings(gke.address)...).with(contents...)
		rotator.looksOnly(t, gke)
		now, runs := fleets.Monday, 0
		for pl := rotator.plan(t, now); pl.verified() < len(fleets.Twelve); {
			if runs >= 150 {
				t.Fatalf("after %d runs, on %s, %d are verified: %+v", runs, now, pl.verified(), pl)
			}
			rotator.run(t, "run", "--at", now.Format(time.RFC3339))
			runs++
			sent := len(gke.journal(t))
			pl = rotator.plan(t, now)
			if after := len(gke.journal(t)); after != sent {
				t.Fatalf("plan sent %d requests", after-sent)
			}
			now = pl.next(now)
			gke.clock(t, now)
		}
		t.Logf("%d clusters verified in %d runs, until %s", len(fleets.Twelve), runs, now.Format(time.DateTime))
		judge(t, fleets.Twelve, gke.journal(t))
		rotator.remembers(t, fleets.Twelve[1], now)
	})
}

// remembers: the finished rotation of a cluster is told by status, phase by
// phase.
func (p *program) remembers(t *testing.T, m fleets.Member, now time.Time) {
	t.Helper()
	at := now.Format(time.RFC3339)
	text, _ := p.run(t, "status", m.String(), "--at", at)
	t.Logf("status %s\n%s", m, text)
	text, _ = p.run(t, "status", m.String(), "--at", at, "--format", "json")
	var status struct {
		InFlight any
		History  []struct {
			ClosedAs, CompletedBy string
			Rotation              struct{ Transitions []struct{ Phase string } }
		}
	}
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatal(err)
	}
	if status.InFlight != nil || len(status.History) != 1 || status.History[0].ClosedAs != "completed" ||
		status.History[0].CompletedBy != "us" {
		t.Fatalf("%s", text)
	}
	var phases []string
	for _, tr := range status.History[0].Rotation.Transitions {
		phases = append(phases, tr.Phase)
	}
	if got := strings.Join(phases,
		" "); got != "starting recreating-nodes updating-clients completing verifying" {
		t.Errorf("%s went through %s", m, got)
	}
}

// looksOnly: plan and observe send nothing that would change a cluster.
func (p *program) looksOnly(t *testing.T, gke simulator) {
	t.Helper()
	at := fleets.Monday.Format(time.RFC3339)
	p.run(t, "plan", "--at", at)
	observe := p.with("ROTATOR_MODE=observe", "ROTATOR_STATE=file:"+filepath.Join(t.TempDir(), "observed.db"))
	observe.run(t, "plan", "--at", at)
	observe.run(t, "run", "--at", at)
	if entries := gke.journal(t); len(entries) != 0 {
		t.Fatalf("plan and observe sent %+v", entries)
	}
}

// judge reads the journal by itself: each cluster was started once and
// completed once, in that order, nodes and starts in its own window, and
// completions when people are awake.
func judge(t *testing.T, members []fleets.Member, journal []gkesim.Entry) {
	t.Helper()
	const room = 17 * time.Minute
	sent := map[string][]string{}
	known := map[string]fleets.Member{}
	for _, m := range members {
		known[m.Path()] = m
	}
	for _, e := range journal {
		m, at := known[e.Cluster], e.At.UTC()
		var inside bool
		switch e.Method {
		case "StartIPRotation":
			inside = m.Open(at) && m.Open(at.Add(room))
		case "CompleteIPRotation":
			day := at.Weekday()
			inside = day >= time.Monday && day <= time.Thursday && at.Hour() >= 9 && at.Add(room).Hour() < 15
		default:
			inside = m.Open(at)
			e.Method = "" // of nodes there may be many
		}
		if !inside {
			t.Errorf("%s %s at %s is outside its window", e.Method, m, at.Format("Mon 2006-01-02 15:04"))
		}
		if e.Method != "" {
			sent[e.Cluster] = append(sent[e.Cluster], fmt.Sprint(e.Method, " ", e.Accepted))
		}
	}
	for _, m := range members {
		if got := strings.Join(sent[m.Path()], ", "); got != "StartIPRotation true, CompleteIPRotation true" {
			t.Errorf("%s was sent %s", m, got)
		}
	}
}
