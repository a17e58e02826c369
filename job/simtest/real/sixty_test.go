package real

import (
	"flag"
	"testing"
	"time"
)

var sixtyRounds = flag.Int("rounds", 9, "how many rounds of four runs at once TestFourAtOnce makes")

// TestFourAtOnce: four processes at the same moment, round after round, on
// sixty due clusters: never are more in flight than MAX_ACTIVE=5, and the
// places are used.
func TestFourAtOnce(t *testing.T) {
	t.Parallel()
	rotator := build(t).with("ROTATOR_MAX_ACTIVE=5", "ROTATOR_SOAK=0")
	bothStores(t, func(t *testing.T, contents []string) {
		began := time.Now()
		f := newFire(t, *firstFire, rotator, contents, crowdOf(60))
		f.step = func() time.Duration { return time.Hour }
		// All have read the same store and the same fleet; or have all their
		// first intent, or their first call, on the way.
		at := []string{"list answered", "intent asked", "call asked"}
		rounds, done := 0, 0
		for ; rounds < *sixtyRounds && done < len(f.members); rounds++ {
			f.together(4, at[rounds%len(at)], func() moment { return moment{} })
			done = len(f.look())
		}
		journal := f.gke.journal(t)
		starts := 0
		for _, e := range journal {
			if e.Method == "StartIPRotation" {
				starts++
			}
		}
		most := mostInFlight(journal)
		t.Logf("%d rounds of 4 runs on %d due clusters, MAX_ACTIVE=5: %d starts sent, %d verified, most in flight %d; %d writes too late; %.1f s",
			rounds, len(f.members), starts, done, most, f.clashes, time.Since(began).Seconds())
		if most != 5 || starts < 5 {
			t.Errorf("most in flight %d after %d starts, want 5", most, starts)
		}
	})
}
