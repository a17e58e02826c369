package real

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/simtest/fleets"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// crowdOf are so many clusters in the four projects, of three shapes, always
// open, none near enough to its CA's end to be an emergency.
func crowdOf(n int) []fleets.Member {
	var out []fleets.Member
	for i := range n {
		m := fleets.At([]string{"shop", "bank", "ml", "dev"}[i%4], "europe-west1", fmt.Sprintf("c-%02d", i), nil)
		switch i % 6 {
		case 2:
			m.Shape = fleets.Autopilot
		case 5:
			m.Shape = fleets.BlueGreen
		}
		out = append(out, m)
	}
	return out
}

// TestUnderFire: real processes, two to four at once, are killed at random
// moments and started again, over whole rotations; then GKE's journal and the
// store agree.
func TestUnderFire(t *testing.T) {
	t.Parallel()
	rotator := build(t).with("ROTATOR_MAX_ACTIVE=6", "ROTATOR_SOAK=2h")
	bothStores(t, func(t *testing.T, contents []string) {
		killed := 0
		for seed := *firstFire; killed < *mostKills*3/4 && !t.Failed(); seed++ {
			f := newFire(t, seed, rotator, contents, crowdOf(12))
			killed += f.play(seed, *mostKills-killed)
			contents = nextStore(contents, seed)
		}
	})
}

// nextStore is another new store in the same place.
func nextStore(contents []string, n uint64) []string {
	contents = slices.Clone(contents)
	contents[len(contents)-1] += fmt.Sprint("-", n)
	return contents
}

// play makes a story: under fire until so many processes are killed or all is
// done, then in peace to the end.
func (f *fire) play(seed uint64, most int) (killed int) {
	f.t.Helper()
	began := time.Now()
	for f.killed() < most && len(f.look()) < len(f.members) && f.now.Sub(fleets.Monday) < 24*time.Hour {
		f.together(2+f.IntN(3), places[f.IntN(len(places))], f.someMoment)
	}
	fought := f.now
	for range 60 {
		if len(f.look()) == len(f.members) {
			break
		}
		f.people()
		f.together(1, "", func() moment { return moment{} })
	}
	for !f.lateBy.IsZero() {
		f.pass()
	}
	f.judge()
	f.t.Logf("seed %d: %d runs, %d killed (%s), %d started again, %d told to stop, %d writes too late; what the dead had sent: %v; killed until %s, verified by %s; %.1f s",
		seed, f.runs, f.killed(), tallied(f.kills), f.restarts, f.stops, f.clashes, f.fates,
		fought.Sub(fleets.Monday), f.now.Sub(fleets.Monday), time.Since(began).Seconds())
	return f.killed()
}

func (f *fire) killed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, k := range f.kills {
		n += k
	}
	return n
}

func tallied(m map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}

