package show

import (
	"strings"
	"time"

	"gke-credential-rotator/job/sim"
	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy"
	"gke-credential-rotator/policy/fact"
	"gke-credential-rotator/policy/reason"
)

// Words says things in the words of the terminal's pictures, for pictures of
// another kind: who reads both shall find one sentence for one reason.
type Words struct{ g *page }

// NewWords are the words of a picture made at now, with times in the zone; nil
// is UTC.
func NewWords(now time.Time, zone *time.Location) Words {
	return Words{newPage(Options{Zone: zone}, now)}
}

// Sentence is the message, or what the reason means when there is none.
func (w Words) Sentence(r reason.Code, message fact.Text) string {
	return w.g.sentence(r, message)
}

// Say writes what the rules say: harmless, and with its times in the picture's
// zone.
func (w Words) Say(t fact.Text) string { return w.g.say(t) }

// Left says of a cluster why it is not rotated by a forecast's end.
func (w Words) Left(l sim.Left) string { return w.g.leftWords(l) }

// At shows a time: with its year only when it is far away.
func (w Words) At(t time.Time) string { return w.g.at(t) }

// Zone names the zone of all times.
func (w Words) Zone() string { return w.g.zone() }

// Lasting shows a length of time by its two largest units.
func Lasting(d time.Duration) string { return lasting(d) }

// Day shows a date, in UTC like Google's console.
func Day(t time.Time) string { return day(t) }

// Plural counts things in words.
func Plural(n int, one, many string) string { return plural(n, one, many) }

// Next is what people can do about a reason; nil when nothing is needed.
func Next(r reason.Code, ref, env string) []words.Part {
	return words.Advice(r.Info().Next, ref, env)
}

// What people can always do about a cluster.
const (
	ToExplain  = "`rotator plan --explain CLUSTER`"
	ToHandOver = "`rotator handover CLUSTER`"
)

// Failed is why a rotation waits for people although runs go on, or "".
func Failed(d policy.Decision) reason.Code { return failed(d) }

// Pressing orders decisions: urgent ones, emergencies, then by deadline and name.
func Pressing(a, b policy.Decision) int { return pressing(a, b) }

// MayOpen is when the last of the closed gates may open, whether all of them
// know, and how many are closed beside the one that is named.
func MayOpen(d policy.Decision) (at time.Time, known bool, others int) { return mayOpen(d) }

// WaitsFor is on whom a decision waits when no time is known.
func WaitsFor(d policy.Decision) string { return waitsFor(d) }

// Meaning is one part of what the settings mean, in sentences.
type Meaning struct {
	Title string
	Lines []string
}

// Meanings says what the settings mean.
func Meanings(p *policy.Policy, mode string) []Meaning {
	var out []Meaning
	for _, m := range meanings(p, mode) {
		title := m.title[:1] + strings.ReplaceAll(strings.ToLower(m.title[1:]), " ca ", " CA ")
		out = append(out, Meaning{title, harmlessLines(m.lines)})
	}
	return out
}

func harmlessLines(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = clean(l)
	}
	return out
}

// Warnings are settings that are allowed and probably not meant.
func Warnings(p *policy.Policy, mode string, now time.Time) []string {
	return harmlessLines(warnings(p, mode, now))
}
