package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/view/terminal"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
)

type app struct {
	vars           map[string]string // the environment
	stdout, stderr io.Writer
	log            *slog.Logger
	begun          time.Time // with Go's monotonic clock
}

func newApp(environ []string, stdout, stderr io.Writer) *app {
	a := &app{vars: config.Variables(environ), stdout: stdout, stderr: stderr, begun: time.Now()}
	a.log = newLog(stderr, a.vars["CLOUD_RUN_JOB"] != "", a.vars["CLOUD_RUN_EXECUTION"])
	return a
}

// command is the tree of commands. Without one, run is meant: it is what the schedule starts.
func (a *app) command(args []string) *cobra.Command {
	passes := a.runCommand()
	root := &cobra.Command{
		Use:   "rotator",
		Short: "Rotate the credentials of GKE clusters by policy",
		Long: `Rotate the credentials of GKE clusters by policy: inside their maintenance
windows, with time for people to update clients, a few clusters at a time.

Each run looks at every cluster in scope and moves each rotation at most one
phase forward. The policy is in ROTATOR_ settings, see deploy/CONFIG.md.
Without a command, rotator makes one run.

Exit status: 0 the command was carried out; 1 the store or every project was
out of reach; 2 settings or arguments are wrong.`,
		Example: `  rotator simulate                 see it work, without Google Cloud
  rotator validate                 check the settings
  rotator plan                     what a run would do now, and why not
  rotator                          one run`,
		Version:       version(),
		RunE:          passes.RunE,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.Flags().AddFlagSet(passes.Flags())
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(passes, a.planCommand(), a.statusCommand(), a.handOverCommand(), a.evidenceCommand(),
		a.validateCommand(), a.simulateCommand(), a.forecastCommand(), a.completionCommand())
	for _, s := range sayings {
		root.AddCommand(a.sayCommand(s))
	}
	root.SetUsageTemplate(folded(root.UsageTemplate(), a.options("").Width))
	a.teach(root)
	advise(root)
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	return root
}

// failure is an error with the exit status that it asks for.
type failure struct {
	code  int
	lines []string // what to tell, one problem each
}

func (f *failure) Error() string { return strings.Join(f.lines, "\n") }

// wrong says that settings or arguments are wrong.
func wrong(format string, args ...any) error {
	return &failure{2, []string{fmt.Sprintf(format, args...)}}
}

// does makes a command's function: an error that says nothing else about itself is one of doing, while
// those that cobra finds are arguments.
func does(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd, args)
		var known *failure
		var env *pass.EnvError
		switch {
		case err == nil, errors.As(err, &known):
			return err
		case errors.As(err, &env):
			return wrong("%v", err)
		}
		return &failure{1, []string{err.Error()}}
	}
}

// exit tells what went wrong, one line each, and gives the exit status.
func (a *app) exit(err error) int {
	if err == nil {
		return 0
	}
	f := &failure{2, []string{strings.TrimSpace(err.Error())}}
	_ = errors.As(err, &f) // else it is cobra's, about arguments
	for _, line := range f.lines {
		a.complain(line)
	}
	return f.code
}

// complain tells people something on standard error.
func (a *app) complain(line string) {
	if a.vars["CLOUD_RUN_JOB"] != "" {
		run, _ := a.execution()
		a.log.Error(line, "event", pass.EventCommandFailed, "env", a.vars[config.Prefix+"ENV"], "run", run)
		return
	}
	fmt.Fprintln(a.stderr, "rotator: "+words.Harmless(line))
}

func readSettings(vars map[string]string) (config.Settings, []config.Problem) {
	s, problems := config.Read(vars)
	s.Tool = version()
	return s, problems
}

// settings reads the settings, or says everything that is wrong with them.
func (a *app) settings() (config.Settings, error) {
	s, problems := readSettings(a.vars)
	isSetting := func(name string) bool { return strings.HasPrefix(name, config.Prefix) }
	if len(problems) > 0 && !slices.ContainsFunc(slices.Collect(maps.Keys(a.vars)), isSetting) {
		return s, asFailure(problems, "nothing is set yet. Without any settings there is: rotator simulate")
	}
	return s, asFailure(problems)
}

