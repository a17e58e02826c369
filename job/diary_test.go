package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/state"
)

var update = flag.Bool("update", false, "write what the stories and golden files should say")

// TestDiaries plays testdata/stories: each file is a diary that an operator can
// read. A block of commands, a line of dashes, and what happened. The commands
// are documented where they are carried out, in diary_words_test.go.
func TestDiaries(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	t.Cleanup(func() { everyKindHeard(t) })
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playDiary(t, string(text))
			if got == string(text) {
				return
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s reads otherwise now; go test ./job -run Diaries -update writes it, then review the change:\n%s", file, firstDifference(string(text), got))
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		if i >= len(w) || i >= len(g) || w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant: %s\ngot:  %s", i+1, at(w, i), at(g, i))
		}
	}
	return ""
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(end)"
}

// diary is one story being played.
type diary struct {
	t       *testing.T
	environ []string
	world   *gkesim.World
	game    *sim.Game
	reader  *awayReader
	now     time.Time
	every   time.Duration
	waits   time.Duration
	last    map[fleet.Ref]string
	journal int
	told    map[string]bool // events of the last run: one that goes on is told once
	log     bytes.Buffer    // what the run logged, one JSON object a line
	out     strings.Builder
	heard   []record.Notice // what people were told, see diary_tell_test.go
	shown   int
	deaf    map[string]bool // receivers that do not answer
}

