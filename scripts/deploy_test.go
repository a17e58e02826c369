package scripts_test

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gke-credential-rotator/scripts/cloudfake"
)

const devSettings = `PROJECT=acme-platform
REGION=europe-west1
SCHEDULER_REGION=europe-west3
DATABASE_LOCATION=eur3
BUILD_PROJECT=acme-build
BUILD_REGION=europe-west1
RUNBOOK=https://github.com/acme/rotator/blob/main/deploy/RUNBOOK.md
ROTATOR_PROJECTS=acme-orders,acme-ledger
ROTATOR_MAX_CA_AGE=365d
`

const images = "europe-west1-docker.pkg.dev/acme-build/rotator/rotator"

// deployable is a world with what deploy needs of setup: the accounts of dev.
func deployable(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.AllEnabled = true
	w.env = append(w.env, "SETUP_PAUSE=0")
	w.write(t, "deploy/env/dev.env", devSettings)
	for _, account := range []string{"rotator-dev", "rotator-dev-scheduler"} {
		w.ok(t, "gcloud", "iam", "service-accounts", "create", account, "--project="+platform, "--quiet")
	}
	w.AddEntry(map[string]any{"timestamp": "2026-11-23T00:00:01Z", "textPayload": "CLUSTER   PHASE   WHAT NEXT"})
	w.AddEntry(map[string]any{"timestamp": "2026-11-23T00:00:02Z",
		"jsonPayload": map[string]any{"event": "run_finished", "message": "1 cluster, \"orders\", due"}})
	w.Forget()
	return w
}

// says fails the test where text lacks one of the lines' parts.
func says(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("nobody says %q in\n%s", part, text)
		}
	}
}

// sent are the mutating requests as METHOD HOST PATH.
func sent(requests []cloudfake.Request) []string {
	var list []string
	for _, r := range requests {
		list = append(list, r.Method+" "+r.Host+" "+r.Path)
	}
	return list
}

// jobs are the images of the jobs that were sent, in order.
func jobs(requests []cloudfake.Request) []string {
	var list []string
	for _, r := range requests {
		if r.Body["kind"] == "Job" && r.Status < 300 {
			list = append(list, containerOf(r.Body)["image"].(string))
		}
	}
	return list
}

