package pass

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/capacity"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/insight"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// The attributes of a log line. deploy/ filters on these names.
const (
	attrEvent    = "event"
	attrEnv      = "env"
	attrRun      = "run"
	attrMode     = "mode"
	attrCluster  = "cluster" // P/L/C, as every command takes it back
	attrProject  = "project"
	attrLocation = "location"
	attrPhase    = "phase"
	attrReason   = "reason"
	attrDays     = "days_to_expiry" // of the oldest CA, whole days, rounded down
	attrPhaseAge = "phase_age_hours"
	attrError    = "error"
	// attrMismatches: where certificate, status and insight contradict each other.
	attrMismatches = "mismatches"
)

// The events of a run; those of a cluster stand beside [policy.Event].
const (
	EventRunStarted        = "run_started"
	EventRunFinished       = "run_finished"
	EventClusterEvaluated  = "cluster_evaluated"
	EventBreakerOpen       = "breaker_open"
	EventCapacityShort     = "capacity_short"
	EventProjectUnreadable = "project_unreadable"
	EventLeaseBusy         = "lease_busy"
	// EventCommandFailed: what ends a command, or what it could not do; not of this package.
	EventCommandFailed = "command_failed"
	// This machine's clock and GKE's are too far apart, or could not be compared.
	EventClockApart   = "clock_apart"
	EventClockUnknown = "clock_unknown"
	// EventCallWithdrawn: a call was taken back before it was sent.
	EventCallWithdrawn = "call_withdrawn"
	// Of notices: some wait for their receiver, some were given up.
	EventNotificationsWait    = "notifications_wait"
	EventNotificationsDropped = "notifications_dropped"
)

// severity is how loud an event is; the others are information.
var severity = map[string]slog.Level{
	policy.EventCompletedExternally: slog.LevelError,
	policy.EventRotationStuck:       slog.LevelError,
	policy.EventBlocked:             slog.LevelError,
	policy.EventActionFailed:        slog.LevelError,
	EventBreakerOpen:                slog.LevelError,
	policy.EventCAExpiring:          slog.LevelWarn,
	policy.EventForeignRotation:     slog.LevelWarn,
	policy.EventApprovalNeeded:      slog.LevelWarn,
	EventProjectUnreadable:          slog.LevelWarn,
	EventCapacityShort:              slog.LevelWarn,
	EventCallWithdrawn:              slog.LevelWarn,
	EventClockApart:                 slog.LevelError,
	EventNotificationsWait:          slog.LevelWarn,
	EventNotificationsDropped:       slog.LevelError,
}

// runLog writes what a run has to say. What a decision announces is told only when it is stored.
type runLog struct {
	log    *slog.Logger
	policy *rules.Policy
	now    func() time.Time
	on     bool // somebody listens
}

func newRunLog(w World, o Options) *runLog {
	return &runLog{
		log:    w.Log.With(attrEnv, o.Policy.Env, attrMode, o.Mode, attrRun, o.Run),
		policy: o.Policy, now: w.Now, on: w.Log.Enabled(context.Background(), slog.LevelError),
	}
}

func (t *runLog) line(event, message string, attrs ...slog.Attr) {
	t.lineAt(severity[event], event, message, attrs...)
}

func (t *runLog) lineAt(level slog.Level, event, message string, attrs ...slog.Attr) {
	if t.on {
		t.log.LogAttrs(context.Background(), level, message,
			append([]slog.Attr{slog.String(attrEvent, event)}, attrs...)...)
	}
}

// cluster writes a line about one cluster.
func (t *runLog) cluster(event string, d policy.Decision, code reason.Code, message string,
	attrs ...slog.Attr) {
	if t.on {
		t.line(event, message, append(t.about(d, code), attrs...)...)
	}
}

// about says which cluster a line is about and how it stands.
func (t *runLog) about(d policy.Decision, reason reason.Code) []slog.Attr {
	ref := d.Cluster.Ref
	attrs := []slog.Attr{
		slog.String(attrCluster, ref.String()), slog.String(attrProject, ref.Project),
		slog.String(attrLocation, ref.Location),
		slog.String(attrPhase, string(d.Phase)), slog.String(attrReason, string(reason)),
	}
	expires := d.Cluster.Bundle.Oldest().Expires
	if r := d.Rotation; r != nil {
		if expires.IsZero() {
			expires = r.Baseline.CA.Expires // this run did not see the cluster
		}
		if at := r.Entered(r.Phase); !at.IsZero() {
			attrs = append(attrs, slog.Float64(attrPhaseAge, t.now().Sub(at).Round(time.Minute).Hours()))
		}
	}
	if !expires.IsZero() {
		const day = 24 * time.Hour
		attrs = append(attrs, slog.Int(attrDays, int(math.Floor(float64(expires.Sub(t.now()))/float64(day)))))
	}
	return attrs
}

