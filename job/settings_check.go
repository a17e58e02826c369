package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/window"
)

const day = 24 * time.Hour

// A project id, or an older one within a domain.
var projectPattern = regexp.MustCompile(`^([a-z0-9.-]+\.[a-z]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`)

// Any name that breaks no path, for simulated projects.
var simulatedProject = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.:_-]{0,99}$`)

// The longest soak: more would leave no room before GKE's own completion.
const maxSoak = 5 * day

// check finds what is wrong between settings, and values out of their bounds.
// Settings that could not be read are in bad and asked nothing more.
func (s *Settings) check(bad map[string]bool) []Problem {
	c := checker{s: s, bad: bad, texts: map[string]string{}, forms: map[string]string{}}
	for _, f := range fieldsOf(s) {
		c.texts[f.Name], _ = f.value.source()
		c.forms[f.Name] = f.Form
	}
	c.bounds()
	c.relations()
	c.places()
	return c.found
}

type checker struct {
	s            *Settings
	bad          map[string]bool
	texts, forms map[string]string
	found        []Problem
}

// require reports name unless ok. others are the settings that must be
// readable too for the question to make sense.
func (c *checker) require(ok bool, name, what string, others ...string) {
	c.advise(ok, name, what, "Write "+c.forms[name], others...)
}

// advise is require with a way out of its own.
func (c *checker) advise(ok bool, name, what, hint string, others ...string) {
	for _, n := range append(others, name) {
		if c.bad[n] {
			return
		}
	}
	if !ok {
		c.bad[name] = true
		c.found = append(c.found, Problem{Setting: prefix + name, Text: c.texts[name], What: what, Hint: hint})
	}
}

// between reports a duration out of its bounds.
func (c *checker) between(d duration, name string, least, most time.Duration) {
	v := time.Duration(d.V)
	c.require(v >= least, name, "it is less than "+fleet.Days(least))
	c.require(v <= most, name, "it is more than "+fleet.Days(most))
}

func (c *checker) bounds() {
	s := c.s
	c.between(s.RotateBeforeExpiry, "ROTATE_BEFORE_EXPIRY", policy.DeadlineBefore, 3650*day)
	c.require(s.MaxCAAge.V == 0 || time.Duration(s.MaxCAAge.V) >= 30*day, "MAX_CA_AGE", "a rotation may take weeks, so a CA may not be due again within 30d")
	c.require(time.Duration(s.EmergencyBeforeExpiry.V) > policy.DeadlineBefore, "EMERGENCY_BEFORE_EXPIRY",
		"it is not above 31d, and at 30d GKE starts by itself whatever the window")
	const why = ", and GKE completes by itself seven days after the start"
	c.require(time.Duration(s.Soak.V) <= maxSoak, "SOAK", "it is more than 5d"+why)
	c.require(time.Duration(s.SoakUrgent.V) <= maxSoak, "SOAK_URGENT", "it is more than 5d"+why)
	c.require(time.Duration(s.NodeGrace.V) <= 3*day, "NODE_GRACE", "it is more than 3d, and all node work must fit into seven")
	c.between(s.NodeTime, "NODE_TIME", time.Minute, 12*time.Hour)
	c.between(s.WaveSoak, "WAVE_SOAK", 0, 90*day)
	c.between(s.StuckAfter, "STUCK_AFTER", time.Hour, 30*day)
	c.between(s.NotifyAhead, "NOTIFY_AHEAD", time.Hour, 14*day)
	c.between(s.Every, "EVERY", 5*time.Minute, day)
	c.between(s.Deadline, "DEADLINE", time.Minute, day)
	c.require(s.PoolsAtOnce.V <= 20, "POOLS_AT_ONCE", "GKE upgrades at most 20 pools of a cluster together")
	c.require(s.Parallel.V <= 256, "PARALLEL", "it is more than 256, and GKE's quota of reads would refuse them")
	c.require(s.MaxFailed.V <= record.MaxFailures, "MAX_FAILED", fmt.Sprintf("it is more than the %d failures that the book remembers", record.MaxFailures))
	c.room(s.Window, "WINDOW")
	c.room(s.StartWindow, "START_WINDOW")
	c.room(s.CompleteWindow, "COMPLETE_WINDOW")
}

// room reports a calendar in which no call could ever be made.
func (c *checker) room(w weekly, name string) {
	open, changes := window.RoomAt(w.V, time.Unix(0, 0), record.Room)
	c.require(open || !changes.IsZero(), name, "no stretch of it is as long as the "+fleet.Days(record.Room)+" that a call needs")
}

func (c *checker) relations() {
	s := c.s
	c.advise(s.RotateBeforeExpiry.V > s.EmergencyBeforeExpiry.V, "ROTATE_BEFORE_EXPIRY",
		fmt.Sprintf("it is not longer than %sEMERGENCY_BEFORE_EXPIRY=%s, so every due cluster would be an emergency", prefix, fleet.Days(time.Duration(s.EmergencyBeforeExpiry.V))),
		"Write a longer one, e.g. 180d", "EMERGENCY_BEFORE_EXPIRY")
	c.advise(s.Urgent.V.Selector == nil || !s.RotateIssuedBefore.V.IsZero(), "URGENT",
		"it means nothing without the date of the compromise", "Set "+prefix+"ROTATE_ISSUED_BEFORE too, or remove it", "ROTATE_ISSUED_BEFORE")
	c.slots()
	c.advise(s.NotifySecretFile.V == "" || s.NotifyWebhook.V.asked(), "NOTIFY_SECRET_FILE",
		"there is no webhook whose posts it would sign", "Set "+prefix+"NOTIFY_WEBHOOK too, or remove it", "NOTIFY_WEBHOOK")
	c.advise(s.Deadline.V <= s.Every.V, "DEADLINE",
		"runs would overlap, for it is more than "+prefix+"EVERY="+fleet.Days(time.Duration(s.Every.V)), "Write a shorter one, e.g. "+fleet.Days(time.Duration(s.Every.V)*5/6), "EVERY")
}

// slots reports limits that in sum allow more than the book has room for. The
// largest is at fault.
func (c *checker) slots() {
	limits := map[string]int{"MAX_ACTIVE": int(c.s.MaxActive.V), "EMERGENCY_MAX_ACTIVE": int(c.s.EmergencyMaxActive.V), "URGENT_MAX_ACTIVE": int(c.s.UrgentMaxActive.V)}
	names := slices.SortedFunc(maps.Keys(limits), func(a, b string) int { return cmp.Or(limits[b]-limits[a], strings.Compare(a, b)) })
	sum := limits[names[0]] + limits[names[1]] + limits[names[2]]
	c.advise(sum <= record.MaxSlots, names[0], fmt.Sprintf("with %s%s=%d and %s%s=%d it allows %d rotations at once, and the book has room for %d",
		prefix, names[1], limits[names[1]], prefix, names[2], limits[names[2]], sum, record.MaxSlots),
		fmt.Sprintf("Write at most %d", max(1, record.MaxSlots-limits[names[1]]-limits[names[2]])), names[1:]...)
}

// places checks what depends on where this runs and whom it talks to.
func (c *checker) places() {
	s := c.s
	loopback := s.GKEEndpoint.V.loopback()
	for _, p := range s.Projects.V {
		pattern := projectPattern
		if loopback {
			pattern = simulatedProject
		}
		c.require(pattern.MatchString(p), "PROJECTS", fmt.Sprintf("%q is not a project id (6 to 30 lower-case letters, digits and dashes; not a project's number or name)", p), "GKE_ENDPOINT")
	}
	if s.cloudRun != "" {
		c.advise(s.State.V.File == "", "STATE", "on Cloud Run a file is lost with the container", "Write firestore://PROJECT/DATABASE")
		const why, hint = "on Cloud Run only Google's own endpoint is spoken to", "Remove it, or write google"
		c.advise(s.GKEEndpoint.V == "", "GKE_ENDPOINT", why, hint)
		c.advise(s.RecommenderEndpoint.V == "", "RECOMMENDER_ENDPOINT", why, hint)
		return
	}
	c.advise(s.Mode.V != act || loopback || c.texts["STATE"] != defaultStore, "STATE",
		"with "+prefix+"MODE=act against Google the book must have a place of its own, not the working directory", "Write firestore://PROJECT/DATABASE or file:PATH", "MODE", "GKE_ENDPOINT")
}

// Policy gives the rules that the settings ask for. Meaningful only if
// readSettings found no problem.
func (s Settings) Policy() *policy.Policy {
	d := func(f duration) time.Duration { return time.Duration(f.V) }
	return &policy.Policy{
		Env: string(s.Env.V), Projects: s.Projects.V, Locations: s.Locations.V, Selector: s.Selector.V,
		RotateBeforeExpiry: d(s.RotateBeforeExpiry), MaxCAAge: d(s.MaxCAAge), RotateIssuedBefore: s.RotateIssuedBefore.V.Time,
		Urgent: s.Urgent.V.Selector, SoakUrgent: d(s.SoakUrgent), UrgentMaxActive: int(s.UrgentMaxActive.V),
		EmergencyBeforeExpiry: d(s.EmergencyBeforeExpiry), EmergencyMaxActive: int(s.EmergencyMaxActive.V),
		Window: s.Window.V, StartWindow: s.StartWindow.V, Freezes: s.Freezes.V,
		CompleteWindow: s.CompleteWindow.V, ZonalComplete: policy.ZonalComplete(s.ZonalComplete.V),
		Soak: d(s.Soak), Approval: policy.Approve(s.Approval.V), Steer: policy.Steer(s.Steer.V),
		Nodes: policy.NodesBy(s.Nodes.V), NodeGrace: d(s.NodeGrace), NodeTime: d(s.NodeTime), PoolsAtOnce: int(s.PoolsAtOnce.V),
		Adopt: policy.Adopt(s.Adopt.V), MaxActive: int(s.MaxActive.V),
		MaxActivePerProject: int(s.MaxActivePerProject.V), MaxActivePerLocation: int(s.MaxActivePerLocation.V),
		Waves: s.Waves.V, WaveSoak: d(s.WaveSoak), MaxFailed: int(s.MaxFailed.V), StuckAfter: d(s.StuckAfter), Every: d(s.Every),
		InForce: s.audited(),
	}
}

// simulationEnviron is environ with the simulation's own MODE, ENV, PROJECTS,
// STATE, RECOMMENDER, REPORT and endpoints, and tells nobody; every other setting
// is the operator's.
func simulationEnviron(environ []string) []string {
	own := map[string]string{
		"ENV": "simulation", "PROJECTS": "simulation", "MODE": act, "STATE": defaultStore, "RECOMMENDER": "off", "REPORT": "none",
		"GKE_ENDPOINT": "localhost:1", "RECOMMENDER_ENDPOINT": "localhost:1",
		"NOTIFY_WEBHOOK": "none", "NOTIFY_SECRET_FILE": "none", "NOTIFY_TOPIC": "none",
	}
	var out []string
	for k, v := range variables(environ) {
		if _, is := own[strings.TrimPrefix(k, prefix)]; !is && strings.HasPrefix(k, prefix) {
			out = append(out, k+"="+v)
		}
	}
	for k, v := range own {
		out = append(out, prefix+k+"="+v)
	}
	return out
}
