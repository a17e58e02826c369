// Package deploy_test holds what the files of this folder promise: gcloud itself
// passes unknown fields of most of them through without a word.
package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/iam/v1"
	run "google.golang.org/api/run/v1"
	"sigs.k8s.io/yaml"

	"gke-credential-rotator/policy/fleet"
)

const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// environments are the names with a settings file.
func environments(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("env/*.env")
	if err != nil || len(files) == 0 {
		t.Fatalf("no settings files: %v", err)
	}
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".env"))
	}
	return names
}

// settingsOf reads a settings file by the rule at its head and by nothing else:
// NAME=value to the end of the line. What it leaves out has README.md's default.
func settingsOf(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	settings := platformDefaults(t)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if name, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			settings[name] = value
		}
	}
	return settings
}

// platformDefaults reads the defaults of the settings that say where an
// environment runs from the reference for people, which gives several in a row.
func platformDefaults(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	defaults, word := map[string]string{}, regexp.MustCompile("`([^`]*)`")
	for _, row := range regexp.MustCompile("(?m)^\\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \\| ([^|]*)").FindAllStringSubmatch(string(text), -1) {
		values := word.FindAllStringSubmatch(row[2], -1)
		for i, name := range word.FindAllStringSubmatch(row[1], -1) {
			if i < len(values) {
				defaults[name[1]] = values[i][1]
			}
		}
	}
	return defaults
}

// rendered is what scripts/deploy would send, from the project at root.
func rendered(t *testing.T, root, env, image string) string {
	t.Helper()
	need(t, "bash")
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(root, "scripts/deploy"), env, image,
		"--dry-run")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("scripts/deploy %s --dry-run: %v\n%s", env, err, stderr.String())
	}
	if stderr.Len() > 0 {
		t.Errorf("scripts/deploy %s --dry-run says more than the job: %s", env, stderr.String())
	}
	return string(out)
}

