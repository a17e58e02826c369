package main

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/view/terminal"
	"gke-credential-rotator/policy"
)

// simulation is what the flags of simulate ask for.
type simulation struct {
	fleet, project, from, every, faults string
	days                                int
	seed                                int64
	serve                               string
	speed                               float64
	form                                *format
	report                              *string
}

// The longest simulation: more runs would take minutes and teach nothing.
const mostRuns = 20_000

// mostSpeed is eleven simulated days a second.
const mostSpeed = 1_000_000

func (a *app) simulateCommand() *cobra.Command {
	var sm simulation
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Play the policy against a simulated GKE, in simulated time",
		Long: `Play the policy against a simulated GKE, in simulated time: the same run as in
production, with another clock and another GKE. Nothing touches Google Cloud.

MODE, ENV, PROJECTS, STATE, RECOMMENDER, REPORT and the endpoints are the
simulation's own; every other ROTATOR_ setting is yours. Without --fleet it
plays the project's own sample, in which each cluster teaches one rule.`,
		Example: `  rotator simulate
  gcloud container clusters list --project shop-prod --format json > fleet.json
  ROTATOR_MAX_CA_AGE=365d rotator simulate --fleet fleet.json --days 45
  rotator simulate --faults flaky,crash,outside
  rotator simulate --days 6 --report page.html
  rotator simulate --serve 127.0.0.1:8080
  rotator simulate --format json | jq '.clusters[] | select(.outcome != "verified")'`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&sm.fleet, "fleet", "", "`FILE|DIR` with clusters, as gcloud container clusters list --format json gives them, or single ones")
	f.StringVar(&sm.project, "project", "", "`PROJECT` of clusters that do not say it in their selfLink")
	f.StringVar(&sm.from, "from", "", "`TIME` at which it begins (default now; the sample's own Monday)")
	f.IntVar(&sm.days, "days", 30, "how many `DAYS` to play")
	f.StringVar(&sm.every, "every", "", "`DURATION` between runs (default ROTATOR_EVERY)")
	f.Int64Var(&sm.seed, "seed", 1, "`SEED` of all that is random")
	f.StringVar(&sm.faults, "faults", "", "`FAULTS` to suffer: any of flaky (GKE), crash (runs) and outside (somebody else), with commas")
	f.StringVar(&sm.serve, "serve", "", "play nothing: serve only the simulated GKE on `ADDR`, gRPC and REST, for any client; /sim/clock, /sim/faults and /sim/journal steer and tell")
	f.Float64Var(&sm.speed, "speed", 60, "with --serve, simulated `SECONDS` per real second; 0 stands still")
	sm.form = formatFlag(cmd)
	sm.report = reportFlag(cmd)
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		if err := sm.together(f.Changed); err != nil {
			return err
		}
		return a.simulate(cmd.Context(), sm)
	})
	return cmd
}

// together refuses flags that would mean nothing beside the others.
func (sm simulation) together(given func(name string) bool) error {
	if sm.serve == "" && given("speed") {
		return wrong("--speed is that of --serve, which is missing")
	}
	for _, name := range []string{"days", "every", "format", "report"} {
		if sm.serve != "" && given(name) {
			return wrong("--%s is for playing, and --serve plays nothing; leave one of them out", name)
		}
	}
	return nil
}

func (a *app) simulate(ctx context.Context, sm simulation) error {
	s, problems := readSettings(simulationEnviron(a.environ))
	if err := asFailure(problems); err != nil {
		return err
	}
	setup, err := sm.setup(s)
	if err != nil {
		return err
	}
	if err := sm.people(a, setup); err != nil {
		return err
	}
	if sm.serve != "" {
		if err := setup.World.Suffer(gkesim.Faults{Words: setup.Faults}); err != nil {
			return err
		}
		return a.serve(ctx, sm.serve, setup.World, sm.speed)
	}
	setup.Policy.Projects = setup.World.Projects()
	o := a.options("")
	o.Live = o.Live && *sm.form == "table"
	progress := terminal.NewProgress(a.stdout, setup.From, setup.Days, setup.Every, o)
	began := a.mono()
	page := a.page("simulate", s, pass.Result{})
	page.Policy = setup.Policy
	story, err := sim.Play(ctx, setup, func(res pass.Result) {
		progress.See(res)
		page.Result, page.Finished = res, append(page.Finished, closed(res)...)
	})
	progress.Done()
	if err != nil {
		return err
	}
	page.Played = &story
	if err := askedReport(*sm.report, page); err != nil {
		return err
	}
	v := view.PlayedOf(story, setup.Policy)
	if *sm.form == "json" {
		return view.WriteJSON(a.stdout, v)
	}
	o.Wall = a.mono() - began
	return terminal.Story(a.stdout, v, o)
}

// setup checks the flags and makes an empty world.
func (sm simulation) setup(s Settings) (sim.Setup, error) {
	var none sim.Setup
	faults, err := faultWords(sm.faults, sm.serve != "")
	if err != nil {
		return none, err
	}
	every := time.Duration(s.Every.V)
	if sm.every != "" {
		d, err := policy.ParseDuration(sm.every)
		if err != nil {
			return none, wrong("--every %v", err)
		}
		if d < 5*time.Minute || d > day {
			return none, wrong("--every %s is not between 5m and 24h", sm.every)
		}
		every = d
	}
	from := gkesim.SampleStart
	if sm.fleet != "" {
		from = time.Now().UTC().Truncate(time.Hour)
	}
	if sm.from != "" {
		t, err := parseTime(sm.from)
		if err != nil {
			return none, wrong("--from %v", err)
		}
		from = t
	}
	if sm.speed < 0 {
		return none, wrong("--speed %g is negative: simulated time never goes back", sm.speed)
	}
	if math.IsNaN(sm.speed) || sm.speed > mostSpeed {
		return none, wrong("--speed %g is not between 0 and %d: time would pass its own end", sm.speed, mostSpeed)
	}
	if sm.days < 1 || time.Duration(sm.days) > mostRuns*every/day {
		return none, wrong("--days %d is not between 1 and %d, which is %d runs every %s", sm.days, mostRuns*every/day, mostRuns, policy.Days(every))
	}
	p := s.Policy()
	p.Every = every
	return sim.Setup{
		Policy: p, World: gkesim.New(gkesim.Options{Seed: sm.seed, Now: from}),
		From: from, Days: sm.days, Every: every, Seed: sm.seed, Faults: faults,
	}, nil
}

// faultWords reads --faults. Served, there are no runs that could be cut.
func faultWords(list string, served bool) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	var words []string
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		switch {
		case word == sim.Crash && served:
			return nil, wrong("--faults crash cuts runs, and --serve makes none; leave one of them out")
		case word != gkesim.Flaky && word != sim.Crash && word != gkesim.Outside:
			return nil, wrong("--faults %q is unknown; there are flaky, crash and outside", word)
		case !slices.Contains(words, word):
			words = append(words, word)
		}
	}
	slices.Sort(words)
	return words, nil
}

// people puts the clusters into the world, and says which files hold none.
func (sm simulation) people(a *app, setup sim.Setup) error {
	if sm.fleet == "" {
		if sm.project != "" {
			return wrong("--project names the project of the clusters in --fleet, which is missing")
		}
		return setup.World.AddSample()
	}
	fleet, problems, err := gkesim.LoadFleet(sm.fleet, sm.project)
	for _, p := range problems {
		a.complain(p.String())
	}
	if err != nil {
		return wrong("--fleet: %v", err)
	}
	if err := setup.World.AddFleet(fleet); err != nil {
		return wrong("--fleet: %v", err)
	}
	return nil
}
