package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
)

const day = 24 * time.Hour

// choice is a flag that takes one of a few words; the first is the default.
type choice struct {
	word string
	from []string
}

func choiceFlag(cmd *cobra.Command, name, usage string, from ...string) *string {
	c := &choice{from[0], from}
	cmd.Flags().Var(c, name, usage)
	return &c.word
}

func (c *choice) String() string { return c.word }

// Type is what --help shows.
func (c *choice) Type() string { return strings.Join(c.from, "|") }

// Set reads the flag.
func (c *choice) Set(text string) error {
	err := words.OneOf(text, c.from...)
	if err == nil {
		c.word = text
	}
	return err
}

func formatFlag(cmd *cobra.Command) *string {
	return choiceFlag(cmd, "format", "print a table for people or JSON for programs", "table", "json")
}

// atFlag is the --at flag of commands that follow a simulated GKE's clock.
func atFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("at", "", "`TIME` of a simulated GKE's clock, as in RFC 3339")
}

// clock gives the present. at is another time, for commands that only look, or
// to follow a simulated GKE's clock: free says that at may be any time.
func clock(at string, s config.Settings, free bool) (func() time.Time, error) {
	if at == "" {
		return func() time.Time { return time.Now().UTC() }, nil
	}
	t, err := config.ParseTime(at)
	if err != nil {
		return nil, wrong("--at %v", err)
	}
	if !free && !s.GKEEndpoint.V.Loopback() {
		return nil, wrong("--at follows a simulated clock, so it needs %sGKE_ENDPOINT on a loopback address; against Google only plan takes it", config.Prefix)
	}
	return func() time.Time { return t }, nil
}

// parseWhen reads a time, or a duration from now, which sign turns into one before
// now; nothing is no time.
func parseWhen(text string, now time.Time, sign time.Duration, example string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := policy.ParseDuration(text); err == nil && d > 0 {
		return now.Add(sign * d), nil
	}
	t, err := config.ParseTime(text)
	if err != nil {
		return t, fmt.Errorf("%w, nor a duration as %s", err, example)
	}
	return t, nil
}
