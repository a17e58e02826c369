package state

import (
	"strings"
	"testing"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

func TestDocID(t *testing.T) {
	seen := map[string]fleet.Ref{}
	for _, r := range []fleet.Ref{{Project: "p", Location: "l", Name: "c"},
		{Project: "p", Location: "l", Name: "c~2"}, {Project: "p", Location: "l-c", Name: "2"},
		{Project: "p-l", Location: "c", Name: "2"}} {
		id := DocID(r)
		if other, taken := seen[id]; taken || strings.Contains(id, "/") {
			t.Errorf("%s: document id %q, taken by %s", r, id, other)
		}
		seen[id] = r
	}
}

// TestKeysThatAreGone: what an earlier program wrote and nobody reads any more
// hides nothing else, and goes with the next write.
func TestKeysThatAreGone(t *testing.T) {
	const old = `{"schema":1,"version":"v","body":{"env":"prod","insightsFrom":"2026-11-24T00:00:00Z",
		"marks":{"shop/us-east1/web":{"attempt":"a1","want":"succeeded","has":"reclaimed","over":true,"at":"2026-11-23T00:00:00Z","tries":3}},
		"marksSpent":["2026-11-23T00:00:00Z"],"lastRun":{"run":"r1","at":"2026-11-23T01:00:00Z"}}}`
	var doc record.FleetDoc
	if version, err := DecodeText("fleet", []byte(old), &doc); err != nil || version != "v" || doc.Env != "prod" ||
		doc.InsightsFrom.IsZero() || doc.LastRun.Run != "r1" {
		t.Fatalf("%+v, version %q, error %v", doc, version, err)
	}
	if text, err := EncodeText("w", doc); err != nil || strings.Contains(string(text), "marks") {
		t.Errorf("%s, error %v", text, err)
	}
}
