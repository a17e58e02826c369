package view

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Policy is the policy in force; as JSON the names of the settings in camel case,
// the values in the form that the settings take.
type Policy struct{ *rules.Policy }

// MarshalJSON is the settings' own.
func (p Policy) MarshalJSON() ([]byte, error) { return config.PolicyJSON(p.Policy), nil }

// Setting is one setting and its value in force, as validate and the report list them.
type Setting = config.Setting

// Meaning is one part of what the settings mean, in sentences.
type Meaning struct {
	Title string
	Lines []string
}

// Meanings says what the settings mean.
func Meanings(p *rules.Policy, mode string) []Meaning {
	return []Meaning{
		{"Which clusters", harmless(whichClusters(p, mode))},
		{"When a CA is due", harmless(whenDue(p))},
		{"When work happens", harmless(whenWork(p))},
		{"How many at once", harmless(howMany(p))},
		{"People", harmless(aboutPeople(p))},
	}
}

// harmless are the lines that say something.
func harmless(lines []string) []string {
	return words.Each(words.Said(lines...), words.Harmless)
}

// choices says what the values of settings mean that have a few to choose from.
var choices = map[any]string{
	"observe":             "MODE=observe: nothing is ever sent to GKE; the rotator only reports.",
	"act":                 "MODE=act: rotations are started, managed and completed.",
	rules.AdoptManage:     "Rotations that somebody else started are managed to their end (ADOPT=manage).",
	rules.AdoptWatch:      "Rotations that somebody else started are watched and announced, not touched (ADOPT=watch); rotator adopt takes one over.",
	rules.ZonalWindow:     "Zonal clusters complete in their own maintenance window instead (ZONAL_COMPLETE=window).",
	rules.ZonalBoth:       "Zonal clusters complete only where COMPLETE_WINDOW and their own window overlap (ZONAL_COMPLETE=both).",
	rules.ApproveNone:     "Nobody is asked (APPROVAL=none); rotator hold CLUSTER, or hold all, stops it at any time.",
	rules.ApproveStart:    "Every start needs rotator approve (APPROVAL=start).",
	rules.ApproveComplete: "Every completion needs rotator approve (APPROVAL=complete); without one GKE completes by itself after 7d.",
	rules.ApproveBoth:     "Every start and every completion needs rotator approve (APPROVAL=both).",
	rules.OwnerLabelsHold: "Owners may hold their cluster by its labels rotator-hold and rotator-hold-until (OWNER_LABELS=hold).",
	rules.OwnerLabelsBoth: "Owners may hold their cluster by its labels rotator-hold and rotator-hold-until, and approve by rotator-approve (OWNER_LABELS=both).",
	rules.OwnerLabelsOff:  "Labels on clusters do not steer (OWNER_LABELS=off).",
}

func whichClusters(p *rules.Policy, mode string) []string {
	where := "every location"
	if len(p.Locations) > 0 {
		where = "locations " + strings.Join(p.Locations, ", ")
	}
	which := "every cluster"
	if s := p.Selector.String(); s != "all" {
		which = "clusters whose labels match " + s
	}
	lines := []string{fmt.Sprintf("%s (%s), %s, %s.", words.Plural(len(p.Projects), "project", "projects"),
		words.Few(p.Projects, 5), where, which)}
	return append(lines, choices[mode], cmp.Or(choices[p.Adopt], choices[rules.AdoptWatch]))
}

func whenDue(p *rules.Policy) []string {
	age := "Never by age: MAX_CA_AGE is off. The CAs that GKE issues today live 30 years, so a cluster rotates about once in 30 years."
	if p.MaxCAAge > 0 {
		age = "Or when it is older than " + fleet.Days(p.MaxCAAge) + " (MAX_CA_AGE)."
	}
	return []string{
		"From " + fleet.Days(p.RotateBeforeExpiry) + " before it expires (ROTATE_BEFORE_EXPIRY).",
		age,
		words.If(!p.RotateIssuedBefore.IsZero(),
			"Or when GKE made it before "+p.RotateIssuedBefore.UTC().Format(time.RFC3339)+" (ROTATE_ISSUED_BEFORE)."),
		words.If(p.Compromised != nil,
			fmt.Sprintf("Of those, %v are treated as compromised: windows, freezes and waves are lifted, at most %d at once, SOAK_COMPROMISED=%s.",
				p.Compromised, p.CompromisedMaxActive, fleet.Days(p.SoakCompromised))),
		fmt.Sprintf("Within %s of expiry it is an emergency: whatever would make it miss GKE's last resort (30d before expiry) is not awaited, at most %d at once.",
			fleet.Days(p.EmergencyBeforeExpiry), p.EmergencyMaxActive),
	}
}

