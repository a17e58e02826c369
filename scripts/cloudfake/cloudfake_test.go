package cloudfake

import (
	"fmt"
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
	policy := object{"displayName": "Run failed", "enabled": false, "userLabels": object{"managed-by": "rotator",
		"environment": "dev"}}
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
	got := merge(old, object{"b": object{"c": "5"}, "e": "6", "longName": "7"},
		strings.Split("a,b.c,b.d,long_name", ","))
	want := object{"b": object{"c": "5"}, "e": "4", "longName": "7"}
	if !reflect.DeepEqual(got, want) || old["b"].(object)["c"] != "2" {
		t.Errorf("%v of %v, want %v", got, old, want)
	}
}

func TestStrict(t *testing.T) {
	type policy = monitoring.AlertPolicy
	good := object{
		"displayName": "x", "enabled": true, "userLabels": object{"any": "x"},
		"documentation": object{"content": "x"},
		"conditions": []any{object{"conditionThreshold": object{"thresholdValue": 1.5,
			"aggregations": []any{object{"groupByFields": []any{"x"}}}}}},
	}
	if err := strict(good, reflect.TypeFor[policy](), ""); err != nil {
		t.Error(err)
	}
	bad := map[string]object{
		"displayname":    {"displayname": "only the case is wrong"},
		"'displayName'":  {"displayName": 1.0},
		"'enabled'":      {"enabled": "true"},
		"'userLabels.a'": {"userLabels": object{"a": 1.0}},
		"'conditions'":   {"conditions": object{}},
		"conditions[1].conditionAbsent'": {"conditions": []any{object{},
			object{"conditionAbsent": object{"x": "y"}}}},
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
	f.Refuse(Fault{Method: http.MethodPut, Path: regexp.MustCompile("^pubsub .*/topics/a$"), Times: 1,
		Error: QuotaExceeded("m", "projects/p")})
	hooked := 0
	f.AfterMutation(2, func() { hooked = len(f.Requests()) })
	for _, topic := range []string{"a", "a", "b", "c"} {
		ask(f, http.MethodPut, topics+"/"+topic+"?alt=json&x=y", `{"kmsKeyName":"<&>"}`)
	}
	if hooked != 3 {
		t.Errorf("the hook ran after %d requests, want 3", hooked)
	}
	if status, answer := ask(f, http.MethodGet, topics+"?pageSize=2", ""); status != 200 ||
		!strings.Contains(answer, `"nextPageToken":"2"`) || strings.Contains(answer, "topics/c") {
		t.Errorf("first page: %d %s", status, answer)
	}
	if status, answer := ask(f, http.MethodGet, topics+"?pageSize=2&pageToken=2", ""); status != 200 ||
		strings.Contains(answer, "nextPageToken") || !strings.Contains(answer, "topics/c") {
		t.Errorf("second page: %d %s", status, answer)
	}
	got := Text(f.Mutations()[:2])
	want := `PUT pubsub projects/p/topics/a?x=y {"kmsKeyName":"<&>"} -> 429` + "\n" +
		`PUT pubsub projects/p/topics/a?x=y {"kmsKeyName":"<&>"}` + "\n"
	if got != want || len(f.Mutations()) != 4 || len(f.Requests()) != 6 {
		t.Errorf("%d of %d requests are\n%s", len(f.Mutations()), len(f.Requests()), got)
	}
	f.Forget()
	f.Edit("pubsub", "projects/p/topics/b", func(topic map[string]any) { topic["labels"] = "edited" })
	f.Delete("pubsub", "projects/p/topics/c")
	if f.Resource("pubsub", "projects/p/topics/b")["labels"] != "edited" ||
		f.Resource("pubsub", "projects/p/topics/c") != nil || len(f.Requests()) != 0 {
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
		"cloudresourcemanager projects/p roles/viewer user:a@b.c",
		"cloudresourcemanager projects/p roles/viewer user:a@b.c if x",
		"cloudresourcemanager projects/p roles/viewer user:d@b.c",
	}
	if got := f.Names(); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestBuild: what Cloud Build says about substitutions and about tags.
func TestBuild(t *testing.T) {
	build := func(template string) (int, string) {
		f := New()
		f.AllEnabled = true
		f.AddProject("b", 112)
		ask(f, http.MethodPost,
			"http://artifactregistry.fake.invalid/v1/projects/b/locations/us/repositories?repositoryId=r",
			`{"format":"DOCKER","dockerConfig":{"immutableTags":true}}`)
		f.AddImage("us-docker.pkg.dev/b/r/i:taken")
		return ask(f, http.MethodPost,
			"http://cloudbuild.fake.invalid/v1/projects/112/locations/us-central1/builds", template)
	}
	good := map[string]string{
		`{"images":["us-docker.pkg.dev/$PROJECT_ID/r/i:${_T}"],"substitutions":{"_T":"new"}}`:                                        `"name":"us-docker.pkg.dev/b/r/i:new"`,
		`{"images":["us-docker.pkg.dev/b/r/i:taken"]}`:                                                                               `"status":"FAILURE"`,
		`{"steps":[{"args":["${LOCATION} $$HOME $COMMIT_SHA."],"script":"echo $HOME"}]}`:                                             `"us-central1 $HOME ."`,
		`{"tags":["$_A"],"substitutions":{"_A":"${_B}-x","_B":"y"},"options":{"dynamicSubstitutions":true}}`:                         `"tags":["y-x"]`,
		`{"tags":["$_A"],"substitutions":{"_A":"${_B}"},"options":{"dynamicSubstitutions":true,"substitutionOption":"ALLOW_LOOSE"}}`: `"tags":[""]`,
		`{"substitutions":{"_A":"x","COMMIT_SHA":"y"},"options":{"automapSubstitutions":true},"serviceAccount":""}`:                  `"status":"SUCCESS"`,
	}
	for template, want := range good {
		if status, answer := build(template); status != 200 || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s, want %s", template, status, answer, want)
		}
	}
	bad := map[string]string{
		`{"tags":["$_A"]}`:                     "not a valid built-in",
		`{"tags":["$HOME"]}`:                   "not a valid built-in",
		`{"substitutions":{"_A":"x"}}`:         "not matched in the template",
		`{"substitutions":{"a":"x"}}`:          "underscore",
		`{"substitutions":{"PROJECT_ID":"x"}}`: "underscore",
		`{"stepps":[]}`:                        "stepps",
		`{"serviceAccount":"projects/b/serviceAccounts/n@b.iam.gserviceaccount.com"}`:                                            "logging options",
		`{"serviceAccount":"projects/b/serviceAccounts/n@b.iam.gserviceaccount.com","options":{"logging":"CLOUD_LOGGING_ONLY"}}`: "does not exist",
	}
	for template, want := range bad {
		if status, answer := build(template); status != 400 || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s, want %s", template, status, answer, want)
		}
	}
}

