package trial

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/state"
)

var hunt = flag.Int("hunt", 0, "TestDefects looks for a seed for each defect among so many")

// planted are defects, each in a wrapper of a port, and the promise by which
// the judge finds it at that seed. Rule is the one of protocol.md that the
// defect breaks; 0: none of the ten.
var planted = []struct {
	name          string
	promise, rule int
	seed          uint64
	with          Options
	world         func(pass.World, Process) pass.World
}{
	{"every CA seems to expire half a year sooner", 1, 0, 10, short, lying(func(c *fleet.Cluster) {
		for i := range c.Bundle.CAs {
			c.Bundle.CAs[i].Expires = c.Bundle.CAs[i].Expires.Add(-200 * day)
		}
	})},
	{"maintenance policies are not seen", 1, 0, 1, short, lying(func(c *fleet.Cluster) {
		c.Maintenance.Window, c.Maintenance.Exclusions, c.Maintenance.Problem = rules.Policy{}.Window, nil, ""
	})},
	{"labels are not seen", 1, 0, 13, short,
		lying(func(c *fleet.Cluster) { c.Labels = map[string]string{"env": "dev"} })},
	{"a run sends the intents of others that it finds", 2, 1, 3, short, sendsOthers},
	{"a write of which nobody knows the end counts as done", 2, 1, 4, short, keeping(badStore{
		wrote: func(_ context.Context, _ state.Store, c, now state.Change, err error) (state.Change, error) {
			if errors.Is(err, errStore) {
				return c, nil
			}
			return now, err
		},
	})},
	{"the transport repeats what stayed without an answer", 2, 2, 1, short, sendsTwice},
	{"the monotonic clock stands still", 2, 2, 12, short, frozen},
	{"a wall clock is 31 minutes ahead", 5, 3, 10, short, ahead},
	{"intents are read as half an hour older", 5, 3, 24, short,
		keeping(badStore{contents: func(b *record.Contents) {
			for ref, r := range b.Rotations {
				if r.Call != nil {
					r = copyOf(r)
					r.Call.IntentAt = r.Call.IntentAt.Add(-30 * time.Minute)
					b.Rotations[ref] = r
				}
			}
		}})},
	{"the read under the intent is from before it", 2, 4, 1, short, fromBefore},
	{"the cluster is read before its operations", 2, 5, 1, short, clusterFirst},
	{"a read that shows less is believed: the second CA is not seen", 5, 5, 10, short,
		lying(func(c *fleet.Cluster) { c.Bundle.CAs = c.Bundle.CAs[:min(1, len(c.Bundle.CAs))] })},
	{"a refusal clears the call", 5, 6, 6, short, keeping(badStore{write: func(c *state.Change) {
		if r := c.Rotation; r != nil && r.Call != nil && r.Call.State == record.Refused {
			r.Call = nil
		}
	}})},
	{"slots of others are not seen", 4, 7, 1, short,
		keeping(badStore{fleet: func(d *record.FleetDoc) { d.Slots = nil }})},
	{"a slot is not stored with its start", 4, 7, 1, short, keeping(badStore{write: func(c *state.Change) {
		if c.Fleet != nil && c.Rotation != nil && c.Rotation.Call != nil &&
			c.Rotation.Call.State == record.Intended && len(c.Rotation.Transitions) == 1 {
			delete(c.Fleet.Slots, c.Rotation.Cluster.String())
		}
	}})},
	{"the hand-over is backdated", 3, 8, 1, short, keeping(badStore{write: func(c *state.Change) {
		if r := c.Rotation; r != nil && !r.HandedOverAt.IsZero() {
			r.HandedOverAt, r.Promised = r.HandedOverAt.Add(-6*day), r.Promised.Add(-6*day)
		}
	}})},
	{"pools count as recreated that are not", 3, 8, 1, short,
		keeping(badStore{contents: func(b *record.Contents) {
			for ref, r := range b.Rotations {
				r.PoolsSeen = nil
				b.Rotations[ref] = r
			}
		}})},
	{"every completion seems approved", 3, 0, 10, short, approving},
	{"the second CA of a late start is not remembered as ours: history is hidden", 5, 9, 10, tardy,
		keeping(badStore{history: func([]record.Record) []record.Record { return nil }})},
	{"nobody gets the lease", 8, 10, 1, short, keeping(badStore{lease: func(l state.Lease) state.Lease {
		l.Holder = "somebody else"
		return l
	}})},
	{"writes go over what others wrote", 6, 6, 10, short, keeping(badStore{wrote: ignoresVersions})},
	{"an old phase is read with the newest version", 6, 0, 1, short,
		keeping(badStore{contents: func(b *record.Contents) {
			for ref, r := range b.Rotations {
				if r.Phase == record.RecreatingNodes && r.Call != nil && len(r.Transitions) > 1 {
					r.Transitions = r.Transitions[:1]
					r.Phase = r.Transitions[0].Phase
					b.Rotations[ref] = r
				}
			}
		}})},
	{"a plan writes", 7, 0, 1, short, planWrites},
	{"observe sends", 7, 0, 2, short, observeSends},
	{"holds are not seen", 7, 0, 3, short, keeping(badStore{fleet: func(d *record.FleetDoc) { d.Holds = nil }})},
	{"labels that hold are not seen", 7, 0, 25, short, lying(func(c *fleet.Cluster) {
		c.Labels = maps.Clone(c.Labels)
		maps.DeleteFunc(c.Labels, func(key, _ string) bool { return strings.HasPrefix(key, "rotator-hold") })
	})},
	{"a slot is never given back", 8, 7, 1, short, keeping(badStore{write: func(c *state.Change) {
		if c.Close != nil && c.Fleet != nil && c.Close.ClosedAs == record.Completed {
			c.Fleet.Slots[c.Close.Rotation.Cluster.String()] = record.Slot{Attempt: c.Close.Rotation.AttemptID}
		}
	}})},
	{"CAs seem to live for ever", 9, 0, 14, quiet, lying(func(c *fleet.Cluster) {
		for i := range c.Bundle.CAs {
			c.Bundle.CAs[i].Expires = c.Bundle.CAs[i].Expires.Add(100 * 365 * day)
		}
	})},
	{"GKE's date is told a day late", 10, 0, 2, heard,
		dated(func(h *record.HandOver) { h.GKECompletes = h.GKECompletes.Add(day) })},
	{"our date is told a day late", 11, 0, 1, heard,
		dated(func(h *record.HandOver) { h.Completes = h.Completes.Add(day) })},
	{"a promise is forgotten", 11, 0, 22, heard, keeping(badStore{contents: unpromised})},
	{"a wave forgets who is in it", 12, 0, 1, short,
		hiding(func(c fleet.Cluster) bool { return c.Labels["env"] == "dev" })},
	{"a call is withdrawn for ever, and nobody counts", 12, 0, 2, short, untold},
}

