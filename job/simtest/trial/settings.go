package trial

import (
	"encoding"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
)

// Texts of settings to choose from, as operators write them.
var (
	selectors = []string{"all", "all", "all", "!legacy", "env in (dev,prod)", "env!=staging"}
	windows   = []string{"always", "always", "Sat,Sun 02:00-06:00 Europe/Paris", "Mon-Fri 22:00-04:00",
		"Tue 01:00-05:00 America/New_York; Sat 00:00-24:00", "Mon-Sun 03:00-04:00 Asia/Kolkata"}
	completeWindows = []string{"Mon-Thu 09:00-15:00", "Mon-Thu 09:00-15:00", "Mon-Fri 08:00-18:00 Europe/Berlin",
		"Mon-Sun 00:00-24:00", "Wed 10:00-16:00 America/Los_Angeles"}
	waves = []string{"one", "one", "env=dev > env=staging > env=prod", "tier=web > env in (prod)",
		"env=dev > !legacy"}
)

// drawPolicy draws settings within their ranges.
func (p *play) drawPolicy(env string) (*rules.Policy, error) {
	x := &rules.Policy{
		Env:                env,
		RotateBeforeExpiry: pick(p, 90*day, 180*day, 180*day, 300*day), MaxCAAge: pick(p, 0, 0, 365*day, 700*day),
		SoakCompromised: p.between(0, day).Truncate(time.Minute), CompromisedMaxActive: 1 + p.dice.IntN(20),
		EmergencyBeforeExpiry: pick(p, 32*day, 45*day, 45*day, 60*day), EmergencyMaxActive: 1 + p.dice.IntN(10),
		ZonalComplete: pick(p, rules.ZonalPeople, rules.ZonalPeople, rules.ZonalPeople, rules.ZonalPeople,
			rules.ZonalWindow, rules.ZonalBoth),
		Soak: pick(p, 0, 4*time.Hour, day, day, 72*time.Hour, 5*day),
		Approval: pick(p, rules.ApproveNone, rules.ApproveNone, rules.ApproveStart, rules.ApproveComplete,
			rules.ApproveBoth),
		Nodes:       pick(p, rules.NodesAuto, rules.NodesAuto, rules.NodesAuto, rules.NodesGKE),
		NodeGrace:   pick(p, 0, time.Hour, time.Hour, 6*time.Hour, 2*day),
		NodeTime:    pick(p, 2*time.Minute, 10*time.Minute, 10*time.Minute, 30*time.Minute),
		PoolsAtOnce: pick(p, 0, 0, 1, 2, 5), Adopt: pick(p, rules.AdoptWatch, rules.AdoptWatch,
			rules.AdoptManage),
		MaxActive: pick(p, 1, 2, 5, 10, 10), MaxActivePerProject: pick(p, 0, 1, 2, 2, 4),
		MaxActivePerLocation: pick(p, 0, 0, 1, 3),
		WaveSoak:             pick(p, 0, 6*time.Hour, day, 3*day), MaxFailed: pick(p, 1, 1, 3, 100),
		StuckAfter: pick(p, time.Hour, 12*time.Hour, day, day, 3*day),
		Every: pick(p, time.Hour, time.Hour, time.Hour, time.Hour, 2*time.Hour, 6*time.Hour, 8*time.Hour,
			day),
		NodeOverrun: pick(p, 0, 2*time.Hour, 2*time.Hour, 6*time.Hour), Fit: pick(p, rules.FitBind, rules.FitBind,
			rules.FitBind, rules.FitReport),
	}
	x.OwnerLabels = p.owners.allowed()
	if p.likely(0.1) {
		x.RotateIssuedBefore = p.now.Add(-p.between(0, 1000*day)).Truncate(day)
		if p.likely(0.7) {
			compromised, err := fleet.ParseSelector(pick(p, "env=prod", "all", "tier=web"))
			if err != nil {
				return nil, broken("COMPROMISED", err)
			}
			x.Compromised = &compromised
		}
	}
	if p.likely(0.1) {
		x.Locations = []string{"europe-west1", "us-central1", "asia-south1"}
	}
	freezes := "none"
	if p.likely(0.4) {
		from := p.Begin.Add(p.between(0, 50*day))
		freezes = from.Format(time.DateOnly) + "/" + from.Add(p.between(0, 12*day)).Format(time.DateOnly) +
			pick(p, "", " Europe/Paris", " Asia/Tokyo")
	}
	for _, t := range []struct {
		into encoding.TextUnmarshaler
		text string
	}{
		{&x.Selector, pick(p, selectors...)}, {&x.Window, pick(p, windows...)},
		{&x.StartWindow, pick(p, "always", "always", "always", "always", "always", "always", "always",
			"Mon-Sun 00:00-22:00")},
		{&x.CompleteWindow, pick(p, completeWindows...)}, {&x.Freezes, freezes},
		{&x.Waves, pick(p, waves...)},
	} {
		if err := t.into.UnmarshalText([]byte(t.text)); err != nil {
			return nil, broken("draw "+t.text, err)
		}
	}
	return x, nil
}

// soothe gives settings under which everything that is due can be rotated
// before the play ends: all projects, ample budgets, no freeze.
func (p *play) soothe(x *rules.Policy) {
	x.Projects = append([]string(nil), p.fleet.projects...)
	x.Freezes, x.Locations = rules.Policy{}.Freezes, nil
	x.MaxActive, x.EmergencyMaxActive, x.CompromisedMaxActive = 1000, 1000, 1000
	x.MaxActivePerProject, x.MaxActivePerLocation, x.MaxFailed = 0, 0, 1000
	x.Soak, x.WaveSoak, x.Every = min(x.Soak, day), min(x.WaveSoak, 6*time.Hour), min(x.Every, time.Hour)
	x.NodeGrace = min(x.NodeGrace, time.Hour)
}
