package scripts_test

import (
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var wrongLine = regexp.MustCompile(`(?m)^WRONG  (.*); mend: (.*)$`)

// TestDoctor: faults are planted, each is told in a line of its own, the lines'
// commands mend them, and then all is well. It never changes anything itself.
func TestDoctor(t *testing.T) {
	t.Parallel()
	w := grown(t)
	w.deployed(t)
	w.AddExecution(platform, "europe-west1", "rotator-dev", nil)
	w.ok(t, "scripts/setup", "dev")
	w.Disable(targetA, "recommender.googleapis.com")
	w.ok(t, "gcloud", "projects", "remove-iam-policy-binding", platform, "--all",
		"--member=serviceAccount:rotator-dev@"+platform+".iam.gserviceaccount.com", "--role=roles/datastore.user")
	for _, name := range w.Names() {
		if policy, ok := strings.CutPrefix(name, "monitoring "); ok && strings.Contains(policy, "/alertPolicies/") {
			w.Delete("monitoring", policy)
		}
	}
	w.Edit("cloudscheduler", "projects/"+platform+"/locations/europe-west1/jobs/rotator-dev",
		func(o map[string]any) { o["state"] = "PAUSED" })
	w.Edit("iam", "projects/"+targetA+"/roles/gkeCredentialRotatorObserve", func(o map[string]any) {
		o["includedPermissions"] = append(o["includedPermissions"].([]any)[2:], "container.clusters.delete")
	})
	w.Edit("firestore", "projects/"+platform+"/databases/rotator-dev", func(o map[string]any) {
		o["deleteProtectionState"] = "DELETE_PROTECTION_DISABLED"
	})

	w.settings(t, "dev", "SCHEDULE=27 * * * *")
	for _, labels := range []string{"managed-by=gke-credential-rotator,environment=dev,alert=old-one",
		"environment=dev,alert=somebody-elses"} {
		w.ok(t, "gcloud", "alpha", "monitoring", "policies", "create", "--project="+platform,
			"--user-labels="+labels,
			"--policy-from-file="+filepath.Join(w.dir, "deploy/alerts/run-failed.yaml"))
	}

	w.Forget()
	r := w.run(t, "scripts/doctor", "dev")
	w.unchanging(t)
	if r.status != 1 {
		t.Errorf("faults are there, and the status is %d", r.status)
	}
	var told, commands []string
	for _, m := range wrongLine.FindAllStringSubmatch(r.stdout, -1) {
		told = append(told, m[1])
		commands = append(commands, m[2])
	}
	at := "17 * * * *|Etc/UTC|https://run.googleapis.com/v2/projects/" + platform +
		"/locations/europe-west1/jobs/rotator-dev:run|POST|" +
		"rotator-dev-scheduler@" + platform + ".iam.gserviceaccount.com|3|30s|300s|60s"
	want := []string{
		"APIs of " + targetA + ": off: recommender.googleapis.com",
		"role gkeCredentialRotatorObserve (project=" + targetA +
			") as in deploy/iam/observe.yaml: too much: container.clusters.delete lacks: container.clusters.get container.clusters.list ",
		"database rotator-dev: delete protection off",
		"datastore.user for rotator-dev@" + platform + ".iam.gserviceaccount.com on project " + platform +
			": not bound",
		"no alert policy old-one any more: its file is gone",
		"alert policy run-failed: missing",
		"schedule rotator-dev: differs: " + at + " instead of " + strings.Replace(at, "17 * ", "27 * ", 1),
		"schedule rotator-dev starts the job: is PAUSED",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%s\nwant\n%s\nall of it:\n%s%s", strings.Join(told, "\n"), strings.Join(want, "\n"),
			r.stdout, r.stderr)
	}
	if !strings.Contains(r.stdout, ", 8 not.") {
		t.Errorf("the last line has no count:\n%s", r.stdout)
	}

	for _, command := range commands {
		w.ok(t, "bash", "-c", command)
		schedule := w.Resource("cloudscheduler", "projects/"+platform+"/locations/europe-west1/jobs/rotator-dev")
		if resumed := strings.HasPrefix(command, "scripts/schedule "); (schedule["state"] == "ENABLED") != resumed {
			t.Errorf("after %s the schedule is %s", command, schedule["state"])
		}
	}
	w.Forget()
	r = w.run(t, "scripts/doctor", "dev")
	w.unchanging(t)
	if r.status != 0 || wrongLine.MatchString(r.stdout) || !strings.Contains(r.stdout, "all is well: ") {
		t.Errorf("after mending: status %d\n%s%s", r.status, r.stdout, r.stderr)
	}
	for _, line := range []string{
		"ok     names in deploy/env/dev.env", "ok     project " + targetA, "ok     database rotator-dev",
		"ok     job rotator-dev, image rotator@sha256:", "ok     last run: rotator-dev-",
		"ok     schedule rotator-dev starts the job",
	} {
		if !strings.Contains(r.stdout, line) {
			t.Errorf("no line %q in\n%s", line, r.stdout)
		}
	}
}

// TestDoctorJob: what doctor says of a job that is missing, that runs with other
// settings than the file's, and whose last run failed; and of the names that
// come with the project.
func TestDoctorJob(t *testing.T) {
	t.Parallel()
	w := grown(t)
	w.settings(t, "dev", "RUNBOOK=https://github.com/acme/gke-credential-rotator/blob/main/deploy/RUNBOOK.md")
	r := w.run(t, "scripts/doctor", "dev")
	said(t, r, 1,
		"WRONG  job rotator-dev: missing; mend: scripts/deploy dev\n",
		"WRONG  names in deploy/env/dev.env: still the example: RUNBOOK=https://github.com/acme/",
		"WRONG  alert policy run-failed: not as deploy/alerts and the settings say; mend: scripts/setup dev\n")
	w.deployed(t)
	w.AddExecution(platform, "europe-west1", "rotator-dev", errors.New("the run failed"))
	w.settings(t, "dev", "ROTATOR_SOAK=36h")
	w.Refuse(fault("^monitoring ", denied("monitoring.alertPolicies.list")))
	r = w.run(t, "scripts/doctor", "dev")
	said(t, r, 1,
		": was deployed with other settings than deploy/env/dev.env has now; mend: scripts/deploy dev "+images+
			"@sha256:",
		"EXECUTION_FAILED (deploy/RUNBOOK.md: run failed); mend: scripts/run-now dev\n",
		"WRONG  schedule rotator-dev: missing; mend: gcloud scheduler jobs create http rotator-dev ",
		"WRONG  notification channel email:oncall@orders.acme.com and more: cannot tell: ",
		"monitoring.alertPolicies.list")
}
