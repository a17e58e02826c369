package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gke-credential-rotator/job/words"
)

// advise makes what cobra finds wrong with arguments say how they are written:
// the nearest command or flag, and whose help to read.
func advise(root *cobra.Command) {
	names := make([]string, 0, len(root.Commands()))
	for _, cmd := range root.Commands() {
		names = append(names, cmd.Name())
		cmd.Args = advisedArgs(cmd)
	}
	root.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return fmt.Errorf("there is no command %q%s. See rotator --help", args[0], meantCommand(args[0], names))
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w%s. See %s --help", err, meantFlag(cmd, err), cmd.CommandPath())
	})
}

// advisedArgs is what the command asks of its arguments, told with its usage.
func advisedArgs(cmd *cobra.Command) cobra.PositionalArgs {
	ask := cmd.Args
	return func(cmd *cobra.Command, args []string) error {
		err := ask(cmd, args)
		switch takesNone := !strings.Contains(cmd.Use, " "); {
		case err == nil:
			return nil
		case takesNone && len(args) == 1 && cmd.Flags().Lookup("explain") != nil:
			err = fmt.Errorf("%s takes no arguments, and %q was given; for one cluster: %s --explain CLUSTER", cmd.CommandPath(), args[0], cmd.CommandPath())
		case takesNone:
			err = fmt.Errorf("%s takes no arguments, and %q was given", cmd.CommandPath(), args[0])
		default:
			err = fmt.Errorf("%w; write %s", err, strings.TrimSuffix(cmd.UseLine(), " [flags]"))
		}
		return fmt.Errorf("%w. See %s --help", err, cmd.CommandPath())
	}
}

// folded lets the flags of a help keep to the terminal's columns, if there are any.
func folded(template string, width int) string {
	if width <= 0 {
		return template
	}
	return strings.ReplaceAll(template, "Flags.FlagUsages ", fmt.Sprintf("Flags.FlagUsagesWrapped %d ", max(width, 40)))
}

// meantCommand is kinder than for settings: commands are short and typed in haste.
func meantCommand(text string, names []string) string {
	if near := words.DidYouMean(text, names); near != "" {
		return near
	}
	for _, name := range names {
		if words.Distance(text, name) <= 2 || (text != "" && strings.HasPrefix(name, text)) {
			return " (did you mean " + name + "?)"
		}
	}
	return ""
}

// meantFlag names the flag that was meant, or the choices that it has.
func meantFlag(cmd *cobra.Command, err error) string {
	var names []string
	for _, f := range all(cmd.Flags().VisitAll) {
		if strings.Contains(f.Value.Type(), "|") && strings.Contains(err.Error(), "--"+f.Name+`" flag`) {
			return "; write " + strings.ReplaceAll(f.Value.Type(), "|", " or ")
		}
		names = append(names, "--"+f.Name)
	}
	var about interface{ GetSpecifiedName() string }
	if !errors.As(err, &about) || slices.Contains(names, "--"+about.GetSpecifiedName()) {
		return ""
	}
	return words.DidYouMean("--"+about.GetSpecifiedName(), names)
}
