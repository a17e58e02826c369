package gkesim

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gke-credential-rotator/job/simtest/corpus"
)

// FuzzFilter: a filter of Recommender's is read or refused as an invalid
// argument; one that is read answers the same in parentheses, and NOT turns it
// round.
func FuzzFilter(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{"", "stateInfo.state = ACTIVE", `severity = "CRITICAL" OR severity != HIGH`,
		"NOT state = ACTIVE", "(state = ACTIVE", "state : ACTIVE AND severity = LOW", `state = "`, "state",
		"colour = red",
		strings.Repeat("(", 250) + strings.Repeat(")", 250), strings.Repeat("NOT ", 120),
		"state = ACTIVE state != ACTIVE", "AND", "= = ="} {
		c.Add(s, "ACTIVE")
	}
	c.AtLeast(14, 0)
	f.Fuzz(func(t *testing.T, text, value string) {
		defer corpus.Watch(text)()
		want, err := parseFilter(text, "state", "severity")
		if err != nil {
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		for _, fields := range []map[string][]string{nil, {"state": {value}},
			{"state": {value, "ACTIVE"}, "severity": {"LOW"}}} {
			if strings.TrimSpace(text) == "" {
				continue // all, which has no opposite
			}
			same, err := parseFilter("("+text+")", "state", "severity")
			if len(text) < longestFilter-10 && (err != nil || same(fields) != want(fields)) {
				t.Errorf("%q: in parentheses %v", text, err)
			}
			not, err := parseFilter("NOT ("+text+")", "state", "severity")
			if len(text) < longestFilter-10 && (err != nil || not(fields) == want(fields)) {
				t.Errorf("%q on %v: turned round it says the same, or %v", text, fields, err)
			}
		}
	})
}
