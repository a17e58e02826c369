package config

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

const day = 24 * time.Hour

// The modes of a run.
const (
	Observe = "observe"
	Act     = "act"
)

// A project id, or an older one within a domain.
var projectPattern = regexp.MustCompile(`^([a-z0-9.-]+\.[a-z]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`)

// SimulatedProject is any name that breaks no path.
var SimulatedProject = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.:_-]{0,99}$`)

// MaxSoak is the longest soak: more would leave no room before GKE's own completion.
const MaxSoak = 5 * day

// checker finds what is wrong with settings. Those that are in bad are asked nothing more.
type checker struct {
	s     *Settings
	vars  map[string]string
	rows  map[string]row
	bad   map[string]bool
	found []Problem
}

// require reports a setting unless ok; others must be right, too, for the question to make sense.
func (c *checker) require(ok bool, name, what string, others ...string) {
	c.advise(ok, name, what, "Write "+c.rows[name].form(), others...)
}

// advise is require with a way out of its own.
func (c *checker) advise(ok bool, name, what, hint string, others ...string) {
	if ok || slices.ContainsFunc(append(others, name), func(n string) bool { return c.bad[n] }) {
		return
	}
	c.bad[name] = true
	c.found = append(c.found, Problem{Prefix + name, c.rows[name].shown(nil), what, hint})
}

// bounds finds values out of their own bounds.
func (c *checker) bounds() {
	s := c.s
	c.between("ROTATE_BEFORE_EXPIRY", s.RotateBeforeExpiry, rules.DeadlineBefore, 3650*day)
	c.require(s.MaxCAAge.V == 0 || s.MaxCAAge.V >= 30*day, "MAX_CA_AGE",
		"a rotation may take weeks, so a CA may not be due again within 30d")
	c.require(s.EmergencyBeforeExpiry.V > rules.DeadlineBefore, "EMERGENCY_BEFORE_EXPIRY",
		"it is not above 31d, and at 30d GKE starts by itself whatever the window")
	const why = "it is more than 5d, and GKE completes by itself seven days after the start"
	c.require(s.Soak.V <= MaxSoak, "SOAK", why)
	c.require(s.SoakCompromised.V <= MaxSoak, "SOAK_COMPROMISED", why)
	c.require(s.NodeGrace.V <= 3*day, "NODE_GRACE",
		"it is more than 3d, and all node work must fit into seven")
	for _, r := range rowsOf(s) {
		if d, ok := r.value.(*period); ok && r.tag("max") != "" {
			least, _ := fleet.ParseDuration(r.tag("min")) // "" is 0
			most, _ := fleet.ParseDuration(r.tag("max"))
			c.between(r.Name, *d, least, most)
		}
	}
	c.between("DEADLINE", s.Deadline, time.Minute, day)
	c.require(s.PoolsAtOnce.V <= 20, "POOLS_AT_ONCE", "GKE upgrades at most 20 pools of a cluster together")
	c.require(s.Parallel.V <= 256, "PARALLEL",
		"it is more than 256, and GKE's quota of reads would refuse them")
	c.require(s.MaxFailed.V <= record.MaxFailures, "MAX_FAILED",
		fmt.Sprintf("it is more than the %d failures that the store remembers", record.MaxFailures))
	c.room(s.Window, "WINDOW")
	c.room(s.StartWindow, "START_WINDOW")
	c.room(s.CompleteWindow, "COMPLETE_WINDOW")
}

func (c *checker) between(name string, d period, least, most time.Duration) {
	c.require(d.V >= least, name, "it is less than "+fleet.Days(least))
	c.require(d.V <= most, name, "it is more than "+fleet.Days(most))
}

// room reports a calendar in which no call could ever be made.
func (c *checker) room(w Value[window.Weekly], name string) {
	open, changes := window.RoomAt(w.V, time.Unix(0, 0), record.Room)
	c.require(open || !changes.IsZero(), name,
		"no stretch of it is as long as the "+fleet.Days(record.Room)+" that a call needs")
}

// relations finds settings that contradict each other.
func (c *checker) relations() {
	s := c.s
	c.advise(s.RotateBeforeExpiry.V > s.EmergencyBeforeExpiry.V, "ROTATE_BEFORE_EXPIRY",
		"it is not longer than "+Prefix+"EMERGENCY_BEFORE_EXPIRY="+fleet.Days(s.EmergencyBeforeExpiry.V)+
			", so every due cluster would be an emergency",
		"Write a longer one, e.g. 180d", "EMERGENCY_BEFORE_EXPIRY")
	c.advise(s.Compromised.V == nil || !s.RotateIssuedBefore.V.IsZero(), "COMPROMISED",
		"it means nothing without the date of the compromise",
		"Set "+Prefix+"ROTATE_ISSUED_BEFORE too, or remove it", "ROTATE_ISSUED_BEFORE")
	c.slots()
	c.advise(s.NotifySecretFile.V == "" || s.NotifyWebhook.V.Asked(), "NOTIFY_SECRET_FILE",
		"there is no webhook whose posts it would sign",
		"Set "+Prefix+"NOTIFY_WEBHOOK too, or remove it", "NOTIFY_WEBHOOK")
	c.advise(s.Deadline.V <= s.Every.V, "DEADLINE",
		"runs would overlap, for it is more than "+Prefix+"EVERY="+fleet.Days(s.Every.V),
		"Write a shorter one, e.g. "+fleet.Days(s.Every.V*5/6), "EVERY")
}

// At gives what is wrong with the settings at that time: a date of the past that lies
// further ahead than time zones explain.
func (s Settings) At(now time.Time) []Problem {
	c := &checker{s: &s, rows: map[string]row{}, bad: map[string]bool{}}
	for _, r := range rowsOf(&s) {
		c.rows[r.Name] = r
	}
	c.advise(!s.RotateIssuedBefore.V.After(now.Add(rules.DateAhead)), "ROTATE_ISSUED_BEFORE",
		"it lies more than "+fleet.Days(rules.DateAhead)+" ahead of "+now.UTC().Format(time.RFC3339),
		"Write the time of the compromise, or the present")
	return c.found
}

// slots reports limits that in sum allow more than the store has room for. The largest is at fault.
func (c *checker) slots() {
	limits := map[string]int{
		"MAX_ACTIVE": c.s.MaxActive.V, "EMERGENCY_MAX_ACTIVE": c.s.EmergencyMaxActive.V,
		"COMPROMISED_MAX_ACTIVE": c.s.CompromisedMaxActive.V,
	}
	names := slices.SortedFunc(maps.Keys(limits), func(a, b string) int {
		return cmp.Or(limits[b]-limits[a], strings.Compare(a, b))
	})
	others := limits[names[1]] + limits[names[2]]
	sum := limits[names[0]] + others
	c.advise(sum <= record.MaxSlots, names[0],
		fmt.Sprintf("with %s%s=%d and %s%s=%d it allows %d rotations at once, and the store has room for %d",
			Prefix, names[1], limits[names[1]], Prefix, names[2], limits[names[2]], sum, record.MaxSlots),
		fmt.Sprintf("Write at most %d", max(1, record.MaxSlots-others)), names[1:]...)
}

// places checks what depends on where this runs and whom it talks to.
func (c *checker) places() {
	s := c.s
	loopback := s.GKEEndpoint.V.Loopback()
	for _, p := range s.Projects.V {
		pattern := projectPattern
		if loopback {
			pattern = SimulatedProject
		}
		c.require(pattern.MatchString(p), "PROJECTS", fmt.Sprintf("%q is not a project id "+
			"(6 to 30 lower-case letters, digits and dashes; not a project's number or name)", p),
			"GKE_ENDPOINT")
	}
	if c.vars["CLOUD_RUN_JOB"] != "" {
		c.advise(s.State.V.File == "", "STATE",
			"on Cloud Run a file is lost with the container", "Write firestore://PROJECT/DATABASE")
		const why, hint = "on Cloud Run only Google's own endpoint is spoken to", "Remove it, or write google"
		c.advise(s.GKEEndpoint.V == "", "GKE_ENDPOINT", why, hint)
		c.advise(s.RecommenderEndpoint.V == "", "RECOMMENDER_ENDPOINT", why, hint)
		return
	}
	// The default is a file in the working directory.
	c.advise(s.Mode.V != Act || loopback || s.State.text != c.rows["STATE"].Default, "STATE",
		"with "+Prefix+"MODE=act against Google the store must have a place of its own, not the working directory",
		"Write firestore://PROJECT/DATABASE or file:PATH", "MODE", "GKE_ENDPOINT")
}
