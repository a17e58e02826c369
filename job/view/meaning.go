package view

import (
	"fmt"
	"strings"
	"time"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Setting is one setting and its value in force, as validate and the report list them.
type Setting struct {
	Name    string // without ROTATOR_
	Value   string
	Default bool // the value is the default
}

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

func harmless(lines []string) []string {
	for i, l := range lines {
		lines[i] = words.Harmless(l)
	}
	return lines
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
	switch mode {
	case "observe":
		lines = append(lines, "MODE=observe: nothing is ever sent to GKE; the rotator only reports.")
	case "act":
		lines = append(lines, "MODE=act: rotations are started, managed and completed.")
	}
	if p.Adopt == rules.AdoptManage {
		return append(lines, "Rotations that somebody else started are managed to their end (ADOPT=manage).")
	}
	return append(lines, "Rotations that somebody else started are watched and announced, not touched (ADOPT=watch); rotator adopt takes one over.")
}

func whenDue(p *rules.Policy) []string {
	lines := []string{"From " + fleet.Days(p.RotateBeforeExpiry) + " before it expires (ROTATE_BEFORE_EXPIRY)."}
	if p.MaxCAAge > 0 {
		lines = append(lines, "Or when it is older than "+fleet.Days(p.MaxCAAge)+" (MAX_CA_AGE).")
	} else {
		lines = append(lines, "Never by age: MAX_CA_AGE is off. The CAs that GKE issues today live 30 years, so a cluster rotates about once in 30 years.")
	}
	if !p.RotateIssuedBefore.IsZero() {
		lines = append(lines, "Or when it was issued before "+dateOr(p.RotateIssuedBefore)+
			" (ROTATE_ISSUED_BEFORE).")
	}
	if p.Compromised != nil {
		lines = append(lines, fmt.Sprintf("Of those, %s are treated as compromised: windows, freezes and waves are lifted, at most %d at once, SOAK_COMPROMISED=%s.",
			p.Compromised, p.CompromisedMaxActive, fleet.Days(p.SoakCompromised)))
	}
	return append(lines, fmt.Sprintf("Within %s of expiry it is an emergency: whatever would make it miss GKE's last resort (30d before expiry) is not awaited, at most %d at once.",
		fleet.Days(p.EmergencyBeforeExpiry), p.EmergencyMaxActive))
}

func whenWork(p *rules.Policy) []string {
	lines := []string{fmt.Sprintf("Starts and node work obey the cluster's own maintenance window and exclusions; clusters without a window get WINDOW=%s.", p.Window)}
	if s := p.StartWindow.String(); s != "always" {
		lines = append(lines, "Starts also wait for START_WINDOW="+s+".")
	}
	if s := p.Freezes.String(); s != "" {
		lines = append(lines, "Nothing is started, recreated or completed by us on "+s+
			" (FREEZES). GKE knows no freeze: it may complete a rotation that a freeze catches.")
	}
	switch {
	case p.Nodes == rules.NodesGKE:
		lines = append(lines, "Nodes are recreated by GKE alone, in the cluster's window (NODES=gke).")
	case p.NodeGrace == 0:
		lines = append(lines, "Nodes are recreated by us at once (NODES=auto, NODE_GRACE=0).")
	default:
		lines = append(lines, "Nodes are recreated by GKE, or by us what GKE has not begun after "+
			fleet.Days(p.NodeGrace)+" of open window (NODES=auto, NODE_GRACE).")
	}
	lines = append(lines, fmt.Sprintf("Clients then have %s (SOAK) before a completion, which happens in COMPLETE_WINDOW=%s.", fleet.Days(p.Soak), p.CompleteWindow))
	switch p.ZonalComplete {
	case rules.ZonalWindow:
		lines = append(lines, "Zonal clusters complete in their own maintenance window instead (ZONAL_COMPLETE=window).")
	case rules.ZonalBoth:
		lines = append(lines, "Zonal clusters complete only where COMPLETE_WINDOW and their own window overlap (ZONAL_COMPLETE=both).")
	}
	return append(lines, "GKE completes any rotation by itself from 7d after its start; a rotation starts only if all of this fits before then.")
}

func howMany(p *rules.Policy) []string {
	text := fmt.Sprintf("At most %d rotations at once (MAX_ACTIVE)", p.MaxActive)
	if n := p.MaxActivePerProject; n > 0 {
		text += fmt.Sprintf(", %d per project", n)
	}
	if n := p.MaxActivePerLocation; n > 0 {
		text += fmt.Sprintf(", %d per location", n)
	}
	lines := []string{text + "."}
	if len(p.Waves) > 0 {
		waves, _ := p.Waves.MarshalText() // cannot fail: it joins names
		lines = append(lines, fmt.Sprintf("In waves: %s, then the rest. Each waits until the one before is verified, and %s more (WAVE_SOAK).", waves, fleet.Days(p.WaveSoak)))
	} else {
		lines = append(lines, "In one wave, by deadline: no canaries go first (WAVES).")
	}
	return append(lines, fmt.Sprintf("After %s that nobody has acknowledged, no new one starts (MAX_FAILED).",
		words.Plural(p.MaxFailed, "failed or stuck rotation", "failed or stuck rotations")))
}

func aboutPeople(p *rules.Policy) []string {
	var lines []string
	switch p.Approval {
	case rules.ApproveStart:
		lines = append(lines, "Every start needs rotator approve (APPROVAL=start).")
	case rules.ApproveComplete:
		lines = append(lines, "Every completion needs rotator approve (APPROVAL=complete); without one GKE completes by itself after 7d.")
	case rules.ApproveBoth:
		lines = append(lines, "Every start and every completion needs rotator approve (APPROVAL=both).")
	default:
		lines = append(lines, "Nobody is asked (APPROVAL=none); rotator hold CLUSTER, or hold all, stops it at any time.")
	}
	switch p.OwnerLabels {
	case rules.OwnerLabelsBoth:
		lines = append(lines, "Owners may hold their cluster by its labels rotator-hold and rotator-hold-until, and approve by rotator-approve (OWNER_LABELS=both).")
	case rules.OwnerLabelsOff:
		lines = append(lines, "Labels on clusters do not steer (OWNER_LABELS=off).")
	default:
		lines = append(lines, "Owners may hold their cluster by its labels rotator-hold and rotator-hold-until (OWNER_LABELS=hold).")
	}
	return append(lines, "People are told when the new CA and endpoint exist, when the nodes are done and before the completion: kubeconfigs, Terraform, Vault, Argo CD and firewall rules must follow.",
		"A rotation that stays in a phase "+fleet.Days(p.StuckAfter)+
			" longer than gates and operations explain is announced as stuck (STUCK_AFTER).")
}

// Warnings are settings that are allowed and probably not meant.
func Warnings(p *rules.Policy, mode string, now time.Time) []string {
	var out []string
	if mode == "observe" {
		out = append(out, "MODE=observe: no CA is rotated until it is act.")
	}
	if n := p.MaxActivePerProject; n > 0 && n*len(p.Projects) < p.MaxActive {
		out = append(out, fmt.Sprintf("MAX_ACTIVE=%d is never reached: %s times MAX_ACTIVE_PER_PROJECT=%d.",
			p.MaxActive, words.Plural(len(p.Projects), "project", "projects"), n))
	}
	if len(p.Waves) == 0 && p.MaxCAAge > 0 {
		out = append(out, "No WAVES: production is as early as everything else. For instance WAVES=env=dev > env=staging > env=prod.")
	}
	if p.Nodes == rules.NodesGKE && p.Freezes.String() != "" {
		out = append(out, "NODES=gke with FREEZES: GKE recreates nodes during freezes too. Put exclusions on the clusters for that.")
	}
	calendars := []window.Schedule{p.CompleteWindow, p.Freezes}
	if _, ok := window.All(calendars...).Next(now); !ok {
		out = append(out, "COMPLETE_WINDOW never opens outside FREEZES within 400 days: no rotation could be completed, so none starts.")
	}
	if _, ok := window.All(p.StartWindow, p.Freezes).Next(now); !ok {
		out = append(out, "START_WINDOW never opens outside FREEZES within 400 days: no rotation starts.")
	}
	if p.Soak > 3*24*time.Hour {
		out = append(out, "SOAK="+fleet.Days(p.Soak)+
			" leaves little of GKE's seven days for nodes and a completion window; clusters with one window a week may not fit.")
	}
	if p.Compromised != nil && p.RotateIssuedBefore.IsZero() {
		out = append(out, "COMPROMISED without ROTATE_ISSUED_BEFORE does nothing.")
	}
	return harmless(out)
}
