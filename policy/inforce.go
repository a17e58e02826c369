package policy

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

// under records the policy that the last step was decided by, where it is not
// the one that the rotation was started under.
func (r *Rotation) under(p *InForce) {
	if p == nil || (r.InForce != nil && r.InForce.Digest == p.Digest && r.InForce.Tool == p.Tool) {
		return
	}
	if r.InForce == nil && r.Origin != Ours {
		r.InForce = p // it was not ours to start
		return
	}
	r.CompletedUnder = p
}

// String names the policy by its digest.
func (p *InForce) String() string {
	if p == nil {
		return "unknown"
	}
	return p.Tool + " " + p.Digest
}
