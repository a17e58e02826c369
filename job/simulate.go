package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/view/terminal"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
)

type simulation struct {
	playing
	every, faults, serve string
	speed                float64
	approve              bool
}

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
plays the project's own sample, in which each cluster teaches one rule. With
APPROVAL nobody approves, unless --approve is given: what waits for a completion
is then completed by GKE.`,
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
	f.BoolVar(&sm.approve, "approve", false, "as if people approved at once all that APPROVAL asks for")
	f.StringVar(&sm.serve, "serve", "", "play nothing: serve only the simulated GKE on `ADDR`, "+
		"gRPC and REST, for any client; "+
		"/sim/clock, /sim/faults and /sim/journal steer and tell")
	f.Float64Var(&sm.speed, "speed", 60, "with --serve, simulated `SECONDS` per real second; 0 stands still")
	sm.form = tableFlag(cmd)
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
	for _, name := range []string{"days", "every", "format", "report", "approve"} {
		if sm.serve != "" && given(name) {
			return wrong("--%s is for playing, and --serve plays nothing; leave one of them out", name)
		}
	}
	return nil
}

func (a *app) simulate(ctx context.Context, sm simulation) error {
	s, problems := readSettings(config.Simulation(a.vars))
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
		page.Result, page.Finished = res, append(page.Finished, res.Closed()...)
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
func (sm simulation) setup(s config.Settings) (sim.Setup, error) {
	var none sim.Setup
	faults, err := faultWords(sm.faults, sm.serve != "")
	if err != nil {
		return none, err
	}
	every := s.Every.V
	if sm.every != "" {
		d, err := fleet.ParseDuration(sm.every)
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
	if from, err = sm.start(from); err != nil {
		return none, err
	}
	if sm.speed < 0 {
		return none, wrong("--speed %g is negative: simulated time never goes back", sm.speed)
	}
	if math.IsNaN(sm.speed) || sm.speed > mostSpeed {
		return none, wrong("--speed %g is not between 0 and %d: time would pass its own end", sm.speed, mostSpeed)
	}
	if err := sm.checkDays(every); err != nil {
		return none, err
	}
	p := s.Policy()
	p.Every = every
	if sm.approve {
		p.Approval = rules.ApproveNone
	}
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

// people puts the clusters into the world.
func (sm simulation) people(a *app, setup sim.Setup) error {
	if sm.fleet == "" {
		if sm.project != "" {
			return wrong("--project names the project of the clusters in --fleet, which is missing")
		}
		return setup.World.AddSample()
	}
	fleet, err := sm.load(a)
	if err != nil {
		return err
	}
	if err := setup.World.AddFleet(fleet); err != nil {
		return wrong("--fleet: %v", err)
	}
	return nil
}

// shutdownTimeout is how long open requests get when serving ends.
const shutdownTimeout = 5 * time.Second

// simulatedProjects are the projects that may stand in a line that people paste. Recorded fleets hold odd names.
func simulatedProjects(projects []string) []string {
	return slices.DeleteFunc(projects, func(p string) bool { return !config.SimulatedProject.MatchString(p) })
}

// serve serves only the simulated GKE, for any client, until the context ends. It listens on this machine
// alone: whoever reaches it may do anything to it.
func (a *app) serve(ctx context.Context, addr string, w *gkesim.World, speed float64) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return wrong("--serve %s: %v; write e.g. 127.0.0.1:8080", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return wrong("--serve %s: the simulated GKE has no authentication and is served on this machine alone; write e.g. 127.0.0.1:8080", addr)
	}
	clock := gkesim.NewClock(w.Now(), speed, time.Now)
	handler, err := w.Serve(clock)
	if err != nil {
		return err
	}
	defer handler.Close()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return wrong("--serve %s: %v", addr, err)
	}
	fmt.Fprintf(a.stdout, `Simulated GKE on http://%[1]s from %[2]s, %[3]g simulated seconds a second. gRPC and REST.
  rotator   export ROTATOR_ENV=trial ROTATOR_GKE_ENDPOINT=%[1]s ROTATOR_RECOMMENDER_ENDPOINT=%[1]s ROTATOR_PROJECTS=%[4]s
            rotator plan --at "$(curl -s http://%[1]s/sim/clock | grep -o '20[^"]*')"
  gcloud    CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER=http://%[1]s/ CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true gcloud container clusters list --project PROJECT
  clock     curl -d '{"advance":"6h"}' http://%[1]s/sim/clock
  faults    curl -d '{"words":["flaky"]}' http://%[1]s/sim/faults
  journal   curl http://%[1]s/sim/journal
`, listener.Addr(), w.Now().Format(time.RFC3339), speed, strings.Join(simulatedProjects(w.Projects()), ","))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // what a gRPC client without TLS speaks
	server := &http.Server{Handler: handler, Protocols: protocols, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err = server.Shutdown(end)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