func whenWork(p *rules.Policy) []string {
	start, frozen := p.StartWindow.String(), p.Freezes.String()
	nodes := "Nodes are recreated by GKE, or by us what GKE has not begun after " + fleet.Days(p.NodeGrace) +
		" of open window (NODES=auto, NODE_GRACE)."
	switch {
	case p.Nodes == rules.NodesGKE:
		nodes = "Nodes are recreated by GKE alone, in the cluster's window (NODES=gke)."
	case p.NodeGrace == 0:
		nodes = "Nodes are recreated by us at once (NODES=auto, NODE_GRACE=0)."
	}
	return []string{
		fmt.Sprintf("Starts and node work obey the cluster's own maintenance window and exclusions; clusters without a window get WINDOW=%s.", p.Window),
		"WINDOW binds us, not GKE: after a start GKE recreates the nodes of a cluster without a window of its own at any hour.",
		words.If(p.Exclusions == rules.ExclusionsGKEOnly,
			"Exclusions of node upgrades that stand until the end of support do not bind our work (EXCLUSIONS=gke-only)."),
		words.If(start != "always", "Starts also wait for START_WINDOW="+start+"."),
		words.If(frozen != "", "Nothing is started, recreated or completed by us on "+frozen+
			" (FREEZES). GKE knows no freeze: it may complete a rotation that a freeze catches."),
		nodes,
		fmt.Sprintf("Clients then have %s (SOAK) before a completion, which happens in COMPLETE_WINDOW=%s.",
			fleet.Days(p.Soak), p.CompleteWindow),
		choices[p.ZonalComplete],
		"GKE completes any rotation by itself from 7d after its start; a rotation starts only if all of this fits before then.",
	}
}

func howMany(p *rules.Policy) []string {
	project, location := p.MaxActivePerProject, p.MaxActivePerLocation
	waves := "In one wave, by deadline: no canaries go first (WAVES)."
	if len(p.Waves) > 0 {
		names, _ := p.Waves.MarshalText() // cannot fail: it joins names
		waves = fmt.Sprintf("In waves: %s, then the rest. Each waits until the one before is verified, and %s more (WAVE_SOAK).", names, fleet.Days(p.WaveSoak))
	}
	return []string{
		fmt.Sprintf("At most %d rotations at once (MAX_ACTIVE)", p.MaxActive) +
			words.If(project > 0, fmt.Sprintf(", %d per project", project)) +
			words.If(location > 0, fmt.Sprintf(", %d per location", location)) + ".",
		waves,
		fmt.Sprintf("After %s that nobody has acknowledged, no new one starts (MAX_FAILED).",
			words.Plural(p.MaxFailed, "failed or stuck rotation", "failed or stuck rotations")),
	}
}

func aboutPeople(p *rules.Policy) []string {
	return []string{
		cmp.Or(choices[p.Approval], choices[rules.ApproveNone]),
		cmp.Or(choices[p.OwnerLabels], choices[rules.OwnerLabelsHold]),
		"People are told when the new CA and endpoint exist, when the nodes are done and before the completion: kubeconfigs, Terraform, Vault, Argo CD and firewall rules must follow.",
		"A rotation that stays in a phase " + fleet.Days(p.StuckAfter) +
			" longer than gates and operations explain is announced as stuck (STUCK_AFTER).",
	}
}

// DateAhead says that ROTATE_ISSUED_BEFORE lies ahead, and what that means; else "".
func DateAhead(p *rules.Policy, now time.Time) string {
	return words.If(p.RotateIssuedBefore.After(now), "ROTATE_ISSUED_BEFORE="+
		p.RotateIssuedBefore.UTC().Format(time.RFC3339)+
		" lies ahead: the first run that sees it takes its own time instead, and CAs made after that are new.")
}

