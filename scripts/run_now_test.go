package scripts_test

import (
	"errors"
	"regexp"
	"slices"
	"testing"

	"gke-credential-rotator/scripts/cloudfake"
)

// deployed puts dev's job there without running it.
func (w *world) deployed(t *testing.T) {
	t.Helper()
	w.placed(t, "dev")
}

// placed puts an environment's job there without running it.
func (w *world) placed(t *testing.T, env string) {
	t.Helper()
	job := w.ok(t, "scripts/deploy", env, images+"@"+w.AddImage(images+":one"), "--dry-run")
	w.ok(t, "gcloud", "run", "jobs", "replace", w.write(t, "job.yaml", job), "--project="+platform,
		"--region=europe-west1", "--quiet")
	w.Forget()
}

func TestRunNow(t *testing.T) {
	t.Parallel()
	w := deployable(t)
	w.deployed(t)
	odd := []string{"approve", "acme-orders/europe-west1/shop", "--by", "Ann, on call", "--reason",
		`all; clients | "are"  updated ^,^ $HOME`, ""}
	for _, args := range [][]string{{}, {"plan", "--explain", "shop"}, odd} {
		r := w.run(t, "scripts/run-now", append([]string{"dev"}, args...)...)
		if r.status != 0 {
			t.Fatalf("run-now %q: %d\n%s", args, r.status, r.stderr)
		}
		if want := "CLUSTER   PHASE   WHAT NEXT\n1 cluster, \"orders\", due\n"; r.stdout != want {
			t.Errorf("run-now %q prints %q", args, r.stdout)
		}
		if got := argsOf(w.Mutations()); len(got) != 1 || !slices.Equal(got[0], args) {
			t.Errorf("run-now %q reaches Cloud Run as %q", args, got)
		}
		w.Forget()
	}
	r := w.run(t, "scripts/run-now", "dev", "--async", "plan")
	if r.status != 0 || r.stdout != "" {
		t.Errorf("run-now --async: %d %q", r.status, r.stdout)
	}
	says(t, r.stderr, "is started", "gcloud run jobs executions cancel rotator-dev-")

	w.ExecutionResult = func(string, []string) error { return errors.New("the container exited with 2") }
	r = w.run(t, "scripts/run-now", "dev", "plan", "--nonsense")
	if r.status != 1 {
		t.Errorf("run-now of what fails: status %d", r.status)
	}
	says(t, r.stdout, "CLUSTER   PHASE")
	says(t, r.stderr, "failed: ", "exited with 2", "deploy/RUNBOOK.md")

	w.Refuse(cloudfake.Fault{Path: regexp.MustCompile(`:run$`),
		Error: cloudfake.PermissionDenied("run.jobs.runWithOverrides",
			"namespaces/acme-platform/jobs/rotator-dev")})
	r = w.run(t, "scripts/run-now", "dev", "plan")
	if r.status != 2 {
		t.Errorf("run-now without the permission: status %d", r.status)
	}
	says(t, r.stderr, "run.jobs.runWithOverrides")
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	w := deployable(t)
	r := w.run(t, "scripts/schedule", "dev", "show")
	if r.status != 1 {
		t.Errorf("without a schedule: status %d", r.status)
	}
	says(t, r.stderr, "there is no schedule rotator-dev in acme-platform (europe-west3)",
		"scripts/setup dev makes it")
	w.deployed(t)
	w.ok(t, "gcloud", "scheduler", "jobs", "create", "http", "rotator-dev", "--project="+platform,
		"--location=europe-west3",
		"--schedule=17 * * * *", "--uri=https://run.googleapis.com/", "--quiet")
	w.Forget()

	r = w.run(t, "scripts/schedule", "dev", "pause")
	if r.status != 0 {
		t.Errorf("pause: status %d", r.status)
	}
	says(t, r.stdout, "schedule    17 * * * * UTC\nstate       PAUSED\nnext start  none while paused\nlast start  none\n")
	says(t, r.stderr, "GKE goes on by itself", "on again: scripts/schedule dev resume")
	pause := "POST cloudscheduler v1/projects/acme-platform/locations/europe-west3/jobs/rotator-dev:"
	if got := sent(w.Mutations()); !slices.Equal(got, []string{pause + "pause"}) {
		t.Errorf("pause sent %q", got)
	}
	w.Forget()
	r = w.run(t, "scripts/schedule", "dev", "resume")
	says(t, r.stdout, "state       ENABLED\n")
	if got := sent(w.Mutations()); r.status != 0 || !slices.Equal(got, []string{pause + "resume"}) {
		t.Errorf("resume: status %d, sent %q", r.status, got)
	}
	w.Forget()
	w.Refuse(cloudfake.Fault{Method: "POST", Path: regexp.MustCompile(`:pause$`),
		Error: cloudfake.PermissionDenied("cloudscheduler.jobs.pause", "rotator-dev")})
	r = w.run(t, "scripts/schedule", "dev", "pause")
	if r.status != 2 {
		t.Errorf("pause without the permission: status %d", r.status)
	}
	says(t, r.stderr, "cloudscheduler.jobs.pause", "--role=roles/cloudscheduler.admin")
	if r = w.run(t, "scripts/schedule", "dev", "stop"); r.status != 2 {
		t.Errorf("stop: status %d", r.status)
	}
	says(t, r.stderr, `there is no "stop"`)
}
