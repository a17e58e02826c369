package cloudfake

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/api/monitoring/v3"
)

// ask sends a request as gcloud's proxy setting makes them: with the whole URL.
func ask(f *Fake, method, url, body string) (status int, answer string) {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequest(method, url, strings.NewReader(body)))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestFilter(t *testing.T) {
	policy := object{"displayName": "Run failed", "enabled": false, "userLabels": object{"managed-by": "rotator", "environment": "dev"}}
	tests := map[string]bool{
		`user_labels.managed-by="rotator"`:                              true,
		`user_labels."managed-by"='rotator'`:                            true,
		`userLabels.environment=dev`:                                    true,
		`userLabels.environment != "dev"`:                               false,
		`user_labels.environment="dev" AND user_labels.managed-by="me"`: false,
		`display_name:"failed"`:                                         true,
		`user_labels.absent="x"`:                                        false,
		`user_labels.environment:*`:                                     true,
		`user_labels.absent:*`:                                          false,
		`enabled:false`:                                                 true,
		`disabled:false`:                                                true,
	}
	for filter, want := range tests {
		accept, err := parseFilter(filter)
		if err != nil || accept(policy) != want {
			t.Errorf("%s: not %v, %v", filter, want, err)
		}
	}
	for _, filter := range []string{"a=b OR c=d", "(a=b)", "a=b,c=d", "NOT a=b", "a"} {
		if _, err := parseFilter(filter); err == nil {
			t.Errorf("%s was taken", filter)
		}
	}
}

func TestMerge(t *testing.T) {
	old := object{"a": "1", "b": object{"c": "2", "d": "3"}, "e": "4"}
	got := merge(old, object{"b": object{"c": "5"}, "e": "6", "longName": "7"}, strings.Split("a,b.c,b.d,long_name", ","))
	want := object{"b": object{"c": "5"}, "e": "4", "longName": "7"}
	if !reflect.DeepEqual(got, want) || old["b"].(object)["c"] != "2" {
		t.Errorf("%v of %v, want %v", got, old, want)
	}
}

func TestStrict(t *testing.T) {
	type policy = monitoring.AlertPolicy
	good := object{
		"displayName": "x", "enabled": true, "userLabels": object{"any": "x"}, "documentation": object{"content": "x"},
		"conditions": []any{object{"conditionThreshold": object{"thresholdValue": 1.5, "aggregations": []any{object{"groupByFields": []any{"x"}}}}}},
	}
	if err := strict(good, reflect.TypeFor[policy](), ""); err != nil {
		t.Error(err)
	}
	bad := map[string]object{
		"displayname":                         {"displayname": "only the case is wrong"},
		"'displayName'":                       {"displayName": 1.0},
		"'enabled'":                           {"enabled": "true"},
		"'userLabels.a'":                      {"userLabels": object{"a": 1.0}},
		"'conditions'":                        {"conditions": object{}},
		"conditions[1].conditionAbsent'":      {"conditions": []any{object{}, object{"conditionAbsent": object{"x": "y"}}}},
		"'conditions[0].conditionAbsent'":     {"conditions": []any{object{"conditionAbsent": "x"}}},
		"'documentation': Cannot find field.": {"documentation": object{"text": "x"}},
	}
	for at, body := range bad {
		if err := strict(body, reflect.TypeFor[policy](), ""); err == nil || !strings.Contains(err.Error(), at) {
			t.Errorf("%v: %v, want it to name %s", body, err, at)
		}
	}
}

