package main

import (
	"github.com/spf13/cobra"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/record"
)

func (a *app) rotateCommand() *cobra.Command {
	return a.sayCommand("rotate CLUSTER", "Make a cluster due now",
		`Make a cluster due now, whatever the age of its CA. Windows, freezes, limits
and approvals still hold.`,
		`  rotator rotate shop-prod/us-central1/catalog --by ann --reason "kubeconfig leaked"`, false,
		func(cmd *cobra.Command, h *heard) error {
			c, err := h.cluster(cmd.Context())
			if err != nil {
				return err
			}
			return h.note(cmd.Context(), func(book record.Book) (record.FleetDoc, string, error) {
				return policy.SayRotate(book.Fleet, h.s.Policy(), c, rotationOf(book, h.ref), h.said)
			})
		})
}
