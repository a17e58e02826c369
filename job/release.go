package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/reason"
)

func (a *app) releaseCommand() *cobra.Command {
	return a.sayCommand("release CLUSTER|all", "End a hold",
		`End the hold on one cluster, or with all the hold on all clusters. Holds on
single clusters outlive the one on all. A label on the cluster that holds it is
its owners' to remove.`,
		`  rotator release shop-prod/us-central1/catalog --by ann --reason "launch week is over"
  rotator release all --by ann --reason "incident 4711 is over"`, false,
		func(cmd *cobra.Command, h *heard) error {
			h.labelsHold(cmd)
			return h.note(cmd.Context(), func(book policy.Book) (policy.FleetDoc, string, error) {
				return book.Fleet.Release(h.ref, h.said)
			})
		})
}

// labelsHold says what a release does not end: the cluster's own labels. When
// GKE cannot be asked, the release counts all the same.
func (h *heard) labelsHold(cmd *cobra.Command) {
	if h.ref.IsZero() {
		return
	}
	c, err := readCluster(cmd.Context(), h.s, h.ref, h.said.At)
	if err != nil {
		h.a.complain(fmt.Sprintf("whether its labels hold it too is not known: %v", err))
		return
	}
	if label := h.s.Policy().LabelHold(c, h.said.At); len(label) > 0 {
		h.a.complain(fmt.Sprintf("a release lifts no label: %s is %s. %s", h.ref, label, reason.HeldByLabel.Info().Next))
	}
}
