package policy

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// What may be spent on marking Recommender's recommendations: each mark is at
// most one read and one write, and of both the free tier gives a whole
// organisation 100 a day.
const (
	MaxMarks = 30 // in any 24 hours, over the fleet

	markTries    = 3  // then it stays as it is: nothing depends on it
	maxMarkNotes = 20 // clusters remembered
)

// MarkState is what a recommendation about an expiring CA is marked as. GKE
// accepts the insight by itself with any of them.
type MarkState string

// The marks. From failed there is no way back to claimed, but to succeeded.
const (
	MarkClaimed   MarkState = "claimed"   // our start was accepted
	MarkSucceeded MarkState = "succeeded" // one new CA is left, whoever completed it
	MarkFailed    MarkState = "failed"    // we gave the rotation up
)

// Mark is what one cluster's recommendation is to be marked as, and what it was.
type Mark struct {
	Attempt string    `json:"attempt"`
	Want    MarkState `json:"want"`
	Has     MarkState `json:"has,omitempty"` // by us; "": not yet, or there is none
	Over    bool      `json:"over,omitempty"`
	At      time.Time `json:"at"` // of the wish, then of the last try
	Tries   int       `json:"tries,omitempty"`
}

// Recommendation is Recommender's advice to rotate one cluster.
type Recommendation struct {
	Cluster Ref
	Name    string // as the API has it
	Etag    string
	State   string // ACTIVE, CLAIMED, SUCCEEDED, FAILED, DISMISSED, or what the API adds
	Notes   map[string]string
}

// noteAttempt is the note by which a claim is known as ours.
const noteAttempt = "rotator-attempt"

// MarkWanted says what the decision that a run has carried out makes of the
// cluster's recommendation. Rotations that are only watched are somebody else's.
func MarkWanted(d Decision, run string, now time.Time) (Mark, bool) {
	r := d.Rotation
	if r == nil || !r.Carry || len(r.Transitions) == 0 {
		return Mark{}, false
	}
	m := Mark{Attempt: r.AttemptID, At: now.UTC().Truncate(time.Second)}
	switch d.Close {
	case "":
		m.Want = MarkClaimed
		return m, tookNow(*r, run)
	case Completed, CompletedWithFindings, CompletedElsewhere:
		m.Want = MarkSucceeded
	case Lost, ClosedByPeople:
		m.Want = MarkFailed
	default: // gone with its cluster, or to be tried again
		return Mark{}, false
	}
	return m, true
}

// tookNow says whether this very run learned that the rotation has begun: by
// GKE's answer, or later by the second CA.
func tookNow(r Rotation, run string) bool {
	last := r.Transitions[len(r.Transitions)-1]
	accepted := r.Call != nil && r.Call.Kind == CallStart && r.Call.State == Accepted
	if last.Run != run {
		return false
	}
	began := len(r.Transitions) == 1 || r.Transitions[len(r.Transitions)-2].Phase == Starting
	return last.Phase == Starting && accepted || last.Phase == RecreatingNodes && began && !accepted
}

// WantMarks notes what is to be marked.
func (f FleetDoc) WantMarks(wanted map[Ref]Mark) FleetDoc {
	f.Marks = cloneMap(f.Marks)
	for ref, m := range wanted {
		if old := f.Marks[ref.String()]; old.Attempt == m.Attempt {
			m.Has = old.Has
		}
		f.Marks[ref.String()] = m
	}
	newest := slices.SortedFunc(maps.Keys(f.Marks), func(a, b string) int {
		x, y := f.Marks[a], f.Marks[b]
		return cmp.Or(cmpBool(x.Over, y.Over), y.At.Compare(x.At), cmp.Compare(a, b))
	})
	for _, name := range newest[min(len(newest), maxMarkNotes):] {
		delete(f.Marks, name)
	}
	return f
}

// AskMarks says which marks a run may try, and notes the tries before they are
// made, so that a run that dies has spent them all the same.
func (f FleetDoc) AskMarks(now time.Time) (after FleetDoc, todo map[Ref]Mark) {
	now = now.UTC().Truncate(time.Second)
	f.Marks, todo = cloneMap(f.Marks), map[Ref]Mark{}
	f.MarksSpent = slices.DeleteFunc(slices.Clone(f.MarksSpent), func(t time.Time) bool { return now.Sub(t) >= InsightEvery })
	if now.Before(f.InsightsFrom) {
		return f, todo
	}
	oldest := slices.SortedFunc(maps.Keys(f.Marks), func(a, b string) int {
		return cmp.Or(f.Marks[a].At.Compare(f.Marks[b].At), cmp.Compare(a, b))
	})
	for _, name := range oldest {
		m := f.Marks[name]
		ref, err := ParseRef(name)
		if err != nil || m.Over || len(f.MarksSpent) >= MaxMarks {
			continue
		}
		m.At, m.Tries = now, m.Tries+1
		m.Over = m.Tries >= markTries // unless this one tells otherwise, the last
		f.Marks[name], todo[ref] = m, m
		f.MarksSpent = append(f.MarksSpent, now)
	}
	return f, todo
}

// HearMarks keeps what came of the tries. Done is what the recommendation is
// marked as now by us; "" that there is nothing to mark. What is not in it is
// tried again by a later run.
func (f FleetDoc) HearMarks(done map[Ref]MarkState, tried map[Ref]Mark) FleetDoc {
	f.Marks = cloneMap(f.Marks)
	for ref, has := range done {
		m, ok := f.Marks[ref.String()]
		if was := tried[ref]; ok && m.Attempt == was.Attempt && m.Want == was.Want {
			m.Over, m.Has = true, cmp.Or(has, m.Has)
			f.Marks[ref.String()] = m
		}
	}
	return f
}

// Applies says whether the recommendation is to be marked so. What a person
// has dismissed, or claimed for himself, stays.
func (m Mark) Applies(rec Recommendation) bool {
	_, ours := rec.Notes[noteAttempt]
	switch rec.State {
	case "ACTIVE":
		return true
	case "CLAIMED":
		return m.Want != MarkClaimed || ours && rec.Notes[noteAttempt] != noteValue(m.Attempt)
	case "FAILED":
		return m.Want == MarkSucceeded
	}
	return false
}

// Stands says whether the recommendation is marked so by us already.
func (m Mark) Stands(rec Recommendation) bool {
	return strings.EqualFold(rec.State, string(m.Want)) && rec.Notes[noteAttempt] == noteValue(m.Attempt)
}

// MarkNotes are the notes beside a mark. A mark replaces all notes, so those of
// others are kept.
func MarkNotes(m Mark, rec Recommendation, env, run string) map[string]string {
	notes := cloneMap(rec.Notes)
	for key, value := range map[string]string{
		noteAttempt: m.Attempt, "rotator-env": env, "rotator-run": run, "rotator-at": m.At.UTC().Format("20060102T150405Z"),
	} {
		notes[key] = noteValue(value)
	}
	return notes
}

// Recommender takes no colons, spaces or plus signs in a note.
var beyondNote = regexp.MustCompile(`[^a-zA-Z0-9_./-]`)

func noteValue(text string) string { return clipTo(beyondNote.ReplaceAllString(text, "_"), 255) }
