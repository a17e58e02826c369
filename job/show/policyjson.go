package show

import (
	"encoding/json"
	"time"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/policy"
)

// policyJSON is the policy for programs.
type policyJSON = json.RawMessage

func policyOf(p *policy.Policy) policyJSON { return config.PolicyJSON(p) }

// filled is never null in JSON.
func filled(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func dateOr(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.UTC().Format(time.RFC3339)
}
