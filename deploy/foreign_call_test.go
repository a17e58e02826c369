package deploy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	dashboards "google.golang.org/api/monitoring/v1"
)

// Audit entries of GKE as they were recorded, for calls that nobody has
// recorded. A call that takes time has two: the last has no authenticationInfo at
// all. One that is refused has a single entry without operation.
const (
	auditBegin = `{
		"logName": "projects/shop/logs/cloudaudit.googleapis.com%2Factivity", "severity": "NOTICE",
		"operation": {"id": "operation-1726191716103-f4072772", "producer": "container.googleapis.com", "first": true},
		"resource": {"type": "gke_cluster", "labels": {"cluster_name": "web", "location": "europe-west1", "project_id": "shop"}},
		"protoPayload": {"serviceName": "container.googleapis.com", "methodName": "google.container.v1.ClusterManager.StartIPRotation",
			"resourceName": "projects/shop/locations/europe-west1/clusters/web",
			"authenticationInfo": {"principalEmail": "ann@acme.example", "principalSubject": "user:ann@acme.example"},
			"response": {"@type": "type.googleapis.com/google.container.v1alpha1.Operation", "status": "RUNNING"}}}`
	auditEnd = `{
		"logName": "projects/shop/logs/cloudaudit.googleapis.com%2Factivity", "severity": "NOTICE",
		"operation": {"id": "operation-1726191716103-f4072772", "producer": "container.googleapis.com", "last": true},
		"resource": {"type": "gke_cluster", "labels": {"cluster_name": "web", "location": "europe-west1", "project_id": "shop"}},
		"protoPayload": {"serviceName": "container.googleapis.com", "methodName": "google.container.v1.ClusterManager.StartIPRotation",
			"resourceName": "projects/shop/zones/europe-west1/clusters/web", "status": {}, "metadata": {"operationType": "UPDATE_CLUSTER"}}}`
	auditRefused = `{
		"logName": "projects/shop/logs/cloudaudit.googleapis.com%2Factivity", "severity": "ERROR",
		"resource": {"type": "gke_cluster", "labels": {"cluster_name": "web", "location": "europe-west1", "project_id": "shop"}},
		"protoPayload": {"serviceName": "container.googleapis.com", "methodName": "google.container.v1.ClusterManager.StartIPRotation",
			"resourceName": "projects/shop/locations/europe-west1/clusters/web", "status": {"code": 9, "message": "not now"},
			"authenticationInfo": {"principalEmail": "ann@acme.example", "principalSubject": "user:ann@acme.example"}}}`
	// Logging has begin and end in one entry for what is done at once.
	auditAtOnce = `{
		"logName": "projects/shop/logs/cloudaudit.googleapis.com%2Factivity", "severity": "NOTICE",
		"operation": {"id": "operation-1", "producer": "container.googleapis.com", "first": true, "last": true},
		"resource": {"type": "gke_cluster", "labels": {"cluster_name": "web", "location": "europe-west1", "project_id": "shop"}},
		"protoPayload": {"serviceName": "container.googleapis.com", "methodName": "google.container.v1.ClusterManager.StartIPRotation",
			"resourceName": "projects/shop/locations/europe-west1/clusters/web",
			"authenticationInfo": {"principalEmail": "ann@acme.example"}}}`
)

// rotationMethods are the two calls in all versions of the API: v1alpha1 is what
// gcloud alpha sends, v2 is one to come.
func rotationMethods() (names []string) {
	for _, version := range []string{"v1", "v1beta1", "v1alpha1", "v2"} {
		for _, call := range []string{"StartIPRotation", "CompleteIPRotation"} {
			names = append(names, "google.container."+version+".ClusterManager."+call)
		}
	}
	return names
}

// auditEntry is a recorded entry with another method, and if it names a caller,
// with another caller.
func auditEntry(t *testing.T, recorded, method, who string) (e map[string]any, names bool) {
	t.Helper()
	if err := json.Unmarshal([]byte(recorded), &e); err != nil {
		t.Fatal(err)
	}
	payload := e["protoPayload"].(map[string]any)
	if method != "" {
		payload["methodName"] = method
	}
	caller, names := payload["authenticationInfo"].(map[string]any)
	if names {
		caller["principalEmail"] = who
	}
	return e, names
}