// strictly decodes YAML into Google's own message type and refuses what the
// type does not know.
func strictly(t *testing.T, name, text string, into any) {
	t.Helper()
	asJSON, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestJobOfEachEnvironment(t *testing.T) {
	for _, env := range environments(t) {
		t.Run(env, func(t *testing.T) { checkJob(t, "..", env) })
	}
}

// TestJobOfFewSettings: what a file leaves out has the default that README.md says.
func TestJobOfFewSettings(t *testing.T) {
	root := copyProject(t)
	writeEnv(t, root, "few", goodSettings)
	checkJob(t, root, "few")
}

func checkJob(t *testing.T, root, env string) {
	t.Helper()
	file := settingsOf(t, filepath.Join(root, "deploy/env", env+".env"))
	image := file["BUILD_REGION"] + "-docker.pkg.dev/" + file["BUILD_PROJECT"] + "/rotator/rotator" + digest
	text := rendered(t, root, env, image)
	if left := regexp.MustCompile(`\$\{[A-Z_]+\}`).FindString(text); left != "" {
		t.Errorf("the placeholder %s is left over", left)
	}
	var job run.Job
	strictly(t, "the job", text, &job)
	checkPlatform(t, env, file, &job)
	checkContainer(t, env, file, image, job.Spec.Template.Spec.Template.Spec.Containers)
	checkDefaultsWritten(t, text)
}

// checkPlatform compares what Cloud Run is told about the job with the file.
func checkPlatform(t *testing.T, env string, file map[string]string, job *run.Job) {
	t.Helper()
	task := job.Spec.Template.Spec.Template.Spec
	for what, pair := range map[string][2]string{
		"apiVersion":  {job.ApiVersion, "run.googleapis.com/v1"},
		"kind":        {job.Kind, "Job"},
		"name":        {job.Metadata.Name, "rotator-" + env},
		"environment": {job.Metadata.Labels["environment"], env},
		"managed-by":  {job.Metadata.Labels["managed-by"], "gke-credential-rotator"},
		"service account": {task.ServiceAccountName, "rotator-" + env + "@" + file["PROJECT"] +
			".iam.gserviceaccount.com"},
		"retries":     {strconv.FormatInt(task.MaxRetries, 10), file["MAX_RETRIES"]},
		"timeout":     {strconv.FormatInt(task.TimeoutSeconds, 10), file["TASK_TIMEOUT"]},
		"tasks":       {strconv.FormatInt(job.Spec.Template.Spec.TaskCount, 10), "1"},
		"parallelism": {strconv.FormatInt(job.Spec.Template.Spec.Parallelism, 10), "1"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, not %q", what, pair[0], pair[1])
		}
	}
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(job.Metadata.Labels["settings"]) {
		t.Errorf("the label settings is %q, not a hash", job.Metadata.Labels["settings"])
	}
	deadline := 50 * time.Minute // ROTATOR_DEADLINE's default, see CONFIG.md
	if own, ok := file["ROTATOR_DEADLINE"]; ok {
		var err error
		if deadline, err = fleet.ParseDuration(own); err != nil {
			t.Fatal(err)
		}
	}
	if timeout := time.Duration(task.TimeoutSeconds) * time.Second; timeout <= deadline {
		t.Errorf("Cloud Run ends a task after %s; the run stops by itself after %s only", timeout, deadline)
	}
}

// checkContainer compares the one container with the file, setting by setting.
func checkContainer(t *testing.T, env string, file map[string]string, image string,
	containers []*run.Container) {
	t.Helper()
	if len(containers) != 1 {
		t.Fatalf("%d containers", len(containers))
	}
	container := containers[0]
	if container.Image != image {
		t.Errorf("the image is %q, not %q", container.Image, image)
	}
	if len(container.Args) > 0 || len(container.Command) > 0 {
		t.Errorf("the job has arguments of its own: %q %q", container.Command, container.Args)
	}
	limits := map[string]string{"cpu": file["CPU"], "memory": file["MEMORY"]}
	if !maps.Equal(container.Resources.Limits, limits) {
		t.Errorf("limits are %v, not %v", container.Resources.Limits, limits)
	}
	want := map[string]string{
		"ROTATOR_ENV":   env,
		"ROTATOR_STATE": "firestore://" + file["PROJECT"] + "/rotator-" + env,
	}
	for name, value := range file {
		if strings.HasPrefix(name, "ROTATOR_") {
			want[name] = value
		}
	}
	if bucket := file["REPORT_BUCKET"]; bucket != "" {
		want["ROTATOR_REPORT"] = "/mnt/" + bucket + "/rotator-" + env + ".html"
	}
	got := map[string]string{}
	for _, variable := range container.Env {
		if _, twice := got[variable.Name]; twice {
			t.Errorf("%s is there twice", variable.Name)
		}
		got[variable.Name] = variable.Value
	}
	if !maps.Equal(got, want) {
		t.Errorf("the container gets\n%v\nand the file says\n%v", got, want)
	}
}

// checkDefaultsWritten: what is left out takes a value of Google's, and three of
// those are wrong for this job. The decoded job cannot tell zero from absent.
func checkDefaultsWritten(t *testing.T, text string) {
	t.Helper()
	var job map[string]any
	if err := yaml.Unmarshal([]byte(text), &job); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"spec.template.spec.parallelism",
		"spec.template.spec.taskCount",
		"spec.template.spec.template.spec.maxRetries",
		"spec.template.spec.template.spec.timeoutSeconds",
		"spec.template.spec.template.spec.serviceAccountName",
		"spec.template.spec.template.spec.containers",
		"spec.template.metadata.annotations",
	} {
		var at any = job
		for key := range strings.SplitSeq(path, ".") {
			fields, _ := at.(map[string]any)
			at = fields[key]
		}
		if at == nil || at == "" {
			t.Errorf("%s is left to Google's default", path)
		}
	}
}

