package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

func (a *app) holdCommand() *cobra.Command {
	return a.sayCommand("hold CLUSTER|all", "Stop every change of ours to a cluster, or to all",
		`Stop every call of ours that changes a cluster, or any cluster with all: in any
phase, also in an emergency, from the next call on. It says what it cannot
stop: calls under way, and GKE itself.`,
		`  rotator hold shop-prod/us-central1/catalog --by ann --reason "launch week" --until 2026-12-24
  rotator hold all --by ann --reason "incident 4711" --until 8h`, true,
		func(cmd *cobra.Command, h *heard) error {
			if err := h.exists(cmd); err != nil {
				return err
			}
			var beyond []string
			err := h.note(cmd.Context(), func(book record.Book) (record.FleetDoc, string, error) {
				beyond = beyondHold(book, h)
				return policy.SayHold(book.Fleet, h.ref, h.until, h.said)
			})
			if err != nil {
				return err
			}
			for _, line := range beyond {
				h.a.complain("a hold cannot stop this: " + line)
			}
			return nil
		})
}

// exists refuses a name that no cluster has, for a hold on it would hold
// nothing. When GKE cannot be asked, the hold counts: it may be what people
// need most.
func (h *heard) exists(cmd *cobra.Command) error {
	if h.ref.IsZero() {
		return nil
	}
	_, err := readCluster(cmd.Context(), h.s, h.ref, h.said.At)
	switch {
	case errors.Is(err, gke.ErrNotFound):
		return wrong("%v, so there is nothing to hold", err)
	case err != nil:
		h.a.complain(fmt.Sprintf("held without having seen the cluster, make sure of its name: %v", err))
	case !slices.Contains(h.s.Projects.V, h.ref.Project):
		h.a.complain(fmt.Sprintf("project %s is not among %sPROJECTS: this deployment looks at it only while a rotation is on record there", h.ref.Project, prefix))
	}
	return nil
}

func beyondHold(book record.Book, h *heard) []string {
	var out []string
	for _, ref := range slices.SortedFunc(maps.Keys(book.Rotations), fleet.Ref.Compare) {
		if !h.ref.IsZero() && ref != h.ref {
			continue
		}
		for _, what := range policy.BeyondHold(book.Rotations[ref], h.said.At) {
			out = append(out, ref.String()+": "+what)
		}
	}
	return out
}