// Warnings are settings that are allowed and probably not meant.
func Warnings(p *rules.Policy, mode string, now time.Time) []string {
	shut := func(s ...window.Schedule) bool {
		_, opens := window.All(s...).Next(now)
		return !opens
	}
	perProject, complete := p.MaxActivePerProject, p.CompleteWindow
	frozenSince, thawed := p.Freezes.Over(now)
	return harmless(append([]string{
		words.If(mode == "act" && p.Window.IsAlways(),
			"WINDOW=always with MODE=act: clusters without a window of their own are started, and their nodes recreated, at any hour. Set WINDOW for our part, and windows on the clusters for GKE's."),
		words.If(!complete.NamesZones(), fmt.Sprintf("COMPLETE_WINDOW=%s is in UTC, for it names no zone. Name the one of those who must be awake, for instance COMPLETE_WINDOW=Mon-Thu 09:00-15:00 Europe/Paris; or UTC.", complete)),
		words.If(thawed, fmt.Sprintf("FREEZES=%s: the last of them ended %s, and none is ahead. Add the next one, or remove the setting.",
			p.Freezes, words.Day(frozenSince))),
		words.If(mode == "observe", "MODE=observe: no CA is rotated until it is act."),
		words.If(perProject > 0 && perProject*len(p.Projects) < p.MaxActive,
			fmt.Sprintf("MAX_ACTIVE=%d is never reached: %s times MAX_ACTIVE_PER_PROJECT=%d.",
				p.MaxActive, words.Plural(len(p.Projects), "project", "projects"), perProject)),
		words.If(len(p.Waves) == 0 && p.MaxCAAge > 0,
			"No WAVES: production is as early as everything else. For instance WAVES=env=dev > env=staging > env=prod."),
		DateAhead(p, now),
		words.If(p.Nodes == rules.NodesGKE && p.Freezes.String() != "",
			"NODES=gke with FREEZES: GKE recreates nodes during freezes too. Put exclusions on the clusters for that."),
		words.If(shut(p.CompleteWindow, p.Freezes),
			"COMPLETE_WINDOW never opens outside FREEZES within 400 days: no rotation could be completed, so none starts."),
		words.If(shut(p.StartWindow, p.Freezes),
			"START_WINDOW never opens outside FREEZES within 400 days: no rotation starts."),
		words.If(p.Soak > 3*24*time.Hour, "SOAK="+fleet.Days(p.Soak)+
			" leaves little of GKE's seven days for nodes and a completion window; clusters with one window a week may not fit."),
		words.If(p.Compromised != nil && p.RotateIssuedBefore.IsZero(),
			"COMPROMISED without ROTATE_ISSUED_BEFORE does nothing."),
	}, seldom(p, now)...))
}

// seldom says which calendars the runs may miss: those that stay open for less than the
// time from one run to the next.
func seldom(p *rules.Policy, now time.Time) (out []string) {
	for _, of := range []struct {
		name string
		w    window.Weekly
	}{{"WINDOW", p.Window}, {"START_WINDOW", p.StartWindow}, {"COMPLETE_WINDOW", p.CompleteWindow}} {
		long := window.Longest(of.w, now, 5*7*24*time.Hour)
		if room := long - record.Room; !of.w.IsAlways() && p.Every > room {
			out = append(out, fmt.Sprintf("EVERY=%s: runs may never fall into %s=%s, which stays open for at most %s, for a call needs %s of it. Schedule them so that one does, or set EVERY to %s or less, and the schedule likewise.",
				fleet.Days(p.Every), of.name, of.w, fleet.Days(long), fleet.Days(record.Room), fleet.Days(often(room))))
		}
	}
	if room := rules.DailyWindow - record.Room; p.Every > room {
		out = append(out, fmt.Sprintf("EVERY=%s: runs may never fall into a cluster's own window of %s, as GKE's daily ones are. Set EVERY=3h or less, and the schedule likewise.",
			fleet.Days(p.Every), fleet.Days(rules.DailyWindow)))
	}
	return out
}

// often is a plain length of time of at most d.
func often(d time.Duration) time.Duration {
	if d < time.Hour {
		return d.Truncate(time.Minute)
	}
	return d.Truncate(time.Hour)
}
