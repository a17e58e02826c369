package record

import (
	"slices"
	"time"
)

// WaveNote is one cluster of a wave that was verified: when it had become due
// and when it was verified.
type WaveNote struct {
	Due time.Time `json:"due"`
	At  time.Time `json:"at"`
}

// RulesNote is since when the rules that say what is due, and in which order, are what
// they are.
type RulesNote struct {
	Digest string    `json:"digest"`
	Since  time.Time `json:"since"`
	// IssuedBefore is ROTATE_ISSUED_BEFORE as it was set, and Taken what it was taken
	// for: no later than the run that first saw it.
	IssuedBefore time.Time `json:"issuedBefore,omitzero"`
	Taken        time.Time `json:"taken,omitzero"`
}

// ProjectNote is what the last read of a project showed: since when one of its clusters
// was due and not verified, zero if none was, and the first wave that had one.
type ProjectNote struct {
	At   time.Time `json:"at"`
	Due  time.Time `json:"due,omitzero"`
	Wave int       `json:"wave,omitempty"`
}

// WaveNotes are the notes that can still matter, the newest last: one that was
// due later and verified earlier than another never does.
type WaveNotes []WaveNote

// Last is when the wave's last cluster was verified; zero if none was.
func (n WaveNotes) Last() time.Time {
	if len(n) == 0 {
		return time.Time{}
	}
	return n[len(n)-1].At
}

// LastOf is when the last cluster that was due no later than due was verified.
func (n WaveNotes) LastOf(due time.Time) time.Time {
	for _, note := range slices.Backward(n) {
		if !note.Due.After(due) {
			return note.At
		}
	}
	return time.Time{}
}

// With adds the newest note.
func (n WaveNotes) With(note WaveNote) WaveNotes {
	out := slices.DeleteFunc(slices.Clone(n), func(x WaveNote) bool { return !x.Due.Before(note.Due) })
	if len(out) >= MaxWaveNotes {
		out = out[1:]
	}
	return append(out, note)
}
