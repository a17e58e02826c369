package record

// Outcome is what came of a call. Silence is an outcome, never an error.
type Outcome struct {
	State     CallState `json:"state"`               // Accepted, Refused, Unclear or Withdrawn (never sent)
	Operation string    `json:"operation,omitempty"` // accepted: the operation's name
	Refusal   Refusal   `json:"refusal,omitempty"`   // refused: what GKE meant
	Pool      string    `json:"pool,omitempty"`      // refused with RequiresRecreation: which pool
	Raw       string    `json:"raw,omitempty"`       // GKE's own words; withdrawn: why
	Stopped   bool      `json:"stopped,omitempty"`   // withdrawn because the run was told to stop
}

// Refusal is what GKE meant by refusing.
type Refusal string

// The refusals that the rules tell apart.
const (
	RequiresRecreation Refusal = "requires-recreation"
	AlreadyRotating    Refusal = "already-rotating"
	NotRotating        Refusal = "not-rotating"
	OtherOperation     Refusal = "other-operation"
	StaleEtag          Refusal = "stale-etag"
	NotFound           Refusal = "not-found"
	Denied             Refusal = "denied"
	Throttled          Refusal = "throttled"
	Invalid            Refusal = "invalid" // e.g. a version that GKE no longer offers
	OtherRefusal       Refusal = "other"
)
