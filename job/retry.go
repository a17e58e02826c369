package main

import (
	"github.com/spf13/cobra"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/record"
)

func (a *app) retryCommand() *cobra.Command {
	return a.sayCommand("retry CLUSTER", "Acknowledge what failed or is stuck, and let the next run try again",
		`Acknowledge what failed or is stuck, and let the next run try again. What is
acknowledged no longer counts against MAX_FAILED, so other clusters may start.
It cannot clear a call that may still be on its way to GKE.`,
		`  rotator retry shop-prod/us-central1/catalog --by ann --reason "quota raised"`, false,
		func(cmd *cobra.Command, h *heard) error {
			if err := h.onlyOne(); err != nil {
				return err
			}
			return h.note(cmd.Context(), func(book record.Book) (record.FleetDoc, string, error) {
				return policy.SayRetry(book.Fleet, h.ref, rotationOf(book, h.ref), h.said)
			})
		})
}
