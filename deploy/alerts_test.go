package deploy_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	monitoring "google.golang.org/api/monitoring/v3"
	"sigs.k8s.io/yaml"

	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/rules"
)

// sample is what the files of this folder are filled in with in tests. They may
// use no other name.
var sample = map[string]string{
	"ENV": "test", "PROJECT": "acme-rotator", "REGION": "europe-west1", "JOB": "rotator-test",
	"ACCOUNT": "rotator-test@acme-rotator.iam.gserviceaccount.com",
	"RUNBOOK": "https://example.com/RUNBOOK.md", "SILENT_HOURS": "3", "CA_DAYS": "45",
}

// placeholder is ours; ${log.extracted_label.x}, in lower case, is filled in by
// Monitoring for each notification.
var placeholder = regexp.MustCompile(`\$\{[A-Z_]*\}`)

// filled is a file with its placeholders filled in.
func filled(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return placeholder.ReplaceAllStringFunc(string(text), func(p string) string {
		value, ok := sample[p[2:len(p)-1]]
		if !ok {
			t.Errorf("%s: nobody fills in %s", file, p)
		}
		return value
	})
}

// decode fills v from a file as Google's API would take it, and refuses what it
// does not know: gcloud passes unknown fields on in silence.
func decode(t *testing.T, file string, v any) {
	t.Helper()
	text, err := yaml.YAMLToJSONStrict([]byte(filled(t, file)))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	// Google's types with numbers decode themselves and let unknown names pass.
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	for _, path := range unknown("", plain, reflect.TypeOf(v)) {
		t.Errorf("%s: the API knows no %s", file, path)
	}
}

// unknown lists the paths in a document that the type has no field for.
func unknown(path string, v any, t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var out []string
	switch v := v.(type) {
	case []any:
		for i, x := range v {
			out = append(out, unknown(fmt.Sprintf("%s[%d]", path, i), x, t.Elem())...)
		}
	case map[string]any:
		if t.Kind() == reflect.Map {
			return nil
		}
		fields := map[string]reflect.Type{}
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			fields[name] = t.Field(i).Type
		}
		for name, x := range v {
			if of, ok := fields[name]; ok && name != "-" {
				out = append(out, unknown(path+"."+name, x, of)...)
			} else {
				out = append(out, path+"."+name)
			}
		}
	}
	return out
}

// alerts are the policies by the stems of their files.
func alerts(t *testing.T) map[string]*monitoring.AlertPolicy {
	t.Helper()
	files, err := filepath.Glob("alerts/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no alerts: %v", err)
	}
	out := map[string]*monitoring.AlertPolicy{}
	for _, file := range files {
		var p monitoring.AlertPolicy
		decode(t, file, &p)
		out[strings.TrimSuffix(filepath.Base(file), ".yaml")] = &p
	}
	return out
}

// TestStrictDecode: a name that the API does not know is found at any depth.
func TestStrictDecode(t *testing.T) {
	var doc any
	text := `{"conditions": [{"conditionThreshold": {"thresholdValu": 0, "trigger": {"cuont": 1}}}], "documentation": {"contents": ""}}`
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	got := unknown("", doc, reflect.TypeFor[monitoring.AlertPolicy]())
	slices.Sort(got)
	want := []string{".conditions[0].conditionThreshold.thresholdValu",
		".conditions[0].conditionThreshold.trigger.cuont", ".documentation.contents"}
	if !slices.Equal(got, want) {
		t.Errorf("unknown %q, want %q", got, want)
	}
}

// TestAlertPolicies: what the API demands of a policy, and what we do.
func TestAlertPolicies(t *testing.T) {
	titles := map[string]string{}
	for stem, p := range alerts(t) {
		t.Run(stem, func(t *testing.T) {
			if other := titles[p.DisplayName]; other != "" {
				t.Errorf("%s has the same displayName", other)
			}
			titles[p.DisplayName] = stem
			if !strings.HasPrefix(p.DisplayName, "rotator test: ") || len(p.DisplayName) > 512 {
				t.Errorf("displayName %q: the environment first, at most 512 characters", p.DisplayName)
			}
			if !slices.Contains([]string{"CRITICAL", "ERROR", "WARNING"}, p.Severity) || p.Combiner != "OR" {
				t.Errorf("severity %q, combiner %q", p.Severity, p.Combiner)
			}
			if len(p.UserLabels)+len(p.NotificationChannels) > 0 || p.Name != "" || p.Enabled {
				t.Error("labels, channels, name and enabled are what scripts/setup sets")
			}
			if len(p.Conditions) != 1 {
				t.Fatalf("%d conditions; a log or PromQL condition must be alone, and we have no use for more",
					len(p.Conditions))
			}
			checkDocumentation(t, stem, p)
			checkCondition(t, p)
		})
	}
}

