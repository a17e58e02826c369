package evidence

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/record"
)

// column is one column of the table. Their order is a contract: new ones come
// at the end.
type column struct {
	name string
	cell func(Entry) string
}

var columns = []column{
	{"closed_at", func(e Entry) string { return stamp(e.ClosedAt) }},
	{"cluster", func(e Entry) string { return e.Cluster.String() }},
	{"cluster_id", func(e Entry) string { return e.ClusterID }},
	{"attempt_id", func(e Entry) string { return e.AttemptID }},
	{"attempt", func(e Entry) string { return strconv.Itoa(e.Attempt) }},
	{"origin", func(e Entry) string { return string(e.Origin) }},
	{"closed_as", func(e Entry) string { return string(e.ClosedAs) }},
	{"completed_by", func(e Entry) string { return e.CompletedBy }},
	{"old_ca_sha256", func(e Entry) string { return string(e.OldCA.Fingerprint) }},
	{"old_ca_issued", func(e Entry) string { return stamp(e.OldCA.Issued) }},
	{"old_ca_expires", func(e Entry) string { return stamp(e.OldCA.Expires) }},
	{"new_ca_sha256", func(e Entry) string { return string(known(e.NewCA).Fingerprint) }},
	{"new_ca_issued", func(e Entry) string { return stamp(known(e.NewCA).Issued) }},
	{"new_ca_expires", func(e Entry) string { return stamp(known(e.NewCA).Expires) }},
	{"endpoint_before", func(e Entry) string { return e.Endpoint.Before }},
	{"endpoint_after", func(e Entry) string { return e.Endpoint.After }},
	{"due_at", func(e Entry) string { return stamp(e.DueAt) }},
	{"started_at", func(e Entry) string { return stamp(e.StartedAt) }},
	{"handed_over_at", func(e Entry) string { return stamp(e.HandedOverAt) }},
	{"nodes_done_at", func(e Entry) string { return stamp(e.NodesDoneAt) }},
	{"completing_at", func(e Entry) string { return entered(e, record.Completing) }},
	{"verifying_at", func(e Entry) string { return entered(e, record.Verifying) }},
	{"approved", func(e Entry) string { return several(e.Approvals, approved) }},
	{"closed_by", func(e Entry) string { return known(e.ClosedBy).line() }},
	{"calls", func(e Entry) string { return several(e.Calls, called) }},
	{"operations", func(e Entry) string { return several(e.Operations, operated) }},
	{"findings", func(e Entry) string { return strings.Join(e.Findings, "; ") }},
	{"wave", func(e Entry) string { return e.Wave }},
	{"emergency", func(e Entry) string { return strconv.FormatBool(e.Emergency) }},
	{"compromised", func(e Entry) string { return strconv.FormatBool(e.Compromised) }},
	{"policy_sha256", func(e Entry) string { return known(e.Policy).Digest }},
	{"policy_at_completion_sha256", func(e Entry) string { return known(e.PolicyAtCompletion).Digest }},
	{"tool", func(e Entry) string { return known(e.Policy).Tool }},
	{"wave_opened_by", func(e Entry) string { return known(e.WaveOpened).line() }},
}

// known is the value, or the zero one where there is none.
func known[T any](p *T) T {
	if p == nil {
		p = new(T)
	}
	return *p
}

func stamp(t time.Time) string {
	return words.If(!t.IsZero(), t.UTC().Format(time.RFC3339))
}

// entered is when the phase was last entered.
func entered(e Entry, p record.Phase) string {
	at := time.Time{}
	for _, ph := range e.Phases {
		if ph.Phase == p {
			at = ph.Entered
		}
	}
	return stamp(at)
}

func (s Said) line() string {
	return words.If(s != (Said{}), fmt.Sprintf("by %s at %s in %s: %s", s.By, stamp(s.At), s.Run, s.Reason))
}

func several[T any](list []T, text func(T) string) string {
	return strings.Join(words.Each(list, text), " | ")
}

func approved(a Approval) string { return string(a.To) + " " + a.line() }

func called(c Call) string {
	return string(c.Kind) + after(c.Pool) + " " + string(c.State) +
		words.If(c.Refusal != "", " ("+string(c.Refusal)+")") + " " + stamp(c.Intended) + " in " + c.Run
}

func operated(o Operation) string { return o.What + after(o.Pool) + after(o.Name) }

// after is the text behind a space, where there is one.
func after(text string) string { return words.If(text != "", " "+text) }

// Table writes entries as CSV, the first line the columns' names.
type Table struct{ w *csv.Writer }

// NewTable makes a table that is written to w.
func NewTable(w io.Writer) *Table {
	t := &Table{csv.NewWriter(w)}
	t.row(func(c column) string { return c.name })
	return t
}

// Write adds an entry.
func (t *Table) Write(e Entry) error {
	t.row(func(c column) string { return cell(c.cell(e)) })
	return t.Flush()
}

func (t *Table) row(text func(column) string) {
	_ = t.w.Write(words.Each(columns, text)) // Flush tells
}

// Flush writes what is not written yet: of an empty table, its titles.
func (t *Table) Flush() error {
	if t.w.Flush(); t.w.Error() != nil {
		return fmt.Errorf("write the evidence: %w", t.w.Error())
	}
	return nil
}

// cell makes text harmless for spreadsheets, too: what begins like a formula is
// run when the file is opened, so it gets the apostrophe that makes it text.
func cell(text string) string {
	text = words.Harmless(text)
	if strings.IndexAny(strings.TrimLeft(text, " \"'"), "=+-@＝＋－＠") == 0 {
		return "'" + text
	}
	return text
}
