package record

import (
	"maps"
	"slices"
	"time"
)

// Limits of what waits to be told.
const (
	// MaxStandingARun is the most that one run announces of what stands for a
	// while; the next run announces the next ones.
	MaxStandingARun = 50
	// MaxStanding is the most clusters of which is remembered what was announced.
	// Of more clusters nothing is announced: the log has them all.
	MaxStanding = 500
	// MaxNotices is the most that wait for their receivers.
	MaxNotices = 1000
	// NoticeLasts is how long a notice waits for a receiver out of reach.
	NoticeLasts = 30 * 24 * time.Hour
	// RefusedLasts is how long one waits that its receiver refuses to take.
	RefusedLasts = 24 * time.Hour
)

// Outbox is what is still to be told, in the order in which it was stored, and
// what was announced of things that stand for a while.
type Outbox struct {
	Notices  []Notice
	Standing Standing
}

// Standing is what was announced and still stands, by cluster; "" is the fleet.
// What a rotation goes through is told with the write that makes it true, and
// needs no note; what only time makes true does.
type Standing struct {
	Sent map[string][]string `json:"told,omitempty"`

	Version string `json:"-"`
}

// Same says whether both remember the same.
func (m Standing) Same(o Standing) bool { return maps.EqualFunc(m.Sent, o.Sent, slices.Equal) }

// Drop says which of the waiting notices are given up, and why: the old ones,
// and when too many wait, the oldest that ask nothing of people first.
func (o Outbox) Drop(now time.Time) (keep, old, many []Notice) {
	for _, n := range o.Notices {
		if now.Sub(n.At) > NoticeLasts {
			old = append(old, n)
		} else {
			keep = append(keep, n)
		}
	}
	for _, acts := range []bool{false, true} {
		excess := len(keep) - MaxNotices
		keep = slices.DeleteFunc(keep, func(n Notice) bool {
			drop := excess > 0 && n.Kind.About().Acts == acts
			if drop {
				excess--
				many = append(many, n)
			}
			return drop
		})
	}
	return keep, old, many
}
