package maintenance_test

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/container/apiv1/containerpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"gke-credential-rotator/gke/maintenance"
	"gke-credential-rotator/job/simtest/corpus"
	"gke-credential-rotator/policy/window"
)

// FuzzMaintenance: whatever maintenance policy GKE shows, as JSON or on the wire
// with fields that this version does not know, is a calendar or a problem. With
// a problem nothing is open, in an exclusion that blocks nothing is open, and
// what is read twice answers twice the same.
func FuzzMaintenance(f *testing.F) {
	c := corpus.Of(f)
	for _, s := range []string{`{}`, `{"window":{}}`,
		`{"window":{"dailyMaintenanceWindow":{"startTime":"03:00"}}}`,
		`{"window":{"dailyMaintenanceWindow":{"startTime":"25:00"}}}`,
		`{"window":{"recurringWindow":{"window":{"startTime":"2026-01-03T02:00:00Z","endTime":"2026-01-03T06:00:00Z"},"recurrence":"FREQ=WEEKLY;BYDAY=SA,SU"}}}`,
		`{"window":{"recurringWindow":{"recurrence":"FREQ=DAILY"}}}`,
		`{"window":{"maintenanceExclusions":{"a":{"startTime":"2026-11-20T00:00:00Z","endTime":"2026-12-20T00:00:00Z","maintenanceExclusionOptions":{"scope":"NO_MINOR_OR_NODE_UPGRADES"}},"b":{}}}}`,
		`{"window":{"maintenanceExclusions":{"back":{"startTime":"2026-12-20T00:00:00Z","endTime":"2026-11-20T00:00:00Z"}}}}`,
		`{"window":{"recurringMaintenanceWindow":{"delayUntil":{"year":2026,"month":13,"day":40},"windowStartTime":{"hours":99},"windowDuration":"-1s","recurrence":"FREQ=DAILY"}}}`} {
		c.Add([]byte(s), int64(1_795_000_000))
	}
	c.Add([]byte("\x0a\x04\xa2\x06\x01x"), int64(0)) // a window of a kind from the future
	c.Recorded("maintenance", func(_ string, text []byte) { c.AddRecorded(text, int64(1_795_269_900)) })
	c.AtLeast(10, 25)
	f.Fuzz(func(t *testing.T, text []byte, unix int64) {
		defer corpus.Watch(text)()
		pb := &containerpb.MaintenancePolicy{}
		if protojson.Unmarshal(text, pb) != nil && proto.Unmarshal(text, pb) != nil {
			t.Skip("no maintenance policy")
		}
		at := time.Unix(unix%(1<<36), 0).UTC()
		m, twin := maintenance.Of(pb), maintenance.Of(proto.CloneOf(pb))
		s, ok := m.Open(window.Always()).Next(at)
		if again, okAgain := twin.Open(window.Always()).Next(at); again != s || okAgain != ok ||
			twin.Problem != m.Problem || twin.Text != m.Text {
			t.Errorf("%s: %v (%t) and, read again, %v (%t)", text, s, ok, again, okAgain)
		}
		if m.Problem != "" {
			if ok || m.Window != nil || !strings.HasPrefix(m.Problem, "the maintenance window") {
				t.Errorf("%s: %q, and yet %v is open", text, m.Problem, s)
			}
			return
		}
		if ok && (!s.End.After(at) || !s.Start.Before(s.End)) {
			t.Errorf("%s: at %s, %v is no stretch", text, at, s)
		}
		if len(m.Exclusions) != len(pb.GetWindow().GetMaintenanceExclusions()) {
			t.Errorf("%s: exclusions %+v", text, m.Exclusions)
		}
		for _, e := range m.Exclusions {
			if e.Blocks() && e.Stretch().Contains(at) && ok && s.Contains(at) {
				t.Errorf("%s: %s lies in %+v and in the open %v", text, at, e, s)
			}
		}
	})
}
