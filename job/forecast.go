package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gke-credential-rotator/gke"
	"gke-credential-rotator/gke/gkesim"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/view/ics"
	"gke-credential-rotator/job/view/terminal"
	"gke-credential-rotator/policy"
)

// forecasting is what the flags of forecast ask for.
type forecasting struct {
	fleet, project, from, compare string
	days                          int
	seed                          int64
	approve, all                  bool
	report                        *string
	form                          calendarFormat
}

func (a *app) forecastCommand() *cobra.Command {
	fc := forecasting{form: "table"}
	cmd := &cobra.Command{
		Use:   "forecast",
		Short: "Show what will happen and when, and what will not fit",
		Long: `Play the policy forward, from the fleet and the book as they are, on a simulated
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
	f.StringVar(&fc.fleet, "fleet", "", "`FILE|DIR` with clusters instead of the real fleet, as simulate takes it")
	f.StringVar(&fc.project, "project", "", "`PROJECT` of clusters in --fleet that do not say it in their selfLink")
	f.StringVar(&fc.from, "from", "", "`TIME` at which it begins, with the clusters as they are now (default now)")
	f.StringVar(&fc.from, "at", "", "the same `TIME`, as plan has it")
	f.StringVar(&fc.compare, "compare", "", "`FILE` with other settings, NAME=value a line: show what they change")
	f.BoolVar(&fc.approve, "approve", false, "as if people approved at once all that APPROVAL asks for")
	f.BoolVar(&fc.all, "all", false, "show every rotation and cluster, however many there are")
	f.Int64Var(&fc.seed, "seed", 1, "`SEED` of all that is made up: new CAs and addresses")
	f.Var(&fc.form, "format", "print a table for people, JSON for programs, or iCalendar to subscribe to")
	cmd.RunE = does(func(cmd *cobra.Command, _ []string) error {
		switch {
		case f.Changed("from") && f.Changed("at"):
			return wrong("--from and --at are the same; leave one of them out")
		case fc.compare != "" && fc.form == "ics":
			return wrong("--format ics is one calendar, and --compare plays two policies; leave one of them out")
		case fc.fleet == "" && fc.project != "":
			return wrong("--project names the project of the clusters in --fleet, which is missing")
		}
		return a.forecast(cmd.Context(), fc)
	})
	fc.report = reportFlag(cmd)
	return cmd
}

// calendarFormat is the --format flag of forecast.
type calendarFormat string

func (f *calendarFormat) String() string { return string(*f) }

// Type is what --help shows.
func (f *calendarFormat) Type() string { return "table|json|ics" }

// Set reads the flag.
func (f *calendarFormat) Set(text string) error { return pick(f, []byte(text), "table", "json", "ics") }

// outlook is a forecast being made: where it begins, and under which policies.
type outlook struct {
	forecasting
	a     *app
	began time.Duration
	// begin gives the beginning anew for each policy that is played.
	begin  func(*policy.Policy) (sim.Setup, error)
	unread []policy.Unread
	noBook bool
	first  pass.Result // of the first run: the fleet as it is
}

func (a *app) forecast(ctx context.Context, fc forecasting) error {
	environ := a.environ
	if fc.fleet != "" {
		environ = simulationEnviron(environ)
	}
	s, problems := readSettings(environ)
	var other Settings
	if fc.compare != "" {
		lines, more := readSettingsFile(fc.compare)
		if len(problems) == 0 {
			var wrongs []Problem
			other, wrongs = readSettings(overlay(environ, lines))
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
	return o.print(before, p, &sim.Comparison{File: fc.compare, Settings: differences(s, other), Before: before, After: after}, q)
}

// look reads where the forecast begins: a file, or the fleet and the book.
func (a *app) look(ctx context.Context, fc forecasting, s Settings) (*outlook, error) {
	o := &outlook{forecasting: fc, a: a, began: a.mono()}
	from, every := time.Now().UTC().Truncate(time.Hour), time.Duration(s.Every.V)
	if fc.from != "" {
		t, err := parseTime(fc.from)
		if err != nil {
			return nil, wrong("--from %v", err)
		}
		from = t
	}
	if fc.days < 1 || time.Duration(fc.days) > mostRuns*every/day {
		return nil, wrong("--days %d is not between 1 and %d, which is %d runs every %s", fc.days, mostRuns*every/day, mostRuns, policy.Days(every))
	}
	if fc.fleet != "" {
		return o, o.fromFile(from)
	}
	return o, o.fromFleet(ctx, s, from)
}

// fromFile begins with recorded clusters, as simulate does.
func (o *outlook) fromFile(from time.Time) error {
	fleet, problems, err := gkesim.LoadFleet(o.fleet, o.project)
	for _, p := range problems {
		o.a.complain(p.String())
	}
	if err != nil {
		return wrong("--fleet: %v", err)
	}
	o.noBook = true
	o.begin = func(p *policy.Policy) (sim.Setup, error) {
		w := gkesim.New(gkesim.Options{Seed: o.seed, Now: from})
		if err := w.AddFleet(fleet); err != nil {
			return sim.Setup{}, wrong("--fleet: %v", err)
		}
		p.Projects = w.Projects()
		return sim.Setup{World: w, From: from}, nil
	}
	return nil
}

// fromFleet begins with the fleet and the book as they are now. The next run is
// where the schedule has it.
func (o *outlook) fromFleet(ctx context.Context, s Settings, from time.Time) error {
	store, err := o.a.openExistingBook(ctx, s)
	if err != nil {
		return err
	}
	defer closeBook(store)
	book, err := pass.Recall(ctx, store, string(s.Env.V))
	if err != nil {
		return err
	}
	cloud, err := gke.Dial(ctx, clientOptions(s.GKEEndpoint.V)...)
	if err != nil {
		return err
	}
	defer func() { _ = cloud.Close() }() // nothing is under way any more
	present, err := sim.Read(ctx, cloud, store, book, s.Projects.V)
	if err != nil {
		return err
	}
	read := from
	if o.from == "" {
		read = time.Now().UTC()
		from = nextRun(book.Fleet.LastRun.At, read, time.Duration(s.Every.V))
	}
	o.unread, o.noBook = present.Unread, store == nil
	o.begin = func(*policy.Policy) (sim.Setup, error) {
		w, err := present.World(o.seed, read)
		return sim.Setup{World: w, From: from, Book: present.Book, History: present.History}, err
	}
	return nil
}

// nextRun is when the schedule has the next run: so often since the last one,
// or on the hour when none is known.
func nextRun(last, now time.Time, every time.Duration) time.Time {
	if last.IsZero() || last.After(now) {
		last = now.Truncate(time.Hour)
	}
	return last.Add((now.Sub(last)/every + 1) * every)
}

// play plays one policy forward.
func (o *outlook) play(ctx context.Context, s Settings) (sim.Forecast, *policy.Policy, error) {
	shown := s.Policy()
	played := *shown
	if o.approve {
		played.Approval = policy.ApproveNone
	}
	setup, err := o.begin(&played)
	if err != nil {
		return sim.Forecast{}, nil, err
	}
	shown.Projects = played.Projects
	setup.Policy, setup.Days, setup.Every, setup.Seed = &played, o.days, played.Every, o.seed
	live := o.a.options("")
	live.Live = live.Live && o.form == "table"
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

// report writes the page that a person asked for: the fleet as it is, and what is
// to come.
func (o *outlook) report(s Settings, p *policy.Policy, f sim.Forecast) error {
	page := o.a.page("forecast", s, o.first)
	page.Policy, page.Mode, page.Forecast = p, "", &f
	page.Result.Done = nil // what the first run would do is the forecast's to tell
	page.Result.Fleet.Unread = f.Unread
	page.Notes = []string{"As if MODE=act, GKE took its usual time, nobody did anything else, and no new cluster came."}
	if p.Approval != policy.ApproveNone && !o.approve {
		page.Notes = append(page.Notes, fmt.Sprintf("APPROVAL=%s: as if nobody approved anything from now on.", p.Approval))
	}
	return askedReport(*o.forecasting.report, page)
}

func (o *outlook) print(f sim.Forecast, p *policy.Policy, c *sim.Comparison, other *policy.Policy) error {
	v := view.ForecastOf(f, p, view.Basis{Fleet: o.fleet, NoBook: o.noBook, Approved: o.approve})
	if c != nil {
		v = v.Against(*c, other)
	}
	form := terminal.ForecastOptions{Options: o.a.options(""), All: o.all}
	form.Wall = o.a.mono() - o.began
	switch {
	case o.form == "json":
		return view.WriteJSON(o.a.stdout, v)
	case o.form == "ics":
		return ics.Write(o.a.stdout, v)
	case c != nil:
		return terminal.ForecastCompare(o.a.stdout, v, form)
	}
	return terminal.Forecast(o.a.stdout, v, form)
}

// readSettingsFile reads NAME=value lines as deploy/env has them: to the end of
// the line, without quotes. Names without ROTATOR_ say where the job runs and
// are passed over.
func readSettingsFile(path string) (lines []string, problems []Problem) {
	text, err := os.ReadFile(path) //nolint:gosec // the file that the operator names
	if err != nil {
		return nil, []Problem{{Setting: "--compare", What: err.Error()}}
	}
	seen := map[string]bool{}
	scan := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; scan.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(scan.Text(), "\ufeff"))
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		at := fmt.Sprintf("%s line %d", path, n)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case !ok:
			problems = append(problems, Problem{Setting: at, What: fmt.Sprintf("%.100q is not NAME=value", line)})
		case !strings.HasPrefix(name, prefix):
		case seen[name]:
			problems = append(problems, Problem{Setting: at, What: name + " is there twice"})
		default:
			seen[name] = true
			lines = append(lines, name+"="+strings.TrimSpace(value))
		}
	}
	if err := scan.Err(); err != nil {
		problems = append(problems, Problem{Setting: "--compare " + path, What: err.Error()})
	}
	if len(lines) == 0 && len(problems) == 0 {
		problems = append(problems, Problem{Setting: "--compare " + path, What: "it holds no ROTATOR_ setting", Hint: "Write lines as ROTATOR_MAX_ACTIVE=20"})
	}
	return lines, problems
}

// sameFleet are the settings that say which fleet it is and how it is reached:
// a comparison is of two policies over one fleet.
var sameFleet = []string{"ENV", "PROJECTS", "MODE", "STATE", "RECOMMENDER", "GKE_ENDPOINT", "RECOMMENDER_ENDPOINT"}

// overlay puts a file's settings over those of the environment.
func overlay(environ, lines []string) []string {
	vars := variables(environ)
	for k, v := range variables(lines) {
		if !slices.Contains(sameFleet, strings.TrimPrefix(k, prefix)) {
			vars[k] = v
		}
	}
	var out []string
	for k, v := range vars {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return out
}

// differences lists the settings that differ.
func differences(a, b Settings) []sim.SettingChange {
	var out []sim.SettingChange
	others := fieldsOf(&b)
	for i, f := range fieldsOf(&a) {
		before, _ := f.value.source() // both were read without a problem
		after, _ := others[i].value.source()
		if before != after {
			out = append(out, sim.SettingChange{Name: f.Name, Before: before, After: after})
		}
	}
	return out
}
