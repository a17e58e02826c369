package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/reason"
)

// What people say to the job. Every function takes the fleet document as it
// was read and gives the one to store, with a sentence for the person who
// said it; or an error that says why it means nothing here and what to do.
// The document is not changed. Said.At is the present.

// Hold stops every mutating call of ours: for one cluster, or for all when ref
// is zero. until is when it ends by itself; zero: when released. A hold on
// the same cluster is replaced.
func (f FleetDoc) Hold(ref Ref, until time.Time, said Said) (FleetDoc, string, error) {
	if !until.IsZero() && !until.After(said.At) {
		return f, "", fmt.Errorf("the hold would end %s, which is over; name a later time with --until",
			fact.Stamp(until))
	}
	f = f.clone()
	f.Holds = slices.DeleteFunc(f.Holds, func(h Hold) bool { return h.Cluster == ref })
	if len(f.Holds) >= MaxSaid && !ref.IsZero() { // a stop of the whole fleet always has room
		return f, "", fmt.Errorf("%w; a stop of the whole fleet always has room: rotator hold all --by NAME", tooMany(len(f.Holds), "holds", "release some"))
	}
	f.Holds = append(f.Holds, Hold{Cluster: ref, Until: until, Said: said.short()})
	end := "until somebody releases it"
	if !until.IsZero() {
		end = "until " + fact.Stamp(until) + " UTC"
	}
	return f, fmt.Sprintf("%s held %s, by %s", isOrAre(ref), end, who(said)), nil
}

// BeyondHold says what a hold on the rotation cannot stop: a call that is
// already on its way, and GKE.
func BeyondHold(r Rotation, now time.Time) []string {
	var out []string
	if r.Unsettled(now) {
		out = append(out, fmt.Sprintf("its %s of %s is on its way or under way, and cannot be called back",
			r.Call.Kind, fact.Stamp(r.Call.IntentAt)))
	}
	for pool, c := range r.PoolCalls {
		if c.Sent() && !c.MaySettle(now) {
			out = append(out, fmt.Sprintf("the recreation of %s of %s is under way",
				some(named([]string{pool})), fact.Stamp(c.IntentAt)))
		}
	}
	slices.Sort(out)
	if r.Phase == RecreatingNodes || r.Phase == UpdatingClients {
		out = append(out, fmt.Sprintf("GKE recreates its nodes in the cluster's own window and completes it by itself from %s; only a NO_UPGRADES exclusion on the cluster delays that", fact.Stamp(r.StartedAt().Add(AutoCompleteAfter))))
	}
	return out
}

// Release ends the hold on one cluster, or the one on all when ref is zero.
func (f FleetDoc) Release(ref Ref, said Said) (FleetDoc, string, error) {
	in := func(h Hold) bool { return h.Until.IsZero() || said.At.Before(h.Until) }
	at := slices.IndexFunc(f.Holds, func(h Hold) bool { return h.Cluster == ref && in(h) })
	all := slices.IndexFunc(f.Holds, func(h Hold) bool { return h.Cluster.IsZero() && in(h) })
	switch {
	case at < 0 && ref.IsZero():
		return f, "", fmt.Errorf("there is no hold on all clusters; single ones are released by name: %s", f.heldNames(said.At))
	case at < 0 && all >= 0:
		return f, "", fmt.Errorf("%s has no hold of its own; all clusters are held by %s: rotator release all --by NAME --reason WHY", ref, who(f.Holds[all].Said))
	case at < 0:
		return f, "", fmt.Errorf("%s is not held; held are: %s", ref, f.heldNames(said.At))
	}
	was := f.Holds[at]
	f = f.clone()
	f.Holds = slices.DeleteFunc(f.Holds, func(h Hold) bool { return h.Cluster == ref })
	text := fmt.Sprintf("%s released; held since %s by %s", isOrAre(ref), fact.Stamp(was.At), who(was.Said))
	if !ref.IsZero() && all >= 0 {
		text += "; all clusters are still held by " + who(f.Holds[slices.IndexFunc(f.Holds, func(h Hold) bool { return h.Cluster.IsZero() })].Said)
	}
	return f, text, nil
}

