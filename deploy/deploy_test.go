package deploy_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gke-credential-rotator/scripts/cloudfake"
)

// TestDeploySteps runs the steps of deploy/cloudbuild.yaml in order, on what
// gcloud would upload, against the fake of Google Cloud: as the trigger of a
// commit gives the substitutions, and with a new image that does not work.
func TestDeploySteps(t *testing.T) {
	need(t, "gcloud")
	tree := t.TempDir()
	if err := uploaded(tree); err != nil {
		t.Fatal(err)
	}
	project, region := "BUILD_PROJECT=acme-rotator-build", "BUILD_REGION=europe-west1" // those of repository
	writeEnv(t, tree, "dev", replaced(replaced(goodSettings, project), region))
	b := mustRead(t, "cloudbuild.yaml")
	var order []string
	for _, s := range b.Steps {
		order = append(order, s.Id)
	}
	if want := []string{"substitutions", "image", "deploy"}; !slices.Equal(order, want) {
		t.Fatalf("steps %v, want %v", order, want)
	}
	given := deploySubstitutions()
	given["_DIGEST"] = ""
	for name, problem := range map[string]error{"an image that works": nil,
		"an image that does not": errors.New("the container exited with 1")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, env := newCloud(t, tree, "dev")
			image := repository + "/rotator@" + fake.AddImage(repository+"/rotator:"+commit)
			var ran [][]string
			fake.ExecutionResult = func(_ string, args []string) error {
				ran = append(ran, args)
				return problem
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(tree)); err != nil {
				t.Fatal(err)
			}
			for _, id := range order {
				out, err := b.run(id, dir, given, env...)
				t.Logf("step %s: %v\n%s", id, err, out)
				if failed := err != nil; failed != (problem != nil && id == "deploy") {
					t.Fatalf("step %s: %v", id, err)
				}
			}
			if sent := cloudfake.Text(fake.Mutations()); !strings.Contains(sent, image) {
				t.Errorf("nothing was sent with %s:\n%s", image, sent)
			}
			if len(ran) != 1 || !slices.Equal(ran[0], []string{"plan"}) {
				t.Errorf("executions with %q, want one with plan", ran)
			}
		})
	}
}

// newCloud is a fake with the projects and the job's account of an environment,
// and what gcloud needs to talk to it as the deployer.
func newCloud(t *testing.T, root, name string) (*cloudfake.Fake, []string) {
	t.Helper()
	fake := cloudfake.New()
	fake.AllEnabled = true
	settings := settingsOf(t, filepath.Join(root, "deploy/env", name+".env"))
	fake.AddProject(settings["PROJECT"], 100000000001, "organization/300000000001")
	fake.AddProject(settings["BUILD_PROJECT"], 100000000002, "organization/300000000001")
	if err := fake.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fake.Close() })
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("not-a-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(fake.Env(t.TempDir(), token), "PATH="+os.Getenv("PATH"), "SETUP_PAUSE=0.1")
	account := exec.Command("gcloud", "iam", "service-accounts", "create", "rotator-"+name,
		"--project="+settings["PROJECT"])
	account.Env = env
	if out, err := account.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fake.Forget()
	// The deployer may look at who starts the job, and not change it.
	fake.Refuse(cloudfake.Fault{Path: regexp.MustCompile(`:setIamPolicy$`),
		Error: cloudfake.PermissionDenied("run.jobs.setIamPolicy", "jobs/rotator-"+name)})
	fake.Refuse(cloudfake.Fault{Method: "POST", Path: regexp.MustCompile(`^cloudscheduler `),
		Error: cloudfake.PermissionDenied("cloudscheduler.jobs.create", "jobs/rotator-"+name)})
	return fake, env
}
