package view

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/notice"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// Status is what the store holds.
type Status struct {
	Now       time.Time              `json:"now"`
	Env       string                 `json:"env"`
	Known     bool                   `json:"storeKnown"`
	LastRun   *record.RunNote        `json:"lastRun"`
	Lease     *pass.Holder           `json:"lease"` // the run at work; null: none
	Slots     map[string]record.Slot `json:"slots"`
	InFlight  []Flight               `json:"inFlight"` // in the order of their names
	Holds     []Hold                 `json:"holds"`
	Approvals []record.Approval      `json:"approvals"`
	Requests  []record.Request       `json:"requests"`
	Failures  []record.Failure       `json:"failures"`
	Blocked   map[string]reason.Code `json:"blocked"`
	Waves     map[string]time.Time   `json:"waves"`
	OpenWaves map[string]record.Said `json:"openWaves"` // opened by people, until they are done

	Policy   Policy          `json:"-"`
	Contents record.Contents `json:"-"`
}

// Flight is a rotation in flight, by its record.
type Flight struct {
	Cluster        string               `json:"cluster"`
	Phase          record.Phase         `json:"phase"`
	Since          Time                 `json:"since"`
	AttemptID      string               `json:"attemptId"`
	Attempt        int                  `json:"attempt"`
	Origin         record.Origin        `json:"origin"`
	Managed        bool                 `json:"managed"`
	Reason         reason.Code          `json:"reason"`
	Failed         string               `json:"failed"`
	Stuck          bool                 `json:"stuck"`
	Emergency      bool                 `json:"emergency"`
	Wave           string               `json:"wave"`
	OldCA          *fleet.CA            `json:"oldCA"`
	NewCA          *fleet.CA            `json:"newCA"`
	HandedOverAt   Time                 `json:"handedOverAt"`
	GKECompletesAt Time                 `json:"gkeCompletesAt"` // by itself, from then on
	Entered        map[string]time.Time `json:"entered"`

	Rotation record.Rotation `json:"-"`
	// Needs is why it waits for people; "" when it does not.
	Needs reason.Code `json:"-"`
}

// Hold is a person's stop.
type Hold struct {
	ID     string    `json:"id"`
	Target string    `json:"target"` // as it is typed: all, a project, a name, a selector, P/L/C
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Until  Time      `json:"until"`
}

// Idle is an idle cluster that waits for people, by what the store holds.
type Idle struct {
	Ref     fleet.Ref // zero: only its name is on record
	Cluster string
	Why     reason.Code
	Detail  fact.Text // nil when the reason says it all
	Since   time.Time // zero: not known
}

// Story is all that is known of one cluster.
type Story struct {
	Now      time.Time         `json:"now"`
	Cluster  string            `json:"cluster"`
	Decision *Cluster          `json:"decision"` // null when GKE was not asked
	InFlight *Flight           `json:"inFlight"`
	Rotation *record.Rotation  `json:"rotation"` // the record as it is stored
	Holds    []Hold            `json:"holds"`
	Approved []record.Approval `json:"approvals"`
	Requests []record.Request  `json:"requests"`
	History  []record.Record   `json:"history"` // newest first

	Ref      fleet.Ref       `json:"-"`
	Policy   *rules.Policy   `json:"-"`
	Contents record.Contents `json:"-"`
}