func checkDocumentation(t *testing.T, stem string, p *monitoring.AlertPolicy) {
	t.Helper()
	d := p.Documentation
	if d == nil || d.MimeType != "text/markdown" || len(d.Content) > 8192 {
		t.Fatalf("documentation %+v", d)
	}
	if want := sample["RUNBOOK"] + "#alert-" + stem + "\n"; !strings.HasSuffix(d.Content, want) {
		t.Errorf("the documentation does not end with %q", want)
	}
	labels := map[string]string{}
	if m := p.Conditions[0].ConditionMatchedLog; m != nil {
		labels = m.LabelExtractors
	}
	for _, variable := range regexp.MustCompile(`\$\{[^}]*\}`).FindAllString(d.Content, -1) {
		name, ok := strings.CutPrefix(strings.Trim(variable, "${}"), "log.extracted_label.")
		if _, extracted := labels[name]; !ok || !extracted {
			t.Errorf("the documentation names %s, which no label extractor gives", variable)
		}
	}
}

func checkCondition(t *testing.T, p *monitoring.AlertPolicy) {
	t.Helper()
	c, s := p.Conditions[0], p.AlertStrategy
	if s == nil {
		s = &monitoring.AlertStrategy{}
	}
	if (c.ConditionMatchedLog != nil) != (s.NotificationRateLimit != nil) {
		t.Error("notificationRateLimit is demanded of a log condition, and of no other")
	}
	if s.AutoClose != "" {
		within(t, "autoClose", s.AutoClose, 30*time.Minute, 7*24*time.Hour)
	}
	switch {
	case c.ConditionMatchedLog != nil:
		within(t, "notificationRateLimit", s.NotificationRateLimit.Period, 5*time.Minute, 24*time.Hour)
		if s.AutoClose == "" {
			t.Error("a log condition never gets well by itself: autoClose")
		}
		if _, err := readFilter(c.ConditionMatchedLog.Filter); err != nil {
			t.Errorf("filter: %v\n%s", err, c.ConditionMatchedLog.Filter)
		}
	case c.ConditionPrometheusQueryLanguage != nil:
		q := c.ConditionPrometheusQueryLanguage
		if !q.DisableMetricValidation {
			t.Error("the metric does not exist before the first run: disableMetricValidation")
		}
		every := within(t, "evaluationInterval", q.EvaluationInterval, 30*time.Second, time.Hour)
		if every%(30*time.Second) != 0 {
			t.Errorf("evaluationInterval %s is no multiple of 30s", every)
		}
	case c.ConditionThreshold != nil:
		if _, err := readFilter(c.ConditionThreshold.Filter); err != nil {
			t.Errorf("filter: %v", err)
		}
	default:
		t.Error("a condition of an unknown kind")
	}
}

func within(t *testing.T, what, text string, least, most time.Duration) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil || !strings.HasSuffix(text, "s") || d < least || d > most {
		t.Errorf("%s %q: seconds, from %s to %s", what, text, least, most)
	}
	return d
}

// logFilters are the filters over our own log lines, by alert.
func logFilters(t *testing.T) map[string]expr {
	t.Helper()
	out := map[string]expr{}
	for stem, p := range alerts(t) {
		if m := p.Conditions[0].ConditionMatchedLog; m != nil {
			e, err := readFilter(m.Filter)
			if err != nil {
				t.Fatalf("%s: %v", stem, err)
			}
			out[stem] = e
		}
	}
	return out
}

