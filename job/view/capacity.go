package view

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"gke-credential-rotator/policy/capacity"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
)

// Capacity is whether the limits are enough for what is due of one wave.
type Capacity struct {
	Wave   string
	Due    int
	AWeek  string    // starts a week under every cap; "" for one at most
	Done   time.Time // zero: no end in sight
	Latest time.Time // the latest safe date
	// Late would start later than is safe, "" for none, and Raise says which limits
	// could be raised.
	Late, Raise string
}

// Capacity is that of each wave in which something is due.
func (p Plan) Capacity() []Capacity {
	var out []Capacity
	for _, w := range capacity.Of(p.policy, p.result.Fleet, p.result.Decisions, p.result.At) {
		c := Capacity{
			Wave: cmp.Or(w.Wave, "all clusters"), Due: w.Due, Done: w.DoneAbout, Latest: w.LatestSafe,
		}
		if w.StartsAWeek > 0 {
			digits := 1
			if w.StartsAWeek >= 10 {
				digits = 0
			}
			c.AWeek = strconv.FormatFloat(w.StartsAWeek, 'f', digits, 64)
		}
		if w.Short {
			c.Late, c.Raise = w.Late.String(), tooSlow(p.policy)
		}
		out = append(out, c)
	}
	return out
}

// tooSlow names the limits that could be raised.
func tooSlow(p *rules.Policy) string {
	text := fmt.Sprintf("Raise ROTATOR_MAX_ACTIVE=%d", p.MaxActive)
	if n := p.MaxActivePerProject; n > 0 {
		text += fmt.Sprintf(", ROTATOR_MAX_ACTIVE_PER_PROJECT=%d", n)
	}
	if n := p.MaxActivePerLocation; n > 0 {
		text += fmt.Sprintf(", ROTATOR_MAX_ACTIVE_PER_LOCATION=%d", n)
	}
	if len(p.Waves) > 0 {
		text += " or shorten ROTATOR_WAVE_SOAK=" + fleet.Days(p.WaveSoak)
	}
	return text + "; or begin earlier with ROTATOR_ROTATE_BEFORE_EXPIRY."
}