func isOrAre(ref Ref) string {
	if ref.IsZero() {
		return "all clusters are"
	}
	return ref.String() + " is"
}

func (f FleetDoc) heldNames(now time.Time) string {
	var names []string
	for _, h := range f.Holds {
		switch {
		case !h.Until.IsZero() && !now.Before(h.Until):
		case h.Cluster.IsZero():
			names = append(names, "all")
		default:
			names = append(names, h.Cluster.String())
		}
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return some(names)
}

// Approve is a yes to what the cluster waits for: the completion of the
// rotation r, bound to this attempt and this entry into updating-clients; or,
// with r nil, its start, bound to the CA to be replaced and good until until,
// at most and by default [StartApprovalLasts].
func (f FleetDoc) Approve(p *Policy, c Cluster, r *Rotation, until time.Time, said Said) (FleetDoc, string, error) {
	if !until.IsZero() && !until.After(said.At) {
		return f, "", fmt.Errorf("the approval would end %s, which is over; name a later time with --until",
			fact.Stamp(until))
	}
	a := Approval{Cluster: c.Ref, ClusterID: c.ID, Until: until, Said: said}
	var text string
	var err error
	if r != nil {
		text, err = a.completion(p, *r)
	} else {
		text, err = a.start(p, newCase(p, c, nil, &f, said.Run, said.At))
	}
	if err != nil {
		return f, "", err
	}
	f = f.clone()
	f.Approvals = slices.DeleteFunc(f.Approvals, func(x Approval) bool { return x.Cluster == c.Ref && x.Kind == a.Kind })
	if len(f.Approvals) >= MaxSaid {
		return f, "", tooMany(len(f.Approvals), "approvals", "let runs use them up")
	}
	a.Said = a.short()
	f.Approvals = append(f.Approvals, a)
	return f, text + ", by " + who(said), nil
}

func (a *Approval) completion(p *Policy, r Rotation) (string, error) {
	switch {
	case !p.Approval.Asks(CallComplete):
		return "", fmt.Errorf("nothing waits for approval: APPROVAL=%s, so completions ask nobody", p.Approval)
	case !r.Carry:
		return "", &Declined{"we only watch this rotation, which somebody else started: ",
			"`rotator adopt CLUSTER --by NAME --reason WHY`, then approve", r.Cluster}
	case r.ClusterID != a.ClusterID:
		return "", fmt.Errorf("%s was deleted and created again since its rotation started; the next run closes the record", r.Cluster)
	case r.Phase != UpdatingClients:
		return "", fmt.Errorf("nothing waits for approval: the rotation is in phase %s, and its completion is asked for once it is in %s", r.Phase, UpdatingClients)
	}
	a.Kind, a.Attempt, a.Entry = CallComplete, r.AttemptID, r.Entries
	return fmt.Sprintf("the completion of %s is approved; it becomes void when the rotation goes back to recreating nodes", r.Cluster), nil
}

func (a *Approval) start(p *Policy, k *Case) (string, error) {
	c := k.Cluster
	switch {
	case len(c.Bundle.CAs) > 1:
		return "", fmt.Errorf("nothing waits for approval: %s has two CAs, so a rotation runs that is not on record yet; the next run takes it up", c.Ref)
	case !p.Approval.Asks(CallStart):
		return "", fmt.Errorf("nothing waits for approval: %s has no rotation, and with APPROVAL=%s a start asks nobody", c.Ref, p.Approval)
	}
	for _, ask := range []func(*Case) Verdict{askSelected, askDue, askEligible} {
		if v := ask(k); !v.Open {
			return "", fmt.Errorf("nothing waits for approval: %s: %s", c.Ref, v.Message)
		}
	}
	longest := a.At.Add(StartApprovalLasts)
	if a.Until.After(longest) {
		return "", fmt.Errorf("an approval to start is good for at most %s, until %s; leave --until out",
			Days(StartApprovalLasts), fact.Stamp(longest))
	}
	if a.Until.IsZero() {
		a.Until = longest
	}
	a.Kind, a.CA = CallStart, c.Bundle.Oldest().Fingerprint
	return fmt.Sprintf("the start of %s is approved until %s UTC, for the CA %s", c.Ref, fact.Stamp(a.Until),
		a.CA.Short()), nil
}

// Retry acknowledges what failed or is stuck and lets the next run try again;
// r is nil when no rotation is on record. A call that may still be on its way
// is settled first: retry cannot clear it.
func (f FleetDoc) Retry(ref Ref, r *Rotation, said Said) (FleetDoc, string, error) {
	failures, tried := f.failuresOf(ref), f.Tries[ref.String()]
	troubled := r != nil && (r.Failed != "" || r.Stuck || !r.NotBefore.IsZero() || r.anyPoolTrouble())
	if len(failures) == 0 && tried.Count+tried.Withdrawals == 0 && !troubled {
		return f, "", fmt.Errorf("there is nothing to retry: nothing of %s has failed, is stuck or backs off", ref)
	}
	f = f.clone()
	f.acknowledge(ref)
	if r != nil {
		if err := f.ask(Request{Kind: RequestRetry, Cluster: ref, ClusterID: r.ClusterID, Attempt: r.AttemptID, Said: said}); err != nil {
			return f, "", err
		}
	}
	var what []string
	for _, x := range failures {
		what = append(what, string(x.What))
	}
	if tried.Count > 0 {
		what = append(what, fmt.Sprintf("%s that came to nothing", counted(tried.Count, "start")))
	}
	if len(what) == 0 {
		what = append(what, "its back-off")
	}
	text := fmt.Sprintf("%s: acknowledged %s, by %s; the next run may try again", ref, strings.Join(what, ", "), who(said))
	if r != nil && r.Unsettled(said.At) {
		text += fmt.Sprintf(", but not before its last %s is settled, %s", r.Call.Kind,
			fact.Stamp(r.Call.IntentAt.Add(SettleAfter)))
	}
	return f, text, nil
}

// Declined is why what people say is not taken, and what they can do instead.
type Declined struct {
	Why     string
	Next    reason.Advice // about the cluster
	Cluster Ref
}

// Error implements error.
func (d *Declined) Error() string { return d.Why + d.Next.String() }

// tooMany: the fleet document is one document, and every start reads it.
func tooMany(n int, what, wayOut string) error {
	return fmt.Errorf("the book holds %d %s already, and takes no more than %d; %s, or set the policy instead", n, what, MaxSaid, wayOut)
}

// short keeps what people say within its room.
func (s Said) short() Said {
	s.By, s.Reason = fact.Clip(s.By, maxBy), fact.Clip(s.Reason, maxWhy)
	return s
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (r Rotation) anyPoolTrouble() bool {
	for _, w := range r.Pools {
		if w.Failures > 0 || w.LeftToGKE != "" {
			return true
		}
	}
	return false
}

// Adopt makes a rotation that somebody else started ours to carry to its end;
// r is nil when it is not on record yet.
func (f FleetDoc) Adopt(p *Policy, c Cluster, r *Rotation, said Said) (FleetDoc, string, error) {
	k := newCase(p, c, r, &f, said.Run, said.At)
	switch v := askSelected(k); {
	case r != nil && r.Carry:
		return f, "", fmt.Errorf("the rotation of %s is carried by this tool already", c.Ref)
	case !v.Open:
		return f, "", fmt.Errorf("%s is not selected, and unselected clusters are never adopted: %s", c.Ref, v.Message)
	case r == nil && len(c.Bundle.CAs) < 2:
		return f, "", fmt.Errorf("there is no rotation of %s to adopt: it has one CA", c.Ref)
	case r != nil && r.ClusterID != c.ID:
		return f, "", fmt.Errorf("%s was deleted and created again since that rotation; the next run closes the record", c.Ref)
	}
	f = f.clone()
	if err := f.ask(Request{Kind: RequestAdopt, Cluster: c.Ref, ClusterID: c.ID, CA: c.Bundle.Oldest().Fingerprint, Said: said}); err != nil {
		return f, "", err
	}
	return f, fmt.Sprintf("the next run adopts the rotation of %s and carries it to its end, by %s", c.Ref, who(said)), nil
}

// Rotate makes a cluster due now, whatever the age of its CA. All other gates
// stay.
func (f FleetDoc) Rotate(p *Policy, c Cluster, r *Rotation, said Said) (FleetDoc, string, error) {
	k := newCase(p, c, nil, &f, said.Run, said.At)
	switch {
	case r != nil:
		return f, "", fmt.Errorf("%s is being rotated already, in phase %s", c.Ref, r.Phase)
	case len(c.Bundle.CAs) > 1:
		return f, "", fmt.Errorf("%s has two CAs: a rotation runs already; the next run takes it up", c.Ref)
	case k.Due.Is:
		return f, "", &Declined{fmt.Sprintf("%s is due already (%s); what it waits for: ", c.Ref, k.Due.Why),
			"`rotator plan --explain CLUSTER`", c.Ref}
	}
	for _, ask := range []func(*Case) Verdict{askSelected, askEligible} {
		if v := ask(k); !v.Open {
			return f, "", fmt.Errorf("%s cannot be rotated: %s. %s", c.Ref, v.Message, v.Reason.Info().Next)
		}
	}
	f = f.clone()
	if err := f.ask(Request{Kind: RequestRotate, Cluster: c.Ref, ClusterID: c.ID, CA: c.Bundle.Oldest().Fingerprint, Said: said}); err != nil {
		return f, "", err
	}
	return f, fmt.Sprintf("%s is due from now, for the CA %s, by %s; windows, freezes and limits still hold", c.Ref, c.Bundle.Oldest().Fingerprint.Short(), who(said)), nil
}

// Close ends our record of a rotation without touching GKE, and acknowledges
// what failed; r is nil when no rotation is on record.
func (f FleetDoc) Close(ref Ref, r *Rotation, said Said) (FleetDoc, string, error) {
	failures := f.failuresOf(ref)
	if r == nil && len(failures) == 0 {
		return f, "", fmt.Errorf("%s has no rotation on record, and nothing of it waits to be acknowledged", ref)
	}
	f = f.clone()
	f.acknowledge(ref)
	if r == nil {
		return f, fmt.Sprintf("%s: acknowledged %s, by %s; its record was closed before", ref, failures[0].What, who(said)), nil
	}
	if err := f.ask(Request{Kind: RequestClose, Cluster: ref, ClusterID: r.ClusterID, Attempt: r.AttemptID, Said: said}); err != nil {
		return f, "", err
	}
	text := fmt.Sprintf("the next run closes the record of %s, by %s. GKE is not touched: it goes on with the rotation and completes it by itself from %s",
		ref, who(said), fact.Stamp(r.StartedAt().Add(AutoCompleteAfter)))
	if r.Phase == Verifying {
		text = fmt.Sprintf("the next run closes the record of %s unverified, by %s", ref, who(said))
	}
	if r.Unsettled(said.At) {
		text += fmt.Sprintf(". Its last %s may be on its way: the record closes when that is settled, %s",
			r.Call.Kind, fact.Stamp(r.Call.IntentAt.Add(SettleAfter)))
	}
	return f, text, nil
}

// ask notes a request in place of an older one of its kind.
func (f *FleetDoc) ask(q Request) error {
	f.Requests = slices.DeleteFunc(f.Requests, func(x Request) bool { return x.Kind == q.Kind && x.Cluster == q.Cluster })
	if len(f.Requests) >= MaxSaid {
		return tooMany(len(f.Requests), "requests", "let runs take them up")
	}
	q.Said = q.short()
	f.Requests = append(f.Requests, q)
	return nil
}

func (f FleetDoc) failuresOf(ref Ref) []Failure {
	var out []Failure
	for _, x := range f.Failures {
		if x.Cluster == ref {
			out = append(out, x)
		}
	}
	return out
}

// acknowledge takes the cluster's failures from the breaker's count.
func (f *FleetDoc) acknowledge(ref Ref) {
	f.Failures = slices.DeleteFunc(f.Failures, func(x Failure) bool { return x.Cluster == ref })
	delete(f.Tries, ref.String())
}
