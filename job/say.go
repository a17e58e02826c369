package main

import (
	"context"

	"github.com/spf13/cobra"

	"gke-credential-rotator/policy/operator"
	"gke-credential-rotator/policy/record"
)

// sayCommand makes a command that tells the job something about a cluster.
func (a *app) sayCommand(s saying) *cobra.Command {
	args := cobra.ExactArgs(1)
	if s.released {
		args = cobra.MaximumNArgs(1)
	}
	cmd := &cobra.Command{Use: s.use, Short: s.short, Long: s.long, Example: s.example, Args: args}
	f := cmd.Flags()
	by := f.String("by", "", "`WHO` says it; recorded as stated; required")
	reason := f.String("reason", "", "`WHY`; recorded as stated; required but of hold")
	at := atFlag(cmd)
	until, id, wave := new(string), new(string), new(string)
	if s.withUntil {
		f.StringVar(until, "until", "",
			"`WHEN` it ends: a day, which is included (in UTC; a zone may follow), a time as in RFC 3339, or a duration from now, e.g. 3d")
	}
	if s.released {
		f.StringVar(id, "id", "", "end the hold of this `ID`, whoever said it")
		f.StringVar(wave, "wave", "", "open the wave of this `NAME`, though earlier ones are not done")
	}
	cmd.RunE = does(func(cmd *cobra.Command, args []string) error {
		h, err := a.listen(cmd, *at, *until, record.Said{By: clip(*by), Reason: clip(*reason)})
		if err != nil {
			return err
		}
		defer closeStore(h.store)
		h.id, h.wave = *id, *wave
		if err := s.means(cmd.Context(), h, append(args, "")[0]); err != nil {
			return err
		}
		if err := h.note(cmd.Context(), s.word); err != nil {
			return err
		}
		for _, line := range h.beyond {
			a.complain("a hold cannot stop this: " + line)
		}
		return nil
	})
	return cmd
}

type word func(*heard, record.Contents) (record.FleetDoc, string, error)

// saying is a command by which people tell the job something about a cluster.
type saying struct {
	use, short, long, example string
	withUntil, released       bool
	// means finds out what is spoken of; word is what policy makes of it.
	means func(ctx context.Context, h *heard, text string) error
	word  word
}

var sayings = []saying{
	{
		use: "approve CLUSTER", short: "Say yes to the start or completion that a cluster waits for",
		long: `Say yes to what a cluster waits for under APPROVAL. The yes to a start is bound
to this cluster and this CA, and good for 14 days. The yes to a completion is
bound to this attempt, and void when a node pool must be recreated again.`,
		example:   `  rotator approve shop-prod/us-central1/catalog --by ann --reason "all clients updated"`,
		withUntil: true,
		means:     seenCluster,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			return operator.Approve(contents.Fleet, h.s.Policy(), h.cluster, h.rotation(contents), h.until, h.said)
		},
	},
	{
		use:   "hold CLUSTER|PROJECT|SELECTOR|all",
		short: "Stop every change of ours to a cluster, to many, or to all",
		long: `Stop every call of ours that changes a cluster, those of a project, those with
labels (now, or at the call), or all: in any phase, also in an emergency, from
the next call on. It says what it cannot stop: calls under way, and GKE itself.
A full name, a project and all are taken without a look at GKE; the end of a
name means every cluster that is called so. Holds of several people add up.`,
		example: `  rotator hold shop-prod/us-central1/catalog --by ann --reason "launch week" --until 2026-12-24
  rotator hold env=prod,tier!=db --by ann --until "2026-12-24 Europe/Paris"
  rotator hold shop-prod --by ann --reason "incident 4711" --until 8h
  rotator hold all --by ann`,
		withUntil: true,
		means:     toHold,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			h.beyond = beyondHold(contents, h)
			return operator.Hold(contents.Fleet, *h.on, h.until, h.said)
		},
	},
	{
		use: "release [CLUSTER|PROJECT|SELECTOR|all]", short: "End a hold, or open a wave",
		long: `End your own holds on what is named, as it was typed when it was held; with --id
one hold, whoever said it. What still holds is told. A label on the cluster that
holds it is its owners' to remove. With --wave it opens a wave that waits for
earlier ones, until all of it that is due is rotated.`,
		example: `  rotator release shop-prod/us-central1/catalog --by ann --reason "launch week is over"
  rotator release all --by ann --reason "incident 4711 is over"
  rotator release --id 3f2a --by bob --reason "ann is away, ticket 4712"
  rotator release --wave env=prod --by ann --reason "staging is frozen until spring"`,
		released: true,
		means:    toRelease,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			if h.wave != "" {
				return operator.OpenWave(contents.Fleet, h.s.Policy(), h.wave, h.said)
			}
			return operator.Release(contents.Fleet, h.on, h.id, h.cluster, h.said)
		},
	},
	{
		use: "retry CLUSTER", short: "Acknowledge what failed or is stuck, and let the next run try again",
		long: `Acknowledge what failed or is stuck, and let the next run try again. What is
acknowledged no longer counts against MAX_FAILED, so other clusters may start.
It cannot clear a call that may still be on its way to GKE.`,
		example: `  rotator retry shop-prod/us-central1/catalog --by ann --reason "quota raised"`,
		means:   oneCluster,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			return operator.Retry(contents.Fleet, h.ref, h.rotation(contents), h.said)
		},
	},
	{
		use: "adopt CLUSTER", short: "Manage a rotation to its end that somebody else started",
		long: `Manage a rotation to its end that somebody else started: a person, another
tool, or GKE itself. ADOPT=manage does so for all.`,
		example: `  rotator adopt shop-prod/us-central1/catalog --by ann --reason "started by terraform"`,
		means:   seenCluster,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			return operator.Adopt(contents.Fleet, h.s.Policy(), h.cluster, h.rotation(contents), h.said)
		},
	},
	{
		use: "rotate CLUSTER", short: "Make a cluster due now",
		long: `Make a cluster due now, whatever the age of its CA. Windows, freezes, limits
and approvals still hold.`,
		example: `  rotator rotate shop-prod/us-central1/catalog --by ann --reason "kubeconfig leaked"`,
		means:   seenCluster,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			return operator.Rotate(contents.Fleet, h.s.Policy(), h.cluster, h.rotation(contents), h.said)
		},
	},
	{
		use: "close CLUSTER", short: "End our record of a rotation without touching GKE",
		long: `End our record of a rotation, and acknowledge what failed. GKE is not touched:
there is no cancel and no rollback in GKE, so the rotation itself goes on.`,
		example: `  rotator close shop-prod/us-central1/catalog --by ann --reason "finished by hand"`,
		means:   oneCluster,
		word: func(h *heard, contents record.Contents) (record.FleetDoc, string, error) {
			return operator.Close(contents.Fleet, h.s.Policy(), h.ref, h.rotation(contents), h.said)
		},
	},
}
