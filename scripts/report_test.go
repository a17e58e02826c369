package scripts_test

import (
	"strings"
	"testing"

	"gke-credential-rotator/scripts/cloudfake"
)

// TestReportVolume: gcloud, which refuses a field that it does not know, sends
// the bucket that a report is written into.
func TestReportVolume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AllEnabled = true
	w.write(t, "deploy/env/dev.env", devSettings+"REPORT_BUCKET=acme-reports\n")
	w.ok(t, "gcloud", "iam", "service-accounts", "create", "rotator-dev", "--project="+platform, "--quiet")
	job := w.ok(t, "scripts/deploy", "dev", images+"@"+w.AddImage(images+":one"), "--dry-run")
	w.Forget()
	w.ok(t, "gcloud", "run", "jobs", "replace", w.write(t, "job.yaml", job), "--project="+platform,
		"--region=europe-west1", "--quiet")
	text := cloudfake.Text(w.Mutations())
	for _, want := range []string{"gcsfuse.run.googleapis.com", "acme-reports", "uid=65532,gid=65532",
		"/mnt/acme-reports", "/mnt/acme-reports/rotator-dev.html"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q was not sent:\n%s", want, text)
		}
	}
}
