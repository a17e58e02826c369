package view

import (
	"cmp"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/reason"
)

// Words say things to readers: one sentence for one reason wherever it is read,
// harmless, and with its times in their zone.
type Words struct{ words.Clock }

// Say writes what the rules say.
func (w Words) Say(t fact.Text) string { return t.Show(words.Harmless, w.At) }

// Sentence is the message, or what the reason means when there is none.
func (w Words) Sentence(r reason.Code, message fact.Text) string {
	return cmp.Or(w.Say(message), r.Info().Sentence)
}

// Left says of a cluster why it is not rotated by a forecast's end.
func (w Words) Left(l sim.Left) string {
	text := w.Sentence(l.Reason, l.Message)
	if l.Held.Gate != "" && l.Held.Reason != l.Reason {
		text = w.Sentence(l.Held.Reason, l.Held.Message) + "; at the end: " + text
	}
	text = words.If(l.Held.Time > 0, words.Lasting(l.Held.Time)+" of waiting: ") + text
	if l.Due.IsZero() {
		return text
	}
	return words.Joined("due since "+words.Day(l.Due), text, "deadline "+words.Day(l.Deadline))
}

// What people can always do about a cluster.
const (
	ToExplain  = "`rotator plan --explain CLUSTER`"
	ToHandOver = "`rotator handover CLUSTER`"
	ToRelease  = "`rotator release CLUSTER --by NAME --reason WHY`"
)
