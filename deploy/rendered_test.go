package deploy_test

import (
	"strings"
	"testing"

	run "google.golang.org/api/run/v1"
)

// TestRenderedSettings: every setting that the job of an environment would get
// is accepted by rotator validate, run from the built image as on Cloud Run.
func TestRenderedSettings(t *testing.T) {
	for _, name := range environments(t) {
		t.Run(name, func(t *testing.T) {
			var job run.Job
			strictly(t, "the job", rendered(t, "..", name, repository+"/rotator"+digest), &job)
			settings := job.Spec.Template.Spec.Template.Spec.Containers[0].Env
			env := []string{"CLOUD_RUN_JOB=rotator-" + name, "CLOUD_RUN_EXECUTION=rotator-" + name + "-abcde"}
			for _, v := range settings {
				env = append(env, v.Name+"="+v.Value)
			}
			stdout, stderr, code := imageRun(t, env, "validate")
			if code != 0 || stderr != "" {
				t.Fatalf("exit status %d\n%s%s", code, stdout, stderr)
			}
			for _, v := range settings {
				if !strings.Contains(stdout, v.Name) {
					t.Errorf("rotator validate does not list %s", v.Name)
				}
			}
			t.Logf("%d settings accepted", len(settings))
			if _, stderr, code := imageRun(t, append(env, "ROTATOR_SOKA=72h"), "validate"); code != 2 {
				t.Errorf("a setting that is none: exit status %d, want 2\n%s", code, stderr)
			}
		})
	}
}
