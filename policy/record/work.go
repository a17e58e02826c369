package record

import (
	"time"

	"gke-credential-rotator/policy/fact"
)

// Work is an operation that recreated something: names and times are kept when
// first seen, because GKE forgets operations.
type Work struct {
	Operation string    `json:"operation,omitempty"`
	StartedAt time.Time `json:"startedAt,omitzero"` // GKE's clock
	EndedAt   time.Time `json:"endedAt,omitzero"`   // GKE's clock; zero while it runs
	FirstSeen time.Time `json:"firstSeen,omitzero"` // our clock: when it was first seen done
	// NodesDone is how many nodes were done when last seen, and RoseAt when that number
	// last rose, on our clock.
	NodesDone int       `json:"nodesDone,omitempty"`
	RoseAt    time.Time `json:"roseAt,omitzero"`
	Failures  int       `json:"failures,omitempty"`
	LastError string    `json:"lastError,omitempty"`
	// Told is how often these words were told, and when last.
	Told Told `json:"told,omitzero"`
	// Counted are failed operations already counted in Failures.
	Counted []string `json:"counted,omitempty"`
	// VoidBefore: work that began before this (GKE's clock) proves nothing,
	// because GKE said that the pool still requires recreation.
	VoidBefore time.Time `json:"voidBefore,omitzero"`
	// NotBefore is when the next call of ours may be tried.
	NotBefore time.Time `json:"notBefore,omitzero"`
	// LeftToGKE says why we no longer try ourselves.
	LeftToGKE string `json:"leftToGke,omitempty"`
}

// Told is how often the same thing was told.
type Told struct {
	Words string    `json:"words,omitempty"` // enough of them to tell them from others
	Times int       `json:"times,omitempty"`
	At    time.Time `json:"at,omitzero"`
}

// ToldOften is how often the same thing is told before it is told but once a day.
const ToldOften = 3

// Again notes that these words are to be told, and says whether they are: the same three
// times, and then once a day.
func (t *Told) Again(words string, now time.Time) bool {
	if words = fact.Clip(words, 80); words != t.Words {
		*t = Told{Words: words}
	}
	if t.Times >= ToldOften && now.Sub(t.At) < 24*time.Hour {
		return false
	}
	t.Times, t.At = t.Times+1, now
	return true
}

// Done says whether the work has ended well.
func (w Work) Done() bool { return !w.EndedAt.IsZero() }

// Fail counts one more failure, and gives how many there are.
func (w *Work) Fail(why string, now time.Time) int {
	w.Failures++
	w.LastError, w.NotBefore = fact.Clip(why, MaxPoolError), NextTry(w.Failures, now)
	return w.Failures
}