// StatusOf is the status by the store; holder is the run at work, or nil.
func StatusOf(contents record.Contents, holder *pass.Holder, now time.Time, p *rules.Policy) Status {
	doc := contents.Fleet
	s := Status{
		Now: now.UTC(), Env: cmp.Or(doc.Env, p.Env), Known: contents.Known, Lease: holder,
		Slots: filled(doc.Slots), InFlight: []Flight{}, Holds: holdsOf(doc, fleet.Cluster{}),
		Approvals: listed(doc.Approvals), Requests: listed(doc.Requests), Failures: listed(doc.Failures),
		Blocked: filled(doc.Blocked), Waves: map[string]time.Time{},
		OpenWaves: filled(doc.OpenWaves), Policy: Policy{p}, Contents: contents,
	}
	if !doc.LastRun.At.IsZero() {
		s.LastRun = &doc.LastRun
	}
	for wave, notes := range doc.Waves {
		s.Waves[wave] = notes.Last()
	}
	for _, r := range contents.Rotations {
		s.InFlight = append(s.InFlight, flightOf(r))
	}
	slices.SortFunc(s.InFlight, func(a, b Flight) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return s
}

// StoryOf is one cluster's story; d is nil when GKE was not asked.
func StoryOf(
	contents record.Contents, history []record.Record, d *policy.Decision, ref fleet.Ref, now time.Time,
	p *rules.Policy,
) Story {
	s := Story{
		Now: now.UTC(), Cluster: ref.String(), Holds: holdsOf(contents.Fleet, fleet.Cluster{Ref: ref}),
		Approved: only(contents.Fleet.Approvals, func(a record.Approval) bool { return a.Cluster == ref }),
		Requests: only(contents.Fleet.Requests, func(q record.Request) bool { return q.Cluster == ref }),
		History:  listed(history), Ref: ref, Policy: p, Contents: contents,
	}
	if d != nil {
		c := clusterOf(*d, contents, now)
		s.Decision, s.Holds = &c, holdsOf(contents.Fleet, d.Cluster)
	}
	if r, ok := contents.Rotations[ref]; ok {
		f := flightOf(r)
		s.InFlight, s.Rotation = &f, &r
	}
	return s
}

func flightOf(r record.Rotation) Flight {
	f := Flight{
		Cluster: r.Cluster.String(), Phase: r.Phase, Since: Time{r.Entered(r.Phase)}, AttemptID: r.AttemptID,
		Attempt: r.AttemptNo, Origin: r.Origin, Managed: r.Managed, Reason: r.Reason, Failed: r.Failed,
		Stuck: r.Stuck, Emergency: r.Emergency, Wave: r.Wave, OldCA: caOf(r.Baseline.CA), NewCA: caOf(r.New),
		HandedOverAt: Time{r.HandedOverAt}, GKECompletesAt: Time{GKECompletes(r)},
		Entered: map[string]time.Time{}, Rotation: r, Needs: trouble(&r, r.OftenWithdrawn()),
	}
	if !r.BlockedSince.IsZero() {
		f.Needs = cmp.Or(f.Needs, r.Reason)
	}
	for _, tr := range r.Transitions {
		f.Entered[string(tr.Phase)] = tr.At.UTC()
	}
	return f
}

// holdsOf gives the holds that are on the cluster; all of them for none.
func holdsOf(doc record.FleetDoc, c fleet.Cluster) []Hold {
	out := []Hold{}
	for _, h := range doc.Holds {
		if c.Ref.IsZero() || h.Covers(c) {
			out = append(out, Hold{h.ID, h.Typed(), h.By, h.Reason, h.At.UTC(), Time{h.Until}})
		}
	}
	return out
}

// ToRelease is what ends a hold.
func ToRelease(id string) string {
	return "`rotator release --id " + words.Quote(id) + " --by NAME --reason WHY`"
}

// ToOpen is what lets a wave go that waits for earlier ones.
func ToOpen(wave string) string {
	return "`rotator release --wave " + words.Quote(wave) + " --by NAME --reason WHY`"
}

// Ahead is when the completion of a rotation can come at the soonest.
type Ahead struct {
	Known bool // else nobody can tell yet
	// Asked: the gates of the completion were asked, and Gates are those that bind.
	Asked bool
	Gates []string
	// Calendar says in which the completion happens, where no gate was asked.
	Calendar string
	From     time.Time // zero: no time is known
}

// CompletionAhead is that of the rotation in flight: by the gates where they were
// asked, else by soak and calendars, which an emergency shortens.
func (s Story) CompletionAhead() Ahead {
	p, r, c := s.Policy, s.InFlight.Rotation, Cluster{}
	if s.Decision != nil {
		c = *s.Decision
	}
	d := c.Decision
	if r.Phase == record.UpdatingClients && len(d.Gates) > 0 {
		return Ahead{Known: true, Asked: true, From: c.Opens(), Gates: gateNames(Closed(d.Gates))}
	}
	if r.HandedOverAt.IsZero() || r.Emergency || r.Compromised || d.Emergency || d.Compromised {
		return Ahead{}
	}
	at, own := notice.CompletionAhead(p, d.Cluster, r, s.Now)
	a := Ahead{Known: true, Calendar: "COMPLETE_WINDOW=" + p.CompleteWindow.String(), From: at}
	if own {
		a.Calendar = "the cluster's own window where it is zonal"
	}
	return a
}

// Standing says whether what somebody said until then still stands; zero is
// without end.
func Standing(until, now time.Time) bool { return until.IsZero() || now.Before(until) }

// Oldest are the rotations in flight, the oldest first.
func (s Status) Oldest() []Flight {
	return slices.SortedFunc(slices.Values(s.InFlight), func(a, b Flight) int {
		x, y := a.Rotation, b.Rotation
		return cmp.Or(x.StartedAt().Compare(y.StartedAt()), x.Cluster.Compare(y.Cluster))
	})
}

// HasClients says that clients of the cluster have something to do.
func (f Flight) HasClients() bool { return !f.HandedOverAt.IsZero() && f.Phase != record.Verifying }

// Failed are failures that nobody has acknowledged, of attempts that are closed:
// those in flight stand for themselves.
func Failed(contents record.Contents) []Idle {
	var out []Idle
	for _, f := range contents.Fleet.Failures {
		if r, ok := contents.Rotations[f.Cluster]; !ok || r.AttemptID != f.Attempt {
			out = append(out, Idle{Ref: f.Cluster, Cluster: f.Cluster.String(), Why: f.What, Since: f.At})
		}
	}
	return out
}

// Blocked are the idle clusters that wait for people, as the last run left them:
// those whose starts are taken back again and again, and those due and blocked.
func Blocked(doc record.FleetDoc) []Idle {
	var out []Idle
	for _, name := range slices.Sorted(maps.Keys(doc.Tries)) {
		if often := doc.Tries[name].OftenWithdrawn(); len(often) > 0 {
			out = append(out, Idle{Cluster: name, Why: reason.CallWithdrawn, Detail: often})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Blocked)) {
		// What waits for others is said once, by them; a label beside what people said.
		if why := doc.Blocked[name]; why.Info().Standing == reason.ByAction {
			out = append(out, Idle{Cluster: name, Why: why})
		}
	}
	return out
}

// BreakerOpen is how many failures have opened the breaker; 0: it is closed.
func BreakerOpen(doc record.FleetDoc, maxFailed int) int {
	if n := len(doc.Failures); n >= maxFailed {
		return n
	}
	return 0
}

// Whose says who started a rotation that is not ours to manage, or who closed its
// record; "" of our own.
func Whose(r record.Rotation) string {
	switch {
	case r.ClosedBy != nil:
		return "record closed by " + words.Harmless(record.Who(*r.ClosedBy)) + ", watched"
	case r.Origin != record.Foreign:
		return ""
	case r.Managed:
		return "started by somebody else, managed by us"
	}
	return "started by somebody else, watched"
}
