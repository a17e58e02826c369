package record

// InForce is the policy that a rotation was started or completed under, for
// those who audit it later: what ran, and by which settings.
type InForce struct {
	// Tool is the version of the program.
	Tool string `json:"tool,omitempty"`
	// Digest tells whether two rotations had the same settings: SHA-256 of all
	// of them, in hex.
	Digest string `json:"digest"`
	// Settings are those that rules rest on, by name, as they were in force.
	// Very long ones are cut.
	Settings map[string]string `json:"settings,omitempty"`
}

// String names the policy by its digest.
func (p *InForce) String() string {
	if p == nil {
		return "unknown"
	}
	return p.Tool + " " + p.Digest
}