// fleet tells what the run saw: what could not be read, every cluster that is
// due, in flight or needs action, and of idle ones what is new.
func (t *runLog) fleet(res Result) {
	if !t.on {
		return
	}
	for _, u := range append(slices.Clone(res.Fleet.Unread), res.blind...) {
		t.line(EventProjectUnreadable, u.Reason, slog.String(attrProject, u.Project),
			slog.String(attrLocation, u.Location), slog.String(attrReason, string(reason.NotReadable)))
	}
	doc := res.Fleet.Contents.Fleet
	newDay := !sameDay(doc.LastRun.At, res.At)
	for _, d := range res.Decisions {
		t.evaluated(d, res)
		for _, e := range d.Events {
			changed := d.Phase == "" && doc.Blocked[d.Cluster.Ref.String()] != e.Reason
			switch e.Name {
			case policy.EventBlocked: // told when it is new
			case policy.EventApprovalNeeded: // asked for at once, and repeated daily
				changed = d.Phase == "" && (changed || newDay)
			case policy.EventCAExpiring:
				changed = newDay
			default:
				changed = false
			}
			if changed {
				t.event(d, e)
			}
		}
	}
	if newDay {
		t.capacity(res)
	}
	t.waves(res, newDay)
}

// waves tells of each wave that people must open: after three days, and then once a day.
func (t *runLog) waves(res Result, newDay bool) {
	doc := res.Fleet.Contents.Fleet
	for _, wave := range slices.Sorted(maps.Keys(doc.ShutWaves)) {
		ripe := doc.ShutWaves[wave].Add(rules.WaveBlockedAfter)
		if res.At.Before(ripe) || !newDay && !doc.LastRun.At.Before(ripe) {
			continue
		}
		n, why := 0, policy.Verdict{}
		for _, d := range res.Decisions {
			if v, shut := d.ShutOut(); shut && d.Wave == wave && d.Phase == "" && d.Due.Is {
				n, why = n+1, v
			}
		}
		if n > 0 {
			t.line(policy.EventBlocked, fmt.Sprintf("wave %q (%d due) is shut since %s: %v",
				wave, n,
				fact.Stamp(doc.ShutWaves[wave]), why.Message),
				slog.String(attrReason, string(why.Reason)), slog.String("wave", wave), slog.Int("due", n))
		}
	}
}

// evaluated tells of a cluster that is due, in flight or needs action, or of
// which GKE says what its certificate does not.
func (t *runLog) evaluated(d policy.Decision, res Result) {
	idle := d.Phase == "" && d.Action != policy.NeedsAction
	if idle && d.Reason == reason.NotSelected {
		return
	}
	mismatches := insight.Mismatches(d.Cluster, res.Fleet.Contents, res.At)
	if idle && !d.Due.Is && len(mismatches) == 0 {
		return
	}
	attrs := []slog.Attr{slog.String("action", string(d.Action))}
	if len(mismatches) > 0 {
		attrs = append(attrs, slog.Any(attrMismatches, mismatches))
	}
	t.cluster(EventClusterEvaluated, d, d.Reason, d.Message.String(), attrs...)
}

// capacity tells once a day when the limits are too slow for what is due.
func (t *runLog) capacity(res Result) {
	for _, w := range capacity.Of(t.policy, res.Fleet, res.Decisions, res.At) {
		if w.Short() {
			t.line(EventCapacityShort,
				fmt.Sprintf("the limits are too slow for what is due: %s would start %s, later than is safe; %s",
					w.Late, w.LateAt.UTC().Format("Mon 2006-01-02 15:04"), w.Raise),
				slog.String(attrCluster, w.Late.String()), slog.String("wave", w.Wave), slog.Int("due", w.Due),
				slog.String("done_about", w.DoneAbout.UTC().Format(time.RFC3339)), slog.String("latest_safe", w.LatestSafe.UTC().Format(time.RFC3339)))
		}
	}
}

func sameDay(a, b time.Time) bool {
	return a.UTC().Format(time.DateOnly) == b.UTC().Format(time.DateOnly)
}

// decision tells the events of a stored decision. Those of idle clusters are stored by none: see fleet.
func (t *runLog) decision(d policy.Decision) {
	for _, e := range d.Events {
		if e.Name != policy.EventCAExpiring {
			t.event(d, e)
		}
	}
}

