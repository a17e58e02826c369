package show

import (
	"io"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/policy"
)

type forecastJSON struct {
	From      time.Time          `json:"from"`
	To        time.Time          `json:"to"`
	Every     string             `json:"every"`
	Seed      int64              `json:"seed"`
	Fleet     string             `json:"fleet,omitempty"` // the file; absent: the real one
	Book      bool               `json:"book"`            // it goes on from a book
	Approved  bool               `json:"approved"`        // as if people approved at once
	Runs      int                `json:"runs"`
	LeftOut   int                `json:"leftOut"` // runs of which nothing could come
	Policy    policyJSON         `json:"policy"`
	Peak      peakJSON           `json:"peak"`
	Late      int                `json:"late"`
	Overdue   int                `json:"overdue"`
	Rotations []turnJSON         `json:"rotations"`
	Left      []leftJSON         `json:"left"`
	Clusters  []foreseenJSON     `json:"clusters"`
	Days      []forecastDayJSON  `json:"days"`
	Unread    []policy.Unread    `json:"unread"`
	Compare   *forecastShiftJSON `json:"compare,omitempty"`
}

type peakJSON struct {
	InFlight int        `json:"inFlight"`
	At       *time.Time `json:"at"`
	Slots    int        `json:"slots"`
	Of       int        `json:"of"` // MAX_ACTIVE
}

type turnJSON struct {
	Cluster    string     `json:"cluster"`
	Wave       string     `json:"wave"`
	Attempt    int        `json:"attempt"`
	OldCA      *caJSON    `json:"oldCA"`
	InFlight   bool       `json:"inFlight"` // when the forecast began
	Watched    bool       `json:"watched"`
	Emergency  bool       `json:"emergency"`
	Urgent     bool       `json:"urgent"`
	Due        *time.Time `json:"due"`
	Deadline   *time.Time `json:"deadline"`
	Late       bool       `json:"late"`
	Start      *time.Time `json:"start"`
	HandedOver *time.Time `json:"handedOver"`
	NodesDone  *time.Time `json:"nodesDone"`
	ClientsBy  *time.Time `json:"clientsBy"` // the soak ends
	Completion *time.Time `json:"completion"`
	Verified   *time.Time `json:"verified"`
	ClosedAs   string     `json:"closedAs"`
	Phase      string     `json:"phase"` // at the end; "" when it is closed
	Reason     string     `json:"reason"`
	Message    string     `json:"message"`
}

type leftJSON struct {
	Cluster  string     `json:"cluster"`
	Wave     string     `json:"wave"`
	Outcome  string     `json:"outcome"`
	Phase    string     `json:"phase"`
	Due      *time.Time `json:"due"`
	Deadline *time.Time `json:"deadline"`
	Late     bool       `json:"late"`
	Prevents string     `json:"prevents"` // the setting, or what else it is
	Held     *waitJSON  `json:"held"`
	Reason   string     `json:"reason"`
	Message  string     `json:"message"`
}

type foreseenJSON struct {
	Cluster string     `json:"cluster"`
	Outcome string     `json:"outcome"`
	Reason  string     `json:"reason"`
	Message string     `json:"message"`
	Waited  []waitJSON `json:"waited"`
}

type forecastDayJSON struct {
	Date        string `json:"date"`
	InFlight    int    `json:"inFlight"` // the most at one time
	Starts      int    `json:"starts"`
	Completions int    `json:"completions"`
}

type forecastShiftJSON struct {
	File     string              `json:"file"`
	Settings []settingShiftJSON  `json:"settings"`
	Before   forecastSumJSON     `json:"before"`
	After    forecastSumJSON     `json:"after"`
	Clusters []clusterShiftJSON  `json:"clusters"`
	Policy   policyJSON          `json:"policy"` // the other one
	Days     []forecastDayJSON   `json:"days"`   // under the other one
	Rotated  []turnJSON          `json:"rotations"`
	Prevents map[string][]string `json:"prevents"` // what still does not fit, by setting
}

type settingShiftJSON struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

type forecastSumJSON struct {
	Rotated  int        `json:"rotated"`
	Last     *time.Time `json:"last"` // the last of them is verified
	InFlight int        `json:"inFlight"`
	Slots    int        `json:"slots"`
	Left     int        `json:"left"`
	Late     int        `json:"late"`
	Overdue  int        `json:"overdue"`
}

type clusterShiftJSON struct {
	Cluster    string        `json:"cluster"`
	Start      momentsJSON   `json:"start"`
	Completion momentsJSON   `json:"completion"`
	Outcome    beforeAndJSON `json:"outcome"`
	Late       struct {
		Before bool `json:"before"`
		After  bool `json:"after"`
	} `json:"late"`
}

type momentsJSON struct {
	Before *time.Time `json:"before"`
	After  *time.Time `json:"after"`
}

type beforeAndJSON struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

