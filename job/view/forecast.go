package view

import (
	"cmp"
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// Basis is what a forecast rests on.
type Basis struct {
	Fleet    string // the file that was played; "" is the real fleet
	NoStore  bool   // there was none, so holds, approvals and waves began empty
	Approved bool   // it was played as if people approved at once
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
	return Forecast{
		From: f.From.UTC(), To: f.To.UTC(), Every: fleet.Days(f.Every), Seed: f.Seed, Fleet: b.Fleet,
		Contents: !b.NoStore, Approved: b.Approved, Runs: f.Runs, LeftOut: f.Skipped, Policy: Policy{p},
		Peak: Peak{f.Peak, Time{f.PeakAt}, f.MostSlots, p.MaxActive}, Late: f.Late, Overdue: f.Overdue,
		Rotations: words.Each(f.Turns, turnOf), Left: words.Each(f.Left, leftOf),
		Clusters: words.Each(f.Clusters, foreseenOf), Days: words.Each(f.Days, dayOf),
		Unread: listed(f.Unread), Play: f,
	}
}

func leftOf(l sim.Left) Left {
	j := Left{
		Cluster: l.Cluster.String(), Wave: l.Wave, Outcome: l.Outcome, Phase: l.Phase, Due: Time{l.Due},
		Deadline: Time{l.Deadline}, Late: l.Late, Prevents: Blame(l), Reason: l.Reason, Message: l.Message.String(),
	}
	if l.Held.Gate != "" {
		held := waitOf(l.Held)
		j.Held = &held
	}
	return j
}

func foreseenOf(c sim.Chapter) Foreseen {
	return Foreseen{c.Cluster.String(), c.Outcome, c.Reason, c.Message.String(), words.Each(c.Waited, waitOf)}
}

// Against puts another policy beside the first.
func (f Forecast) Against(c sim.Comparison, other *rules.Policy) Forecast {
	out := &Comparison{
		File: c.File, Before: sumOf(c.Before), After: sumOf(c.After), Policy: Policy{other},
		Settings: words.Each(c.Settings, func(s sim.SettingChange) SettingChange { return SettingChange(s) }),
		Clusters: words.Each(c.Shifts(), shiftOf), Days: words.Each(c.After.Days, dayOf),
		Rotated: words.Each(c.After.Turns, turnOf), Prevents: map[string][]string{}, Play: c,
	}
	for _, l := range c.After.Left {
		out.Prevents[Blame(l)] = append(out.Prevents[Blame(l)], l.Cluster.String())
	}
	f.Compare = out
	return f
}

func shiftOf(s sim.Shift) Shift {
	return Shift{
		s.Cluster.String(), Change[Time]{Time{s.StartBefore}, Time{s.StartAfter}},
		Change[Time]{Time{s.CompletedBefore}, Time{s.CompletedAfter}},
		Change[sim.Outcome]{s.OutcomeBefore, s.OutcomeAfter}, Change[bool]{s.MissBefore, s.Miss},
	}
}

func turnOf(t sim.Turn) Turn {
	return Turn{
		Cluster: t.Cluster.String(), Wave: t.Wave, Attempt: t.No, OldCA: caOf(t.OldCA), InFlight: t.Before,
		Watched: t.Watched, Emergency: t.Emergency, Compromised: t.Compromised, Due: Time{t.Due},
		Deadline: Time{t.Deadline}, Late: t.Late(), Start: Time{t.Start}, HandedOver: Time{t.HandedOver},
		NodesDone: Time{t.NodesDone}, ClientsBy: Time{t.SoakEnds}, Completion: Time{t.Completed},
		Verified: Time{t.Verified}, ClosedAs: t.Closed, Phase: t.Phase, Reason: t.Reason,
		Message: t.Message.String(),
	}
}

func dayOf(d sim.Day) Day {
	return Day{d.Date.Format(time.DateOnly), d.InFlight, d.Starts, d.Completing}
}

func sumOf(f sim.Forecast) Sum {
	n, last := f.Rotated()
	return Sum{n, Time{last}, f.Peak, f.MostSlots, len(f.Left), f.Late, f.Overdue}
}

// NotRotated are the clusters that are due and not even in flight at the end.
func NotRotated(f sim.Forecast) []sim.Left {
	return only(f.Left, func(l sim.Left) bool { return l.Outcome != sim.InFlight })
}

// Blame names the setting, or what else it is, that keeps a cluster from being
// rotated in time.
func Blame(l sim.Left) string {
	why, message := l.Held.Reason, l.Held.Message
	if why == "" {
		why, message = l.Reason, l.Message
	}
	names := message.Settings()
	blame, own := why.Info().Blame, ""
	if why == reason.WindowClosed {
		own = "its own maintenance window" // where the message names no setting
	}
	return cmp.Or(blame, strings.Join(names, ", "), own, string(why))
}
