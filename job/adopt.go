package main

import (
	"github.com/spf13/cobra"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/record"
)

func (a *app) adoptCommand() *cobra.Command {
	return a.sayCommand("adopt CLUSTER", "Carry a rotation to its end that somebody else started",
		`Carry a rotation to its end that somebody else started: a person, another
tool, or GKE itself. ADOPT=carry does so for all.`,
		`  rotator adopt shop-prod/us-central1/catalog --by ann --reason "started by terraform"`, false,
		func(cmd *cobra.Command, h *heard) error {
			c, err := h.cluster(cmd.Context())
			if err != nil {
				return err
			}
			return h.note(cmd.Context(), func(book record.Book) (record.FleetDoc, string, error) {
				return policy.SayAdopt(book.Fleet, h.s.Policy(), c, rotationOf(book, h.ref), h.said)
			})
		})
}
