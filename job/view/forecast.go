package view

import (
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// Basis is what a forecast rests on.
type Basis struct {
	// Fleet is the file that was played; "" is the real fleet.
	Fleet string
	// NoBook: there was none, so holds, approvals and waves began empty.
	NoStore bool
	// Approved: it was played as if people approved at once.
	Approved bool
}

// Forecast is what will become of a fleet.
type Forecast struct {
	From      time.Time      `json:"from"`
	To        time.Time      `json:"to"`
	Every     string         `json:"every"`
	Seed      int64          `json:"seed"`
	Fleet     string         `json:"fleet,omitempty"` // the file; absent: the real one
	Contents  bool           `json:"store"`           // it goes on from a store
	Approved  bool           `json:"approved"`        // as if people approved at once
	Runs      int            `json:"runs"`
	LeftOut   int            `json:"leftOut"` // runs of which nothing could come
	Policy    Policy         `json:"policy"`
	Peak      Peak           `json:"peak"`
	Late      int            `json:"late"`
	Overdue   int            `json:"overdue"`
	Rotations []Turn         `json:"rotations"` // by their start
	Left      []Left         `json:"left"`
	Clusters  []Foreseen     `json:"clusters"`
	Days      []Day          `json:"days"`
	Unread    []fleet.Unread `json:"unread"`
	Compare   *Comparison    `json:"compare,omitempty"`

	Play sim.Forecast `json:"-"`
}

// Peak is the most at one time.
type Peak struct {
	InFlight int  `json:"inFlight"`
	At       Time `json:"at"`
	Slots    int  `json:"slots"`
	Of       int  `json:"of"` // MAX_ACTIVE
}

// Turn is one rotation; a time is null when that does not happen before the end.
type Turn struct {
	Cluster     string          `json:"cluster"`
	Wave        string          `json:"wave"`
	Attempt     int             `json:"attempt"`
	OldCA       *fleet.CA       `json:"oldCA"`
	InFlight    bool            `json:"inFlight"` // when the forecast began
	Watched     bool            `json:"watched"`
	Emergency   bool            `json:"emergency"`
	Compromised bool            `json:"compromised"`
	Due         Time            `json:"due"`
	Deadline    Time            `json:"deadline"`
	Late        bool            `json:"late"`
	Start       Time            `json:"start"`
	HandedOver  Time            `json:"handedOver"`
	NodesDone   Time            `json:"nodesDone"`
	ClientsBy   Time            `json:"clientsBy"` // the soak ends
	Completion  Time            `json:"completion"`
	Verified    Time            `json:"verified"`
	ClosedAs    record.ClosedAs `json:"closedAs"`
	Phase       record.Phase    `json:"phase"` // at the end; "" when it is closed
	Reason      reason.Code     `json:"reason"`
	Message     string          `json:"message"`
}

// Left is a cluster that is due and not rotated at the end.
type Left struct {
	Cluster  string       `json:"cluster"`
	Wave     string       `json:"wave"`
	Outcome  sim.Outcome  `json:"outcome"`
	Phase    record.Phase `json:"phase"`
	Due      Time         `json:"due"`
	Deadline Time         `json:"deadline"`
	Late     bool         `json:"late"`
	Prevents string       `json:"prevents"` // the setting, or what else it is
	Held     *Wait        `json:"held"`
	Reason   reason.Code  `json:"reason"`
	Message  string       `json:"message"`
}

// Foreseen is what becomes of one cluster.
type Foreseen struct {
	Cluster string      `json:"cluster"`
	Outcome sim.Outcome `json:"outcome"`
	Reason  reason.Code `json:"reason"`
	Message string      `json:"message"`
	Waited  []Wait      `json:"waited"`
}

// Day is how much happens on one day.
type Day struct {
	Date        string `json:"date"`
	InFlight    int    `json:"inFlight"` // the most at one time
	Starts      int    `json:"starts"`
	Completions int    `json:"completions"`
}

// Comparison is the same fleet under another policy.
type Comparison struct {
	File     string              `json:"file"`
	Settings []SettingChange     `json:"settings"`
	Before   Sum                 `json:"before"`
	After    Sum                 `json:"after"`
	Clusters []Shift             `json:"clusters"`
	Policy   Policy              `json:"policy"`    // the other one
	Days     []Day               `json:"days"`      // under the other one
	Rotated  []Turn              `json:"rotations"` // likewise
	Prevents map[string][]string `json:"prevents"`  // what still does not fit, by setting

	Play sim.Comparison `json:"-"`
}

// SettingChange is a setting that differs.
type SettingChange struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Sum is a forecast in numbers.
type Sum struct {
	Rotated  int  `json:"rotated"`
	Last     Time `json:"last"` // the last of them is verified
	InFlight int  `json:"inFlight"`
	Slots    int  `json:"slots"`
	Left     int  `json:"left"`
	Late     int  `json:"late"`
	Overdue  int  `json:"overdue"`
}

// Shift is a cluster for which the policies differ.
type Shift struct {
	Cluster    string              `json:"cluster"`
	Start      Change[Time]        `json:"start"`
	Completion Change[Time]        `json:"completion"`
	Outcome    Change[sim.Outcome] `json:"outcome"`
	Late       Change[bool]        `json:"late"`
}

// Change is what something was and became.
type Change[T any] struct {
	Before T `json:"before"`
	After  T `json:"after"`
}

// ForecastOf is the view of a forecast under the policy.
func ForecastOf(f sim.Forecast, p *rules.Policy, b Basis) Forecast {
	out := Forecast{
		From: f.From.UTC(), To: f.To.UTC(), Every: fleet.Days(f.Every), Seed: f.Seed, Fleet: b.Fleet,
		Contents: !b.NoStore,
		Approved: b.Approved, Runs: f.Runs, LeftOut: f.Skipped, Policy: Policy{p},
		Peak: Peak{f.Peak, Time{f.PeakAt}, f.MostSlots, p.MaxActive}, Late: f.Late, Overdue: f.Overdue,
		Rotations: turnsOf(f.Turns), Left: []Left{}, Clusters: []Foreseen{}, Days: daysOf(f.Days),
		Unread: listed(f.Unread), Play: f,
	}
	for _, l := range f.Left {
		j := Left{
			Cluster: l.Cluster.String(), Wave: l.Wave, Outcome: l.Outcome, Phase: l.Phase, Due: Time{l.Due},
			Deadline: Time{l.Deadline},
			Late:     l.Late, Prevents: Blame(l), Reason: l.Reason, Message: l.Message.String(),
		}
		if l.Held.Gate != "" {
			j.Held = &waitsOf(l.Held)[0]
		}
		out.Left = append(out.Left, j)
	}
	for _, c := range f.Clusters {
		out.Clusters = append(out.Clusters,
			Foreseen{c.Cluster.String(), c.Outcome, c.Reason, c.Message.String(), waitsOf(c.Waited...)})
	}
	return out
}

// Against puts another policy beside the first.
func (f Forecast) Against(c sim.Comparison, other *rules.Policy) Forecast {
	out := &Comparison{
		File: c.File, Settings: []SettingChange{}, Before: sumOf(c.Before), After: sumOf(c.After),
		Clusters: []Shift{},
		Policy:   Policy{other}, Days: daysOf(c.After.Days), Rotated: turnsOf(c.After.Turns),
		Prevents: map[string][]string{}, Play: c,
	}
	for _, s := range c.Settings {
		out.Settings = append(out.Settings, SettingChange(s))
	}
	for _, l := range c.After.Left {
		out.Prevents[Blame(l)] = append(out.Prevents[Blame(l)], l.Cluster.String())
	}
	for _, s := range c.Shifts() {
		out.Clusters = append(out.Clusters, Shift{
			s.Cluster.String(), Change[Time]{Time{s.StartBefore}, Time{s.StartAfter}},
			Change[Time]{Time{s.CompletedBefore}, Time{s.CompletedAfter}},
			Change[sim.Outcome]{s.OutcomeBefore, s.OutcomeAfter}, Change[bool]{s.MissBefore, s.Miss},
		})
	}
	f.Compare = out
	return f
}

func turnsOf(turns []sim.Turn) []Turn {
	out := []Turn{}
	for _, t := range turns {
		out = append(out, Turn{
			Cluster: t.Cluster.String(), Wave: t.Wave, Attempt: t.No, OldCA: caOf(t.OldCA),
			InFlight: t.Before, Watched: t.Watched,
			Emergency: t.Emergency, Compromised: t.Compromised, Due: Time{t.Due}, Deadline: Time{t.Deadline},
			Late: t.Late(), Start: Time{t.Start},
			HandedOver: Time{t.HandedOver}, NodesDone: Time{t.NodesDone}, ClientsBy: Time{t.SoakEnds},
			Completion: Time{t.Completed},
			Verified:   Time{t.Verified}, ClosedAs: t.Closed, Phase: t.Phase, Reason: t.Reason,
			Message: t.Message.String(),
		})
	}
	return out
}

func daysOf(days []sim.Day) []Day {
	out := []Day{}
	for _, d := range days {
		out = append(out, Day{d.Date.Format(time.DateOnly), d.InFlight, d.Starts, d.Completing})
	}
	return out
}

func sumOf(f sim.Forecast) Sum {
	n, last := f.Rotated()
	return Sum{n, Time{last}, f.Peak, f.MostSlots, len(f.Left), f.Late, f.Overdue}
}

// NotRotated are the clusters that are due and not even in flight at the end.
func NotRotated(f sim.Forecast) []sim.Left {
	return slices.DeleteFunc(slices.Clone(f.Left), func(l sim.Left) bool { return l.Outcome == sim.InFlight })
}

// Blame names the setting, or what else it is, that keeps a cluster from being
// rotated in time.
func Blame(l sim.Left) string {
	why, message := l.Held.Reason, l.Held.Message
	if why == "" {
		why, message = l.Reason, l.Message
	}
	names := message.Settings()
	switch blame := why.Info().Blame; {
	case blame != "":
		return blame
	case why == reason.WindowClosed && len(names) == 0:
		return "its own maintenance window"
	}
	if len(names) > 0 {
		return strings.Join(names, ", ")
	}
	return string(why)
}
