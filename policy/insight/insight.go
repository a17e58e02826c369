// Package insight compares what GKE's Recommender and the clusters' own conditions say
// of an expiry with the certificates, which decide. It decides nothing.
package insight

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// caExpiring is the condition by which a cluster itself says that its CA
// expires soon.
const caExpiring = "CA_EXPIRING"

// Reads says which places a run may ask, in which order: those with a
// CA near expiry or a rotation verifying, each once a day, never more in 24
// hours than [record.MaxInsightReads]. Who waited longest comes first, then who expires
// first.
func Reads(p *rules.Policy, f policy.Fleet, now time.Time) []record.InsightPlace {
	doc := f.Contents.Fleet
	if now.Before(doc.InsightsFrom) {
		return nil
	}
	budget := record.MaxInsightReads
	for _, note := range doc.Insights {
		if now.Sub(note.At) < record.InsightEvery {
			budget--
		}
	}
	expires := map[record.InsightPlace]time.Time{}
	for _, c := range f.Clusters {
		place := record.PlaceOf(c.Ref)
		note, asked := doc.Insights[place.String()]
		if asked && now.Sub(note.At) < record.InsightEvery || !wants(p, f.Contents, c, now) {
			continue
		}
		at := c.Bundle.Oldest().Expires
		if first, ok := expires[place]; !ok || at.Before(first) {
			expires[place] = at
		}
	}
	places := slices.SortedFunc(maps.Keys(expires), func(a, b record.InsightPlace) int {
		return cmp.Or(doc.Insights[a.String()].At.Compare(doc.Insights[b.String()].At),
			expires[a].Compare(expires[b]),
			cmp.Compare(a.String(), b.String()),
		)
	})
	return places[:min(max(budget, 0), len(places))]
}

// wants says whether the cluster is a reason to ask.
func wants(p *rules.Policy, b record.Contents, c fleet.Cluster, now time.Time) bool {
	if r, ok := b.Rotations[c.Ref]; ok && r.Phase == record.Verifying {
		return true
	}
	return comparable(p, c) && !c.Bundle.Oldest().Expires.After(now.Add(rules.InsightBefore))
}

// comparable says whether the cluster is ours to look at and Recommender can
// be compared with it.
func comparable(p *rules.Policy, c fleet.Cluster) bool {
	return len(p.Unselected(c)) == 0 && len(c.Bundle.CAs) > 0 && c.Bundle.Problem == "" && !c.Alpha &&
		!c.CustomerCA
}

// Ask notes the reads before they are made, so that a run that dies
// has spent them all the same.
func Ask(f record.FleetDoc, places []record.InsightPlace, now time.Time) record.FleetDoc {
	f.Insights, f.Mismatches = record.CloneMap(f.Insights), record.CloneMap(f.Mismatches)
	for _, place := range places {
		f.Insights[place.String()] = record.InsightNote{At: now.UTC().Truncate(time.Second)}
	}
	oldest := slices.SortedFunc(maps.Keys(f.Insights), func(a, b string) int {
		return cmp.Or(f.Insights[a].At.Compare(f.Insights[b].At), cmp.Compare(a, b))
	})
	for i, key := range oldest {
		age := now.Sub(f.Insights[key].At)
		if age >= record.InsightForget || (i < len(oldest)-record.MaxInsightNotes && age >= record.InsightEvery) {
			delete(f.Insights, key)
		}
	}
	maps.DeleteFunc(f.Mismatches, func(name string, _ record.Mismatch) bool {
		ref, err := fleet.ParseRef(name)
		if err != nil {
			return true
		}
		_, kept := f.Insights[record.PlaceOf(ref).String()]
		return !kept
	})
	return f
}

