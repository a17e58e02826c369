package trial

import (
	"fmt"
	"testing"
)

// trace plays and gives the whole journal, one line an event.
func trace(t *testing.T, o Options) []string {
	t.Helper()
	var lines []string
	o.Watch = func(e *Event, _ []Violation) { lines = append(lines, e.String()) }
	v, err := Play(o)
	if err != nil {
		t.Fatal(err)
	}
	return append(lines, fmt.Sprintf("%+v", v.Totals))
}

// TestSameSeedSamePlay: to the letter, also beside other plays.
func TestSameSeedSamePlay(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			o := Options{Seed: 100 + seed, Clusters: 8, Days: 35, Faults: true, Late: seed%2 == 0}
			one, other := trace(t, o), trace(t, o)
			for i := range min(len(one), len(other)) {
				if one[i] != other[i] {
					t.Fatalf("line %d differs:\n%s\n%s", i, one[i], other[i])
				}
			}
			if len(one) != len(other) {
				t.Fatalf("%d and %d lines", len(one), len(other))
			}
			if len(one) < 1000 {
				t.Fatalf("only %d lines", len(one))
			}
		})
	}
}
