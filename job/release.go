package main

import (
	"github.com/spf13/cobra"

	"gke-credential-rotator/policy"
)

func (a *app) releaseCommand() *cobra.Command {
	return a.sayCommand("release CLUSTER|all", "End a hold",
		`End the hold on one cluster, or with all the hold on all clusters. Holds on
single clusters outlive the one on all.`,
		`  rotator release shop-prod/us-central1/catalog --by ann
  rotator release all --by ann --reason "incident 4711 is over"`, false,
		func(cmd *cobra.Command, h *heard) error {
			return h.note(cmd.Context(), func(book policy.Book) (policy.FleetDoc, string, error) {
				return book.Fleet.Release(h.ref, h.said)
			})
		})
}
