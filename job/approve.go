package main

import (
	"github.com/spf13/cobra"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/record"
)

func (a *app) approveCommand() *cobra.Command {
	return a.sayCommand("approve CLUSTER", "Say yes to the start or completion that a cluster waits for",
		`Say yes to what a cluster waits for under APPROVAL. The yes to a start is bound
to this cluster and this CA, and good for 14 days. The yes to a completion is
bound to this attempt, and void when a node pool must be recreated again.`,
		`  rotator approve shop-prod/us-central1/catalog --by ann --reason "all clients updated"`, true,
		func(cmd *cobra.Command, h *heard) error {
			c, err := h.cluster(cmd.Context())
			if err != nil {
				return err
			}
			return h.note(cmd.Context(), func(book record.Book) (record.FleetDoc, string, error) {
				return policy.SayApprove(book.Fleet, h.s.Policy(), c, rotationOf(book, h.ref), h.until, h.said)
			})
		})
}
