package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/api/cloudbuild/v1"
)

var buildFiles = []string{"../cloudbuild.yaml", "cloudbuild.yaml"}

func mustRead(t testing.TB, file string) *cloudBuild {
	t.Helper()
	b, err := readBuild(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBuildFiles holds both files to what Cloud Build would only say later, or
// never.
func TestBuildFiles(t *testing.T) {
	pinned := regexp.MustCompile(`^(golang|gcr\.io/[a-z./-]+):\d+\.\d+\.\d+(-slim)?$`)
	for _, file := range buildFiles {
		b := mustRead(t, file)
		if b.Options.Logging != "CLOUD_LOGGING_ONLY" || b.Timeout == "" || len(b.Tags) == 0 {
			t.Errorf("%s: logging %q, timeout %q, tags %q: all three are needed", b.file, b.Options.Logging, b.Timeout,
				b.Tags)
		}
		if !b.Options.DynamicSubstitutions {
			t.Errorf("%s: without dynamicSubstitutions the default of _REPOSITORY would stay as it is written", b.file)
		}
		for _, s := range b.Steps {
			if !pinned.MatchString(s.Name) {
				t.Errorf("%s: step %s runs %s, which is not one exact version", b.file, s.Id, s.Name)
			}
			if !strings.HasPrefix(s.Script, "#!/usr/bin/env bash\nset -euo pipefail\n") {
				t.Errorf("%s: step %s is not a strict bash script", b.file, s.Id)
			}
		}
		for name := range b.Substitutions {
			if !slices.Contains(b.references(), name) {
				t.Errorf("%s: nothing uses %s, and Cloud Build refuses that", b.file, name)
			}
		}
	}
	b, d := mustRead(t, "../cloudbuild.yaml"), mustRead(t, "cloudbuild.yaml")
	if got := b.substituted(b.Images[0], buildSubstitutions()); len(b.Images) != 1 ||
		got != repository+"/rotator:"+commit {
		t.Errorf("cloudbuild.yaml pushes %s, want the commit's image in the repository", got)
	}
	if b.Options.RequestedVerifyOption != "VERIFIED" || strings.Contains(b.text, "docker push ") {
		t.Error("cloudbuild.yaml: provenance is only made for what images: pushes, and must be asked for")
	}
	if len(d.Images) > 0 {
		t.Error("deploy/cloudbuild.yaml pushes: a deployment builds nothing")
	}
	for file, want := range map[*cloudBuild]string{
		b: "projects/acme-rotator-build/serviceAccounts/rotator-builder@acme-rotator-build.iam.gserviceaccount.com",
		d: "projects/acme-rotator-build/serviceAccounts/rotator-dev-deployer@acme-rotator-build.iam.gserviceaccount.com",
	} {
		given := buildSubstitutions()
		given["_ENV"] = "dev"
		if got := file.substituted(file.ServiceAccount, given); got != want {
			t.Errorf("%s runs as %s, want %s", file.file, got, want)
		}
	}
}

// TestStepScripts lets shellcheck read what the steps run.
func TestStepScripts(t *testing.T) {
	need(t, "shellcheck")
	for _, file := range buildFiles {
		b := mustRead(t, file)
		for _, s := range b.Steps {
			cmd := exec.Command("shellcheck", "-")
			cmd.Stdin = strings.NewReader(s.Script)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, step %s: %v\n%s", b.file, s.Id, err, out)
			}
		}
	}
}

// TestOneGo: the tests run with the Go that builds the image, and the
// Dockerfile's own default is the release that go.mod asks for.
func TestOneGo(t *testing.T) {
	b := mustRead(t, "../cloudbuild.yaml")
	golang := b.step("test").Name
	if !strings.Contains(b.step("image").Script, "GO_IMAGE="+golang+" ") {
		t.Errorf("tested with %s, built with another", golang)
	}
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	release := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(mod))[1]
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(dockerfile), "\nARG GO_IMAGE=golang:"+release+"\n") ||
		!strings.HasPrefix(golang, "golang:"+release+".") {
		t.Errorf("go.mod asks for Go %s; the Dockerfile or cloudbuild.yaml (%s) for another", release, golang)
	}
}

func deploySubstitutions() map[string]string {
	given := buildSubstitutions()
	delete(given, "_SOURCE_URL")
	given["_ENV"], given["_DIGEST"] = "dev", "sha256:"+strings.Repeat("a", 64)
	return given
}