// look checks what must hold whenever no process is at work, and gives the
// clusters whose rotation is completed on record.
func (f *fire) look() map[string]bool {
	f.t.Helper()
	ctx := context.Background()
	contents, err := f.store.Contents(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	history := f.history()
	f.mu.Lock() // what the dead had sent may be answered now
	defer f.mu.Unlock()
	for cluster, slot := range contents.Fleet.Slots {
		ref, err := fleet.ParseRef(cluster)
		if r, ok := contents.Rotations[ref]; err != nil || !ok || r.AttemptID != slot.Attempt {
			f.t.Errorf("%s: the slot of %s has no holder", f.now, cluster)
		}
	}
	for ref, r := range contents.Rotations {
		f.attempts[r.AttemptID] = ref.String()
		if r.Origin == record.Foreign {
			f.t.Errorf("%s: ours is on record as somebody else's: %s", f.now, ref)
		}
		for _, c := range callsOf(r) {
			f.intents[c.ID] = ref.String()
		}
	}
	done := map[string]bool{}
	for ref, records := range history {
		for _, rec := range records {
			f.attempts[rec.Rotation.AttemptID] = ref
			if rec.ClosedAs == record.Completed {
				done[ref] = true
			}
		}
	}
	return done
}

func (f *fire) history() map[string][]record.Record {
	f.t.Helper()
	out := map[string][]record.Record{}
	for _, m := range f.members {
		ref, err := fleet.ParseRef(m.String())
		if err != nil {
			f.t.Fatal(err)
		}
		if out[m.String()], err = f.store.History(context.Background(), ref); err != nil {
			f.t.Fatal(err)
		}
	}
	return out
}

// people let go on what waits for them.
func (f *fire) people() {
	f.t.Helper()
	at := f.now.Format(time.RFC3339)
	p := f.with("ROTATOR_GKE_ENDPOINT=" + f.gke.address)
	text, _ := p.run(f.t, "plan", "--at", at, "--format", "json")
	var pl planned
	if err := json.Unmarshal([]byte(text), &pl); err != nil {
		f.t.Fatal(err)
	}
	for _, c := range pl.Clusters {
		if c.Action == string(policy.NeedsAction) {
			p.run(f.t, "retry", c.Cluster, "--by", "ann", "--reason", "the fire is out", "--at", at)
		}
	}
}

// judge counts: what GKE took against what is on record.
func (f *fire) judge() {
	f.t.Helper()
	took, arrived := map[string]int{}, map[string]int{}
	for _, e := range f.gke.journal(f.t) {
		key := e.Cluster + " " + e.Method
		if arrived[key]++; e.Accepted {
			took[key]++
		}
	}
	history, lost := f.history(), 0
	f.mu.Lock()
	defer f.mu.Unlock()
	attempts, calls := map[string]int{}, map[string]int{}
	starts, completes := []int{}, []int{}
	for _, m := range f.members {
		ended := map[record.ClosedAs]int{}
		sent := map[record.CallKind]int{}
		for _, rec := range history[m.String()] {
			attempts[rec.Rotation.AttemptID]++
			ended[rec.ClosedAs]++
			for _, c := range callsOf(rec.Rotation) {
				calls[c.ID]++
				if c.State != record.Withdrawn {
					sent[c.Kind]++
				}
			}
		}
		start, complete := took[m.Path()+" StartIPRotation"], took[m.Path()+" CompleteIPRotation"]
		starts, completes = append(starts, start), append(completes, complete)
		if start != 1 || complete != 1 {
			f.t.Errorf("%s: GKE took %d starts and %d completes", m, start, complete)
		}
		if ended[record.Completed] != 1 || ended[record.Completed]+
			ended[record.NotStarted] != len(history[m.String()]) {
			f.t.Errorf("%s: on record are %v", m, ended)
		}
		for kind, methods := range map[record.CallKind][]string{
			record.CallStart: {"StartIPRotation"}, record.CallComplete: {"CompleteIPRotation"},
			record.CallRecreate: {"UpdateNodePool", "UpdateCluster"},
		} {
			n := 0
			for _, method := range methods {
				n += arrived[m.Path()+" "+method]
			}
			if n > sent[kind] {
				f.t.Errorf("%s: %d %s calls reached GKE, %d are on record as sent", m, n, kind, sent[kind])
			}
		}
	}
	for id, cluster := range f.attempts {
		if attempts[id] != 1 {
			lost++
			f.t.Errorf("%s: attempt %s is on record %d times", cluster, id, attempts[id])
		}
	}
	for id, cluster := range f.intents {
		if calls[id] != 1 {
			lost++
			f.t.Errorf("%s: call %s is on record %d times", cluster, id, calls[id])
		}
	}
	contents, err := f.store.Contents(context.Background())
	if err != nil || len(contents.Rotations) != 0 || len(contents.Fleet.Slots) != 0 {
		f.t.Errorf("left in the store: %v, %v, %v", contents.Rotations, contents.Fleet.Slots, err)
	}
	f.t.Logf("starts %v, completes %v, %d attempts and %d calls on record, lost records %d; most in flight %d",
		starts, completes, len(f.attempts), len(f.intents), lost, mostInFlight(f.gke.journal(f.t)))
}

// completing is how long the simulated GKE takes to complete a rotation.
const completing = 8 * time.Minute

// mostInFlight counts from GKE's journal alone: accepted starts that no
// accepted completion has ended. GKE completes nothing by itself before the
// seventh day, which no story here lives to see.
func mostInFlight(journal []gkesim.Entry) int {
	most := 0
	var begun, ended []time.Time
	for _, e := range journal {
		switch {
		case !e.Accepted:
		case e.Method == "StartIPRotation":
			begun = append(begun, e.At)
			over := 0
			for _, t := range ended {
				if !t.After(e.At) {
					over++
				}
			}
			most = max(most, len(begun)-over)
		case e.Method == "CompleteIPRotation":
			ended = append(ended, e.At.Add(completing))
		}
	}
	return most
}
