package notice

import (
	"slices"
	"strconv"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
	"gke-credential-rotator/policy/window"
)

// Input is one run's question what to announce.
type Input struct {
	Policy    *rules.Policy
	Fleet     policy.Fleet // with the fleet document as it is now
	Decisions []policy.Decision
	Ahead     time.Duration // how long before a start or completion; 0: never
	Acts      bool          // the run may act: see [record.KindOfNotice.Acting]
	Run       string
	Now       time.Time
}

// Standing gives what people are told beside what rotations tell, and what is to be
// stored with it: each thing once for as long as it stands.
func Standing(m record.Standing, a Input) (record.Standing, []record.Notice) {
	s := maker{Input: a, before: m, told: map[string][]string{}, seen: map[string]bool{}}
	s.queue()
	if _, open := policy.Breaker(a.Fleet.Contents.Fleet, a.Policy); open {
		s.stands("", "", s.notice(record.NoticeBreakerOpen, fleet.Ref{}, reason.BreakerOpen,
			fact.Sayf("no new ones start: %v", policy.FailedText(a.Fleet.Contents.Fleet, a.Policy))))
	}
	for _, d := range a.Decisions {
		s.seen[d.Cluster.Ref.String()] = true
		s.decision(d)
	}
	for name, told := range m.Sent {
		if ref, err := fleet.ParseRef(name); err == nil && !s.seen[name] && a.Fleet.UnreadAt(ref) != "" {
			s.told[name] = told // nobody knows
		}
	}
	return record.Standing{Sent: s.told, Version: m.Version}, s.out
}

type maker struct {
	Input
	before record.Standing
	told   map[string][]string // what stands now, as far as it was announced
	seen   map[string]bool
	next   map[fleet.Ref]bool // those that get the next free slots
	out    []record.Notice
}

func (s *maker) notice(kind record.NoticeKind, ref fleet.Ref, reason reason.Code,
	message fact.Text) record.Notice {
	return notice(kind, ref, reason, message, s.Run, s.Now, s.before.Version, s.Fleet.Contents.Fleet.Version)
}

// wasSent says whether this was announced and stood at the last look.
func (s *maker) wasSent(name string, kind record.NoticeKind, occasion string) bool {
	return slices.Contains(s.before.Sent[name], string(kind)+"/"+occasion)
}

// stands notes that something stands, and announces it if it is new and there
// is room to remember it.
func (s *maker) stands(name, occasion string, n record.Notice) {
	if n.Kind.About().Acting && !s.Acts {
		return
	}
	if !s.wasSent(name, n.Kind, occasion) {
		_, known := s.before.Sent[name]
		if _, now := s.told[name]; len(s.out) >= record.MaxStandingARun ||
			(!known && !now && max(len(s.told), len(s.before.Sent)) >= record.MaxStanding) {
			return
		}
		n.Seq = int64(len(s.out))
		s.out = append(s.out, n)
	}
	s.told[name] = append(s.told[name], string(n.Kind)+"/"+occasion)
}

// keep keeps what stood at the last look: nobody knows better.
func (s *maker) keep(name string) {
	if told, ok := s.before.Sent[name]; ok {
		s.told[name] = told
	}
}

// queue finds those that wait for nothing but a slot and get the next ones.
func (s *maker) queue() {
	waiting := policy.ActingOrder(s.Decisions, func(d *policy.Decision) bool {
		return d.Phase == "" && d.Action == policy.Wait && d.Reason.Info().Queued
	})
	s.next = map[fleet.Ref]bool{}
	for _, d := range waiting[:min(len(waiting), s.Policy.MaxActive)] {
		s.next[d.Cluster.Ref] = true
	}
}

// decision announces what stands for one cluster.
func (s *maker) decision(d policy.Decision) {
	name := d.Cluster.Ref.String()
	if d.Reason.Info().Unclear || (d.Reason == reason.StatusNotRunning && d.Action == policy.Wait) {
		s.keep(name)
		return
	}
	if d.Phase == "" {
		s.idle(name, d)
		return
	}
	stored, ok := s.Fleet.Contents.Rotations[d.Cluster.Ref]
	switch {
	case !ok || d.Rotation == nil || stored.AttemptID != d.Rotation.AttemptID || d.Close != "":
	case stored.Phase != d.Phase: // it moves just now, and the write that moves it tells
		s.keep(name)
	default:
		s.flight(name, d)
	}
}