// The plays in which defects are planted.
var (
	short = Options{Clusters: 5, Days: 34, Faults: true}
	tardy = Options{Clusters: 5, Days: 34, Faults: true, Late: true}
	quiet = Options{Clusters: 14, Days: 60}
	heard = Options{Clusters: 8, Days: 40, Faults: true, Notify: true}
)

// TestDefects: the judge finds every planted defect, and names the promise; and
// without it the same seed is clean.
func TestDefects(t *testing.T) {
	clean := map[string]error{}
	for _, d := range planted {
		t.Run(fmt.Sprintf("promise %d, rule %d: %s", d.promise, d.rule, d.name), func(t *testing.T) {
			o := d.with
			o.Seed, o.Judge = d.seed, NewJudge
			if *hunt > 0 {
				t.Log("seed", seedFor(o, d.promise, d.name, d.world))
				return
			}
			if found := promisesBroken(o, d.name, d.world); !slices.Contains(found, d.promise) {
				t.Errorf("seed %d: broken are promises %v, want %d", d.seed, found, d.promise)
			}
			o.Watch = nil
			key := fmt.Sprint(o.Seed, o.Clusters, o.Days, o.Faults, o.Late, o.Notify)
			if _, known := clean[key]; !known {
				clean[key] = nil
				if found := promisesBroken(o, "", nil); len(found) > 0 {
					clean[key] = fmt.Errorf("seed %d is not clean without a defect: promises %v", o.Seed, found)
				}
			}
			if err := clean[key]; err != nil {
				t.Error(err)
			}
		})
	}
}

// promisesBroken plays and lists the promises that the judge found broken, each
// once, in that order.
func promisesBroken(o Options, name string, world func(pass.World, Process) pass.World) []int {
	if world != nil {
		o.Defect = &Defect{Name: name, World: world}
	}
	var found []int
	o.Watch = func(_ *Event, vs []Violation) {
		for _, v := range vs {
			if !slices.Contains(found, v.Promise) {
				found = append(found, v.Promise)
			}
		}
	}
	if _, err := Play(o); err != nil {
		return []int{-1}
	}
	return found
}

// seedFor looks for a seed at which the defect is found by its promise, of all
// the first one.
func seedFor(o Options, promise int, name string, world func(pass.World, Process) pass.World) string {
	also := ""
	for seed := range uint64(*hunt) {
		o.Seed = seed + 1
		found := promisesBroken(o, name, world)
		if len(found) > 0 && (found[0] == promise || seed > 8 && slices.Contains(found, promise)) &&
			len(promisesBroken(o, "", nil)) == 0 {
			return fmt.Sprintf("%d: %v; before: %s", o.Seed, found, also)
		}
		if len(found) > 0 {
			also += fmt.Sprintf(" %d:%v", o.Seed, found)
		}
	}
	return "none; but" + also
}
