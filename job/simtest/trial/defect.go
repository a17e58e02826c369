package trial

import (
	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/pass"
)

// Defect breaks something on purpose, to see that the judge finds it. Each
// part is optional.
type Defect struct {
	Name string
	// World wraps the ports of a process when it begins. Calls through what it
	// was given are scheduled as any other.
	World func(w pass.World, about Process) pass.World
}

// Process is what a defect may know of the process whose ports it wraps.
type Process struct {
	Pass int // as in the journal
	Env  string
	Run
	Move gke.Mover // also in observe, where the process is given none
}
