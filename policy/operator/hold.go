package operator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// Hold stops every mutating call of ours to what the target covers. until is when it
// ends by itself; zero: when released. It takes the place of no hold but of those of the
// same person on the same target that end no later.
func Hold(f record.FleetDoc, on record.Target, until time.Time, said record.Said) (record.FleetDoc, string,
	error) {
	if !until.IsZero() && !until.After(said.At) {
		return f, "", over("hold", until)
	}
	h := record.Hold{Target: on, Until: until, Said: said.Short()}
	f = f.Clone()
	f.Holds = slices.DeleteFunc(f.Holds, func(x record.Hold) bool {
		return x.Typed() == on.Typed() && (x.Is(h.By) && !x.Outlasts(h) || !x.Binds(said.At))
	})
	same := func(x record.Hold) bool { return x.Typed() == on.Typed() }
	instead, fits := makeRoom(&f, h)
	switch {
	case !fits && on.All(): // all of them end later than this one would
		return f, fmt.Sprintf("%s is held longer already, by %s", on, heldBy(f, said.At, same)), nil
	case !fits:
		return f, "", fmt.Errorf("%w; a stop of all clusters always has room: rotator hold all --by NAME",
			tooMany(len(f.Holds), "holds", "release some"))
	}
	h.ID = holdID(f, h)
	text := fmt.Sprintf("%s is held %s, by %s (hold %s)", on, untilWhen(until), record.Who(said), h.ID)
	if n := matchedRoom(f); n < len(h.Matched) {
		text += fmt.Sprintf("; %d of them only as long as their labels match", len(h.Matched)-n)
		h.Matched = h.Matched[:n]
	}
	if others := heldBy(f, said.At, same); others != "" {
		text += "; it is held by " + others + ", too"
	}
	f.Holds = append(f.Holds, h)
	return f, text + instead + "; what ends it: " + toRelease(h), nil
}

// makeRoom sees that one more hold fits. Single clusters and selectors, projects, and all
// clusters have places of their own; where those of the large ones are taken, the new hold
// may have that of one on the same target that ends no later.
func makeRoom(f *record.FleetDoc, h record.Hold) (instead string, fits bool) {
	n, most, first := 0, record.MaxSaid, -1
	if h.Stop() {
		most = record.MaxStops
	}
	for i, x := range f.Holds {
		if x.Stop() == h.Stop() && x.All() == h.All() {
			n++
		}
		if x.Typed() == h.Typed() && !x.Outlasts(h) && (first < 0 || f.Holds[first].Outlasts(x)) {
			first = i
		}
	}
	switch {
	case n < most:
		return "", true
	case first < 0 || !h.Stop():
		return "", false
	}
	was := f.Holds[first]
	f.Holds = slices.Delete(f.Holds, first, first+1)
	return fmt.Sprintf(", in place of hold %s of %s, which ended no later", was.ID, record.Who(was.Said)),
		true
}

// matchedRoom is how many clusters that a selector matches now can be remembered.
func matchedRoom(f record.FleetDoc) int {
	n := record.MaxMatched
	for _, h := range f.Holds {
		n -= len(h.Matched)
	}
	return max(n, 0)
}

// holdID is a short name of the hold that no other has.
func holdID(f record.FleetDoc, h record.Hold) string {
	sum := sha256.Sum256(fmt.Append(nil, h.Typed(), h.By, h.Reason, h.At, h.Until, h.Run))
	id := hex.EncodeToString(sum[:])
	for n := 4; ; n++ {
		short := id[:min(n, len(id))]
		if !slices.ContainsFunc(f.Holds, func(x record.Hold) bool { return x.ID == short }) {
			return short
		}
	}
}

func untilWhen(until time.Time) string {
	if until.IsZero() {
		return "until somebody releases it"
	}
	return "until " + fact.Stamp(until) + " UTC"
}

// toRelease is what ends one hold.
func toRelease(h record.Hold) string {
	return "rotator release --id " + h.ID + " --by NAME --reason WHY"
}

