package main

import (
	"github.com/spf13/cobra"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/record"
)

func (a *app) closeCommand() *cobra.Command {
	return a.sayCommand("close CLUSTER", "End our record of a rotation without touching GKE",
		`End our record of a rotation, and acknowledge what failed. GKE is not touched:
there is no cancel and no rollback in GKE, so the rotation itself goes on.`,
		`  rotator close shop-prod/us-central1/catalog --by ann --reason "finished by hand"`, false,
		func(cmd *cobra.Command, h *heard) error {
			if err := h.onlyOne(); err != nil {
				return err
			}
			return h.note(cmd.Context(), func(book record.Book) (record.FleetDoc, string, error) {
				return policy.SayClose(book.Fleet, h.ref, rotationOf(book, h.ref), h.said)
			})
		})
}
