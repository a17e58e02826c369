package state

import (
	"strings"
	"testing"

	"gke-credential-rotator/policy"
)

func TestDocID(t *testing.T) {
	seen := map[string]policy.Ref{}
	for _, r := range []policy.Ref{{Project: "p", Location: "l", Name: "c"}, {Project: "p", Location: "l", Name: "c~2"}, {Project: "p", Location: "l-c", Name: "2"}, {Project: "p-l", Location: "c", Name: "2"}} {
		id := DocID(r)
		if other, taken := seen[id]; taken || strings.Contains(id, "/") {
			t.Errorf("%s: document id %q, taken by %s", r, id, other)
		}
		seen[id] = r
	}
}
