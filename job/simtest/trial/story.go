package trial

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

// String is the event as one line of a story.
func (e *Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s ", e.At.UTC().Format("01-02 15:04:05.000"))
	if e.Pass > 0 {
		fmt.Fprintf(&b, "%s/%d ", e.Env, e.Pass)
	}
	if !e.Clock.IsZero() {
		fmt.Fprintf(&b, "%s ", e.Clock.Sub(e.At).Truncate(time.Second))
	}
	b.WriteString(string(e.Kind))
	if !e.Cluster.IsZero() {
		b.WriteString(" " + e.Cluster.String())
	}
	if e.Text != "" {
		b.WriteString(" " + e.Text)
	}
	if e.Run != nil {
		fmt.Fprintf(&b, " %s/%d %s look=%t", e.Run.Name, e.Run.Attempt, e.Run.Mode, e.Run.Look)
	}
	if e.Request != nil {
		fmt.Fprintf(&b, " #%d %s %s intent=%s copy=%d", e.Request.N, e.Request.Kind, e.Request.Pool,
			e.Request.Intent, e.Request.Copy)
	}
	if e.Outcome != nil {
		fmt.Fprintf(&b, " %s %s %s %s", e.Outcome.State, e.Outcome.Operation, e.Outcome.Refusal, e.Outcome.Raw)
	}
	if e.Look != nil {
		b.WriteString(e.Look.line(e.At))
	}
	if e.Contents != nil {
		fmt.Fprintf(&b, " in flight %d, slots %d", len(e.Contents.Rotations), len(e.Contents.Fleet.Slots))
	}
	if e.Write != nil {
		b.WriteString(e.Write.line())
	}
	if e.Fact != nil {
		fmt.Fprintf(&b, " CAs %s status %s", bundle(e.Fact.Cluster.Bundle), e.Fact.Cluster.Status)
	}
	return b.String()
}

func (l *Look) line(at time.Time) string {
	s := fmt.Sprintf(" %s as of %s before", l.Project, at.Sub(l.AsOf).Truncate(time.Second))
	if len(l.Clusters) == 1 {
		c := l.Clusters[0]
		s += fmt.Sprintf(" %s CAs %s", c.Status, bundle(c.Bundle))
	} else {
		s += fmt.Sprintf(" %d clusters", len(l.Clusters))
	}
	if l.Operations != nil {
		n, running := 0, 0
		for _, ops := range l.Operations {
			n += len(ops)
			for _, op := range ops {
				if !op.Done {
					running++
				}
			}
		}
		s += fmt.Sprintf(", %d operations, %d running", n, running)
	}
	return s
}

func bundle(b fleet.Bundle) string {
	var out []string
	for _, ca := range b.CAs {
		out = append(out, ca.Fingerprint.Short()+" until "+ca.Expires.Format(time.DateOnly))
	}
	return "[" + strings.Join(out, ", ") + "]" + b.Problem
}

func (w *Write) line() string {
	var s strings.Builder
	c := w.Asked
	if c.Rotation != nil {
		fmt.Fprintf(&s, " %s", rotation(*c.Rotation))
	}
	if c.Close != nil {
		fmt.Fprintf(&s, " closed as %s: %s", c.Close.ClosedAs, rotation(c.Close.Rotation))
	}
	if c.Fleet != nil {
		fmt.Fprintf(&s, " fleet slots=%d holds=%d tries=%d failures=%d", len(c.Fleet.Slots), len(c.Fleet.Holds),
			len(c.Fleet.Tries), len(c.Fleet.Failures))
	}
	if !w.Applied {
		s.WriteString(" NOT APPLIED")
	}
	if w.Delivered != "" {
		s.WriteString(" told: " + w.Delivered)
	}
	return s.String()
}

func rotation(r record.Rotation) string {
	s := fmt.Sprintf("%s#%d %s %s (%s)", r.AttemptID, r.AttemptNo, r.Origin, r.Phase, r.Reason)
	if r.Call != nil {
		s += fmt.Sprintf(" call %s %s %s", r.Call.Kind, r.Call.ID, r.Call.State)
	}
	for _, name := range slices.Sorted(maps.Keys(r.PoolCalls)) {
		c := r.PoolCalls[name]
		s += fmt.Sprintf(" %s %s %s", name, c.ID, c.State)
	}
	return s
}

// about says whether an event belongs into the story of a cluster.
func about(e *Event, ref fleet.Ref) bool {
	switch e.Kind {
	case Begin, Calm, End, Killed, Paused, Settings:
		return true
	}
	return e.Cluster == ref
}

// Story plays a seed once more and tells all that concerns a cluster, one line
// an event, with what the judge said below.
func Story(o Options, ref fleet.Ref) ([]string, error) {
	var lines []string
	passes := map[int]bool{} // that did something to the cluster
	o.Watch = func(e *Event, found []Violation) {
		if e.Cluster == ref && e.Pass > 0 {
			passes[e.Pass] = true
		}
		if about(e, ref) && (e.Pass == 0 || passes[e.Pass]) {
			lines = append(lines, e.String())
		}
		for _, v := range found {
			if v.Cluster == ref || v.Cluster.IsZero() {
				lines = append(lines, fmt.Sprintf("  PROMISE %d IS BROKEN: %s", v.Promise, v.Text))
			}
		}
	}
	_, err := Play(o)
	return lines, err
}