// rotationCallFilters are all the filters that pick these calls out of audit
// logs: of the sink that brings them, of the dashboard and of the runbook.
func rotationCallFilters(t *testing.T) map[string]expr {
	t.Helper()
	texts := map[string]string{}
	shell, err := os.ReadFile("../scripts/lib/watch.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^readonly ROTATION_CALLS='(.*)'$`).FindAllStringSubmatch(string(shell), -1) {
		texts["the sink"] = m[1]
	}
	for _, command := range commandsIn(runbook(t)) {
		if args, err := words(command); err == nil && args[0] == "gcloud" && args[1] == "logging" &&
			strings.Contains(args[3], "IPRotation") {
			texts["the runbook"] = args[3]
		}
	}
	var d dashboards.Dashboard
	decode(t, "dashboard.json", &d)
	for _, tile := range d.MosaicLayout.Tiles {
		if p := tile.Widget.LogsPanel; p != nil && strings.Contains(p.Filter, "IPRotation") {
			texts["the dashboard"] = p.Filter
		}
	}
	filters := map[string]expr{}
	for _, where := range []string{"the sink", "the runbook", "the dashboard"} {
		e, err := readFilter(texts[where])
		if err != nil {
			t.Errorf("%s: %v in %q", where, err, texts[where])
			continue
		}
		filters[where] = e
	}
	return filters
}

// checkForeignCall plays the entries of one call: who calls is told once, by the
// one entry that names a caller; the alert never rings for our own account.
func checkForeignCall(t *testing.T, name string, recorded []string) {
	t.Helper()
	filters := rotationCallFilters(t)
	filters["the alert"] = logFilters(t)["foreign-call"]
	for _, method := range rotationMethods() {
		for _, who := range []string{sample["ACCOUNT"], "ann@acme.example",
			"rotator-dev@acme-rotator.iam.gserviceaccount.com"} {
			want, got := 0, map[string]int{}
			for _, text := range recorded {
				e, names := auditEntry(t, text, method, who)
				if names {
					want++
				}
				for where, filter := range filters {
					if filter.match(e) {
						got[where]++
					}
				}
			}
			for where := range filters {
				want := want
				if where == "the alert" && who == sample["ACCOUNT"] {
					want = 0
				}
				if got[where] != want {
					t.Errorf("%s, %s by %s: %s has it %d times, want %d", name, method, who, where, got[where], want)
				}
			}
		}
	}
	for _, text := range recorded {
		e, _ := auditEntry(t, text, "google.container.v1.ClusterManager.SetMaintenancePolicy", "ann@acme.example")
		for where, filter := range filters {
			if filter.match(e) {
				t.Errorf("%s: %s has a call of another method", name, where)
			}
		}
	}
}

func TestForeignCall(t *testing.T) {
	for name, entries := range map[string][]string{
		"accepted": {auditBegin, auditEnd}, "refused": {auditRefused}, "done at once": {auditAtOnce},
		"its end alone": {auditEnd},
	} {
		checkForeignCall(t, name, entries)
	}
}

// TestForeignCallWithoutAddress: a caller of workforce identity federation has no
// principalEmail.
func TestForeignCallWithoutAddress(t *testing.T) {
	for name, text := range map[string]string{"begin": auditBegin, "refused": auditRefused} {
		for _, method := range rotationMethods() {
			e, _ := auditEntry(t, text, method, "")
			delete(e["protoPayload"].(map[string]any)["authenticationInfo"].(map[string]any), "principalEmail")
			if !logFilters(t)["foreign-call"].match(e) {
				t.Errorf("%s, %s: the alert does not ring", name, method)
			}
		}
	}
}

// TestForeignCallRecorded plays every recorded audit entry, with nothing but its
// method and its caller replaced.
func TestForeignCallRecorded(t *testing.T) {
	calls := map[string][]string{} // by operation; a refused call has none
	files := recordedAudit(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		e, _ := auditEntry(t, string(text), "", "")
		id, ok := at(e, "operation.id")
		if !ok {
			id = filepath.Base(file)
		}
		calls[id.(string)] = append(calls[id.(string)], string(text))
	}
	if len(files) < 7 || len(calls) == len(files) {
		t.Errorf("%d recorded entries of %d calls: fewer than there were, or none with begin and end", len(files),
			len(calls))
	}
	for id, entries := range calls {
		checkForeignCall(t, id, entries)
	}
}

// recordedAudit lists the recordings of audit entries beside the project; it
// skips the test where they are absent.
func recordedAudit(t *testing.T) []string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(root); ; dir = filepath.Dir(dir) {
		files, err := filepath.Glob(filepath.Join(dir, "shared/fixtures/audit/*.json"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) > 0 {
			return files
		}
		if dir == filepath.Dir(dir) {
			t.Skip("no recorded data: ../shared/fixtures/audit is absent")
		}
	}
}
