package trial

import (
	"context"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/intercept"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// dated changes the facts of every hand-over that is stored to be told.
func dated(change func(*record.HandOver)) func(pass.World, Process) pass.World {
	return keeping(badStore{write: func(c *state.Change) {
		c.Notices = slices.Clone(c.Notices)
		for i := range c.Notices {
			if h := c.Notices[i].HandOver; h != nil {
				facts := *h
				change(&facts)
				c.Notices[i].HandOver = &facts
			}
		}
	}})
}

// hiding leaves clusters out of every list, as if they were not there.
func hiding(which func(fleet.Cluster) bool) func(pass.World, Process) pass.World {
	return func(w pass.World, _ Process) pass.World {
		w.Read = intercept.Reader(w.Read, func(ctx context.Context, c *intercept.Call, next intercept.Next) error {
			err := next(ctx)
			c.Listed = slices.DeleteFunc(slices.Clone(c.Listed), which)
			return err
		})
		return w
	}
}

// unpromised is a store that has forgotten what was promised.
func unpromised(b *record.Contents) {
	for ref, r := range b.Rotations {
		r.Promised = time.Time{}
		b.Rotations[ref] = r
	}
}

// untold is a GKE that shows no operations under an intent, and a store that counts no call
// that was taken back.
func untold(w pass.World, about Process) pass.World {
	listed := map[string]bool{}
	w.Read = intercept.Reader(w.Read, func(ctx context.Context, c *intercept.Call, next intercept.Next) error {
		if c.Method == intercept.Operations && strings.HasSuffix(c.Project, "0") {
			if listed[c.Project] {
				return errStore
			}
			listed[c.Project] = true
		}
		return next(ctx)
	})
	return keeping(badStore{
		contents: func(b *record.Contents) {
			b.Fleet.Tries = nil
			for ref, r := range b.Rotations {
				r.Withdrawals = 0
				b.Rotations[ref] = r
			}
		},
		fleet: func(d *record.FleetDoc) { d.Tries = nil },
	})(w, about)
}
