package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/job/config"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/reason"
)

// saying is a command by which people tell the job something about a cluster.
type saying struct {
	use, short, long, example string
	withUntil                 bool
	// before looks at what is spoken of; word is what policy makes of it.
	before func(context.Context, *heard) error
	word   func(*heard, policy.Book) (policy.FleetDoc, string, error)
}

var sayings = []saying{
	{
		use: "approve CLUSTER", short: "Say yes to the start or completion that a cluster waits for",
		long: `Say yes to what a cluster waits for under APPROVAL. The yes to a start is bound
to this cluster and this CA, and good for 14 days. The yes to a completion is
bound to this attempt, and void when a node pool must be recreated again.`,
		example:   `  rotator approve shop-prod/us-central1/catalog --by ann --reason "all clients updated"`,
		withUntil: true,
		before:    mustSee,
		word: func(h *heard, book policy.Book) (policy.FleetDoc, string, error) {
			return book.Fleet.Approve(h.s.Policy(), h.cluster, h.rotation(book), h.until, h.said)
		},
	},
	{
		use: "hold CLUSTER|all", short: "Stop every change of ours to a cluster, or to all",
		long: `Stop every call of ours that changes a cluster, or any cluster with all: in any
phase, also in an emergency, from the next call on. It says what it cannot
stop: calls under way, and GKE itself.`,
		example: `  rotator hold shop-prod/us-central1/catalog --by ann --reason "launch week" --until 2026-12-24
  rotator hold all --by ann --reason "incident 4711" --until 8h`,
		withUntil: true,
		before:    known,
		word: func(h *heard, book policy.Book) (policy.FleetDoc, string, error) {
			h.beyond = beyondHold(book, h)
			return book.Fleet.Hold(h.ref, h.until, h.said)
		},
	},
	{
		use: "release CLUSTER|all", short: "End a hold",
		long: `End the hold on one cluster, or with all the hold on all clusters. Holds on
single clusters outlive the one on all. A label on the cluster that holds it is
its owners' to remove.`,
		example: `  rotator release shop-prod/us-central1/catalog --by ann --reason "launch week is over"
  rotator release all --by ann --reason "incident 4711 is over"`,
		before: labelsHold,
		word: func(h *heard, book policy.Book) (policy.FleetDoc, string, error) {
			return book.Fleet.Release(h.ref, h.said)
		},
	},
	{
		use: "retry CLUSTER", short: "Acknowledge what failed or is stuck, and let the next run try again",
		long: `Acknowledge what failed or is stuck, and let the next run try again. What is
acknowledged no longer counts against MAX_FAILED, so other clusters may start.
It cannot clear a call that may still be on its way to GKE.`,
		example: `  rotator retry shop-prod/us-central1/catalog --by ann --reason "quota raised"`,
		before:  onlyOne,
		word: func(h *heard, book policy.Book) (policy.FleetDoc, string, error) {
			return book.Fleet.Retry(h.ref, h.rotation(book), h.said)
		},
	},
	{
		use: "adopt CLUSTER", short: "Carry a rotation to its end that somebody else started",
		long: `Carry a rotation to its end that somebody else started: a person, another
tool, or GKE itself. ADOPT=carry does so for all.`,
		example: `  rotator adopt shop-prod/us-central1/catalog --by ann --reason "started by terraform"`,
		before:  mustSee,
		word: func(h *heard, book policy.Book) (policy.FleetDoc, string, error) {
			return book.Fleet.Adopt(h.s.Policy(), h.cluster, h.rotation(book), h.said)
		},
	},
	{
		use: "rotate CLUSTER", short: "Make a cluster due now",
		long: `Make a cluster due now, whatever the age of its CA. Windows, freezes, limits
and approvals still hold.`,
		example: `  rotator rotate shop-prod/us-central1/catalog --by ann --reason "kubeconfig leaked"`,
		before:  mustSee,
		word: func(h *heard, book policy.Book) (policy.FleetDoc, string, error) {
			return book.Fleet.Rotate(h.s.Policy(), h.cluster, h.rotation(book), h.said)
		},
	},
	{
		use: "close CLUSTER", short: "End our record of a rotation without touching GKE",
		long: `End our record of a rotation, and acknowledge what failed. GKE is not touched:
there is no cancel and no rollback in GKE, so the rotation itself goes on.`,
		example: `  rotator close shop-prod/us-central1/catalog --by ann --reason "finished by hand"`,
		before:  onlyOne,
		word: func(h *heard, book policy.Book) (policy.FleetDoc, string, error) {
			return book.Fleet.Close(h.ref, h.rotation(book), h.said)
		},
	},
}

// known refuses a name that no cluster has, for a hold on it would hold
// nothing. When GKE cannot be asked, the hold counts: it may be what people
// need most.
func known(ctx context.Context, h *heard) error {
	if h.ref.IsZero() {
		return nil
	}
	_, err := readCluster(ctx, h.s, h.ref, h.said.At)
	switch {
	case errors.Is(err, gke.ErrNotFound):
		return wrong("%v, so there is nothing to hold", err)
	case err != nil:
		h.a.complain(fmt.Sprintf("held without having seen the cluster, make sure of its name: %v", err))
	case !slices.Contains(h.s.Projects.V, h.ref.Project):
		h.a.complain(fmt.Sprintf("project %s is not among %sPROJECTS: this deployment looks at it only while a rotation is on record there", h.ref.Project, config.Prefix))
	}
	return nil
}

// beyondHold says what a hold cannot stop.
func beyondHold(book policy.Book, h *heard) []string {
	var out []string
	for _, ref := range slices.SortedFunc(maps.Keys(book.Rotations), policy.Ref.Compare) {
		if !h.ref.IsZero() && ref != h.ref {
			continue
		}
		for _, what := range policy.BeyondHold(book.Rotations[ref], h.said.At) {
			out = append(out, ref.String()+": "+what)
		}
	}
	return out
}

// labelsHold says what a release does not end: the cluster's own labels. When
// GKE cannot be asked, the release counts all the same.
func labelsHold(ctx context.Context, h *heard) error {
	if h.ref.IsZero() {
		return nil
	}
	c, err := readCluster(ctx, h.s, h.ref, h.said.At)
	if err != nil {
		h.a.complain(fmt.Sprintf("whether its labels hold it too is not known: %v", err))
		return nil
	}
	if label := h.s.Policy().LabelHold(c, h.said.At); label != "" {
		h.a.complain(fmt.Sprintf("a release lifts no label: %s is %s. %s", h.ref, label, reason.HeldByLabel.Info().Next))
	}
	return nil
}
