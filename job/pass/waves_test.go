package pass

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// TestShutWaveIsTold: a canary that people hold keeps its fleet from going on. After three days
// that is one event, then one a day, with how many wait and for what; a canary that is merely
// on its way is none.
func TestShutWaveIsTold(t *testing.T) {
	for _, held := range []bool{true, false} {
		s := newStage(t)
		if err := s.policy.Waves.UnmarshalText([]byte("env=dev > env=prod")); err != nil {
			t.Fatal(err)
		}
		in := func(env string) func(*containerpb.Cluster) {
			return func(c *containerpb.Cluster) { c.ResourceLabels = map[string]string{"env": env} }
		}
		s.policy.WaveSoak, s.policy.Soak = 24*time.Hour, 5*24*time.Hour
		s.add(shop, "2027-03-11", in("dev"))
		for i := range 4 {
			s.add(fleet.Ref{Project: "shop", Location: "europe-west1", Name: fmt.Sprint("prod-", i)},
				"2027-03-12", in("prod"))
		}
		if held {
			s.edit(func(d *record.FleetDoc) {
				d.Holds = []record.Hold{{ID: "00aa", Target: record.TheCluster(shop), Said: record.Said{By: "ann", At: s.now}}}
			})
		}
		var told []string
		for h := range 5 * 24 {
			p := s.process()
			p.must()
			for _, l := range p.lines() {
				if l["event"] == policy.EventBlocked && l["reason"] == "wave" {
					told = append(told, fmt.Sprint(h))
					if text := l["msg"].(string); l["due"] != 4.0 || l["wave"] != "env=prod" ||
						l["level"] != "ERROR" ||
						!strings.Contains(text, "web (held)") || !strings.Contains(text,
						"since Mon 2026-11-23 00:00") {
						t.Errorf("%d h: %v", h, l)
					}
				}
			}
			s.pass(time.Hour)
		}
		want := "72 96"
		if !held {
			want = ""
		}
		if got := strings.Join(told, " "); got != want {
			t.Errorf("held %v: told after %s h, want %s", held, got, want)
		}
	}
}
