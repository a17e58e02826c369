// Package trial plays passes over the simulated GKE in a world that kills,
// pauses, overlaps and lies, as a seed has it, and lets a judge look on.
// The same seed gives the same play to the letter.
package trial

// Options are one play's.
type Options struct {
	Seed     uint64
	Clusters int // at least 1
	Days     int // at least 30: the last part is calm
	Faults   bool
	// Late lets requests be delivered later than LATE, too: then weaker
	// promises hold.
	Late bool
	// Hourly makes every scheduled run. Otherwise three plays of four leave out
	// the runs before which, by the promise of nextChangeAt, nothing changes.
	Hourly bool
	// Notify lets runs tell people of what happens, and of starts and
	// completions two days ahead.
	Notify bool
	// Judge makes the judge; nil: nobody looks on.
	Judge func(Setup) Judge
	// Defect changes a part of the play on purpose; nil: none.
	Defect *Defect
	// Notify is given every event, after the judge; nil: nobody.
	Watch func(*Event, []Violation)
}