func (t *runLog) event(d policy.Decision, e policy.Event) {
	t.cluster(e.Name, d, e.Reason, e.Message.String())
}

// skipped tells why a decision was not carried out; the next run decides anew.
func (t *runLog) skipped(d policy.Decision, why string) {
	t.log.LogAttrs(context.Background(), slog.LevelInfo, "not done this run: "+why,
		append(t.about(d, d.Reason), slog.String("action", string(d.Action)))...)
}

// withdrawn tells why a call was taken back before it was sent.
func (t *runLog) withdrawn(sent policy.Decision, why string) {
	t.cluster(EventCallWithdrawn, sent, reason.CallWithdrawn,
		string(sent.Action)+" was taken back before it was sent: "+why, slog.String("action", string(sent.Action)))
}

// unstored writes an outcome that the store did not take, whole: what GKE answered, by call id, and the
// record as it should be. RUNBOOK says how to enter it.
func (t *runLog) unstored(sent, next policy.Decision, outcomes map[string]record.Outcome, err error) {
	record, _ := json.Marshal(next.Rotation) // plain values: it cannot fail
	answers, _ := json.Marshal(outcomes)
	t.cluster(policy.EventActionFailed, sent, reason.OutcomeUnstored,
		"an outcome could not be stored; the next runs settle it by what GKE shows, or somebody enters what this line holds",
		slog.String(attrError, err.Error()), slog.String("outcomes", string(answers)),
		slog.String("close", string(next.Close)), slog.String("rotation", string(record)))
}

// breaker tells that no new rotation starts: when that begins, and then once a day.
func (t *runLog) breaker(before, doc record.FleetDoc, now time.Time) {
	f, open := policy.Breaker(doc, t.policy)
	_, was := policy.Breaker(before, t.policy)
	if open && (!was || !sameDay(before.LastRun.At, now)) {
		t.line(EventBreakerOpen,
			fmt.Sprintf("no new ones start: %v", policy.FailedText(doc, t.policy)),
			slog.String(attrCluster, f.Cluster.String()), slog.String(attrProject, f.Cluster.Project),
			slog.String(attrLocation, f.Cluster.Location), slog.String(attrReason, string(f.What)))
	}
}

// tally counts what a run did, by calls that GKE accepted.
type tally struct {
	inFlight, people, verified, withdrawn int
	accepted                              map[policy.Action]int
}

func count(res Result) tally {
	n := tally{accepted: map[policy.Action]int{}}
	for _, d := range res.Decisions {
		if d.Phase != "" {
			n.inFlight++
		}
		if d.Action == policy.NeedsAction || len(d.OftenWithdrawn()) > 0 {
			n.people++
		}
	}
	for _, done := range res.Done {
		if done.Withdrawn {
			n.withdrawn++
		}
		if done.After.Close.Verified() && done.Skipped == "" {
			n.verified++
		}
		for _, o := range done.Outcomes {
			if o.State == record.Accepted {
				n.accepted[done.Action]++
			}
		}
	}
	return n
}

// summary is the run in one line, kept in the store for status.
func summary(res Result) string {
	n := count(res)
	s := fmt.Sprintf("%d in flight, %d started, %d pools recreated, %d completed, %d verified, %d need action, %d unread",
		n.inFlight, n.accepted[policy.Start], n.accepted[policy.Recreate], n.accepted[policy.Complete], n.verified,
		n.people, len(res.Fleet.Unread))
	if n.withdrawn > 0 {
		s += fmt.Sprintf(", %d withdrawn", n.withdrawn)
	}
	if res.Stopped != "" {
		s += "; stopped early: " + res.Stopped
	}
	return s
}

// finished counts the run, idle clusters by reason, and says why it could not be made.
func (t *runLog) finished(res Result, err error) {
	idle := map[reason.Code]int{}
	for _, d := range res.Decisions {
		if d.Phase == "" {
			idle[d.Reason]++
		}
	}
	n, what, failed := count(res), summary(res), ""
	if err != nil {
		what, failed = "the run failed: "+err.Error(), err.Error()
	}
	t.line(EventRunFinished, what, slog.String(attrError, failed), slog.Int("in_flight", n.inFlight),
		slog.Int("started", n.accepted[policy.Start]), slog.Int("recreated", n.accepted[policy.Recreate]),
		slog.Int("completed", n.accepted[policy.Complete]), slog.Int("verified", n.verified),
		slog.Int("need_action", n.people), slog.Int("withdrawn", n.withdrawn),
		slog.Int("unread", len(res.Fleet.Unread)), slog.Int("unstored", res.Unstored), slog.Any("idle", idle),
		slog.String("stopped", res.Stopped))
}
