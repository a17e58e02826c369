package show

import (
	"cmp"
	"fmt"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
)

// capacity shows whether the limits are enough for what is due, wave by wave.
func (g *page) capacity(waves []policy.WaveCapacity, p *policy.Policy) {
	var rs []row
	for _, w := range waves {
		r := row{name: cmp.Or(clean(w.Wave), "all clusters"), what: fmt.Sprintf("%d due", w.Due), text: "limits suffice", style: green}
		pace := "one start at most"
		if w.StartsAWeek > 0 {
			digits := 1
			if w.StartsAWeek >= 10 {
				digits = 0
			}
			pace = fmt.Sprintf("%.*f starts a week under every cap", digits, w.StartsAWeek)
		}
		done := "no end in sight"
		if !w.DoneAbout.IsZero() {
			done = "done about " + day(w.DoneAbout)
		}
		r.text = joined(pace, done, "latest safe date "+day(w.LatestSafe))
		if w.Short {
			r.style, r.code = red, "capacity-short"
			r.text = joined("TOO SLOW: "+clean(w.Late.String())+" would start later than is safe", r.text)
			r.next = tooSlow(p)
		}
		rs = append(rs, r)
	}
	g.section(bold, "CAPACITY", g.names(rs), rs)
}

// tooSlow names the limits that could be raised.
func tooSlow(p *policy.Policy) string {
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
