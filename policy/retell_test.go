package policy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	. "gke-credential-rotator/policy/policytest"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// TestNoPromiseIsBroken: whatever is set in the middle of a rotation, nothing of ours ends
// before what people were last told, and what they were told moves forward only by a new
// hand-over, once, that gives them a day, or SOAK_COMPROMISED.
func TestNoPromiseIsBroken(t *testing.T) {
	moved, completed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		c, r := Flying(Shop, record.RecreatingNodes)
		c.Operations = []fleet.Operation{{Name: "n", Type: fleet.OpUpgradeNodes, Pool: "web", Done: true,
			Start: Monday.Add(-Hours(15)), End: Monday.Add(-Hours(14))}}
		p := Plain()
		p.RotateIssuedBefore = Monday.Add(-Hours(24))
		drawTerms(t, p)
		told, since, anew := time.Time{}, time.Time{}, time.Duration(0)
		for hour := range 6 * 24 {
			now := Monday.Add(Hours(hour)).Add(17 * time.Minute)
			before := *p
			changed := rapid.IntRange(0, 11).Draw(t, "change") == 0
			if changed {
				drawTerms(t, p)
			}
			c.Seen = now
			ds := policy.Plan(p, FleetOf(c, &r), "run", now)
			d := ds[0]
			least := Hours(24)
			if d.Compromised {
				least = p.SoakCompromised
			}
			handed := false
			for _, e := range d.Events {
				if e.Name == policy.EventHandedOver && e.Reason == reason.Loosened {
					handed, since, anew = true, now, least
				}
			}
			switch next := d.Rotation.Promised; {
			case handed && !changed && hour > 1:
				t.Fatalf("hour %d: told anew, and nothing changed since %+v", hour, before)
			case !told.IsZero() && next.Before(told) && !handed:
				t.Fatalf("hour %d: the promise moved from %s to %s without a word", hour, told, next)
			case !told.IsZero() && next.Before(told) && next.Before(now.Add(least-5*time.Minute)):
				t.Fatalf("hour %d: told anew, and only %s are left", hour, next.Sub(now))
			case !told.IsZero() && next.Before(told):
				moved++
			}
			r, told = *d.Rotation, d.Rotation.Promised
			if d.Action != policy.Complete {
				continue
			}
			if completed++; now.Before(told) || now.Before(since.Add(anew)) {
				t.Fatalf("hour %d: completed, and people were told %s, last anew at %s", hour, told, since)
			}
			return
		}
	})
	if moved == 0 || completed == 0 {
		t.Errorf("%d promises moved, %d completed: nothing was tried", moved, completed)
	}
}

// drawTerms sets what a promise rests on.
func drawTerms(t *rapid.T, p *rules.Policy) {
	p.Soak = Hours(rapid.SampledFrom([]int{2, 20, 30, 60, 110}).Draw(t, "soak"))
	p.SoakCompromised = Hours(rapid.SampledFrom([]int{1, 7}).Draw(t, "soak compromised"))
	p.CompleteWindow = window.Weekly{}
	if text := rapid.SampledFrom([]string{"", "Thu 08:00-09:00", "Mon-Fri 22:00-04:00 Asia/Tokyo"}).Draw(t,
		"window"); text != "" {
		p.CompleteWindow, _ = window.ParseWeekly(text)
	}
	p.Freezes = window.Freezes{}
	if rapid.Bool().Draw(t, "frozen") {
		if err := p.Freezes.UnmarshalText([]byte("2026-11-24/2026-11-26 Asia/Kolkata")); err != nil {
			t.Fatal(err)
		}
	}
	p.Approval = rapid.SampledFrom([]rules.ApprovalMode{rules.ApproveNone, rules.ApproveNone,
		rules.ApproveBoth}).Draw(t, "approval")
	p.Compromised = nil
	if rapid.IntRange(0, 3).Draw(t, "compromised") == 0 {
		p.Compromised = &fleet.Selector{}
	}
}
