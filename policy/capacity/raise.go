package capacity

import (
	"slices"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// limit is one of the settings that keep starts apart.
type limit struct {
	text fact.Text
	lift func(*rules.Policy)
}

// limits are those in force.
func limits(p *rules.Policy) []limit {
	out := []limit{{fact.Set("MAX_ACTIVE", p.MaxActive),
		func(p *rules.Policy) { p.MaxActive = record.MaxSlots }}}
	if p.MaxActivePerProject > 0 {
		out = append(out, limit{fact.Set("MAX_ACTIVE_PER_PROJECT", p.MaxActivePerProject),
			func(p *rules.Policy) { p.MaxActivePerProject = 0 }})
	}
	if p.MaxActivePerLocation > 0 {
		out = append(out, limit{fact.Set("MAX_ACTIVE_PER_LOCATION", p.MaxActivePerLocation),
			func(p *rules.Policy) { p.MaxActivePerLocation = 0 }})
	}
	if len(p.Waves) > 0 {
		out = append(out, limit{fact.Set("WAVE_SOAK", fleet.Days(p.WaveSoak)),
			func(p *rules.Policy) { p.WaveSoak = 0 }})
	}
	return append(out,
		limit{fact.Set("EMERGENCY_MAX_ACTIVE", p.EmergencyMaxActive),
			func(p *rules.Policy) { p.EmergencyMaxActive = record.MaxSlots }},
		limit{fact.Set("COMPROMISED_MAX_ACTIVE", p.CompromisedMaxActive),
			func(p *rules.Policy) { p.CompromisedMaxActive = record.MaxSlots }})
}

// raise names the limits that alone let the cluster start before at; where none does,
// the fewest that together do; nil where all of them do not.
func (f fleetDue) raise(p *rules.Policy, late fleet.Ref, at time.Time) fact.Text {
	helps := func(lifted ...limit) bool {
		q := *p
		for _, l := range lifted {
			l.lift(&q)
		}
		_, starts := f.play(&q)
		return starts[late].Before(at)
	}
	all := limits(p)
	var alone []limit
	for _, l := range all {
		if helps(l) {
			alone = append(alone, l)
		}
	}
	if len(alone) > 0 {
		return joined(alone, "or")
	}
	if !helps(all...) {
		return nil
	}
	for i := len(all) - 1; i >= 0; i-- {
		if fewer := slices.Delete(slices.Clone(all), i, i+1); helps(fewer...) {
			all = fewer
		}
	}
	return joined(all, "and")
}

func joined(ls []limit, by string) fact.Text {
	var text fact.Text
	said := ""
	for i, l := range ls {
		verb := "raise "
		if slices.Contains(l.text.Settings(), "WAVE_SOAK") {
			verb = "shorten "
		}
		if i > 0 {
			text = fact.Sayf("%v %s ", text, by)
		}
		if verb != said {
			text = fact.Sayf("%v%s", text, verb)
		}
		text, said = fact.Sayf("%v%v", text, l.text), verb
	}
	return text
}
