// Package operator is what people say to the job. Every function takes the fleet
// document as it was read and gives the one to store, with a sentence for the person
// who said it; or an error that says why it means nothing here and what to do. The
// document is not changed. Said.At is the present.
package operator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

func over(what string, until time.Time) error {
	return fmt.Errorf("the %s would end %s, which is over; name a later time with --until", what,
		fact.Stamp(until))
}

// Approve is a yes to what the cluster waits for: the completion of the
// rotation r, bound to this attempt and this entry into updating-clients; or,
// with r nil, its start, bound to the CA to be replaced and good until until,
// at most and by default [rules.StartApprovalLasts].
func Approve(f record.FleetDoc, p *rules.Policy, c fleet.Cluster, r *record.Rotation, until time.Time,
	said record.Said) (record.FleetDoc, string, error) {
	if !until.IsZero() && !until.After(said.At) {
		return f, "", over("approval", until)
	}
	a := record.Approval{Cluster: c.Ref, ClusterID: c.ID, Until: until, Said: said}
	var text string
	var err error
	if r != nil {
		text, err = approveCompletion(&a, p, *r)
	} else {
		text, err = approveStart(&a, p, policy.NewCase(p, c, nil, &f, said.Run, said.At))
	}
	if err != nil {
		return f, "", err
	}
	f = f.Clone()
	f.Approvals = slices.DeleteFunc(f.Approvals, func(x record.Approval) bool {
		return x.Cluster == c.Ref && x.Kind == a.Kind && (!x.Same(a) || x.Is(said.By) && !x.Outlasts(a))
	})
	if len(f.Approvals) >= record.MaxSaid {
		return f, "", tooMany(len(f.Approvals), "approvals", "let runs use them up")
	}
	a.Said = a.Short()
	f.Approvals = append(f.Approvals, a)
	return f, text + ", by " + record.Who(said), nil
}

func approveCompletion(a *record.Approval, p *rules.Policy, r record.Rotation) (string, error) {
	switch {
	case !p.Approval.Asks(record.CallComplete):
		return "", fmt.Errorf("nothing waits for approval: APPROVAL=%s, so completions ask nobody", p.Approval)
	case r.ClosedBy != nil:
		return "", &Declined{"we only watch this rotation, whose record was closed by " + r.ClosedBy.Line() + ": ",
			"`rotator adopt CLUSTER --by NAME --reason WHY`, then approve", r.Cluster}
	case !r.Managed:
		return "", &Declined{"we only watch this rotation, which somebody else started: ",
			"`rotator adopt CLUSTER --by NAME --reason WHY`, then approve", r.Cluster}
	case a.ClusterID != "" && r.ClusterID != a.ClusterID:
		return "",
			fmt.Errorf("%s was deleted and created again since its rotation started; the next run closes the record", r.Cluster)
	case r.Phase != record.UpdatingClients:
		return "", fmt.Errorf("nothing waits for approval: the rotation is in phase %s, and its completion is asked for once it is in %s", r.Phase, record.UpdatingClients)
	}
	a.Kind, a.ClusterID, a.Attempt, a.Entry = record.CallComplete, r.ClusterID, r.AttemptID, r.Entries
	when := ""
	if !r.Promised.IsZero() {
		when = ", not before " + fact.Stamp(r.Promised) + " UTC"
	}
	return fmt.Sprintf("the completion of %s is approved: %s%s; the yes becomes void when the rotation goes back to recreating nodes",
		r.Cluster, policy.CompletionMeans(r), when), nil
}

