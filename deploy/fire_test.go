package deploy_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// quietEvents are warnings and errors that no alert is for, and why.
var quietEvents = map[string]string{
	"notifications_wait":            "the next run tells again, and a hand-over among them is blocked from then on",
	"call_withdrawn":                "once is an ordinary race; the second in a row is blocked",
	"notifications_dropped":         "notifications_wait has been in the log for a day or a month by then",
	"ca_expiring":                   "cluster_evaluated of the same run has the same days, and ca-expires reads that; with more than CA_DAYS left nobody need hear of it",
	"action_failed/throttled":       "the next run tries again; three starts in vain are tries-exhausted, which is blocked",
	"action_failed/other-operation": "likewise",
	"action_failed/stale-etag":      "the next run reads the pool anew; if nothing moves, rotation-stuck fires",
	"action_failed/call-unsettled":  "the next runs find out by what GKE shows",
	"action_failed/not-started":     "the start that was refused before; the next run may try again",
}

// TestAlertsFire: each alert fires in the scenes that it is for and in no
// other, over the lines that the job really writes; and every warning is
// somebody's.
func TestAlertsFire(t *testing.T) {
	filters := logFilters(t)
	extractors := map[string]map[string]string{}
	for stem, p := range alerts(t) {
		if m := p.Conditions[0].ConditionMatchedLog; m != nil {
			extractors[stem] = m.LabelExtractors
		}
	}
	heard := map[string]bool{"command_failed": true} // no run's line: run-failed counts such executions
	for _, scene := range played(t) {
		for _, e := range scene.entries {
			caught := false
			for stem, filter := range filters {
				if filter.match(e) {
					caught = true
					checkExtractors(t, stem, extractors[stem], e)
				}
			}
			checkLoud(t, e, caught, heard)
		}
		if got := firing(filters, scene); !slices.Equal(got, scene.want) {
			t.Errorf("%s: fired %q, want %q; logged:\n%s", scene.name, got, scene.want, scene.logged)
		}
	}
	for _, name := range eventsInSource(t) {
		if !heard[name] {
			t.Errorf("no scene has the event %s, so nobody knows which alert hears it", name)
		}
	}
}

// performance is a scene that was played.
type performance struct {
	name    string
	want    []string
	entries []map[string]any
	logged  string
}

func played(t *testing.T) []performance {
	t.Helper()
	var out []performance
	for _, scene := range scenes {
		s := newStage(t)
		scene.play(s)
		out = append(out, performance{scene.name, slices.Sorted(slices.Values(scene.fires)), s.entries(),
			s.logged.String()})
	}
	return out
}

// firing lists the alerts that fire in a scene.
func firing(filters map[string]expr, scene performance) []string {
	var out []string
	for stem, filter := range filters {
		if slices.ContainsFunc(scene.entries, filter.match) {
			out = append(out, stem)
		}
	}
	slices.Sort(out)
	return out
}

// TestEveryPartOfAFilterMatters: with any value of any filter made wrong, some
// scene has another outcome. So no name in a filter can rot unseen.
func TestEveryPartOfAFilterMatters(t *testing.T) {
	scenes := played(t)
	for stem, filter := range logFilters(t) {
		for _, c := range comparisons(filter) {
			for i, was := range c.values {
				c.values[i] = value{text: was.text + "-wrong", other: wrong(was.other), re: regexp.MustCompile("^wrong$")}
				same := true
				for _, scene := range scenes {
					same = same && slices.ContainsFunc(scene.entries, filter.match) == slices.Contains(scene.want, stem)
				}
				if same {
					t.Errorf("%s: no scene needs %q%v of %s", stem, was.text, was.other, c.field)
				}
				c.values[i] = was
			}
		}
	}
}

// wrong is another number or boolean; a text is neither.
func wrong(was any) any {
	switch was := was.(type) {
	case float64:
		return -1e9
	case bool:
		return !was
	}
	return nil
}

// checkLoud: a warning or an error is caught by an alert, or named as one that
// nobody need hear of.
func checkLoud(t *testing.T, e map[string]any, caught bool, heard map[string]bool) {
	t.Helper()
	event, _ := at(e, "jsonPayload.event")
	name, ok := event.(string)
	heard[name] = true
	if !ok || (e["severity"] != "WARNING" && e["severity"] != "ERROR") {
		return
	}
	reason, _ := at(e, "jsonPayload.reason")
	key := name
	if text, ok := reason.(string); ok {
		key += "/" + text
	}
	if !caught && quietEvents[name] == "" && quietEvents[key] == "" {
		t.Errorf("%s is told as %v, and no alert hears it: %v", key, e["severity"], e["jsonPayload"])
	}
}

func checkExtractors(t *testing.T, stem string, extractors map[string]string, e map[string]any) {
	t.Helper()
	for label, how := range extractors {
		field, ok := strings.CutPrefix(strings.TrimSuffix(how, ")"), "EXTRACT(")
		if _, there := at(e, field); !ok || !there {
			t.Errorf("%s: %s is %s, which this line has not: %v", stem, label, how, e)
		}
	}
}