// moment is a time for programs; null when it does not come.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// ForecastJSON writes a forecast for programs: one object, times in UTC,
// rotations by their start, clusters by their names. c is nil without a
// comparison; else its other policy stands under "compare". The error is the
// writer's.
func ForecastJSON(w io.Writer, f sim.Forecast, p *policy.Policy, c *sim.Comparison, other *policy.Policy, o ForecastOptions) error {
	out := forecastJSON{
		From: f.From.UTC(), To: f.To.UTC(), Every: policy.Days(f.Every), Seed: f.Seed, Fleet: o.Fleet, Book: !o.NoBook, Approved: o.Approved,
		Runs: f.Runs, LeftOut: f.Skipped, Policy: policyOf(p), Peak: peakJSON{f.Peak, moment(f.PeakAt), f.MostSlots, p.MaxActive},
		Late: f.Late, Overdue: f.Overdue, Rotations: turnsJSON(f.Turns), Left: []leftJSON{}, Clusters: []foreseenJSON{}, Days: daysJSON(f.Days), Unread: f.Unread,
	}
	if out.Unread == nil {
		out.Unread = []policy.Unread{}
	}
	for _, l := range f.Left {
		j := leftJSON{
			Cluster: l.Cluster.String(), Wave: l.Wave, Outcome: string(l.Outcome), Phase: string(l.Phase), Due: moment(l.Due), Deadline: moment(l.Deadline),
			Late: l.Late, Prevents: Blame(l), Reason: string(l.Reason), Message: l.Message.String(),
		}
		if l.Held.Gate != "" {
			j.Held = &waitJSON{l.Held.Gate, string(l.Held.Reason), l.Held.Time.Hours()}
		}
		out.Left = append(out.Left, j)
	}
	for _, chapter := range f.Clusters {
		j := foreseenJSON{Cluster: chapter.Cluster.String(), Outcome: string(chapter.Outcome), Reason: string(chapter.Reason), Message: chapter.Message.String(), Waited: []waitJSON{}}
		for _, w := range chapter.Waited {
			j.Waited = append(j.Waited, waitJSON{w.Gate, string(w.Reason), w.Time.Hours()})
		}
		out.Clusters = append(out.Clusters, j)
	}
	if c != nil {
		out.Compare = compareJSON(*c, other)
	}
	return writeJSON(w, out)
}

func turnsJSON(turns []sim.Turn) []turnJSON {
	out := []turnJSON{}
	for _, t := range turns {
		out = append(out, turnJSON{
			Cluster: t.Cluster.String(), Wave: t.Wave, Attempt: t.No, OldCA: caOf(t.OldCA), InFlight: t.Before, Watched: t.Watched, Emergency: t.Emergency, Urgent: t.Urgent,
			Due: moment(t.Due), Deadline: moment(t.Deadline), Late: t.Late(), Start: moment(t.Start), HandedOver: moment(t.HandedOver), NodesDone: moment(t.NodesDone),
			ClientsBy: moment(t.SoakEnds), Completion: moment(t.Completed), Verified: moment(t.Verified), ClosedAs: string(t.Closed), Phase: string(t.Phase),
			Reason: string(t.Reason), Message: t.Message.String(),
		})
	}
	return out
}

func daysJSON(days []sim.Day) []forecastDayJSON {
	out := []forecastDayJSON{}
	for _, d := range days {
		out = append(out, forecastDayJSON{d.Date.Format(time.DateOnly), d.InFlight, d.Starts, d.Completing})
	}
	return out
}

func sumJSON(f sim.Forecast) forecastSumJSON {
	n, last := f.Rotated()
	return forecastSumJSON{n, moment(last), f.Peak, f.MostSlots, len(f.Left), f.Late, f.Overdue}
}

func compareJSON(c sim.Comparison, other *policy.Policy) *forecastShiftJSON {
	out := &forecastShiftJSON{
		File: c.File, Settings: []settingShiftJSON{}, Before: sumJSON(c.Before), After: sumJSON(c.After), Clusters: []clusterShiftJSON{},
		Policy: policyOf(other), Days: daysJSON(c.After.Days), Rotated: turnsJSON(c.After.Turns), Prevents: map[string][]string{},
	}
	for _, s := range c.Settings {
		out.Settings = append(out.Settings, settingShiftJSON(s))
	}
	for _, l := range c.After.Left {
		out.Prevents[Blame(l)] = append(out.Prevents[Blame(l)], l.Cluster.String())
	}
	for _, s := range c.Shifts() {
		j := clusterShiftJSON{
			Cluster: s.Cluster.String(), Start: momentsJSON{moment(s.StartBefore), moment(s.StartAfter)},
			Completion: momentsJSON{moment(s.CompletedBefore), moment(s.CompletedAfter)}, Outcome: beforeAndJSON{string(s.OutcomeBefore), string(s.OutcomeAfter)},
		}
		j.Late.Before, j.Late.After = s.MissBefore, s.Miss
		out.Clusters = append(out.Clusters, j)
	}
	return out
}
