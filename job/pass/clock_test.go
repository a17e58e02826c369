package pass

import (
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// TestClockApart: a date that came while the run looked lies between two times of
// our clock, and SKEW around them is near enough.
func TestClockApart(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)
	now := from.Add(2 * time.Minute) // the look took two minutes
	for _, c := range []struct {
		what      string
		date, op  time.Duration // from the begin; 0: none
		allowed   time.Duration
		want, not string
	}{
		{"in the middle", time.Minute, 0, record.Skew, "", "clock"},
		{"ours is behind, and near enough", 7 * time.Minute, 0, record.Skew, "", "clock"},
		{"ours is behind", 7*time.Minute + time.Second, 0, record.Skew,
			"clock says Mon 2026-11-23 01:02:00 UTC, and Google's says Mon 2026-11-23 01:07:01 UTC: 5m1s apart, more than 5m", ""},
		{"ours is ahead, and near enough", -5 * time.Minute, 0, record.Skew, "", "clock"},
		{"ours is ahead", -6 * time.Minute, 0, record.Skew,
			"clock says Mon 2026-11-23 01:00:00 UTC, and Google's says Mon 2026-11-23 00:54:00 UTC: 6m apart", ""},
		{"no date, and an operation of this moment", 0, 6 * time.Minute, record.Skew, "", "clock"},
		{"no date, and an operation that is yet to begin", 0, time.Hour, record.Skew,
			"by GKE's an operation on shop/x/y began Mon 2026-11-23 02:00:00 UTC: 58m apart", ""},
		{"an old operation proves nothing", 0, -240 * time.Hour, record.Skew, "", "clock"},
		{"nobody asked", 240 * time.Hour, 0, 0, "", "clock"},
	} {
		w := World{Now: func() time.Time { return now }, Date: func() time.Time {
			if c.date == 0 {
				return time.Time{}
			}
			return from.Add(c.date)
		}}
		var clusters []fleet.Cluster
		if c.op != 0 {
			clusters = []fleet.Cluster{{Ref: fleet.Ref{Project: "shop", Location: "x", Name: "y"},
				Operations: []fleet.Operation{{Start: from.Add(c.op), Done: true}}}}
		}
		got := w.clockApart(Options{Apart: c.allowed}, from, clusters)
		if !strings.Contains(got, c.want) || c.not != "" && strings.Contains(got, c.not) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}
