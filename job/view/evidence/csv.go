package evidence

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
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
	{"new_ca_sha256", func(e Entry) string { return string(newCA(e).Fingerprint) }},
	{"new_ca_issued", func(e Entry) string { return stamp(newCA(e).Issued) }},
	{"new_ca_expires", func(e Entry) string { return stamp(newCA(e).Expires) }},
	{"endpoint_before", func(e Entry) string { return e.Endpoint.Before }},
	{"endpoint_after", func(e Entry) string { return e.Endpoint.After }},
	{"due_at", func(e Entry) string { return stamp(e.DueAt) }},
	{"started_at", func(e Entry) string { return stamp(e.StartedAt) }},
	{"handed_over_at", func(e Entry) string { return stamp(e.HandedOverAt) }},
	{"nodes_done_at", func(e Entry) string { return stamp(e.NodesDoneAt) }},
	{"completing_at", func(e Entry) string { return entered(e, record.Completing) }},
	{"verifying_at", func(e Entry) string { return entered(e, record.Verifying) }},
	{"approved", approved},
	{"closed_by", func(e Entry) string {
		if e.ClosedBy == nil {
			return ""
		}
		return e.ClosedBy.line()
	}},
	{"calls", called},
	{"operations", operated},
	{"findings", func(e Entry) string { return strings.Join(e.Findings, "; ") }},
	{"wave", func(e Entry) string { return e.Wave }},
	{"emergency", func(e Entry) string { return strconv.FormatBool(e.Emergency) }},
	{"compromised", func(e Entry) string { return strconv.FormatBool(e.Compromised) }},
	{"policy_sha256", func(e Entry) string { return under(e.Policy).Digest }},
	{"policy_at_completion_sha256", func(e Entry) string { return under(e.PolicyAtCompletion).Digest }},
	{"tool", func(e Entry) string { return under(e.Policy).Tool }},
}

func newCA(e Entry) fleet.CA {
	if e.NewCA == nil {
		return fleet.CA{}
	}
	return *e.NewCA
}

func under(p *record.InForce) record.InForce {
	if p == nil {
		return record.InForce{}
	}
	return *p
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
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
	return fmt.Sprintf("by %s at %s in %s: %s", s.By, stamp(s.At), s.Run, s.Reason)
}

func approved(e Entry) string {
	var out []string
	for _, a := range e.Approvals {
		out = append(out, string(a.To)+" "+a.line())
	}
	return strings.Join(out, " | ")
}

func called(e Entry) string {
	var out []string
	for _, c := range e.Calls {
		text := string(c.Kind)
		if c.Pool != "" {
			text += " " + c.Pool
		}
		text += " " + string(c.State)
		if c.Refusal != "" {
			text += " (" + string(c.Refusal) + ")"
		}
		out = append(out, text+" "+stamp(c.Intended)+" in "+c.Run)
	}
	return strings.Join(out, " | ")
}

func operated(e Entry) string {
	var out []string
	for _, o := range e.Operations {
		text := o.What
		if o.Pool != "" {
			text += " " + o.Pool
		}
		out = append(out, strings.TrimSpace(text+" "+o.Name))
	}
	return strings.Join(out, " | ")
}

// Table writes entries as CSV, the first line the columns' names.
type Table struct {
	w      *csv.Writer
	titled bool
}

// NewTable makes a table that is written to w.
func NewTable(w io.Writer) *Table { return &Table{w: csv.NewWriter(w)} }

// Write adds an entry.
func (t *Table) Write(e Entry) error {
	t.title()
	row := make([]string, len(columns))
	for i, c := range columns {
		row[i] = cell(c.cell(e))
	}
	_ = t.w.Write(row) // Flush tells
	return t.Flush()
}

func (t *Table) title() {
	if t.titled {
		return
	}
	t.titled = true
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	_ = t.w.Write(names) // Flush tells
}

// Flush writes what is not written yet: of an empty table, its titles.
func (t *Table) Flush() error {
	t.title()
	if t.w.Flush(); t.w.Error() != nil {
		return fmt.Errorf("write the evidence: %w", t.w.Error())
	}
	return nil
}

// cell makes text harmless for spreadsheets, too: what begins like a formula is
// run when the file is opened, so it gets the apostrophe that makes it text.
func cell(text string) string {
	text = words.Harmless(text)
	if begin := strings.TrimLeft(text, " \"'"); begin != "" && strings.ContainsAny(begin[:1], "=+-@") ||
		strings.HasPrefix(begin, "＝") || strings.HasPrefix(begin, "＋") || strings.HasPrefix(begin, "－") ||
		strings.HasPrefix(begin, "＠") {
		return "'" + text
	}
	return text
}