// TestRecord: faults, hooks and the text of requests.
func TestRecord(t *testing.T) {
	f := New()
	f.AddProject("p", 111)
	f.Enable("p", "pubsub.googleapis.com")
	const topics = "http://pubsub.fake.invalid/v1/projects/p/topics"
	f.Refuse(Fault{Method: http.MethodPut, Path: regexp.MustCompile("^pubsub .*/topics/a$"), Times: 1, Error: QuotaExceeded("m", "projects/p")})
	hooked := 0
	f.AfterMutation(2, func() { hooked = len(f.Requests()) })
	for _, topic := range []string{"a", "a", "b", "c"} {
		ask(f, http.MethodPut, topics+"/"+topic+"?alt=json&x=y", `{"labels":{"l":"<&>"}}`)
	}
	if hooked != 3 {
		t.Errorf("the hook ran after %d requests, want 3", hooked)
	}
	if status, answer := ask(f, http.MethodGet, topics+"?pageSize=2", ""); status != 200 || !strings.Contains(answer, `"nextPageToken":"2"`) || strings.Contains(answer, "topics/c") {
		t.Errorf("first page: %d %s", status, answer)
	}
	if status, answer := ask(f, http.MethodGet, topics+"?pageSize=2&pageToken=2", ""); status != 200 || strings.Contains(answer, "nextPageToken") || !strings.Contains(answer, "topics/c") {
		t.Errorf("second page: %d %s", status, answer)
	}
	got := Text(f.Mutations()[:2])
	want := `PUT pubsub projects/p/topics/a?x=y {"labels":{"l":"<&>"}} -> 429` + "\n" + `PUT pubsub projects/p/topics/a?x=y {"labels":{"l":"<&>"}}` + "\n"
	if got != want || len(f.Mutations()) != 4 || len(f.Requests()) != 6 {
		t.Errorf("%d of %d requests are\n%s", len(f.Mutations()), len(f.Requests()), got)
	}
	f.Forget()
	f.Edit("pubsub", "projects/p/topics/b", func(topic map[string]any) { topic["labels"] = "edited" })
	f.Delete("pubsub", "projects/p/topics/c")
	if f.Resource("pubsub", "projects/p/topics/b")["labels"] != "edited" || f.Resource("pubsub", "projects/p/topics/c") != nil || len(f.Requests()) != 0 {
		t.Errorf("edited: %v", f.Names())
	}
	f.Refuse(Fault{Error: Unauthenticated()})
	if status, _ := ask(f, http.MethodGet, topics, ""); status != 401 {
		t.Errorf("a fault for everything: %d", status)
	}
	f.Heal()
	if status, _ := ask(f, http.MethodGet, topics, ""); status != 200 {
		t.Errorf("healed: %d", status)
	}
}

// TestPolicies: etags, conditions, duplicates, members that are not there.
func TestPolicies(t *testing.T) {
	f := New()
	f.AddProject("p", 111)
	const policy = "http://cloudresourcemanager.fake.invalid/v1/projects/111"
	for _, body := range []string{
		`{"policy":{"etag":"old"}}`,
		`{"policy":{"bindings":[{"role":"roles/viewer","members":["user:a@b.c"],"condition":{"expression":"x"}}]}}`,
		`{"policy":{"bindings":[{"role":"roles/viewer","members":["serviceAccount:none@p.iam.gserviceaccount.com"]}]}}`,
		`{"policy":{"bindings":[{"role":"roles/viewer","members":["somebody"]}]}}`,
		`{"policy":{"bindings":[{"role":"projects/p/roles/none","members":["user:a@b.c"]}]}}`,
		`{"policy":{"bindinks":[]}}`,
		`{}`,
	} {
		if status, answer := ask(f, http.MethodPost, policy+":setIamPolicy", body); status < 400 {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
	ask(f, http.MethodPost, policy+":setIamPolicy", `{"policy":{"version":3,"bindings":[
		{"role":"roles/viewer","members":["user:a@b.c","user:a@b.c"]},{"role":"roles/viewer","members":["user:d@b.c"]},
		{"role":"roles/viewer","members":["user:a@b.c"],"condition":{"expression":"x"}},{"role":"roles/editor","members":[]}]}}`)
	want := []string{
		"cloudresourcemanager projects/p roles/viewer user:a@b.c", "cloudresourcemanager projects/p roles/viewer user:a@b.c if x",
		"cloudresourcemanager projects/p roles/viewer user:d@b.c",
	}
	if got := f.Names(); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