func approveStart(a *record.Approval, p *rules.Policy, k *policy.Case) (string, error) {
	c := k.Cluster
	switch {
	case len(c.Bundle.CAs) > 1:
		return "", fmt.Errorf("nothing waits for approval: %s has two CAs, so a rotation runs that is not on record yet; the next run takes it up", c.Ref)
	case !p.Approval.Asks(record.CallStart):
		return "", fmt.Errorf("nothing waits for approval: %s has no rotation, and with APPROVAL=%s a start asks nobody", c.Ref, p.Approval)
	}
	first := func(g policy.Gate) bool { return g.First && c.ID != "" }
	if v, no := policy.FirstClosed(k.Ask(policy.StartGates, first)); no {
		return "", fmt.Errorf("nothing waits for approval: %s: %s", c.Ref, v.Message)
	}
	longest := a.At.Add(rules.StartApprovalLasts)
	if a.Until.After(longest) {
		return "", fmt.Errorf("an approval to start is good for at most %s, until %s; leave --until out",
			fleet.Days(rules.StartApprovalLasts), fact.Stamp(longest))
	}
	if a.Until.IsZero() {
		a.Until = longest
	}
	a.Kind, a.CA = record.CallStart, c.Bundle.Oldest().Fingerprint
	text := fmt.Sprintf("the start of %s is approved until %s UTC, for %s", c.Ref, fact.Stamp(a.Until), theCA(a.CA))
	if a.CA != "" {
		text += ": " + policy.StartMeans(k).String()
	}
	return text, nil
}

// theCA names the CA; one that could not be read is bound by the next run's look.
func theCA(f fleet.Fingerprint) string {
	if f == "" {
		return "the CA that the next run reads"
	}
	return "the CA " + f.Short()
}

// OpenWave lets the due clusters of a wave start though earlier waves are not done, until
// they are rotated.
func OpenWave(f record.FleetDoc, p *rules.Policy, name string, said record.Said) (record.FleetDoc, string,
	error) {
	names := []string{fleet.LastWave}
	for _, w := range slices.Backward(p.Waves) {
		names = append([]string{w.Name}, names...)
	}
	at := slices.Index(names, name)
	switch {
	case len(p.Waves) == 0:
		return f, "", errors.New("there is one wave, which waits for no other: WAVES names none")
	case at < 0:
		return f, "", fmt.Errorf("there is no wave %q; the waves are: %s", name, strings.Join(names, " > "))
	case at == 0:
		return f, "", fmt.Errorf("wave %q is the first: it waits for no other", name)
	}
	if was, ok := f.OpenWaves[name]; ok {
		return f, "", fmt.Errorf("wave %q is open already, by %s", name, was.Line())
	}
	f = f.Clone()
	f.OpenWaves = record.CloneMap(f.OpenWaves)
	f.OpenWaves[name] = said.Short()
	return f, fmt.Sprintf("wave %q is open until the clusters of it that are due are rotated, by %s; it waits neither for %s nor for WAVE_SOAK; all other gates stay",
		name, record.Who(said), strings.Join(names[:at], ", ")), nil
}

