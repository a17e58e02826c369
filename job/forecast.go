package main

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/view/ics"
	"gke-credential-rotator/job/view/terminal"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
)

type forecasting struct {
	playing
	compare      string
	approve, all bool
}

func (a *app) forecastCommand() *cobra.Command {
	var fc forecasting
	cmd := &cobra.Command{
		Use:   "forecast",
		Short: "Show what will happen and when, and what will not fit",
		Long: `Play the policy forward, from the fleet and the store as they are, on a simulated
GKE: what starts and completes when, how much is in flight, what does not fit and
which setting prevents it. Google is only read, and nothing is stored.

It plays as if MODE=act, GKE took its usual time, nobody did anything else and no
cluster came. With APPROVAL nobody approves, unless --approve is given.

--compare plays a second policy, the settings of a file over those in force, and
shows what changes.`,
		Example: `  rotator forecast
  rotator forecast --days 365 --format json | jq '.left[] | {cluster, prevents}'
  rotator forecast --format ics > rotations.ics
  rotator forecast --report next-quarter.html
  rotator forecast --compare next.env       # lines as ROTATOR_MAX_ACTIVE=20
  gcloud container clusters list --project shop-prod --format json > fleet.json
  ROTATOR_MAX_CA_AGE=365d rotator forecast --fleet fleet.json --days 365`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.IntVar(&fc.days, "days", 90, "how many `DAYS` to look ahead")
	f.StringVar(&fc.fleet, "fleet", "",
		"`FILE|DIR` with clusters instead of the real fleet, as simulate takes it")
	f.StringVar(&fc.project, "project", "",
		"`PROJECT` of clusters in --fleet that do not say it in their selfLink")
	f.StringVar(&fc.from, "from", "",
		"`TIME` at which it begins, with the clusters as they are now (default now)")
	f.StringVar(&fc.from, "at", "", "the same `TIME`, as plan has it")
	f.StringVar(&fc.compare, "compare", "",
		"`FILE` with other settings, NAME=value a line: show what they change")
	f.BoolVar(&fc.approve, "approve", false, "as if people approved at once all that APPROVAL asks for")
	f.BoolVar(&fc.all, "all", false, "show every rotation and cluster, however many there are")
	f.Int64Var(&fc.seed, "seed", 1, "`SEED` of all that is made up: new CAs and addresses")
	fc.form = formatFlag(cmd, "print a table for people, JSON for programs, or iCalendar to subscribe to",
		"table", "json", "ics")
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		switch {
		case f.Changed("from") && f.Changed("at"):
			return wrong("--from and --at are the same; leave one of them out")
		case fc.compare != "" && *fc.form == "ics":
			return wrong("--format ics is one calendar, and --compare plays two policies; leave one of them out")
		case fc.fleet == "" && fc.project != "":
			return wrong("--project names the project of the clusters in --fleet, which is missing")
		}
		return a.forecast(cmd.Context(), fc)
	})
	fc.report = reportFlag(cmd)
	return cmd
}

// outlook is a forecast being made: where it begins, and under which policies.
type outlook struct {
	forecasting
	a     *app
	began time.Duration
	// begin gives the beginning anew for each policy that is played.
	begin   func(*rules.Policy) (sim.Setup, error)
	unread  []fleet.Unread
	noStore bool
	first   pass.Result // of the first run: the fleet as it is
}

func (a *app) forecast(ctx context.Context, fc forecasting) error {
	vars := a.vars
	if fc.fleet != "" {
		vars = config.Simulation(vars)
	}
	s, problems := readSettings(vars)
	var other config.Settings
	if fc.compare != "" {
		file, more := config.ReadFile("--compare", fc.compare)
		if len(problems) == 0 {
			var wrongs []config.Problem
			other, wrongs = readSettings(config.Over(vars, file))
			for i := range wrongs {
				wrongs[i].What += " (in " + fc.compare + ")"
			}
			more = append(more, wrongs...)
		}
		problems = append(problems, more...)
	}
	if err := asFailure(problems); err != nil {
		return err
	}
	o, err := a.look(ctx, fc, s)
	if err != nil {
		return err
	}
	before, p, err := o.play(ctx, s)
	if err != nil {
		return err
	}
	if err := o.report(s, p, before); err != nil || fc.compare == "" {
		return errors.Join(err, o.print(before, p, nil, nil))
	}
	after, q, err := o.play(ctx, other)
	if err != nil {
		return err
	}
	c := sim.Comparison{File: fc.compare, Settings: differences(s, other), Before: before, After: after}
	return o.print(before, p, &c, q)
}

// look reads where the forecast begins: a file, or the fleet and the store.
func (a *app) look(ctx context.Context, fc forecasting, s config.Settings) (*outlook, error) {
	o := &outlook{forecasting: fc, a: a, began: a.mono()}
	from, err := fc.start(time.Now().UTC().Truncate(time.Hour))
	if err == nil {
		err = fc.checkDays(s.Every.V)
	}
	if err != nil {
		return nil, err
	}
	if fc.fleet != "" {
		return o, o.fromFile(from)
	}
	return o, o.fromFleet(ctx, s, from)
}