// heldBy lists who holds and until when, of the holds that are meant; "": nobody.
func heldBy(f record.FleetDoc, now time.Time, meant func(record.Hold) bool) string {
	var who []string
	for _, h := range f.Holds {
		if h.Binds(now) && meant(h) {
			who = append(who, fmt.Sprintf("%s %s (hold %s on %s)", record.Who(h.Said), untilWhen(h.Until),
				h.ID,
				h.Target))
		}
	}
	return fact.Some(who)
}

// BeyondHold says what a hold on the rotation cannot stop: a call that is
// already on its way, and GKE.
func BeyondHold(r record.Rotation, now time.Time) []string {
	var out []string
	if r.Unsettled(now) {
		out = append(out, fmt.Sprintf("its %s of %s is on its way or under way, and cannot be called back",
			r.Call.Kind, fact.Stamp(r.Call.IntentAt)))
	}
	for pool, c := range r.PoolCalls {
		if c.Sent() && !c.MaySettle(now) {
			out = append(out, fmt.Sprintf("the recreation of %s of %s is under way",
				fleet.PoolName(pool), fact.Stamp(c.IntentAt)))
		}
	}
	slices.Sort(out)
	if r.Phase == record.RecreatingNodes || r.Phase == record.UpdatingClients {
		out = append(out,
			fmt.Sprintf("GKE recreates its nodes in the cluster's own window and completes it by itself from %s; only a NO_UPGRADES exclusion on the cluster delays that", fact.Stamp(rules.AutoComplete(r))))
	}
	return out
}

// Release ends the holds of the person on the target; with an id that one hold, whoever
// said it, and on whatever it is where on is nil. It says what still holds; seen is the
// cluster that is spoken of as far as it was read.
func Release(f record.FleetDoc, on *record.Target, id string, seen fleet.Cluster,
	said record.Said) (record.FleetDoc, string, error) {
	same := func(h record.Hold) bool { return on == nil || h.Typed() == on.Typed() }
	meant := func(h record.Hold) bool {
		return h.Binds(said.At) && same(h) && (h.ID == id || id == "" && h.Is(said.By))
	}
	at := slices.IndexFunc(f.Holds, meant)
	if at < 0 {
		return f, "", notHeld(f, on, id, seen, said)
	}
	was := f.Holds[at]
	text := fmt.Sprintf("%s is released; held since %s by %s (hold %s)", was.Target, fact.Stamp(was.At),
		record.Who(was.Said), was.ID)
	f = f.Clone()
	f.Holds = slices.DeleteFunc(f.Holds, meant)
	if still := heldBy(f, said.At, alsoOn(was.Target, seen)); still != "" {
		text += "; it is still held by " + still
	}
	return f, text, nil
}

// alsoOn are the holds that cover all that the target does.
func alsoOn(t record.Target, seen fleet.Cluster) func(record.Hold) bool {
	if seen.Ref != t.Cluster {
		seen = fleet.Cluster{Ref: t.Cluster}
	}
	return func(h record.Hold) bool {
		return h.All() || h.Typed() == t.Typed() || !t.Cluster.IsZero() && h.Covers(seen)
	}
}

// notHeld says why there is nothing to release, and what there is.
func notHeld(f record.FleetDoc, on *record.Target, id string, seen fleet.Cluster, said record.Said) error {
	all := heldBy(f, said.At, func(record.Hold) bool { return true })
	if all == "" {
		all = "nobody"
	}
	switch {
	case id != "" && on != nil:
		return fmt.Errorf("%s has no hold %q; held by: %s", on, id, all)
	case id != "":
		return fmt.Errorf("there is no hold %q; held by: %s", id, all)
	}
	var ways []string
	covers := alsoOn(*on, seen)
	for _, h := range f.Holds {
		if h.Binds(said.At) && covers(h) {
			ways = append(ways, toRelease(h))
		}
	}
	if len(ways) == 0 {
		return fmt.Errorf("%s is not held; held by: %s", on, all)
	}
	return fmt.Errorf("%s is held by %s; %s holds nothing there. What ends another's hold: %s", on,
		heldBy(f, said.At, covers), record.Who(said), strings.Join(ways, ", or "))
}
