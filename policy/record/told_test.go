package record

import (
	"testing"
	"time"
)

// TestToldAgain: the same words three times, then once a day; others at once.
func TestToldAgain(t *testing.T) {
	begin := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	var told Told
	n := 0
	for h := range 96 {
		if told.Again("no quota", begin.Add(time.Duration(h)*time.Hour)) {
			n++
		}
	}
	if n != 6 { // at 0, 1 and 2 h, and after 26, 50 and 74
		t.Errorf("told %d times in four days", n)
	}
	if !told.Again("another cause", begin.Add(96*time.Hour)) {
		t.Error("another cause is not told")
	}
}
