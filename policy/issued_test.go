package policy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/outcome"
	. "gke-credential-rotator/policy/policytest"
	"gke-credential-rotator/policy/record"
)

// TestOnceAroundTheDate: whenever ROTATE_ISSUED_BEFORE is set, and however far ahead it
// lies, a CA that GKE made for a rotation of ours afterwards is never due by it, and one
// that was there at that time is at once.
func TestOnceAroundTheDate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minutes := func(from, to int, what string) time.Duration {
			return time.Duration(rapid.IntRange(from, to).Draw(t, what)) * time.Minute
		}
		p, doc := Plain(), record.FleetDoc{}
		set := Monday.Add(minutes(0, 600, "set"))
		p.RotateIssuedBefore = set.Add(minutes(-600, 24*60, "date"))
		c := Idle(Shop)
		c.Bundle.CAs[0] = fleet.CA{Fingerprint: "old", Expires: Monday.AddDate(20, 0, 0),
			Issued: p.RotateIssuedBefore.Add(-time.Hour - minutes(1, 6000, "older"))}
		if !c.Bundle.CAs[0].Made().Before(set) {
			c.Bundle.CAs[0].Issued = set.Add(-2 * time.Hour)
		}
		for hour := range 30 {
			now := set.Add(Hours(hour))
			f := FleetOf(c, nil)
			f.Contents.Fleet = doc
			d := policy.Plan(p, f, "run", now)[0]
			doc = outcome.Tidy(doc, p, f, []policy.Decision{d}, record.RunNote{At: now})
			if hour == 0 {
				if !d.Due.Is {
					t.Fatalf("set %s to %s: the CA of %s is not due", set, p.RotateIssuedBefore,
						c.Bundle.CAs[0].Issued)
				}
				made := now.Add(minutes(0, 59, "made"))
				c.Bundle.CAs[0] = fleet.CA{Fingerprint: "new", Issued: made.Add(-time.Hour),
					Expires: made.AddDate(30, 0, 0)}
			} else if d.Due.Is {
				t.Fatalf("set %s to %s: due again at %s: %s", set, p.RotateIssuedBefore, now, d.Due.Why)
			}
			if rapid.IntRange(0, 9).Draw(t, "another rule") == 0 {
				p.MaxCAAge += Hours(24 * 3650)
			}
		}
	})
}

// TestNewCATooOld: a running rotation whose new CA is older than the date, too, keeps its
// soak, and what it leaves is due at once.
func TestNewCATooOld(t *testing.T) {
	p := Plain()
	p.Compromised = &fleet.Selector{}
	c, r := Flying(Shop, record.UpdatingClients)
	r.Pools["web"] = record.Work{EndedAt: Monday.Add(-Hours(10)), FirstSeen: Monday.Add(-Hours(10))}
	p.SoakCompromised, p.Soak = Hours(1), Hours(72)
	for _, tt := range []struct {
		before      time.Duration // the date, from when the new CA was made
		compromised bool
	}{{-time.Minute, true}, {0, true}, {time.Minute, false}} {
		p.RotateIssuedBefore = NewCA.Issued.Add(time.Hour + tt.before)
		d := PlanOne(t, p, FleetOf(c, &r), Monday)
		if d.Compromised != tt.compromised || (d.Action == policy.Complete) != tt.compromised {
			t.Errorf("%s: compromised %t, %s: %s", tt.before, d.Compromised, d.Action, d.Message)
		}
		left := Idle(Shop)
		left.Bundle.CAs = []fleet.CA{NewCA}
		if d := PlanOne(t, p, FleetOf(left, nil), Monday); d.Due.Is == tt.compromised {
			t.Errorf("%s: what it leaves is due: %t", tt.before, d.Due.Is)
		}
	}
}
