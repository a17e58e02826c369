// Package handover turns the facts of a hand-over into what people can act on:
// text for a terminal, Markdown for a ticket or a mail, JSON for programs. Its
// commands are exact: the cluster's own names, quoted for the shell, and what
// must be compared stands in them.
//
// What must be updated between start and completion, and why, is from Google's
// page "Rotate your cluster credentials" and from what broke for others.
package handover

import (
	"encoding/json"
	"io"
	"net/netip"
	"strings"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// Pack is a hand-over made of its facts. Its texts are written for people and
// may change; facts, ids and commands are for programs, too. What stands
// between backticks in a text is a name or a value.
type Pack struct {
	Facts record.HandOver `json:"facts"`
	// Title is one line that says which cluster and how compromised.
	Title string `json:"title"`
	// Now is what is to be done next, the most pressing first.
	Now []string `json:"now"`
	// Impact is what people will notice.
	Impact []string `json:"impact"`
	// Clients are the clients to update, and Levers how to delay or approve.
	Clients []Step `json:"clients"`
	Levers  []Step `json:"levers"`
	// Forgotten is how a client fails that nobody updated.
	Forgotten []string `json:"forgotten"`
}

// Step is one kind of client, or one lever.
type Step struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	Why      string    `json:"why"`
	Commands []Command `json:"commands,omitempty"`
}

// Command is shell, one line or more, and what it does.
type Command struct {
	Does string `json:"does"`
	Run  string `json:"run"`
}

// Of makes the pack of the facts.
func Of(h record.HandOver) Pack {
	h.Waits = h.Waits.Plain()
	title, now := stage(h)
	p := Pack{Facts: h, Title: code(h.Cluster.String()) + ": " + title, Now: now, Impact: impact(h),
		Clients: clients(h), Levers: levers(h), Forgotten: forgotten(h)}
	if oddName(h.Cluster) {
		// GKE gives no such name, and a program would take it for an option.
		p.Impact = append(p.Impact, "The cluster's name begins with a dash, so no commands are printed.")
		for _, steps := range [][]Step{p.Clients, p.Levers} {
			for i := range steps {
				steps[i].Commands = nil
			}
		}
	}
	return p
}

// WriteJSON writes the pack for programs.
func WriteJSON(w io.Writer, p Pack) error {
	return words.WriteJSON(w, "the hand-over", p, func(e *json.Encoder) { e.SetIndent("", "  ") })
}

func oddName(r fleet.Ref) bool { return strings.Contains("/"+r.String(), "/-") }

func over(h record.HandOver) bool { return !h.Completed.IsZero() }

func moved(h record.HandOver) bool {
	return h.OldEndpoint != "" && h.NewEndpoint != "" && h.OldEndpoint != h.NewEndpoint
}

// private says whether the control plane has an address that only the network
// around it knows.
func private(h record.HandOver) bool {
	a, err := netip.ParseAddr(h.NewEndpoint)
	return err == nil && a.IsPrivate()
}

// code marks a value within a text.
func code(s string) string { return "`" + strings.ReplaceAll(words.Harmless(s), "`", "'") + "`" }

// stage says in one line where the rotation is, and what is to be done next.
func stage(h record.HandOver) (title string, now []string) {
	switch {
	case over(h):
		return "the old credentials have ended", []string{
			"Whatever cannot reach the cluster since then still has an old credential: find it below and update it. There is no way back.",
			"Recreate static tokens first: others depend on them.",
		}
	case h.Phase == record.Completing:
		title = "the old credentials are being ended now"
		now = []string{"The completion is on its way and cannot be stopped: update what is left at once."}
	case h.Moment == record.AtCompletion:
		title = "last call, the old credentials end soon"
		now = []string{
			"Run the checks below once more on every client that matters. What still has only the old CA stops working at the completion.",
			"Not ready? Say so now, with a hold: see below.",
		}
	case h.Moment == record.AtLoosened:
		title = "the policy was loosened, what you were told has changed"
		now = []string{"The dates below take the place of those that you were told. Not ready by then? Say so now, with a hold: see below."}
	case h.Moment == record.AtNodesDone || h.Phase == record.UpdatingClients:
		title = "nodes are done, clients are to be updated now"
		now = []string{"Every node works with both CAs. What is left is with you: update the clients below, static tokens first."}
	default:
		title = "new credentials are here, clients are to be updated"
		now = []string{
			"Send this to everybody who reaches the cluster from outside: developers, CI, platform, security, network.",
			"Look for static tokens first: they take longest. Tokens recreated from now on survive the completion, older ones do not.",
			"Nothing is broken yet: both endpoints and both CAs work until the completion.",
		}
	}
	if h.Approval {
		now = append(now, "A person must approve the completion, when clients are updated: see below.")
	}
	return title, now
}

func impact(h record.HandOver) []string {
	var out []string
	switch {
	case h.Autopilot:
		out = append(out, "Autopilot: GKE recreates the nodes by itself, and the API server stays reachable at the completion.")
	case !over(h):
		server := "Regional cluster: the API server stays reachable at the completion."
		if h.Zonal {
			server = "Zonal cluster: at the completion the API server is gone for a moment. kubectl, controllers and autoscaling pause; running workloads go on. Warn those who deploy."
		}
		out = append(out, "Node pools are recreated one after another, with the surge or blue-green settings and disruption budgets that they have. Data on local disks and in emptyDir goes with its node.", server)
	}
	if h.NoWindow && !over(h) {
		out = append(out, "The cluster has no maintenance window of its own, so GKE recreates its nodes at any hour; ROTATOR_WINDOW binds this tool alone.")
	}
	if private(h) {
		out = append(out, "The control plane has a private address: clients beyond the network, VPN and peering routes need to reach the new one.")
	}
	return out
}

func forgotten(h record.HandOver) []string {
	out := []string{
		"With the old CA alone: x509, certificate signed by unknown authority.",
		"With an old token: 401 Unauthorized. With an old client certificate: the same.",
	}
	if moved(h) {
		out = append(out, "With the old endpoint "+code(h.OldEndpoint)+": timeouts or connection refused.")
	}
	return append(out, "GKE has no way back: each is mended by updating it, in any order, at any time.")
}