// Hear keeps what the answers contradict: per cluster one mismatch,
// and no more than a document should hold.
func Hear(f record.FleetDoc, p *rules.Policy, fleet policy.Fleet, answers []record.InsightAnswer,
	now time.Time) record.FleetDoc {
	if len(answers) == 0 {
		return f
	}
	f.Insights, f.Mismatches = record.CloneMap(f.Insights), record.CloneMap(f.Mismatches)
	heard := map[record.InsightPlace]record.InsightAnswer{}
	for _, a := range answers {
		heard[a.Place] = a
		if note, ok := f.Insights[a.Place.String()]; ok {
			note.Answered = a.Complete
			f.Insights[a.Place.String()] = note
		}
	}
	for _, c := range fleet.Clusters {
		a, ok := heard[record.PlaceOf(c.Ref)]
		if !ok {
			continue
		}
		delete(f.Mismatches, c.Ref.String())
		what := contradiction(p, c, fleet.Contents, a, now)
		if what != "" && len(f.Mismatches) < record.MaxMismatches {
			f.Mismatches[c.Ref.String()] = record.Mismatch{What: what, CA: c.Bundle.Oldest().Fingerprint}
		}
	}
	return f
}

// contradiction compares one cluster with an answer; "" is none.
func contradiction(p *rules.Policy, c fleet.Cluster, b record.Contents, a record.InsightAnswer,
	now time.Time) record.Contradiction {
	if !comparable(p, c) || len(c.Bundle.CAs) > 1 {
		return "" // while two CAs are there, nobody says which one is meant
	}
	found, active := false, false
	for _, in := range a.Found {
		if in.Cluster.Location == c.Ref.Location && in.Cluster.Name == c.Ref.Name {
			found, active = true, active || in.State == record.InsightActive
		}
	}
	left := c.Bundle.Oldest().Expires.Sub(now)
	switch {
	case active && left > rules.InsightBefore && lagOver(c, b, now):
		return record.InsightLingers
	case !found && a.Complete && left <= rules.InsightBefore-rules.InsightLag:
		return record.InsightMissing
	}
	return ""
}

// lagOver says whether what GKE says of an earlier CA should be gone. Nobody
// knows when a rotation that is no longer on record was completed; a CA is
// about seven days older than its completion.
func lagOver(c fleet.Cluster, b record.Contents, now time.Time) bool {
	at := c.Bundle.Newest().Issued.Add(rules.AutoCompleteAfter)
	if r, ok := b.Rotations[c.Ref]; ok && r.Phase == record.Verifying {
		at = r.Entered(record.Verifying)
	}
	return !now.Before(at.Add(rules.InsightLag))
}

// Mismatches says in sentences where the certificate, the cluster's own
// status and conditions and its insight contradict each other. The
// certificate decides; these are for people.
func Mismatches(c fleet.Cluster, b record.Contents, now time.Time) []string {
	ca := c.Bundle.Oldest()
	if ca.Fingerprint == "" {
		return nil
	}
	var said []string
	left := ca.Expires.Sub(now)
	if slices.Contains(c.Conditions, caExpiring) && left > rules.InsightBefore && lagOver(c, b, now) {
		said = append(said,
			"the cluster has the condition "+caExpiring+", but its CA expires "+fact.Day(ca.Expires))
	}
	if c.Status == fleet.Running && len(c.Bundle.CAs) == 1 && !slices.Contains(c.Conditions, caExpiring) &&
		left <= rules.DegradedBefore-rules.InsightLag {
		said = append(said, "the CA expires "+fact.Day(ca.Expires)+", but the cluster's status is "+
			string(fleet.Running)+", not "+string(fleet.Degraded)+" as in GKE's last seven days")
	}
	if m, ok := b.Fleet.Mismatches[c.Ref.String()]; ok && m.CA == ca.Fingerprint && len(c.Bundle.CAs) == 1 {
		read := " (read " + fact.Day(b.Fleet.InsightNote(c).At) + ")"
		switch m.What {
		case record.InsightMissing:
			said = append(said, "the CA expires "+fact.Day(ca.Expires)+", but Recommender has no insight about it"+read)
		case record.InsightLingers:
			said = append(said,
				"Recommender has an insight that the CA expires soon, but it expires "+fact.Day(ca.Expires)+read)
		}
	}
	return said
}