// TestSubstitutions runs both files' first steps: with all that a trigger
// gives, with each of them missing, and with what is not one.
func TestSubstitutions(t *testing.T) {
	need(t, "bash")
	path := "PATH=" + os.Getenv("PATH")
	for _, tt := range []struct {
		file     string
		given    map[string]string
		optional []string
	}{
		{"../cloudbuild.yaml", buildSubstitutions(), []string{"_SOURCE_URL"}},
		{"cloudbuild.yaml", deploySubstitutions(), []string{"_DIGEST", "COMMIT_SHA"}}, // one of the two
		{"cloudbuild.yaml", without(deploySubstitutions(), "_DIGEST"), []string{"_DIGEST"}},
	} {
		b := mustRead(t, tt.file)
		if out, err := b.run("substitutions", t.TempDir(), tt.given, path); err != nil || out != "" {
			t.Errorf("%s with %v: %v, %s", b.file, tt.given, err, out)
		}
		for _, name := range b.references() {
			given := maps.Clone(tt.given)
			given[name] = ""
			out, err := b.run("substitutions", t.TempDir(), given, path)
			if fine := slices.Contains(tt.optional, name); fine != (err == nil) ||
				fine == strings.Contains(out, "substitution "+name+" is empty\n") {
				t.Errorf("%s with %s empty: %v, %q", b.file, name, err, out)
			}
		}
	}
	for _, tt := range []struct{ file, name, value, want string }{
		{"../cloudbuild.yaml", "COMMIT_SHA", "0123456", "COMMIT_SHA=0123456 is not a commit"},
		{"../cloudbuild.yaml", "LOCATION", "global", "LOCATION=global is not a region"},
		{"../cloudbuild.yaml", "_REPOSITORY", "gcr.io/acme", "_REPOSITORY=gcr.io/acme is not"},
		{"cloudbuild.yaml", "_ENV", "../prod", "_ENV=../prod is not the name of an environment"},
		{"cloudbuild.yaml", "_DIGEST", "latest", "_DIGEST=latest is not"},
		{"cloudbuild.yaml", "_DIGEST", "elsewhere/rotator@sha256:" + strings.Repeat("a", 64),
			"is not sha256:... or " + repository + "/rotator@"},
	} {
		given := buildSubstitutions()
		if tt.file == "cloudbuild.yaml" {
			given = deploySubstitutions()
		}
		given[tt.name] = tt.value
		if out, err := mustRead(t, tt.file).run("substitutions", t.TempDir(), given, path); err == nil ||
			!strings.Contains(out, tt.want) {
			t.Errorf("%s=%s: %v, %q; want %q", tt.name, tt.value, err, out, tt.want)
		}
	}
}

func without(given map[string]string, name string) map[string]string {
	delete(given, name)
	return given
}