func (s *maker) idle(name string, d policy.Decision) {
	ca := short(string(d.Cluster.Bundle.Oldest().Fingerprint))
	switch {
	case d.Action == policy.NeedsAction && d.Reason == reason.ApprovalNeeded:
		s.stands(name, ca, s.notice(record.NoticeApprovalNeeded, d.Cluster.Ref, d.Reason, d.Message))
	case d.Action == policy.NeedsAction && (d.Reason == reason.TriesExhausted || !d.Reason.Info().ToldElsewhere):
		s.stands(name, string(d.Reason), s.notice(record.NoticeBlocked, d.Cluster.Ref, d.Reason, d.Message))
	}
	if s.Ahead <= 0 || !s.Acts || d.Emergency || d.Compromised {
		return
	}
	if s.wasSent(name, record.NoticeStartsSoon, ca) {
		s.stands(name, ca, record.Notice{Kind: record.NoticeStartsSoon}) // once for each CA, whatever delays it now
		return
	}
	if at, why := s.startsAt(d); !at.IsZero() && !at.After(s.Now.Add(s.Ahead)) {
		n := s.notice(record.NoticeStartsSoon, d.Cluster.Ref, reason.IsDue,
			fact.Sayf("the rotation starts about %v%v; %s", at, why, d.Due.Why))
		n.Expected = at
		s.stands(name, ca, n)
	}
}

// startsAt is when the cluster's rotation starts, as far as calendars and the
// order of starts tell; zero: nobody can say.
func (s *maker) startsAt(d policy.Decision) (at time.Time, why fact.Text) {
	at, gates := s.Now, d.Gates
	switch {
	case d.Action == policy.Wait && d.Due.Is:
	case d.Action == policy.None && d.Reason == reason.NotDue && d.Due.At.After(s.Now) &&
		!d.Due.At.After(s.Now.Add(s.Ahead)):
		at = d.Due.At
	default:
		return time.Time{}, nil
	}
	k := policy.NewCase(s.Policy, d.Cluster, nil, &s.Fleet.Contents.Fleet, s.Run, at)
	if !d.Due.Is {
		gates = k.Ask(policy.StartGates, func(g policy.Gate) bool { return !g.Fresh }) // as they will be on the day
	}
	for _, v := range gates {
		switch {
		case v.Open || v.Lifted:
		case v.Gate == policy.GateSlot && s.next[d.Cluster.Ref]:
			why = fact.Sayf(", as soon as a slot is free: %v", v.Message)
		case v.OpensAt.IsZero():
			return time.Time{}, nil
		default:
			at = window.Later(at, v.OpensAt)
		}
	}
	if at.After(s.Now) {
		at = k.NextRun(at)
	}
	opens, _ := k.NextOpening(at)
	if opens.IsZero() {
		return opens, nil
	}
	return window.Later(at, opens), why
}

func (s *maker) flight(name string, d policy.Decision) {
	r := d.Rotation
	entry := short(r.AttemptID) + "." + strconv.Itoa(r.Entries)
	i := slices.IndexFunc(d.Gates, func(v policy.Verdict) bool {
		return v.Reason == reason.ApprovalNeeded && !v.Open && !v.Lifted
	})
	asked := i >= 0
	switch {
	case asked && r.Managed:
		n := s.notice(record.NoticeApprovalNeeded, r.Cluster, reason.ApprovalNeeded, d.Gates[i].Message)
		n.Phase = r.Phase
		s.stands(name, entry, n)
	case d.Action == policy.NeedsAction && !d.Reason.Info().ToldElsewhere:
		n := s.notice(record.NoticeBlocked, r.Cluster, d.Reason, d.Message)
		n.Phase = r.Phase
		s.stands(name, string(d.Reason), n)
	}
	if s.wasSent(name, record.NoticeCompletesSoon, entry) {
		s.stands(name, entry, record.Notice{Kind: record.NoticeCompletesSoon})
		return
	}
	goesOn := d.Action == policy.Wait || d.Reason == reason.HandOverWaits // by itself
	if s.Ahead <= 0 || !s.Acts || r.Phase != record.UpdatingClients || !goesOn || asked {
		return
	}
	h, ok := HandOverOf(s.Policy, d, s.Now, record.AtCompletion)
	if !ok || h.Watched || h.Completes.IsZero() || h.Completes.After(s.Now.Add(s.Ahead)) {
		return
	}
	n := s.notice(record.NoticeCompletesSoon, r.Cluster, d.Reason,
		fact.Sayf("the old credentials end not before %v", h.Completes))
	n.Phase, n.Expected, n.HandOver = r.Phase, h.Completes, &h
	s.stands(name, entry, n)
}

// short is enough of an id to tell it from others.
func short(id string) string { return id[:min(len(id), 8)] }
