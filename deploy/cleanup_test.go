package deploy_test

import (
	"os"
	"os/exec"
	"testing"

	"google.golang.org/api/artifactregistry/v1"
)

// TestRepositoryCleanup sends the policies as scripts/setup does: gcloud reads
// the file in a form of its own, and what it sends is decoded strictly.
func TestRepositoryCleanup(t *testing.T) {
	need(t, "gcloud")
	const name = "projects/acme-rotator-build/locations/europe-west1/repositories/rotator"
	const path = "PATCH /v1/" + name
	repository := `{"name": "` + name + `", "format": "DOCKER"}`
	env, got := cloud(t, map[string]string{"GET /v1/" + name: repository, path: repository})
	cmd := exec.Command("gcloud", "artifacts", "repositories", "set-cleanup-policies", "rotator",
		"--project=acme-rotator-build", "--location=europe-west1", "--policy=repository-cleanup.json")
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%v", err, out, got)
	}
	t.Logf("sent: %s", got[path])
	var sent artifactregistry.Repository
	strictly(t, "what gcloud sends", string(got[path]), &sent)
	keep := sent.CleanupPolicies["keep-newest"].MostRecentVersions
	if keep == nil || keep.KeepCount != 20 {
		t.Errorf("what a rollback needs is not kept: %+v", keep)
	}
	for name, want := range map[string][2]string{"delete-untagged": {"UNTAGGED", "2592000.0s"},
		"delete-old": {"ANY", "31536000.0s"}} {
		p := sent.CleanupPolicies[name]
		if p.Action != "DELETE" || p.Condition.TagState != want[0] || p.Condition.OlderThan != want[1] {
			t.Errorf("%s: %s %+v, want DELETE %v", name, p.Action, p.Condition, want)
		}
	}
	// The file's own form: gcloud would ignore a key that it does not know.
	var file []struct {
		Name               string                                            `json:"name"`
		Action             struct{ Type string }                             `json:"action"`
		Condition          *artifactregistry.CleanupPolicyCondition          `json:"condition"`
		MostRecentVersions *artifactregistry.CleanupPolicyMostRecentVersions `json:"mostRecentVersions"`
	}
	text, err := os.ReadFile("repository-cleanup.json")
	if err != nil {
		t.Fatal(err)
	}
	strictly(t, "repository-cleanup.json", string(text), &file)
	if len(file) != len(sent.CleanupPolicies) {
		t.Errorf("%d policies in the file, %d sent", len(file), len(sent.CleanupPolicies))
	}
}