// copyProject copies what rendering needs to a folder whose files may be changed.
// It has no environments: those of deploy/env are for everybody to edit.
func copyProject(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "scripts/lib"), os.DirFS("../scripts/lib")); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"scripts/deploy", "deploy/job.yaml"} {
		if err := copyFile(filepath.Join("..", file), filepath.Join(root, file)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// writeEnv writes the settings of one environment.
func writeEnv(t *testing.T, root, env, settings string) {
	t.Helper()
	dir := filepath.Join(root, "deploy/env")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, env+".env"), []byte(settings),
		0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestOddValuesReachTheContainerUnchanged(t *testing.T) {
	root := copyProject(t)
	text := goodSettings
	odd := map[string]string{
		"ROTATOR_SELECTOR":     `team in (a,b),name!='x',note="y"`,
		"ROTATOR_WAVES":        `a=1 > b=2 > c notin (d, e)`,
		"ROTATOR_FREEZES":      `2026-12-18/2027-01-04, 2027-04-02 Europe/Paris # not a comment: here`,
		"ROTATOR_START_WINDOW": `{a: [b, *c, &d, !e, |, >-, %f, @g]} \n $HOME $(date) & && ;`,
		"ROTATOR_COMPROMISED":  "",
		"ROTATOR_LOCATIONS":    "ÜÑ✓ true",
		"ROTATOR_EVERY":        "1=2=3",
	}
	for name, value := range odd {
		text += name + "=" + value + "\r\n" // an editor of another system
	}
	writeEnv(t, root, "odd", text)
	var job run.Job
	strictly(t, "the job", rendered(t, root, "odd", "r.example/i/i"+digest), &job)
	got := map[string]string{}
	for _, variable := range job.Spec.Template.Spec.Template.Spec.Containers[0].Env {
		got[variable.Name] = variable.Value
	}
	for name, value := range odd {
		if got[name] != value {
			t.Errorf("%s: the container gets %q, the file says %q", name, got[name], value)
		}
	}
}

func TestSettingsHashFollowsTheSettings(t *testing.T) {
	root := copyProject(t)
	label := func(settings string) string {
		writeEnv(t, root, "test", goodSettings+settings)
		var job run.Job
		strictly(t, "the job", rendered(t, root, "test", "r.example/i/i"+digest), &job)
		return job.Metadata.Labels["settings"]
	}
	first := label("SILENT_HOURS=6\nROTATOR_SOAK=24h\n")
	if second := label("SILENT_HOURS=7\nROTATOR_SOAK=24h\n"); second != first {
		t.Errorf("a setting that the container does not get changed the hash: %s, %s", first, second)
	}
	if third := label("SILENT_HOURS=7\nROTATOR_SOAK=48h\n"); third == first {
		t.Error("another ROTATOR_SOAK left the hash as it was")
	}
}

// roleIn reads a custom role; every permission must say what it is for.
func roleIn(t *testing.T, name string) iam.Role {
	t.Helper()
	text, err := os.ReadFile("iam/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var role iam.Role
	strictly(t, name, string(text), &role)
	if role.Title == "" || role.Description == "" || role.Stage != "GA" || len(role.IncludedPermissions) == 0 {
		t.Errorf("%s: title, description, stage GA and permissions belong into a role: %+v", name, role)
	}
	if !slices.IsSorted(role.IncludedPermissions) ||
		len(slices.Compact(slices.Clone(role.IncludedPermissions))) != len(role.IncludedPermissions) {
		t.Errorf("%s: permissions are to be sorted, each once", name)
	}
	explained := regexp.MustCompile(`(?m)^  - ([A-Za-z.]+) # \S.*$`)
	why := map[string]bool{}
	for _, match := range explained.FindAllStringSubmatch(string(text), -1) {
		why[match[1]] = true
	}
	for _, permission := range role.IncludedPermissions {
		if !why[permission] {
			t.Errorf("%s: %s does not say what it is for", name, permission)
		}
	}
	return role
}

func TestRoles(t *testing.T) {
	observe, act, deployer := roleIn(t, "observe"), roleIn(t, "act"), roleIn(t, "deployer")
	const addition = "container.clusters.update"
	want := slices.Sorted(slices.Values(append(slices.Clone(observe.IncludedPermissions), addition)))
	if !slices.Equal(act.IncludedPermissions, want) {
		t.Errorf("act is %v, not observe with %s", act.IncludedPermissions, addition)
	}
	reads := regexp.MustCompile(`\.(get|list)$`)
	for _, permission := range observe.IncludedPermissions {
		if !reads.MatchString(permission) {
			t.Errorf("observe: %s changes something", permission)
		}
	}
	forbidden := regexp.MustCompile(`^(iam|storage|secretmanager|compute|datastore)\.|^resourcemanager\.projects\.list$|` +
		`setIamPolicy|getCredentials|impersonate|[sS]sh|\.delete|^container\.(clusters\.(create|connect)|pods|secrets)`)
	for name, role := range map[string]iam.Role{"observe": observe, "act": act, "deployer": deployer} {
		for _, permission := range role.IncludedPermissions {
			if forbidden.MatchString(permission) {
				t.Errorf("%s: %s has no business in it", name, permission)
			}
			if name == "deployer" && strings.HasPrefix(permission, "container.") {
				t.Errorf("deployer: %s touches clusters", permission)
			}
		}
	}
}
