package html

import (
	"cmp"
	"html/template"
	"regexp"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
)

// content is the page's content in the order of the page: what is most pressing
// first. Its texts are harmless; the template escapes them.
type content struct {
	Style  template.CSS
	Policy string // of content
	Title  string
	Env    string
	Made   string // by which command, in which mode
	At     moment
	Zone   string
	// Sentence says how the fleet is; Lede what follows from it.
	Sentence string
	Lede     []string
	Bar      []segment
	Nav      []link

	Todos                []todo
	Clients, MoreClients []client // the second are folded away
	Unseen               []unseen
	Lanes, MoreLanes     []lane
	Groups               []group
	Pace                 []pace
	Stories              []storyView
	Evidence             finished
	Meanings             []view.Meaning
	Warnings             []string
	Settings             []view.Setting
	Facts                []fact
}

// inSight parts what stands open on the page from what is folded away.
func inSight[T any](all []T, most int) (open, folded []T) {
	if len(all) <= most {
		return all, nil
	}
	return all[:most], all[most:]
}

// moment is a time for people and for programs.
type moment struct{ Text, ISO string }

// who is a cluster, and where it is.
type who struct{ Name, Place string }

func whoIs(ref fleet.Ref) who {
	return who{words.Harmless(ref.Name), words.Harmless(ref.Project + "/" + ref.Location)}
}

type fact struct {
	Label, Text string
	At          moment // when the value is a time
}

type link struct {
	ID, Text string
	Count    int
}

type segment struct {
	State view.Stand
	Label string
	Count int
	X, W  float64 // per cent
}

// address is one whose path may be a secret, as that of a webhook: a page goes
// further than the settings do.
var address = regexp.MustCompile(`(https?://)(?:[^/\s]*@)?([^/\s]+)/\S+`)

// maker makes the content of one page.
type maker struct {
	Page
	view.Words
	plan   view.Plan
	stands []view.Cluster
}

func newContent(p Page) content {
	m := &maker{Page: p, Words: view.Words{Clock: words.Clock{Now: p.Result.At, Zone: p.Zone}}}
	m.plan = view.PlanAfter(p.Result, p.Policy, p.Finished, m.carriesOut())
	m.stands = standings(m.plan)
	v := content{
		Style: template.CSS(style), Policy: contentPolicy(), Env: words.Harmless(p.Policy.Env), //nolint:gosec // our own file
		Made: m.made(), At: m.at(p.Result.At), Zone: m.Name(),
		Todos: m.todos(), Clients: m.clients(), Unseen: m.unseen(), Groups: m.groups(),
		Pace: m.pace(), Evidence: m.finished(),
		Meanings: view.Meanings(p.Policy, p.Mode), Warnings: view.Warnings(p.Policy, p.Mode, m.Now),
	}
	v.Lanes = m.lanes()
	for _, s := range p.Settings {
		s.Value = cmp.Or(address.ReplaceAllString(words.Harmless(s.Value), "$1$2/…"), `""`)
		v.Settings = append(v.Settings, s)
	}
	if p.Played != nil {
		v.Stories = append(v.Stories, m.story("played", "What happened", *p.Played))
	}
	if p.Forecast != nil {
		v.Stories = append(v.Stories, m.forecast(*p.Forecast))
	}
	v.Bar = m.bar()
	v.Sentence, v.Lede = m.sentence(), m.lede(v)
	v.Title = v.Sentence + " GKE credential rotation, " + v.Env
	v.Facts = m.facts()
	v.Nav = v.nav()
	v.Clients, v.MoreClients = inSight(v.Clients, mostItems)
	v.Lanes, v.MoreLanes = inSight(v.Lanes, mostItems)
	return v
}

func (m *maker) at(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	return moment{m.At(t), t.UTC().Format(time.RFC3339)}
}

func day(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	return moment{words.Day(t), words.Day(t)}
}

func (m *maker) made() string {
	made := map[string]string{
		"simulate": "a simulation, nothing here is real", "forecast": "a forecast, nothing was sent",
		"plan": "a plan, nothing was sent", "run": "a run that acts",
	}
	if m.Command == "run" && m.Mode == "observe" {
		return "a run that observes, nothing was sent to GKE"
	}
	return cmp.Or(made[m.Command], words.Harmless(m.Command))
}

func (m *maker) facts() []fact {
	out := []fact{
		{Label: "Environment", Text: words.Harmless(m.Policy.Env)},
		{Label: "As of", Text: m.In(m.Now).Format("Mon 2 January 2006, 15:04 ") + m.Name()},
		{Label: "Seen", Text: words.Plural(len(m.Result.Decisions), "cluster", "clusters") + " in " +
			words.Plural(len(m.Policy.Projects), "project", "projects")},
	}
	if m.Mode != "" {
		out = append(out, fact{Label: "Mode", Text: words.Harmless(m.Mode)})
	}
	if last := m.Result.Fleet.Contents.Fleet.LastRun; !last.At.IsZero() {
		out = append(out, fact{Label: "Run before", Text: words.Harmless(last.Run), At: m.at(last.At)})
	}
	if m.Version != "" {
		out = append(out, fact{Label: "Made by",
			Text: "rotator " + words.Harmless(strings.TrimSpace(m.Command+" "+m.Version))})
	}
	return out
}

func (v content) nav() []link {
	clusters, todo := 0, len(v.Clients)
	for _, g := range v.Groups {
		clusters += g.Count
	}
	for _, t := range v.Todos {
		todo += t.Count
	}
	all := []link{
		{"people", "To do", todo}, {"unseen", "Not seen", len(v.Unseen)}, {"flight", "In flight", len(v.Lanes)},
		{"fleet", "Fleet", clusters},
	}
	for _, s := range v.Stories {
		all = append(all, link{s.ID, s.Title, s.Count})
	}
	all = append(all, link{"evidence", "Evidence", v.Evidence.Records})
	all = slices.DeleteFunc(all, func(l link) bool { return l.Count == 0 && l.ID != "people" })
	return append(all, link{ID: "policy", Text: "Policy"})
}
