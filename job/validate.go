package main

import (
	"cmp"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/view/terminal"
)

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Check the settings; show the policy in force and what follows from it",
		Long: `Check the settings, all at once, and show the policy in force and what follows
from it. It reads the environment only: neither GKE nor the book.`,
		Example: `  rotator validate
  env $(cat prod.env) rotator validate`,
		Args: cobra.NoArgs,
		RunE: does(func(*cobra.Command, []string) error {
			s, err := a.settings()
			if err != nil {
				return err
			}
			return terminal.Policy(a.stdout, s.Policy(), s.inForce(), time.Now().UTC(), a.options(string(s.Mode.V)))
		}),
	}
}

// inForce lists every setting with the value that counts.
func (s Settings) inForce() []view.Setting {
	var out []view.Setting
	for _, f := range fieldsOf(&s) {
		text, _ := f.value.source()
		value := cmp.Or(text, f.Default)
		out = append(out, view.Setting{Name: f.Name, Value: value, Default: value == f.Default})
	}
	return out
}
