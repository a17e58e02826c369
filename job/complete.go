package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/state"
)

// shells are those that can be taught to complete.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion " + strings.Join(shells, "|"),
		Short: "Print what teaches a shell to complete commands, flags and clusters",
		Long: `Print what teaches a shell to complete commands, flags, their choices, and the
clusters that a store in a file (ROTATOR_STATE) or --fleet knows. It asks nothing of
Google, so a store in Firestore completes no clusters.`,
		Example: `  source <(rotator completion bash)
  rotator completion zsh > "${fpath[1]}/_rotator"
  rotator completion fish > ~/.config/fish/completions/rotator.fish
  rotator completion powershell | Out-String | Invoke-Expression`,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name one shell: %s", strings.Join(shells, ", "))
			}
			if !slices.Contains(shells, args[0]) {
				near := words.DidYouMean(args[0], shells)
				return fmt.Errorf("there is no completion for %q%s: name one of %s",
					args[0], near, strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: does(func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				if _, err := fmt.Fprint(a.stdout, bashWords); err != nil {
					return fmt.Errorf("write the completion: %w", err)
				}
				return root.GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return root.GenZshCompletion(a.stdout)
			case "fish":
				return root.GenFishCompletion(a.stdout, true)
			default:
				return root.GenPowerShellCompletionWithDesc(a.stdout)
			}
		}),
	}
}

// bashWords stands in for the package bash-completion, of which cobra's script needs this: the words of the
// line, where bash has parted them at = and :.
const bashWords = `if ! declare -F _get_comp_words_by_ref >/dev/null; then
  _get_comp_words_by_ref() {
    local i w
    words=() cword=0
    for ((i = 0; i <= COMP_CWORD; i++)); do
      w=${COMP_WORDS[i]}
      if ((i > 1)) && [[ $w == [=:]* || ${COMP_WORDS[i - 1]} == *[=:] ]]; then
        words[cword]+=$w
      else
        cword=$((i > 0 ? cword + 1 : 0))
        words[cword]=$w
      fi
    done
    cur=${words[cword]} prev=${words[cword > 0 ? cword - 1 : 0]}
  }
fi

`

// teach lets every command and flag complete: a flag whose type names its choices by those, one that wants
// a CLUSTER by the known ones, one that wants a FILE by files, any other by nothing.
func (a *app) teach(root *cobra.Command) {
	for _, cmd := range append(root.Commands(), root) {
		switch {
		case strings.Contains(cmd.Use, "CLUSTER"):
			cmd.ValidArgsFunction = a.clusterArgs
		case cmd.ValidArgs == nil:
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
		for _, f := range all(cmd.Flags().VisitAll) {
			complete := cobra.NoFileCompletions
			switch wants := placeholder(f.Usage); {
			case strings.Contains(f.Value.Type(), "|"):
				complete = cobra.FixedCompletions(strings.Split(f.Value.Type(), "|"), cobra.ShellCompDirectiveNoFileComp)
			case strings.Contains(wants, "FILE") || strings.Contains(wants, "DIR") || strings.Contains(wants, "PATH"):
				continue
			case strings.Contains(wants, "CLUSTER"):
				complete = a.clusters
			}
			_ = cmd.RegisterFlagCompletionFunc(f.Name, complete) // fails only for unknown flags, or a second time
		}
	}
}

// all gathers what visit visits: the flags of a command.
func all[F any](visit func(func(F))) []F {
	var out []F
	visit(func(f F) { out = append(out, f) })
	return out
}

// placeholder is what the usage of a flag calls its value.
func placeholder(usage string) string {
	_, rest, _ := strings.Cut(usage, "`")
	name, _, _ := strings.Cut(rest, "`")
	return name
}

func (a *app) clusterArgs(cmd *cobra.Command, args []string, begun string,
) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	found, how := a.clusters(cmd, args, begun)
	const every = "all"
	if strings.Contains(cmd.Use, "|"+every) && strings.HasPrefix(every, begun) {
		found = append(found, every+"\tevery cluster of this deployment")
	}
	return found, how
}