func containerOf(job map[string]any) map[string]any {
	at := job["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	return at["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
}

// argsOf are the arguments of each execution that was asked for.
func argsOf(requests []cloudfake.Request) [][]string {
	var list [][]string
	for _, r := range requests {
		if !strings.HasSuffix(r.Path, ":run") || !strings.Contains(r.Path, "namespaces/") {
			continue
		}
		overrides, _ := r.Body["overrides"].(map[string]any)
		containers, _ := overrides["containerOverrides"].([]any)
		args := []string{}
		for _, c := range containers {
			for _, a := range c.(map[string]any)["args"].([]any) {
				args = append(args, a.(string))
			}
		}
		list = append(list, args)
	}
	return list
}

func TestDeploy(t *testing.T) {
	t.Parallel()
	w := deployable(t)
	first, second := w.AddImage(images+":one"), w.AddImage(images+":two")
	jobsPath := " europe-west1-run apis/run.googleapis.com/v1/namespaces/acme-platform/jobs"

	r := w.run(t, "scripts/deploy", "dev", images+"@"+first)
	if r.status != 0 {
		t.Fatalf("the first deploy: %d\n%s", r.status, r.stderr)
	}
	says(t, r.stdout, "CLUSTER   PHASE   WHAT NEXT\n", `1 cluster, "orders", due`+"\n")
	says(t, r.stderr, "== rotator-dev in acme-platform: "+images+"@"+first+", mode observe",
		"== first run: plan", "17 * * * * UTC", "== rotator-dev runs "+first)
	want := []string{
		"POST" + jobsPath, "POST" + jobsPath + "/rotator-dev:run",
		"POST run v1/projects/acme-platform/locations/europe-west1/jobs/rotator-dev:setIamPolicy",
		"POST cloudscheduler v1/projects/acme-platform/locations/europe-west3/jobs",
	}
	if got := sent(w.Mutations()); !slices.Equal(got, want) {
		t.Errorf("the first deploy sent\n%s", strings.Join(got, "\n"))
	}

	create := w.Requests()[0:6]
	w.Forget()
	w.ok(t, "scripts/schedule", "dev", "pause")
	w.Forget()
	r = w.run(t, "scripts/deploy", "dev", images+"@"+second)
	if r.status != 0 {
		t.Fatalf("the second deploy: %d\n%s", r.status, r.stderr)
	}
	says(t, r.stderr, "PAUSED, and stays so; to go on: scripts/schedule dev resume")
	want = []string{"PUT" + jobsPath + "/rotator-dev", "POST" + jobsPath + "/rotator-dev:run"}
	if got := sent(w.Mutations()); !slices.Equal(got, want) {
		t.Errorf("the second deploy sent\n%s", strings.Join(got, "\n"))
	}
	if got := argsOf(w.Mutations()); len(got) != 1 || !slices.Equal(got[0], []string{"plan"}) {
		t.Errorf("the first run was asked for with %q", got)
	}
	deployerMay(t, append(create, w.Requests()...))

	// A failing first run: what was there is there again.
	w.Forget()
	w.ExecutionResult = func(string, []string) error { return errors.New("the container exited with 1") }
	r = w.run(t, "scripts/deploy", "dev", images+"@"+first)
	if r.status != 1 {
		t.Errorf("a deploy whose first run fails: status %d", r.status)
	}
	says(t, r.stderr, "== the former job again: "+images+"@"+second, "the first run of "+images+"@"+first+
		" failed: ", "the container exited with 1")
	says(t, r.stdout, "CLUSTER   PHASE")
	if got := jobs(w.Mutations()); !slices.Equal(got, []string{images + "@" + first, images + "@" + second}) {
		t.Errorf("jobs were sent with the images %q", got)
	}
	back := w.Mutations()[2].Body
	if env := containerOf(back)["env"].([]any); len(env) != 4 {
		t.Errorf("the former job came back with the settings %v", env)
	}
	w.Forget()

	// A job that Cloud Run refuses.
	w.Refuse(cloudfake.Fault{Method: "PUT", Path: regexp.MustCompile(`jobs/rotator-dev$`),
		Error: cloudfake.PermissionDenied("run.jobs.update", "namespaces/acme-platform/jobs/rotator-dev")})
	r = w.run(t, "scripts/deploy", "dev", images+"@"+first)
	if r.status != 2 {
		t.Errorf("a deploy without the permission: status %d", r.status)
	}
	says(t, r.stderr, "run.jobs.update", "--role=roles/run.")
	if got := argsOf(w.Mutations()); len(got) > 0 {
		t.Errorf("the job was run all the same: %q", got)
	}
}

// needs says which permission a request of a deploy takes.
var needs = []struct{ request, permission string }{
	{`^GET europe-west1-run .*/jobs/rotator-dev$`, "run.jobs.get"},
	{`^POST europe-west1-run .*/jobs$`, "run.jobs.create"},
	{`^PUT europe-west1-run .*/jobs/rotator-dev$`, "run.jobs.update"},
	{`^POST europe-west1-run .*/jobs/rotator-dev:run$`, "run.jobs.run run.jobs.runWithOverrides"},
	{`^GET europe-west1-run .*/executions/rotator-dev-[0-9]+$`, "run.executions.get"},
	{`^POST logging v2/entries:list$`, "logging.logEntries.list"},
	{`^GET run .*/jobs/rotator-dev:getIamPolicy$`, "run.jobs.getIamPolicy"},
	{`^GET cloudscheduler .*/jobs/rotator-dev$`, "cloudscheduler.jobs.get"},
}

// deployerMay compares what deploys asked of Google with deploy/iam/deployer.yaml:
// the role is all that they need, and nothing that they do not.
func deployerMay(t *testing.T, requests []cloudfake.Request) {
	t.Helper()
	used := map[string]bool{}
	for _, line := range sent(requests) {
		known := false
		for _, n := range needs {
			if regexp.MustCompile(n.request).MatchString(line) {
				known = true
				for permission := range strings.FieldsSeq(n.permission) {
					used[permission] = true
				}
			}
		}
		if !known {
			t.Errorf("no permission of the deployer is known for %s", line)
		}
	}
	text, err := os.ReadFile("../deploy/iam/deployer.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var role []string
	for _, match := range regexp.MustCompile(`(?m)^  - (\S+)`).FindAllStringSubmatch(string(text), -1) {
		role = append(role, match[1])
	}
	if got := slices.Sorted(maps.Keys(used)); !slices.Equal(got, role) {
		t.Errorf("deploys take %q, and the role gives %q", got, role)
	}
}

func TestFirstDeployFails(t *testing.T) {
	t.Parallel()
	w := deployable(t)
	w.ExecutionResult = func(string, []string) error { return errors.New("the container exited with 2") }
	r := w.run(t, "scripts/deploy", "dev", images+"@"+w.AddImage(images+":one"))
	if r.status != 1 {
		t.Errorf("status %d\n%s", r.status, r.stderr)
	}
	says(t, r.stderr, "there was no job before: this one stays", "exited with 2")
	for _, m := range w.Mutations() {
		if m.Host == "cloudscheduler" || strings.HasSuffix(m.Path, "setIamPolicy") {
			t.Errorf("a job that failed was scheduled: %s", m)
		}
	}
}

func TestDeployRefuses(t *testing.T) {
	t.Parallel()
	w := deployable(t)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"dev", images + ":latest"}, `does not name an image by its digest`},
		{[]string{"dev", images + "@sha256:abc"}, "gcloud artifacts docker images describe " + images + ":TAG"},
		{[]string{"nowhere", images}, "environments: dev prod staging"},
		{[]string{"../dev"}, "is not the name of an environment"},
		{[]string{"dev", "--dry-run"}, "which image?"},
		{[]string{"dev", "--force"}, "there is no option --force"},
		{[]string{}, "which environment"},
		{[]string{"dev"}, "this is no clone"},
	} {
		r := w.run(t, "scripts/deploy", c.args...)
		if r.status != 2 || r.stdout != "" {
			t.Errorf("deploy %q: status %d, %q", c.args, r.status, r.stdout)
		}
		says(t, r.stderr, c.says)
	}
	if got := w.Requests(); len(got) > 0 {
		t.Errorf("Google was asked\n%s", cloudfake.Text(got))
	}
}

