package policy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"gke-credential-rotator/policy"
	. "gke-credential-rotator/policy/policytest"
	"gke-credential-rotator/policy/record"
)

// TestSoakFromDelivery: whoever takes the hand-over when, the rotation completes in the
// first run after the soak from then, on the last day before GKE may complete at the
// latest, and never within four hours of delivery.
func TestSoakFromDelivery(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, r := Flying(Shop, record.UpdatingClients)
		r.Pools["web"] = record.Work{EndedAt: Monday.Add(-Hours(30)), FirstSeen: Monday.Add(-Hours(30))}
		p := Plain()
		p.Soak = Hours(rapid.SampledFrom([]int{6, 30, 70, 110}).Draw(t, "soak"))
		r.HandedOverAt = Monday
		const never = 1000
		takes, names := map[string]int{}, []string{"hook", "topic", "mail"}
		for _, name := range names[:rapid.IntRange(1, 3).Draw(t, "receivers")] {
			takes[name] = rapid.OneOf(rapid.IntRange(0, 23), rapid.IntRange(24, 170),
				rapid.Just(never)).Draw(t, name)
			p.Receivers = append(p.Receivers, name)
		}
		r.HandTo(p.Receivers)

		// All of those who took it within a day, if anybody did: else the first.
		inTime, first, late := -1, never, false
		for _, hour := range takes {
			first, late = min(first, hour), late || hour >= 24
			if hour < 24 {
				inTime = max(inTime, hour)
			}
		}
		from, held := first, inTime
		if inTime >= 0 {
			if from = inTime; late {
				held = 24 // by then nobody waits for the other
			}
		}
		soak, last := int(p.Soak/time.Hour), 7*24-20-24
		want := max(from+soak, held)
		if want > last {
			want = max(last, soak)
			if from < last {
				want = max(want, from+4)
			}
		}
		for hour := range 7*24 - 20 {
			now := Monday.Add(Hours(hour))
			c.Seen = now
			ds := policy.Plan(p, FleetOf(c, &r), "run", now)
			if r = *ds[0].Rotation; ds[0].Action == policy.Complete {
				if hour != want {
					t.Fatalf("SOAK=%s, taken %v: completed in hour %d, not %d: %s", p.Soak, takes, hour, want,
						ds[0].Message)
				}
				return
			}
			for _, name := range p.Receivers {
				if takes[name] == hour {
					r = policy.NewCase(p, c, &r, &record.FleetDoc{}, "run", now).Delivered(name)
				}
			}
		}
		if want < 7*24-20 {
			t.Fatalf("SOAK=%s, taken %v: not completed, want hour %d", p.Soak, takes, want)
		}
	})
}
