package record

import (
	"testing"
	"time"
)

// TestLaterDevClustersDoNotStarveProduction: a wave soaks from those that were due before.
func TestLaterDevClustersDoNotStarveProduction(t *testing.T) {
	monday := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	notes := WaveNotes{}.With(WaveNote{Due: monday, At: monday.Add(time.Hour)})
	notes = notes.With(WaveNote{Due: monday.Add(240 * time.Hour), At: monday.Add(250 * time.Hour)})
	if got := notes.LastOf(monday.Add(24 * time.Hour)); !got.Equal(monday.Add(time.Hour)) {
		t.Errorf("production due on Tuesday soaks from %s", got)
	}
	if got := notes.Last(); !got.Equal(monday.Add(250 * time.Hour)) {
		t.Errorf("last verified %s", got)
	}
}

// TestSettleOutlastsDoubt: absence proves something only when no late, stale
// or skewed answer can contradict it.
func TestSettleOutlastsDoubt(t *testing.T) {
	if sum := SendWithin + CallTimeout + Late + Stale + Skew; SettleAfter <= sum {
		t.Errorf("SettleAfter %s is not larger than the doubts' sum %s", SettleAfter, sum)
	}
}
