package html

import (
	"cmp"
	"slices"
	"time"

	"gke-credential-rotator/job/view"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/reason"
	"gke-credential-rotator/policy/record"
)

// todo is one thing that people must do, for the clusters that need it.
type todo struct {
	Title  string
	Reason string
	Count  int
	Advice []words.Part // given once where it is the same for all
	Items  []item
	More   []item // behind a fold
}

// item is one cluster that needs it.
type item struct {
	who
	Text, Note string // Note: what happens meanwhile
	Advice     []words.Part
}

// client is a cluster whose users must update their clients now.
type client struct {
	who
	Old, New string // endpoints; equal or empty: nothing changed
	Ends     moment // when the old credentials end, by us
	Waits    string // when that is not known
	GKE      moment // from when GKE ends them by itself
	Commands []string
	Approval bool
	sort     time.Time
}

type unseen struct {
	Where, Why string
	Advice     []words.Part
}

// mostItems is how many clusters stand before the fold.
const mostItems = 8

// todos are what needs action, by reason: the most pressing cluster leads.
func (m *maker) todos() []todo {
	var out []todo
	add := func(why reason.Code, it item) {
		i := slices.IndexFunc(out, func(t todo) bool { return t.Reason == string(why) })
		if i < 0 {
			i = len(out)
			out = append(out, todo{Title: m.Sentence(why, nil), Reason: string(why)})
		}
		out[i].Count++
		out[i].Items = append(out[i].Items, it)
	}
	needs := m.plan.In(view.NeedsAction)
	failed := map[fleet.Ref]string{} // each cluster is listed once
	for _, f := range view.Failed(m.plan.Contents) {
		if slices.ContainsFunc(needs, func(c view.Cluster) bool { return c.Decision.Cluster.Ref == f.Ref }) {
			failed[f.Ref] = m.Sentence(f.Why, nil) + " Since " + m.At(f.Since) + "."
			continue
		}
		add(f.Why, m.item(f.Ref, "since "+m.At(f.Since), f.Why))
	}
	for _, s := range needs {
		d := s.Decision
		why := cmp.Or(s.Trouble, d.Reason)
		it := m.item(d.Cluster.Ref, words.Joined(m.Sentence(d.Reason, d.Message), failed[d.Cluster.Ref]), why)
		it.Note = m.meanwhile(s)
		add(why, it)
	}
	for i := range out {
		out[i].share()
		out[i].Items, out[i].More = inSight(out[i].Items, mostItems)
	}
	return out
}

func (m *maker) item(ref fleet.Ref, text string, why reason.Code) item {
	it := item{who: whoIs(ref), Text: text, Advice: words.Advice(why.Info().Next, ref.String(), m.Policy.Env)}
	if it.Text == why.Info().Sentence {
		it.Text = "" // it is the title
	}
	if len(it.Advice) == 0 {
		it.Advice = words.Advice(view.ToExplain, ref.String(), "")
	}
	return it
}

// share gives an advice that is the same for all clusters once.
func (t *todo) share() {
	first := t.Items[0].Advice
	other := func(it item) bool { return !slices.Equal(it.Advice, first) }
	command := func(p words.Part) bool { return p.Command }
	if slices.ContainsFunc(t.Items, other) || t.Count == 1 && slices.ContainsFunc(first, command) {
		return
	}
	t.Advice = first
	for i := range t.Items {
		t.Items[i].Advice = nil
	}
}

// meanwhile is what GKE does while people are waited for.
func (m *maker) meanwhile(c view.Cluster) string {
	s, ca, gke := c.Decision, c.Decision.Cluster.Bundle.Oldest(), c.GKECompletes()
	switch {
	case !gke.IsZero() && (s.Phase == record.RecreatingNodes || s.Phase == record.UpdatingClients):
		return "GKE may complete it by itself from " + m.At(gke) + "."
	case s.Phase == "" && s.Due.Is && ca.Expires.After(m.Now) && ca.Expires.Sub(m.Now) < modern:
		return "The CA expires " + words.Day(ca.Expires) + "; GKE starts by itself from " +
			words.Day(view.LastResort(ca)) + ", whatever the window."
	}
	return ""
}

// clients are the clusters whose clients must be updated, the soonest end
// first. Who completes is another matter: the old credentials end all the same.
func (m *maker) clients() []client {
	var out []client
	for _, s := range m.stands {
		h, ref := s.HandOver, s.Decision.Cluster.Ref
		if h.At.IsZero() || !h.Completed.IsZero() {
			continue
		}
		c := client{
			who: whoIs(ref), Old: words.Harmless(h.OldEndpoint), New: words.Harmless(h.NewEndpoint),
			Ends: m.at(h.Completes), Waits: m.Say(h.Waits), GKE: m.at(h.GKECompletes), Approval: h.Approval,
			sort: soonest(h.Completes, h.GKECompletes),
			Commands: []string{
				words.Plain(view.ToHandOver, ref.String(), ""),
				"gcloud container clusters get-credentials " + words.Quote(ref.Name) + " --location " +
					words.Quote(ref.Location) + " --project " + words.Quote(ref.Project),
			},
		}
		if h.Phase == record.Completing {
			c.Ends, c.Waits = moment{}, "they end now: the completion is under way"
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b client) int { return view.CompareSet(a.sort, b.sort) })
	return out
}

func soonest(a, b time.Time) time.Time {
	if view.CompareSet(a, b) <= 0 {
		return a
	}
	return b
}

// unseen are the places that could not be read: what is there is unknown.
func (m *maker) unseen() []unseen {
	var out []unseen
	for _, u := range m.Result.Fleet.Unread {
		where, why := view.Unseen(u)
		out = append(out, unseen{where, why, words.Advice(reason.NotReadable.Info().Next, "", m.Policy.Env)})
	}
	return out
}