// asFailure is nil without problems; more is told after them.
func asFailure(problems []config.Problem, more ...string) error {
	if len(problems) == 0 {
		return nil
	}
	f := &failure{code: 2}
	for _, p := range problems {
		f.lines = append(f.lines, p.String())
	}
	f.lines = append(f.lines, more...)
	return f
}

// options say how pictures are made for this terminal, if it is one.
func (a *app) options(mode string) terminal.Options {
	o := terminal.Options{Mode: mode}
	if zone := a.vars["TZ"]; zone != "" {
		if z, err := time.LoadLocation(zone); err == nil {
			o.Zone = z
		}
	}
	if n, err := strconv.Atoi(a.vars["COLUMNS"]); err == nil && n > 0 {
		o.Width = n
	}
	f, ok := a.stdout.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return o
	}
	o.Live = true
	o.Color = a.vars["NO_COLOR"] == "" && a.vars["TERM"] != "dumb"
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && o.Width == 0 {
		o.Width = width
	}
	return o
}

// stampedVersion is set by the linker for the image, whose source has no history to read the revision from.
var stampedVersion string

// version is the revision that the binary was built from.
func version() string {
	if stampedVersion != "" {
		return stampedVersion
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+changes"
		}
	}
	if revision == "" {
		return cmp.Or(info.Main.Version, "unknown")
	}
	return revision[:min(12, len(revision))] + modified
}

const day = 24 * time.Hour

// choice is a flag that takes one of a few words; the first is the default.
type choice struct {
	word string
	from []string
}

func formatFlag(cmd *cobra.Command, usage string, from ...string) *string {
	c := &choice{from[0], from}
	cmd.Flags().Var(c, "format", usage)
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

func tableFlag(cmd *cobra.Command) *string {
	return formatFlag(cmd, "print a table for people or JSON for programs", "table", "json")
}

func atFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("at", "", "`TIME` of a simulated GKE's clock, as in RFC 3339")
}

// clock gives the present. at is another time, for commands that only look, or to follow a simulated GKE's
// clock: free says that at may be any time.
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

// parseUntil reads when something ends: a day that is included, as FREEZES and labels have it, a time, or a
// duration from now; nothing is no end.
func parseUntil(text string, now time.Time) (time.Time, error) {
	if end, ok := config.EndOfDay(text); ok {
		return end, nil
	}
	return parseWhen(text, now, 1, "3d")
}

// parseWhen reads a time, or a duration from now, which sign turns into one before now; nothing is no time.
func parseWhen(text string, now time.Time, sign time.Duration, example string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := fleet.ParseDuration(text); err == nil && d > 0 {
		return now.Add(sign * d), nil
	}
	t, err := config.ParseTime(text)
	if err != nil {
		return t, fmt.Errorf("%w, nor a duration as %s", err, example)
	}
	return t, nil
}

// The longest play: more runs would take minutes and teach nothing.
const mostRuns = 20_000

// playing is what simulate and forecast are asked alike.
type playing struct {
	fleet, project, from string
	days                 int
	seed                 int64
	report, form         *string
}

// start is the time of --from, or another.
func (p playing) start(otherwise time.Time) (time.Time, error) {
	if p.from == "" {
		return otherwise, nil
	}
	t, err := config.ParseTime(p.from)
	if err != nil {
		return t, wrong("--from %v", err)
	}
	return t, nil
}

func (p playing) checkDays(every time.Duration) error {
	if most := mostRuns * every / day; p.days < 1 || time.Duration(p.days) > most {
		return wrong("--days %d is not between 1 and %d, which is %d runs every %s",
			p.days, most, mostRuns, fleet.Days(every))
	}
	return nil
}

// load reads the clusters of --fleet, and says which files hold none.
func (p playing) load(a *app) ([]gkesim.Loaded, error) {
	fleet, problems, err := gkesim.LoadFleet(p.fleet, p.project)
	for _, p := range problems {
		a.complain(p.String())
	}
	if err != nil {
		return nil, wrong("--fleet: %v", err)
	}
	return fleet, nil
}