// TestBuildSteps runs the steps of cloudbuild.yaml in order, on what gcloud
// would upload. Not executed here: the push by images:, and all of the step "test"
// but one test that reads the whole tree, for the tests are what is running, and
// vet is in the lint; its go is one that says what was asked and then does less.
func TestBuildSteps(t *testing.T) {
	b := mustRead(t, "../cloudbuild.yaml")
	var order []string
	for _, s := range b.Steps {
		order = append(order, s.Id)
	}
	if want := []string{"substitutions", "test", "image"}; !slices.Equal(order, want) {
		t.Fatalf("steps %v, want %v", order, want)
	}
	i := image(t) // the step "image", by standin_test.go: before the others, so that all tests share it
	if out, err := b.run("substitutions", i.tree, buildSubstitutions(), "PATH="+os.Getenv("PATH")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bin := t.TempDir()
	shim := fmt.Sprintf("#!/usr/bin/env bash\necho \"go $*\"\n[[ $1 != vet ]] || set -- vet ./policy/reason\n[[ $1 != test ]] || set -- test -vet=off -run '^TestArrows$' ./job\nexec %s/bin/go \"$@\"\n", goEnv("GOROOT"))
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte(shim), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := b.run("test", i.tree, buildSubstitutions(), "PATH="+bin+":"+os.Getenv("PATH"),
		"GOCACHE="+goEnv("GOCACHE"), "GOMODCACHE="+goEnv("GOMODCACHE"))
	if want := "go vet ./...\ngo test -vet=off -timeout=20m ./...\nok  \tgke-credential-rotator/job\t"; err != nil || !strings.HasPrefix(out, want) {
		t.Errorf("%v\n%s\nwant %s", err, out, want)
	}
}

// cloud is a server for gcloud that answers a path with a text, or 404.
func cloud(t *testing.T, answers map[string]string) (env []string, got map[string][]byte) {
	t.Helper()
	got = map[string][]byte{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got[r.Method+" "+r.URL.Path] = body
		answer, is := answers[r.Method+" "+r.URL.Path]
		w.Header().Set("Content-Type", "application/json")
		if !is {
			w.WriteHeader(http.StatusForbidden)
			answer = `{"error": {"code": 403, "message": "Permission denied on this path", "status": "PERMISSION_DENIED"}}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return append(offline(t.TempDir()), "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBUILD="+server.URL+"/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_ARTIFACTREGISTRY="+server.URL+"/"), got
}

// TestGcloudAcceptsBuilds lets gcloud read both files and compares what it
// sends with what the strict decode saw. gcloud refuses a key that it does not
// know.
func TestGcloudAcceptsBuilds(t *testing.T) {
	need(t, "gcloud")
	const path = "POST /v1/projects/acme-rotator-build/locations/europe-west1/builds"
	for _, tt := range []struct{ file, substitutions string }{
		{"../cloudbuild.yaml", "COMMIT_SHA=" + commit + ",_REPOSITORY=" + repository},
		{"cloudbuild.yaml", "_ENV=dev,_DIGEST=sha256:" + strings.Repeat("a", 64)},
	} {
		env, got := cloud(t, map[string]string{path: `{"name": "operations/build/acme-rotator-build/1", "metadata": {
			"@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata",
			"build": {"id": "b-1", "projectId": "acme-rotator-build", "status": "QUEUED"}}}`})
		submit := func(file string) ([]byte, error) {
			cmd := exec.Command("gcloud", "builds", "submit", "--no-source", "--async", "--project=acme-rotator-build",
				"--region=europe-west1", "--config="+file, "--substitutions="+tt.substitutions)
			cmd.Env = env
			return cmd.CombinedOutput()
		}
		if out, err := submit(tt.file); err != nil {
			t.Errorf("gcloud builds submit %s: %v\n%s", tt.file, err, out)
			continue
		}
		b := mustRead(t, tt.file)
		var sent cloudbuild.Build
		strictly(t, "what gcloud sends", string(got[path]), &sent)
		for key, value := range sent.Substitutions {
			b.Substitutions[key] = value
		}
		if want, is := asJSON(t, b.Build), asJSON(t, sent); want != is {
			t.Errorf("%s as gcloud sends it:\n%s\nas it reads:\n%s", b.file, is, want)
		}
		wrong := filepath.Join(t.TempDir(), "wrong.yaml")
		if err := os.WriteFile(wrong,
			[]byte(strings.Replace(b.text, "\noptions:\n", "\noptions:\n  requestedVerify: VERIFIED\n", 1)),
			0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := submit(wrong); err == nil || !strings.Contains(string(out), "requestedVerify") {
			t.Errorf("gcloud takes a key that is none: %v\n%s", err, out)
		}
	}
}

func asJSON(t *testing.T, build cloudbuild.Build) string {
	t.Helper()
	text, err := json.MarshalIndent(build, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDeployImage runs the step that finds the digest.
func TestDeployImage(t *testing.T) {
	need(t, "gcloud")
	const tags = "GET /v1/projects/acme-rotator-build/locations/europe-west1/repositories/rotator/packages/rotator/tags"
	const p = "projects/acme-rotator-build/locations/europe-west1/repositories/rotator/packages/rotator"
	digest := "sha256:" + strings.Repeat("b", 64)
	listed := `{"tags": [{"name": "` + p + `/tags/` + commit + `", "version": "` + p + `/versions/` + digest + `"},
		{"name": "` + p + `/tags/` + strings.Repeat("9", 40) + `", "version": "` + p + `/versions/sha256:` + strings.Repeat("c", 64) + `"}]}`
	b := mustRead(t, "cloudbuild.yaml")
	for _, tt := range []struct {
		name, digest string
		answers      map[string]string
		want         string // the image, or
		problem      string
	}{
		{"a digest", digest, nil, repository + "/rotator@" + digest, ""},
		{"an image with its digest", repository + "/rotator@" + digest, nil, repository + "/rotator@" + digest, ""},
		{"a commit with an image", "", map[string]string{tags: listed}, repository + "/rotator@" + digest, ""},
		{"a commit without", "",
			map[string]string{tags: strings.ReplaceAll(listed, commit, strings.Repeat("8", 40))}, "",
			"commit " + commit + " has no image in " + repository + ": merge it to main first"},
		{"an empty repository", "", map[string]string{tags: `{}`}, "", "has no image in " + repository},
		{"not allowed to look", "", nil, "", "Permission denied on this path"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env, got := cloud(t, tt.answers)
			given, dir := deploySubstitutions(), t.TempDir()
			given["_DIGEST"] = tt.digest
			out, err := b.run("image", dir, given, env...)
			if tt.problem != "" {
				if err == nil || !strings.Contains(out, tt.problem) {
					t.Errorf("%v\n%s\nwant %q", err, out, tt.problem)
				}
				return
			}
			file, err2 := os.ReadFile(filepath.Join(dir, "image.txt"))
			if err := errors.Join(err, err2); err != nil || string(file) != tt.want+"\n" {
				t.Errorf("%v\n%s\nimage.txt: %q, want %q", err, out, file, tt.want)
			}
			if tt.digest != "" && len(got) > 0 {
				t.Errorf("a digest was given, and %d requests were made", len(got))
			}
		})
	}
}