// TestLimits: what Google refuses although its type is right.
func TestLimits(t *testing.T) {
	f := New()
	f.AllEnabled = true
	f.AddProject("p", 111)
	f.AddProject("q", 112)
	ask(f, http.MethodPost, "http://iam.fake.invalid/v1/projects/q/serviceAccounts", `{"accountId":"elsewhere"}`)
	condition := `{"displayName":"c","conditionThreshold":{"filter":"x"}}`
	policy := `{"displayName":"x","combiner":"OR","userLabels":{%q:%q},"documentation":{"content":%q},"alertStrategy":{%s},"conditions":[%s]}`
	const policies, jobs = "monitoring.fake.invalid/v3/projects/p/alertPolicies",
		"cloudscheduler.fake.invalid/v1/projects/p/locations/l/jobs"
	const limit = `"notificationRateLimit":{"period":"60s"}`
	match, promql := `{"conditionMatchedLog":{"filter":"x"}}`,
		`{"conditionPrometheusQueryLanguage":{"query":"x"}}`
	for _, x := range []struct {
		url, body string
		ok        bool
	}{
		{policies, fmt.Sprintf(policy, "a-1", "b_2", "c", "", condition), true},
		{policies, fmt.Sprintf(policy, "A", "b", "c", "", condition), false},
		{policies, fmt.Sprintf(policy, "a", "B", "c", "", condition), false},
		{policies, fmt.Sprintf(policy, "a", strings.Repeat("b", 64), "c", "", condition), false},
		{policies, fmt.Sprintf(policy, "a", "b", strings.Repeat("c", 8193), "", condition), false},
		{policies, fmt.Sprintf(policy, "a", "b", "c", "", strings.Repeat(condition+",", 6)+condition), false},
		{policies, fmt.Sprintf(policy, "a", "b", "c", limit, condition), false},
		{policies, fmt.Sprintf(policy, "a", "b", "c", limit, match), true},
		{policies, fmt.Sprintf(policy, "a", "b", "c", "", match), false},
		{policies, fmt.Sprintf(policy, "a", "b", "c", "", promql), true},
		{policies, fmt.Sprintf(policy, "a", "b", "c", "", promql+","+condition), false},
		{jobs, `{"name":"x","schedule":"1 2 * * *","httpTarget":{}}`, true},
		{jobs, `{"name":"y","schedule":"1 2 * *","httpTarget":{}}`, false},
		{jobs, `{"name":"y","schedule":"1 2 * * *"}`, false},
		{jobs, `{"name":"y","schedule":"1 2 * * *","httpTarget":{"oauthToken":{"serviceAccountEmail":"elsewhere@q.iam.gserviceaccount.com"}}}`, false},
		{"iam.fake.invalid/v1/projects/p/roles", `{"roleId":"r","role":{"title":"` + strings.Repeat("x", 101) +
			`"}}`, false},
		{"iam.fake.invalid/v1/projects/p/serviceAccounts", `{"accountId":"short"}`, false},
	} {
		if status, answer := ask(f, http.MethodPost, "http://"+x.url, x.body); (status == 200) != x.ok {
			t.Errorf("%s: %d %s", x.body, status, answer)
		}
	}
}