// fromFile begins with recorded clusters, as simulate does.
func (o *outlook) fromFile(from time.Time) error {
	fleet, err := o.load(o.a)
	if err != nil {
		return err
	}
	o.noStore = true
	o.begin = func(p *rules.Policy) (sim.Setup, error) {
		w := gkesim.New(gkesim.Options{Seed: o.seed, Now: from})
		if err := w.AddFleet(fleet); err != nil {
			return sim.Setup{}, wrong("--fleet: %v", err)
		}
		p.Projects = w.Projects()
		return sim.Setup{World: w, From: from}, nil
	}
	return nil
}

// fromFleet begins with the fleet and the store as they are now. The next run is where the schedule has it.
func (o *outlook) fromFleet(ctx context.Context, s config.Settings, from time.Time) error {
	r, err := o.a.recall(ctx, s, time.Now(), true)
	if err != nil {
		return err
	}
	defer closeStore(r.store)
	cloud, err := gke.Dial(ctx, clientOptions(s.GKEEndpoint.V)...)
	if err != nil {
		return err
	}
	defer func() { _ = cloud.Close() }() // nothing is under way any more
	present, err := sim.Read(ctx, cloud, r.store, r.contents, s.Projects.V)
	if err != nil {
		return err
	}
	read := from
	if o.from == "" {
		read = time.Now().UTC()
		from = nextRun(r.contents.Fleet.LastRun.At, read, s.Every.V)
	}
	present.Patience = s.StuckAfter.V
	o.unread, o.noStore = present.Unread, r.store == nil
	o.begin = func(*rules.Policy) (sim.Setup, error) {
		w, err := present.World(o.seed, read)
		return sim.Setup{World: w, From: from, Contents: present.Contents, History: present.History}, err
	}
	return nil
}

// nextRun is when the schedule has the next run: so often since the last one; on the hour when none is known.
func nextRun(last, now time.Time, every time.Duration) time.Time {
	if last.IsZero() || last.After(now) {
		last = now.Truncate(time.Hour)
	}
	return last.Add((now.Sub(last)/every + 1) * every)
}

func (o *outlook) play(ctx context.Context, s config.Settings) (sim.Forecast, *rules.Policy, error) {
	shown := s.Policy()
	played := *shown
	setup, err := o.begin(&played)
	if err != nil {
		return sim.Forecast{}, nil, err
	}
	if o.approve {
		approved(&played, &setup)
	}
	if err := asFailure(s.At(setup.From)); err != nil {
		return sim.Forecast{}, nil, err
	}
	shown.Projects = played.Projects
	setup.Policy, setup.Days, setup.Every, setup.Seed = &played, o.days, played.Every, o.seed
	live := o.a.options("")
	live.Live = live.Live && *o.form == "table"
	progress := terminal.NewProgress(o.a.stdout, setup.From, setup.Days, setup.Every, live)
	f, err := sim.Foresee(ctx, setup, func(res pass.Result) {
		progress.See(res)
		if o.first.At.IsZero() {
			o.first = res
		}
	})
	progress.Done()
	f.Unread = o.unread
	return f, shown, err
}

// approved plays as if people said yes to all: nothing is lifted of what they were told.
func approved(p *rules.Policy, setup *sim.Setup) {
	p.Approval = rules.ApproveNone
	rotations := maps.Clone(setup.Contents.Rotations)
	for ref, r := range rotations {
		r.Terms = maps.Clone(r.Terms)
		delete(r.Terms, "APPROVAL")
		rotations[ref] = r
	}
	setup.Contents.Rotations = rotations
}

// report writes the page that a person asked for: the fleet as it is, and what is to come.
func (o *outlook) report(s config.Settings, p *rules.Policy, f sim.Forecast) error {
	page := o.a.page("forecast", s, o.first)
	page.Policy, page.Mode, page.Forecast = p, "", &f
	page.Result.Done = nil // what the first run would do is the forecast's to tell
	page.Result.Fleet.Unread = f.Unread
	page.Notes = []string{
		"As if MODE=act, GKE took its usual time, nobody did anything else, and no new cluster came.",
	}
	if p.Approval != rules.ApproveNone && !o.approve {
		page.Notes = append(page.Notes,
			"APPROVAL="+string(p.Approval)+": as if nobody approved anything from now on.")
	}
	return askedReport(*o.forecasting.report, page)
}

func (o *outlook) print(f sim.Forecast, p *rules.Policy, c *sim.Comparison, other *rules.Policy) error {
	v := view.ForecastOf(f, p, view.Basis{Fleet: o.fleet, NoStore: o.noStore, Approved: o.approve})
	if c != nil {
		v = v.Against(*c, other)
	}
	form := terminal.ForecastOptions{Options: o.a.options(""), All: o.all}
	form.Wall = o.a.mono() - o.began
	switch {
	case *o.form == "json":
		return view.WriteJSON(o.a.stdout, v)
	case *o.form == "ics":
		return ics.Write(o.a.stdout, v)
	case c != nil:
		return terminal.ForecastCompare(o.a.stdout, v, form)
	}
	return terminal.Forecast(o.a.stdout, v, form)
}

func differences(a, b config.Settings) []sim.SettingChange {
	var out []sim.SettingChange
	others := b.InForce()
	for i, before := range a.InForce() {
		if after := others[i].Value; before.Value != after {
			out = append(out, sim.SettingChange{Name: before.Name, Before: before.Value, After: after})
		}
	}
	return out
}
