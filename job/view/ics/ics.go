// Package ics writes the calendar of a forecast as iCalendar (RFC 5545).
package ics

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/record"
)

// leastEvent is how long an event is drawn at least: calls take minutes.
const leastEvent = time.Hour

// Write writes the calendar of a forecast, for people to subscribe to: of each
// rotation its start, its node work, the time for updating clients, and its
// completion. An event keeps its id from forecast to forecast, so that it moves
// instead of doubling. The error is the writer's.
func Write(w io.Writer, v view.Forecast) error {
	cal, f := ics.NewCalendarFor("gke-credential-rotator"), v.Play
	cal.SetProductId("-//gke-credential-rotator//forecast//EN")
	cal.SetMethod(ics.MethodPublish)
	title := "GKE credential rotations"
	title += words.If(v.Policy.Env != "" && v.Fleet == "", ", "+plainText(v.Policy.Env))
	cal.SetXWRCalName(title)
	cal.SetXPublishedTTL("PT6H")
	names := view.ShortNames(f.Story)
	last := map[string]string{} // of two tries with the same CA the last one counts
	for _, t := range f.Turns {
		last[uid(t, "")] = t.Attempt
	}
	for _, t := range f.Turns {
		if t.Closed != record.NotStarted && last[uid(t, "")] == t.Attempt {
			turnEvents(cal, f, t, names[t.Cluster])
		}
	}
	if err := cal.SerializeTo(w, ics.WithNewLineWindows); err != nil {
		return fmt.Errorf("write the calendar: %w", err)
	}
	return nil
}

func turnEvents(cal *ics.Calendar, f sim.Forecast, t sim.Turn, name string) {
	name = cmp.Or(plainText(name), plainText(t.Cluster.String()))
	whose := "This tool completes it"
	if t.Watched {
		whose = "This tool only watches it: somebody else completes it, or GKE"
	}
	for _, e := range []struct {
		phase, title, text string
		from, to           time.Time
	}{
		{"start", "Rotation starts: " + name,
			"The second CA and the new endpoint appear. The old credentials go on working.", t.Start, t.HandedOver},
		{"nodes", "Nodes are recreated: " + name,
			"Every node pool is recreated with the new CA, inside the cluster's window.", t.HandedOver, t.NodesDone},
		{"clients", "Update clients: " + name,
			"Update kubeconfigs, Terraform, Vault, Argo CD and firewall rules before the old credentials end. " +
				whose + ".", t.HandedOver, t.Completed},
		{"completion", "Old credentials end: " + name,
			"The old CA and the old endpoint stop working. Clients that were not updated fail.", t.Completed, t.OneCA},
	} {
		if e.from.IsZero() || e.phase == "clients" && e.to.IsZero() {
			continue
		}
		event := cal.AddEvent(uid(t, e.phase))
		event.SetDtStampTime(f.From)
		event.SetStartAt(e.from)
		event.SetEndAt(view.Latest(e.to, e.from.Add(leastEvent)))
		event.SetSummary(e.title)
		text := []string{e.text, "Cluster " + plainText(t.Cluster.String()), "CA to be replaced " +
			cmp.Or(t.OldCA.Fingerprint.Short(), "?") + ", it expires " + words.Day(t.OldCA.Expires)}
		if e.phase == "clients" && !t.SoakEnds.IsZero() {
			text = append(text, "SOAK ends "+t.SoakEnds.UTC().Format("Mon 2006-01-02 15:04 UTC"))
		}
		text = append(text, "A forecast of "+f.From.UTC().Format("2006-01-02 15:04 UTC")+
			": it changes with the fleet, the policy and what people do.")
		event.SetDescription(strings.Join(text, "\n"))
		event.SetLocation(plainText(t.Cluster.Project + "/" + t.Cluster.Location))
		event.SetStatus(ics.ObjectStatusTentative)
		if e.from.Before(f.From) {
			event.SetStatus(ics.ObjectStatusConfirmed)
		}
		event.SetTimeTransparency(ics.TransparencyTransparent)
		if e.phase == "completion" {
			event.SetTimeTransparency(ics.TransparencyOpaque)
		}
		for _, category := range []string{"gke-credential-rotation", e.phase, t.Wave} {
			if category != "" {
				event.AddCategory(plainText(category))
			}
		}
	}
}

// uid names an event by the cluster, the CA to be replaced and the step: what a
// later forecast of the same rotation has in common with this one.
func uid(t sim.Turn, phase string) string {
	sum := sha256.Sum256([]byte(t.Cluster.String() + "\n" + string(t.OldCA.Fingerprint)))
	return hex.EncodeToString(sum[:12]) + "-" + phase + "@gke-credential-rotator"
}

// plainText is text that every parser reads alike: they disagree about a
// backslash before an n.
func plainText(s string) string { return strings.ReplaceAll(words.Harmless(s), `\`, "/") }