// TestFiltersNameWhatExists: every event and reason in a filter is one of the
// program's, and every filter but that of the audit log names its job, its
// environment and an event.
func TestFiltersNameWhatExists(t *testing.T) {
	events := eventsInSource(t)
	reasons := reasonsInSource()
	for stem, e := range logFilters(t) {
		named := map[string][]string{}
		for _, c := range comparisons(e) {
			for _, v := range c.values {
				named[c.field] = append(named[c.field], v.text)
			}
		}
		for _, name := range named["jsonPayload.event"] {
			if !slices.Contains(events, name) {
				t.Errorf("%s: the program has no event %q; it has %s", stem, name, strings.Join(events, ", "))
			}
		}
		for _, name := range named["jsonPayload.reason"] {
			if !slices.Contains(reasons, name) {
				t.Errorf("%s: the program has no reason %q", stem, name)
			}
		}
		if stem == "foreign-call" {
			continue
		}
		if len(named["jsonPayload.event"]) == 0 || !slices.Equal(named["jsonPayload.env"], []string{"test"}) ||
			!slices.Equal(named["resource.labels.job_name"], []string{"rotator-test"}) {
			t.Errorf("%s: event, env and job must be named: %v", stem, named)
		}
	}
}

// TestDaysAreDue: the alert reads the lines of clusters that are due, so no
// environment may ask for more days than ROTATE_BEFORE_EXPIRY makes due; and
// fewer than 31 would come after GKE's own last resort.
func TestDaysAreDue(t *testing.T) {
	files, err := filepath.Glob("env/*.env")
	if err != nil || len(files) == 0 {
		t.Fatalf("no environments: %v", err)
	}
	for _, file := range files {
		s := settingsOf(t, file)
		const setting = "ROTATOR_ROTATE_BEFORE_EXPIRY"
		days, err := fleet.ParseDuration(s["CA_DAYS"] + "d")
		due, err2 := fleet.ParseDuration(cmp.Or(s[setting], defaultOf(t, setting)))
		if err != nil || err2 != nil || days <= rules.DeadlineBefore || days >= due {
			t.Errorf("%s: CA_DAYS=%s is not between %s and %s=%s", file, s["CA_DAYS"],
				fleet.Days(rules.DeadlineBefore), setting, fleet.Days(due))
		}
	}
}

// defaultOf reads a setting's default from the reference, which is made from
// the program.
func defaultOf(t *testing.T, setting string) string {
	t.Helper()
	text, err := os.ReadFile("CONFIG.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?m)^\\| \\[`" + setting + "`\\][^|]*\\| `([^`]*)`").FindSubmatch(text)
	if m == nil {
		t.Fatalf("CONFIG.md has no default of %s", setting)
	}
	return string(m[1])
}

// TestFilterReader: the reader of filters, on what decides an alert.
func TestFilterReader(t *testing.T) {
	entry := map[string]any{"a": map[string]any{"b": "Blocked", "n": 12.0, "yes": true, "no": false, "": ""},
		"empty": ""}
	for filter, want := range map[string]bool{
		`a.b="blocked"`: true, `a.b="block"`: false, `a.b:"block"`: true, `a.b=~"^B.*d$"`: true, `a.b=~"^b"`: false,
		`a.n<13`: true, `a.n<12`: false, `a.n=12`: true, `a.x="1"`: false, `NOT a.x="1"`: true, `empty=~"."`: false,
		`a.b=("x" OR "blocked")`: true, `NOT a.b=("x" OR "blocked")`: false,
		`a.n<13 AND (a.x="1" OR a.b:"LOCK")`: true, `a.n<13 AND NOT a.b="blocked"`: false, `a.b<1`: false,
		`a.yes=true`: true, `a.yes=false`: false, `a.no=false`: true, `a.x=true`: false, `a.x=false`: false,
		`NOT a.x=true`: true, `NOT a.no=true`: true,
		`a.yes="true"`: false, `a.b=true`: false, `a.n=true`: false, `NOT (a.yes=true AND NOT a.x=true)`: false,
		`NOT (a.yes=true AND NOT a.yes=true)`: true,
		`a.no=(true OR false)`:                true,
	} {
		e, err := readFilter(filter)
		if err != nil || e.match(entry) != want {
			t.Errorf("%s: %v, want %v", filter, err, want)
		}
	}
	for _, filter := range []string{
		``, `a`, `a=`, `a=b`, `a!="b"`, `a="b" OR c="d" AND e="f"`, `a="b" c="d"`, `(a="b"`, `a=("b" "c")`, `a>1`,
		`a<"1"`, `a="b`, `a=~"("`, `a="x\"y"`, `NOT`, `AND a="b"`,
		`a<true`, `a:true`, `a=~false`, `a=True`, `operation.last=false`,
	} {
		if e, err := readFilter(filter); err == nil {
			t.Errorf("%s was read as %v", filter, e)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