// Retry acknowledges what failed or is stuck and lets the next run try again;
// r is nil when no rotation is on record. A call that may still be on its way
// is settled first: retry cannot clear it.
func Retry(f record.FleetDoc, ref fleet.Ref, r *record.Rotation, said record.Said) (record.FleetDoc, string,
	error) {
	failures, tried := failuresOf(f, ref), f.Tries[ref.String()]
	troubled := r != nil && (r.Failed != "" || r.Stuck || !r.NotBefore.IsZero() || anyPoolTrouble(*r))
	if len(failures) == 0 && tried.Count+tried.Withdrawals == 0 && !troubled {
		return f, "", fmt.Errorf("there is nothing to retry: nothing of %s has failed, is stuck or backs off", ref)
	}
	f = f.Clone()
	acknowledge(&f, ref)
	if r != nil {
		if err := request(&f, record.Request{Kind: record.RequestRetry, Cluster: ref, ClusterID: r.ClusterID,
			Attempt: r.AttemptID, Said: said}); err != nil {
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
	text := fmt.Sprintf("%s: acknowledged %s, by %s; the next run may try again", ref, strings.Join(what, ", "),
		record.Who(said))
	if r != nil && r.Unsettled(said.At) {
		text += fmt.Sprintf(", but not before its last %s is settled, %s", r.Call.Kind,
			fact.Stamp(r.Call.SettlesAt()))
	}
	return f, text, nil
}

// Declined is why what people say is not taken, and what they can do instead.
type Declined struct {
	Why     string
	Next    reason.Advice // about the cluster
	Cluster fleet.Ref
}

// Error implements error.
func (d *Declined) Error() string { return d.Why + d.Next.String() }

// tooMany: the fleet document is one document, and every start reads it.
func tooMany(n int, what, wayOut string) error {
	return fmt.Errorf("the store holds %d %s already, and takes no more than %d; %s, or set the policy instead",
		n, what, record.MaxSaid, wayOut)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func anyPoolTrouble(r record.Rotation) bool {
	for _, w := range r.Pools {
		if w.Failures > 0 || w.LeftToGKE != "" {
			return true
		}
	}
	return false
}

// Adopt makes a rotation that somebody else started ours to manage to its end;
// r is nil when it is not on record yet.
func Adopt(f record.FleetDoc, p *rules.Policy, c fleet.Cluster, r *record.Rotation,
	said record.Said) (record.FleetDoc, string, error) {
	if r != nil {
		c.Bundle = c.Bundle.OldFirst(r.Baseline.CA.Fingerprint)
	}
	unread := c.ID == "" || c.Bundle.Oldest().Fingerprint == ""
	switch unselected := p.Unselected(c); {
	case r != nil && r.Managed && f.AskedOf(record.RequestClose, *r) != nil:
		f = f.Clone()
		f.Requests = slices.DeleteFunc(f.Requests, func(q record.Request) bool {
			return q.Kind == record.RequestClose && q.Cluster == c.Ref
		})
		return f, fmt.Sprintf("the rotation of %s stays managed: its record is not closed, by %s", c.Ref,
			record.Who(said)), nil
	case r != nil && r.Managed:
		return f, "", fmt.Errorf("the rotation of %s is managed by this tool already", c.Ref)
	case unread:
	case len(unselected) > 0:
		return f, "", fmt.Errorf("%s is not selected, and unselected clusters are never adopted: %s", c.Ref,
			unselected)
	case r == nil && len(c.Bundle.CAs) < 2:
		return f, "", fmt.Errorf("there is no rotation of %s to adopt: it has one CA", c.Ref)
	case r != nil && r.ClusterID != c.ID:
		return f, "", fmt.Errorf("%s was deleted and created again since that rotation; the next run closes the record", c.Ref)
	}
	f = f.Clone()
	if err := request(&f, record.Request{Kind: record.RequestAdopt, Cluster: c.Ref, ClusterID: c.ID,
		CA: c.Bundle.Oldest().Fingerprint, Said: said}); err != nil {
		return f, "", err
	}
	return f, fmt.Sprintf("the next run adopts the rotation of %s and manages it to its end, by %s", c.Ref,
		record.Who(said)), nil
}

// Rotate makes a cluster due now, whatever the age of its CA. All other gates
// stay.
func Rotate(f record.FleetDoc, p *rules.Policy, c fleet.Cluster, r *record.Rotation,
	said record.Said) (record.FleetDoc, string, error) {
	k := policy.NewCase(p, c, nil, &f, said.Run, said.At)
	switch {
	case r != nil:
		return f, "", fmt.Errorf("%s is being rotated already, in phase %s", c.Ref, r.Phase)
	case len(c.Bundle.CAs) > 1:
		return f, "", fmt.Errorf("%s has two CAs: a rotation runs already; the next run takes it up", c.Ref)
	case c.ID == "": // not read
	case k.Due.Is:
		return f, "", &Declined{fmt.Sprintf("%s is due already (%s); what it waits for: ", c.Ref, k.Due.Why),
			"`rotator plan --explain CLUSTER`", c.Ref}
	}
	whenDue := func(g policy.Gate) bool { return g.First && g.Name != policy.GateDue && c.ID != "" }
	if v, no := policy.FirstClosed(k.Ask(policy.StartGates, whenDue)); no {
		return f, "", fmt.Errorf("%s cannot be rotated: %s. %s", c.Ref, v.Message, v.Reason.Info().Next)
	}
	f = f.Clone()
	if err := request(&f, record.Request{Kind: record.RequestRotate, Cluster: c.Ref, ClusterID: c.ID,
		CA: c.Bundle.Oldest().Fingerprint, Said: said}); err != nil {
		return f, "", err
	}
	return f, fmt.Sprintf("%s is due from now, for %s, by %s; windows, freezes and limits still hold",
		c.Ref, theCA(c.Bundle.Oldest().Fingerprint), record.Who(said)), nil
}

// Close ends our record of a rotation without touching GKE, and acknowledges
// what failed; r is nil when no rotation is on record.
func Close(f record.FleetDoc, p *rules.Policy, ref fleet.Ref, r *record.Rotation,
	said record.Said) (record.FleetDoc, string, error) {
	failures := failuresOf(f, ref)
	if r != nil && r.ClosedBy != nil {
		if len(failures) == 0 {
			return f, "", fmt.Errorf("the record of %s was closed by %s already: we only look until the rotation's end",
				ref, r.ClosedBy.Line())
		}
		r = nil
	}
	if r == nil && len(failures) == 0 {
		return f, "", fmt.Errorf("%s has no rotation on record, and nothing of it waits to be acknowledged", ref)
	}
	f = f.Clone()
	acknowledge(&f, ref)
	if r == nil {
		return f, fmt.Sprintf("%s: acknowledged %s, by %s; its record was closed before", ref, failures[0].What,
			record.Who(said)), nil
	}
	if err := request(&f, record.Request{Kind: record.RequestClose, Cluster: ref, ClusterID: r.ClusterID,
		Attempt: r.AttemptID, Said: said}); err != nil {
		return f, "", err
	}
	text := fmt.Sprintf("the next run closes the record of %s, by %s. GKE is not touched: it goes on with the rotation and completes it by itself from %s",
		ref, record.Who(said), fact.Stamp(rules.AutoComplete(*r)))
	if slices.Contains(p.Projects, ref.Project) {
		text += fmt.Sprintf("; we look on, tell its end, and take it up again by rotator adopt %s --by NAME --reason WHY", ref)
	} else {
		text += "; its project is not among PROJECTS, so we no longer look at it, and its end is not told"
	}
	if r.Phase == record.Verifying {
		text = fmt.Sprintf("the next run closes the record of %s unverified, by %s", ref, record.Who(said))
	}
	if r.Unsettled(said.At) {
		text += fmt.Sprintf(". Its last %s may be on its way: the record closes when that is settled, %s",
			r.Call.Kind, fact.Stamp(r.Call.SettlesAt()))
	}
	return f, text, nil
}

// request notes a request in place of an older one of its kind.
func request(f *record.FleetDoc, q record.Request) error {
	f.Requests = slices.DeleteFunc(f.Requests, func(x record.Request) bool {
		return x.Kind == q.Kind && x.Cluster == q.Cluster
	})
	if len(f.Requests) >= record.MaxSaid {
		return tooMany(len(f.Requests), "requests", "let runs take them up")
	}
	q.Said = q.Short()
	f.Requests = append(f.Requests, q)
	return nil
}

func failuresOf(f record.FleetDoc, ref fleet.Ref) []record.Failure {
	return slices.DeleteFunc(slices.Clone(f.Failures), func(x record.Failure) bool { return x.Cluster != ref })
}

// acknowledge takes the cluster's failures from the breaker's count.
func acknowledge(f *record.FleetDoc, ref fleet.Ref) {
	f.Failures = slices.DeleteFunc(f.Failures, func(x record.Failure) bool { return x.Cluster == ref })
	delete(f.Tries, ref.String())
}