// cloned makes the copy of the repository a clone with one commit.
func (w *world) cloned(t *testing.T) (commit string) {
	t.Helper()
	text, err := os.ReadFile("../cloudbuild.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "cloudbuild.yaml", string(text))
	git := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git",
			append([]string{"-C", w.dir, "-c", "user.name=t", "-c", "user.email=t@t"}, args...)...)
		cmd.Env = append(slices.Clone(w.env), "GIT_CONFIG_GLOBAL="+os.DevNull)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "all")
	return git("rev-parse", "HEAD")
}

func TestDeployBuilds(t *testing.T) {
	t.Parallel()
	need(t, "git")
	w := deployable(t)
	commit := w.cloned(t)
	w.ok(t, "gcloud", "artifacts", "repositories", "create", "rotator", "--project="+builds,
		"--location=europe-west1", "--repository-format=docker", "--quiet")
	w.ok(t, "gcloud", "iam", "service-accounts", "create", "rotator-builder", "--project="+builds, "--quiet")
	w.Forget()
	w.write(t, "go.mod", "module changed\n")
	r := w.run(t, "scripts/deploy", "dev")
	if r.status != 2 || len(w.Requests()) > 0 {
		t.Errorf("deploy of what is not committed: status %d\n%s", r.status, cloudfake.Text(w.Requests()))
	}
	says(t, r.stderr, "?? go.mod")
	if err := os.Remove(filepath.Join(w.dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	// The settings are not in the image: whoever has just written them may deploy.
	w.write(t, "deploy/env/dev.env", devSettings+"ROTATOR_SOAK=24h\n")

	w.BuildResult = func(map[string]any) error { return errors.New("step test: exit 1") }
	r = w.run(t, "scripts/deploy", "dev")
	if r.status != 1 {
		t.Errorf("deploy of what does not build: status %d", r.status)
	}
	says(t, r.stderr, "ended FAILURE", "step test: exit 1", "its log: https://")
	w.BuildResult = nil
	w.Forget()

	r = w.run(t, "scripts/deploy", "dev")
	if r.status != 0 {
		t.Fatalf("deploy of a commit: status %d\n%s", r.status, r.stderr)
	}
	says(t, r.stderr, "== image of commit "+commit[:12], "test, build, push; some minutes; https://")
	digest := w.AddImage(images + ":" + commit)
	if got := jobs(w.Mutations()); !slices.Equal(got, []string{images + "@" + digest}) {
		t.Errorf("jobs were sent with the images %q, the build made %s", got, digest)
	}
	w.Forget()
	if r = w.run(t, "scripts/deploy", "dev"); r.status != 0 {
		t.Errorf("deploy of a commit that is built: status %d\n%s", r.status, r.stderr)
	}
	says(t, r.stderr, "built before")
	for _, m := range w.Mutations() {
		if m.Host == "cloudbuild" {
			t.Errorf("it was built again, and the tag cannot be moved: %s", m)
		}
	}
}
