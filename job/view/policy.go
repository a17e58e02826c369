package view

import (
	"time"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/policy/rules"
)

// Policy is the policy in force; as JSON the names of the settings in camel case,
// the values in the form that the settings take.
type Policy struct{ *rules.Policy }

// MarshalJSON is the settings' own.
func (p Policy) MarshalJSON() ([]byte, error) { return config.PolicyJSON(p.Policy), nil }

func dateOr(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.UTC().Format(time.RFC3339)
}
