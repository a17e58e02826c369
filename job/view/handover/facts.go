package handover

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// Line is one labelled line of a hand-over.
type Line struct{ Label, Text string }

// Lines say what is old, what is new and when the old ends; when writes times.
func (p Pack) Lines(when func(time.Time) string) []Line {
	h := p.Facts
	out := []Line{{"rotation", fmt.Sprintf("attempt %d, %s", h.AttemptNo, whose(h))}}
	switch {
	case moved(h):
		out = append(out, Line{"endpoint", "from " + code(h.OldEndpoint) + " to " + code(h.NewEndpoint)})
	case h.NewEndpoint != "":
		out = append(out, Line{"endpoint", code(h.NewEndpoint)})
	case h.OldEndpoint != "":
		out = append(out, Line{"endpoint", "from " + code(h.OldEndpoint) + "; the new one could not be read"})
	}
	if h.DNS != "" {
		out = append(out, Line{"DNS name", code(h.DNS) + ", stays as it is"})
	}
	out = append(out, Line{"old CA", ca(h.OldCA)}, Line{"new CA", ca(h.NewCA)})
	if text := pools(h); text != "" {
		out = append(out, Line{"nodes", text})
	}
	return append(out, Line{"old ends", ends(h, when)})
}

func whose(h record.HandOver) string {
	switch {
	case h.Origin != record.Foreign && h.Watched:
		return "its record was closed by people, and this tool only looks"
	case h.Watched:
		return "started by somebody else, and this tool only looks"
	case h.Origin == record.Foreign:
		return "started by somebody else, managed by this tool"
	}
	return "started by this tool"
}

func ca(c fleet.CA) string {
	if c.Fingerprint == "" {
		return "unknown"
	}
	return fmt.Sprintf("SHA-256 %s, %s to %s", code(string(c.Fingerprint)), c.Issued.UTC().Format(time.DateOnly),
		c.Expires.UTC().Format(time.DateOnly))
}

func pools(h record.HandOver) string {
	if h.Autopilot {
		return "recreated by GKE (Autopilot)"
	}
	if len(h.Pools) == 0 {
		return ""
	}
	var left []string
	for _, name := range slices.Sorted(maps.Keys(h.Pools)) {
		if !h.Pools[name] {
			left = append(left, code(name))
		}
	}
	text := fmt.Sprintf("%d of %d pools recreated", len(h.Pools)-len(left), len(h.Pools))
	return text + words.If(len(left) > 0, "; left: "+words.Few(left, 8))
}

// ends says when the old credentials end, by us and by GKE: the earlier first.
func ends(h record.HandOver, when func(time.Time) string) string {
	if over(h) {
		return "they ended: first seen gone " + when(h.Completed)
	}
	var text string
	switch {
	case h.Phase == record.Completing:
		return "now: the completion was sent " + when(h.Completes)
	case h.Watched:
		text = "when somebody else completes it: this tool only looks"
	case len(h.Waits) > 0:
		text = "our date is not known. What it waits for: " + code(h.Waits.String())
	case h.Approval:
		text = "not before " + when(h.Completes) + ", and only when a person has approved"
	default:
		text = "not before " + when(h.Completes) + " by us" +
			words.If(!h.Likely.IsZero(), ", likely about "+when(h.Likely))
	}
	if h.GKECompletes.IsZero() {
		return text
	}
	gke := "GKE may end them by itself from " + when(h.GKECompletes)
	gke += words.If(h.GKEProbably.After(h.GKECompletes), " (probably not before "+when(h.GKEProbably)+")")
	switch {
	case h.Completes.IsZero():
		return gke + "; " + text
	case h.GKECompletes.Before(h.Completes):
		return gke + "; by us " + text
	}
	return text + "; " + gke
}