// pasteable names a shell takes as they are: completed ones stand on a command line without having been read.
var pasteable = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~/-]*$`)

// clusters completes a cluster's name, or the end of it. It is silent about what goes wrong: whoever
// presses a key has asked nothing yet.
func (a *app) clusters(cmd *cobra.Command, _ []string, begun string,
) ([]cobra.Completion, cobra.ShellCompDirective) {
	known := a.knownInFleet(cmd)
	maps.Copy(known, a.knownInFile(cmd.Context()))
	ends := map[string]int{}
	for ref := range known {
		ends[ref.Name]++
	}
	var found []cobra.Completion
	for _, ref := range slices.SortedFunc(maps.Keys(known), fleet.Ref.Compare) {
		name := ref.String()
		if begun != "" && !strings.HasPrefix(name, begun) && ends[ref.Name] == 1 {
			name = ref.Name
		}
		if strings.HasPrefix(name, begun) && pasteable.MatchString(name) {
			found = append(found, name+"\t"+known[ref])
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// patience is how long a key press may wait for a store that a run holds.
const patience = 300 * time.Millisecond

// knownInFile gives the clusters that the store in a file speaks of, and how they stand.
func (a *app) knownInFile(ctx context.Context) map[fleet.Ref]string {
	s, _ := readSettings(a.vars) // what is wrong is told by the command
	if s.State.V.File == "" {
		return nil
	}
	f, err := state.OpenFile(s.State.V.File, patience)
	if err != nil {
		return nil
	}
	contents, err := f.Contents(ctx)
	if err != nil {
		return nil
	}
	known := map[fleet.Ref]string{}
	for _, ref := range storedRefs(contents) {
		known[ref] = "idle"
	}
	for ref, r := range contents.Rotations {
		known[ref] = string(r.Phase)
	}
	return known
}

// knownInFleet gives the clusters of --fleet, where the command has it.
func (a *app) knownInFleet(cmd *cobra.Command) map[fleet.Ref]string {
	known := map[fleet.Ref]string{}
	path, _ := cmd.Flags().GetString("fleet") // "" where the command has no such flag
	project, _ := cmd.Flags().GetString("project")
	if path == "" {
		return known
	}
	loaded, _, _ := gkesim.LoadFleet(path, project) // what is wrong is told by the command
	for _, c := range loaded {
		ref := fleet.Ref{Project: c.Project, Location: c.Cluster.GetLocation(), Name: c.Cluster.GetName()}
		known[ref] = "of the fleet"
	}
	return known
}

// storedRefs lists every cluster that the store speaks of.
func storedRefs(contents record.Contents) []fleet.Ref {
	known := map[fleet.Ref]bool{}
	for ref := range contents.Rotations {
		known[ref] = true
	}
	for _, h := range contents.Fleet.Holds {
		known[h.Cluster] = true
		for _, ref := range h.Matched {
			known[ref] = true
		}
	}
	for _, p := range contents.Fleet.Approvals {
		known[p.Cluster] = true
	}
	for _, q := range contents.Fleet.Requests {
		known[q.Cluster] = true
	}
	for _, f := range contents.Fleet.Failures {
		known[f.Cluster] = true
	}
	for name := range contents.Fleet.Blocked {
		ref, _ := fleet.ParseRef(name) // zero where it is none
		known[ref] = true
	}
	delete(known, fleet.Ref{}) // a hold on more than one
	return slices.SortedFunc(maps.Keys(known), fleet.Ref.Compare)
}

// advise makes what cobra finds wrong with arguments say how they are written: the nearest command or flag,
// and whose help to read.
func advise(root *cobra.Command) {
	root.SuggestionsMinimumDistance = 2
	names := make([]string, 0, len(root.Commands()))
	for _, cmd := range root.Commands() {
		names = append(names, cmd.Name())
		cmd.Args = advisedArgs(cmd)
	}
	root.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		near := words.DidYouMean(args[0], names)
		if others := root.SuggestionsFor(args[0]); near == "" && args[0] != "" && len(others) > 0 {
			near = " (did you mean " + others[0] + "?)" // cobra is kinder: commands are typed in haste
		}
		return fmt.Errorf("there is no command %q%s. See rotator --help", args[0], near)
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
			err = fmt.Errorf("%[1]s takes no arguments, and %[2]q was given; for one cluster: %[1]s --explain CLUSTER",
				cmd.CommandPath(), args[0])
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
	wrapped := fmt.Sprintf("Flags.FlagUsagesWrapped %d ", max(width, 40))
	return strings.ReplaceAll(template, "Flags.FlagUsages ", wrapped)
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
