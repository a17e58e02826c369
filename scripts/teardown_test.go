package scripts_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"gke-credential-rotator/scripts/cloudfake"
)

// inhabited is a world with two environments, dev and staging, in one platform
// project, and what was there before staging came.
func inhabited(t *testing.T) (w *world, before []string) {
	t.Helper()
	w = grown(t)
	w.AddImage(images + ":one")
	before = w.Names()
	w.settings(t, "staging", "PROJECT="+platform, "BUILD_PROJECT="+builds, "ROTATOR_PROJECTS="+targetB,
		"NOTIFY=email:rehearsal@orders.acme.com", "RUNBOOK=https://git.acme.com/rotator/deploy/RUNBOOK.md")
	w.ok(t, "scripts/setup", "staging")
	w.placed(t, "staging")
	w.ok(t, "gcloud", "scheduler", "jobs", "create", "http", "rotator-staging", "--project="+platform,
		"--location=europe-west1",
		"--schedule=17 * * * *", "--uri=https://run.googleapis.com/", "--quiet")
	return w, before
}

// refused runs a teardown that must refuse and change nothing.
func (w *world) refused(t *testing.T, args []string, parts ...string) {
	t.Helper()
	w.Forget()
	r := w.run(t, "scripts/teardown", args...)
	if r.status != 2 {
		t.Errorf("teardown %q: status %d\n%s", args, r.status, r.stderr)
	}
	says(t, r.stderr, parts...)
	if got := sent(w.Mutations()); len(got) > 0 {
		t.Errorf("a refused teardown %q changed\n%s", args, strings.Join(got, "\n"))
	}
}

func TestTeardown(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	w, before := inhabited(t)
	yes := []string{"staging", "--yes"}
	lift := "gcloud firestore databases update --database=rotator-staging --project=acme-platform --no-delete-protection"
	rotation := "rotations/acme-ledger~europe-west1~shop"

	w.SetDocument(platform, "rotator-staging", rotation,
		map[string]any{"phase": map[string]any{"stringValue": "updating-clients"}})
	w.refused(t, yes, "rotations are in flight: acme-ledger/europe-west1/shop\n",
		"scripts/run-now staging status", "has its delete protection", "do: "+lift)
	w.ok(t, strings.Fields(lift)[0], append(strings.Fields(lift)[1:], "--quiet")...)
	w.SetDocument(platform, "rotator-staging", rotation, nil)

	w.Refuse(cloudfake.Fault{Path: regexp.MustCompile(`documents/rotations`),
		Error: cloudfake.PermissionDenied("datastore.entities.list", "rotator-staging")})
	w.refused(t, yes, "the store rotator-staging cannot be read", "HTTP 403", "datastore.entities.list",
		"roles/datastore.viewer")
	w.Heal()
	w.refused(t, []string{"staging"}, "is asked on a terminal, and this is none", "--yes")
	w.refused(t, []string{"dev", "staging"}, "one environment at a time")

	// A run that is at work could begin a rotation yet.
	w.ExecutionResult = func(string, []string) error { return cloudfake.ErrRunning }
	w.ok(t, "scripts/run-now", "staging", "--async")
	w.Forget()
	r := w.run(t, "scripts/teardown", yes...)
	running := regexp.MustCompile(`gcloud run jobs executions cancel (rotator-staging-\d+) `).FindStringSubmatch(r.stderr)
	if r.status != 2 || running == nil {
		t.Fatalf("beside a run: status %d\n%s", r.status, r.stderr)
	}
	if got := sent(w.Mutations()); len(got) != 1 || !strings.HasSuffix(got[0], "jobs/rotator-staging:pause") {
		t.Errorf("beside a run it changed %q", got)
	}
	w.FinishExecution(platform, "europe-west1", running[1], nil)

	// Something in the middle fails; the next run goes on.
	w.Refuse(cloudfake.Fault{Method: "DELETE",
		Path:  regexp.MustCompile(`^europe-west1-run .*/jobs/rotator-staging$`),
		Error: cloudfake.PermissionDenied("run.jobs.delete", "rotator-staging")})
	if r = w.run(t, "scripts/teardown", yes...); r.status != 1 {
		t.Errorf("without a permission: status %d", r.status)
	}
	says(t, r.stderr, "schedule rotator-staging: goes", "run.jobs.delete", "--role=roles/run.admin",
		"scripts/teardown staging goes on from here")
	w.Heal()
	if r = w.run(t, "scripts/teardown", yes...); r.status != 0 {
		t.Fatalf("teardown: status %d\n%s", r.status, r.stderr)
	}
	says(t, r.stderr, "== staging is gone; what stays:",
		"the role gkeCredentialRotatorDeployer of project acme-platform: dev", "rotator-builder")
	stays(t, before, w.Names())

	w.Forget()
	if r = w.run(t, "scripts/teardown", yes...); r.status != 0 {
		t.Errorf("teardown again: status %d\n%s", r.status, r.stderr)
	}
	says(t, r.stderr, "there was nothing left to take away")
	if got := sent(w.Mutations()); len(got) > 0 {
		t.Errorf("teardown again changed\n%s", strings.Join(got, "\n"))
	}
}

// stays compares what was there before staging with what is there after it. What
// staging
// leaves on purpose is an API that is on, a deleted role's name, and the right of
// a log sink that another environment may need.
func stays(t *testing.T, before, after []string) {
	t.Helper()
	left := []string{
		"iam projects/acme-ledger/roles/gkeCredentialRotatorObserve (deleted)",
		"cloudresourcemanager projects/acme-platform roles/logging.logWriter serviceAccount:service-100000000004@gcp-sa-logging.iam.gserviceaccount.com",
	}
	for _, name := range before {
		if !slices.Contains(after, name) {
			t.Errorf("teardown of staging took away what was there before it: %s", name)
		}
	}
	for _, name := range after {
		if !slices.Contains(before, name) && !slices.Contains(left, name) {
			t.Errorf("teardown of staging left %s", name)
		}
	}
}

func TestTeardownCannotTell(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	w := deployable(t)
	w.ok(t, "gcloud", "firestore", "databases", "create", "--project="+platform, "--database=rotator-dev",
		"--location=eur3", "--quiet")
	w.Refuse(cloudfake.Fault{Path: regexp.MustCompile(`documents/rotations`),
		Error: &cloudfake.Error{Code: 200, Status: "OK", Message: "a page of a proxy"}})
	w.refused(t, []string{"dev", "--yes"}, "cannot be read, so nobody knows", "not understood: ")
}