// playDiary carries out the commands and gives the file as it should be.
func playDiary(t *testing.T, text string) string {
	d := &diary{t: t, every: time.Hour, last: map[fleet.Ref]string{}, deaf: map[string]bool{},
		now: gkesim.SampleStart}
	var out strings.Builder
	for _, block := range strings.SplitAfter(text, "\n\n") {
		commands, _, _ := strings.Cut(block, "----\n")
		commands = strings.TrimRight(commands, "\n") + "\n"
		out.WriteString(commands)
		d.out.Reset()
		for _, line := range strings.Split(commands, "\n") {
			line, _, _ = strings.Cut(line, "#")
			if words := strings.Fields(line); len(words) > 0 {
				if err := d.perform(words, strings.TrimSpace(strings.TrimPrefix(line, words[0]))); err != nil {
					fmt.Fprintf(&d.out, "error: %v\n", err)
				}
			}
		}
		if d.out.Len() > 0 {
			out.WriteString("----\n" + d.out.String())
		}
		out.WriteString("\n")
	}
	d.judgeTold()
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// start builds the world at the first command that needs one.
func (d *diary) start() *gkesim.World {
	if d.world == nil {
		d.world = gkesim.New(gkesim.Options{Seed: 1, Now: d.now, GKEWaits: d.waits})
	}
	return d.world
}

func (d *diary) policy() (*rules.Policy, error) {
	environ := append([]string{"ROTATOR_ENV=test", "ROTATOR_MODE=act", "ROTATOR_STATE=file:store.db",
		"ROTATOR_PROJECTS=" + strings.Join(d.start().Projects(), ",")}, d.environ...)
	s, problems := settingsOf(environ)
	if len(problems) > 0 {
		return nil, fmt.Errorf("%v", problems)
	}
	return s.Policy(), nil
}

// step makes one run and writes down what changed.
func (d *diary) step() error {
	if err := d.begin(); err != nil {
		return err
	}
	p, err := d.policy()
	if err != nil {
		return err
	}
	d.game.Policy, d.game.Ahead = p, 48*time.Hour
	res, err := d.game.Step(d.t.Context(), d.now)
	if err != nil {
		fmt.Fprintf(&d.out, "%s  the run failed: %v\n", stamp(d.now), err)
	}
	d.tell(res)
	return nil
}

// begin sets the game up, before its first run.
func (d *diary) begin() (err error) {
	if d.game != nil {
		return nil
	}
	log := slog.New(slog.NewJSONHandler(&d.log, nil))
	d.game, err = sim.NewGame(sim.Setup{World: d.start(), From: d.now, Every: d.every, Seed: 1, Log: log})
	if err != nil {
		return err
	}
	d.listen()
	d.reader = &awayReader{Reader: d.game.Pass.Read, away: map[string]bool{}}
	d.game.Pass.Read = d.reader
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format("Mon 2006-01-02 15:04") }

// tell writes what this run decided where it differs from the last run, the
// events of what was carried out, and the requests that reached GKE.
func (d *diary) tell(res pass.Result) {
	after := map[fleet.Ref]pass.Done{}
	for _, done := range res.Done {
		after[done.Ref] = done
	}
	for _, dec := range res.Decisions {
		ref := dec.Cluster.Ref
		phase := string(dec.Phase)
		if done, ok := after[ref]; ok {
			phase = string(done.After.Phase)
			if done.After.Close != "" {
				phase = "closed: " + string(done.After.Close)
			}
		}
		line := fmt.Sprintf("%-16s  %-17s %s", ref.Name, or(phase, "(idle)"), dec.Message)
		key := fmt.Sprint(phase, dec.Action, dec.Reason)
		if d.last[ref] != key || dec.Action.Sends() {
			fmt.Fprintf(&d.out, "%s  %s  [%s]\n", stamp(d.now), line, dec.Reason)
		}
		d.last[ref] = key
	}
	d.tellJournal()
	d.tellLog()
}

// unremarkable events only repeat the lines above.
var unremarkable = []string{pass.EventRunStarted, pass.EventRunFinished, pass.EventClusterEvaluated,
	policy.EventPhaseChanged}

// tellLog writes the events of the log, as an alert would see them; one that
// every run repeats is written once.
func (d *diary) tellLog() {
	defer d.log.Reset()
	now := map[string]bool{}
	for line := range bytes.Lines(d.log.Bytes()) {
		var e struct{ Event, Level, Cluster, Msg string }
		if err := json.Unmarshal(line, &e); err != nil {
			d.t.Fatal(err)
		}
		if e.Event == "" || slices.Contains(unremarkable, e.Event) {
			continue
		}
		ref, _ := fleet.ParseRef(e.Cluster)
		told := fmt.Sprintf("%-16s  ! %s %s: %s", ref.Name, e.Level, e.Event, e.Msg)
		if now[told] = true; !d.told[told] || e.Event == policy.EventApprovalNeeded {
			fmt.Fprintf(&d.out, "%s  %s\n", stamp(d.now), told)
		}
	}
	d.told = now
}

func (d *diary) tellJournal() {
	journal := d.world.Journal()
	for _, e := range journal[d.journal:] {
		answer := "accepted"
		if !e.Accepted {
			answer = "refused: " + e.Error
		}
		parts := strings.Split(e.Cluster, "/")
		fmt.Fprintf(&d.out, "%s  %-16s  > %s %s\n", stamp(e.At), parts[len(parts)-1],
			strings.TrimSpace(e.Method+" "+e.NodePool), answer)
	}
	d.journal = len(journal)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// awayReader makes projects unreadable.
type awayReader struct {
	gke.Reader
	away map[string]bool
}

func (r *awayReader) Clusters(ctx context.Context, project string) ([]fleet.Cluster, []fleet.Unread, error) {
	if r.away[project] {
		return nil, nil, errors.New("PermissionDenied: container.clusters.list denied")
	}
	return r.Reader.Clusters(ctx, project)
}

// change edits the fleet document as a command of an operator does.
func (d *diary) change(edit func(record.FleetDoc) (record.FleetDoc, string, error)) error {
	if err := d.begin(); err != nil {
		return err
	}
	doc, err := d.game.Store.Fleet(d.t.Context())
	if err != nil {
		return err
	}
	doc, answer, err := edit(doc)
	if err != nil {
		return err
	}
	fmt.Fprintf(&d.out, "%s  %s\n", stamp(d.now), answer)
	_, err = d.game.Store.Write(d.t.Context(), state.Change{Fleet: &doc})
	return err
}
